"""How good event forecasts are beside level-only, climatology and the hidden state: AUC and Brier skill."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.errors import DataError, InputError
from greekdrift.evaluate.tables import Table
from greekdrift.forecast import hidden as hidden_state
from greekdrift.forecast.classifier import LEAST_TO_CALIBRATE, REFIT, hidden_odds, learnt, walk_forward
from greekdrift.forecast.days import Days
from greekdrift.forecast.events import EVENTS, Recipe, Rows, is_judged, pooled, recipes, rows
from greekdrift.forecast.regime import CLIMATOLOGY, LEVEL_ONLY, OWN, EventForecast, Regime, columns, scaled
from greekdrift.score import brier, reliability
from greekdrift.score.discrimination import area_under_curve

Values = Float[ndarray, " row"]
LEAST_TO_JUDGE = 10
"""Cases of either kind below which no figure is stated."""
LONGER = "the longer history alone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One forecast of an event. `area` and `skill` are (value, lower, upper), skill 1 − Brier / that of climatology."""

    name: str
    area: tuple[float, float, float]
    skill: tuple[float, float, float]
    calibration_error: float
    n: int
    happened: int
    diagram: tuple[tuple[float, float, int], ...] = ()
    """Forecast, frequency and count of each bin of the reliability diagram."""


def judged(
    rows: Rows, probability: Mapping[str, Values], *, block: int, seed: int, draws: int = 500
) -> tuple[Judged, ...]:
    """Every forecast on the rows that all of them cover; "climatology" must be one of them.

    95 % from circular blocks of consecutive days, all rows of a day together, so that symbols that move together
    count as such.
    """
    is_there = is_judged(rows, *probability.values())
    day, outcome = rows.day[is_there], rows.outcome[is_there]
    if block < 1 or block > len(np.unique(day)):
        raise InputError(f"blocks of {block} days do not fit {len(np.unique(day))} days; give shorter ones.")
    order = np.argsort(day, kind="stable")
    day, outcome = day[order], outcome[order]
    base = brier(probability[CLIMATOLOGY][is_there][order], outcome)
    resamples = _resamples(day, block=block, draws=draws, random=np.random.default_rng(seed))
    found = []
    for name, values in probability.items():
        chance = values[is_there][order]
        loss = brier(chance, outcome)
        diagram = reliability(chance, outcome)
        several = [at for at in resamples if 0.0 < outcome[at].mean() < 1.0]
        areas = [area_under_curve(chance[at], outcome[at]) for at in several]
        skills = [1.0 - loss[at].sum() / base[at].sum() for at in several]
        found.append(
            Judged(
                name=name,
                area=(area_under_curve(chance, outcome), *_ends(areas)),
                skill=(float(1.0 - loss.sum() / base.sum()), *_ends(skills)),
                calibration_error=diagram.calibration_error,
                n=len(outcome),
                happened=int(outcome.sum()),
                diagram=tuple(
                    zip(diagram.forecast.tolist(), diagram.frequency.tolist(), diagram.count.tolist(), strict=True)
                ),
            )
        )
    return tuple(found)


def table(title: str, found: tuple[Judged, ...]) -> Table:
    """The forecasts of one event as a table."""
    rows = tuple(
        (
            one.name,
            f"{one.area[0]:.3f} [{one.area[1]:.3f}, {one.area[2]:.3f}]",
            f"{100.0 * one.skill[0]:+.1f} % [{100.0 * one.skill[1]:+.1f}, {100.0 * one.skill[2]:+.1f}]",
            f"{one.calibration_error:.3f}",
        )
        for one in found
    )
    words = f"{title} ({found[0].happened} of {found[0].n} rows)"
    return Table(title=words, columns=("forecast", "AUC [95 %]", "Brier skill [95 %]", "cal. error"), rows=rows)


def _resamples(day: ndarray, *, block: int, draws: int, random: np.random.Generator) -> list[ndarray]:
    """Row numbers of circular block resamples over the days that have rows."""
    edges = np.concatenate([np.flatnonzero(np.diff(day, prepend=day[0] - 1)), [len(day)]])
    n = len(edges) - 1
    rows_of = [np.arange(edges[at], edges[at + 1]) for at in range(n)]
    made = []
    for _ in range(draws):
        starts = random.integers(0, n, size=-(-n // block))
        days = ((starts[:, None] + np.arange(block)) % n).ravel()[:n]
        made.append(np.concatenate([rows_of[at] for at in days]))
    return made


def _ends(values: list[float]) -> tuple[float, float]:
    lower, upper = np.quantile(values, [0.025, 0.975])
    return float(lower), float(upper)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examined:
    """One event in a walk-forward: its rows (all markets pooled), probabilities by model, and how good they were.

    `lengths` are the rows of each market, in their order. `judged` is empty where the event was too rare.
    """

    event: str
    rows: Rows
    lengths: tuple[int, ...]
    chances: Mapping[str, Values]
    judged: tuple[Judged, ...]

    def of(self, market: int) -> slice:
        """The rows of a market by its place."""
        start = sum(self.lengths[:market])
        return slice(start, start + self.lengths[market])

    def table(self) -> Table | None:
        """The figures; none where there are none."""
        return table(EVENTS[self.event].says, self.judged) if self.judged else None


def examined(
    markets: Sequence[Days],
    *,
    events: Sequence[str],
    first: int,
    prior: Regime | None = None,
    refit: int = REFIT,
    block: int = 44,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda _at, _of: None,
) -> tuple[Regime, tuple[Examined, ...]]:
    """Forecasts of events learnt on all rows of some markets, and their walk-forward from day `first` on.

    With a prior (a regime learnt on a longer history) every fit is shrunk to it, and it stands in the tables as it is.
    The models that are kept, their maps and the figures beside them come from the same code as the walk.
    """
    clocks = {one.clock for one in markets}
    if len(clocks) != 1:
        raise InputError(f"markets of the clocks {sorted(clocks)} cannot be learnt together; give one kind or none.")
    clock = markets[0].clock
    if prior is not None and prior.clock != clock:
        raise InputError(f"the longer history runs on the clock {prior.clock}, these markets on {clock}.")
    state = None if prior is None else prior.hidden
    known = [columns(one.described(), odds=hidden_odds(one, refit=refit, prior=state)) for one in markets]
    walked, kept = [], {}
    for at, event in enumerate(events):
        longer = None if prior is None else prior.events.get(event)
        parts = [rows(one, event, known=named) for one, named in zip(markets, known, strict=True)]
        has_implied = _reads_implied(markets, longer)
        wanted = recipes(event, clock, has_implied=has_implied)
        found, kept[event] = _walk(parts, event, wanted, first=first, refit=refit, prior=longer)
        walked.append(_judge(found, block=block, seed=seed))
        kept[event] = _with_figures(kept[event], walked[-1], longer)
        progress(at + 1, len(events))
    regime = Regime(
        clock=clock,
        hidden=_hidden(markets, state),
        events=kept,
        learnt_from=", ".join(one.symbol for one in markets)
        + ("" if prior is None else f"; before: {prior.learnt_from}"),
        learnt_until=max(one.date(len(one) - 1) for one in markets),
    )
    return regime, tuple(walked)


def _reads_implied(markets: Sequence[Days], longer: EventForecast | None) -> bool:
    """Whether the own model reads the implied volatility: as the longer history does, else where most days have it."""
    if longer is not None:
        return "premium" in longer.models[OWN].columns
    return all(np.isfinite(one.implied).mean() > 0.5 for one in markets)


def _walk(
    parts: Sequence[Rows],
    event: str,
    wanted: Mapping[str, Recipe],
    *,
    first: int,
    refit: int,
    prior: EventForecast | None,
) -> tuple[Examined, EventForecast]:
    given, walks = pooled(parts), dict[str, Values]()
    for name, recipe in wanted.items():
        longer = None if prior is None else prior.models[name]
        walks[name] = walk_forward(given, recipe, first=first, refit=refit, prior=longer)
        if recipe.is_calibrated:
            plain = replace(recipe, is_calibrated=False)
            walks[f"{name}, raw"] = walk_forward(given, plain, first=first, refit=refit, prior=longer)
    forecast = learnt(given, event, wanted, walks=walks, prior=prior)
    shown = {name: walks[name] for name in wanted}
    if prior is not None:
        alone = prior.models[OWN].probability(given.columns)
        shown[LONGER] = np.where(given.day >= first, alone, np.nan)
    lengths = tuple(len(one.day) for one in parts)
    return Examined(event=event, rows=given, lengths=lengths, chances=shown, judged=()), forecast


def _judge(found: Examined, *, block: int, seed: int) -> Examined:
    at = is_judged(found.rows, *found.chances.values())
    happened = found.rows.outcome[at].sum()
    if not LEAST_TO_JUDGE <= happened <= at.sum() - LEAST_TO_JUDGE:
        return found
    return replace(found, judged=judged(found.rows, found.chances, block=block, seed=seed))


def _with_figures(forecast: EventForecast, found: Examined, longer: EventForecast | None) -> EventForecast:
    """The figures of the walk; where the event was too rare for them, those of the longer history."""
    by_name = {one.name: one for one in found.judged}
    own = by_name.get(OWN)
    if longer is not None and (own is None or own.happened < LEAST_TO_CALIBRATE):
        figures = ("area", "skill", "level_skill", "calibration_error", "rows", "happened")
        return replace(forecast, **{name: getattr(longer, name) for name in figures})
    if own is None:
        return forecast
    return replace(
        forecast,
        area=own.area,
        skill=own.skill,
        level_skill=by_name[LEVEL_ONLY].skill[0],
        calibration_error=own.calibration_error,
        rows=own.n,
        happened=own.happened,
    )


def _hidden(markets: Sequence[Days], prior: hidden_state.HiddenState | None) -> hidden_state.HiddenState:
    """The two states of all markets' returns, each in its own units, one after another."""
    together = np.concatenate([scaled(one.returns) for one in markets])
    if np.isfinite(together).sum() < hidden_state.LEAST:
        if prior is None:
            raise DataError(f"{np.isfinite(together).sum()} returns cannot show two states; give a longer history.")
        return prior
    return hidden_state.fit(together, start=prior, iterations=10 if prior else 25)
