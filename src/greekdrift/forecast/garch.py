"""Filtered historical simulation with a GARCH scale of each return: what everybody's package would do.

Variance of a base step, e the return of a step of Δ hours brought to the base step δ:  e = r / √(Δ/δ)

    h₁ = ω + α e² + γ e² 1[e < 0] + β h         after a step of δ
    h' = h + (Δ/δ) (h₁ − h)                     after a shorter one
    h' = V + p^(Δ/δ − 1) (h₁ − V)               after a longer one,  p = α + γ/2 + β,  V the mean square of the returns

so that a long step forgets, and a hole starts again at V. Parameters of each underlying are those
that `arch` finds (GJR or plain, Student t); the recursion along paths is our own, because arch knows neither
irregular steps nor joint paths, and is tested equal to arch's filter where steps are even. The other factors keep
an exponential average of themselves; shapes are the joint residuals of the past.
Source: Glosten, Jagannathan & Runkle (1993); Barone-Adesi, Giannopoulos & Vosper (1999). Units: variances per step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from greekdrift.book import Scenarios
from greekdrift.errors import CalculationError, DataError
from greekdrift.features.history import Panel
from greekdrift.forecast.econometric import Residuals, standardised
from greekdrift.forecast.forecaster import checked_asked, checked_origin, scenarios
from greekdrift.forecast.memory import memory, moves
from greekdrift.forecast.scale import Scale
from greekdrift.forecast.steps import path_of_steps, steps

LEAST_STEPS = 50
SMALLEST = 1e-16
PERSISTENCE = (0.01, 0.9999)
"""Bounds of p."""

Variances = Float[ndarray, "... underlying"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GarchLaw:
    """Parameters of each underlying, variances per base step of `step_hours`."""

    step_hours: float
    omega: Float[ndarray, " underlying"]
    alpha: Float[ndarray, " underlying"]
    gamma: Float[ndarray, " underlying"]
    beta: Float[ndarray, " underlying"]
    long_run: Float[ndarray, " underlying"]

    @property
    def persistence(self) -> Float[ndarray, " underlying"]:
        """p, between the bounds."""
        return np.clip(self.alpha + 0.5 * self.gamma + self.beta, *PERSISTENCE)

    def after(self, variance: Variances, moved: Variances, hours: float | ndarray) -> Variances:
        """Variance of the next base step once the return has `moved` within some hours; NaN only relaxes.

        >>> one, tenth, most, none = (np.array([value]) for value in (1.0, 0.1, 0.8, 0.0))
        >>> law = GarchLaw(step_hours=6.0, omega=one, alpha=tenth, gamma=none, beta=most, long_run=one)
        >>> law.after(np.array([10.0]), np.array([10.0]), 6.0)
        array([19.])
        """
        ratio = np.asarray(hours / self.step_hours)
        news = np.where(np.isfinite(moved), moved**2 / ratio, np.nan)
        kick = (self.alpha + self.gamma * (moved < 0.0)) * news
        expected = (self.alpha + 0.5 * self.gamma) * variance
        updated = self.omega + np.where(np.isfinite(news), kick, expected) + self.beta * variance
        partly = variance + np.minimum(ratio, 1.0) * (updated - variance)
        fade = self.persistence ** np.maximum(ratio - 1.0, 0.0)
        relaxed: Variances = self.long_run + fade * (partly - self.long_run)
        return relaxed

    def filtered(
        self,
        returns: Float[ndarray, "row underlying"],
        hours: Float[ndarray, " row"],
        is_new: Bool[ndarray, " row"],
    ) -> Float[ndarray, "row underlying"]:
        """Variance of the base step that starts at each row, known with it; V at the first row and after a hole."""
        variance = np.empty(returns.shape)
        for row, moved in enumerate(returns):
            is_start = row == 0 or is_new[row]
            variance[row] = self.long_run if is_start else self.after(variance[row - 1], moved, hours[row])
        return variance


def fitted(
    returns: Float[ndarray, "step underlying"], *, step_hours: float, asymmetric: bool, underlyings: tuple[str, ...]
) -> GarchLaw:
    """Student t GARCH(1,1) of each column by `arch`; returns are those of a base step, mean zero.

    A return that never moves has the smallest variance there is, for ever.
    """
    if len(returns) < LEAST_STEPS:
        raise DataError(
            f"{len(returns)} complete steps; a GARCH law needs {LEAST_STEPS}: give a longer panel or use fhs."
        )
    found = [_one(column, name, asymmetric=asymmetric) for column, name in zip(returns.T, underlyings, strict=True)]
    omega, alpha, gamma, beta = np.array(found).T
    return GarchLaw(
        step_hours=step_hours,
        omega=omega,
        alpha=alpha,
        gamma=gamma,
        beta=beta,
        long_run=np.mean(returns**2, axis=0) + SMALLEST,
    )


def _one(values: Float[ndarray, " step"], name: str, *, asymmetric: bool) -> tuple[float, float, float, float]:
    size = float(np.sqrt(np.mean(values**2)))
    if size**2 <= SMALLEST:
        return SMALLEST, 0.0, 0.0, 0.0
    try:
        from arch.univariate import GARCH, StudentsT, ZeroMean  # noqa: PLC0415
    except ImportError as problem:
        raise DataError("a GARCH law is fitted by the package arch; install greekdrift[data].") from problem
    model = ZeroMean(
        values / size, volatility=GARCH(p=1, o=int(asymmetric), q=1), distribution=StudentsT(), rescale=False
    )
    found = model.fit(disp="off", show_warning=False).params
    law = tuple(float(found.get(key, 0.0)) for key in ("omega", "alpha[1]", "gamma[1]", "beta[1]"))
    if not np.all(np.isfinite(law)) or law[0] < 0.0:
        raise CalculationError(f"no GARCH law fits the returns of {name}: {law}; use fhs with another scale.")
    omega, alpha, gamma, beta = law
    return max(omega, SMALLEST) * size**2, alpha, gamma, beta


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GarchPredictor:
    """GARCH law of the returns, scale of the other factors, joint residuals."""

    kind: ClassVar[str] = "garch"

    name: str
    underlyings: tuple[str, ...]
    factors: tuple[str, ...]
    law: GarchLaw
    scale: Scale
    residuals: Residuals

    def predict(self, history: Panel, *, horizons: Sequence[float], n: int, seed: int) -> Scenarios:
        """`n` paths from the last row of the history."""
        hours = checked_asked(horizons, n=n, seed=seed)
        checked_origin(history, underlyings=self.underlyings, factors=self.factors)
        lengths, arrivals = path_of_steps(hours, self.scale.clock.step_hours)
        drawn = self.residuals.draw(n=n, length=lengths.size, random=np.random.default_rng(seed))
        walked = self._walked(history, drawn, lengths)[:, arrivals - 1]
        return scenarios(history, walked, horizons=hours, name=self.name, seed=seed)

    def _walked(self, history: Panel, residuals: ndarray, lengths: ndarray) -> ndarray:
        """Increments since the last row of a history after each step of each path; both scales follow the path."""
        forward, clock = self.scale.forward, self.scale.clock
        past = memory(moves(history), clock.memories, last_only=True).repeated(len(residuals))
        variance = np.repeat(_variances(self.law, history, forward)[-1:], len(residuals), axis=0)
        state, moment = np.repeat(history.state[-1:], len(residuals), axis=0), history.as_of[-1:]
        origin, walked = state, np.empty(residuals.shape)
        for at, length in enumerate(lengths):
            size = self.scale.at(past, state, moment)
            size[..., forward] = np.sqrt(variance)
            step = residuals[:, at] * size * np.sqrt(length / clock.step_hours)
            state = state + step
            walked[:, at] = state - origin
            past = past.after(step, float(length), clock.memories)
            variance = self.law.after(variance, step[..., forward], float(length))
        return walked


def _variances(law: GarchLaw, panel: Panel, forward: int) -> Float[ndarray, "row underlying"]:
    made = moves(panel)
    return law.filtered(made.values[..., forward], made.length, panel.is_after_hole)


@dataclass(frozen=True, slots=True, kw_only=True)
class Garch:
    """Filtered historical simulation whose return has a GARCH scale: GJR, or symmetric GARCH(1,1).

    The other factors have an exponential average of their own over `own_steps` steps. Blocks have `mean_block` steps
    on average.
    """

    invariances: ClassVar[tuple[str, ...]] = ("level", "scale", "permutation")

    asymmetric: bool = True
    own_steps: float = 16.0
    mean_block: float = 4.0

    @property
    def name(self) -> str:
        """`fhs:gjr` or `fhs:garch`."""
        return "fhs:gjr" if self.asymmetric else "fhs:garch"

    def fit(self, panel: Panel) -> GarchPredictor:
        """The law of each return on all complete base steps, then the joint residuals."""
        base = steps(panel)
        scale, values = standardised(panel, base, kind="ewma", flat=False, own_steps=self.own_steps)
        forward, root = scale.forward, np.sqrt(base.elapsed / panel.step_hours)[:, None]
        returns = base.values[..., forward] / root
        law = fitted(returns, step_hours=panel.step_hours, asymmetric=self.asymmetric, underlyings=panel.underlyings)
        filtered = returns / np.sqrt(_variances(law, panel, forward)[base.origin])
        values = values.copy()
        values[..., forward] = filtered - filtered.mean(axis=0)
        residuals = Residuals(
            values=values,
            size=np.sqrt(np.mean(values**2, axis=0)) + 1e-16,
            following=base.following,
            mean_block=self.mean_block,
            is_pooled=False,
        )
        return GarchPredictor(
            name=self.name,
            underlyings=panel.underlyings,
            factors=panel.factors,
            law=law,
            scale=scale,
            residuals=residuals,
        )
