"""Whether one series of losses is really smaller than another: Diebold-Mariano and the block bootstrap."""

from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.typing import ArrayLike
from scipy.special import stdtr

from greekdrift.errors import CalculationError, InputError
from greekdrift.score.samples import finite

Losses = Float[ndarray, " origin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DieboldMariano:
    """Mean loss difference (first − second), its t statistic (negative: the first is better), two-sided p."""

    mean: float
    statistic: float
    p_value: float
    n: int
    lag: int


def diebold_mariano(first: ArrayLike, second: ArrayLike, *, horizon: int, lag: int | None = None) -> DieboldMariano:
    """Test of equal mean loss on paired, overlapping forecasts, `horizon` steps ahead.

    t = d̄ / √(ω/n) · √((n + 1 − 2h + h(h−1)/n) / n),   ω = γ₀ + 2 Σ_{k ≤ L} (1 − k/(L+1)) γₖ

    The long-run variance takes Bartlett weights up to lag L, 2h where none is given (overlap makes h − 1
    autocorrelations, volatility clustering more); t has n − 1 degrees of freedom.
    Source: Diebold & Mariano (1995); Newey & West (1987); small-sample factor: Harvey, Leybourne & Newbold
    (1997), eq. 9. A forecast against itself has statistic 0 and p 1.

    >>> diebold_mariano([1.0, 2.0, 1.0, 2.0], [1.0, 2.0, 1.0, 2.0], horizon=1).statistic
    0.0
    """
    difference = _paired(first, second)
    n, bandwidth = len(difference), 2 * horizon if lag is None else lag
    correction = (n + 1.0 - 2.0 * horizon + horizon * (horizon - 1.0) / n) / n if n else 0.0
    if horizon < 1 or bandwidth < horizon or n <= bandwidth or correction <= 0.0:
        raise InputError(
            f"Diebold-Mariano: {n} origins, {horizon} steps ahead, lag {bandwidth}; "
            "the lag must reach the horizon and be below the number of origins."
        )
    mean = float(difference.mean())
    variance = long_run_variance(difference, lag=bandwidth)
    if variance <= 0.0:
        if mean != 0.0:
            raise InputError(f"Diebold-Mariano: the loss difference is {mean:g} at every origin; there is no variance.")
        return DieboldMariano(mean=0.0, statistic=0.0, p_value=1.0, n=n, lag=bandwidth)
    statistic = mean / sqrt(variance / n) * sqrt(correction)
    chance = float(2.0 * stdtr(n - 1, -abs(statistic)))
    return DieboldMariano(mean=mean, statistic=statistic, p_value=chance, n=n, lag=bandwidth)


def long_run_variance(series: ArrayLike, *, lag: int) -> float:
    """Newey-West variance of √n times the mean: γ₀ + 2 Σ_{k ≤ L} (1 − k/(L+1)) γₖ.

    >>> long_run_variance([1.0, -1.0, 1.0, -1.0], lag=0)
    1.0
    """
    values = finite(series, "series")
    centred = values - values.mean()
    n = len(centred)
    gamma = [float(centred[k:] @ centred[: n - k]) / n for k in range(lag + 1)]
    return gamma[0] + 2.0 * sum((1.0 - k / (lag + 1.0)) * gamma[k] for k in range(1, lag + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate between the ends of its interval."""

    value: float
    lower: float
    upper: float

    def __str__(self) -> str:
        """`value [lower, upper]` to three decimals."""
        return f"{self.value:.3f} [{self.lower:.3f}, {self.upper:.3f}]"


def block_bootstrap(
    first: ArrayLike,
    second: ArrayLike | None = None,
    *,
    block: int,
    seed: int,
    level: float = 0.95,
    draws: int = 2_000,
) -> Interval:
    """The ratio of two mean losses with its percentile interval; the mean of one series where there is no second.

    Blocks of consecutive origins, circular, the same blocks for both series, so that what the two have in
    common cancels. The block should hold at least twice the horizon.
    Source: Politis & Romano (1992). A series against itself gives exactly 1, 1, 1.

    >>> str(block_bootstrap([1.0, 3.0, 2.0], [1.0, 3.0, 2.0], block=2, seed=0))
    '1.000 [1.000, 1.000]'
    """
    over = np.ones(np.shape(first)) if second is None else second
    _paired(first, over)
    losses = np.stack([finite(first, "losses"), finite(over, "losses")])
    n = losses.shape[1]
    if not 1 <= block <= n:
        raise InputError(f"block bootstrap: a block of {block} origins out of {n}; take 1 … {n}.")
    if losses[1].mean() == 0.0:
        raise InputError("block bootstrap: the second mean loss is 0, a ratio to it does not exist.")
    top, bottom = resampled_sums(losses, block=block, random=np.random.default_rng(seed), draws=draws)
    if np.any(bottom == 0.0):
        raise CalculationError("block bootstrap: a resample of the second losses is 0; take more origins.")
    lower, upper = np.quantile(top / bottom, (0.5 * (1.0 - level), 0.5 * (1.0 + level)))
    return Interval(value=float(losses[0].sum() / losses[1].sum()), lower=float(lower), upper=float(upper))


def resampled_sums(
    series: Float[ndarray, "series origin"], *, block: int, random: np.random.Generator, draws: int
) -> Float[ndarray, "series draw"]:
    """Sums of each series over resamples of n origins, the same origins for all: whole blocks and one shorter block.

    >>> resampled_sums(np.ones((1, 5)), block=2, random=np.random.default_rng(0), draws=2)
    array([[5., 5.]])
    """
    n = series.shape[1]
    whole, rest = divmod(n, block)
    running = np.concatenate([np.zeros((len(series), 1)), np.cumsum(np.tile(series, 2), axis=1)], axis=1)
    starts = random.integers(n, size=(draws, whole + 1))
    sums = (running[:, starts[:, :whole] + block] - running[:, starts[:, :whole]]).sum(axis=2)
    return sums + running[:, starts[:, whole] + rest] - running[:, starts[:, whole]]


def resampled_counts(n: int, *, block: int, random: np.random.Generator, draws: int) -> Float[ndarray, "draw origin"]:
    """How often each of n origins is in each resample of `resampled_sums`: for statistics that are no ratio of sums.

    >>> resampled_counts(5, block=2, random=np.random.default_rng(0), draws=2).sum(axis=1)
    array([5., 5.])
    """
    whole, rest = divmod(n, block)
    starts = random.integers(n, size=(draws, whole + 1))
    marks = np.zeros((draws, 2 * n + 1))
    row = np.arange(draws)[:, None]
    lengths = np.append(np.full(whole, block), rest)
    np.add.at(marks, (row, starts), 1.0)
    np.add.at(marks, (row, starts + lengths), -1.0)
    twice = np.cumsum(marks, axis=1)[:, : 2 * n]
    counts: ndarray = twice[:, :n] + twice[:, n:]
    return counts


def _paired(first: ArrayLike, second: ArrayLike) -> Losses:
    left, right = finite(first, "first losses"), finite(second, "second losses")
    if left.ndim != 1 or left.shape != right.shape or left.size == 0:
        raise InputError(f"losses of shapes {left.shape} and {right.shape} are no pairs; one number per origin each.")
    difference: Losses = left - right
    if not isfinite(float(difference.sum())):
        raise InputError("losses: their difference overflows.")
    return difference
