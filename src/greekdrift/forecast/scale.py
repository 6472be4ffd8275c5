"""Today's scale of every factor: how large the next step is expected to be, before its shape is drawn.

Return, per hour, a log-HAR with exponential windows, implied level and leverage ("hari"):
    ln h = ln V₃ + β₀ + β₁ ln(V₁/V₃) + β₂ ln(V₂/V₃) + β₃ ln(σ²/V₃) + β₄ bad₁ + β₅ bad₂ [+ calendar ("haris")]
V₁, V₂, V₃ are the variances an hour remembered for a day, a week and a month, σ² the implied one, bad = news / √(V₃ τ)
where negative, all differences clipped at ±3. "harit" adds the slope of the short end, 2 ln(σ_front/σ), to both: where
options expire every day, their implied volatility knows weekends and events. "front" has the columns of "harit" but
starts at h = σ_front², what the market says of the next day, and leaves it slowly: its constant too is shrunk, to 0.
None has a unit, so every underlying shares the coefficients. "ewma" is h = exponential average with decay 0.94 a step
(RiskMetrics 1996).
The other factors: the exponential average of themselves, or (flat) a constant times the square root of the
return's scale.

Coefficients maximise the likelihood of Student's t with 4 degrees of freedom, which is concave in them, minus a
penalty towards `PRIOR`; the constant is then set so that residuals have variance 1 (that of "front" part of the way
only, and its residuals are brought there). The shape of what remains is not t but whatever the residuals show.
Source: Corsi (2009), Corsi & Renò (2012), Bollerslev et al. (2018). Units: variances per hour, scales per base step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Shaped
from numpy import ndarray
from scipy.optimize import minimize

from greekdrift.errors import DataError, InputError, nearest
from greekdrift.features.calendar import hours_since_thursday, weekend_share
from greekdrift.features.history import Panel
from greekdrift.forecast.memory import Memory

Kind = Literal["ewma", "hari", "haris", "harit", "front"]
KINDS: tuple[Kind, ...] = ("ewma", "hari", "haris", "harit", "front")
SLOPED: tuple[Kind, ...] = ("harit", "front")
"""Kinds with the slope of the short end among their regressors."""
ANCHORED: tuple[Kind, ...] = ("front",)
"""Kinds whose constant is shrunk to 0, so that their residuals are brought to variance 1 by themselves."""

DAY, WEEK, MONTH, OWN, RISKMETRICS = range(5)
EWMA_DECAY = 0.94
CLIP = 3.0
FREEDOM = 4.0
PRIOR: Mapping[Kind, tuple[float, ...]] = {
    "hari": (0.0, 0.15, 0.45, 0.35, -0.12, -0.30),
    "haris": (0.0, 0.15, 0.45, 0.35, -0.12, -0.30, -1.1, -0.3, -0.1),
    "harit": (0.0, 0.10, 0.10, 0.80, -0.05, -0.20, 1.0, -0.3, -0.1, -0.1),
    "front": (0.0, 0.0, 0.0, 1.0, 0.0, -0.20, 1.0, -0.3, -0.1, -0.1),
}
"""Where the coefficients start. "hari" and "haris": BTC and ETH, six-hour steps, 2022 to June 2025, with BTC's DVOL.
"harit": the front variance is what the market expects next, one for one, weekends mostly included. "front": nothing
but that, for a fall of the last week and the hours within the day."""
PRIOR_DAYS = 100.0
ANCHOR_DAYS = 400.0
"""Days of one underlying that the prior counts for; of the anchored kinds."""
IMPLIED_FACTORS = ("atm_7", "atm_14", "atm_30")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clockwork:
    """What the scale must know of a panel's time: base step, hours a year, windows, whether the calendar counts."""

    step_hours: float
    hours_per_year: float
    memories: Float[ndarray, " tau"]
    has_calendar: bool

    @classmethod
    def of(cls, panel: Panel, *, own_steps: float) -> "Clockwork":
        """Windows of a day, a week and a month (1, 5, 22 sessions), and `own_steps` for the other factors."""
        is_elapsed = panel.clock == "elapsed"
        days = (1.0, 7.0, 30.0) if is_elapsed else (1.0, 5.0, 22.0)
        riskmetrics = -panel.step_hours / np.log(EWMA_DECAY)
        own = own_steps * panel.step_hours
        return cls(
            step_hours=panel.step_hours,
            hours_per_year=panel.hours_per_year,
            memories=np.array([*(24.0 * day for day in days), own, riskmetrics]),
            has_calendar=is_elapsed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the factors stand that the return's scale is made of; `front` is the shortest at-the-money pillar."""

    forward: int
    implied: int
    front: int

    @classmethod
    def of(cls, panel: Panel) -> "Places":
        """Their places in a panel; one without forward and implied volatility is refused."""
        names = panel.factors
        implied = next((name for name in IMPLIED_FACTORS if name in names), None)
        if "forward" not in names or implied is None:
            raise DataError(
                f"a scale needs the factors forward and atm_7 (or atm_14, atm_30); {list(names)} are given."
            )
        front = min((name for name in names if name.startswith("atm_")), key=lambda name: float(name[4:]))
        return cls(forward=names.index("forward"), implied=names.index(implied), front=names.index(front))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scale:
    """A fitted law of the scale; `long_run` is the mean variance an hour of each factor in the training window."""

    kind: Kind
    is_flat: bool
    clock: Clockwork
    places: Places
    coefficients: Float[ndarray, " regressor"]
    long_run: Float[ndarray, "underlying factor"]

    @property
    def forward(self) -> int:
        """Place of the log price among the factors."""
        return self.places.forward

    def at(
        self, memory: Memory, state: Float[ndarray, "... underlying factor"], moment: Shaped[ndarray, "..."]
    ) -> Float[ndarray, "... underlying factor"]:
        """Standard deviation of each factor over the base step that starts at `moment` (datetime64)."""
        rate = variances(memory, self.clock.memories, self.long_run)
        own = rate[..., OWN, :, :]
        if self.kind == "ewma":
            hourly = rate[..., RISKMETRICS, :, self.forward]
        else:
            columns = regressors(self.kind, self.clock, self.places, rate, memory, state, moment)
            hourly = rate[..., MONTH, :, self.forward] * np.exp(columns @ self.coefficients)
        if self.is_flat:
            own = self.long_run * np.sqrt(hourly / self.long_run[:, self.forward])[..., None]
        variance = own.copy()
        variance[..., self.forward] = hourly
        return np.sqrt(variance * self.clock.step_hours)


def variances(
    memory: Memory, memories: Float[ndarray, " tau"], long_run: Float[ndarray, "underlying factor"]
) -> Float[ndarray, "... tau underlying factor"]:
    """Variance an hour of each memory, the shorter shrunk to the next longer one and the longest to the long run.

    A tenth of the window counts as prior: V₁ = (P₁ + τ₁/10 · V₂) / (M₁ + τ₁/10). So a fresh or torn history
    starts at the long run and never at zero.
    """
    rate = np.empty(np.broadcast_shapes(memory.power.shape, memory.mass.shape))
    for at, prior in ((MONTH, None), (WEEK, MONTH), (DAY, WEEK), (OWN, None), (RISKMETRICS, None)):
        weight = 0.1 * memories[at]
        centre = long_run if prior is None else rate[..., prior, :, :]
        power, mass = memory.power[..., at, :, :], memory.mass[..., at, :, :]
        rate[..., at, :, :] = (power + weight * centre) / (mass + weight)
    return rate


def regressors(
    kind: Kind,
    clock: Clockwork,
    places: Places,
    rate: ndarray,
    memory: Memory,
    state: ndarray,
    moment: ndarray,
) -> Float[ndarray, "... underlying regressor"]:
    """Columns of the log-HAR: constant, day, week and implied against the month, bad news twice, slope, calendar."""
    forward = places.forward
    month = rate[..., MONTH, :, forward]
    against = np.log(month)
    log_implied = 2.0 * state[..., places.implied] - np.log(clock.hours_per_year)
    columns = [
        np.ones(month.shape),
        np.log(rate[..., DAY, :, forward]) - against,
        np.log(rate[..., WEEK, :, forward]) - against,
        log_implied - against,
        np.minimum(memory.news[..., DAY, :, forward] / np.sqrt(month * clock.memories[DAY]), 0.0),
        np.minimum(memory.news[..., WEEK, :, forward] / np.sqrt(month * clock.memories[WEEK]), 0.0),
    ]
    if kind in SLOPED:
        columns.append(2.0 * (state[..., places.front] - state[..., places.implied]))
    if kind != "hari":
        columns += [np.broadcast_to(wave[..., None], month.shape) for wave in calendar_waves(clock, moment)]
    return np.clip(np.stack(columns, axis=-1), -CLIP, CLIP)


def calendar_waves(clock: Clockwork, moment: ndarray) -> tuple[ndarray, ndarray, ndarray]:
    """Weekend share of the step and the hour of the day at its middle; zero where rows are sessions."""
    flat = np.atleast_1d(moment)
    if not clock.has_calendar:
        nothing = np.zeros(np.shape(moment))
        return nothing, nothing, nothing
    angle = (hours_since_thursday(flat) + 0.5 * clock.step_hours) * (2.0 * np.pi / 24.0)
    waves = (weekend_share(flat, clock.step_hours), np.sin(angle), np.cos(angle))
    share, sine, cosine = (wave.reshape(np.shape(moment)) for wave in waves)
    return share, sine, cosine


def fit(
    panel: Panel, memory: Memory, *, kind: Kind, flat: bool, clock: Clockwork, origin: ndarray, target: ndarray
) -> Scale:
    """The scale that fits the steps from the rows `origin` to the rows `target`; `memory` has a row for each row."""
    if kind not in KINDS:
        raise InputError(f'no scale "{kind}"; {nearest(kind, KINDS)}')
    places = Places.of(panel)
    values = panel.state[target] - panel.state[origin]
    elapsed = (panel.hours[target] - panel.hours[origin])[:, None, None]
    long_run = np.mean(values**2 / elapsed, axis=0) + 1e-16
    coefficients = np.empty(0)
    if kind != "ewma":
        known = memory.rows(origin)
        rate = variances(known, clock.memories, long_run)
        columns = regressors(kind, clock, places, rate, known, panel.state[origin], panel.as_of[origin])
        squares = values[..., places.forward] ** 2 / elapsed[..., 0] / rate[..., MONTH, :, places.forward]
        days = ANCHOR_DAYS if kind in ANCHORED else PRIOR_DAYS
        coefficients = likeliest(columns, squares, prior=PRIOR[kind], prior_steps=days * 24.0 / clock.step_hours)
        anchor = days * 24.0 / clock.step_hours if kind in ANCHORED else 0.0
        coefficients[0] = _constant(columns, squares, coefficients, anchor_steps=anchor)
    return Scale(
        kind=kind,
        is_flat=flat,
        clock=clock,
        places=places,
        coefficients=coefficients,
        long_run=long_run,
    )


def _constant(columns: ndarray, squares: ndarray, coefficients: ndarray, *, anchor_steps: float) -> float:
    """Log mean square that the other coefficients leave, with `anchor_steps` steps of mean square 1 beside it."""
    fitted = columns @ coefficients
    if anchor_steps == 0.0:
        return float(coefficients[0] + np.log(np.mean(squares * np.exp(-fitted)) + 1e-12))
    left = np.sum(squares * np.exp(coefficients[0] - fitted))
    return float(np.log((left + anchor_steps) / (squares.size + anchor_steps)))


def likeliest(
    columns: Float[ndarray, "step underlying regressor"],
    squares: Float[ndarray, "step underlying"],
    *,
    prior: Sequence[float],
    prior_steps: float,
) -> Float[ndarray, " regressor"]:
    """Coefficients of ln variance that make the squares likeliest under t, shrunk to the prior.

    minimise Σ [½ η + (ν+1)/2 ln(1 + y e^{−η}/ν)] + ½ Σ_k w s_k² (β_k − prior_k)²,  η = xβ

    s_k is the root mean square of column k, w = `prior_steps`; the constant is free.
    Convex, because ln(1 + c e^{−η}) is.
    """
    centre = np.array(prior, dtype=np.float64)
    x, y = columns.reshape(-1, columns.shape[-1]), squares.ravel()
    weight = prior_steps * np.mean(x**2, axis=0)
    weight[0] = 1e-3

    def loss(beta: ndarray) -> tuple[float, ndarray]:
        eta = x @ beta
        pull = y * np.exp(-eta) / FREEDOM
        value = 0.5 * eta.sum() + 0.5 * (FREEDOM + 1.0) * np.log1p(pull).sum()
        slope = 0.5 - 0.5 * (FREEDOM + 1.0) * pull / (1.0 + pull)
        away = beta - centre
        return float(value + 0.5 * (weight * away**2).sum()), x.T @ slope + weight * away

    found = minimize(
        loss, centre, jac=True, method="L-BFGS-B", bounds=[(-20.0, 20.0)] + [(-3.0, 3.0)] * (centre.size - 1)
    )
    return np.asarray(found.x, dtype=np.float64)
