"""An attribution on the screen, in a table, as JSON and as a waterfall."""

from collections.abc import Mapping, Sequence
from math import expm1
from pathlib import Path
from typing import Any

import numpy as np

from greekdrift.cli.console import escape, say, table, writing
from greekdrift.cli.quantities import Units, shown, unit
from greekdrift.cli.tables import plain
from greekdrift.errors import InputError
from greekdrift.surface.attribution import PARTS, USD, Attributed, Attribution, By
from greekdrift.surface.state import FACTORS
from greekdrift.units import stamp

Groups = Mapping[str, Sequence[Attributed]]

LEVELS = (7, 30, 90)
"""Days of the pillars whose level is printed."""
ROUNDING = 1e-11
"""Numbers smaller than this share of the largest beside them are shown as 0."""


def groups(found: Attribution, name: str, by: By) -> list[Attributed]:
    """The groups of one quantity; money that lies on several underlyings of an account has its total, too.

    What is counted in coins has no total over underlyings, and is grouped by them instead. Groups that have nothing of
    the quantity and gain nothing are left out.
    """
    rows = found.of(name, by="underlying" if by == "account" and name not in USD else by)
    rows = tuple(one for one in rows if one.now != 0.0 or np.any(one.parts != 0.0))
    if by != "underlying" or name not in USD:
        return list(rows)
    made: list[Attributed] = []
    for total in found.of(name, by="account"):
        own = [one for one in rows if one.account_id == total.account_id]
        made += own if len(own) < 2 else [*own, total]
    return made


def show(found: Attribution, rows: Groups, *, by: By, units: Units) -> None:
    """The market's move, one table a quantity, and what is not known or was settled."""
    _market(found)
    label = {"expiry": ("expiry",), "instrument": ("line",)}.get(by, ())
    for name, every in rows.items():
        before = () if _is_profit(name) else ("before",)
        lines = []
        for one in every:
            star = f" ({one.n_lines - len(one.unknown)} of {one.n_lines} lines *)" if one.unknown else ""
            texts = (one.account_id, (one.underlying or "all") + star, *([one.label or ""] if label else []))
            numbers = shown(name, [*([one.now] if before else []), one.realised, *one.parts], units)
            largest = max((abs(value) for value in numbers), default=0.0)
            lines.append((*texts, *(_brief(float(value), largest) for value in numbers)))
        if lines:
            table(f"{name}, {unit(name, units)}", ("account", "underlying", *label, *before, "change", *PARTS), lines)
        else:
            say(f"{name}: no account holds anything that has one")
    for line, reason in found.unknown.items():
        say(f"[yellow]* without {escape(line)}[/]: {escape(reason)}; its change is unknown, not zero")
    for settled in found.settled:
        is_given = settled.apart_hours == 0.0
        how = "" if is_given else f", read from the index between snapshots {settled.apart_hours:.1f} hours apart"
        say(f"{settled.underlying} of {settled.expiry:%Y-%m-%d %H:%M}Z settled at {settled.price:,.2f}{how}")


def columns(rows: Groups, units: Units) -> dict[str, list[Any]]:
    """One row a group and quantity; the parts add up to `change`, which leaves out the lines that are `unknown`."""
    every = [(name, one) for name, found in rows.items() for one in found]
    numbers = [shown(name, [one.now, one.realised, *one.parts], units) for name, one in every]
    return {
        "account": [one.account_id for _, one in every],
        "underlying": [one.underlying or "all" for _, one in every],
        "label": [one.label or "" for _, one in every],
        "quantity": [name for name, _ in every],
        "unit": [unit(name, units) for name, _ in every],
        **{word: [float(row[at]) for row in numbers] for at, word in enumerate(("before", "change", *PARTS))},
        "lines": [one.n_lines for _, one in every],
        "unknown": [", ".join(one.unknown) for _, one in every],
    }


def values(found: Attribution, units: Units) -> dict[str, Any]:
    """Everything: the market's move, and every quantity at every level of drill-down."""
    levels: dict[str, Any] = {}
    for by in ("account", "underlying", "expiry", "instrument"):
        names = [name for name in found.parts if by != "account" or name in USD]
        levels[by] = _records(columns({name: found.of(name, by=by) for name in names}, units))
    return {
        "from": stamp(found.start),
        "to": stamp(found.end),
        "hours": found.hours,
        "units": units,
        "market": {
            name: dict(zip(FACTORS, factors.tolist(), strict=True)) for name, factors in found.increments.items()
        },
        "unknown": dict(found.unknown),
        "settled": [
            {
                "underlying": one.underlying,
                "expiry": stamp(one.expiry),
                "price": one.price,
                "apart_hours": one.apart_hours,
            }
            for one in found.settled
        ],
        "by": levels,
    }


def draw(found: Attribution, rows: Groups, units: Units, plot: Path) -> None:
    """A waterfall of each group and quantity; on a page with the numbers below."""
    from greekdrift.report.picture import Table, write
    from greekdrift.report.waterfall import MOST, waterfalls

    records = _records(columns(rows, units))
    moved = [one for one in records if any(one[name] != 0.0 for name in PARTS)]
    order = list(dict.fromkeys(_place(one) for one in moved))
    if len(rows) * len(order) == len(moved):
        moved.sort(key=lambda one: order.index(_place(one)))
    across = len(rows) if 1 < len(rows) <= 3 else min(3, len(moved))
    panels = [_panel(one) for one in moved]
    if not panels:
        raise InputError(f"{plot}: nothing changed, so there is nothing to draw.")
    if len(panels) > MOST:
        say(f"{MOST} of {len(panels)} panels are drawn, the first ones; name fewer with --quantity or --underlying")
    listed = [name for name in records[0] if name not in ("lines", "unknown")] if records else []
    title = f"Why it changed, {found.start:%Y-%m-%d %H:%M}Z to {found.end:%Y-%m-%d %H:%M}Z"
    picture = waterfalls(panels[:MOST], columns=across, title=title)
    with writing(plot):
        write(
            plot,
            [(picture, "waterfall of each quantity by cause")],
            title=title,
            lead="Clock: time runs with the market frozen. Residual: what spot, level, skew and curvature cannot say.",
            tables=[Table(title="Numbers", columns=listed, rows=[[one[name] for name in listed] for one in records])],
        )


def _market(found: Attribution) -> None:
    rows = []
    for name, increments in found.increments.items():
        of = dict(zip(FACTORS, increments.tolist(), strict=True))
        moves = [of["forward"], *(of[f"atm_{days}"] for days in LEVELS)]
        texts = [f"{100.0 * expm1(move):+.2f} %" for move in moves]
        rows.append((name, *texts, *(f"{of[factor]:+.4f}" for factor in ("skew_30", "curvature_30", "basis"))))
    levels = (f"level {days} d" for days in LEVELS)
    table(
        f"The market from {stamp(found.start)} to {stamp(found.end)}, {found.hours:.1f} hours",
        ("underlying", "index", *levels, "skew 30 d", "curvature 30 d", "basis a year"),
        rows,
    )


def _place(record: Mapping[str, Any]) -> tuple[str, str, str]:
    return record["account"], record["underlying"], record["label"]


def _panel(record: Mapping[str, Any]) -> dict[str, Any]:
    where = record["label"] or record["underlying"]
    unsure = " *" if record["unknown"] else ""
    return {
        "title": f"{record['account']} · {where}{unsure}",
        "quantity": f"{record['quantity']}, {record['unit']}",
        "parts": {name: record[name] for name in PARTS},
        "total": record["change"],
    }


def _records(table_of: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    rows = zip(*(plain(column) for column in table_of.values()), strict=True)
    return [dict(zip(table_of, row, strict=True)) for row in rows]


def _brief(value: float, largest: float) -> float:
    """Three significant digits of what is small, so that nine numbers stand side by side; rounding errors are 0."""
    if abs(value) < ROUNDING * largest:
        return 0.0
    return value if abs(value) >= 1000.0 else float(f"{value:.3g}")


def _is_profit(name: str) -> bool:
    return name in ("pnl_usd", "pnl_coin", "equity_usd")
