"""`greekdrift evaluate` of an experiment with `margin`: the margin scorecard, its record and its picture."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from greekdrift import track
from greekdrift.cli.console import progress, say, table
from greekdrift.cli.experiments import keep, note_run, parameters
from greekdrift.config import Experiment, evaluation_of, load_rules, margin_of
from greekdrift.errors import InputError
from greekdrift.evaluate.margin_card import MarginCard, margin_card
from greekdrift.evaluate.margin_results import Cells, MarginResults
from greekdrift.evaluate.margin_stored import KeptMargin, stored_margin_walk
from greekdrift.evaluate.stored import Kept
from greekdrift.features.panel import Panel
from greekdrift.forecast.forecaster import Forecaster
from greekdrift.margin.dressing import Dressing
from greekdrift.market.source import Source
from greekdrift.score.tradeoff import Past, held, point

DRESSED_LEVELS = (0.95, 0.99)
DRESSING = Dressing(scale=0.85, rise_per_day=0.05, peak_to_trough=3.0, release_half_life_days=2.5, dead_band=0.0)
"""How the reserve is held in the second table and picture: configs/dressing/calm.yaml at another scale."""


def score_margin(
    experiment: Experiment,
    source: Source,
    panel: Panel,
    forecasters: dict[str, Forecaster],
    *,
    path: Path,
    runs: Path,
) -> MarginCard:
    """Walks, writes the margin scorecard, its series and its picture to the run's folder; returns the scorecard."""
    kept = KeptMargin.of(
        Kept.of(panel, source, evaluation_of(experiment), cache=runs / "cache"),
        margin_of(experiment),
        load_rules(experiment.rules),
    )
    uri = experiment.tracking_uri or track.address(runs)
    with track.open_record(f"evaluate {experiment.name}", uri=uri, artefacts=runs / "artefacts") as record:
        record.params(parameters(experiment))
        results = _walked(kept, forecasters)
        card = margin_card(results, seed=experiment.seed)
        keep(path, "margin_scorecard", card.plain())
        (path / "margin_scorecard.txt").write_text(card.text() + "\n", encoding="utf-8")
        (path / "margin_scorecard.md").write_text(card.markdown(), encoding="utf-8")
        pasts = {level: _past(results, card.forecasters[-1], level) for level in DRESSED_LEVELS}
        _procyclicality(pasts, card.forecasters[-1])
        record.text(card.text(), "margin_scorecard.txt")
        _picture(results, card, path, record, dressed=held(DRESSING, pasts[results.margin.gate_level])[0])
    note_run(
        path,
        {
            "name": experiment.name,
            "title": f"Experiment {experiment.name}",
            "facts": {"experiment digest": experiment.digest, "data": panel.describe(), "MLflow run": record.run_id},
        },
    )
    return card


def _walked(kept: KeptMargin, forecasters: dict[str, Forecaster]) -> MarginResults:
    known = [name for name, one in forecasters.items() if kept.is_kept(one)]
    if known:
        say(f"walked before: {', '.join(known)}")
    with progress(f"walk of margin of {', '.join(name for name in forecasters if name not in known)}") as advance:
        return stored_margin_walk(kept, forecasters, progress=advance, told=lambda name: say(f"walking {name}"))


def _past(results: MarginResults, name: str, level: float) -> Past:
    """The quantile of a forecaster as a raw need of each book along the test, beside requirement and outcome."""
    return Past(
        as_of=results.origin,
        raw_usd=np.maximum(results.of(name).quantile(level), 0.0),
        requirement_usd=results.truth.initial_margin[results.tested],
        needed_usd=results.truth.fall[results.tested],
    )


def _procyclicality(pasts: dict[float, Past], name: str) -> None:
    """What the reserve costs and how it moves, undressed and dressed; means over books."""
    rows = []
    for level, past in pasts.items():
        for words, dressing in (("undressed", None), ("dressed", DRESSING)):
            try:
                one = point(dressing, past)
            except InputError:
                continue
            figures = (one.reserve, one.cost, one.peak_to_trough, one.call, one.exceptions, one.overruns)
            rows.append((f"{100.0 * level:g} %, {words}", *figures))
    table(
        f"Procyclicality of the quantile of {name} as a reserve",
        ("level", "reserve / IM", "cost", "peak / trough", "5-day call / IM", "exceptions", "steps over budget"),
        rows,
    )


def _picture(results: MarginResults, card: MarginCard, path: Path, record: Any, *, dressed: Cells) -> None:
    if find_spec("matplotlib") is None:
        return
    from greekdrift.evaluate.margin_plot import reserve_paths, shock_path

    pictures = {
        "margin_scorecard.png": reserve_paths(results, card),
        "margin_shock.png": shock_path(results, card.forecasters[-1], dressed=dressed),
    }
    for name, drawn in pictures.items():
        drawn.savefig(path / name, dpi=110)
        record.figure(drawn, name)
