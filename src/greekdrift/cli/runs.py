"""`greekdrift runs`: the folders of runs and their scores."""

import json
from pathlib import Path
from typing import Any

from greekdrift.cli import options


def command(runs: options.Runs = Path("runs")) -> None:
    """List runs, newest first: what they were, their headline, what they hold.

    Example: greekdrift runs --runs runs
    """
    from greekdrift.cli.console import lead, say, table

    found = sorted(
        (path.parent for path in runs.glob("*/run.json")),
        key=lambda path: (path / "run.json").stat().st_mtime,
        reverse=True,
    )
    if not found:
        say(f"there are no runs in {runs}")
        lead("greekdrift demo, or greekdrift evaluate --config configs/experiment/simulated.yaml")
        return
    table(f"Runs in {runs}", ("run", "what", "headline", "holds"), [_row(path) for path in found])
    lead(f"greekdrift report {found[0]}")


def _row(path: Path) -> tuple[str, ...]:
    run, card = (_read(path / name) for name in ("run.json", "scorecard.json"))
    headline = card.get("headline") or {}
    shown = f"{headline['label']}: {headline['value']} ({headline['detail']})" if headline else "–"
    parts = [
        part for part in ("scorecard", "model", "forecast", "decisions", "report.html") if any(path.glob(f"{part}*"))
    ]
    return path.name, str(run.get("title", "–")), shown, ", ".join(parts) or "–"


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
