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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import get_args

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.book import Chain, Scenarios
from greekdrift.errors import ChainError, InputError, nearest
from greekdrift.greeks import compute
from greekdrift.surface.moved_slice import Kept, moved_slice, remaining
from greekdrift.surface.slices import Slice, Surface
from greekdrift.surface.state import BASIS, FACTORS, FORWARD
from greekdrift.units import HOURS_PER_YEAR, from_datetime64, stamp

Rows = Int[ndarray, " row"]
Increments = Float[ndarray, "scenario horizon underlying factor"]


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
class Strip:
    """Requested rows that share a smile and a clock: one underlying and expiry, one side and settlement.

    `at` are positions among the requested rows, `underlying` the position among the scenarios' underlyings. `knots`
    and `residual` are the log-moneyness and mark_iv/slice of all quotes of that kind. No slice: a linear contract.
    """

    at: Rows
    underlying: int
    time_to_expiry: float
    forward: Float[ndarray, " row"]
    strike: Float[ndarray, " row"]
    mark_iv: Float[ndarray, " row"]
    slice: Slice | None
    knots: Float[ndarray, " knot"]
    residual: Float[ndarray, " knot"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """Everything about a move that does not depend on the scenario, made once for all blocks of scenarios."""

    strips: tuple[Strip, ...]
    n_rows: int
    horizons: Float[ndarray, " horizon"]
    index: Float[ndarray, " underlying"]
    kept: Kept


def moved(chain: Chain, surface: Surface, scenarios: Scenarios, rows: Rows, *, kept: Kept = "log_moneyness") -> Moved:
    """Forwards, volatilities, times to expiry and index prices of some chain rows under scenarios."""
    return apply(plan(chain, surface, scenarios, rows, kept=kept), scenarios.increments)


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
    )


def plan(chain: Chain, surface: Surface, scenarios: Scenarios, rows: Rows, *, kept: Kept = "log_moneyness") -> Plan:
    """The scenario-free part of a move; refuses what does not belong together."""
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
    return Plan(
        strips=tuple(_strips(chain, surface, at, scenarios.underlyings)),
        n_rows=at.size,
        horizons=scenarios.horizons,
        index=np.array([chain.index_price[name] for name in scenarios.underlyings]),
        kept=kept,
    )


def apply(prepared: Plan, increments: Increments) -> Moved:
    """Moved rows of a plan for some scenarios, axes (scenario, horizon, underlying, factor)."""
    shape = (*increments.shape[:2], prepared.n_rows)
    forward, volatility = np.empty(shape), np.full(shape, np.nan)
    left = np.empty(shape[1:])
    for strip in prepared.strips:
        tau = remaining(strip.time_to_expiry, prepared.horizons)
        own = increments[:, :, strip.underlying, :]
        log_return = index_return(own[..., FORWARD], strip.time_to_expiry, prepared.horizons)
        carry = own[..., BASIS] * np.where(np.isfinite(tau), tau, 0.0)
        moved_forward = strip.forward * np.exp(log_return + carry)[..., None]
        forward[..., strip.at] = moved_forward
        left[:, strip.at] = tau[:, None]
        if strip.slice is not None:
            smile = moved_slice(strip.slice, own, prepared.horizons, kept=prepared.kept)
            k = np.log(strip.strike / moved_forward)
            found = smile.volatility(k) * np.interp(k * smile.scale, strip.knots, strip.residual)
            volatility[..., strip.at] = np.where(smile.is_alive, found, strip.mark_iv)
    index = prepared.index * np.exp(increments[..., FORWARD])
    return Moved(forward=forward, volatility=volatility, time_to_expiry=left, index=index)


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


def _strips(chain: Chain, surface: Surface, rows: Rows, underlyings: Sequence[str]) -> Iterator[Strip]:
    for underlying, name in enumerate(underlyings):
        own = chain.underlying[rows] == name
        for years in np.unique(chain.time_to_expiry[rows[own]]):
            same = own & (chain.time_to_expiry[rows] == years)
            linear = np.flatnonzero(same & ~chain.is_option[rows])
            if linear.size:
                yield _strip(chain, rows, linear, underlying=underlying, own_slice=None)
            options = same & chain.is_option[rows]
            if not np.any(options):
                continue
            expiry = from_datetime64(chain.expiry[rows[options][0]])
            own_slice = surface.slice(name, expiry)
            for is_call in (False, True):
                for is_inverse in (False, True):
                    of_kind = (chain.is_call[rows] == is_call) & (chain.is_inverse[rows] == is_inverse)
                    at = np.flatnonzero(options & of_kind)
                    if at.size:
                        yield _strip(chain, rows, at, underlying=underlying, own_slice=own_slice)


def _strip(chain: Chain, rows: Rows, at: Rows, *, underlying: int, own_slice: Slice | None) -> Strip:
    first = rows[at[0]]
    knots, residual = (np.empty(0), np.empty(0)) if own_slice is None else _residuals(chain, first, own_slice)
    return Strip(
        at=at,
        underlying=underlying,
        time_to_expiry=float(chain.time_to_expiry[first]),
        forward=chain.forward[rows[at]],
        strike=chain.strike[rows[at]],
        mark_iv=chain.mark_iv[rows[at]],
        slice=own_slice,
        knots=knots,
        residual=residual,
    )


def _residuals(chain: Chain, first: int, own_slice: Slice) -> tuple[Float[ndarray, " knot"], Float[ndarray, " knot"]]:
    """Log-moneyness and mark_iv/slice of all quotes of the kind of one row, in order of log-moneyness."""
    kind = np.flatnonzero(
        chain.is_option
        & (chain.underlying == chain.underlying[first])
        & (chain.expiry == chain.expiry[first])
        & (chain.is_call == chain.is_call[first])
        & (chain.is_inverse == chain.is_inverse[first])
    )
    k = np.log(chain.strike[kind] / chain.forward[kind])
    order = np.argsort(k, kind="stable")
    k = k[order]
    return k, chain.mark_iv[kind][order] / own_slice.volatility(k)


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
