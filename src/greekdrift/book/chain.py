"""All listed contracts of a venue at one instant, as columns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from jaxtyping import Bool, Float, Shaped
from numpy import ndarray
from numpy.typing import ArrayLike

from greekdrift.book.canonical import LEFT_OUT
from greekdrift.book.feeds import Feeds
from greekdrift.book.instrument import Instrument, Kind, parse
from greekdrift.errors import ChainError, InstrumentError, nearest
from greekdrift.units import SECONDS_PER_YEAR, aware, datetime64, stamp

Column = Float[ndarray, " row"]
Mask = Bool[ndarray, " row"]

LARGEST_VOLATILITY = 50.0
"""A `mark_iv` from here on is no volatility per 1.00."""

LONGEST_AVERAGE_MINUTES = 1440.0
"""Minutes over which a settlement price can be averaged at most."""

_COLUMNS = ("contract_size", "forward", "bid", "ask", "mark", "mark_iv", "open_interest", "volume_24h")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chain:
    """Quotes of one venue at one instant, one row a contract: options and linear instruments together.

    Prices (`bid`, `ask`, `mark`) are in the coin for inverse options and in USD for everything else.
    `forward` is the forward of the row's own expiry (the mark of a perpetual, the index of spot), USD.
    `mark_iv` is annualised, 0.5 = 50 %, act/365; NaN for rows that are no options.
    NaN in `bid`, `ask`, `open_interest`, `volume_24h` means "not quoted" or "not recorded", never zero.
    `contract_size` in coins; in USD for inverse futures and perpetuals.
    `settlement_average_minutes`: options and dated futures settle on the average of the index over their last so many
    minutes (`greeks.settlement`); 0 where the settlement price is that of one instant.
    `feeds` say how far the prices can be trusted; None: they are the venue's own, and no oracle stands between.
    `as_of` is the instant of the prices, `known_at` when they could be used. `origin` is "recorded",
    "modelled" (made from a real index or surface) or "simulated".
    Derived: `underlying`, `index` (price of the underlying, USD), `is_option`, `is_spot`, `is_call`, `is_inverse`,
    `strike` (NaN where none) and `time_to_expiry` in years (infinite where none).
    """

    venue: str
    as_of: datetime
    known_at: datetime
    instruments: tuple[Instrument, ...]
    contract_size: Column
    forward: Column
    bid: Column
    ask: Column
    mark: Column
    mark_iv: Column
    open_interest: Column
    volume_24h: Column
    index_price: Mapping[str, float]
    origin: str = "recorded"
    allow_crossed: bool = False
    settlement_average_minutes: float = 0.0
    feeds: Feeds | None = field(default=None, metadata=LEFT_OUT)
    underlying: Shaped[ndarray, " row"] = field(init=False)
    index: Column = field(init=False)
    is_option: Mask = field(init=False)
    is_spot: Mask = field(init=False)
    is_call: Mask = field(init=False)
    is_inverse: Mask = field(init=False)
    strike: Column = field(init=False)
    expiry: Shaped[ndarray, " row"] = field(init=False)
    time_to_expiry: Column = field(init=False)
    row_of: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "as_of", aware(self.as_of))
        object.__setattr__(self, "known_at", aware(self.known_at))
        object.__setattr__(self, "settlement_average_minutes", float(self.settlement_average_minutes))
        object.__setattr__(self, "index_price", MappingProxyType(dict(sorted(self.index_price.items()))))
        if not self.instruments:
            raise ChainError(f"the {self.venue} chain at {stamp(self.as_of)} is empty.")
        for name in _COLUMNS:
            self._freeze(name, np.array(getattr(self, name), dtype=np.float64))
        self._derive()
        self._check()

    def _freeze(self, name: str, column: Any) -> None:
        if column.shape != (len(self.instruments),):
            raise ChainError(f"column {name} has shape {column.shape} for {len(self.instruments)} instruments.")
        column.setflags(write=False)
        object.__setattr__(self, name, column)

    def _derive(self) -> None:
        rows = self.instruments
        self._freeze("underlying", np.array([row.underlying for row in rows]))
        price = self.index_price
        self._freeze("index", np.array([price.get(row.underlying, np.nan) for row in rows], dtype=np.float64))
        self._freeze("is_option", np.array([row.kind is Kind.OPTION for row in rows]))
        self._freeze("is_spot", np.array([row.kind is Kind.SPOT for row in rows]))
        self._freeze("is_call", np.array([bool(row.is_call) for row in rows]))
        self._freeze("is_inverse", np.array([row.is_inverse for row in rows]))
        self._freeze("strike", np.array([np.nan if row.strike is None else row.strike for row in rows]))
        moments = {row.expiry for row in rows}
        column = {one: np.datetime64("NaT", "us") if one is None else datetime64(one) for one in moments}
        self._freeze("expiry", np.array([column[row.expiry] for row in rows], dtype="datetime64[us]"))
        self._freeze("time_to_expiry", years_to(self.expiry, self.as_of))
        row_of = {row.name: at for at, row in enumerate(rows)}
        if len(row_of) != len(rows):
            twice = next(row.name for at, row in enumerate(rows) if row_of[row.name] != at)
            raise ChainError(f"the {self.venue} chain at {stamp(self.as_of)} lists {twice} twice; keep one row of it.")
        object.__setattr__(self, "row_of", MappingProxyType(row_of))

    def _check(self) -> None:
        if self.known_at < self.as_of:
            raise ChainError(f"known_at {stamp(self.known_at)} is before as_of {stamp(self.as_of)}.")
        if self.origin not in ("recorded", "modelled", "simulated"):
            raise ChainError(f'origin "{self.origin}" must be recorded, modelled or simulated.')
        if not 0.0 <= self.settlement_average_minutes <= LONGEST_AVERAGE_MINUTES:
            raise ChainError(
                f"settlement_average_minutes {self.settlement_average_minutes} of the {self.venue} chain does not lie "
                f"between 0 and {LONGEST_AVERAGE_MINUTES:g}; take it from the venue file."
            )
        self._refuse(
            ~(self.contract_size > 0.0) | np.isinf(self.contract_size),
            "contract size {contract_size} is not a positive number",
            "correct it",
        )
        self._refuse(
            ~(self.forward > 0.0) | np.isinf(self.forward), "forward {forward} is not a positive number", "drop the row"
        )
        self._refuse(
            ~(self.mark >= 0.0) | np.isinf(self.mark), "mark {mark} is not a number of at least 0", "drop the row"
        )
        bad_iv = self.is_option & ~((self.mark_iv > 0.0) & (self.mark_iv < LARGEST_VOLATILITY))
        self._refuse(
            bad_iv,
            "mark_iv {mark_iv} is not a volatility (1.00 = 100 %)",
            "drop the row or convert points to fractions",
        )
        expired = self.time_to_expiry < 0.0
        self._refuse(expired, "has expired", "drop the row with quality.alive")
        for name in ("bid", "ask", "open_interest", "volume_24h"):
            column = getattr(self, name)
            self._refuse(
                (column < 0.0) | np.isinf(column), f"{name} {{{name}}} is not a number of at least 0", "drop the row"
            )
        if not self.allow_crossed:
            remedy = "drop the quote with quality.uncrossed or pass allow_crossed=True"
            self._refuse(self.bid > self.ask, "bid {bid:g} above ask {ask:g}", remedy)
        for name in np.unique(self.underlying):
            price = self.index_price.get(str(name), np.nan)
            if not (np.isfinite(price) and price > 0.0):
                raise ChainError(f"{name} at {stamp(self.as_of)}: index price {price} is not a positive number.")

    def _refuse(self, is_bad: Any, fact: str, remedy: str) -> None:
        if not np.any(is_bad):
            return
        at = int(np.flatnonzero(is_bad)[0])
        values = {name: getattr(self, name)[at] for name in _COLUMNS}
        more = int(np.sum(is_bad)) - 1
        also = f" ({more} more rows)" if more else ""
        raise ChainError(
            f"{self.instruments[at].name}: {fact.format(**values)} at {stamp(self.as_of)}{also}; {remedy}."
        )

    def __len__(self) -> int:
        return len(self.instruments)

    @property
    def underlyings(self) -> tuple[str, ...]:
        """Sorted names of the underlyings."""
        return tuple(str(name) for name in np.unique(self.underlying))

    @property
    def settlement_window(self) -> float:
        """`settlement_average_minutes` in years of 365 days."""
        return self.settlement_average_minutes * 60.0 / SECONDS_PER_YEAR

    def rows(self, names: Iterable[str]) -> ndarray:
        """Row numbers of instrument names; an unlisted one is refused with the nearest name."""
        found = []
        for name in names:
            row = self.row_of.get(name)
            if row is None:
                raise ChainError(
                    f'"{name}" is not listed on {self.venue} at {stamp(self.as_of)}; {nearest(name, self._near(name))}'
                )
            found.append(row)
        return np.array(found, dtype=np.int64)

    def _near(self, name: str) -> Sequence[str]:
        """Names that may have been meant: of an option the one of its side, nearest in expiry, then in strike."""
        head = name.split("-", maxsplit=1)[0]
        same = [other for other in self.row_of if other.split("-")[0] == head]
        if not same:
            return list(self.underlyings)
        try:
            wanted = parse(name)
        except InstrumentError:
            return same[:400]
        if wanted.expiry is None or wanted.strike is None:
            return same[:400]
        found = [
            (abs(one.expiry - wanted.expiry), abs(one.strike - wanted.strike), one.name)
            for one in (self.instruments[self.row_of[other]] for other in same)
            if one.expiry is not None and one.strike is not None and one.is_call == wanted.is_call
        ]
        return [min(found)[-1]] if found else same[:400]

    def numbers(self, rows: ArrayLike | None) -> ndarray:
        """Row numbers of row numbers, a mask or None (all rows); what is none of these is refused."""
        if rows is None:
            return np.arange(len(self))
        at = np.asarray(rows)
        if at.size == 0:
            return np.empty(0, dtype=np.int64)
        if at.dtype == np.bool_ and at.shape == (len(self),):
            return np.flatnonzero(at)
        if at.dtype.kind not in "iu" or at.ndim != 1 or at.min() < 0 or at.max() >= len(self):
            raise ChainError(
                f"rows {np.array2string(at, threshold=6)} are no row numbers of a chain of {len(self)} rows; "
                "get them with chain.rows(names)."
            )
        return at.astype(np.int64)

    def take(self, rows: ArrayLike) -> Self:
        """The chain of some rows (row numbers or a mask), in that order."""
        at = self.numbers(rows)
        columns = {name: getattr(self, name)[at] for name in _COLUMNS}
        return replace(self, instruments=tuple(self.instruments[i] for i in at), **columns)


def years_to(expiry: ndarray, moment: datetime) -> ndarray:
    """Years of 365 days from an instant to each expiry; infinite where there is none (NaT)."""
    micros = (expiry - datetime64(moment)).astype(np.float64)
    years = micros / (1e6 * SECONDS_PER_YEAR)
    return np.where(np.isnat(expiry), np.inf, years)
