"""The conditional mean of the state's factors: shrunk regressions on few scale-free numbers known at the origin.

For each factor f but the forward, and each horizon h,

    E[x_f(t+h) − x_f(t)] = s_kind,h Σ_k β_f,h,k r_k(t)

    r: gaps of a day, a week and a month (exponential average less the level), slopes of the front and of the back of
       the term structure, return and fall of the last day in implied deviations, implied over remembered variance,
       weekend within the horizon; two waves: hour of the day, or on sessions the days to the next monthly expiry

β is a ridge regression over all underlyings, weighted by 1/σ_f(t)², where `PRIOR_ROWS` rows of nothing stand against
the data (columns at unit mean square). How many, and how much of it to trust (s, by kind of factor and horizon), is
told by an inner walk-forward: refits on a growing past, judged on the block that follows. s is 0 unless the squared
error falls by `NEEDED_GAIN` standard errors over blocks of twice the longest horizon. So a month of chains is given
no mean, and decades of an index are. The forward has none: a learned drift of the price is not to be traded on.

Timing: every target that is learnt from was known with the last row of the panel. Source: Hoerl & Kennard (1970) for
ridge; Campa & Chang (1995), Cont & da Fonseca (2002) for the reversion of volatilities and of surface factors. Units:
the state's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray

from greekdrift.features.calendar import days_to_third_friday, hours_since_thursday, weekend_share
from greekdrift.features.history import Panel
from greekdrift.forecast.inputs import KINDS, kinds
from greekdrift.forecast.memory import Memory, Recall, memory, moves
from greekdrift.forecast.scale import DAY, MONTH, OWN, WEEK, Clockwork, Places, variances

REGRESSORS = (
    *("gap_day", "gap_week", "gap_month", "front_slope", "back_slope"),
    *("return", "fall", "premium", "weekend", "wave_sin", "wave_cos", "constant"),
)
WEEKEND = REGRESSORS.index("weekend")
"""The only one that the horizon has a say in."""
CLIP = 4.0
PRIOR_ROWS = (300.0, 1000.0, 3000.0)
SHARES = (0.25, 0.5, 0.75, 1.0)
NEEDED_GAIN = 2.0
LEAST_BLOCKS = 5
TINY = 1e-300
FIRST_SHARE = 0.3
"""The first inner fit sees this share of the rows."""
DAYS_PER_MONTH = 30.44
LEAST_SIZE = 0.3
"""A factor's own scale counts for at least this share of its long-run one, so that no quiet day decides a fit."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """What the regressors need to know of a panel: its time, its factors, its long-run variances an hour."""

    clock: Clockwork
    places: Places
    back: int
    month_tenor: int
    long_run: Float[ndarray, "underlying factor"]

    @classmethod
    def of(cls, panel: Panel, *, own_steps: float = 16.0) -> "Frame":
        """The frame of a panel; `own_steps` is how long a factor's own scale remembers."""
        levels = [(float(name[4:]), at) for at, name in enumerate(panel.factors) if name.startswith("atm_")]
        places, changed = Places.of(panel), moves(panel)
        squares = changed.values**2 / np.where(changed.length > 0.0, changed.length, np.nan)[:, None, None]
        seen = np.isfinite(squares)
        return cls(
            clock=Clockwork.of(panel, own_steps=own_steps),
            places=places,
            back=max(levels)[1],
            month_tenor=min(levels, key=lambda level: abs(np.log(level[0] / 30.0)))[1],
            long_run=np.where(seen, squares, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1) + 1e-16,
        )

    def size(self, past: Memory) -> Float[ndarray, "row underlying factor"]:
        """Standard deviation of each factor over a base step, from its own last moves."""
        rate = variances(past, self.clock.memories, self.long_run)[..., OWN, :, :]
        return np.sqrt(np.maximum(rate, LEAST_SIZE**2 * self.long_run) * self.clock.step_hours)

    def regressors(
        self,
        past: Memory,
        state: Float[ndarray, "row underlying factor"],
        moment: Shaped[ndarray, " row"],
        hours: float,
    ) -> Float[ndarray, "row underlying factor regressor"]:
        """`REGRESSORS` at some rows for a horizon in hours, each clipped at ±4."""
        rate = variances(past, self.clock.memories, self.long_run)
        forward, middle = self.places.forward, state[..., self.month_tenor]
        implied = 2.0 * state[..., self.places.implied] - np.log(self.clock.hours_per_year)
        news = past.news[..., DAY, :, forward] * np.exp(-0.5 * implied) / np.sqrt(self.clock.memories[DAY])
        shared = [
            middle - state[..., self.places.front],
            state[..., self.back] - middle,
            news,
            np.minimum(news, 0.0),
            0.5 * (implied - np.log(rate[..., MONTH, :, forward])),
            *(np.broadcast_to(wave[:, None], news.shape) for wave in calendar(self.clock, moment, hours)),
            np.ones(news.shape),
        ]
        gaps = [-past.news[..., at, :, :] for at in (DAY, WEEK, MONTH)]
        columns = [*gaps, *(np.broadcast_to(one[..., None], state.shape) for one in shared)]
        return np.clip(np.stack(columns, axis=-1), -CLIP, CLIP)


def calendar(
    clock: Clockwork, moment: Shaped[ndarray, " row"], hours: float
) -> tuple[Float[ndarray, " row"], Float[ndarray, " row"], Float[ndarray, " row"]]:
    """Weekend within the horizon, less the usual, and two waves: of the day, on sessions of the monthly expiries.

    On sessions the weekend is the number of weekends that are crossed: a horizon of one session has 1 on a Friday.
    """
    if clock.has_calendar:
        angle = hours_since_thursday(moment) * (2.0 * np.pi / 24.0)
        return weekend_share(moment, hours) - 2.0 / 7.0, np.sin(angle), np.cos(angle)
    sessions = round(hours / clock.step_hours)
    weekday = np.minimum(np.mod(np.floor(hours_since_thursday(moment) / 24.0) + 3.0, 7.0), 4.0)
    angle = days_to_third_friday(moment) * (2.0 * np.pi / DAYS_PER_MONTH)
    return np.floor_divide(weekday + sessions, 5.0) - sessions / 5.0, np.sin(angle), np.cos(angle)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeanRegression:
    """Fitted means.

    `coefficients` are already multiplied by what is trusted of them; `explained` is the share of the variance that the
    trusted mean took away on later blocks, never negative. Both are of the trained `horizons` (hours).
    """

    frame: Frame
    horizons: Float[ndarray, " horizon"]
    coefficients: Float[ndarray, "horizon factor regressor"]
    explained: Float[ndarray, "horizon factor"]
    shares: Float[ndarray, "horizon kind"]

    def mean(
        self, history: Panel, hours: Float[ndarray, " asked"], *, recall: Recall | None = None
    ) -> Float[ndarray, "asked underlying factor"]:
        """Expected increments from the last row of a history over some horizons (hours).

        `recall` is of that history, where others need its sums too.
        """
        past = (recall or Recall(history)).at(self.frame.clock.memories).repeated(1)
        return self.expected(past, history.state[-1:], history.as_of[-1:], hours)[0]

    def expected(
        self,
        past: Memory,
        state: Float[ndarray, "row underlying factor"],
        moment: Shaped[ndarray, " row"],
        hours: Float[ndarray, " asked"],
    ) -> Float[ndarray, "row asked underlying factor"]:
        """Expected increments at some rows over some horizons (hours).

        Between trained horizons coefficients are linear in time, from 0 at once; beyond the last they stay.
        """
        made = np.zeros((len(state), hours.size, *state.shape[1:]))
        if not np.any(self.coefficients):
            return made
        every = _between(self.coefficients, self.horizons, hours)
        seen = self.frame.regressors(past, state, moment, float(hours[0]))
        for at, hour in enumerate(hours):
            weekend = calendar(self.frame.clock, moment, float(hour))[0]
            seen[..., WEEKEND] = np.clip(weekend, -CLIP, CLIP)[:, None, None]
            made[:, at] = np.einsum("rufk,fk->ruf", seen, every[at])
        return made

    def around(
        self,
        drawn: Float[ndarray, "*draw asked underlying factor"],
        usual: Float[ndarray, "*mean asked underlying factor"],
        centre: Float[ndarray, "*centre asked underlying factor"] | float,
        hours: Float[ndarray, " asked"],
    ) -> Float[ndarray, "*draw asked underlying factor"]:
        """Draws whose mean is `usual`, as much narrower as the mean explains and moved: w x + (1 − w) x̄ + centre."""
        width = self.width(hours)[:, None, :]
        made = width * drawn
        made += (1.0 - width) * usual + centre
        return made

    def width(self, hours: Float[ndarray, " asked"]) -> Float[ndarray, "asked factor"]:
        """What of the spread is left once the mean is known, √(1 − explained)."""
        return np.sqrt(1.0 - _between(self.explained, self.horizons, hours))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeanStart:
    """Means that were learnt elsewhere, without anything of the market there: what a later fit is shrunk to.

    Coefficients, explained variance and shares are those of a `MeanRegression`.
    """

    horizons: Float[ndarray, " horizon"]
    coefficients: Float[ndarray, "horizon factor regressor"]
    explained: Float[ndarray, "horizon factor"]
    shares: Float[ndarray, "horizon kind"]

    @classmethod
    def of(cls, means: MeanRegression) -> "MeanStart":
        """What some fitted means hand on."""
        return cls(**{field.name: getattr(means, field.name) for field in fields(cls)})


def _between(values: ndarray, horizons: ndarray, hours: ndarray) -> ndarray:
    """Linear in time from 0 at 0 h, constant beyond the last horizon."""
    times = np.concatenate([[0.0], horizons])
    padded = np.concatenate([np.zeros_like(values[:1]), values])
    at = np.minimum(np.searchsorted(times, hours, side="right") - 1, horizons.size - 1)
    part = np.minimum((hours - times[at]) / (times[at + 1] - times[at]), 1.0)
    part = part.reshape(-1, *(1 for _ in values.shape[1:]))
    made: ndarray = (1.0 - part) * padded[at] + part * padded[at + 1]
    return made


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """Weighted regressors and targets of one horizon, both divided by the size of the factor at the origin.

    `known` is the row with which a target was known; rows that are not complete are zero and count nothing.
    """

    origin: Int[ndarray, " row"]
    known: Int[ndarray, " row"]
    x: Float[ndarray, "row underlying factor regressor"]
    y: Float[ndarray, "row underlying factor"]
    towards: Float[ndarray, "factor regressor"]

    def until(self, row: int, priors: Sequence[float]) -> Float[ndarray, "prior factor regressor"]:
        """Ridge coefficients from the targets that were known with a row, against some rows of what is leant towards.

        Rows are the panel's: underlyings of one row move together and count as one.
        """
        seen = self.known <= row
        x = np.moveaxis(self.x[seen], 2, 0).reshape(self.x.shape[2], -1, len(REGRESSORS))
        y = np.moveaxis(self.y[seen], 2, 0).reshape(self.y.shape[2], -1, 1)
        turned = x.transpose(0, 2, 1)
        cross, pulled = turned @ x, turned @ y
        size = np.sqrt(np.einsum("fkk->fk", cross) / max(1, int(seen.sum())))[..., None]
        size = np.where(size > 0.0, size, 1.0)
        cross, pulled = cross / (size * size.transpose(0, 2, 1)), pulled / size
        against, leant = np.eye(len(REGRESSORS)), self.towards[..., None] * size
        return np.stack(
            [(np.linalg.solve(cross + rows * against, pulled + rows * leant) / size)[..., 0] for rows in priors]
        )


def fit(panel: Panel, horizons: Sequence[float], *, refits: int = 8, start: MeanStart | None = None) -> MeanRegression:
    """Means at some horizons (hours), trusted as far as an inner walk-forward of `refits` fits bears them out.

    With a `start` the means lean towards its own, at its horizons. What it trusts is trusted unless later blocks
    gainsay it, also where the panel is too short to say anything.

    >>> from greekdrift.features.history import example
    >>> panel = example(rows=300)
    >>> fitted = fit(panel, [6.0, 24.0])
    >>> fitted.mean(panel, np.array([24.0])).shape, bool(np.all(fitted.width(np.array([24.0])) <= 1.0))
    ((1, 1, 7), True)
    """
    frame, horizons = Frame.of(panel), tuple(horizons) if start is None else tuple(start.horizons)
    past = memory(moves(panel), frame.clock.memories)
    kind = kinds(panel.factors) * (np.arange(len(panel.factors)) != frame.places.forward)[:, None]
    count, factors = len(horizons), len(panel.factors)
    coefficients = np.zeros((count, factors, len(REGRESSORS)))
    explained, shares = np.zeros((count, factors)), np.zeros((count, len(KINDS)))
    for at, hours in enumerate(horizons):
        known = Leant.nothing(factors) if start is None else Leant.of(start, at, kind)
        sample = _sample(panel, frame, past, float(hours), towards=known.towards)
        prior, shares[at], gained = _trusted(panel, sample, kind, known, longest=max(horizons), refits=refits)
        fitted = sample.until(len(panel), PRIOR_ROWS)
        for number in np.flatnonzero(shares[at]):
            own = kind[:, number] > 0.0
            coefficients[at, own] = shares[at, number] * fitted[prior[number], own]
            explained[at, own] = gained[number]
    return MeanRegression(
        frame=frame,
        horizons=np.array(horizons, dtype=np.float64),
        coefficients=coefficients,
        explained=explained,
        shares=shares,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Leant:
    """What is known of the means of one horizon before the panel is looked at, by kind of factor."""

    towards: Float[ndarray, "factor regressor"]
    is_trusted: Bool[ndarray, " kind"]
    explained: Float[ndarray, " kind"]

    @classmethod
    def nothing(cls, factors: int) -> "Leant":
        """No start."""
        none = np.zeros(len(KINDS))
        return cls(towards=np.zeros((factors, len(REGRESSORS))), is_trusted=none > 0.0, explained=none)

    @classmethod
    def of(cls, start: MeanStart, at: int, kind: Float[ndarray, "factor kind"]) -> "Leant":
        """The horizon at a place of a start."""
        explained = (start.explained[at][:, None] * kind).max(axis=0)
        return cls(towards=start.coefficients[at], is_trusted=start.shares[at] > 0.0, explained=explained)


def _sample(
    panel: Panel, frame: Frame, past: Memory, hours: float, *, towards: Float[ndarray, "factor regressor"]
) -> Sample:
    """Regressors and targets of every origin of a horizon."""
    found = panel.increments(hours, tolerance_hours=0.25 * panel.step_hours)
    known = past.rows(found.origin)
    size = frame.size(known)
    x = frame.regressors(known, panel.state[found.origin], panel.as_of[found.origin], hours) / size[..., None]
    y = found.values / size
    there = np.all(np.isfinite(x), axis=-1) & np.isfinite(y)
    return Sample(
        origin=found.origin,
        known=found.target,
        x=np.where(there[..., None], x, 0.0),
        y=np.where(there, y, 0.0),
        towards=towards,
    )


def _trusted(
    panel: Panel, sample: Sample, kind: ndarray, known: Leant, *, longest: float, refits: int
) -> tuple[Int[ndarray, " kind"], Float[ndarray, " kind"], Float[ndarray, " kind"]]:
    """By kind of factor: place of the prior, share and explained variance that later blocks bear out."""
    edges = np.linspace(FIRST_SHARE * len(panel), len(panel), refits + 1).astype(np.int64)
    later = sample.origin >= edges[0]
    blocks = int(later.sum()) // max(1, round(2.0 * longest / panel.step_hours))
    if blocks < LEAST_BLOCKS:
        return np.full(len(KINDS), len(PRIOR_ROWS) - 1), known.is_trusted.astype(np.float64), known.explained
    prior, shares, gained = np.zeros(len(KINDS), dtype=np.int64), np.zeros(len(KINDS)), np.zeros(len(KINDS))
    needed = np.where(known.is_trusted, 0.0, NEEDED_GAIN)
    told, seen = _told(sample, edges)[:, later], sample.y[later]
    nothing = _by_block(seen**2, kind, blocks)
    for at in range(len(PRIOR_ROWS)):
        for share in SHARES:
            gain = nothing - _by_block((seen - share * told[at]) ** 2, kind, blocks)
            portion = gain.mean(axis=0) / (nothing.mean(axis=0) + TINY)
            evidence = gain.mean(axis=0) / (gain.std(axis=0, ddof=1) / np.sqrt(blocks) + TINY)
            better = (evidence > needed) & (portion > gained)
            prior[better], shares[better], gained[better] = at, share, portion[better]
    return prior, shares, gained


def _told(sample: Sample, edges: Int[ndarray, " edge"]) -> Float[ndarray, "prior row underlying factor"]:
    """Means of every row from what was known where its part begins; 0 before the first."""
    told = np.zeros((len(PRIOR_ROWS), *sample.y.shape))
    for first, last in pairwise(edges.tolist()):
        own = (sample.origin >= first) & (sample.origin < last)
        told[:, own] = np.einsum("nufk,pfk->pnuf", sample.x[own], sample.until(first, PRIOR_ROWS), optimize=True)
    return told


def _by_block(squares: ndarray, kind: ndarray, blocks: int) -> Float[ndarray, "block kind"]:
    """Mean square of each kind's factors by block of neighbouring origins."""
    cells = squares.mean(axis=1) @ kind / np.maximum(kind.sum(axis=0), 1.0)
    return np.stack([part.mean(axis=0) for part in np.array_split(cells, blocks)])
