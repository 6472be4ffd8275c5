"""A venue's facts as dated data: tick, lot, fees, contract size, settlement hour."""

from dataclasses import dataclass
from datetime import date

from greekdrift.book.instrument import Instrument, Kind, Settlement
from greekdrift.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """Terms of one kind of contract.

    `tick` in the quote currency of the price (coin for inverse options, USD otherwise), with steps
    (price from which, tick) above; `lot` in contracts; `contract_size` in coins, or in USD for
    inverse futures and perpetuals; fees as a share of the underlying's notional; the fee of an option is
    at most `fee_cap` of its premium, None where the venue has no cap. `half_spread` (share of the price) serves
    where no quotes are recorded.
    """

    kind: Kind
    settlement: Settlement
    underlying: str
    tick: float
    lot: float
    contract_size: float
    taker_fee: float
    maker_fee: float
    fee_cap: float | None = None
    tick_steps: tuple[tuple[float, float], ...] = ()
    half_spread: float | None = None

    def tick_at(self, price: float) -> float:
        """The tick that holds at a price."""
        steps = [tick for above, tick in self.tick_steps if price >= above]
        return steps[-1] if steps else self.tick

    def fee_usd(self, contracts: float, *, price_usd: float, index_usd: float) -> float:
        """Taker fee in USD of trading a number of contracts (sign ignored).

        option: |n| size min(fee · index, cap · price);  linear: |n| size fee price;
        inverse future or perpetual: |n| size fee (the size is in USD already).
        """
        amount = abs(contracts) * self.contract_size
        if self.kind is Kind.OPTION:
            fee = self.taker_fee * index_usd
            return amount * (fee if self.fee_cap is None else min(fee, self.fee_cap * price_usd))
        if self.settlement is Settlement.INVERSE:
            return amount * self.taker_fee
        return amount * self.taker_fee * price_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """A venue: its products, when and how it settles, where the facts come from.

    Options and dated futures settle on the average of the index over the last `settlement_average_minutes`; 0 where
    the settlement price is that of one instant.
    """

    name: str
    dated: date
    source: str
    sha256: str
    settlement_hour_utc: int
    settlement_average_minutes: float
    products: tuple[Product, ...]

    def product(self, instrument: Instrument) -> Product:
        """Terms of an instrument: the product of its underlying, else the venue's general one ("*")."""
        matching = [
            product
            for product in self.products
            if product.kind is instrument.kind and product.settlement is instrument.settlement
        ]
        for wanted in (instrument.underlying, "*"):
            for product in matching:
                if product.underlying == wanted:
                    return product
        raise ConfigError(
            f"{self.name} ({self.dated}) lists no {instrument.settlement} {instrument.kind} on "
            f"{instrument.underlying}; add the product to the venue file or choose another venue."
        )
