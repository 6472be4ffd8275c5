"""Raw SVI fitted to every expiry of a chain, nearest first, free of butterfly arbitrage within ±5σ√τ."""

from datetime import datetime
from math import sqrt

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.book import Chain
from greekdrift.errors import CalculationError
from greekdrift.surface import calibrate, smile, svi
from greekdrift.surface.arbitrage import RANGE
from greekdrift.surface.slices import SHORTEST, Slice, Surface, expiries
from greekdrift.units import stamp

Quotes = Float[ndarray, " quote"]
Rows = Int[ndarray, " row"]

BUTTERFLY_WEIGHTS = (0.3, 3.0, 30.0)
"""κ of the first fit and of the repetitions that follow only where g stays negative."""
CALENDAR_WEIGHT_QUOTED = 2.0
CALENDAR_WEIGHT_BEYOND = 0.2
CALENDAR_POINTS = 31
PENALTY_POINTS = 41
CHECK_POINTS = 601


def fit(chain: Chain) -> Surface:
    """Fitted surface of all options of a chain: one slice per underlying and expiry, nearest expiry first.

    Each slice is fitted to `mark_iv` of the quotes that `smile.select` chooses. Penalties hold Gatheral's g above zero
    within ±5σ√τ (or as far as quotes reach) and total variance above that of the previous expiry (firmly where that one
    is quoted, gently out to ±5σ√τ); the first is then checked on a finer grid and enforced. Calendar arbitrage may
    remain: `arbitrage.check` says where.
    """
    slices: list[Slice] = []
    for underlying, expiry, rows in expiries(chain):
        previous = slices[-1] if slices and slices[-1].underlying == underlying else None
        slices.append(_slice(chain, rows, underlying, expiry, previous))
    if not slices:
        raise CalculationError(
            f"the {chain.venue} chain at {stamp(chain.as_of)} lists no option; a surface needs at least one."
        )
    return Surface(as_of=chain.as_of, slices=tuple(slices))


def parameters(
    log_moneyness: Quotes,
    volatility: Quotes,
    time_to_expiry: float,
    *,
    weight: Quotes | None = None,
    previous: Slice | None = None,
) -> svi.Parameters:
    """Raw SVI parameters of one smile of at least five quotes, weighted, free of butterfly arbitrage within ±5σ√τ.

    >>> truth = svi.Parameters(a=0.04, b=0.15, rho=-0.3, m=0.05, s=0.3)
    >>> k = np.linspace(-1.0, 1.0, 9)
    >>> found = parameters(k, svi.volatility(k, 1.0, truth), 1.0)
    >>> round(found.rho, 4), round(found.s, 4)
    (-0.3, 0.3)
    """
    if len(log_moneyness) < calibrate.N:
        raise CalculationError(
            f"{len(log_moneyness)} quotes cannot carry five parameters; use fit(chain), which falls back."
        )
    omega = np.ones_like(volatility) if weight is None else weight
    omega = omega / sqrt(float(np.sum(omega**2)))
    order = np.argsort(log_moneyness, kind="stable")
    reference = float(np.interp(0.0, log_moneyness[order], volatility[order]))
    theta = reference**2 * time_to_expiry
    root = sqrt(theta)
    quotes = np.stack([log_moneyness / root, volatility / reference, omega])
    floor = _floor(previous, root)
    upper = calibrate.UPPER.copy()
    upper[1] = min(upper[1], 2.0 / root)
    p = calibrate.initial(quotes)
    for kappa in BUTTERFLY_WEIGHTS:
        grid = np.linspace(*_reach(p, quotes[0]), PENALTY_POINTS)
        p, _ = calibrate.minimise(p, quotes, theta, grid, kappa, floor, calibrate.LOWER, upper)
        if _is_clean(p, theta, quotes[0]):
            break
    return _clean(p, theta, quotes[0])


def _reach(p: ndarray, z: Quotes) -> tuple[float, float]:
    """Range of z to keep clean: ±5 deviations, marked or fitted, whichever are wider, or as far as quotes reach."""
    edge = _edge(p)
    return min(-edge, float(z.min())), max(edge, float(z.max()))


def _edge(p: ndarray) -> float:
    """Five deviations, marked or fitted, and a little more."""
    return RANGE * max(1.1, 1.01 * sqrt(max(calibrate.curve(0.0, p)[0], 0.0)))


def _is_clean(p: ndarray, theta: float, z: Quotes) -> bool:
    """Whether g ≥ 0 and W > 0 over the range to keep clean; five deviations are looked at closely in any case."""
    edge = _edge(p)
    low, high = _reach(p, z)
    near = calibrate.least_density_factor(p, theta, -edge, edge, CHECK_POINTS)
    return bool(near > 0.0 and calibrate.least_density_factor(p, theta, low, high, CHECK_POINTS) >= 0.0)


def _floor(previous: Slice | None, root: float) -> Float[ndarray, "3 point"]:
    """Where the earlier expiry binds: z, √(w/θ) and weight, in this slice's units."""
    if previous is None:
        return np.empty((3, 0))
    quoted = np.linspace(*previous.quoted, CALENDAR_POINTS)
    wide = np.linspace(-RANGE, RANGE, CALENDAR_POINTS) * previous.deviation
    beyond = wide[(wide < previous.quoted[0]) | (wide > previous.quoted[1])]
    k = np.concatenate([quoted, beyond])
    firmness = np.repeat([CALENDAR_WEIGHT_QUOTED, CALENDAR_WEIGHT_BEYOND], [len(quoted), len(beyond)])
    return np.stack([k / root, np.sqrt(np.maximum(previous.total_variance(k), 0.0)) / root, firmness])


def _clean(p: ndarray, theta: float, z: Quotes) -> svi.Parameters:
    """Parameters in log-moneyness; where g stays negative the slice is mixed with a flat one until it does not."""
    share = 0.0
    flat, _, _ = calibrate.curve(0.0, p)
    mixed = p.copy()
    while not _is_clean(mixed, theta, z) and share < 1.0:
        share = min(1.0, max(0.02, 2.0 * share))
        mixed[0] = (1.0 - share) * p[0] + share * max(flat, calibrate.LEAST_VARIANCE)
        mixed[1] = (1.0 - share) * p[1]
    root = sqrt(theta)
    a, b, rho, m, s = theta * mixed[0], root * mixed[1], mixed[2], root * mixed[3], root * mixed[4]
    return svi.Parameters(a=float(a), b=float(b), rho=float(rho), m=float(m), s=float(s))


def _slice(chain: Chain, rows: Rows, underlying: str, expiry: datetime, previous: Slice | None) -> Slice:
    used = smile.select(chain, rows)
    tau = max(float(chain.time_to_expiry[rows[0]]), SHORTEST)
    n = len(used.volatility)
    if n >= calibrate.N and chain.time_to_expiry[rows[0]] > SHORTEST:
        found = parameters(used.log_moneyness, used.volatility, tau, weight=used.weight, previous=previous)
        method = "svi" if used.n_two_sided >= smile.ENOUGH else "svi_marks"
    else:
        found, method = _thin(used, tau)
    fitted = svi.volatility(used.log_moneyness, tau, found)
    return Slice(
        underlying=underlying,
        expiry=expiry,
        time_to_expiry=float(chain.time_to_expiry[rows[0]]),
        forward=float(np.median(chain.forward[rows])),
        parameters=found,
        atm_volatility=float(svi.volatility(np.zeros(1), tau, found)[0]),
        rmse=float(np.sqrt(np.mean((fitted - used.volatility) ** 2))),
        n_quotes=n,
        method=method,
        quoted=(float(used.log_moneyness[0]), float(used.log_moneyness[-1])),
    )


def _thin(used: smile.Smile, tau: float) -> tuple[svi.Parameters, str]:
    """Slice of fewer than five quotes: m = 0 and s = σ√τ fixed where three carry it and it is clean, else flat."""
    reference = used.at_the_money()
    theta = reference**2 * tau
    if len(used.volatility) >= 3 and tau > SHORTEST:
        quotes = np.stack([used.log_moneyness / sqrt(theta), used.volatility / reference, used.weight])
        p = np.zeros(calibrate.N)
        calibrate.linear_part(quotes, 0.0, 1.0, p)
        if _is_clean(p, theta, quotes[0]):
            return _clean(p, theta, quotes[0]), "three_parameters"
    level = float(np.sum(used.weight**2 * used.volatility))
    return svi.Parameters(a=level**2 * tau, b=0.0, rho=0.0, m=0.0, s=sqrt(theta)), "flat"
