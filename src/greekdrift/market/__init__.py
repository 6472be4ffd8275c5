"""Where chains come from: files, packaged data, a simulator; every source answers the same two questions."""

from greekdrift.market.source import Source

__all__ = ["Source"]
