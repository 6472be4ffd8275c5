"""What a finite number of scenarios leaves open: standard errors of means, probabilities, quantiles and tail means.

Scenarios of weight wᵢ that are drawn independently count as n = 1/Σwᵢ² equal ones. Draws that are balanced over the
past, as those of the forecasters are, or stratified, err by less: these figures are then an upper bound. They say
nothing of whether the forecaster's law is the right one.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.errors import InputError
from greekdrift.score import quantile

Samples = Float[ndarray, "scenario *cell"]
Weights = Float[ndarray, " scenario"]
Cells = Float[ndarray, "*cell"]


def effective_number(weights: Weights) -> float:
    """Number of equally weighted scenarios that say as much, 1/Σw².

    >>> effective_number(np.full(4, 0.25))
    4.0
    """
    return 1.0 / float(np.sum(weights**2))


def mean_error(samples: Samples, weights: Weights) -> Cells:
    """Standard error of the weighted mean, √(Σ wᵢ² (xᵢ − x̄)² n/(n − 1)); 0 for a single scenario.

    >>> mean_error(np.array([0.0, 2.0]), np.array([0.5, 0.5])).item()
    1.0
    """
    n = effective_number(weights)
    away = samples - np.tensordot(weights, samples, axes=1)
    correction = n / (n - 1.0) if n > 1.0 else 0.0
    return np.sqrt(np.tensordot(weights**2, away**2, axes=1) * correction)


def probability_error(probability: Cells, weights: Weights) -> Cells:
    """Standard error of the share of scenarios in which something happens.

    √(p̃ (1 − p̃) / (n + 2)) with p̃ = (n p + 1)/(n + 2), so that it is not 0 where it happened in none or in all of
    them. Source: the standard deviation of the Beta posterior from a flat prior, but for n + 3 (Laplace's rule).

    >>> probability_error(np.array([0.0, 0.5]), np.full(98, 1.0 / 98.0)).round(4)
    array([0.0099, 0.05  ])
    """
    n = effective_number(weights)
    drawn_in = (n * np.asarray(probability) + 1.0) / (n + 2.0)
    return np.sqrt(drawn_in * (1.0 - drawn_in) / (n + 2.0))


def quantile_errors(samples: Samples, weights: Weights, levels: Sequence[float]) -> Float[ndarray, "level *cell"]:
    """Standard errors of quantiles: how far each moves as its level moves by δ = √(p (1 − p)/n) to either side.

    δ (Q(p₂) − Q(p₁)) / (p₂ − p₁) with p₁,₂ = p ∓ δ, kept within the outermost samples; free of any density. In the
    outermost 1/n it cannot see beyond the largest sample and is too small. Source: Woodruff (1952).

    >>> quantile_errors(np.arange(10_000.0) / 1e4, np.full(10_000, 1e-4), [0.5]).round(4)
    array([0.005])
    """
    n, wanted = effective_number(weights), np.asarray(levels, dtype=np.float64)
    step = np.sqrt(wanted * (1.0 - wanted) / n)
    edge = min(1.0 / (n + 1.0), 0.5)
    low, high = (np.clip(wanted + side * step, edge, 1.0 - edge) for side in (-1.0, 1.0))
    least, most = np.split(quantile(samples, np.concatenate([low, high]), weights=weights), 2)
    per_level = np.divide(step, high - low, out=np.zeros_like(step), where=high > low)
    return (most - least) * per_level.reshape(-1, *[1] * (samples.ndim - 1))


def expected_shortfall(samples: Samples, weights: Weights, *, level: float = 0.95) -> Cells:
    """Mean of the lowest 1 − `level` of the samples, the last one counting by the part that is needed; signed.

    (1/α) [Σ_{i<k} w₍ᵢ₎ x₍ᵢ₎ + (α − Σ_{i<k} w₍ᵢ₎) x₍ₖ₎],  α = 1 − level

    For a P&L it is what the worst cases bring on average, a negative number where they lose. Of a quantity whose high
    side is the bad one, such as a margin, it is minus that of minus the samples. Source: Rockafellar & Uryasev (2002).

    >>> expected_shortfall(np.arange(10.0), np.full(10, 0.1), level=0.75).round(12).item()
    0.8
    """
    share = _tail(level)
    order = np.argsort(samples, axis=0, kind="stable")
    value, weight = np.take_along_axis(samples, order, axis=0), weights[order]
    before = np.cumsum(weight, axis=0) - weight
    counted = np.clip(share - before, 0.0, weight)
    return np.sum(counted * value, axis=0) / np.sum(counted, axis=0)


def shortfall_error(samples: Samples, weights: Weights, *, level: float = 0.95) -> Cells:
    """Standard error of `expected_shortfall`: that of the mean of (x − q) 1{x < q} / α, q the quantile at α.

    Source: Manistre & Hancock (2005). Where fewer than a few samples lie in the tail it is too small.
    """
    share = _tail(level)
    edge = quantile(samples, share, weights=weights)[0]
    return mean_error(np.minimum(samples - edge, 0.0) / share, weights)


def _tail(level: float) -> float:
    if not 0.0 < level < 1.0:
        raise InputError(f"an expected shortfall at level {level:g}: give a level between 0 and 1, such as 0.95.")
    return 1.0 - level
