"""Strips: the options of one expiry that share a smile, and the same as flat arrays for the compiled pages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.book import Chain
from greekdrift.surface import moved_kernel as block
from greekdrift.surface.moved_slice import Kept, remaining
from greekdrift.surface.slices import Slice, Surface
from greekdrift.surface.state import pillar_weights
from greekdrift.units import HOURS_PER_YEAR, from_datetime64

Rows = Int[ndarray, " row"]
Entries = Float[ndarray, " entry"]

BUCKETS = 512
"""Most buckets of the table that finds the knots on either side of a log-moneyness."""
NO_ROW = -1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Strip:
    """Requested rows that share a smile and a clock: one underlying, expiry and settlement, one entry a strike.

    `underlying` is the position among the scenarios' underlyings. `call` and `put` are positions among the requested
    rows, −1 where none; they share an entry where calls and puts of the expiry agree in forward and `mark_iv`
    throughout, and else are two strips. Entries are in order of `log_moneyness`, ln(K/F). `knots` and `residual` are
    the log-moneyness and mark_iv/slice of all quotes of that kind. No slice: linear contracts, all of them `call`.
    """

    underlying: int
    time_to_expiry: float
    is_inverse: bool
    slice: Slice | None
    forward: Entries
    strike: Entries
    log_moneyness: Entries
    mark_iv: Entries
    call: Int[ndarray, " entry"]
    put: Int[ndarray, " entry"]
    knots: Float[ndarray, " knot"]
    residual: Float[ndarray, " knot"]

    def at(self) -> Rows:
        """Positions of all its rows among the requested ones."""
        both = np.concatenate([self.call, self.put])
        return both[both != NO_ROW]


def strips(chain: Chain, surface: Surface, rows: Rows, underlyings: Sequence[str]) -> Iterator[Strip]:
    """The strips of some rows of a chain, each row once."""
    position = np.full(len(chain), NO_ROW)
    position[rows] = np.arange(rows.size)
    for underlying, name in enumerate(underlyings):
        own = np.flatnonzero(chain.underlying == name)
        is_option = chain.is_option[own]
        yield from _linear(chain, own[~is_option], position, underlying)
        yield from _options(chain, surface, own[is_option], position, underlying)


def _linear(chain: Chain, own: Rows, position: Rows, underlying: int) -> Iterator[Strip]:
    own = own[position[own] != NO_ROW]
    years = chain.time_to_expiry[own]
    empty = np.empty(0)
    for tau in np.unique(years):
        at = own[years == tau]
        yield Strip(
            underlying=underlying, time_to_expiry=float(tau), is_inverse=False, slice=None, forward=chain.forward[at],
            strike=chain.strike[at], log_moneyness=np.full(at.size, np.nan), mark_iv=chain.mark_iv[at],
            call=position[at], put=np.full(at.size, NO_ROW), knots=empty, residual=empty,
        )  # fmt: skip


def _options(chain: Chain, surface: Surface, own: Rows, position: Rows, underlying: int) -> Iterator[Strip]:
    if own.size == 0:
        return
    k = np.log(chain.strike[own] / chain.forward[own])
    years, inverse, call = chain.time_to_expiry[own], chain.is_inverse[own], chain.is_call[own]
    order = np.lexsort((k, call, inverse, years))
    own, k, years, inverse, call = own[order], k[order], years[order], inverse[order], call[order]
    is_new = (years[1:] != years[:-1]) | (inverse[1:] != inverse[:-1])
    for start, stop in _runs(is_new):
        if np.all(position[own[start:stop]] == NO_ROW):
            continue
        first_call = start + int(np.searchsorted(call[start:stop], True))
        puts, calls = slice(start, first_call), slice(first_call, stop)
        expiry = from_datetime64(chain.expiry[own[start]])
        own_slice = surface.slice(str(chain.underlying[own[start]]), expiry)
        nothing = np.full(max(first_call - start, stop - first_call), NO_ROW)
        if _is_shared(chain, own[puts], own[calls]):
            yield from _strip(
                chain, own[calls], k[calls], position[own[calls]], position[own[puts]], own_slice, underlying
            )
            continue
        for kind in (puts, calls):
            held = position[own[kind]]
            one, other = (held, nothing[: held.size]) if kind is calls else (nothing[: held.size], held)
            yield from _strip(chain, own[kind], k[kind], one, other, own_slice, underlying)


def _runs(is_new: ndarray) -> Iterator[tuple[int, int]]:
    edges = [0, *(np.flatnonzero(is_new) + 1).tolist(), is_new.size + 1]
    yield from pairwise(edges)


def _is_shared(chain: Chain, puts: Rows, calls: Rows) -> bool:
    """Whether calls and puts have the same strikes, forwards and marked volatilities, so that one entry serves both."""
    if puts.size != calls.size:
        return False
    return all(np.array_equal(column[puts], column[calls]) for column in (chain.strike, chain.forward, chain.mark_iv))


def _strip(
    chain: Chain, quotes: Rows, k: Entries, call: Rows, put: Rows, own_slice: Slice, underlying: int
) -> Iterator[Strip]:
    is_asked = (call != NO_ROW) | (put != NO_ROW)
    if not np.any(is_asked):
        return
    residual = chain.mark_iv[quotes] / own_slice.volatility(k)
    at = quotes[is_asked]
    yield Strip(
        underlying=underlying, time_to_expiry=float(chain.time_to_expiry[at[0]]),
        is_inverse=bool(chain.is_inverse[at[0]]), slice=own_slice, forward=chain.forward[at], strike=chain.strike[at],
        log_moneyness=k[is_asked], mark_iv=chain.mark_iv[at], call=call[is_asked], put=put[is_asked], knots=k,
        residual=residual,
    )  # fmt: skip


class Packed(NamedTuple):
    """Option strips end to end, as arrays. Strip i holds the entries begin[i] … begin[i + 1].

    `rows` are all positions in `call` and `put`, sorted; `smile` has the columns of `moved_kernel`. The residual curve
    of strip i, as `curve_of` makes it, stands in `knots`, `residuals` and `slopes` from curve_begin[i] on and in
    `table` from table_begin[i] on.
    """

    begin: ndarray
    log_moneyness: ndarray
    strike_ratio: ndarray
    forward: ndarray
    mark_iv: ndarray
    call: ndarray
    put: ndarray
    rows: ndarray
    underlying: ndarray
    is_inverse: ndarray
    smile: ndarray
    curve_begin: ndarray
    knots: ndarray
    residuals: ndarray
    slopes: ndarray
    table_begin: ndarray
    table: ndarray
    steps: ndarray
    per_bucket: ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """A piecewise linear curve, flat outside its knots, that is read without search; one knot more at infinity.

    table[⌊(x − x₀) per_bucket⌋] is the last knot of an earlier bucket (or 0), from which at most `steps` steps lead to
    the knot at or below x. The answer does not hang on how the bucket is rounded, as that is monotone in x.
    """

    knots: Float[ndarray, " knot"]
    values: Float[ndarray, " knot"]
    slopes: Float[ndarray, " knot"]
    table: ndarray
    steps: int
    per_bucket: float


def pack(options: Sequence[Strip]) -> Packed:
    """Option strips as flat arrays."""
    curves = [curve_of(one.knots, one.residual) for one in options]
    strike, forward = _joined([one.strike for one in options]), _joined([one.forward for one in options])
    return Packed(
        begin=_edges([one.forward.size for one in options]),
        log_moneyness=_joined([one.log_moneyness for one in options]),
        strike_ratio=strike / forward,
        forward=forward,
        mark_iv=_joined([one.mark_iv for one in options]),
        call=_joined([one.call for one in options], np.int64),
        put=_joined([one.put for one in options], np.int64),
        rows=np.sort(_joined([one.at() for one in options], np.int64)),
        underlying=np.array([one.underlying for one in options], dtype=np.int64),
        is_inverse=np.array([one.is_inverse for one in options], dtype=np.bool_),
        smile=np.array([_smile(one.slice) for one in options if one.slice], dtype=np.float64).reshape(-1, 7),
        curve_begin=_edges([one.knots.size for one in curves]),
        knots=_joined([one.knots for one in curves]),
        residuals=_joined([one.values for one in curves]),
        slopes=_joined([one.slopes for one in curves]),
        table_begin=_edges([one.table.size for one in curves]),
        table=_joined([one.table for one in curves], np.uint64),
        steps=np.array([one.steps for one in curves], dtype=np.int64),
        per_bucket=np.array([one.per_bucket for one in curves], dtype=np.float64),
    )


def curve_of(knots: Float[ndarray, " knot"], values: Float[ndarray, " knot"]) -> Curve:
    """The curve through some points with knots in order, equal or at least 1e-12 apart.

    >>> curve = curve_of(np.array([0.0, 1.0, 4.0]), np.array([2.0, 3.0, 0.0]))
    >>> curve.slopes.tolist(), curve.table.tolist(), curve.steps
    ([1.0, -1.0, 0.0, 0.0], [0, 0, 1, 1, 1, 1, 2], 1)
    """
    gaps = np.diff(knots)
    slopes = np.zeros(knots.size + 1)
    np.divide(np.diff(values), gaps, out=slopes[:-2], where=gaps > 0.0)
    span, least = float(knots[-1] - knots[0]), float(gaps[gaps > 0.0].min(initial=np.inf))
    buckets = int(min(span / least + 2.0, BUCKETS)) if span > 0.0 else 1
    per_bucket = (buckets - 1) / span if span > 0.0 else 0.0
    bucket = np.minimum(((knots - knots[0]) * per_bucket).astype(np.int64), buckets)
    table = np.searchsorted(bucket, np.arange(buckets + 1), side="left") - 1
    return Curve(
        knots=np.append(knots, np.inf),
        values=np.append(values, values[-1]),
        slopes=slopes,
        table=np.maximum(table, 0).astype(np.uint64),
        steps=int(np.bincount(bucket).max()),
        per_bucket=per_bucket,
    )


def terms(
    options: Sequence[Strip], horizons: Float[ndarray, " horizon"], *, window: float, kept: Kept
) -> Float[ndarray, "strip horizon number"]:
    """Option strips at each horizon, with the columns of `moved_kernel`; `window` is that of the settlement average.

    An expiry within the horizons settles on the path of the index, linear between the horizons on either side.
    """
    found = np.zeros((len(options), horizons.size, block.N_TERM))
    if not options:
        return found
    years = np.array([one.time_to_expiry for one in options])
    tau = np.stack([remaining(one, horizons) for one in years])
    is_over = tau == 0.0
    first = np.argmax(is_over, axis=1)[:, None]
    start = np.where(first > 0, horizons[first - 1], 0.0)
    length = horizons[first] - start
    is_met = np.any(is_over, axis=1)[:, None] & (length > 0.0)
    share = np.divide(years[:, None] * HOURS_PER_YEAR - start, length, out=np.zeros(length.shape), where=is_met)
    at = np.arange(horizons.size)[None]
    weights = pillar_weights(tau)
    lower = np.minimum(np.argmax(weights > 0.0, axis=2), weights.shape[2] - 2)
    clocks = np.array([one.slice.clock for one in options if one.slice])[:, None]
    found[..., block.BASE] = np.where(is_over, first - 1, at)
    found[..., block.HEAD] = np.where(is_over, first, at)
    found[..., block.WEIGHT] = np.where(is_over, np.minimum(share, 1.0), 0.0)
    found[..., block.PILLAR] = lower
    found[..., block.SHARE] = np.take_along_axis(weights, lower[..., None] + 1, axis=2)[..., 0]
    found[..., block.YEARS] = tau
    found[..., block.ROOT_YEARS] = np.sqrt(tau)
    stretch = np.sqrt(np.divide(clocks, tau, out=np.ones(tau.shape), where=~is_over))
    found[..., block.STRETCH] = stretch if kept == "standardised" else 1.0
    found[..., block.STATE] = np.where(is_over, block.EXPIRED, np.where(tau < window, block.FADING, block.ALIVE))
    return found


def _smile(own: Slice) -> tuple[float, ...]:
    p = own.parameters
    return p.a, p.b, p.rho, p.m, p.s**2, 1.0 / own.clock, own.atm_volatility


def _joined(parts: Sequence[ndarray], kind: type = np.float64) -> ndarray:
    return np.concatenate([np.empty(0, dtype=kind), *parts])


def _edges(sizes: Sequence[int]) -> Int[ndarray, " edge"]:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
