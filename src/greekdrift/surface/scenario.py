"""Moved chains: what forwards, volatilities and times become under increments of the state and the running clock.

    S′ = S exp(r)                        r: increment of the factor "forward"
    F′ = F exp(r + Δbasis τ′)            each row keeps its own forward but for these two
    σ′(K) = σ_slice′(k) · residual(x)    k = ln(K/F′), and x = k · scale as in `moved_slice`

`moved_slice` says how the slice of an expiry moves. The residual is mark_iv/slice as a curve in today's moneyness
through the quotes of the expiry (one for calls, one for puts), linear between them and flat beyond, so that it stays
where it was in standardised moneyness while strikes pass through it. The clock alone (all increments zero) leaves
every quote its forward to the last bit and its `mark_iv` to 1e-15; only time runs. (With `kept="standardised"` that
holds at the first instant alone: the smile then rolls along as time runs.)

An expiry that falls within the horizon settles at its own forward moved by the index return at that moment, linear on
the path between the horizons on either side (the origin is the first), and stays there.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import get_args

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.book import Chain, Scenarios
from greekdrift.errors import ChainError, InputError, nearest
from greekdrift.greeks import compute
from greekdrift.surface.moved_slice import Kept, remaining
from greekdrift.surface.revalue_kernel import N_SLOTS, cubes
from greekdrift.surface.slices import Surface
from greekdrift.surface.state import BASIS, FACTORS, FORWARD
from greekdrift.surface.strips import Packed, Strip, pack, strips, terms
from greekdrift.units import HOURS_PER_YEAR, stamp

Rows = Int[ndarray, " row"]
Increments = Float[ndarray, "scenario horizon underlying factor"]

NOTHING_ELSE = np.array([0, 1, *[-1] * (N_SLOTS - 2)])
"""Slots of a move that is not priced: forward and volatility."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moved:
    """Forward and volatility of moved rows, their time to expiry in years, and the index price of each underlying.

    `volatility` is NaN where the row is no option; `time_to_expiry` is 0 where the row has expired by then.
    """

    forward: Float[ndarray, "scenario horizon row"]
    volatility: Float[ndarray, "scenario horizon row"]
    time_to_expiry: Float[ndarray, "horizon row"]
    index: Float[ndarray, "scenario horizon underlying"]

    def __iter__(self) -> Iterator[ndarray]:
        """The four arrays in this order, to unpack them."""
        return iter((self.forward, self.volatility, self.time_to_expiry, self.index))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """Everything about a move that does not depend on the scenario, made once for all blocks of scenarios.

    `pack` holds the options among the strips, `terms` each of them at each horizon, with the columns of `moved_kernel`.
    """

    strips: tuple[Strip, ...]
    pack: Packed
    terms: Float[ndarray, "strip horizon number"]
    n_rows: int
    horizons: Float[ndarray, " horizon"]
    index: Float[ndarray, " underlying"]
    window: float
    kept: Kept

    @property
    def options(self) -> tuple[Strip, ...]:
        """The strips of options, in the order of `pack` and `terms`."""
        return tuple(one for one in self.strips if one.slice is not None)


def moved(chain: Chain, surface: Surface, scenarios: Scenarios, rows: Rows, *, kept: Kept = "log_moneyness") -> Moved:
    """Forwards, volatilities, times to expiry and index prices of some chain rows under scenarios."""
    at = chain.numbers(rows)
    once, back = np.unique(at, return_inverse=True)
    if once.size == at.size:
        return apply(plan(chain, surface, scenarios, at, kept=kept), scenarios.increments)
    found = apply(plan(chain, surface, scenarios, once, kept=kept), scenarios.increments)
    return Moved(
        forward=found.forward[..., back],
        volatility=found.volatility[..., back],
        time_to_expiry=found.time_to_expiry[..., back],
        index=found.index,
    )


def move(
    chain: Chain,
    surface: Surface,
    increments: Float[ndarray, "underlying factor"],
    hours: float,
    underlyings: Sequence[str],
    *,
    kept: Kept = "log_moneyness",
) -> Chain:
    """The chain some hours later under one increment of the state: moved forwards, `mark_iv` and Black marks.

    Rows that have expired by then are gone. Bid and ask are not known (NaN); open interest and volume are those of
    today. The result is of origin "modelled".
    """
    scenarios = Scenarios(
        underlyings=tuple(underlyings),
        factors=FACTORS,
        horizons=np.array([hours]),
        increments=np.asarray(increments, dtype=np.float64)[None, None],
        weights=np.ones(1),
        as_of=chain.as_of,
        known_at=chain.known_at,
        provenance="move",
    )
    found = moved(chain, surface, scenarios, np.arange(len(chain)), kept=kept)
    later = chain.as_of + timedelta(hours=hours)
    is_alive = found.time_to_expiry[0] > 0.0
    if not np.any(is_alive):
        raise ChainError(
            f"every row of the {chain.venue} chain at {stamp(chain.as_of)} expires within {hours:g} hours."
        )
    at = np.flatnonzero(is_alive)
    forward, volatility = found.forward[0, 0, at], found.volatility[0, 0, at]
    return Chain(
        venue=chain.venue,
        as_of=later,
        known_at=max(later, chain.known_at),
        instruments=tuple(chain.instruments[row] for row in at),
        contract_size=chain.contract_size[at],
        forward=forward,
        bid=np.full(at.size, np.nan),
        ask=np.full(at.size, np.nan),
        mark=_marks(chain, at, forward, volatility, found.time_to_expiry[0, at]),
        mark_iv=volatility,
        open_interest=chain.open_interest[at],
        volume_24h=chain.volume_24h[at],
        index_price=dict(zip(scenarios.underlyings, found.index[0, 0].tolist(), strict=True)),
        origin="modelled",
        settlement_average_minutes=chain.settlement_average_minutes,
        feeds=chain.feeds,
    )


def plan(chain: Chain, surface: Surface, scenarios: Scenarios, rows: Rows, *, kept: Kept = "log_moneyness") -> Plan:
    """The scenario-free part of a move, each row once; refuses what does not belong together."""
    if surface.as_of != chain.as_of:
        raise InputError(
            f"the surface is of {stamp(surface.as_of)}, the chain of {stamp(chain.as_of)}; fit this chain."
        )
    if scenarios.as_of != chain.as_of:
        raise InputError(
            f"the scenarios of {scenarios.provenance} start at {stamp(scenarios.as_of)}, "
            f"the chain is of {stamp(chain.as_of)}; predict from this chain."
        )
    if scenarios.factors != FACTORS:
        raise InputError(
            f"scenarios carry the factors {', '.join(scenarios.factors)}; expected those of state.FACTORS."
        )
    if kept not in get_args(Kept):
        raise InputError(f'kept="{kept}" is no way to keep a smile; {nearest(kept, get_args(Kept))}')
    at = chain.numbers(rows)
    absent = sorted(set(chain.underlying[at].tolist()) - set(scenarios.underlyings))
    if absent:
        raise InputError(f'the scenarios have no "{absent[0]}"; {nearest(absent[0], scenarios.underlyings)}')
    unknown = [name for name in scenarios.underlyings if name not in chain.index_price]
    if unknown:
        raise InputError(f'the chain has no index price of "{unknown[0]}"; give only underlyings of the chain.')
    every = tuple(strips(chain, surface, at, scenarios.underlyings))
    options = tuple(one for one in every if one.slice is not None)
    return Plan(
        strips=every,
        pack=pack(options),
        terms=terms(options, scenarios.horizons, window=chain.settlement_window, kept=kept),
        n_rows=at.size,
        horizons=scenarios.horizons,
        index=np.array([chain.index_price[name] for name in scenarios.underlyings]),
        window=chain.settlement_window,
        kept=kept,
    )


def today(prepared: Plan) -> Plan:
    """The plan at the single horizon of no time at all."""
    horizons = np.zeros(1)
    own = terms(prepared.options, horizons, window=prepared.window, kept=prepared.kept)
    return replace(prepared, horizons=horizons, terms=own)


def apply(prepared: Plan, increments: Increments) -> Moved:
    """Moved rows of a plan for some scenarios, axes (scenario, horizon, underlying, factor)."""
    cells = np.full((2, *increments.shape[:2], prepared.n_rows), np.nan)
    one, nothing = np.ones(prepared.n_rows), np.empty(0)
    index = index_of(prepared, increments)
    run(cubes, prepared, increments, one, index, nothing, nothing, NOTHING_ELSE, cells)
    positions, forward = linear_forward(prepared, increments)
    cells[0][..., positions] = forward
    return Moved(forward=cells[0], volatility=cells[1], time_to_expiry=time_to_expiry(prepared), index=index)


def index_of(prepared: Plan, increments: Increments) -> Float[ndarray, "scenario horizon underlying"]:
    """Index price of each underlying, S exp(r)."""
    return prepared.index * np.exp(increments[..., FORWARD])


def linear_forward(prepared: Plan, increments: Increments) -> tuple[Rows, Float[ndarray, "scenario horizon linear"]]:
    """Positions of the rows that are no options, and their moved forwards."""
    own = [strip for strip in prepared.strips if strip.slice is None]
    positions = np.concatenate([np.empty(0, dtype=np.int64), *(strip.at() for strip in own)])
    forward = np.empty((*increments.shape[:2], positions.size))
    start = 0
    for strip in own:
        part = slice(start, start + strip.forward.size)
        tau = remaining(strip.time_to_expiry, prepared.horizons)
        moves = increments[:, :, strip.underlying, :]
        log_return = index_return(moves[..., FORWARD], strip.time_to_expiry, prepared.horizons)
        carry = moves[..., BASIS] * np.where(np.isfinite(tau), tau, 0.0)
        forward[..., part] = strip.forward * np.exp(log_return + carry)[..., None]
        start = part.stop
    return positions, forward


def time_to_expiry(prepared: Plan) -> Float[ndarray, "horizon row"]:
    """Years left of every row at each horizon."""
    left = np.empty((prepared.horizons.size, prepared.n_rows))
    for strip in prepared.strips:
        left[:, strip.at()] = remaining(strip.time_to_expiry, prepared.horizons)[:, None]
    return left


def run(loop: Callable[..., None], prepared: Plan, increments: Increments, *rest: ndarray | np.int64) -> None:
    """Calls a loop of `revalue_kernel` on a plan and increments, always with arrays of the same type."""
    fixed = np.ascontiguousarray(increments, dtype=np.float64).view()
    fixed.setflags(write=False)
    loop(fixed, prepared.terms, prepared.pack, *rest)


def index_return(
    path: Float[ndarray, "scenario horizon"], time_to_expiry: float, horizons: Float[ndarray, " horizon"]
) -> Float[ndarray, "scenario horizon"]:
    """Log return of the index up to each horizon, or up to expiry where that comes first (linear on the path).

    >>> index_return(np.array([[0.1, 0.3]]), 12.0 / 8760.0, np.array([6.0, 18.0])).round(12)
    array([[0.1, 0.2]])
    """
    is_over = remaining(time_to_expiry, horizons) == 0.0
    if not np.any(is_over):
        return path
    first = int(np.argmax(is_over))
    start, before = (0.0, 0.0) if first == 0 else (horizons[first - 1], path[:, first - 1])
    length = horizons[first] - start
    share = min((time_to_expiry * HOURS_PER_YEAR - start) / length, 1.0) if length > 0.0 else 0.0
    settled = before + share * (path[:, first] - before)
    return np.where(is_over, settled[:, None], path)


def _marks(
    chain: Chain,
    at: Rows,
    forward: Float[ndarray, " row"],
    volatility: Float[ndarray, " row"],
    tau: Float[ndarray, " row"],
) -> Float[ndarray, " row"]:
    marks = chain.mark[at] * (forward / chain.forward[at])
    options = chain.is_option[at]
    price = compute(
        ["price"],
        forward=forward[options],
        strike=chain.strike[at][options],
        volatility=volatility[options],
        time_to_expiry=tau[options],
        is_call=chain.is_call[at][options],
    )["price"]
    marks[options] = np.where(chain.is_inverse[at][options], price / forward[options], price)
    return marks
