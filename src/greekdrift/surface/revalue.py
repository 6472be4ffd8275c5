"""Revaluation of contracts under scenarios: each requested row once per scenario and horizon, exactly.

A book is then a weight per row: its quantity under every scenario is one matrix product. Per contract, with c the
contract size, S the index, primes for the scenario and 0 for now:

    inverse option            c (Black/F)′ S′ − c (Black/F)₀ S₀        linear option      c Black′ − c Black₀
    inverse future, perpetual c (1/F₀ − 1/F′) S′                       linear future      c (F′ − F₀)
    spot                      c (S′ − S₀)

An option that has expired by a horizon is worth its settlement value (coins at the index of that horizon) and has no
Greeks; a future that has expired keeps the profit it settled with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.book import Chain, Kind, Scenarios
from greekdrift.errors import InputError, nearest
from greekdrift.greeks import QUANTITIES, black
from greekdrift.surface.moved_slice import Kept
from greekdrift.surface.scenario import Moved, Plan, apply, plan
from greekdrift.surface.slices import Surface

Rows = Int[ndarray, " row"]
Cube = Float[ndarray, "scenario horizon row"]

MONEY = ("value_usd", "value_coin", "delta_usd", "delta_net", "pnl_coin")
"""Names beyond the quantities of `greeks.compute`; `pnl_coin` is the coin profit of inverse contracts, else 0."""

BLOCK = 65_536
"""Scenario × horizon × row cells that are priced at a time."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Revaluation:
    """Quantities per contract of some chain rows, now and under every scenario and horizon.

    `rows` are row numbers of the chain; `now[name]` (row) and `values[name]` (scenario, horizon, row) hold what was
    asked for; `pnl_usd` is the profit per contract since now. Futures and perpetuals are marked to market: their
    `value_usd` is 0, what they earned stands in `pnl_usd` and, in coins, in `pnl_coin`.
    """

    as_of: datetime
    rows: Rows
    underlyings: tuple[str, ...]
    horizons: Float[ndarray, " horizon"]
    weights: Float[ndarray, " scenario"]
    now: Mapping[str, Float[ndarray, " row"]]
    values: Mapping[str, Cube]
    pnl_usd: Cube
    forward: Cube
    volatility: Cube
    time_to_expiry: Float[ndarray, "horizon row"]
    index: Float[ndarray, "scenario horizon underlying"]

    def book(self, name: str, weights: Float[ndarray, "account row"]) -> Float[ndarray, "scenario horizon account"]:
        """A quantity (or "pnl_usd") of books that hold `weights` contracts of each row."""
        return self.cube(name) @ np.atleast_2d(weights).T

    def book_now(self, name: str, weights: Float[ndarray, "account row"]) -> Float[ndarray, " account"]:
        """The same quantity before the move."""
        self.cube(name)
        return np.atleast_2d(weights) @ self.now[name]

    def cube(self, name: str) -> Cube:
        """A quantity (or "pnl_usd") per contract, axes (scenario, horizon, row)."""
        if name == "pnl_usd":
            return self.pnl_usd
        if name not in self.values:
            raise InputError(f'"{name}" was not revalued; {nearest(name, [*self.values, "pnl_usd"])}')
        return self.values[name]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Terms:
    """Contract terms of the requested rows, and which of them is what; `underlying` is a position in the scenarios."""

    size: Float[ndarray, " row"]
    strike: Float[ndarray, " row"]
    is_call: ndarray
    is_inverse: ndarray
    is_spot: ndarray
    options: Rows
    linear: Rows
    underlying: Rows


def revalue(
    chain: Chain,
    surface: Surface,
    scenarios: Scenarios,
    *,
    rows: Rows,
    names: Sequence[str] = ("value_usd", "delta_usd", "delta_net", "gamma", "vega", "theta"),
    kept: Kept = "log_moneyness",
) -> Revaluation:
    """Exact quantities of some chain rows under every scenario and horizon (see `scenario` for the moved chain).

    Priced in blocks of scenarios, so that beyond the result itself memory does not grow with their number.
    """
    for name in names:
        if name not in QUANTITIES and name not in MONEY:
            raise InputError(f'unknown quantity "{name}"; {nearest(name, [*QUANTITIES, *MONEY])}')
    at = chain.numbers(rows)
    prepared = plan(chain, surface, scenarios, at, kept=kept)
    terms = _terms(chain, at, scenarios.underlyings)
    origin = _origin(chain, at, prepared)
    now = _evaluate(origin, origin, terms, names)
    shape = (*scenarios.increments.shape[:2], at.size)
    values = {name: np.empty(shape) for name in names}
    pnl, forward, volatility = np.empty(shape), np.empty(shape), np.empty(shape)
    time_to_expiry, index = np.empty(shape[1:]), np.empty(scenarios.increments.shape[:3])
    step = max(1, BLOCK // max(1, shape[1] * shape[2]))
    for start in range(0, shape[0], step):
        block = slice(start, start + step)
        found = apply(prepared, scenarios.increments[block])
        forward[block], volatility[block], index[block] = found.forward, found.volatility, found.index
        time_to_expiry[:] = found.time_to_expiry
        for name, cube in _evaluate(found, origin, terms, (*names, "pnl_usd")).items():
            (pnl if name == "pnl_usd" else values[name])[block] = cube
    for array in (at, pnl, forward, volatility, time_to_expiry, index, *values.values()):
        array.setflags(write=False)
    return Revaluation(
        as_of=chain.as_of,
        rows=at,
        underlyings=scenarios.underlyings,
        horizons=scenarios.horizons,
        weights=scenarios.weights,
        now=MappingProxyType({name: column[0, 0] for name, column in now.items()}),
        values=MappingProxyType(values),
        pnl_usd=pnl,
        forward=forward,
        volatility=volatility,
        time_to_expiry=time_to_expiry,
        index=index,
    )


def _terms(chain: Chain, at: Rows, underlyings: Sequence[str]) -> Terms:
    return Terms(
        size=chain.contract_size[at],
        strike=chain.strike[at],
        is_call=chain.is_call[at],
        is_inverse=chain.is_inverse[at],
        is_spot=np.array([chain.instruments[row].kind is Kind.SPOT for row in at], dtype=np.bool_),
        options=np.flatnonzero(chain.is_option[at]),
        linear=np.flatnonzero(~chain.is_option[at]),
        underlying=np.array([underlyings.index(str(name)) for name in chain.underlying[at]], dtype=np.int64),
    )


def _origin(chain: Chain, at: Rows, prepared: Plan) -> Moved:
    """The rows as they are, in the form of a move to a single scenario and horizon."""
    return Moved(
        forward=chain.forward[at][None, None],
        volatility=chain.mark_iv[at][None, None],
        time_to_expiry=chain.time_to_expiry[at][None],
        index=prepared.index[None, None],
    )


def _evaluate(found: Moved, origin: Moved, terms: Terms, names: Sequence[str]) -> dict[str, Cube]:
    values = {name: np.zeros(found.forward.shape) for name in names}
    if terms.options.size:
        _fill_options(found, origin, terms, values)
    if terms.linear.size:
        _fill_linear(found, origin, terms, values)
    return values


def _options_at(found: Moved, terms: Terms) -> black.Options:
    at = terms.options
    return black.options(
        forward=found.forward[..., at],
        strike=terms.strike[at],
        volatility=found.volatility[..., at],
        time_to_expiry=found.time_to_expiry[:, at],
        is_call=terms.is_call[at],
    )


def _worth(found: Moved, terms: Terms, price: Cube) -> tuple[Cube, Cube]:
    """Value of options in USD and in coins per contract; coins are 0 for linear options."""
    at = terms.options
    index = found.index[..., terms.underlying[at]]
    coins = np.where(terms.is_inverse[at], price / found.forward[..., at], 0.0)
    return np.where(terms.is_inverse[at], coins * index, price), coins


def _fill_options(found: Moved, origin: Moved, terms: Terms, values: dict[str, Cube]) -> None:
    at = terms.options
    size = terms.size[at]
    options = _options_at(found, terms)
    is_alive = options.time_to_expiry > 0.0
    price = size * black.price(options)
    usd, coins = _worth(found, terms, price)
    delta = size * black.delta(options)
    known = {
        "price": price,
        "value_usd": usd,
        "value_coin": coins,
        "delta": is_alive * delta,
        "delta_usd": is_alive * delta,
        "delta_net": is_alive * (delta - coins),
    }
    if "pnl_usd" in values or "pnl_coin" in values:
        usd_now, coins_now = _worth(origin, terms, size * black.price(_options_at(origin, terms)))
        known |= {"pnl_usd": usd - usd_now, "pnl_coin": coins - coins_now}
    for name, cube in values.items():
        cube[..., at] = known[name] if name in known else is_alive * size * QUANTITIES[name](options)


def _fill_linear(found: Moved, origin: Moved, terms: Terms, values: dict[str, Cube]) -> None:
    at = terms.linear
    size, is_inverse, is_spot = terms.size[at], terms.is_inverse[at], terms.is_spot[at]
    before, after = origin.forward[..., at], found.forward[..., at]
    index_before = origin.index[..., terms.underlying[at]]
    index_after = found.index[..., terms.underlying[at]]
    coins = np.where(found.time_to_expiry[:, at] > 0.0, np.where(is_inverse, size / after, size), 0.0)
    pnl_coin = np.where(is_inverse, size * (1.0 / before - 1.0 / after), 0.0)
    pnl_linear = size * np.where(is_spot, index_after - index_before, after - before)
    known = {
        "price": coins * after,
        "value_usd": np.where(is_spot, size * index_after, 0.0),
        "delta": coins,
        "delta_usd": coins,
        "delta_net": coins,
        "pnl_coin": pnl_coin,
        "pnl_usd": np.where(is_inverse, pnl_coin * index_after, pnl_linear),
    }
    for name in values.keys() & known.keys():
        values[name][..., at] = known[name]
