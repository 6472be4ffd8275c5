"""`greekdrift greeks`: Greeks of every listed contract, or of the accounts of a book."""

from typing import Annotated, Any, Literal

import typer

from greekdrift.cli import options

Units = Literal["venue", "internal"]


def command(
    chain: options.ChainFile,
    book: options.PerhapsBook = None,
    at: options.At = None,
    venue: options.VenueName = "deribit",
    names: Annotated[
        str, typer.Option("--names", help="Quantities, comma separated.")
    ] = "delta_usd,delta_net,gamma,vega,theta",
    units: Annotated[
        Units, typer.Option(help="venue: vega per point, theta per day; internal: per 1.00, per year.")
    ] = "venue",
    out: options.Out = None,
) -> None:
    """Greeks of a whole chain per contract, or of a book by account and underlying.

    Any of: delta (delta_usd, delta_net), gamma, vega, theta, rho, vanna, volga, charm, veta, speed, zomma, color,
    value_usd. Deltas in coins, gamma in coins per USD, money in USD.

    Example: greekdrift greeks --chain chain.parquet --book configs/books/deribit.yaml --names delta_net,vega,volga
    """
    import numpy as np

    from greekdrift.cli.console import escape, say
    from greekdrift.cli.tables import show
    from greekdrift.errors import InputError
    from greekdrift.greeks.exposure import exposure, line_quantities

    wanted = list(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    if not wanted:
        raise InputError("--names is empty; name at least one quantity, like delta_net,vega.")
    quotes, _ = options.chain_of(chain, at, venue)
    columns: dict[str, Any]
    silent: list[str] = []
    if book is None:
        line = line_quantities(quotes, wanted)
        columns = {
            "instrument": [instrument.name for instrument in quotes.instruments],
            "forward": quotes.forward,
            "mark_iv": quotes.mark_iv,
            "days": quotes.time_to_expiry * 365.0,
            **{name: _in(units, name, line[name]) for name in wanted},
        }
    else:
        held = exposure(quotes, options.accounts_of(book), wanted)
        shown = list(dict.fromkeys([*wanted, "delta_net", "delta_collateral"]))
        there = np.any([held.quantities[name] != 0.0 for name in shown], axis=0)
        account, underlying = np.nonzero(there)
        silent = [name for at, name in enumerate(held.account_ids) if not there[at].any()]
        columns = {
            "account": [held.account_ids[at] for at in account],
            "underlying": [held.underlyings[at] for at in underlying],
            **{name: _in(units, name, held.quantities[name][there]) for name in shown},
        }
    show(columns, title=f"Greeks at {quotes.as_of:%Y-%m-%d %H:%M}Z, {units} units", out=out)
    for name in silent:
        say(f"{escape(name)}: no exposure to show; it holds no contract and no coin of this chain")


def _in(units: Units, name: str, values: Any) -> Any:
    from greekdrift.units import VENUE_FACTOR, to_venue

    return to_venue(name, values) if units == "venue" and name in VENUE_FACTOR else values
