"""`greekdrift implied`: volatilities that the quoted prices imply."""

from greekdrift.cli import options


def command(
    chain: options.ChainFile,
    at: options.At = None,
    venue: options.VenueName = "deribit",
    out: options.Out = None,
) -> None:
    """Implied volatility of each bid, mark and ask, with the reason where a price has none.

    Prices of inverse options are in the coin and are read on the forward. 0.5 = 50 %.

    Example: greekdrift implied --chain chain.parquet --at 2026-02-05T10:00Z --out implied.csv
    """
    import numpy as np

    from greekdrift.cli.console import say
    from greekdrift.cli.tables import show
    from greekdrift.greeks.implied import Reason, solve

    quotes, _ = options.chain_of(chain, at, venue)
    listed = quotes.take(quotes.is_option)
    unit = np.where(listed.is_inverse, listed.forward, 1.0)
    columns: dict[str, object] = {"instrument": [instrument.name for instrument in listed.instruments]}
    found = 0
    for side in ("bid", "mark", "ask"):
        volatility, reason = solve(
            getattr(listed, side) * unit,
            forward=listed.forward,
            strike=listed.strike,
            time_to_expiry=listed.time_to_expiry,
            is_call=listed.is_call,
        )
        columns[f"{side}_iv"] = volatility
        columns[f"{side}_reason"] = [Reason(int(code)).name.lower() for code in reason]
        found += int(np.sum(reason == Reason.FOUND))
    columns["venue_mark_iv"] = listed.mark_iv
    show(columns, title=f"Implied volatility at {listed.as_of:%Y-%m-%d %H:%M}Z", out=out, hidden=("mark_reason",))
    say(f"{found} of {3 * len(listed)} prices imply a volatility; the others say why")
