"""Margin rule sets as dated data, and exactly the inputs that the net-portfolio model reads.

Form of the model: net-portfolio margin with skew scenarios and contingencies, as published by Derive
(v2-core, PMRM_2). T is the mark-to-market equity, L the worst of the scenarios and of the basis contingency:

MM = T + maintenance_loss L − C_mm          IM = T + (initial_loss + peg) L − C_mm − C_im − C_conf

An account is healthy when IM ≥ 0 (to open) and MM ≥ 0 (to keep); a *requirement* is T − IM or T − MM.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from math import isfinite
from typing import TypeAlias

from greekdrift.book.collateral import CollateralTerms, terms_of
from greekdrift.book.matrix_rules import MatrixParameters
from greekdrift.book.position_rules import PositionParameters
from greekdrift.book.scenario_terms import SpotScenario, Table, VolatilityTerms
from greekdrift.errors import BookError, ConfigError

BASIS = "basis"
"""Label of the basis contingency where it is worse than every scenario."""


STRESS_TOLERANCE = 0.01
"""Share of a band's width by which a distance in a stressed state may grow without being counted (`margin.stress`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkewScenario:
    """A rotation of the smile at unmoved spot; the share `damping` of the loss counts.

    cap = scale_cap + cap_slope √τ;   k = ln(K/F), or |ln(K/F)| where `is_absolute`;
    multiplier = 1 + min(k cap/k*, cap) for k > 0,  1 + max(k cap/k*, −cap) otherwise, and at least 0.
    """

    label: str
    is_absolute: bool
    scale_cap: float
    cap_slope: float
    damping: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SkewTerms:
    """Width of a skew scenario: k* = max(least_width, scale √τ (level + slope √τ))."""

    least_width: float
    scale: float
    level: float
    slope: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscountTerms:
    """Static discount of an expiry's shocked value X, with D the market discount and r = max(rate, 0).

    X ≥ 0: long_base exp(−τ (long_rate_share r + long_spread));
    X < 0: min(1/D, short_base exp(τ (short_rate_share r + short_spread))).
    """

    long_base: float
    short_base: float
    long_rate_share: float
    short_rate_share: float
    long_spread: float
    short_spread: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BasisTerms:
    """Contingency of each expiry's forward: min(V(F up) − V, V(F down) − V, 0) (level + per_year τ), summed."""

    up: float
    down: float
    level: float
    per_year: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LossTerms:
    """Shares of the worst loss that count; the initial one grows by (peg_threshold − stable price)⁺ peg_factor."""

    maintenance: float
    initial: float
    peg_threshold: float
    peg_factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ContingencyTerms:
    """Shares of spot notional: of linear contracts, of naked short options, and of legs with a doubtful price.

    `*_initial` comes on top of `*_maintenance`. A leg whose confidence c is below `confidence_threshold`
    costs (1 − c) `confidence_charge` of its notional.
    """

    linear_maintenance: float
    linear_initial: float
    option_maintenance: float
    option_initial: float
    confidence_threshold: float
    confidence_charge: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NetPortfolioParameters:
    """All numbers of the net-portfolio model; a data file gives each of them."""

    scenarios: tuple[SpotScenario, ...]
    skew_scenarios: tuple[SkewScenario, ...]
    volatility: VolatilityTerms
    skew: SkewTerms
    discount: DiscountTerms
    basis: BasisTerms
    loss: LossTerms
    contingency: ContingencyTerms
    collateral: tuple[CollateralTerms, ...]

    def __post_init__(self) -> None:
        if not self.scenarios:
            raise ConfigError("a net-portfolio rule set needs at least one spot scenario.")
        labels = Counter([*(one.label for one in self.scenarios), *(one.label for one in self.skew_scenarios), BASIS])
        twice = [label for label, count in labels.items() if count > 1]
        if twice:
            raise ConfigError(f'scenario label "{twice[0]}" is used twice; give each scenario its own.')
        for scenario in self.scenarios:
            if not (scenario.spot > 0.0 and scenario.damping >= 0.0):
                raise ConfigError(f'scenario "{scenario.label}": spot must be positive and damping at least 0.')
        groups = (self.volatility, self.skew, self.discount, self.basis, self.loss, self.contingency)
        for group in (*groups, *self.scenarios, *self.skew_scenarios, *self.collateral):
            _refuse_numbers_that_are_none(group)

    def terms_of(self, currency: str) -> CollateralTerms:
        """Haircuts of a currency, or of "*"; a currency without terms is refused."""
        return terms_of(self.collateral, currency)


Parameters: TypeAlias = NetPortfolioParameters | MatrixParameters | PositionParameters
"""The numbers of one form of margin; `margin.engine` finds the form's page by their type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """A margin rule set: its numbers, where and when they were read, and what is true of it.

    `sha256` is taken over the canonical content of the file. The three claims are about the requirement as a
    function of positions and collateral; policies rely on them, property tests hold them.
    """

    name: str
    venue: str
    dated: date
    source: str
    sha256: str
    is_convex: bool
    is_homogeneous: bool
    is_subadditive: bool
    parameters: Parameters


def stressed_scenarios(p: Parameters, underlying: str) -> tuple[SpotScenario, ...]:
    """The fixed stressed states of an underlying: the regular scenarios, none for a form that has no scenarios.

    Labels are the same for every underlying; one that a risk matrix has no numbers for has no states.
    """
    if isinstance(p, PositionParameters):
        return ()
    if isinstance(p, MatrixParameters):
        return p.stressed(underlying) if underlying in {one.underlying for one in p.pairs} else ()
    return tuple(one for one in p.scenarios if one.table is Table.REGULAR)


def stressed_labels(p: Parameters) -> tuple[str, ...]:
    """Labels of the fixed stressed states, in order."""
    if isinstance(p, PositionParameters):
        return ()
    scenarios = p.matrix_scenarios if isinstance(p, MatrixParameters) else p.scenarios
    return tuple(one.label for one in scenarios if one.table is Table.REGULAR)


def volatility_terms(p: Parameters, underlying: str) -> VolatilityTerms | None:
    """How volatilities of an underlying move in the stressed states; None where there are no states."""
    if isinstance(p, PositionParameters):
        return None
    return p.pair(underlying).volatility if isinstance(p, MatrixParameters) else p.volatility


def matrix_parameters(rules: RuleSet) -> MatrixParameters:
    """The numbers of a risk-matrix rule set; one of another form is refused."""
    if not isinstance(rules.parameters, MatrixParameters):
        raise ConfigError(f"rule set {rules.name} is not of the risk-matrix form, which is needed here.")
    return rules.parameters


def net_parameters(rules: RuleSet) -> NetPortfolioParameters:
    """The numbers of a net-portfolio rule set; one of another form is refused."""
    if not isinstance(rules.parameters, NetPortfolioParameters):
        raise ConfigError(f"rule set {rules.name} is not of the net-portfolio form, which is needed here.")
    return rules.parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class NetOption:
    """Options of one strike and side in a portfolio.

    `amount` in coins, signed. `worth` is the cash worth now, in USD, of one USD of Black value on the forward:
    index/forward for an option that pays in the coin, 1 otherwise.
    """

    strike: float
    is_call: bool
    forward: float
    volatility: float
    amount: float
    worth: float = 1.0

    def __post_init__(self) -> None:
        _refuse_unless_numbers(self, above_zero=("strike", "forward"), at_least_zero=("volatility",))


@dataclass(frozen=True, slots=True, kw_only=True)
class NetExpiry:
    """The options of one expiry: time in years of 365 days, the continuous rate, confidence in each feed."""

    time_to_expiry: float
    options: tuple[NetOption, ...]
    rate: float = 0.0
    forward_confidence: float = 1.0
    rate_confidence: float = 1.0
    volatility_confidence: float = 1.0

    def __post_init__(self) -> None:
        _refuse_unless_numbers(self, at_least_zero=("time_to_expiry",))


@dataclass(frozen=True, slots=True, kw_only=True)
class NetLinear:
    """A perpetual or future: signed coins and the USD that a coin of it gains per relative move of spot."""

    amount: float
    price: float
    confidence: float = 1.0

    def __post_init__(self) -> None:
        _refuse_unless_numbers(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetCollateral:
    """Collateral at its price in USD, with its haircuts (`initial` on top of `maintenance`)."""

    amount: float
    price: float
    is_risk_cancelling: bool
    maintenance: float
    initial: float
    confidence: float = 1.0
    confidence_threshold: float = 0.0

    def __post_init__(self) -> None:
        _refuse_unless_numbers(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetPortfolio:
    """Exactly what the net-portfolio model reads: one account's lines and collateral on one underlying.

    `unrealised_usd` is P&L and funding of linear lines that is not yet in the cash.
    """

    underlying: str
    cash: float
    spot_price: float
    expiries: tuple[NetExpiry, ...] = ()
    linears: tuple[NetLinear, ...] = ()
    collaterals: tuple[NetCollateral, ...] = ()
    unrealised_usd: float = 0.0
    spot_confidence: float = 1.0
    stable_price: float = 1.0

    def __post_init__(self) -> None:
        _refuse_unless_numbers(self, above_zero=("stable_price",))


def _refuse_unless_numbers(
    record: object, *, above_zero: Sequence[str] = (), at_least_zero: Sequence[str] = ()
) -> None:
    """Every figure of a record is a number, and of a sign that can be; expired legs have no time left, not less."""
    for field in fields(record):  # type: ignore[arg-type]
        value = getattr(record, field.name)
        if not isinstance(value, float | int):
            continue
        is_right = value > 0.0 if field.name in above_zero else value >= 0.0 or field.name not in at_least_zero
        if not (isfinite(value) and is_right):
            raise BookError(f"{type(record).__name__} {field.name} {value} cannot be; correct it or drop the line.")


def _refuse_numbers_that_are_none(group: object) -> None:
    for field in fields(group):  # type: ignore[arg-type]
        value = getattr(group, field.name)
        if isinstance(value, float) and not isfinite(value):
            raise ConfigError(f"rule set: {type(group).__name__} {field.name} {value} is not a number.")
