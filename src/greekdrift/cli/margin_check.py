"""`greekdrift margin check`: portfolios with published margins, computed and compared."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from greekdrift.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greekdrift.margin.published import Compared

SHOWN = 10
"""Cases in the table."""

EXPECTATION_MISSED = 1


def command(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder of *_cases.csv, *_options.csv, *_expiry_feeds.csv, *_collaterals.csv, perhaps *_scenarios.csv."
        ),
    ],
    rules: options.Rules = "derive_pm2",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print IM and MM of every case as JSON, and nothing else.")
    ] = False,
) -> None:
    """Margin of portfolios given as tables, beside the published figures where there are any.

    IM and MM are the published healths: equity less requirement. Parameters that the tables leave out are those of
    --rules. Exit code 1 if an expected figure is missed by more than 1e-9 of itself (or of 1 USD).

    Example: greekdrift margin check golden --json
    """
    from greekdrift.cli.console import write_json
    from greekdrift.config import load_rules
    from greekdrift.config.portfolio_files import load_portfolios
    from greekdrift.margin.published import compared

    rule_set = load_rules(rules)
    found = [compared(case) for case in load_portfolios(folder, rules=rule_set)]
    if as_json:
        figures = [(one.case, one.margin.initial_health_usd, one.margin.maintenance_health_usd) for one in found]
        write_json({"cases": [{"case": case, "IM": initial, "MM": least} for case, initial, least in figures]}, None)
    else:
        _show(found)
    _judge(found)


def _show(found: "Sequence[Compared]") -> None:
    """The cases with the largest errors, or the first ones where nothing is expected."""
    from greekdrift.cli.console import table

    is_judged = any(one.worst_error is not None for one in found)
    ranked = sorted(found, key=lambda one: -(one.worst_error if one.worst_error is not None else -1.0))[:SHOWN]
    what = "largest relative errors first" if is_judged else "nothing is expected of them"
    table(
        f"{len(ranked)} of {len(found)} cases, {what}; USD",
        ("case", "IM", "MM", "worst scenario", "error of IM", "error of MM", "error of P&L", "in scenario"),
        [
            (
                one.case,
                one.margin.initial_health_usd,
                one.margin.maintenance_health_usd,
                one.margin.worst_scenario,
                one.initial_error,
                one.maintenance_error,
                one.scenario_error,
                one.scenario or "–",
            )
            for one in ranked
        ],
    )


def _judge(found: "Sequence[Compared]") -> None:
    """The worst errors in words, and exit code 1 where an expectation is missed."""
    from greekdrift.cli.console import escape, say

    say(
        f"{len(found)} cases; worst relative error: "
        f"{_worst('IM', [one.initial_error for one in found])}, "
        f"{_worst('MM', [one.maintenance_error for one in found])}, "
        f"{_worst('scenario P&L', [one.scenario_error for one in found], sum(one.n_scenarios for one in found))}"
    )
    missed = [one.case for one in found if one.is_missed]
    if missed:
        say(f"{len(missed)} of {len(found)} cases miss what is expected: {escape(', '.join(missed[:SHOWN]))}")
        raise typer.Exit(EXPECTATION_MISSED)


def _worst(name: str, errors: "Sequence[float | None]", count: int | None = None) -> str:
    given = [one for one in errors if one is not None]
    return f"{name} {max(given):.1e} of {count or len(given):,} expected" if given else f"{name} – (none expected)"
