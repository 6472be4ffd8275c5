"""Law: whatever becomes known later, in the panel or in any record beside it, changes no feature of the catalogue."""

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greekdrift.features import feature as feature_page
from greekdrift.features import records
from greekdrift.features.catalogue import BARS, BOOKS, DVOL, PANEL, PAYMENTS, PERPETUAL, RECORDS, VIX
from greekdrift.features.events import EventNear, EventPast, EventsAhead, Schedule
from greekdrift.features.feature import Column, Feature, Path
from greekdrift.features.history import HOUR, Panel, example
from greekdrift.features.leak import label_leaks, leaks, procedure_leaks
from greekdrift.features.records import PLACE, record_lines
from greekdrift.features.table import FEATURES
from greekdrift.market.series import Series, series

ROWS = 130
UNDERLYINGS = ("BTC", "ETH")
FACTORS = tuple(f"{kind}_{days}" for kind in ("atm", "skew", "curvature") for days in (7, 30, 180))
OHLC = ("open", "high", "low", "close")
DEPTHS = ("bid", "ask", "depth_bid_5bps", "depth_ask_5bps")
MET = (*FEATURES[::3], *PANEL[1::4], *RECORDS[::5], *RECORDS[-4:])
"""Features of every page, among which each mutation must show."""


def _record(name: str, columns: tuple[str, ...], random: np.random.Generator, *, hours: float, hole: float) -> Series:
    """A record over the panel's time with rows left out, backfills and corrections of earlier events."""
    event = np.datetime64("2026-01-01", "us") + (np.arange(0.0, 6.0 * ROWS, hours) * 3.6e9).astype("timedelta64[us]")
    event = event[random.uniform(size=len(event)) > 0.015]
    known = event + np.timedelta64(1, "m") + (random.uniform(size=len(event)) < 0.02) * np.timedelta64(9, "h")
    again = random.choice(len(event), size=len(event) // 20, replace=False)
    event, known = np.append(event, event[again]), np.append(known, known[again] + np.timedelta64(40, "h"))
    return series(
        name,
        event_time=event,
        known_at=known,
        columns=columns,
        units=("unit",) * len(columns),
        values=_values(columns, len(event), random),
        hole_hours=hole,
        lag_hours=1.0 / 60.0,
    )


def _values(columns: tuple[str, ...], count: int, random: np.random.Generator) -> np.ndarray:
    """Prices that a bar can have, or positive numbers; some are missing."""
    values = np.exp(random.normal(size=(count, len(columns))) * 0.02)
    if columns == OHLC:
        values[:, 1], values[:, 2] = values.max(axis=1), values.min(axis=1)
    values[random.uniform(size=values.shape) < 0.002] = np.nan
    return values


def _panel(seed: int) -> Panel:
    """Random states of all factors, and every record that the catalogue reads."""
    random = np.random.default_rng(seed)
    bare = example(rows=ROWS, underlyings=UNDERLYINGS, seed=seed % 1000)
    factors = ("forward", *FACTORS, "basis")
    shocks = random.normal(size=(ROWS, len(UNDERLYINGS), len(factors))) * 0.01
    whole = replace(bare, factors=factors, state=np.cumsum(shocks, axis=0))
    histories = {}
    for name in UNDERLYINGS:
        for pattern, columns, hours, hole in (
            (BARS, OHLC, 1.0, 3.0),
            (PERPETUAL, OHLC, 1.0, 3.0),
            (PAYMENTS, ("rate", "interval"), 8.0, 24.0),
            (BOOKS, DEPTHS, 1.0 / 30.0, 0.2),
            (DVOL, ("close",), 24.0, 50.0),
            (VIX, ("close",), 24.0, 80.0),
        ):
            key = pattern.replace(PLACE, name)
            histories.setdefault(key, _record(key, columns, random, hours=hours, hole=hole))
    return replace(whole, histories=histories)


def _shaken(panel: Panel, cut: np.datetime64, random: np.random.Generator) -> Panel:
    """Everything that became known at the cut or later is other, some is gone, and some backfills are new."""
    histories = {}
    for name, one in panel.histories.items():
        later = one.known_at >= cut
        values = one.values.copy()
        values[later] = _values(one.columns, int(later.sum()), random)
        kept = ~later | (random.uniform(size=len(one)) > 0.2)
        histories[name] = series(
            name,
            event_time=one.event_time[kept],
            known_at=one.known_at[kept] + (later[kept] * random.integers(3)) * HOUR,
            columns=one.columns,
            units=one.units,
            values=values[kept],
            hole_hours=one.hole_hours,
            lag_hours=one.lag_hours,
        )
    state = panel.state.copy()
    later = panel.known_at >= cut
    state[later] = random.normal(size=state[later].shape)
    return replace(panel, state=state, histories=histories)


def _leaking(features: tuple[Feature, ...], panel: Panel, *, seed: int, cuts: int = 3) -> list[str]:
    """Names of the features that change at rows known before a cut when what was known from it on does."""
    random = np.random.default_rng(seed)
    found = []
    for place in random.choice(np.arange(30, ROWS), size=cuts, replace=False):
        cut = panel.known_at[place] - np.timedelta64(int(random.integers(0, 360)), "m")
        rows = int(np.searchsorted(panel.known_at, cut))
        for other in (_shaken(panel, cut, random), panel.until(panel.known_at[rows - 1])):
            for feature in features:
                honest, seen = feature.compute(panel)[:rows], feature.compute(other)[:rows]
                if not np.array_equal(honest, seen, equal_nan=True):
                    found.append(feature.name)
    return found


@dataclass(frozen=True)
class ByEvent:
    """A planted leak: the newest event by its own time, whether or not it was known."""

    name: str = "by_event"
    lookback_hours: float = 0.0
    timing: str = "claims to be known"
    source: str = "hindsight"
    unit: str = "log"

    def compute(self, panel: Panel) -> Column:
        def line(record: Series) -> np.ndarray:
            order = np.argsort(record.event_time, kind="stable")
            at = np.searchsorted(record.event_time[order], panel.known_at, side="right") - 1
            return record.column("close")[order][at]

        return record_lines(panel, BARS, line)


@dataclass(frozen=True)
class WholeSample:
    """A planted leak: bars scaled by the mean of the whole record."""

    name: str = "whole_sample"
    lookback_hours: float = 0.0
    timing: str = "claims to be known"
    source: str = "hindsight"
    unit: str = "log"

    def compute(self, panel: Panel) -> Column:
        def line(record: Series) -> np.ndarray:
            return record.as_of(panel.known_at, "close") - np.nanmean(record.column("close"))

        return record_lines(panel, BARS, line)


def test_planted_leaks_of_records_are_caught() -> None:
    panel = _panel(1)
    assert set(_leaking((ByEvent(), WholeSample()), panel, seed=2, cuts=30)) == {"by_event", "whole_sample"}
    assert {leak.feature for leak in leaks((ByEvent(), WholeSample()), panel, seed=2)} >= {"whole_sample"}


def _by_event_time(self: Series, moments: np.ndarray) -> np.ndarray:
    """`Series.rows_at` that asks when a row happened, not when it was known."""
    if len(self) == 0:
        return np.full(len(moments), -1)
    newest = np.maximum.accumulate(self.event_time)
    best = np.maximum.accumulate(np.where(self.event_time == newest, np.arange(len(self)), 0))
    known = np.searchsorted(newest, moments, side="right") - 1
    return np.where(known >= 0, best[np.maximum(known, 0)], -1)


def _an_hour_late(honest: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """`Series.rows_at` an hour after the instant asked for."""
    return lambda self, moments: honest(self, moments + HOUR)


def _next_value(honest: Callable[..., Path]) -> Callable[..., Path]:
    """`feature.path` whose values are those of the next row."""

    def path(*given: object, **options: object) -> Path:
        found = honest(*given, **options)
        return replace(found, value=np.append(found.value[1:], found.value[-1:]))

    return path


def _bridged(honest: Callable[..., Path]) -> Callable[..., Path]:
    """`feature.path` in which a missing value is filled from behind."""

    def path(panel: Panel, underlying: int, *, factor: str = "forward") -> Path:
        values = panel.factor(factor)[:, underlying].copy()
        for row in range(len(values) - 2, -1, -1):
            values[row] = values[row + 1] if np.isnan(values[row]) else values[row]
        state = panel.state.copy()
        state[:, underlying, panel.factors.index(factor)] = values
        return honest(replace(panel, state=state), underlying, factor=factor)

    return path


def _scaled(honest: Callable[..., tuple[np.ndarray, np.ndarray]]) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """`Path.window` whose sums are divided by their mean over the whole sample."""

    def window(*given: object, **options: object) -> tuple[np.ndarray, np.ndarray]:
        total, covered = honest(*given, **options)
        return total / np.nanmean(np.append(total, 1.0)), covered

    return window


def _centred(self: Path, amount: np.ndarray, hours: float, *, least: float) -> tuple[np.ndarray, np.ndarray]:
    """`Path.window` around each instant instead of before it."""
    running = np.cumsum(amount)
    total = np.interp(self.hours + hours / 2.0, self.hours, running)
    total -= np.interp(self.hours - hours / 2.0, self.hours, running)
    return total, np.full(total.shape, hours * max(least, 1.0))


def _own(home: ModuleType, name: str, made: Callable[..., object]) -> Callable[[], dict[tuple[object, str], object]]:
    """Every place in the package that holds a shipped function, and what takes its place there."""

    def places() -> dict[tuple[object, str], object]:
        honest = getattr(home, name)
        pages = [page for key, page in sys.modules.items() if key.startswith("greekdrift.features")]
        return {(page, name): made(honest) for page in pages if getattr(page, name, None) is honest}

    return places


def _opened(honest: Callable[..., list[Series | None]]) -> Callable[..., list[Series | None]]:
    """`records._records` by the beginning of what a row measures: a day's close is there in the morning."""

    def found(panel: Panel, history: str) -> list[Series | None]:
        day = 24 * HOUR
        return [
            None if one is None else replace(one, event_time=one.event_time - day, known_at=one.known_at - day)
            for one in honest(panel, history)
        ]

    return found


def _backfilled(self: Series) -> Series:
    """`Series.in_order` in which what was told late stands where it belongs, as if it had been known in time."""
    event, last = np.unique(self.event_time, return_index=True)
    lag = np.timedelta64(round(self.lag_hours * 3.6e9), "us")
    return replace(self, event_time=event, known_at=event + lag, values=self.values[last])


def _later_windows(honest: Callable[..., tuple[np.ndarray, np.ndarray]]) -> Callable[..., object]:
    """`Series.windows` that end half a window later: centred."""
    return lambda self, moments, hours, **given: honest(
        self, moments + np.timedelta64(round(hours * 30), "m"), hours, **given
    )


def _lines(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Callable[..., Column]], Callable[..., Column]]:
    """`records.record_lines` whose columns are changed as wholes."""
    return lambda honest: lambda *given: change(honest(*given))


def _filled(values: np.ndarray) -> np.ndarray:
    """Missing values take the next one."""
    made = values.copy()
    for row in range(len(made) - 2, -1, -1):
        made[row] = np.where(np.isnan(made[row]), made[row + 1], made[row])
    return made


def _standard(values: np.ndarray) -> np.ndarray:
    """Columns scaled to mean 0 and deviation 1 over the whole sample."""
    return (values - np.nanmean(values, axis=0)) / np.nanstd(values, axis=0)


def _ahead(self: Path) -> np.ndarray:
    """`Path.step` that leads from each value, not to it."""
    return np.append(np.diff(self.value), 0.0)


def _daily(honest: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """`Path.spread` resampled: four rows have the mean of all four."""

    def spread(self: Path, values: np.ndarray, rows: int) -> np.ndarray:
        found = honest(self, values, rows)
        group = np.arange(rows) // 4
        return np.array([np.nanmean(np.append(found[group == one], 0.0)) for one in group])

    return spread


def _next_rows(honest: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """`Panel.factor` a row late."""
    return lambda self, name: np.concatenate([honest(self, name)[1:], honest(self, name)[-1:]])


def _corrected(self: Series) -> Series:
    """`Series.in_order` in which every event has its last version, known when the first was."""
    order = np.lexsort((self.known_at, self.event_time))
    event = self.event_time[order]
    is_last = np.append(event[1:] != event[:-1], True)
    is_first = np.append(True, event[1:] != event[:-1])
    known = np.maximum.accumulate(self.known_at[order][is_first])
    return replace(self, event_time=event[is_last], known_at=known, values=self.values[order][is_last])


MUTATIONS: dict[str, Callable[[], dict[tuple[object, str], object]]] = {
    "a close counts from the day's beginning": lambda: {(records, "_records"): _opened(records._records)},
    "a row counts from its event": lambda: {(Series, "rows_at"): _by_event_time},
    "a record is read an hour late": lambda: {(Series, "rows_at"): _an_hour_late(Series.rows_at)},
    "corrections are read by event": lambda: {(Series, "in_order"): _corrected},
    "backfills count from their event": lambda: {(Series, "in_order"): _backfilled},
    "windows of records are centred": lambda: {(Series, "windows"): _later_windows(Series.windows)},
    "records are filled from behind": _own(records, "record_lines", _lines(_filled)),
    "records are scaled by the whole sample": _own(records, "record_lines", _lines(_standard)),
    "values of the next row": _own(feature_page, "path", _next_value),
    "factors of the next row": lambda: {(Panel, "factor"): _next_rows(Panel.factor)},
    "returns lead from the row": lambda: {(Path, "step"): property(_ahead)},
    "missing values are filled from behind": _own(feature_page, "path", _bridged),
    "windows are centred": lambda: {(Path, "window"): _centred},
    "windows are scaled by the whole sample": lambda: {(Path, "window"): _scaled(Path.window)},
    "rows are resampled to days": lambda: {(Path, "spread"): _daily(Path.spread)},
}
"""Mutations of the shipped code, each where every feature meets it."""
CUTS = 4
"""Instants drawn at random for each; the guard adds those at which a record's events wait to be known."""


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_mutations_of_the_shipped_code_are_caught(mutation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = _panel(3)
    for (home, name), other in MUTATIONS[mutation]().items():
        monkeypatch.setattr(home, name, other)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert leaks(MET, panel, seed=5, cuts=CUTS)


def test_targets_that_reach_past_the_instant_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is learnt from the increments of `Panel.until`, and from one that keeps rows of the day after."""

    def learnt(panel: Panel, moment: np.datetime64) -> np.ndarray:
        return np.nansum(panel.until(moment).increments(24.0).values, axis=0)

    panel, honest = _panel(5), Panel.until
    assert procedure_leaks(learnt, panel, name="learnt", seed=1, cuts=CUTS) == ()
    monkeypatch.setattr(Panel, "until", lambda self, moment: honest(self, moment + 24 * HOUR))
    assert procedure_leaks(learnt, panel, name="learnt", seed=1, cuts=CUTS)


def test_a_label_that_is_known_with_its_row_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The increments of `Panel.increments` by origin, and by the row that they lead to."""

    def label(panel: Panel) -> np.ndarray:
        increments = panel.increments(6.0)
        column = np.full(panel.state.shape[:2], np.nan)
        column[increments.origin] = increments.values[:, :, 0]
        return column

    def swapped(self: Panel, hours: float, **given: float) -> object:
        found = honest(self, hours, **given)
        return replace(found, origin=found.target, target=found.origin)

    panel, honest = _panel(6), Panel.increments
    assert label_leaks(label, panel, name="label", seed=1, cuts=CUTS) == ()
    monkeypatch.setattr(Panel, "increments", swapped)
    assert label_leaks(label, panel, name="label", seed=1, cuts=CUTS)


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 2**31))
def test_nothing_known_later_changes_a_feature(seed: int) -> None:
    assert _leaking((*PANEL, *RECORDS), _panel(seed), seed=seed) == []


def test_the_guard_passes_the_catalogue() -> None:
    assert leaks((*PANEL, *RECORDS), _panel(3), seed=5, cuts=3) == ()


def test_every_feature_of_the_catalogue_has_values() -> None:
    panel = _panel(4)
    for feature in (*PANEL, *RECORDS):
        share = np.isfinite(feature.compute(panel)[-30:]).mean()
        assert share > 0.3, feature.name


@pytest.mark.parametrize("kind", [EventNear, EventPast, EventsAhead])
def test_an_announcement_later_changes_nothing_before(kind: type) -> None:
    panel = example(rows=ROWS)
    random = np.random.default_rng(6)
    at = panel.as_of[0] + random.choice(24 * 40, size=30, replace=False) * HOUR
    announced = at - random.integers(0, 24 * 20, size=30) * HOUR
    moved = np.where(announced >= panel.known_at[50], at + np.timedelta64(450, "m"), at)
    options = {"hours": 72.0} if kind is EventsAhead else {}
    honest, other = (kind(schedule=_schedule(times, announced), **options).compute(panel) for times in (at, moved))
    np.testing.assert_array_equal(honest[:50], other[:50])
    assert not np.array_equal(honest[50:], other[50:], equal_nan=True)


def _schedule(at: np.ndarray, announced_at: np.ndarray) -> Schedule:
    texts = [[f"{moment}Z" for moment in moments] for moments in (at, announced_at)]
    return Schedule(name="x", events=dict(zip(*texts, strict=True)))
