"""The regime event on the packaged S&P 500: probability now, its past, and how good it was beside its baselines."""

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.cli.console import Advance
from greekdrift.forecast.classifier import walk_forward
from greekdrift.forecast.har import Daily
from greekdrift.forecast.regime import Event, range_variance
from greekdrift.market.packaged import spx_daily
from greekdrift.score import brier
from greekdrift.score.discrimination import area_under_curve

Days = Float[ndarray, " day"]

SHOWN = "log-HAR + leverage"
MODELS = ("climatology", "level only", "hidden state", "log-HAR", SHOWN)
FIRST = 1500
"""Days before the first forecast: six years, from 1999."""
BLOCK = 44
DRAWS = 500
YEARS_SHOWN = 3


def regime_values(*, seed: int, advance: Advance) -> dict[str, Any]:
    """What the report shows of the event: every probability is from a fit on outcomes that were complete by then."""
    table = spx_daily()
    variance = range_variance(*(table[name].to_numpy() for name in ("open", "high", "low", "close")))[1:]
    daily = Daily(variance=variance, returns=np.diff(np.log(table["close"].to_numpy())))
    days = table["date"].to_numpy()[1:].astype("datetime64[D]")
    event = Event()
    outcome = event.outcome(variance)
    chance: dict[str, Days] = {}
    for at, model in enumerate(MODELS):
        chance[model] = walk_forward(daily, model, first=FIRST, event=event)
        advance(at + 1, len(MODELS))
    judged = np.isfinite(outcome) & np.isfinite(chance[SHOWN])
    shown = days >= days[-1] - np.timedelta64(365 * YEARS_SHOWN, "D")
    return {
        "event": f"S&P 500: variance doubles within {event.ahead} days",
        "as_of": str(days[-1]),
        "probability": float(chance[SHOWN][-1]),
        "climatology": float(chance["climatology"][-1]),
        "description": (
            f"The event: mean variance of the next {event.ahead} trading days above {event.factor:g} times that of the "
            f"last {event.behind}. Packaged S&P 500 of 1999 to 2018, walk-forward; the figure now is of {days[-1]}, "
            f"the last day of these data. Shown is {SHOWN}; beside it stand its baselines."
        ),
        "history": {
            "days": [str(day) for day in days[shown]],
            "probability": [float(value) for value in chance[SHOWN][shown]],
            "happened": [None if np.isnan(value) else int(value) for value in outcome[shown]],
            "climatology": float(chance["climatology"][-1]),
        },
        "scores": {
            "columns": ["model", "now", "AUC", "95 %", "Brier skill", "95 %", "days"],
            "rows": [_row(model, chance, outcome, judged, seed) for model in MODELS],
        },
    }


def _row(model: str, chance: dict[str, Days], outcome: Days, judged: ndarray, seed: int) -> list[Any]:
    happened = outcome[judged] > 0.5
    loss, base = (brier(chance[name][judged], outcome[judged]) for name in (model, "climatology"))
    random = np.random.default_rng(seed)
    area, skill = [], []
    for _ in range(DRAWS):
        at = _blocks(happened.size, random)
        area.append(area_under_curve(chance[model][judged][at], happened[at]))
        skill.append(1.0 - loss[at].sum() / base[at].sum())
    return [
        model,
        f"{chance[model][-1]:.1%}",
        area_under_curve(chance[model][judged], happened),
        _interval(area),
        float(1.0 - loss.sum() / base.sum()),
        _interval(skill),
        int(happened.size),
    ]


def _blocks(n: int, random: np.random.Generator) -> ndarray:
    """Days of a circular block bootstrap."""
    starts = random.integers(0, n, size=-(-n // BLOCK))
    return np.ravel((starts[:, None] + np.arange(BLOCK)) % n)[:n]


def _interval(values: list[float]) -> str:
    lower, upper = np.quantile(values, [0.025, 0.975])
    return f"[{lower:.3f}, {upper:.3f}]"
