"""`greekdrift evaluate` of an experiment with `margin`: the margin scorecard, its record and its picture."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from greekdrift import track
from greekdrift.cli.console import progress, say
from greekdrift.cli.experiments import keep, note_run, parameters
from greekdrift.config import Experiment, evaluation_of, load_rules, margin_of
from greekdrift.evaluate.margin_card import MarginCard, margin_card
from greekdrift.evaluate.margin_results import MarginResults
from greekdrift.evaluate.margin_stored import KeptMargin, stored_margin_walk
from greekdrift.evaluate.stored import Kept
from greekdrift.features.panel import Panel
from greekdrift.forecast.forecaster import Forecaster
from greekdrift.market.source import Source

SERIES = "margin_series.npz"


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
        record.text(card.text(), "margin_scorecard.txt")
        _picture(results, card, path, record)
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


def _picture(results: MarginResults, card: MarginCard, path: Path, record: Any) -> None:
    if find_spec("matplotlib") is None:
        return
    from greekdrift.evaluate.margin_plot import reserve_paths

    drawn = reserve_paths(results, card)
    drawn.savefig(path / "margin_scorecard.png", dpi=140)
    record.figure(drawn, "margin_scorecard.png")
