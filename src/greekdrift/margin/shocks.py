"""Worth of one coin of every option in every scenario of the net-portfolio model, vectorised.

Axes: `state` (market states valued at once: 1 for a margin now, many for a forecast), `option`,
`spot` and `skew` (scenarios of the rule set). Model: `book.rules`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from greekdrift.book.rules import NetPortfolioParameters
from greekdrift.book.scenario_terms import VolatilityMove, VolatilityTerms
from greekdrift.errors import CalculationError
from greekdrift.greeks import compute
from greekdrift.units import DAYS_PER_YEAR, SECONDS_PER_YEAR

AVERAGING_SECONDS = 1800.0

Options = Float[ndarray, " option"]
States = Float[ndarray, "state option"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OptionStates:
    """Options of one underlying in several states of the market at one moment.

    `expiry_of` and `strike_of` number the groups whose options net against each other: an expiry (with its
    settlement), and an expiry and strike; `expiry_years` and `expiry_rate` are by expiry.
    `worth` is USD now per USD of Black value on the forward.
    """

    strike: Options
    is_call: Bool[ndarray, " option"]
    expiry_of: Int[ndarray, " option"]
    strike_of: Int[ndarray, " option"]
    expiry_years: Float[ndarray, " expiry"]
    expiry_rate: Float[ndarray, " expiry"]
    forward: States
    volatility: States
    worth: States

    @property
    def years(self) -> Options:
        """Time to expiry of each option."""
        return self.expiry_years[self.expiry_of]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Worths:
    """USD worth of one coin of each option: at the mark, with the forward alone moved, and in each scenario."""

    mark: States
    forward_up: States
    forward_down: States
    spot: Float[ndarray, "state spot option"]
    skew: Float[ndarray, "state skew option"]


def worths(at: OptionStates, p: NetPortfolioParameters) -> Worths:
    """Worth of one coin of each option in every scenario, by one Black formula on all of them."""
    spots = np.array(
        [1.0, p.basis.up, p.basis.down, *(one.spot for one in p.scenarios), *(1.0 for _ in p.skew_scenarios)]
    )
    volatilities = [at.volatility, at.volatility, at.volatility]
    by_move = {move: moved_volatility(at.volatility, at.years, move, p.volatility) for move in VolatilityMove}
    volatilities += [by_move[one.volatility] for one in p.scenarios]
    volatilities += [at.volatility * multiplier for multiplier in skew_multipliers(at, p)]
    fixed = np.clip(1.0 - at.years * SECONDS_PER_YEAR / AVERAGING_SECONDS, 0.0, 1.0)
    moves = spots[:, None] * (1.0 - fixed) + fixed
    rate = np.maximum(at.expiry_rate, 0.0)[at.expiry_of]
    deviation = np.stack(volatilities, axis=1) * np.sqrt(at.years)
    forward = at.forward[:, None, :] * moves
    _refuse_unless_finite(forward, deviation)
    values = compute(
        ["price"], forward=forward, strike=at.strike, volatility=deviation, time_to_expiry=1.0, is_call=at.is_call
    )["price"]
    values *= np.exp(-rate * at.years) * at.worth[:, None, :]
    _refuse_unless_finite(values)
    last = 3 + len(p.scenarios)
    return Worths(
        mark=values[:, 0],
        forward_up=values[:, 1],
        forward_down=values[:, 2],
        spot=values[:, 3:last],
        skew=values[:, last:],
    )


def moved_volatility(volatility: States, years: Options, move: VolatilityMove, terms: VolatilityTerms) -> States:
    """Volatilities after a move, by the power law of `VolatilityTerms`.

    >>> from greekdrift.config import load_rules
    >>> terms = load_rules("derive_pm2").parameters.volatility
    >>> moved_volatility(np.array([[0.5, 0.1]]), np.array([30.0, 30.0]) / 365.0, VolatilityMove.UP, terms)
    array([[0.75, 0.45]])
    """
    if move is VolatilityMove.NONE:
        return volatility
    days = years * DAYS_PER_YEAR
    power = np.where(days <= 30.0, terms.short_power, terms.long_power)
    span = np.maximum(days, terms.floor_days)
    multiple = (30.0 / np.where(span > 0.0, span, 1.0)) ** power  # at its settlement an option has no use for it
    if move is VolatilityMove.UP:
        return np.maximum(volatility * (1.0 + terms.up * multiple), terms.floor)
    return volatility * np.maximum(1.0 - terms.down * multiple, 0.0)


def skew_multipliers(at: OptionStates, p: NetPortfolioParameters) -> list[States]:
    """Factor on each volatility in each skew scenario, by `SkewScenario` and `SkewTerms`."""
    root = np.sqrt(at.years)
    width = np.maximum(p.skew.least_width, p.skew.scale * root * (p.skew.level + p.skew.slope * root))
    log_strike = np.log(at.strike / at.forward)
    found = []
    for scenario in p.skew_scenarios:
        k = np.abs(log_strike) if scenario.is_absolute else log_strike
        cap = scenario.scale_cap + scenario.cap_slope * root
        change = np.divide(k * cap, width, out=np.copysign(np.inf, k * cap), where=width > 0.0)
        limited = np.where(k > 0.0, np.minimum(change, cap), np.maximum(change, -cap))
        found.append(np.maximum(1.0 + np.where(k == 0.0, 0.0, limited), 0.0))
    return found


def static_discounts(at: OptionStates, p: NetPortfolioParameters) -> tuple[ndarray, ndarray]:
    """Factors on a positive and on a negative shocked value of each expiry; 1 once it has expired."""
    terms, years, floored = p.discount, at.expiry_years, np.maximum(at.expiry_rate, 0.0)
    long = terms.long_base * np.exp(-years * (terms.long_rate_share * floored + terms.long_spread))
    short = terms.short_base * np.exp(years * (terms.short_rate_share * floored + terms.short_spread))
    has_expired = years <= 0.0
    return np.where(has_expired, 1.0, long), np.where(has_expired, 1.0, np.minimum(np.exp(floored * years), short))


def _refuse_unless_finite(*numbers: Float[ndarray, "state scenario option"]) -> None:
    if not all(np.all(np.isfinite(array)) for array in numbers):
        raise CalculationError("an option's worth in a scenario is not a number; check its forward and volatility.")
