"""The picture of `greekdrift margin --plot F`: a map of P&L and requirement over spot and volatility."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from greekdrift.cli.console import say, writing
from greekdrift.errors import InputError

if TYPE_CHECKING:
    from greekdrift.book import Account, Chain
    from greekdrift.book.rules import RuleSet


def draw(chain: "Chain", accounts: "Sequence[Account]", rules: "RuleSet", plot: Path) -> None:
    """One map for each account and underlying, and on a page the scenarios as a table."""
    from greekdrift.margin.heat import heat
    from greekdrift.report.margin_map import MOST, margin_maps
    from greekdrift.report.picture import Table, write
    from greekdrift.surface.fit import fit
    from greekdrift.units import stamp

    surface = fit(chain)
    wanted = [(account, name) for account in accounts for name in account.underlyings()]
    if not wanted:
        raise InputError(f"{plot}: no account has a position, so there is nothing to draw.")
    if len(wanted) > MOST:
        say(f"{MOST} of {len(wanted)} maps are drawn, the first ones; name a smaller book for the others")
    found = [heat(chain, account, rules, surface=surface, underlying=name) for account, name in wanted[:MOST]]
    title = f"Margin under {rules.name} at {stamp(chain.as_of)}"
    panels = [
        {
            "title": f"{one.account_id} · {one.underlying}",
            "spot": one.spot,
            "volatility": one.volatility,
            "pnl_usd": one.pnl_usd,
            "initial_margin_usd": one.initial_margin_usd,
            "initial_health_usd": one.initial_health_usd,
            "cells": [
                {
                    "label": cell.label,
                    "move": cell.move,
                    "volatility": str(cell.volatility),
                    "pnl_usd": cell.pnl_usd,
                    "is_binding": cell.is_binding,
                }
                for cell in one.cells
            ],
        }
        for one in found
    ]
    rows = [
        (one.account_id, one.underlying, cell.label, cell.pnl_usd, "binds" if cell.is_binding else "")
        for one in found
        for cell in one.cells
    ]
    with writing(plot):
        write(
            plot,
            [(margin_maps(panels, title=title), "P&L and initial margin over spot and volatility, and the scenarios")],
            title=title,
            lead="The map moves spot and every at-the-money volatility at this instant; dot: now; line: a call.",
            tables=[
                Table(
                    title="Scenarios",
                    columns=("account", "underlying", "scenario", "P&L that counts, USD", ""),
                    rows=rows,
                )
            ],
        )
