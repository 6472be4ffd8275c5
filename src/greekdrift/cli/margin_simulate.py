"""`greekdrift margin simulate`: margin, add-on and figures of any hypothetical book, along history and shocked."""

from pathlib import Path
from typing import Annotated

import typer

from greekdrift.cli import options
from greekdrift.errors import InputError

Folder = Annotated[Path, typer.Option("--chains", help="Folder of chain files: the history.")]
Book = Annotated[
    Path | None, typer.Option("--book", help="Book file: fixed positions, followed while all of them are listed.")
]
Reference = Annotated[bool, typer.Option("--reference", help="Canonical books, made anew at each snapshot: they roll.")]
Tradeoff = Annotated[
    Path | None,
    typer.Option("--tradeoff", callback=options.file_to_write(*options.PICTURES), help="Picture of what calm costs."),
]
Shocks = Annotated[
    list[str] | None, typer.Option("--shock", help="Like BTC:spot=-20%,vol=+15 (points; % is relative); repeatable.")
]
DressedBy = Annotated[Path | None, typer.Option("--dressing", help="YAML or JSON: how the margin add-on is held.")]


def command(
    chains: Folder,
    book: Book = None,
    reference: Reference = False,
    rules: options.Rules = "derive_pm2",
    model: Annotated[str, typer.Option("--model", help="Forecaster of the need, like fhs or historical.")] = "fhs",
    shock: Shocks = None,
    since: Annotated[str | None, typer.Option("--since", help="First snapshot; else after the first month.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Last snapshot.")] = None,
    hours: Annotated[float, typer.Option("--hours", min=1.0, help="Horizon of the need.")] = 24.0,
    level: Annotated[float, typer.Option("--level", min=0.5, max=0.999, help="Coverage that the need is for.")] = 0.95,
    dressing: DressedBy = None,
    fit_until: Annotated[
        str | None, typer.Option("--fit-until", help="Fit the dressing on what came before, show it after.")
    ] = None,
    scenarios: Annotated[int, typer.Option("--scenarios", min=20, help="Scenarios of each forecast.")] = 500,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the forecasts.")] = 0,
    venue: options.VenueName = "deribit",
    plot: options.Plot = None,
    tradeoff: Tradeoff = None,
    out: options.OutJson = None,
    runs: options.Runs = Path("runs"),
) -> None:
    """Margin and its add-on of hypothetical books along recorded history, and under stated shocks.

    At each snapshot the need ahead is forecast from what was known then, through
    the exact margin engine, and held as the dressing says. Peak over trough,
    largest calls, cost, coverage with its tests, and how margin answered
    volatility, stand beside the same figures without the dressing. Every step
    with its overrides and reasons goes to --out.

    Example: greekdrift margin simulate --chains chains --book book.yaml
      --shock "BTC:spot=-20%,vol=+15" --plot margin.html
    """
    from greekdrift.cli.console import say, write_json
    from greekdrift.cli.experiments import panel_of
    from greekdrift.cli.margin_simulated import (
        Setting,
        draw,
        draw_tradeoff,
        dressing_of,
        followed,
        path_of,
        plain,
        shocks_of,
        show,
        show_shocks,
        values,
    )
    from greekdrift.config import load_rules, load_venue
    from greekdrift.market.parquet import ParquetSource
    from greekdrift.policy.margin_path import Asked
    from greekdrift.policy.shock import check_names, parse
    from greekdrift.units import instant

    options.keep_apart((out, plot, tradeoff), (chains, book, dressing))
    options.needs_matplotlib(plot or tradeoff)
    if (book is None) != reference:
        raise InputError("which books? Give --book FILE, or --reference for the canonical ones.")
    if dressing is not None and fit_until is not None:
        raise InputError("--dressing says how it is held, --fit-until looks for it; give one of the two.")
    asked = tuple(parse(one) for one in shock or ())
    source, rule_set = ParquetSource(str(chains), venue=load_venue(venue)), load_rules(rules)
    first, last, fitted = (None if one is None else instant(one) for one in (since, until, fit_until))
    at = Setting(
        source=source,
        panel=panel_of(source, runs),
        accounts=() if book is None else tuple(options.accounts_of(book)),
        rules=rule_set,
        model=model,
        level=level,
    )
    for one in asked:
        check_names(one, at.panel.underlyings)
    terms = Asked(since=first, until=last, hours=hours, levels=(level,), scenarios=scenarios, seed=seed)
    path = path_of(at, terms)
    held, told = dressing_of(at, path, dressing, fitted)
    path = path if fitted is None else path.since(fitted)
    found, lost = followed(at, path, held, seed=seed)
    show(found, level=level)
    for text in (*told, *lost):
        say(text)
    hit = shocks_of(at, path, asked)
    show_shocks(hit)
    say(f"rule set {rule_set.name} of {rule_set.dated} ({rule_set.sha256[:12]}): a dated default, not the live table")
    if plot is not None:
        draw(found, plot, level=level, model=model)
    calm = None if tradeoff is None else draw_tradeoff(at, path, held, tradeoff)
    if out is not None:
        head = {
            "rules": {"name": rule_set.name, "dated": rule_set.dated.isoformat(), "sha256": rule_set.sha256},
            "model": model,
            "level": level,
            "hours": hours,
            "dressing": plain(held),
        }
        accounts = {one.account_id: values(one) for one in found}
        write_json({**head, "accounts": accounts, "left_out": list(lost), "shocks": hit, "tradeoff": calm}, out)
