"""What checks report: the places where a rule is broken, and the findings made of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray

from greekdrift.market.validation.rows import NOWHERE, Rows
from greekdrift.market.validation.rules import RULES, Rule, Severity

Figures = Float[ndarray, " place"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hits:
    """Places where one rule is broken: the snapshot, what is concerned, file and row, and the figure against its limit.

    `file` and `row` number the files as given and the rows of each from 0; `NOWHERE` where something is absent.
    """

    rule: str
    moment: Shaped[ndarray, " place"]
    name: Shaped[ndarray, " place"]
    file: Int[ndarray, " place"]
    row: Int[ndarray, " place"]
    figure: Figures
    limit: Figures

    def __len__(self) -> int:
        return self.moment.size


def at_rows(rule: str, rows: Rows, is_bad: Bool[ndarray, " row"], *, figure: Any, limit: Any) -> Hits:
    """The rows of a mask."""
    at = np.flatnonzero(is_bad)
    return Hits(
        rule=rule,
        moment=rows.moment[at],
        name=rows.name_of(at),
        file=rows.file[at],
        row=rows.row[at],
        figure=np.broadcast_to(np.asarray(figure, dtype=np.float64), is_bad.shape)[at],
        limit=np.broadcast_to(np.asarray(limit, dtype=np.float64), is_bad.shape)[at],
    )


def at_moments(rule: str, moments: Any, names: Sequence[str] | ndarray, *, figure: Any, limit: Any) -> Hits:
    """Whole snapshots, or what is absent from them."""
    moment = np.asarray(moments, dtype="datetime64[us]")
    nowhere = np.full(moment.shape, NOWHERE, dtype=np.int64)
    return Hits(
        rule=rule,
        moment=moment,
        name=np.asarray(names, dtype=object),
        file=nowhere,
        row=nowhere,
        figure=np.broadcast_to(np.asarray(figure, dtype=np.float64), moment.shape),
        limit=np.broadcast_to(np.asarray(limit, dtype=np.float64), moment.shape),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Finding:
    """All places where a rule is broken, worst first, and how many rows or snapshots there were to break it.

    `places` has the columns snapshot_ts_utc, name, file, row, figure, limit; `of` counts the rows looked at.
    """

    rule: Rule
    places: pd.DataFrame
    of: int

    @property
    def count(self) -> int:
        """Places."""
        return len(self.places)

    @property
    def severity(self) -> Severity:
        """Severity of the rule."""
        return self.rule.severity


def findings(hits: Iterable[Hits], files: Sequence[str], *, of: int) -> tuple[Finding, ...]:
    """One finding a rule that is broken, the gravest first; `files` are the names of the files by number."""
    by_rule: dict[str, list[Hits]] = {}
    for one in hits:
        if len(one):
            by_rule.setdefault(one.rule, []).append(one)
    found = [Finding(rule=RULES[name], places=_places(several, files), of=of) for name, several in by_rule.items()]
    order = list(RULES)
    return tuple(sorted(found, key=lambda one: (-one.severity, order.index(one.rule.name))))


def _places(hits: Sequence[Hits], files: Sequence[str]) -> pd.DataFrame:
    number = np.concatenate([one.file for one in hits])
    table = pd.DataFrame(
        {
            "snapshot_ts_utc": np.concatenate([one.moment for one in hits]),
            "name": np.concatenate([one.name for one in hits]),
            "file": np.array([*files, ""], dtype=object)[number],
            "file_number": number,
            "row": np.concatenate([one.row for one in hits]),
            "figure": np.concatenate([one.figure for one in hits]),
            "limit": np.concatenate([one.limit for one in hits]),
        }
    )
    excess = np.nan_to_num(np.abs(table["figure"] - table["limit"]), nan=0.0, posinf=np.finfo(np.float64).max)
    return table.iloc[np.argsort(-excess, kind="stable")].reset_index(drop=True)
