"""Where an account stands, were the market moved now: spot, and the surface by a stated response to it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Account, Chain, Scenarios
from greekdrift.book.rules import RuleSet
from greekdrift.errors import CalculationError, InputError, nearest
from greekdrift.margin import engine
from greekdrift.margin.ahead import ahead
from greekdrift.margin.lines import held_rows
from greekdrift.surface.revalue import revalue
from greekdrift.surface.slices import Surface
from greekdrift.surface.state import FACTORS, FORWARD

States = Float[ndarray, " state"]
Response = Mapping[str, float]
"""Increment of a factor of `surface.state` per unit of log return of the underlying."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standing:
    """Equity, initial and maintenance margin of one account in some states of the market, USD."""

    equity: States
    initial_margin: States
    maintenance_margin: States

    @property
    def initial_health(self) -> States:
        """Equity less initial margin; a call is due where it is negative."""
        return self.equity - self.initial_margin

    @property
    def maintenance_health(self) -> States:
        """Equity less maintenance margin; the account is liquidated where it is negative."""
        return self.equity - self.maintenance_margin


def standing(
    chain: Chain,
    account: Account,
    rules: RuleSet,
    *,
    surface: Surface,
    increments: Float[ndarray, "state underlying factor"],
    underlyings: tuple[str, ...],
) -> Standing:
    """Where an account stands at this instant, were the state of the market moved by each of the increments."""
    count = len(increments)
    scenarios = Scenarios(
        underlyings=underlyings,
        factors=FACTORS,
        horizons=np.zeros(1),
        increments=increments[:, None],
        weights=np.full(count, 1.0 / count),
        as_of=chain.as_of,
        known_at=chain.known_at,
        provenance="standing",
    )
    rows = held_rows(chain, [account])
    at = revalue(chain, surface, scenarios, rows=rows, names=("value_usd",))
    now = engine.requirement(chain, account, rules).equity_usd
    found = ahead(chain, [account], rules, at, equity_usd=[now])
    columns = [one[:, 0, 0] for one in (found.equity, found.initial_margin, found.maintenance_margin)]
    if not np.all(np.isfinite(columns)):
        raise CalculationError(f"{account.account_id}: health in a moved market is not a number; narrow the range.")
    return Standing(equity=columns[0], initial_margin=columns[1], maintenance_margin=columns[2])


def coins_of(chain: Chain, account: Account) -> set[str]:
    """Collateral whose worth moves with a price of the chain."""
    return {name for name, amount in account.collateral.items() if amount != 0.0 and name in chain.index_price}


def increments_of(
    returns: Mapping[str, States], underlyings: tuple[str, ...], responses: Mapping[str, Response]
) -> Float[ndarray, "state underlying factor"]:
    """Increments of every factor from log returns by underlying: response × return, nothing where none is given."""
    count = len(next(iter(returns.values())))
    found = np.zeros((count, len(underlyings), len(FACTORS)))
    for name, path in returns.items():
        if name not in underlyings:
            raise InputError(f'the account has nothing in "{name}"; {nearest(name, underlyings)}')
        place = underlyings.index(name)
        found[:, place, FORWARD] = path
        for factor, slope in responses.get(name, {}).items():
            if factor not in FACTORS[1:]:
                raise InputError(f'"{factor}" is no factor that answers to a return; {nearest(factor, FACTORS[1:])}')
            if not np.isfinite(slope):
                raise InputError(f"response of {factor} to {name}: {slope} is not a number.")
            found[:, place, FACTORS.index(factor)] = slope * path
    return found


def response_of(scenarios: Scenarios, underlying: str, *, hours: float) -> Response:
    """Slope of every factor in the underlying's log return, over the scenarios of a forecast at one horizon.

    b = Cov(Δfactor, r) / Var(r), weighted: the forecast's own mean response of the surface to a move of spot.
    """
    if underlying not in scenarios.underlyings:
        raise InputError(f'the forecast has no "{underlying}"; {nearest(underlying, scenarios.underlyings)}')
    at = np.flatnonzero(scenarios.horizons == hours)
    if at.size == 0:
        listed = ", ".join(f"{one:g}" for one in scenarios.horizons)
        raise InputError(f"the forecast has no horizon of {hours:g} hours; it has {listed}.")
    moves = scenarios.increments[:, at[0], scenarios.underlyings.index(underlying)]
    centred = moves - scenarios.weights @ moves
    variance = float(scenarios.weights @ centred[:, FORWARD] ** 2)
    if not variance > 0.0:
        raise InputError(f"the forecast of {underlying} at {hours:g} hours does not move, so nothing responds to it.")
    slopes = (scenarios.weights * centred[:, FORWARD]) @ centred / variance
    return {factor: float(slopes[place]) for place, factor in enumerate(FACTORS) if place != FORWARD}
