"""`greekdrift greeks`: Greeks of every listed contract, or of the accounts of a book."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from greekdrift.cli import options
from greekdrift.cli.quantities import Units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greekdrift.book import Account, Chain

View = Literal["usd", "coin"]

DEFAULT = {"usd": "delta_usd,delta_net,gamma,vega,theta", "coin": "value,delta,gamma,vega,theta"}


def command(
    chain: options.AnyChain = None,
    book: options.PerhapsBook = None,
    config: options.PerhapsConfig = None,
    at: options.At = None,
    venue: options.PerhapsVenue = None,
    names: Annotated[str | None, typer.Option("--names", help="Quantities, comma separated; see above.")] = None,
    view: Annotated[
        View, typer.Option(help="usd: N(d1) and money in USD; coin: premium-adjusted delta, value and Greeks in coins.")
    ] = "usd",
    units: Annotated[
        Units, typer.Option(help="venue: vega per point, theta per day; internal: per 1.00, per year.")
    ] = "venue",
    out: options.Out = None,
) -> None:
    """Greeks of a whole chain per contract, or of a book by account and underlying.

    Any of: value, delta, gamma, vega, theta, rho, vanna, volga, charm, veta,
    speed, zomma, color, strike_delta, strike_gamma; in the USD view also delta_usd, delta_net,
    delta_collateral, value_usd, value_coin, price.

    A book shows the three deltas side by side (usd: N(d1) on the forward; net:
    premium-adjusted; collateral: d equity in USD / dS) and vega by tenor.

    Example, the whole chain to a file:
    greekdrift greeks --chain chain.parquet --names delta,vega,vanna --out g.csv

    Example, a book in coins:
    greekdrift greeks --chain chain.parquet --book book.yaml --view coin
    """
    from greekdrift.cli.quantities import words

    options.keep_apart((out,), (chain, book, config))
    wanted = words(DEFAULT[view] if names is None else names, option="--names", example="delta,vega")
    _check(wanted, view)
    quotes = options.quotes(chain, at, venue, config)
    if book is None:
        _show_chain(quotes, wanted, view, units, out)
    else:
        _show_book(quotes, options.accounts_of(book), wanted, view, units, out)


def _check(wanted: "Sequence[str]", view: View) -> None:
    from greekdrift.errors import InputError, nearest
    from greekdrift.greeks.coin_view import NAMES
    from greekdrift.greeks.exposure import MONEY
    from greekdrift.greeks.table import QUANTITIES

    known = NAMES if view == "coin" else tuple(dict.fromkeys(("value", *QUANTITIES, *MONEY)))
    for name in wanted:
        if name not in known:
            raise InputError(f'--names: no "{name}" in the {view} view; {nearest(name, known)}')


def _line(quotes: "Chain", wanted: "Sequence[str]", view: View) -> dict[str, Any]:
    """Quantities per contract of every row, by the name that was asked for."""
    from greekdrift.greeks.coin_view import coin_quantities
    from greekdrift.greeks.exposure import line_quantities

    if view == "coin":
        return coin_quantities(quotes, wanted)
    own = {name: "value_usd" if name == "value" else name for name in wanted}
    found = line_quantities(quotes, tuple(dict.fromkeys(own.values())))
    return {name: found[one] for name, one in own.items()}


def _show_chain(quotes: "Chain", wanted: "Sequence[str]", view: View, units: Units, out: Any) -> None:
    from greekdrift.cli.quantities import shown
    from greekdrift.cli.tables import show

    line = _line(quotes, wanted, view)
    columns = {
        "instrument": [instrument.name for instrument in quotes.instruments],
        "days": quotes.time_to_expiry * 365.0,
        "forward": quotes.forward,
        "mark_iv": quotes.mark_iv,
        **{name: shown(name, line[name], units) for name in wanted},
    }
    show(columns, title=_title(quotes, wanted, view, units), out=out)
    _note_linear(quotes, view)


def _show_book(
    quotes: "Chain", accounts: "Sequence[Account]", wanted: "Sequence[str]", view: View, units: Units, out: Any
) -> None:
    import numpy as np

    from greekdrift.cli.console import escape, say
    from greekdrift.cli.quantities import shown, unit
    from greekdrift.cli.tables import screen, write
    from greekdrift.greeks.exposure import exposure, weights
    from greekdrift.greeks.tenor import by_tenor, labels

    held = exposure(quotes, accounts, ("delta_usd", "delta_net"))
    names = held.underlyings
    deltas = {name: held.quantities[name] for name in ("delta_usd", "delta_net", "delta_collateral", "coin_equity")}
    contracts = weights(quotes, accounts)
    belongs = quotes.underlying[:, None] == np.array(names)
    line = _line(quotes, wanted, view)
    sums = {name: (contracts * np.nan_to_num(shown(name, column, units))) @ belongs for name, column in line.items()}
    if "delta_collateral" in sums:
        sums["delta_collateral"] = deltas["delta_collateral"]
    own = [names.index(name) for name in quotes.underlyings]
    tenors = np.zeros((len(accounts), len(names), len(labels())))
    tenors[:, own] = shown("vega", by_tenor(quotes, accounts), units)
    every = [*deltas.values(), *sums.values(), *np.moveaxis(tenors, -1, 0)]
    account, underlying = np.nonzero(np.any([column != 0.0 for column in every], axis=0))
    keys = {
        "account": [held.account_ids[at] for at in account],
        "underlying": [names[at] for at in underlying],
    }
    greeks = {name: column[account, underlying] for name, column in sums.items()}
    three = {name: column[account, underlying] for name, column in deltas.items()}
    buckets = {f"vega {label}": tenors[account, underlying, at] for at, label in enumerate(labels())}
    screen({**keys, **greeks}, title=_title(quotes, wanted, view, units))
    screen({**keys, **three}, title="The three deltas and the coin equity, coins")
    screen({**keys, **buckets}, title=f"Vega by days to expiry, {unit('vega', units)}")
    if out is not None:
        write(
            {**keys, **{name: column for name, column in three.items() if name not in greeks}, **greeks, **buckets}, out
        )
    for at, name in enumerate(held.account_ids):
        if at not in account:
            say(f"{escape(name)}: no exposure to show; it holds no contract and no coin of this chain")
    _note_linear(quotes, view, contracts)


def _title(quotes: "Chain", wanted: "Sequence[str]", view: View, units: Units) -> str:
    from greekdrift.cli.quantities import coin_unit, unit

    of = coin_unit if view == "coin" else unit
    listed = ", ".join(f"{name} in {of(name, units)}" for name in wanted)
    return f"{quotes.venue} at {quotes.as_of:%Y-%m-%d %H:%M}Z: {listed}"


def _note_linear(quotes: "Chain", view: View, contracts: Any = None) -> None:
    """Says what the coin view leaves out."""
    import numpy as np

    from greekdrift.cli.console import say

    is_out = ~quotes.is_inverse & ~quotes.is_spot
    if contracts is not None:
        is_out = is_out & np.any(contracts != 0.0, axis=0)
    if view == "coin" and np.any(is_out):
        say(f"{int(is_out.sum())} linear contracts are paid in USD and have no value in coins; only their delta counts")
