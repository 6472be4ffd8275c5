"""Surfaces of recorded snapshots: expiries that no surface without arbitrage meets, and what the fit leaves."""

from collections.abc import Callable, Iterator
from textwrap import shorten

import numpy as np
import pandas as pd

from greekdrift.book import Venue
from greekdrift.errors import GreekdriftError
from greekdrift.market import quality, schema
from greekdrift.market.validation.finding import Hits, at_moments
from greekdrift.market.validation.rows import Rows
from greekdrift.surface import arbitrage, fit
from greekdrift.surface.slices import Surface
from greekdrift.units import from_datetime64

Place = tuple[str, np.datetime64, str, float, float]
Advance = Callable[[int, int], None]

WORDS = 48
"""Characters of a reason that are shown."""


def check(
    quotes: pd.DataFrame, rows: Rows, *, venue: Venue, is_sound: np.ndarray, advance: Advance | None = None
) -> Iterator[Hits]:
    """Fits a surface to the sound rows of every snapshot that has options, one underlying at a time."""
    places: list[Place] = []
    starts = np.flatnonzero(np.r_[True, np.diff(rows.number) > 0]) if len(rows) else np.empty(0, dtype=np.int64)
    stops = np.r_[starts[1:], len(rows)]
    for turn, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        for code, name in enumerate(rows.underlyings):
            at = start + np.flatnonzero((rows.underlying[start:stop] == code) & is_sound[start:stop])
            if np.any(rows.is_option[at]):
                places += _places(quotes.iloc[at], rows.moment[start], name, venue)
        if advance is not None:
            advance(turn + 1, starts.size)
    for rule in sorted({place[0] for place in places}):
        own = [place for place in places if place[0] == rule]
        yield at_moments(
            rule,
            [place[1] for place in own],
            [place[2] for place in own],
            figure=[place[3] for place in own],
            limit=[place[4] for place in own],
        )


def _places(quotes: pd.DataFrame, moment: np.datetime64, name: str, venue: Venue) -> list[Place]:
    as_of = from_datetime64(moment)
    left, _ = quality.uncrossed(quotes)
    try:
        chain = schema.chain_of(
            left.drop(columns="known_at", errors="ignore"),
            venue=venue,
            as_of=as_of,
            known_after=np.timedelta64(0, "s").item(),
            where="chain",
        )
        surface = fit.fit(chain)
    except GreekdriftError as problem:
        return [("unfitted", moment, shorten(f"{name}: {problem}", 2 * WORDS, placeholder=" …"), np.nan, np.nan)]
    return [*_refused(surface, moment), *_arbitrage(surface, moment)]


def _refused(surface: Surface, moment: np.datetime64) -> Iterator[Place]:
    for one in surface.refused:
        where = f"{one.underlying} {one.expiry:%d%b%y}".upper()
        yield (
            "surface_refused",
            moment,
            f"{where}: {shorten(one.reason, WORDS, placeholder=' …')}",
            one.figure,
            one.limit,
        )


def _arbitrage(surface: Surface, moment: np.datetime64) -> Iterator[Place]:
    """What `surface.arbitrage` finds within the range on which each slice says to be free of it."""
    for one in arbitrage.check(surface):
        where = f"{one.underlying} {one.expiry:%d%b%y}".upper()
        yield "surface_arbitrage", moment, f"{where}: {one.kind} at {one.at_deviations:+.1f} deviations", one.worst, 0.0
