"""Bad rows and files copied aside with their reasons, and copies without them: the source is never touched.

A quarantine folder holds

    quarantine.json      what was copied from where, with the digest of each source, and why
    rows/NAME            the bad rows of each file as they stood, with the columns quarantine_rules, quarantine_reason
    files/NAME           files that could not be read, byte for byte

and a folder of cleaned copies the same files without those rows, and `provenance.json`.
"""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from greekdrift import __version__
from greekdrift.errors import InputError
from greekdrift.market.validation.finding import Finding
from greekdrift.market.validation.rows import NOWHERE
from greekdrift.market.validation.rules import Severity
from greekdrift.market.validation.validate import Validation

QUARANTINE = "quarantine.json"
PROVENANCE = "provenance.json"
KEY = b"greekdrift_provenance"
"""Where the metadata of a cleaned Parquet file holds its provenance."""


def set_aside(validation: Validation, folder: Path, *, severity: Severity = Severity.ERROR) -> dict[str, Any]:
    """Copies the rows and files of findings of a severity or graver into a new folder; returns what it says of itself.

    A folder that is not empty is refused. It appears whole or not at all.
    """
    return _written(folder, lambda scratch: _quarantined(validation, scratch, severity))


def clean(validation: Validation, folder: Path, *, severity: Severity = Severity.ERROR) -> dict[str, Any]:
    """Copies of the files without those rows, in a new folder, and what was left out of each; no number is changed.

    Findings that have no row (a gap, an absence) cannot be cleaned away; they stay and are listed.
    """
    return _written(folder, lambda scratch: _cleaned(validation, scratch, severity))


def _written(folder: Path, fill: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: is not an empty folder, and nothing is overwritten; name a new one.")
    scratch = folder.with_name(f".{folder.name}.partial")
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        said = fill(scratch)
        if folder.exists():
            folder.rmdir()
        scratch.rename(folder)
    except OSError as problem:
        raise InputError(f"{folder}: cannot be written ({problem.strerror or problem}); choose another.") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return said


def _quarantined(validation: Validation, folder: Path, severity: Severity) -> dict[str, Any]:
    reasons = _reasons(validation.at_least(severity))
    listed = []
    for number, name, path in _named(validation):
        own = reasons[reasons["file_number"] == number].set_index("row")
        if own.empty:
            continue
        (folder / "rows").mkdir(exist_ok=True)
        _copy(path, folder / "rows" / name, rows=own.index.to_numpy(), reasons=own)
        listed.append({**_facts(path), "copy": f"rows/{name}", "rows": len(own), "rules": _rules(own)})
    for path, reason in validation.unread:
        (folder / "files").mkdir(exist_ok=True)
        shutil.copyfile(path, folder / "files" / path.name)
        listed.append({**_facts(path), "copy": f"files/{path.name}", "reason": reason})
    said = {"made_by": f"greekdrift {__version__}", "severity": severity.word, "sources": listed}
    _say(folder / QUARANTINE, said)
    return said


def _cleaned(validation: Validation, folder: Path, severity: Severity) -> dict[str, Any]:
    gone = validation.at_least(severity)
    reasons = _reasons(gone)
    listed = []
    unread = {path for path, _ in validation.unread}
    for number, name, path in _named(validation):
        if path in unread:
            continue
        own = reasons[reasons["file_number"] == number].set_index("row")
        said = {**_facts(path), "copy": name, "rows_left_out": len(own), "rules": _rules(own)}
        _copy(path, folder / name, rows=own.index.to_numpy(), provenance=said)
        listed.append(said)
    left = {one.rule.name: int((one.places["row"] == NOWHERE).sum()) for one in gone}
    said = {
        "made_by": f"greekdrift {__version__}",
        "severity": severity.word,
        "changed_numbers": 0,
        "sources": listed,
        "left_out_files": [{**_facts(path), "reason": reason} for path, reason in validation.unread],
        "not_cleaned": {rule: count for rule, count in left.items() if count},
    }
    _say(folder / PROVENANCE, said)
    return said


def _named(validation: Validation) -> list[tuple[int, str, Path]]:
    """Number, name of the copy, and path of each file; files of one name are told apart by their number."""
    names = [path.name for path in validation.files]
    return [
        (at, path.name if names.count(path.name) == 1 else f"{at}-{path.name}", path)
        for at, path in enumerate(validation.files)
    ]


def _reasons(found: tuple[Finding, ...]) -> pd.DataFrame:
    """One line a bad row: file_number, row, and all its rules with figure and limit."""
    lines = [
        one.places.loc[one.places["row"] != NOWHERE, ["file_number", "row", "figure", "limit"]].assign(
            rules=one.rule.name, fact=one.rule.fact
        )
        for one in found
    ]
    if not lines:
        return pd.DataFrame(columns=["file_number", "row", "rules", "reason"])
    whole = pd.concat(lines, ignore_index=True)
    shown = [
        fact if np.isnan(figure) else f"{fact} ({figure:.6g} against {limit:.6g})"
        for fact, figure, limit in zip(whole["fact"], whole["figure"], whole["limit"], strict=True)
    ]
    grouped = whole.assign(reason=shown).groupby(["file_number", "row"], sort=True)
    return grouped.agg({"rules": ", ".join, "reason": "; ".join}).reset_index()


def _rules(own: pd.DataFrame) -> dict[str, int]:
    count = Counter(rule for rules in own["rules"] for rule in rules.split(", "))
    return dict(sorted(count.items()))


def _copy(
    path: Path,
    target: Path,
    *,
    rows: np.ndarray,
    reasons: pd.DataFrame | None = None,
    provenance: dict[str, Any] | None = None,
) -> None:
    """The rows with their reasons, or all the others with their provenance, each value as it stood."""
    if path.suffix == ".csv":
        text = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
        if reasons is None:
            text.loc[~text.index.isin(rows)].to_csv(target, index=False)
        else:
            why = {f"quarantine_{name}": reasons[name].to_numpy() for name in ("rules", "reason")}
            text.loc[rows].assign(**why).to_csv(target, index=False)
        return
    table = pq.read_table(path)
    if reasons is None:
        keep = np.ones(table.num_rows, dtype=np.bool_)
        keep[rows.astype(np.int64)] = False
        metadata = {**(table.schema.metadata or {}), KEY: json.dumps(provenance, sort_keys=True).encode()}
        table = table.filter(pa.array(keep)).replace_schema_metadata(metadata)
    else:
        table = table.take(pa.array(rows.astype(np.int64)))
        for name in ("rules", "reason"):
            table = table.append_column(f"quarantine_{name}", pa.array(reasons[name].tolist(), type=pa.string()))
    pq.write_table(table, target, compression="zstd")


def _facts(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"source": path.name, "bytes": path.stat().st_size, "sha256": digest}


def _say(path: Path, said: dict[str, Any]) -> None:
    path.write_text(json.dumps(said, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
