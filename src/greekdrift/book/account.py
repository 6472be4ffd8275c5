"""Positions and isolated accounts."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from greekdrift.book.instrument import Instrument, parse
from greekdrift.book.mandate import Mandate
from greekdrift.book.numbers import as_floats, sorted_floats
from greekdrift.errors import BookError

LARGEST_AMOUNT = 1e18
"""Contracts or units of a currency that an account can hold at most; more is a slip of the keyboard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A signed number of contracts of one instrument; short is negative.

    An option contract is on `contract_size` coins, an inverse future or perpetual on
    `contract_size` USD, everything else on `contract_size` units; the size is a column of the chain.
    """

    instrument: Instrument
    quantity: float

    def __post_init__(self) -> None:
        if not abs(self.quantity) <= LARGEST_AMOUNT:
            raise BookError(
                f"{self.instrument.name}: quantity {self.quantity} is not a number within ±{LARGEST_AMOUNT:g}."
            )
        as_floats(self, "quantity")

    @classmethod
    def of(cls, name: str, quantity: float) -> "Position":
        """A position by instrument name.

        >>> Position.of("BTC-PERPETUAL", -1500).instrument.kind
        <Kind.PERPETUAL: 'perpetual'>
        """
        return cls(instrument=parse(name), quantity=quantity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An isolated account: collateral by currency, signed positions, and what it may do.

    Nothing of another account enters a decision about this one. Without a mandate every decision is HOLD.
    """

    account_id: str
    collateral: Mapping[str, float]
    positions: tuple[Position, ...]
    mandate: Mandate | None = None

    def __post_init__(self) -> None:
        if not self.account_id:
            raise BookError("an account needs an account_id.")
        for currency, amount in self.collateral.items():
            if not abs(amount) <= LARGEST_AMOUNT:
                raise BookError(
                    f"{self.account_id}: collateral {currency} {amount} is not a number within ±{LARGEST_AMOUNT:g}."
                )
        counts = Counter(position.instrument.name for position in self.positions)
        twice = [name for name, count in counts.items() if count > 1]
        if twice:
            raise BookError(f"{self.account_id}: {twice[0]} is listed twice; give one signed net position.")
        object.__setattr__(self, "collateral", sorted_floats(self.collateral))

    def quantities(self) -> dict[str, float]:
        """Signed contracts by instrument name.

        >>> Account(account_id="a", collateral={"BTC": 1.0}, positions=(Position.of("BTC-PERPETUAL", 10),)).quantities()
        {'BTC-PERPETUAL': 10.0}
        """
        return {position.instrument.name: position.quantity for position in self.positions}

    def underlyings(self) -> tuple[str, ...]:
        """Sorted underlyings of the positions."""
        return tuple(sorted({position.instrument.underlying for position in self.positions}))
