"""What an account may do: bands, limits, rule set, reserve, price of breach, venues."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite

from greekdrift.book.instrument import Kind
from greekdrift.book.numbers import as_floats, sorted_floats
from greekdrift.errors import BookError, nearest
from greekdrift.units import VENUE_FACTOR

BANDED = tuple(name for name in VENUE_FACTOR if name != "price" and not name.startswith("strike_"))

LONGEST_VALIDITY = 31_536_000.0
"""Seconds that a proposal can stay valid at most, a year; more is a slip of the keyboard."""


class View(StrEnum):
    """The three deltas of a coin-settled book (all in coins of the underlying).

    usd: N(d1) on the forward, summed over lines; net: premium-adjusted, F dV_coin/dF;
    collateral: d(equity in USD)/dS, that is net deltas (those of linear lines times F/S) plus the coin equity.
    """

    USD = "usd"
    NET = "net"
    COLLATERAL = "collateral"


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """The interval in which one Greek of one underlying must stay, internal units (volatility per 1.00, years).

    `tenor_days` limits it to options whose time to expiry lies in [from, to) days.
    `view` matters for delta only.
    """

    greek: str
    underlying: str
    lower: float
    upper: float
    view: View = View.NET
    tenor_days: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.greek not in BANDED:
            raise BookError(f'a band on "{self.greek}": unknown Greek; {nearest(self.greek, BANDED)}')
        if not (isfinite(self.lower) and isfinite(self.upper) and self.lower < self.upper):
            raise BookError(f"{self.label}: lower {self.lower} must be below upper {self.upper}, both finite.")
        if self.tenor_days is not None and not 0.0 <= self.tenor_days[0] < self.tenor_days[1]:
            raise BookError(f"{self.label}: tenor_days {self.tenor_days} is not an interval [from, to).")
        as_floats(self, "lower", "upper")
        if self.tenor_days is not None:
            object.__setattr__(self, "tenor_days", tuple(float(edge) for edge in self.tenor_days))

    @property
    def label(self) -> str:
        """Readable name such as `BTC vega 0-30d`."""
        view = f" ({self.view})" if self.greek == "delta" else ""
        tenor = "" if self.tenor_days is None else f" {self.tenor_days[0]:g}-{self.tenor_days[1]:g}d"
        return f"{self.underlying} {self.greek}{view}{tenor}"

    def distance_outside(self, value: float) -> float:
        """How far a value lies outside the band; 0 inside.

        >>> Band(greek="delta", underlying="BTC", lower=-1.0, upper=1.0).distance_outside(1.5)
        0.5
        """
        return max(self.lower - value, value - self.upper, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mandate:
    """The account's instructions; nothing outside them is proposed or verified.

    Money in USD. `price_of_breach` is USD per unit of the Greek outside its inner band and hour;
    a Greek that is absent is priced at the one-hour P&L standard deviation that one unit causes.
    `inner_band` shrinks each band to this share of its width about the centre for the policy's target.
    `max_participation` is a share of the instrument's 24-hour volume (or of recorded depth).
    `price_collar` is the largest |limit / mark - 1| for linear instruments and, for options, the largest
    |limit - mark| as a share of the index value. `gamma_fade_days`: gamma leaves its band linearly over
    the last days of an option's life (the expiry trap).
    """

    rule_set: str
    bands: tuple[Band, ...]
    liquidity_buffer_usd: float
    venues: tuple[str, ...]
    max_order_notional_usd: float
    max_cost_usd: float
    max_participation: float = 0.1
    price_collar: float = 0.05
    price_of_breach: Mapping[str, float] = field(default_factory=dict)
    hedge_kinds: tuple[Kind, ...] = (Kind.PERPETUAL, Kind.FUTURE, Kind.OPTION)
    min_hedge_days: float = 5.0
    gamma_fade_days: float = 2.0
    inner_band: float = 0.93
    risk_aversion: float | None = None
    valid_for_seconds: float = 900.0

    def __post_init__(self) -> None:
        amounts = (
            "liquidity_buffer_usd",
            "max_order_notional_usd",
            "max_cost_usd",
            "min_hedge_days",
            "gamma_fade_days",
        )
        for name in amounts:
            value = getattr(self, name)
            if not (isfinite(value) and value >= 0.0):
                raise BookError(f"mandate: {name} {value} must be a number of at least 0.")
        for name in ("max_participation", "price_collar", "inner_band"):
            value = getattr(self, name)
            if not 0.0 < value <= 1.0:
                raise BookError(f"mandate: {name} {value} must lie in (0, 1].")
        if not 0.0 < self.valid_for_seconds <= LONGEST_VALIDITY:
            raise BookError(f"mandate: valid_for_seconds {self.valid_for_seconds} must be positive, a year at most.")
        if self.risk_aversion is not None and not (isfinite(self.risk_aversion) and self.risk_aversion > 0.0):
            raise BookError(f"mandate: risk_aversion {self.risk_aversion} must be a positive number, or left out.")
        unknown = [name for name in self.price_of_breach if name not in BANDED]
        if unknown:
            raise BookError(f'mandate: price_of_breach of "{unknown[0]}"; {nearest(unknown[0], BANDED)}')
        for name, price in self.price_of_breach.items():
            if not (isfinite(price) and price >= 0.0):
                raise BookError(f"mandate: price_of_breach of {name} {price} must be a number of at least 0.")
        object.__setattr__(self, "price_of_breach", sorted_floats(self.price_of_breach))
        as_floats(self, "liquidity_buffer_usd", "max_order_notional_usd", "max_cost_usd", "max_participation")
        as_floats(self, "price_collar", "min_hedge_days", "gamma_fade_days", "inner_band", "risk_aversion")
        as_floats(self, "valid_for_seconds")
