"""`greekdrift explain`: where the P&L and the drift of the Greeks of an unchanged book came from."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from greekdrift.cli import options
from greekdrift.cli.quantities import Units

if TYPE_CHECKING:
    from datetime import datetime

    from greekdrift.book import Account
    from greekdrift.surface.attribution import Attribution
    from greekdrift.surface.slices import Surface

By = Literal["account", "underlying", "expiry", "instrument"]
Start = Annotated[
    str, typer.Option("--from", help="The earlier chain: a file, FILE@TIME, or a time like 2026-02-05T04:30Z.")
]
End = Annotated[str, typer.Option("--to", help="The later chain, likewise.")]
Chains = Annotated[
    Path | None, typer.Option("--chain", help="File or folder of chains that the times are looked up in.")
]
Underlyings = Annotated[
    str | None, typer.Option("--underlying", help="Only these, comma separated; else all that are held.")
]
Quantities = Annotated[
    str, typer.Option("--quantity", help="Comma separated: pnl_usd, pnl_coin, equity_usd, any delta, any Greek.")
]
Deliveries = Annotated[
    list[str] | None, typer.Option("--delivery", help="Known settlement price, like BTC-6FEB26=64120.5; repeatable.")
]
Everything = Annotated[
    Path | None, typer.Option("--json", callback=options.file_to_write(".json"), help="JSON file with every number.")
]


def command(
    start: Start,
    end: End,
    book: options.Book = None,
    underlying: Underlyings = None,
    quantity: Quantities = "pnl_usd,delta_net,gamma,vega,theta",
    by: Annotated[
        By, typer.Option(help="Drill-down: one row an account, underlying, expiry or instrument.")
    ] = "underlying",
    chain: Chains = None,
    config: options.PerhapsConfig = None,
    venue: options.PerhapsVenue = None,
    units: Annotated[
        Units, typer.Option(help="venue: vega per point, theta per day; internal: per 1.00, per year.")
    ] = "venue",
    delivery: Deliveries = None,
    plot: options.Plot = None,
    json: Everything = None,
    out: options.Out = None,
) -> None:
    """Split the change of each quantity of an unchanged book between two chains into its causes; they add up exactly.

    clock      time runs, the market frozen
    spot       index, forward and basis
    level      at-the-money volatility; likewise skew and curvature
    cross      what these do together beyond that
    residual   what they cannot say, from the later chain's own marks

    What expired on the way settles between the snapshots around its expiry,
    or at --delivery. A line that is neither listed nor expired later is named
    and left out.

    Example, two files:
    greekdrift explain --from monday.parquet --to tuesday.parquet
      --book book.yaml --plot why.png

    Example, one file or folder with many snapshots:
    greekdrift explain --chain chains.parquet --from 2026-02-05T04:30Z
      --to 2026-02-06T04:30Z --book book.yaml --by instrument

    Example, packaged data:
    greekdrift explain --config configs/experiment/demo.yaml
      --from 2023-12-21T21:00Z --to 2023-12-26T21:00Z
    """
    from greekdrift.cli import explained
    from greekdrift.cli.console import write_json
    from greekdrift.cli.quantities import words
    from greekdrift.cli.tables import write

    names = words(quantity, option="--quantity", example="pnl_usd,delta_net")
    options.keep_apart((plot, json, out), (chain, book, config, Path(start), Path(end)))
    options.needs_matplotlib(plot)
    found = _attribution(start, end, book, underlying, names, chain, config, venue, delivery or [])
    rows = {name: explained.groups(found, name, by) for name in names}
    explained.show(found, rows, by=by, units=units)
    if out is not None:
        write(explained.columns(rows, units), out)
    if json is not None:
        write_json(explained.values(found, units), json)
    if plot is not None:
        explained.draw(found, rows, units, plot)


def _attribution(
    start: str,
    end: str,
    book: Path | None,
    underlying: str | None,
    names: Sequence[str],
    chain: Path | None,
    config: Path | None,
    venue: str | None,
    delivery: Sequence[str],
) -> "Attribution":
    from greekdrift.cli.console import progress
    from greekdrift.cli.two_chains import two_chains
    from greekdrift.errors import InputError, nearest
    from greekdrift.surface.attribution import NAMES, attribute
    from greekdrift.surface.fit import fit

    for name in names:
        if name not in NAMES:
            raise InputError(f'--quantity: no "{name}"; {nearest(name, NAMES)}')
    accounts = _accounts(book, config, underlying)
    with progress("reading two chains, fitting their surfaces (compiled at first use)") as advance:
        both = two_chains(start, end, chain=chain, config=config, venue=venue)
        held = {one for account in accounts for one in account.underlyings()}
        surfaces = []
        for at, one in enumerate((both.chain, both.later)):
            rows = [row.underlying in held and row.is_option for row in one.instruments]
            surfaces.append(fit(one.take(rows)) if any(rows) else _no_surface(one.as_of))
            advance(at + 1, 2)
        return attribute(
            both.chain,
            both.later,
            accounts,
            surface=surfaces[0],
            later_surface=surfaces[1],
            names=names,
            between=both.between(accounts),
            deliveries=dict(_delivery(one) for one in delivery),
        )


def _no_surface(moment: "datetime") -> "Surface":
    from greekdrift.surface.slices import Surface

    return Surface(as_of=moment, slices=())


def _accounts(book: Path | None, config: Path | None, underlying: str | None) -> "list[Account]":
    """The accounts, of the wanted underlyings alone where some are named."""
    from dataclasses import replace

    from greekdrift.cli.quantities import words
    from greekdrift.config import load_accounts, load_experiment
    from greekdrift.errors import BookError, ConfigError, nearest

    path = book
    if path is None and config is not None:
        path = load_experiment(config, (), check_components=False).book
    if path is None:
        raise ConfigError("no book: give --book FILE, or --config with a book in it.")
    accounts = list(load_accounts(path))
    if underlying is None:
        return accounts
    wanted = words(underlying, option="--underlying", example="BTC")
    known = {name for one in accounts for name in (*one.underlyings(), *one.collateral)}
    for name in wanted:
        if name not in known:
            raise BookError(f'{path}: nothing is held in "{name}"; {nearest(name, known)}')
    return [
        replace(
            one,
            positions=tuple(held for held in one.positions if held.instrument.underlying in wanted),
            collateral={name: amount for name, amount in one.collateral.items() if name in wanted},
        )
        for one in accounts
    ]


def _delivery(text: str) -> "tuple[tuple[str, datetime], float]":
    from greekdrift.book.instrument import parse
    from greekdrift.errors import InputError

    name, _, price = text.partition("=")
    instrument = parse(name.strip())
    try:
        value = float(price)
    except ValueError:
        value = float("nan")
    if instrument.expiry is None or not value > 0.0:
        raise InputError(f"--delivery {text}: write a dated contract and its price, like BTC-6FEB26=64120.5.")
    return (instrument.underlying, instrument.expiry), value
