"""Histories with two times against hindsight: what was known at an instant, asked cleverly and by plain search.

Random histories: irregular events, each known some time later, some corrected once or twice, some told late or not at
all, some missing, several stretches without any. For each, at random instants (and exactly at the edges), the join as
of the instant, `until`, the rows in order and their windows must equal a search through all rows that looks at nothing
known later; and a history that goes on otherwise after the instant must give the same. Prints a table; ends with
status 1 if anything differs.

    python -m campaigns.leaks [--part 20] [--seed 1]      one part in so many of 100,000 histories
"""

import argparse
import sys
import time
from collections import Counter
from dataclasses import replace

import numpy as np
from numpy import ndarray

from greekdrift.features.history import HOUR, example
from greekdrift.market.series import Series, series

HISTORIES = 100_000
MOMENTS = 12
STRIDE = 11
"""The slow questions are put at every eleventh instant."""
COLUMNS = ("first", "second")


def history(random: np.random.Generator) -> Series:
    """A random history of 0 to 60 events."""
    events = int(random.integers(0, 60))
    step = random.exponential(1.0, size=events) + np.where(random.uniform(size=events) < 0.05, 30.0, 0.0)
    event_time = _instants(np.cumsum(step + 1e-6))
    told = np.sort(random.choice(events, size=int(random.integers(0, events + 1)))) if events else np.empty(0, int)
    rows = np.concatenate([np.arange(events), told])
    delay = random.choice([0.0, 0.05, 0.5, 3.0], size=rows.size)
    delay += np.where(random.uniform(size=rows.size) < 0.1, random.exponential(40.0, size=rows.size), 0.0)
    delay[events:] += random.exponential(20.0, size=told.size)
    known_at = event_time[rows] + (delay * 3.6e9).astype("timedelta64[us]")
    _, kept = np.unique(np.stack([event_time[rows].view("i8"), known_at.view("i8")]), axis=1, return_index=True)
    values = random.normal(size=(rows.size, len(COLUMNS)))
    values[random.uniform(size=values.shape) < 0.1] = np.nan
    return series(
        "random",
        event_time=event_time[rows][kept],
        known_at=known_at[kept],
        columns=COLUMNS,
        units=["1", "1"],
        values=values[kept],
        hole_hours=float(random.choice([2.0, 10.0, 1000.0])),
        lag_hours=float(random.choice([0.0, 1.0])),
    )


def instants(one: Series, random: np.random.Generator) -> ndarray:
    """Instants to ask at: anywhere, exactly when a row became known, and a microsecond before."""
    if len(one) == 0:
        return _instants(random.uniform(0.0, 100.0, size=2))
    span = (one.known_at[-1] - one.event_time.min()) / HOUR
    anywhere = one.event_time.min() + (random.uniform(-0.1, 1.2, size=MOMENTS) * span * 3.6e9).astype("timedelta64[us]")
    edges = random.choice(one.known_at, size=MOMENTS)
    return np.sort(np.concatenate([anywhere, edges, edges - np.timedelta64(1, "us")]))


def differences(one: Series, moments: ndarray, random: np.random.Generator) -> Counter[str]:
    """How many answers differ from those of plain search, by question."""
    found: Counter[str] = Counter()
    for name in COLUMNS:
        found["value as of an instant"] += _unequal(one.as_of(moments, name), _search(one, moments, name))
    found["age as of an instant"] += _unequal(one.age_hours(moments), _search(one, moments, None))
    hours = float(random.choice([1.0, 5.0, 20.0]))
    ordered = one.in_order()
    start, stop = ordered.windows(moments, hours, least=0.5)
    for at in range(0, len(moments), STRIDE):
        known = one.until(moments[at])
        found["rows known at an instant"] += int(len(known) != np.sum(one.known_at <= moments[at]))
        found["rows in order"] += int(_in_order(known) != known.in_order().event_time.tolist())
        found["rows of a window"] += int(
            ordered.event_time[start[at] : stop[at]].tolist() != _window(one, moments[at], hours, 0.5)
        )
    moment = random.choice(moments)
    other = _otherwise(one, moment, random)
    before = moments[moments <= moment]
    for name in COLUMNS:
        found["another future"] += _unequal(one.as_of(before, name), other.as_of(before, name))
    again = other.in_order()
    firsts, lasts = again.windows(before, hours, least=0.5)
    for at in range(0, len(before), STRIDE):
        found["another future"] += int(
            not np.array_equal(
                ordered.values[start[at] : stop[at]], again.values[firsts[at] : lasts[at]], equal_nan=True
            )
        )
    return found


def panel_differences(random: np.random.Generator) -> int:
    """Cells in which a panel cut at an instant answers otherwise than the whole panel did at its rows."""
    one = history(random)
    if len(one) == 0:
        return 0
    bare = example(rows=20, seed=int(random.integers(1 << 30)))
    start = one.event_time.min() - bare.as_of[0]
    panel = replace(
        bare,
        as_of=bare.as_of + start,
        known_at=bare.known_at + start + np.sort(random.integers(0, 10**10, size=20)).astype("timedelta64[us]"),
        histories={"random": one},
    )
    moment = random.choice(panel.known_at)
    cut = panel.until(moment)
    whole = panel.history("random").as_of(panel.known_at, "first")[: len(cut)]
    other = replace(panel, histories={"random": _otherwise(one, moment, random)}).history("random")
    return sum(
        _unequal(whole, seen)
        for seen in (
            cut.history("random").as_of(cut.known_at, "first"),
            other.as_of(panel.known_at, "first")[: len(cut)],
        )
    )


def run(count: int, *, seed: int) -> Counter[str]:
    """Differences by question over so many random histories; a panel is asked for every tenth."""
    found: Counter[str] = Counter()
    for number in range(count):
        random = np.random.default_rng([seed, number])
        one = history(random)
        found.update(differences(one, instants(one, random), random))
        if number % 10 == 0:
            found["panel cut at an instant"] += panel_differences(random)
    return found


def _search(one: Series, moments: ndarray, column: str | None) -> ndarray:
    """Value (or age) of the newest event among the rows known at each instant, its version known last; plain."""
    known = one.known_at[None, :] <= moments[:, None]
    event = np.where(known, one.event_time.view("i8")[None, :], np.iinfo(np.int64).min)
    newest = event.max(axis=1, initial=np.iinfo(np.int64).min)
    row = (np.where(event == newest[:, None], np.arange(len(one))[None, :], -1)).max(axis=1, initial=-1)
    at = np.maximum(row, 0)
    if len(one) == 0:
        return np.full(len(moments), np.nan)
    age = (moments - one.event_time[at]) / HOUR
    value = age if column is None else one.column(column)[at]
    return np.where(known.any(axis=1) & (age <= one.hole_hours + one.lag_hours), value, np.nan)


def _in_order(known: Series) -> list[object]:
    """Events that were newer than all known before, row by row."""
    found: list[object] = []
    for moment in known.event_time.tolist():
        if not found or moment > found[-1]:
            found.append(moment)
    return found


def _window(one: Series, moment: np.datetime64, hours: float, least: float) -> list[object]:
    """Events of the window that ends with the newest known one, row by row; none where it is not covered."""
    events = _in_order(one.until(moment))
    if not events or (moment - np.datetime64(events[-1], "us")) / HOUR > one.hole_hours + one.lag_hours:
        return []
    distances = [(np.datetime64(events[-1], "us") - np.datetime64(event, "us")) / HOUR for event in events]
    inside = [at for at, distance in enumerate(distances) if distance < hours]
    first = max(inside[0] - 1, 0)
    gaps = [earlier - later for earlier, later in zip(distances[first:], distances[first + 1 :], strict=False)]
    if distances[first] < least * hours or any(gap > one.hole_hours for gap in gaps):
        return []
    return events[inside[0] :]


def _otherwise(one: Series, moment: np.datetime64, random: np.random.Generator) -> Series:
    """The history as known at an instant, and from there on another one: other rows, corrections, backfills."""
    known, fresh = one.until(moment), history(random)
    if len(fresh) == 0:
        return known
    event_time = np.concatenate([known.event_time, random.permutation(fresh.event_time)])
    later = np.maximum(moment, event_time[len(known) :]) + np.arange(1, len(fresh) + 1).astype("timedelta64[us]")
    return series(
        one.name,
        event_time=event_time,
        known_at=np.concatenate([known.known_at, later]),
        columns=one.columns,
        units=one.units,
        values=np.concatenate([known.values, fresh.values]),
        hole_hours=one.hole_hours,
        lag_hours=one.lag_hours,
    )


def _unequal(left: ndarray, right: ndarray) -> int:
    return int(np.sum(~((left == right) | (np.isnan(left) & np.isnan(right)))))


def _instants(hours: ndarray) -> ndarray:
    return np.datetime64("2026-01-01", "us") + (hours * 3.6e9).astype("timedelta64[us]")


def main() -> int:
    """The campaign; 0 if nothing differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", type=int, default=1, help="do one part in so many")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    count = HISTORIES // given.part
    begun = time.perf_counter()
    found = run(count, seed=given.seed)
    print(f"{count:,} random histories in {time.perf_counter() - begun:.0f} s")
    for name in sorted(found):
        print(f"  {name:28} {found[name]:6,} differ")
    return 1 if found.total() else 0


if __name__ == "__main__":
    sys.exit(main())
