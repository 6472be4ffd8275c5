"""Numbers of the risk-matrix form of margin: a grid of price and volatility moves, a damped tail, charges on top.

Form as published by Deribit (S:PM, X:PM) and Paradex. The lines of one underlying that settle in one currency are a
*book*; a coin-settled one is worked out in the coin, its figures here are those times the index price S. In a
scenario with price move x, whose move is `price` ranges in the regular table and `price` itself in the tail,

F′ = F ((1 − φ)(1 + x) + φ), φ the share of the settlement average that is fixed;   σ′ by `VolatilityTerms`
option: n S (B(F′, σ′)/F′ − B(F, σ)/F) in coin,  n (B(F′, σ′) − B(F, σ)) in USD, B the undiscounted Black value
linear: n S (1 − F/F′) in coin (n x/(1+x) coins),  n (F′ − F) in USD;  in the tail at the edge of the range on request
P     = w (options) + w_linear (linear), w the damping; by law w = tail_factor range/|x|, of the edge tail_factor
P′    = P moved toward 0 by min(|P|, (|x|/range − 1)⁺ dampener), in the tail

and the account's requirement, with c(P) = min(gain_share P, largest_gain_usd) for a gain and P for a loss,

together = max((−min over scenarios of Σ books c(P′))⁺, Σ books least);   apart = Σ books max((−min P′)⁺, least)
scan  = (1 − separate) together + separate apart
risk  = scan + Σ books (roll + delta shock)
IM    = initial risk + funding + fees + cuts of collateral + what the venue holds for orders and market makers
MM    = maintenance risk + funding + fees + maintenance cuts of collateral

least = (net |Δ| + hedged (gross − |Δ|)/2) S, over the deltas of positions in coins, Δ their sum
roll  = Σ expiries |Δ of the expiry| max(floor, per_year τ) S;   a perpetual has τ = 0
delta shock = |Δ| S min(largest, per_coin (|Δ| − threshold_usd/S)⁺)
funding = (rate Σ perpetual coins)⁺ S;   fees = (linear Σ |coins| + option Σ |coins|) S
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from math import isfinite
from typing import TypeVar

from greekdrift.book.collateral import CollateralTerms, terms_of
from greekdrift.book.scenario_terms import SpotScenario, Table, VolatilityMove, VolatilityTerms
from greekdrift.errors import BookError, ConfigError

USD = "USD"
"""Name of the terms of every book that settles in dollars, whatever the dollar."""


class DampenerLaw(StrEnum):
    """How money damps the tail: by an amount toward zero (from a third party), or not at all."""

    TOWARD_ZERO = "toward zero"
    NONE = "none"


class DeltaShockLaw(StrEnum):
    """How the extra move of a large net delta grows: with the excess up to a cap (ours), or there is none."""

    CAPPED = "capped"
    NONE = "none"


class RollLaw(StrEnum):
    """What expiries may move against each other: the larger of a floor and a rate by time (ours), or nothing."""

    LARGER = "larger"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Laws:
    """The laws that venues name but do not publish, each by its name here."""

    dampener: DampenerLaw
    delta_shock: DeltaShockLaw
    roll: RollLaw


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixScenario:
    """A price move and a volatility move: `price` ranges of the pair in the regular table, relative in the tail.

    `damping` is the share that counts; null in the tail takes the law tail_factor range/|move|.
    """

    label: str
    table: Table
    price: float
    volatility: VolatilityMove
    damping: float | None

    def move(self, price_range: float) -> float:
        """Relative price move."""
        return self.price * price_range if self.table is Table.REGULAR else self.price


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaShockTerms:
    """Extra move of a net delta above a threshold: per coin of excess, up to the largest."""

    threshold_usd: float
    per_coin: float
    largest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LeastDeltaTerms:
    """Shares of the index that a coin of net and of hedged delta costs at least."""

    net: float
    hedged: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTerms:
    """Numbers of an underlying: its range, volatility moves and tail, and what its net delta costs."""

    underlying: str
    price_range: float
    volatility: VolatilityTerms
    tail_factor: float
    delta_shock: DeltaShockTerms
    least_delta: LeastDeltaTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class RollTerms:
    """Move of an expiry against the others: at least `floor`, `per_year` for each year to it."""

    floor: float
    per_year: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeTerms:
    """Shares of spot notional held for closing fees, and the share of perpetual notional that funding may cost."""

    linear: float
    option: float
    funding: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementTerms:
    """Numbers of a settlement currency: a coin by its name, or "USD" for every dollar."""

    currency: str
    gain_share: float
    largest_gain_usd: float
    dampener_usd: float
    roll: RollTerms
    fees: FeeTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskFactors:
    """Shares of the matrix risk that the initial and the maintenance margin are."""

    initial: float
    maintenance: float


Terms = TypeVar("Terms", PairTerms, SettlementTerms)


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixParameters:
    """All numbers of the risk-matrix form; a data file gives each of them.

    `separate` is the share of the scan that adds currencies without offset (0: all of them move in one scenario).
    `absent` names inputs of the venue's own formula that an account and a chain do not know; they count nothing.
    """

    matrix_scenarios: tuple[MatrixScenario, ...]
    pairs: tuple[PairTerms, ...]
    settlements: tuple[SettlementTerms, ...]
    laws: Laws
    linear_at_edge: bool
    separate: float
    factors: RiskFactors
    collateral: tuple[CollateralTerms, ...]
    absent: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.matrix_scenarios:
            raise ConfigError("a risk-matrix rule set needs at least one scenario.")
        for name, keys in (
            ("matrix_scenarios", [one.label for one in self.matrix_scenarios]),
            ("pairs", [one.underlying for one in self.pairs]),
            ("settlements", [one.currency for one in self.settlements]),
        ):
            twice = [key for key, count in Counter(keys).items() if count > 1]
            if twice:
                raise ConfigError(f'{name}: "{twice[0]}" is used twice; give each its own.')
        parts = [part for one in self.pairs for part in (one, one.volatility, one.delta_shock, one.least_delta)]
        parts += [part for one in self.settlements for part in (one, one.roll, one.fees)]  # type: ignore[misc]
        for group in (*parts, self.factors, *self.collateral):
            _refuse_numbers_that_cannot_be(group)
        self._refuse_what_makes_no_sense()

    def _refuse_what_makes_no_sense(self) -> None:
        for one in self.matrix_scenarios:
            if not (isfinite(one.price) and (one.damping is None or (isfinite(one.damping) and one.damping >= 0.0))):
                raise ConfigError(f'scenario "{one.label}": price and damping must be numbers, damping at least 0.')
            if one.table is Table.TAIL and one.price == 0.0:
                raise ConfigError(f'scenario "{one.label}": a tail scenario moves the price; put it into regular.')
            if one.table is Table.TAIL and self.linear_at_edge and one.damping is not None:
                raise ConfigError(f'scenario "{one.label}": with linear_at_edge damping must be null (by law).')
            if any(one.move(pair.price_range) <= -1.0 for pair in self.pairs):
                raise ConfigError(f'scenario "{one.label}": the price falls to zero or below; make the move smaller.')
        for pair in self.pairs:
            if not 0.0 < pair.price_range < 1.0:
                raise ConfigError(f"{pair.underlying}: price_range {pair.price_range} must lie between 0 and 1.")
        for terms in self.settlements:
            if terms.gain_share > 1.0:
                raise ConfigError(f"{terms.currency}: gain_share {terms.gain_share} must not be above 1.")
        if not 0.0 <= self.separate <= 1.0:
            raise ConfigError(f"separate {self.separate} must lie between 0 and 1.")
        if self.factors.maintenance > self.factors.initial:
            raise ConfigError("factors: maintenance must not be above initial.")

    def terms_of(self, currency: str) -> CollateralTerms:
        """Haircuts of a currency, or of "*"; a currency without terms is refused."""
        return terms_of(self.collateral, currency)

    def pair(self, underlying: str) -> PairTerms:
        """Numbers of an underlying; one without any is refused."""
        return _found(self.pairs, [one.underlying for one in self.pairs], underlying, "pairs")

    def settlement(self, currency: str) -> SettlementTerms:
        """Numbers of a settlement currency; one without any is refused."""
        return _found(self.settlements, [one.currency for one in self.settlements], currency, "settlements")

    def damping(self, scenario: MatrixScenario, pair: PairTerms) -> float:
        """Share of a scenario's P&L that counts."""
        if scenario.damping is not None:
            return scenario.damping
        if scenario.table is Table.REGULAR:
            return 1.0
        return pair.tail_factor * pair.price_range / abs(scenario.price)

    def stressed(self, underlying: str) -> tuple[SpotScenario, ...]:
        """The regular table as moves of one underlying's spot."""
        pair = self.pair(underlying)
        return tuple(
            SpotScenario(
                label=one.label,
                table=one.table,
                spot=1.0 + one.move(pair.price_range),
                volatility=one.volatility,
                damping=self.damping(one, pair),
            )
            for one in self.matrix_scenarios
            if one.table is Table.REGULAR
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixOption:
    """Options of one strike, side and expiry: `amount` in coins, signed; time in years of 365 days."""

    strike: float
    is_call: bool
    forward: float
    volatility: float
    time_to_expiry: float
    amount: float

    def __post_init__(self) -> None:
        for name, value, is_right in (
            ("strike", self.strike, self.strike > 0.0),
            ("forward", self.forward, self.forward > 0.0),
            ("volatility", self.volatility, self.volatility >= 0.0),
            ("time_to_expiry", self.time_to_expiry, self.time_to_expiry >= 0.0),
            ("amount", self.amount, True),
        ):
            _refuse_unless("option", name, value, is_right=is_right)


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixLinear:
    """A perpetual (infinite time) or future: signed coins of delta at its forward."""

    amount: float
    forward: float
    time_to_expiry: float

    def __post_init__(self) -> None:
        _refuse_unless("linear line", "forward", self.forward, is_right=self.forward > 0.0)
        _refuse_unless("linear line", "amount", self.amount)
        if not self.time_to_expiry >= 0.0:
            raise BookError(f"linear line: time_to_expiry {self.time_to_expiry} is not ahead; drop the line.")


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixBook:
    """The lines of one underlying that settle in one currency, the coin itself or dollars ("USD")."""

    underlying: str
    currency: str
    spot_price: float
    options: tuple[MatrixOption, ...] = ()
    linears: tuple[MatrixLinear, ...] = ()

    def __post_init__(self) -> None:
        _refuse_unless(self.underlying, "spot_price", self.spot_price, is_right=self.spot_price > 0.0)

    @property
    def name(self) -> str:
        """Of a coin-settled book the coin's, of another one with its currency."""
        return book_name(self.underlying, self.currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixPortfolio:
    """Exactly what the risk-matrix form reads of one account: its books, cuts of collateral, and what the venue holds.

    `cut_usd` counts in both margins, `cut_more_usd` in the initial one; so do `makers_usd` (held for market makers'
    protection) and `orders_usd` (for open orders), which an account and a chain do not know.
    """

    books: tuple[MatrixBook, ...]
    cut_usd: float = 0.0
    cut_more_usd: float = 0.0
    makers_usd: float = 0.0
    orders_usd: float = 0.0


def book_name(underlying: str, currency: str) -> str:
    """Name of a book.

    >>> book_name("BTC", "BTC"), book_name("BTC", "USD")
    ('BTC', 'BTC-USD')
    """
    return underlying if currency == underlying else f"{underlying}-{currency}"


def _found(terms: Sequence[Terms], names: Sequence[str], wanted: str, place: str) -> Terms:
    if wanted in names:
        return terms[names.index(wanted)]
    known = ", ".join(names) or "none"
    raise BookError(f"the rule set has no terms for {wanted} (it has: {known}); add them to {place} in its file.")


def _refuse_unless(place: str, name: str, value: float, *, is_right: bool = True) -> None:
    if not (is_right and isfinite(value)):
        raise BookError(f"{place}: {name} {value} cannot be; correct it or drop the line.")


def _refuse_numbers_that_cannot_be(group: object) -> None:
    for field in fields(group):  # type: ignore[arg-type]
        value = getattr(group, field.name)
        if isinstance(value, float) and not (isfinite(value) and value >= 0.0):
            raise ConfigError(f"rule set: {type(group).__name__} {field.name} {value} is no number of at least 0.")
