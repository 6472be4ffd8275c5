"""Feed files: confidence in each price, the stablecoin's price and prices of further collateral, from YAML or JSON.

stable_price: 0.997                     # null where the venue counts in dollars themselves
prices: {USDT: 0.9998}                  # of collateral that the chain has no index price of
confidence:
  BTC: 0.98                             # spot
  BTC-PERPETUAL: 0.95
  BTC-27FEB26 forward: 0.9
  BTC-27FEB26 rate: null                # there is no such feed
  "*": 1.0                              # every other feed
"""

from pathlib import Path

from greekdrift.book.feeds import Feeds
from greekdrift.config.document import Document, read
from greekdrift.config.problem import Section, parse
from greekdrift.errors import ChainError


class FeedsFile(Section):
    """A feed file: every key must be there, and `confidence` must name every feed that a rule set needs."""

    stable_price: float | None
    prices: dict[str, float]
    confidence: dict[str, float | None]

    def record(self) -> Feeds:
        """The feeds, checked."""
        return Feeds(confidence=self.confidence, stable_price=self.stable_price, prices=self.prices)


def load_feeds(path: str | Path) -> Feeds:
    """The feeds of a file; all problems of it are raised together."""
    return feeds(read(path))


def feeds(document: Document) -> Feeds:
    """The feeds of a document that was read already.

    >>> from greekdrift.config.document import read_text
    >>> text = "{stable_price: null, prices: {}, confidence: {BTC: 0.4}}"
    >>> feeds(read_text(text, name="feeds.yaml")).confidence_in("BTC")
    0.4
    """
    given = parse(FeedsFile, document, error=ChainError)
    try:
        return given.record()
    except ChainError as problem:
        raise ChainError(f"{document.name}: {problem}") from None
