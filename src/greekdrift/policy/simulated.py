"""What the 2025-26 standards ask of a margin model about one hypothetical book: its path and figures along history.

The reserve is the forecast need, raw and dressed, on top of the requirement. Figures are of both, side by side; the
responsiveness is that of the whole margin (requirement + add-on) to the volatility of what the book holds.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.errors import InputError
from greekdrift.features.history import Panel
from greekdrift.margin.addon import LEAST_USD, Step, dress
from greekdrift.margin.dressing import Dressing
from greekdrift.policy.margin_path import MarginPath
from greekdrift.score.exceptions import Backtest, backtest, exceeded
from greekdrift.score.procyclicality import Procyclicality, Responsiveness, procyclicality, responsiveness
from greekdrift.units import from_datetime64

Series = Float[ndarray, " origin"]

LEAST_ORIGINS = 8
BLOCK = 28
"""Origins of a block of the bootstrap: a week of four a day."""
VOLATILITY = "atm_30"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Simulated:
    """One book along history: where it is there, its requirement, need and add-on (USD), steps, and the figures.

    `raw` and `dressed` are the figures of the reserve without and with the dressing, their coverage at all origins
    whose end was seen and thinned to windows that do not overlap. `answer` is None where volatility is unknown or the
    stretch is too short for a window.
    """

    account_id: str
    as_of: ndarray
    requirement_usd: Series
    raw_usd: Series
    addon_usd: Series
    realised_usd: Series
    steps: tuple[Step, ...]
    missing: int
    raw: Procyclicality
    dressed: Procyclicality
    raw_coverage: tuple[Backtest, Backtest] | None
    dressed_coverage: tuple[Backtest, Backtest] | None
    answer: Responsiveness | None


def simulated(
    path: MarginPath,
    account_id: str,
    dressing: Dressing,
    *,
    level: float,
    volatility: Series | None = None,
    seed: int = 0,
) -> Simulated:
    """The figures of one account of a path, at one level of the need. `volatility` is by origin, NaN where unknown."""
    if account_id not in path.account_ids:
        raise InputError(f'no account "{account_id}" on this path; there are {", ".join(path.account_ids)}.')
    at = path.account_ids.index(account_id)
    raw, requirement, realised = path.need(level)[:, at], path.requirement_usd[:, at], path.realised_usd[:, at]
    there = np.isfinite(raw) & (np.nan_to_num(requirement) >= LEAST_USD)
    if there.sum() < LEAST_ORIGINS:
        raise InputError(
            f"{account_id}: its margin is known at {int(there.sum())} of {len(there)} snapshots, {LEAST_ORIGINS} are "
            "needed; choose longer-lived instruments, an other window, or --reference books, which roll."
        )
    as_of, raw, requirement, realised = path.as_of[there], raw[there], requirement[there], realised[there]
    steps = dress(dressing, raw, requirement, as_of=[from_datetime64(one) for one in as_of])
    addon = np.array([one.addon_usd for one in steps])
    every = steps_within(path)
    both = [_figures(one, raw, requirement, as_of, seed=seed) for one in (raw, addon)]
    covered = [_covered(one, realised, level=level, every=every) for one in (raw, addon)]
    return Simulated(
        account_id=account_id,
        as_of=as_of,
        requirement_usd=requirement,
        raw_usd=raw,
        addon_usd=addon,
        realised_usd=realised,
        steps=steps,
        missing=int((~there).sum()),
        raw=both[0],
        dressed=both[1],
        raw_coverage=covered[0],
        dressed_coverage=covered[1],
        answer=_answer(requirement + addon, None if volatility is None else volatility[there], as_of, seed),
    )


def volatility_of(panel: Panel, path: MarginPath, underlyings: tuple[str, ...]) -> Series:
    """Mean 30-day at-the-money volatility of some underlyings at the origins of a path; NaN where unknown."""
    rows = np.searchsorted(panel.as_of, path.as_of)
    factor = panel.factors.index(VOLATILITY)
    columns = [panel.underlyings.index(name) for name in underlyings if name in panel.underlyings]
    if not columns:
        return np.full(len(rows), np.nan)
    return np.asarray(np.exp(panel.state[rows][:, columns, factor]).mean(axis=1), dtype=np.float64)


def steps_within(path: MarginPath) -> int:
    """How many snapshots one horizon spans: the thinning that leaves windows which do not overlap."""
    apart = np.median(np.diff(path.as_of)) / np.timedelta64(1, "h") if len(path.as_of) > 1 else path.hours
    return max(1, int(np.ceil(path.hours / float(apart) - 0.05)))


def _figures(margin: Series, raw: Series, requirement: Series, as_of: ndarray, *, seed: int) -> Procyclicality:
    positive = (margin > 0.0) & (raw > 0.0)
    if not np.any(positive):
        raise InputError("the book never needs a reserve; there is nothing to measure.")
    hours = (as_of - as_of[:1]) / np.timedelta64(1, "h")
    return procyclicality(
        margin[positive], hours[positive], raw=raw[positive], measure=requirement[positive], block=BLOCK, seed=seed
    )


def _covered(margin: Series, realised: Series, *, level: float, every: int) -> tuple[Backtest, Backtest] | None:
    seen = np.isfinite(realised)
    if not np.any(seen):
        return None
    hits = exceeded(realised[seen], margin[seen])
    return backtest(hits, level=level), backtest(hits, level=level, every=every)


def _answer(margin: Series, volatility: Series | None, as_of: ndarray, seed: int) -> Responsiveness | None:
    if volatility is None or not np.all(np.isfinite(volatility)):
        return None
    try:
        return responsiveness(margin, volatility, as_of, block=BLOCK, seed=seed)
    except InputError:
        return None
