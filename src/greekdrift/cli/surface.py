"""`greekdrift surface`: the fitted smile of every expiry, how well it fits, and what arbitrage remains."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from greekdrift.cli import options

if TYPE_CHECKING:
    from pathlib import Path

    from greekdrift.book import Chain
    from greekdrift.surface.slices import Slice, Surface

HIDDEN = (
    "a",
    "b",
    "rho",
    "m",
    "s",
    "forward",
    "left_out",
    "quoted_from",
    "quoted_to",
    "free_from",
    "free_to",
    "refused",
)
MOST_NAMED = 8


def command(
    chain: options.AnyChain = None,
    config: options.PerhapsConfig = None,
    at: options.At = None,
    venue: options.PerhapsVenue = None,
    underlying: Annotated[str | None, typer.Option("--underlying", help="Only these, comma separated.")] = None,
    plot: options.Plot = None,
    out: options.Out = None,
) -> None:
    """Fit the implied-volatility surface of a chain: one raw SVI slice per underlying and expiry, without arbitrage.

    w(k) = a + b (ρ (k − m) + √((k − m)² + s²)),  k = ln(K/F),  w = σ² τ

    atm is per 1.00 (0.5 = 50 %); rmse in volatility points and in bid-ask
    spreads; quoted and free are ranges in standard deviations of the expiry:
    where there are quotes, and where the slice has been held free of arbitrage.

    Example: greekdrift surface --chain chain.parquet --out surface.csv

    Pictures of BTC: greekdrift surface --chain chain.parquet --underlying BTC
    --plot surface.png (an .html page holds all underlyings)
    """
    from greekdrift.cli.console import progress
    from greekdrift.cli.tables import show
    from greekdrift.surface.fit import fit

    options.keep_apart((plot, out), (chain, config))
    options.needs_matplotlib(plot)
    quotes = _of(options.quotes(chain, at, venue, config), underlying)
    _check_picture(quotes, plot)
    with progress(f"fitting {', '.join(quotes.underlyings)} (compiled at first use)"):
        surface = fit(quotes)
    columns = _columns(surface)
    show(columns, title=f"Surface of {quotes.venue} at {quotes.as_of:%Y-%m-%d %H:%M}Z", out=out, hidden=HIDDEN)
    _say(surface)
    if plot is not None:
        _draw(quotes, surface, columns, plot)


def _of(quotes: "Chain", underlying: str | None) -> "Chain":
    """The options of the wanted underlyings."""
    import numpy as np

    from greekdrift.cli.quantities import words
    from greekdrift.errors import ChainError, nearest

    wanted = None if underlying is None else words(underlying, option="--underlying", example="BTC")
    listed = sorted(set(quotes.underlying[quotes.is_option].tolist()))
    for name in wanted or ():
        if name not in listed:
            raise ChainError(f'the chain lists no option on "{name}"; {nearest(name, listed)}')
    if not listed:
        raise ChainError(f"the {quotes.venue} chain lists no option; a surface needs at least one.")
    return quotes.take(quotes.is_option & np.isin(quotes.underlying, listed if wanted is None else wanted))


def _check_picture(quotes: "Chain", plot: "Path | None") -> None:
    from greekdrift.errors import InputError

    if plot is not None and plot.suffix != ".html" and len(quotes.underlyings) > 1:
        raise InputError(
            f"{plot}: an image holds one underlying, the chain has {', '.join(quotes.underlyings)}; "
            "name one with --underlying, or write an .html page."
        )


def _columns(surface: "Surface") -> dict[str, Any]:
    """One row a slice; ranges in standard deviations of the expiry."""
    slices = surface.slices
    refused = {(one.underlying, one.expiry): one.reason for one in surface.refused}
    return {
        "underlying": [one.underlying for one in slices],
        "expiry": [f"{one.expiry:%Y-%m-%d %H:%M}" for one in slices],
        "days": [one.time_to_expiry * 365.0 for one in slices],
        "atm": [one.atm_volatility for one in slices],
        "rmse_points": [100.0 * one.rmse for one in slices],
        "rmse_spreads": [one.rmse_spreads for one in slices],
        "quotes": [one.n_quotes for one in slices],
        "quoted": [_range(one, one.quoted) for one in slices],
        "free": [_range(one, one.arbitrage_free) for one in slices],
        "method": [one.method + (" *" if (one.underlying, one.expiry) in refused else "") for one in slices],
        "forward": [one.forward for one in slices],
        **{name: [getattr(one.parameters, name) for one in slices] for name in ("a", "b", "rho", "m", "s")},
        **{f"quoted_{side}": [one.quoted[at] for one in slices] for at, side in enumerate(("from", "to"))},
        **{f"free_{side}": [one.arbitrage_free[at] for one in slices] for at, side in enumerate(("from", "to"))},
        "left_out": ["; ".join(f"{count} {reason}" for reason, count in one.dropped) for one in slices],
        "refused": [refused.get((one.underlying, one.expiry), "") for one in slices],
    }


def _range(one: "Slice", interval: tuple[float, float]) -> str:
    low, high = (edge / one.deviation for edge in interval)
    return f"{low:+.1f} … {high:+.1f}"


def _say(surface: "Surface") -> None:
    """Refused expiries with their reasons, why quotes were left out, and what arbitrage remains."""
    from collections import Counter

    from greekdrift.cli.console import escape, say
    from greekdrift.surface.arbitrage import check

    for one in surface.refused[:MOST_NAMED]:
        place = f"{one.underlying} {one.expiry:%Y-%m-%d %H:%M}"
        say(f"[yellow]* {place} is refused[/]: {escape(one.reason)}; a stand-in is shown")
    if len(surface.refused) > MOST_NAMED:
        say(f"{len(surface.refused)} expiries are refused in all; --out names each")
    dropped: Counter[str] = Counter()
    for slice_ in surface.slices:
        dropped.update(dict(slice_.dropped))
    reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.most_common())
    used = sum(one.n_quotes for one in surface.slices)
    say(f"{len(surface.slices)} slices on {used} quotes; left out: {reasons or 'none'}")
    found = check(surface)
    if not found:
        say("no butterfly or calendar arbitrage within five standard deviations")
    for violation in found[:MOST_NAMED]:
        say(
            f"[yellow]{violation.kind} arbitrage[/] of {violation.underlying} {violation.expiry:%Y-%m-%d}: "
            f"{violation.worst:.3g} at {violation.at_deviations:+.1f} deviations"
        )
    if len(found) > MOST_NAMED:
        say(f"{len(found)} violations in all")


def _draw(quotes: "Chain", surface: "Surface", columns: dict[str, Any], plot: "Path") -> None:
    from greekdrift.cli.console import writing
    from greekdrift.cli.smile_panels import panels
    from greekdrift.report.picture import Table, write
    from greekdrift.report.smiles import smiles

    title = f"Implied volatility on {quotes.venue}, {quotes.as_of:%Y-%m-%d %H:%M}Z"
    pictures = [
        (smiles(panels(quotes, surface, name), title=f"{name} · {title}"), f"smiles of {name}")
        for name in surface.underlyings
    ]
    shown = [name for name in columns if name not in HIDDEN]
    rows = list(zip(*(columns[name] for name in shown), strict=True))
    with writing(plot):
        write(
            plot,
            pictures,
            title=title,
            lead="Dots: marks within their bid and ask; crosses: marks without both. Line: raw SVI, dashed beyond what "
            "it was fitted on. Below each smile: slice less mark in points, over half the bid-ask spread.",
            tables=[Table(title="Slices", columns=shown, rows=rows)],
        )
