"""Raw SVI fitted to all expiries of a chain jointly, free of butterfly and calendar arbitrage within ±5σ√τ."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from math import sqrt

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from numpy.typing import ArrayLike

from greekdrift.book import Chain
from greekdrift.errors import CalculationError, InputError
from greekdrift.greeks import implied
from greekdrift.surface import calibrate, exact_step, joint, smile, svi
from greekdrift.surface.slices import SHORTEST, Refusal, Slice, Surface
from greekdrift.units import counted, from_datetime64, stamp

Quotes = Float[ndarray, " quote"]
Column = Float[ndarray, " row"]
PerExpiry = Float[ndarray, " expiry"]
Edges = Int[ndarray, " edge"]
Interval = tuple[float, float]

WORST_RMSE = 0.03
"""A slice further than this (per 1.00 of volatility) from its quotes is refused."""
MOST_SPENT = 0.05
"""So is one of which the exact step had to lift or flatten more than this share of its variance."""
FEWEST = 5
"""Quotes that carry five parameters; fewer lean on the shape of all expiries."""
TIE, THIN_TIE = 3e-4, 3e-2
"""Weight of the prior, per unit of a standardised parameter and of relative volatility."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sheet:
    """The fitted expiries of one underlying as arrays, nearest first.

    `parameters` are a, b, ρ, m, s of raw SVI; `rmse` is per 1.00 of volatility, `rmse_spreads` in bid-ask spreads;
    `quoted` and `arbitrage_free` are ranges of log-moneyness; `reasons` says why an expiry was refused ("" if not), and
    `missed` holds the figure of the reason and its limit (NaN if not refused), as `slices.Refusal`.
    """

    time_to_expiry: PerExpiry
    parameters: Float[ndarray, "expiry 5"]
    atm_volatility: PerExpiry
    rmse: PerExpiry
    rmse_spreads: PerExpiry
    n_quotes: Int[ndarray, " expiry"]
    quoted: Float[ndarray, "expiry 2"]
    arbitrage_free: Float[ndarray, "expiry 2"]
    methods: tuple[str, ...]
    reasons: tuple[str, ...]
    missed: Float[ndarray, "expiry 2"]
    dropped: tuple[tuple[tuple[str, int], ...], ...]

    def total_variance(self, log_moneyness: ArrayLike) -> ndarray:
        """Total variance of every expiry at log-moneyness that broadcasts to (expiry, …)."""
        a, b, rho, m, s = self.parameters.T[:, :, None]
        return svi.total_variance(np.asarray(log_moneyness, dtype=np.float64), a=a, b=b, rho=rho, m=m, s=s)


def fit(chain: Chain, *, as_of: datetime | None = None, within: Interval | None = None) -> Surface:
    """Fitted surface of all options of a chain: one slice per underlying and expiry, nearest expiry first.

    Slices are fitted to `mark_iv` of the quotes that `smile.select` chooses, all expiries of an underlying at once,
    with SSVI as start. Within ±5σ√τ, and where quoted, and `within` a range of log-moneyness if one is given, no slice
    admits a butterfly and none lies below an earlier one (on the wider of the two ranges); b(1+|ρ|) ≤ 2 holds beyond.
    An expiry whose quotes cannot be met so is named in `Surface.refused` with the reason; its slice is free of
    arbitrage like every other. With `as_of`, a chain that became known only after that instant is refused.
    """
    if as_of is not None and chain.known_at > as_of:
        raise CalculationError(
            f"the {chain.venue} chain of {stamp(chain.as_of)} became known at {stamp(chain.known_at)}, after "
            f"{stamp(as_of)}; fit the last chain known by then."
        )
    if not np.any(chain.is_option):
        raise CalculationError(
            f"the {chain.venue} chain at {stamp(chain.as_of)} lists no option; a surface needs at least one."
        )
    slices: list[Slice] = []
    refused: list[Refusal] = []
    for underlying in chain.underlyings:
        rows = np.flatnonzero(chain.is_option & (chain.underlying == underlying))
        if rows.size:
            rows = rows[np.lexsort((chain.strike[rows], chain.expiry[rows]))]
            own = _slices(chain, underlying, rows, within)
            slices += own[0]
            refused += own[1]
    return Surface(as_of=chain.as_of, slices=tuple(slices), refused=tuple(refused), known_at=chain.known_at)


def surface_of(
    *,
    forward: ArrayLike,
    strike: ArrayLike,
    time_to_expiry: ArrayLike,
    is_call: ArrayLike,
    bid: ArrayLike,
    ask: ArrayLike,
    mark: ArrayLike | None = None,
    is_coin: bool = False,
    within: Interval | None = None,
) -> Sheet:
    """Quotes of one underlying, in any order, to implied volatilities to a surface without arbitrage.

    Prices are undiscounted, in the currency of the forward (in coins with `is_coin`); NaN is a missing quote. Fitted
    are the implied volatilities of `mark`, by default the middle of bid and ask. Rows of one expiry share one
    `time_to_expiry`, in years. Guarantees and refusals are those of `fit`.

    >>> from greekdrift.greeks import compute
    >>> k = np.tile(np.linspace(-0.4, 0.4, 9), 2)
    >>> at = {"forward": 100.0, "strike": 100.0 * np.exp(k), "time_to_expiry": np.repeat([0.1, 0.5], 9)}
    >>> at["is_call"] = k > 0.0
    >>> price = compute(["price"], volatility=0.5 - 0.1 * k + 0.2 * k * k, **at)["price"]
    >>> sheet = surface_of(**at, bid=0.99 * price, ask=1.01 * price)
    >>> sheet.atm_volatility.round(3)
    array([0.5, 0.5])
    """
    given = (time_to_expiry, strike, forward, bid, ask, np.nan if mark is None else mark)
    try:
        columns = np.broadcast_arrays(
            *(np.asarray(one, dtype=np.float64) for one in given), np.asarray(is_call, np.bool_)
        )
    except ValueError as problem:
        raise InputError(f"quotes do not broadcast to one column ({problem}); pass one value a row.") from None
    order = np.lexsort((columns[1].ravel(), columns[0].ravel()))
    tau, strikes, forwards, low, high, price, calls = (column.ravel()[order] for column in columns)
    if not np.all((tau >= 0.0) & (tau < np.inf)):
        raise InputError("time_to_expiry holds a value that is no number of at least 0; drop what has expired.")
    if mark is None:
        price = np.where((low > 0.0) & (high >= low), 0.5 * (low + high), np.nan)
    unit = 1.0 if is_coin else 1.0 / forwards
    is_out = calls == (strikes >= forwards)
    volatility, _ = implied.solve(
        np.where(price > 0.0, price, np.nan),
        forward=forwards,
        strike=strikes,
        time_to_expiry=np.maximum(tau, SHORTEST),
        is_call=calls,
        is_coin=is_coin,
    )
    return _sheet(
        np.log(strikes / forwards),
        volatility,
        strike=strikes,
        is_out=is_out,
        bid=low * unit,
        ask=high * unit,
        mark=price * unit,
        time_to_expiry=tau,
        within=within,
    )


def parameters(
    log_moneyness: Quotes,
    volatility: Quotes,
    time_to_expiry: float,
    *,
    weight: Quotes | None = None,
    within: Interval | None = None,
) -> svi.Parameters:
    """Raw SVI parameters of one smile of at least five quotes, weighted, free of butterfly arbitrage within ±5σ√τ.

    The range without arbitrage reaches as far as quotes do, and over `within` if that is given.

    >>> truth = svi.Parameters(a=0.04, b=0.15, rho=-0.3, m=0.05, s=0.3)
    >>> k = np.linspace(-1.0, 1.0, 9)
    >>> found = parameters(k, svi.volatility(k, 1.0, truth), 1.0)
    >>> round(found.rho, 4), round(found.s, 4)
    (-0.3, 0.3)
    """
    n = len(log_moneyness)
    if n < FEWEST:
        raise CalculationError(f"{n} quotes cannot carry five parameters; use fit(chain), which falls back.")
    if not (np.all(np.isfinite(log_moneyness)) and np.all((volatility > 0.0) & (volatility < np.inf))):
        raise InputError("a smile holds a value that is no log-moneyness or no volatility above 0; drop the quote.")
    order = np.argsort(log_moneyness, kind="stable")
    k, smile_, omega = log_moneyness[order], volatility[order], np.ones(n) if weight is None else weight[order]
    raw, _, _, _ = joint.chain(
        np.ascontiguousarray(k),
        np.ascontiguousarray(smile_),
        omega / sqrt(float(np.sum(omega**2))),
        np.full(n, np.nan),
        np.array([0, n]),
        np.array([time_to_expiry]),
        np.array([calibrate.at_the_money(k, smile_, 0, n)]),
        np.zeros(1),
        np.array([_widened((float(k[0]), float(k[-1])), within)]),
    )
    return _parameters(raw[0])


def _parameters(raw: ndarray) -> svi.Parameters:
    a, b, rho, m, s = (float(value) for value in raw)
    return svi.Parameters(a=a, b=b, rho=rho, m=m, s=s)


def _widened(quoted: Interval, within: Interval | None) -> Interval:
    return quoted if within is None else (min(quoted[0], within[0]), max(quoted[1], within[1]))


def _slices(chain: Chain, underlying: str, rows: ndarray, within: Interval | None) -> tuple[list[Slice], list[Refusal]]:
    """Slices and refusals of one underlying; rows sorted by expiry and strike."""
    forward, strike, is_inverse = chain.forward[rows], chain.strike[rows], chain.is_inverse[rows]
    unit = np.where(is_inverse, 1.0, 1.0 / forward)
    sheet = _sheet(
        np.log(strike / forward),
        chain.mark_iv[rows],
        strike=strike,
        is_out=chain.is_call[rows] == (strike >= forward),
        bid=chain.bid[rows] * unit,
        ask=chain.ask[rows] * unit,
        mark=chain.mark[rows] * unit,
        time_to_expiry=chain.time_to_expiry[rows],
        within=within,
    )
    edges = _edges(chain.time_to_expiry[rows])
    slices, refused = [], []
    for e in range(len(sheet.methods)):
        expiry = from_datetime64(chain.expiry[rows[edges[e]]])
        slices.append(
            Slice(
                underlying=underlying,
                expiry=expiry,
                time_to_expiry=float(sheet.time_to_expiry[e]),
                forward=float(np.median(forward[edges[e] : edges[e + 1]])),
                parameters=_parameters(sheet.parameters[e]),
                atm_volatility=float(sheet.atm_volatility[e]),
                rmse=float(sheet.rmse[e]),
                n_quotes=int(sheet.n_quotes[e]),
                method=sheet.methods[e],
                quoted=(float(sheet.quoted[e, 0]), float(sheet.quoted[e, 1])),
                rmse_spreads=float(sheet.rmse_spreads[e]),
                dropped=sheet.dropped[e],
                arbitrage_free=(float(sheet.arbitrage_free[e, 0]), float(sheet.arbitrage_free[e, 1])),
            )
        )
        if sheet.reasons[e]:
            figure, limit = sheet.missed[e].tolist()
            reason = sheet.reasons[e]
            refused.append(Refusal(underlying=underlying, expiry=expiry, reason=reason, figure=figure, limit=limit))
    return slices, refused


def _edges(time_to_expiry: Column) -> Edges:
    """Where each expiry of sorted rows begins, and the end."""
    return np.concatenate([[0], np.flatnonzero(np.diff(time_to_expiry)) + 1, [time_to_expiry.size]])


def _sheet(
    log_moneyness: Column,
    volatility: Column,
    *,
    strike: Column,
    is_out: Bool[ndarray, " row"],
    bid: Column,
    ask: Column,
    mark: Column,
    time_to_expiry: Column,
    within: Interval | None,
) -> Sheet:
    """The fitted expiries of rows sorted by expiry and strike; prices in units of the forward."""
    edges = _edges(time_to_expiry)
    years = time_to_expiry[edges[:-1]]
    clock = np.maximum(years, SHORTEST)
    used = smile.select(
        log_moneyness,
        volatility,
        strike=strike,
        is_out=is_out,
        bid=bid,
        ask=ask,
        mark=mark,
        time_to_expiry=clock,
        edges=edges,
    )
    counts = np.diff(used.offsets)
    reference = _references(used.reference, clock)
    mass, tie = _confidence(used, counts, years)
    quoted = _quoted(used, counts)
    low, high = within or (0.0, 0.0)
    wide = np.stack([np.minimum(quoted[:, 0], low), np.maximum(quoted[:, 1], high)], axis=1)
    raw, report, spent, is_outlier = joint.chain(
        used.log_moneyness,
        used.volatility,
        used.weight * np.repeat(mass, counts),
        used.width,
        used.offsets,
        clock,
        reference,
        tie,
        wide,
    )
    used.use[used.row[is_outlier]] = smile.Use.OUTLIER
    a, b, rho, m, s = raw.T
    deviation = np.sqrt(svi.total_variance(np.zeros(a.size), a=a, b=b, rho=rho, m=m, s=s))
    edge = exact_step.RANGE * deviation
    causes = tuple(_causes(counts, years, report, spent))
    return Sheet(
        time_to_expiry=years,
        parameters=raw,
        atm_volatility=deviation / np.sqrt(clock),
        rmse=report[:, 0],
        rmse_spreads=report[:, 1],
        n_quotes=report[:, 2].astype(np.int64),
        quoted=quoted,
        arbitrage_free=np.stack([np.minimum(wide[:, 0], -edge), np.maximum(wide[:, 1], edge)], axis=1),
        methods=tuple(_methods(used, counts, years)),
        reasons=tuple(cause[0] for cause in causes),
        missed=np.array([cause[1:] for cause in causes], dtype=np.float64).reshape(-1, 2),
        dropped=tuple(used.dropped(int(edges[e]), int(edges[e + 1])) for e in range(years.size)),
    )


def _references(found: PerExpiry, clock: PerExpiry) -> PerExpiry:
    """Volatility at the forward of every expiry; a missing one by total variance linear in time, flat outside."""
    is_known = np.isfinite(found)
    if np.all(is_known):
        return found
    if not np.any(is_known):
        raise CalculationError(
            "no option has a price that implies a volatility; a surface needs at least one quote or mark."
        )
    years = clock[is_known]
    inside = np.clip(clock, years[0], years[-1])
    return np.where(is_known, found, np.sqrt(np.interp(inside, years, found[is_known] ** 2 * years) / inside))


def _confidence(used: smile.Smiles, counts: ndarray, years: PerExpiry) -> tuple[PerExpiry, PerExpiry]:
    """Root of the weight of each expiry's quotes and of its prior: few quotes, or marks alone, give way."""
    mass = np.sqrt(np.minimum(1.0, counts / smile.ENOUGH))
    mass[used.n_two_sided < min(smile.ENOUGH, FEWEST)] *= 0.5
    mass[years <= SHORTEST] = 0.0
    return mass, np.where((counts < FEWEST) | (years <= SHORTEST), THIN_TIE, TIE)


def _quoted(used: smile.Smiles, counts: ndarray) -> Float[ndarray, "expiry 2"]:
    """Least and greatest log-moneyness of the quotes of every expiry, 0 where there are none."""
    quoted = np.zeros((counts.size, 2))
    has_any = counts > 0
    quoted[has_any, 0] = used.log_moneyness[used.offsets[:-1][has_any]]
    quoted[has_any, 1] = used.log_moneyness[used.offsets[1:][has_any] - 1]
    return quoted


def _methods(used: smile.Smiles, counts: ndarray, years: PerExpiry) -> Iterator[str]:
    for e in range(counts.size):
        if counts[e] < FEWEST or years[e] <= SHORTEST:
            yield "ssvi"
        else:
            yield "svi" if used.n_two_sided[e] >= FEWEST else "svi_marks"


def _causes(counts: ndarray, years: PerExpiry, report: ndarray, spent: ndarray) -> Iterator[tuple[str, float, float]]:
    """Why each expiry is refused, the figure of it and its limit; no reason and NaN where it is not."""
    stands_in = "the slice has the shape of all expiries"
    for e in range(counts.size):
        error, raised, flattened = float(report[e, 0]), float(spent[e, 0]), float(spent[e, 1])
        if years[e] <= SHORTEST:
            yield f"expires within a minute; {stands_in}", years[e] / SHORTEST, 1.0
        elif counts[e] < FEWEST:
            few = counted(int(counts[e]), "usable quote")
            yield f"{few} cannot carry five parameters; {stands_in}", float(counts[e]), float(FEWEST)
        elif error > WORST_RMSE:
            words = f"root mean square error {100.0 * error:.1f} points exceeds {100.0 * WORST_RMSE:g}"
            yield words, error, WORST_RMSE
        elif raised > MOST_SPENT:
            yield f"lies below an earlier expiry: total variance had to rise by {raised:.0%}", raised, MOST_SPENT
        elif flattened > MOST_SPENT:
            yield f"admits butterflies: {flattened:.0%} of it had to be made flat", flattened, MOST_SPENT
        else:
            yield "", np.nan, np.nan
