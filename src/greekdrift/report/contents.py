"""What a report is made from: the JSON files of a run's folder, each of which may be absent.

run.json         what ran: name, kind, data, model, seed, seconds, command
forecast.json    quantiles and breach probabilities by account and quantity
decisions.json   outcome, reasons, adjustment and certificate by account
regime.json      probability of the regime event, its past and its scores
scorecard.json   losses of the forecasters beside the bar
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greekdrift.errors import DataError

PARTS = ("run", "forecast", "decisions", "regime", "scorecard")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The parts of a run that are there; the others are None."""

    run: Mapping[str, Any] | None = None
    forecast: Mapping[str, Any] | None = None
    decisions: Mapping[str, Any] | None = None
    regime: Mapping[str, Any] | None = None
    scorecard: Mapping[str, Any] | None = None


def contents(folder: Path) -> Contents:
    """The parts of a run's folder; a folder without any is refused."""
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder of a run; list them with: greekdrift runs")
    found = {part: _read(folder / f"{part}.json") for part in PARTS}
    if not any(found.values()):
        raise DataError(f"{folder} holds none of {', '.join(f'{part}.json' for part in PARTS)}; name a run's folder.")
    return Contents(**found)


def _read(path: Path) -> Mapping[str, Any] | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as problem:
        raise DataError(f"{path} cannot be read ({problem}); write the run again.") from None
    if not isinstance(values, dict):
        raise DataError(f"{path} does not hold a JSON object; write the run again.")
    return values
