"""How good event forecasts are beside level-only, climatology and the hidden state: AUC and Brier skill."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.evaluate.tables import Table
from greekdrift.forecast.events import Rows, is_judged
from greekdrift.score import brier, reliability
from greekdrift.score.discrimination import area_under_curve

Values = Float[ndarray, " row"]
CLIMATOLOGY = "climatology"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One forecast of an event. `area` and `skill` are (value, lower, upper), skill 1 − Brier / that of climatology."""

    name: str
    area: tuple[float, float, float]
    skill: tuple[float, float, float]
    calibration_error: float
    n: int
    happened: int


def judged(
    rows: Rows, probability: Mapping[str, Values], *, block: int, seed: int, draws: int = 500
) -> tuple[Judged, ...]:
    """Every forecast on the rows that all of them cover; "climatology" must be one of them.

    95 % from circular blocks of consecutive days, all rows of a day together, so that symbols that move together
    count as such.
    """
    is_there = is_judged(rows, *probability.values())
    day, outcome = rows.day[is_there], rows.outcome[is_there]
    order = np.argsort(day, kind="stable")
    day, outcome = day[order], outcome[order]
    base = brier(probability[CLIMATOLOGY][is_there][order], outcome)
    resamples = _resamples(day, block=block, draws=draws, random=np.random.default_rng(seed))
    found = []
    for name, values in probability.items():
        chance = values[is_there][order]
        loss = brier(chance, outcome)
        several = [at for at in resamples if 0.0 < outcome[at].mean() < 1.0]
        areas = [area_under_curve(chance[at], outcome[at]) for at in several]
        skills = [1.0 - loss[at].sum() / base[at].sum() for at in several]
        found.append(
            Judged(
                name=name,
                area=(area_under_curve(chance, outcome), *_ends(areas)),
                skill=(float(1.0 - loss.sum() / base.sum()), *_ends(skills)),
                calibration_error=reliability(chance, outcome).calibration_error,
                n=len(outcome),
                happened=int(outcome.sum()),
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
