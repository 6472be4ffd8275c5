"""`greekdrift surface`: the fitted smile of every expiry, and what arbitrage remains."""

from greekdrift.cli import options


def command(
    chain: options.ChainFile,
    at: options.At = None,
    venue: options.VenueName = "deribit",
    out: options.Out = None,
) -> None:
    """Fit the implied-volatility surface of a chain: one raw SVI slice per underlying and expiry.

    w(k) = a + b (ρ (k − m) + √((k − m)² + s²)), k = ln(K/F), w = σ² τ. Volatility 0.5 = 50 %, time in days.

    Example: greekdrift surface --chain chain.parquet --out surface.csv
    """
    from greekdrift.cli.console import say
    from greekdrift.cli.tables import show
    from greekdrift.surface.arbitrage import check
    from greekdrift.surface.fit import fit

    quotes, _ = options.chain_of(chain, at, venue)
    surface = fit(quotes)
    slices = surface.slices
    columns = {
        "underlying": [one.underlying for one in slices],
        "expiry": [f"{one.expiry:%Y-%m-%d %H:%M}" for one in slices],
        "days": [one.time_to_expiry * 365.0 for one in slices],
        "forward": [one.forward for one in slices],
        "atm": [one.atm_volatility for one in slices],
        **{name: [getattr(one.parameters, name) for one in slices] for name in ("a", "b", "rho", "m", "s")},
        "rmse": [one.rmse for one in slices],
        "quotes": [one.n_quotes for one in slices],
        "method": [one.method for one in slices],
    }
    show(columns, title=f"Surface at {quotes.as_of:%Y-%m-%d %H:%M}Z", out=out, hidden=("a", "b", "rho", "m", "s"))
    found = check(surface)
    say(f"{len(slices)} slices; {len(found)} violations of no-arbitrage within five standard deviations")
    for violation in found[:5]:
        say(f"  {violation.kind} of {violation.underlying} {violation.expiry:%Y-%m-%d}: {violation.worst:.3g}")
