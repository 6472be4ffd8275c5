"""Margin requirements of rule sets: `engine` is the one door to the vectorised forms, `naive_engine` to the slow truth.

The judge uses the latter. The two share nothing but the records of `book.rules` and `margin.result`. This page
imports neither, so that whoever needs the slow truth does not load the engine.
"""

from greekdrift.margin.result import MarginPart, MarginResult, NetMargin

__all__ = ["MarginPart", "MarginResult", "NetMargin"]
