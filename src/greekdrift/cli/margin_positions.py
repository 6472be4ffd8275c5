"""What `greekdrift margin` shows beside the requirement: the figures by position, and the feeds of a chain."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from greekdrift.book import Chain
    from greekdrift.margin import MarginResult

FeedsFile = Annotated[
    Path | None,
    typer.Option("--feeds", help="Feed file, YAML or JSON: confidence in each price, the stablecoin, further prices."),
]


def fed(chain: "Chain", feeds: Path | None) -> "Chain":
    """The chain with the feeds of a file; without one its prices are the venue's own and not in doubt."""
    if feeds is None:
        return chain
    from greekdrift.book.feeds import strangers, with_feeds
    from greekdrift.cli.console import escape, say
    from greekdrift.config.feeds import load_feeds

    given = load_feeds(feeds)
    unused = strangers(chain, given)
    if unused:
        say(f"{escape(str(feeds))}: no price of this chain has the feed {escape(', '.join(unused))}; it counts nothing")
    return with_feeds(chain, given)


def show(results: "Mapping[str, MarginResult]") -> None:
    """The venue's figures of each position, where the rule set is one of positions."""
    from greekdrift.cli.console import say, table

    rows = [
        (name, instrument, initial, maintenance)
        for name, one in results.items()
        for instrument, (initial, maintenance) in _positions(one).items()
    ]
    if not rows:
        return
    table("By position, as the venue shows it, USD", ("account", "position", "initial margin", "maintenance"), rows)
    say(
        "the venue holds its figures, which contain the mark of a short option, against a balance without options; "
        "equity here counts options at their mark, and the requirement is less that: the excess is the same"
    )


def values(result: "MarginResult") -> dict[str, Any]:
    """The same for a JSON file; nothing where the rule set has no figures by position."""
    found = _positions(result)
    if not found:
        return {}
    return {
        "venue_figures_usd": {
            instrument: {"initial_margin": initial, "maintenance_margin": maintenance}
            for instrument, (initial, maintenance) in found.items()
        }
    }


def _positions(result: "MarginResult") -> dict[str, tuple[float, float]]:
    from greekdrift.margin.position_result import PositionMargin

    parts = [part for part in result.parts if isinstance(part, PositionMargin)]
    return {name: figures for part in parts for name, figures in part.positions.items()}
