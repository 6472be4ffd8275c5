"""`greekdrift implied`: volatilities that the quoted prices imply."""

from typing import Annotated

import typer

from greekdrift.cli import options

SIDES = ("bid", "mark", "ask")


def command(
    chain: options.AnyChain = None,
    config: options.PerhapsConfig = None,
    at: options.At = None,
    venue: options.PerhapsVenue = None,
    price: Annotated[str, typer.Option("--price", help="Which prices, comma separated.")] = "bid,mark,ask",
    out: options.Out = None,
) -> None:
    """Implied volatility of each bid, mark and ask, or the reason why a price has none; 0.5 = 50 %.

    Prices of inverse options are in the coin and are read on the forward. A
    price has no volatility where it is missing, below its intrinsic value, above
    its bound, expired, or so deep in the money that it says nothing of it.

    Example: greekdrift implied --chain chain.parquet --at 2026-02-05T04:30Z --out iv.csv
    """
    import numpy as np

    from greekdrift.cli.console import table
    from greekdrift.cli.quantities import words
    from greekdrift.cli.tables import show
    from greekdrift.errors import ChainError, InputError, nearest
    from greekdrift.greeks.implied import solve
    from greekdrift.greeks.implied_truth import Reason

    sides = words(price, option="--price", example="bid,ask")
    for side in sides:
        if side not in SIDES:
            raise InputError(f'--price: no "{side}"; {nearest(side, SIDES)}')
    options.keep_apart((out,), (chain, config))
    quotes = options.quotes(chain, at, venue, config)
    if not np.any(quotes.is_option):
        raise ChainError(f"the {quotes.venue} chain lists no option, so no price implies a volatility.")
    listed = quotes.take(quotes.is_option)
    columns: dict[str, object] = {
        "instrument": [instrument.name for instrument in listed.instruments],
        "days": listed.time_to_expiry * 365.0,
    }
    counts = {}
    for side in sides:
        volatility, reason = solve(
            getattr(listed, side),
            forward=listed.forward,
            strike=listed.strike,
            time_to_expiry=listed.time_to_expiry,
            is_call=listed.is_call,
            is_coin=listed.is_inverse,
        )
        columns[f"{side}_iv"] = volatility
        columns[f"{side}_reason"] = [Reason(int(code)).name.lower() for code in reason]
        counts[side] = [int(np.sum(reason == code)) for code in Reason]
    columns["venue_mark_iv"] = listed.mark_iv
    show(
        columns,
        title=f"Implied volatility on {quotes.venue} at {listed.as_of:%Y-%m-%d %H:%M}Z",
        out=out,
        hidden=[f"{side}_reason" for side in sides if counts[side][0] == len(listed)],
    )
    said = [at for at, _ in enumerate(Reason) if any(counts[side][at] for side in sides)]
    table(
        f"What {len(listed)} options imply",
        ("price", *(Reason(at).name.lower().replace("_", " ") for at in said)),
        [(side, *(counts[side][at] for at in said)) for side in sides],
    )
