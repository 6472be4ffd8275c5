"""A monotone map of each factor's rank, learnt from how often outcomes fell below stated levels.

Of N outcomes a share P(u) fell below the level u of their forecasts. The calibrated probability of that level is

    G(u) = (N P(u) + w u) / (N + w)

the posterior mean of a Dirichlet process around the identity that counts for w outcomes: no evidence, no change.
A scenario at level p moves to where the forecast has the level G⁻¹(p), so that its rank, and with it the joint
structure over factors, horizons and underlyings, stays. Between the knots the map is linear in normal scores
z = Φ⁻¹(level), beyond them it runs parallel to the identity.
Source: Kuleshov, Fenner & Ermon (2018) for the map; Ferguson (1973) for the shrinkage; Schefzik, Thorarinsdottir &
Gneiting (2013) for keeping ranks (ensemble copula coupling).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import ndtri

LEVELS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)
KNOTS = ndtri(np.array(LEVELS))

Shares = Float[ndarray, "level *cell"]
Images = Float[ndarray, "*cell level"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankMap:
    """Where each knot's normal score goes, at some horizons (hours), for each underlying and factor."""

    horizons: Float[ndarray, " horizon"]
    images: Float[ndarray, "horizon underlying factor level"]

    def at(self, hours: Float[ndarray, " asked"]) -> Float[ndarray, "asked underlying factor level"]:
        """Images at other horizons: linear in ln h between the known ones, the nearest one outside."""
        known, asked = np.log(self.horizons), np.log(hours)
        above = np.clip(np.searchsorted(known, asked), 1, max(known.size - 1, 1))
        if known.size == 1:
            return np.repeat(self.images, asked.size, axis=0)
        share = np.clip((asked - known[above - 1]) / (known[above] - known[above - 1]), 0.0, 1.0)[:, None, None, None]
        between: ndarray = (1.0 - share) * self.images[above - 1] + share * self.images[above]
        return between

    def applied(
        self, increments: Float[ndarray, "scenario horizon underlying factor"], hours: Float[ndarray, " horizon"]
    ) -> Float[ndarray, "scenario horizon underlying factor"]:
        """Equally weighted scenarios with every value moved to its calibrated level, ranks kept."""
        images, n = self.at(hours), len(increments)
        score = ndtri((np.arange(n) + 0.5) / n)
        moved = np.empty(increments.shape)
        for cell in np.ndindex(increments.shape[1:]):
            values = increments[:, *cell]
            order = np.argsort(values, kind="stable")
            moved[order, *cell] = quantiles_at(values[order], score, mapped(score, images[cell]))
        return moved


def shares_below(levels: Float[ndarray, "outcome *cell"]) -> Shares:
    """Share of the outcomes whose level (rank in the forecast, within 0 and 1) is at most each of `LEVELS`.

    >>> shares_below(np.array([0.04, 0.96]))[[0, 1, 11, 12]].tolist()
    [0.0, 0.5, 0.5, 1.0]
    """
    return np.stack([(levels <= level).mean(axis=0) for level in LEVELS])


def shrunk(shares: Shares, centre: Shares, *, outcomes: float, prior: float) -> Shares:
    """(N P + w c) / (N + w), of N outcomes and a centre that counts for w.

    >>> float(shrunk(np.array([0.2]), np.array([0.1]), outcomes=30.0, prior=10.0)[0])
    0.175
    """
    mixed: Shares = (outcomes * shares + prior * centre) / (outcomes + prior)
    return mixed


def images(calibrated: Shares) -> Images:
    """G⁻¹ at `KNOTS` in normal scores, given G at `LEVELS`; G must increase strictly.

    >>> bool(np.allclose(images(np.array(LEVELS)), KNOTS))
    True
    """
    score = ndtri(np.moveaxis(calibrated, 0, -1))
    made = np.empty(score.shape)
    for cell in np.ndindex(score.shape[:-1]):
        made[cell] = _through(KNOTS, score[cell], KNOTS)
    return made


def mapped(score: Float[ndarray, " scenario"], image: Float[ndarray, " level"]) -> Float[ndarray, " scenario"]:
    """Normal scores under the map that sends `KNOTS` to `image`.

    >>> mapped(np.array([-9.0, 0.0]), KNOTS + 1.0).tolist()
    [-8.0, 1.0]
    """
    return _through(score, KNOTS, image)


def _through(score: ndarray, source: ndarray, image: ndarray) -> ndarray:
    """Linear between the knots, parallel to the identity beyond them."""
    inside = np.interp(score, source, image)
    return inside + np.minimum(score - source[0], 0.0) + np.maximum(score - source[-1], 0.0)


def quantiles_at(
    ordered: Float[ndarray, " scenario"], score: Float[ndarray, " scenario"], wanted: Float[ndarray, " asked"]
) -> Float[ndarray, " asked"]:
    """Values of a sorted sample at other normal scores than its own.

    Beyond the sample its ends are carried on by the slope between the median and that end.

    >>> quantiles_at(np.array([-1.0, 0.0, 1.0]), np.array([-1.0, 0.0, 1.0]), np.array([-2.0, 0.5])).tolist()
    [-2.0, 0.5]
    """
    inside = np.interp(wanted, score, ordered)
    if score.size == 1:
        return inside
    middle = float(np.interp(0.0, score, ordered))
    low, high = (ordered[0] - middle) / score[0], (ordered[-1] - middle) / score[-1]
    return inside + low * np.minimum(wanted - score[0], 0.0) + high * np.maximum(wanted - score[-1], 0.0)


def identity(underlyings: int, factors: int) -> Float[ndarray, "1 underlying factor level"]:
    """Images that move nothing."""
    return np.broadcast_to(KNOTS, (1, underlyings, factors, KNOTS.size)).copy()
