"""Two hidden states of the market, calm and wild, seen only through daily returns: a description, no forecast.

r_t | state i ~ N(0, v_i), the state a Markov chain with probability p_i of staying.

Source: Hamilton (1989) for the filter; Baum et al. (1970) for the estimate. Timing: the filtered probability of
day t uses returns up to day t; the smoothed one, which the estimate needs, never leaves this module.
"""

from dataclasses import dataclass
from math import pi

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.errors import DataError

Days = Float[ndarray, " day"]
LEAST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenState:
    """Variance a day and probability of staying, calm first."""

    variance: tuple[float, float]
    stay: tuple[float, float]

    @property
    def stationary(self) -> float:
        """Long-run share of wild days, (1 − p_calm) / (2 − p_calm − p_wild)."""
        leave_calm, leave_wild = 1.0 - self.stay[0], 1.0 - self.stay[1]
        return leave_calm / (leave_calm + leave_wild)

    def likelihoods(self, returns: Days) -> Float[ndarray, "day state"]:
        """Normal density of each return in each state, with a floor that keeps a crash from dividing by zero.

        A missing return (NaN) tells nothing: its density is the same in both states.
        """
        variance = np.array(self.variance)
        square = np.minimum(returns[:, None] ** 2 / variance, 1000.0)
        density = np.exp(-0.5 * square) / np.sqrt(2.0 * pi * variance) + 1e-300
        return np.where(np.isfinite(returns)[:, None], density, 1.0)

    def filtered(self, returns: Days) -> Days:
        """P(wild on day t | returns up to day t), Hamilton's recursion from the stationary distribution.

        >>> state = HiddenState(variance=(1e-4, 1e-2), stay=(0.95, 0.9))
        >>> state.filtered(np.array([0.0, 0.2])).round(2)
        array([0.05, 1.  ])
        """
        wild, probabilities = self.stationary, np.empty(returns.size)
        calm_stays, wild_stays = self.stay
        for day, (calm_density, wild_density) in enumerate(self.likelihoods(returns).tolist()):
            prior = wild * wild_stays + (1.0 - wild) * (1.0 - calm_stays)
            joint = prior * wild_density
            wild = joint / (joint + (1.0 - prior) * calm_density)
            probabilities[day] = wild
        return probabilities


def fit(returns: Days, *, start: HiddenState | None = None, iterations: int = 25) -> HiddenState:
    """Maximum likelihood by expectation-maximisation; from quantiles of the squared returns where no start is given."""
    there = returns[np.isfinite(returns)]
    if there.size < LEAST or not np.any(there):
        raise DataError(f"{there.size} returns cannot show two states; give at least {LEAST} finite days that move.")
    state = start or _from_quantiles(returns)
    for _ in range(iterations):
        state = _improved(state, returns)
    return state


def _from_quantiles(returns: Days) -> HiddenState:
    square = returns[np.isfinite(returns)] ** 2
    middle = float(np.quantile(square, 0.8))
    calm, wild = float(square[square <= middle].mean()), float(square[square > middle].mean())
    return HiddenState(variance=(calm + 1e-12, wild + 1e-12), stay=(0.98, 0.94))


def _improved(state: HiddenState, returns: Days) -> HiddenState:
    """One step of expectation (smoothing backwards, Kim 1994) and maximisation."""
    filtered = state.filtered(returns).tolist()
    calm_stays, wild_stays = state.stay
    smoothed = [0.0] * len(filtered)
    smoothed[-1] = filtered[-1]
    both_calm = both_wild = 0.0
    for day in range(len(filtered) - 2, -1, -1):
        wild, later = filtered[day], smoothed[day + 1]
        to_wild = wild * wild_stays + (1.0 - wild) * (1.0 - calm_stays)
        stayed_wild = wild * wild_stays * later / to_wild
        stayed_calm = (1.0 - wild) * calm_stays * (1.0 - later) / (1.0 - to_wild)
        smoothed[day] = stayed_wild + wild * (1.0 - wild_stays) * (1.0 - later) / (1.0 - to_wild)
        both_wild, both_calm = both_wild + stayed_wild, both_calm + stayed_calm
    wild_share = np.array(smoothed)
    is_there, days_wild = np.isfinite(returns), wild_share[:-1].sum()
    square = returns[is_there] ** 2
    shares = (1.0 - wild_share[is_there], wild_share[is_there])
    variance = [float((share * square).sum() / share.sum()) for share in shares]
    stay = (both_calm / (wild_share.size - 1 - days_wild), both_wild / days_wild)
    ordered = variance[0] <= variance[1]
    low, high = (0, 1) if ordered else (1, 0)
    kept = [min(max(float(share), 0.5), 0.999) for share in stay]
    return HiddenState(variance=(variance[low] + 1e-12, variance[high] + 1e-12), stay=(kept[low], kept[high]))
