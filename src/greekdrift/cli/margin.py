"""`greekdrift margin`: the requirement of each account under a rule set, and the scenario that binds."""

from pathlib import Path
from typing import Annotated, Any

import typer

from greekdrift.cli import (
    margin_binding,
    margin_check,
    margin_liquidation,
    margin_netting,
    margin_positions,
    margin_reserve,
    margin_simulate,
    options,
)
from greekdrift.errors import InputError

page = typer.Typer(
    epilog="Example: greekdrift margin --rules derive_pm2 --chain chain.parquet --book configs/books/deribit.yaml"
)
page.command("check")(margin_check.command)
page.command("netting")(margin_netting.command)
page.command("binding")(margin_binding.command)
page.command("liquidation")(margin_liquidation.command)
page.command("simulate")(margin_simulate.command)
page.command("reserve")(margin_reserve.command)

Chain = Annotated[Path | None, typer.Option("--chain", help="Chain file: Parquet or CSV, one row a contract.")]
Book = Annotated[Path | None, typer.Option("--book", help="Book file: YAML or JSON; CSV or Parquet without mandates.")]

Foreseen = Annotated[
    str | None,
    typer.Option("--forecast", help='Forecast margin too: a model or forecaster, or "margin" for the law judged best.'),
]
Samples = Annotated[int | None, typer.Option("--samples", min=2, help="Scenarios of --forecast.")]
Horizons = Annotated[str | None, typer.Option("--horizons", help="Hours of --forecast's checks, like 6,12,24.")]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Seed of --forecast.")]


@page.callback(invoke_without_command=True)
def command(
    context: typer.Context,
    chain: Chain = None,
    book: Book = None,
    rules: options.Rules = "derive_pm2",
    at: options.At = None,
    venue: options.VenueName = "deribit",
    feeds: margin_positions.FeedsFile = None,
    plot: options.Plot = None,
    out: options.OutJson = None,
    forecast: Foreseen = None,
    chains: options.Chains = None,
    history: options.History = None,
    samples: Samples = None,
    horizons: Horizons = None,
    seed: Seed = None,
    runs: options.Runs = Path("runs"),
) -> None:
    """Initial and maintenance margin, equity and excess of each account, under a dated rule set.

    Needs --chain and --book. With --out every scenario's P&L is written as JSON. Each account stands by itself.

    With --forecast: where margin and excess will be, how likely a call is and when, and the cash that may be needed.
    That takes a past: --chains FOLDER (the chain is its latest, or the one --at names) or --chain with --history.

    Example: greekdrift margin --chains chains --book book.yaml --forecast margin --plot margin.png
    """
    if context.invoked_subcommand is not None:
        return
    if forecast is not None:
        _foreseen(
            forecast, chain, book, rules=rules, at=at, venue=venue, feeds=feeds, chains=chains, history=history,
            samples=samples, horizons=horizons, seed=seed, plot=plot, out=out, runs=runs,
        )  # fmt: skip
        return
    given = {"--chains": chains, "--history": history, "--samples": samples, "--horizons": horizons, "--seed": seed}
    unused = [name for name, value in given.items() if value is not None]
    if unused:
        raise InputError(f"{unused[0]} belongs to --forecast MODEL; add it, or leave {unused[0]} out.")
    if chain is None or book is None:
        raise InputError(f"{'--chain' if chain is None else '--book'} is missing; give a chain file and a book file.")
    _required(chain, book, rules=rules, at=at, venue=venue, feeds=feeds, plot=plot, out=out)


def _foreseen(model: str, chain: Path | None, book: Path | None, **given: Any) -> None:
    from greekdrift.cli.margin_forecast import AskedAhead, foreseen

    if book is None:
        raise InputError("--book is missing; give a book file.")
    foreseen(AskedAhead(chain=chain, book=book, model=model, **given))


def _required(
    chain: Path,
    book: Path,
    *,
    rules: str,
    at: str | None,
    venue: str,
    feeds: Path | None,
    plot: Path | None,
    out: Path | None,
) -> None:
    from greekdrift.cli.console import say, table, write_json
    from greekdrift.config import load_rules
    from greekdrift.margin.engine import requirement
    from greekdrift.units import stamp

    options.keep_apart((out, plot), (chain, book, feeds))
    options.needs_matplotlib(plot)
    quotes = margin_positions.fed(options.chain_of(chain, at, venue)[0], feeds)
    rule_set = load_rules(rules)
    accounts = options.accounts_of(book)
    results = {account.account_id: requirement(quotes, account, rule_set) for account in accounts}
    table(
        f"Margin at {stamp(quotes.as_of)}, USD",
        ("account", "equity", "initial margin", "maintenance margin", "excess", "binding scenario"),
        [
            (
                name,
                one.equity_usd,
                one.initial_margin_usd,
                one.maintenance_margin_usd,
                one.excess_usd,
                one.worst_scenario,
            )
            for name, one in results.items()
        ],
    )
    margin_positions.show(results)
    say(f"rule set {rule_set.name} of {rule_set.dated} ({rule_set.sha256[:12]}): a dated default, not the live table")
    if plot is not None:
        from greekdrift.cli.margin_plot import draw

        draw(quotes, accounts, rule_set, plot)
    if out is not None:
        write_json(
            {
                "as_of": stamp(quotes.as_of),
                "rules": {"name": rule_set.name, "dated": rule_set.dated.isoformat(), "sha256": rule_set.sha256},
                "accounts": {
                    name: {
                        "equity_usd": one.equity_usd,
                        "initial_margin_usd": one.initial_margin_usd,
                        "maintenance_margin_usd": one.maintenance_margin_usd,
                        "excess_usd": one.excess_usd,
                        "worst_scenario": one.worst_scenario,
                        "scenario_pnl_usd": dict(one.scenario_pnl),
                        **margin_positions.values(one),
                    }
                    for name, one in results.items()
                },
            },
            out,
        )
