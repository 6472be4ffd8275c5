"""Whether stated probabilities happen as often as stated: coverage, PIT, reliability."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from numpy.typing import ArrayLike

from greekdrift.errors import InputError
from greekdrift.score.rules import quantile
from greekdrift.score.samples import Cells, cells, events, finite, probabilities, shares

LEVELS = (0.50, 0.80, 0.95)


def central_interval(samples: ArrayLike, *, level: float, weights: ArrayLike | None = None) -> tuple[Cells, Cells]:
    """The two quantiles that leave (1 − level)/2 of the probability on either side.

    >>> lower, upper = central_interval(range(1, 100), level=0.8)
    >>> round(float(lower), 9), round(float(upper), 9)
    (10.0, 90.0)
    """
    tail = 0.5 * (1.0 - level)
    lower, upper = quantile(samples, (tail, 1.0 - tail), weights=weights)
    return lower, upper


def coverage(lower: ArrayLike, upper: ArrayLike, observed: ArrayLike) -> float:
    """Share of the observations inside their interval, ends included.

    >>> coverage([0.0, 0.0], [1.0, 1.0], [0.5, 2.0])
    0.5
    """
    low, high, seen = finite(lower, "lower"), finite(upper, "upper"), finite(observed, "observed")
    if seen.size == 0:
        raise InputError("coverage: there are no observations.")
    return float(np.mean((low <= seen) & (seen <= high)))


def pit(samples: ArrayLike, observed: ArrayLike, *, weights: ArrayLike | None = None) -> tuple[Cells, Cells]:
    """Probability integral transform of a sample without randomisation: the interval [P(X < y), P(X ≤ y)].

    Of n samples and the observation every order is equally likely under the truth, so the observation takes
    one of the n + 1 gaps: [(#x < y)/(n+1), (1 + #x ≤ y)/(n+1)], its unit mass spread evenly over it.
    Source: Czado, Gneiting & Held (2009), section 2. With weights n is the effective number 1/Σw².

    >>> lower, upper = pit([1.0, 2.0, 3.0], 2.5)
    >>> float(lower), float(upper)
    (0.5, 0.75)
    """
    drawn, seen = cells(samples, observed)
    weight = shares(weights, len(drawn))
    size = 1.0 / float(np.sum(weight**2))
    below, upto = (
        np.clip(np.tensordot(weight, is_there, axes=1), 0.0, 1.0) for is_there in (drawn < seen, drawn <= seen)
    )
    return below * size / (size + 1.0), (upto * size + 1.0) / (size + 1.0)


def pit_histogram(lower: ArrayLike, upper: ArrayLike, *, bins: int = 10) -> Float[ndarray, " bin"]:
    """Share of the unit mass of all PIT intervals in each of equal bins; flat at 1/bins when calibrated.

    Source: Czado, Gneiting & Held (2009), eq. 2.

    >>> pit_histogram([0.0], [1.0], bins=4).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    low, high = np.ravel(probabilities(lower, "lower")), np.ravel(probabilities(upper, "upper"))
    if low.size == 0 or np.any(high <= low):
        raise InputError("PIT histogram: every interval needs a positive length; pass what `pit` returned.")
    edges = np.linspace(0.0, 1.0, bins + 1)[:, None]
    mass_below = np.clip((edges - low) / (high - low), 0.0, 1.0).mean(axis=1)
    return np.diff(mass_below)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reliability:
    """Forecast probability beside observed frequency, by bin of equal width; empty bins are left out."""

    forecast: Float[ndarray, " bin"]
    frequency: Float[ndarray, " bin"]
    count: Int[ndarray, " bin"]

    @property
    def calibration_error(self) -> float:
        """Expected calibration error: Σ count |frequency − forecast| / Σ count."""
        return float(np.average(np.abs(self.frequency - self.forecast), weights=self.count))


def reliability(probability: ArrayLike, outcome: ArrayLike, *, bins: int = 10) -> Reliability:
    """Reliability diagram of event forecasts. Source: Murphy & Winkler (1977).

    >>> diagram = reliability([0.1, 0.1, 0.9, 0.9], [0, 0, 1, 1], bins=2)
    >>> diagram.frequency.tolist(), round(diagram.calibration_error, 12)
    ([0.0, 1.0], 0.1)
    """
    chance, event = np.ravel(probabilities(probability, "probability")), np.ravel(events(outcome))
    if chance.shape != event.shape or chance.size == 0:
        raise InputError(f"reliability: {chance.size} probabilities for {event.size} outcomes.")
    at = np.minimum((chance * bins).astype(np.int64), bins - 1)
    count = np.bincount(at, minlength=bins)
    used = count > 0
    forecast = np.bincount(at, weights=chance, minlength=bins)[used] / count[used]
    frequency = np.bincount(at, weights=event, minlength=bins)[used] / count[used]
    return Reliability(forecast=forecast, frequency=frequency, count=count[used])
