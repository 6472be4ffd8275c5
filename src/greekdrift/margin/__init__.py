"""Margin requirements of rule sets: `grid` is the vectorised engine, `naive` the slow truth that the judge uses.

The two share nothing but the records of `book.rules` and `margin.result`. This page imports neither, so that
whoever needs the slow truth does not load the engine.
"""

from greekdrift.margin.result import MarginResult, NetMargin

__all__ = ["MarginResult", "NetMargin"]
