"""Measures of bars against numbers worked by hand, against loops over visible bars, and against a known variance."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from math import exp, log, nan, pi, sqrt

import numpy as np
import pytest

from greekdrift.errors import InputError
from greekdrift.features.bars import Bars
from greekdrift.features.history import HOUR, Panel, example
from greekdrift.features.ranges import (
    BarBipower,
    BarJumpShare,
    BarQuarticity,
    BarSemivariance,
    BarSignedVariation,
    BarVariance,
    GarmanKlass,
    OverBars,
    Parkinson,
    RogersSatchell,
    YangZhang,
)
from greekdrift.market.series import Series, series

START = np.datetime64("2026-01-01", "us")
BARS = "spot/{underlying}"
YEAR = 8760.0
Bar = tuple[float, float, float, float]

MEASURES: tuple[OverBars, ...] = tuple(
    kind(history=BARS, hours=24.0)
    for kind in (
        BarVariance,
        Parkinson,
        GarmanKlass,
        RogersSatchell,
        YangZhang,
        BarBipower,
        BarJumpShare,
        BarSignedVariation,
        BarQuarticity,
    )
) + tuple(BarSemivariance(history=BARS, hours=24.0, side=side) for side in ("down", "up"))


def _bars(prices: list[Bar], hours: np.ndarray | None = None, *, lag_minutes: float = 1.0) -> Series:
    """Bars that end at these hours (1, 2, …) after the start."""
    ends = np.arange(1.0, len(prices) + 1.0) if hours is None else hours
    event = START + (ends * 3.6e9).astype("timedelta64[us]")
    return Series(
        name="spot/BTC",
        event_time=event,
        known_at=event + np.timedelta64(round(lag_minutes * 6e7), "us"),
        columns=("open", "high", "low", "close"),
        units=("USD",) * 4,
        values=np.array(prices),
        hole_hours=3.0,
        lag_hours=lag_minutes / 60.0,
    )


def _random(count: int, *, seed: int, step: float = 0.01) -> list[Bar]:
    """Bars of a random walk with gaps between them."""
    random = np.random.default_rng(seed)
    found, last = [], 4.6
    for _ in range(count):
        walk = last + np.cumsum(random.normal(size=8) * step)
        found.append((exp(walk[0]), exp(walk.max()), exp(walk.min()), exp(walk[-1])))
        last = walk[-1]
    return found


def _panel(record: Series, rows: int = 20) -> Panel:
    return replace(example(rows=rows), histories={"spot/BTC": record})


def _at(record: Series, hour: float) -> Panel:
    """A panel of one row, known at that hour."""
    moment = np.array([START + np.timedelta64(round(hour * 3.6e9), "us")])
    return replace(example(rows=1), as_of=moment, known_at=moment, histories={"spot/BTC": record})


# Three bars of two hours' window: r = ln 1.02, ln(1.01/1.02); the first bar only gives the close before.
HAND: list[Bar] = [(1.0, 1.0, 1.0, 1.0), (1.01, 1.03, 1.0, 1.02), (1.03, 1.04, 0.99, 1.01)]
R1, R2 = log(1.02), log(1.01 / 1.02)


def _hand(kind: Callable[..., OverBars], **more: object) -> float:
    return float(kind(history=BARS, hours=2.0, **more).compute(_at(_bars(HAND), 3.5))[0, 0])


def test_closes_by_hand() -> None:
    assert _hand(BarVariance) == pytest.approx(log(YEAR / 2.0 * (R1**2 + R2**2)), rel=1e-12)
    assert _hand(BarSemivariance, side="down") == pytest.approx(log(YEAR / 2.0 * R2**2), rel=1e-12)
    assert _hand(BarSemivariance, side="up") == pytest.approx(log(YEAR / 2.0 * R1**2), rel=1e-12)
    assert _hand(BarBipower) == pytest.approx(log(YEAR / 2.0 * pi / 2.0 * 2.0 * abs(R1 * R2)), rel=1e-12)
    assert _hand(BarSignedVariation) == pytest.approx((R1**2 - R2**2) / (R1**2 + R2**2), rel=1e-9)
    fourth = 2.0 / 3.0 * (R1**4 + R2**4)
    assert _hand(BarQuarticity) == pytest.approx(log(sqrt(fourth) / (R1**2 + R2**2)), rel=1e-9)
    assert _hand(BarJumpShare) == 0.0
    leap = _bars([*HAND[:2], (1.02, 1.5, 1.02, 1.5)])
    jump = log(1.5 / 1.02)
    share = BarJumpShare(history=BARS, hours=2.0).compute(_at(leap, 3.5))[0, 0]
    assert share == pytest.approx(1.0 - pi * R1 * jump / (R1**2 + jump**2), rel=1e-12)


def test_ranges_by_hand() -> None:
    wide = [log(1.03 / 1.0) ** 2, log(1.04 / 0.99) ** 2]
    body = [log(1.02 / 1.01), log(1.01 / 1.03)]
    assert _hand(Parkinson) == pytest.approx(log(YEAR / 2.0 * sum(wide) / (4.0 * log(2.0))), rel=1e-12)
    klass = sum(0.5 * range_ - (2.0 * log(2.0) - 1.0) * c * c for range_, c in zip(wide, body, strict=True))
    assert _hand(GarmanKlass) == pytest.approx(log(YEAR / 2.0 * klass), rel=1e-12)
    up, down = [log(1.03 / 1.01), log(1.04 / 1.03)], [log(1.0 / 1.01), log(0.99 / 1.03)]
    satchell = sum(u * (u - c) + d * (d - c) for u, d, c in zip(up, down, body, strict=True))
    assert _hand(RogersSatchell) == pytest.approx(log(YEAR / 2.0 * satchell), rel=1e-12)
    gaps = [log(1.01 / 1.0), log(1.03 / 1.02)]
    k = 0.34 / (1.34 + 3.0 / 1.0)
    zhang = np.var(gaps, ddof=1) + k * np.var(body, ddof=1) + (1.0 - k) * satchell / 2.0
    assert _hand(YangZhang) == pytest.approx(log(YEAR * zhang), rel=1e-9)


def _slow(feature: OverBars, record: Series, panel: Panel) -> list[float]:
    """The same by loops over the bars that were visible at each row."""
    found = []
    for now in panel.known_at:
        seen: list[tuple[np.datetime64, np.ndarray]] = []
        for row in range(len(record)):
            if record.known_at[row] <= now and (not seen or record.event_time[row] > seen[-1][0]):
                seen.append((record.event_time[row], record.values[row]))
        seen = [(when, bar) for when, bar in seen if np.isfinite(bar).all()]
        found.append(_slow_at(feature, seen, now))
    return found


def _slow_at(feature: OverBars, seen: list[tuple[np.datetime64, np.ndarray]], now: np.datetime64) -> float:
    if not seen or (now - seen[-1][0]) / HOUR > 3.0 + 1.0 / 60.0:
        return nan
    end = seen[-1][0]
    first = next(at for at, (when, _) in enumerate(seen) if (end - when) / HOUR < feature.hours)
    before = max(first - 1, 0)
    stretch = seen[before:]
    gaps = [(later[0] - earlier[0]) / HOUR for earlier, later in pairwise(stretch)]
    if (end - seen[before][0]) / HOUR < 0.8 * feature.hours or any(gap > 3.0 for gap in gaps):
        return nan
    steps = [log(seen[at][1][3] / seen[at - 1][1][3]) if at else 0.0 for at in range(first, len(seen))]
    opens = [log(seen[at][1][0] / seen[at - 1][1][3]) if at else 0.0 for at in range(first, len(seen))]
    return _formula(feature, steps, opens, [bar for _, bar in seen[first:]], (end - seen[before][0]) / HOUR)


def _formula(feature: OverBars, r: list[float], o: list[float], bars: list[np.ndarray], hours: float) -> float:
    n = len(bars)
    c = [log(bar[3] / bar[0]) for bar in bars]
    u, d = [log(bar[1] / bar[0]) for bar in bars], [log(bar[2] / bar[0]) for bar in bars]
    variance = sum(x * x for x in r)
    bipower = pi / 2.0 * n / (n - 1.0) * sum(abs(a * b) for a, b in pairwise(r))
    satchell = sum(up * (up - x) + down * (down - x) for up, down, x in zip(u, d, c, strict=True)) / n
    wide = [(up - down) ** 2 for up, down in zip(u, d, strict=True)]
    k = 0.34 / (1.34 + (n + 1.0) / (n - 1.0))
    table = {
        "BarVariance": lambda: log(variance * YEAR / hours),
        "Parkinson": lambda: log(YEAR * sum(wide) / n / (4.0 * log(2.0))),
        "GarmanKlass": lambda: log(
            YEAR / n * sum(0.5 * x - (2.0 * log(2.0) - 1.0) * y * y for x, y in zip(wide, c, strict=True))
        ),
        "RogersSatchell": lambda: log(YEAR * satchell),
        "YangZhang": lambda: log(YEAR * (np.var(o, ddof=1) + k * np.var(c, ddof=1) + (1.0 - k) * satchell)),
        "BarBipower": lambda: log(bipower * YEAR / hours),
        "BarJumpShare": lambda: max(1.0 - bipower / variance, 0.0),
        "BarSignedVariation": lambda: sum(x * abs(x) for x in r) / variance,
        "BarQuarticity": lambda: 0.5 * log(n / 3.0 * sum(x**4 for x in r) / variance**2),
        "BarSemivariance": lambda: log(sum(x * x for x in r if (x < 0.0) == (feature.side == "down")) * YEAR / hours),
    }
    return float(table[type(feature).__name__]())


@pytest.mark.parametrize("seed", range(4))
def test_every_measure_equals_loops_over_the_visible_bars(seed: int) -> None:
    random = np.random.default_rng(seed)
    prices = _random(150, seed=seed)
    ends = np.arange(1.0, 151.0)
    kept = random.uniform(size=150) > 0.08
    kept[60:66] = seed % 2 == 0
    record = _bars([bar for bar, keep in zip(prices, kept, strict=True) if keep], ends[kept])
    values = record.values.copy()
    values[random.integers(len(record), size=3), 2] = np.nan
    late = record.known_at + (random.uniform(size=len(record)) < 0.05) * np.timedelta64(7, "h")
    ragged = series(
        record.name,
        event_time=record.event_time,
        known_at=late,
        columns=record.columns,
        units=record.units,
        values=values,
        hole_hours=3.0,
        lag_hours=1.0 / 60.0,
    )
    panel = _panel(ragged, rows=27)
    for feature in MEASURES:
        column = feature.compute(panel)[:, 0]
        np.testing.assert_allclose(column, _slow(feature, ragged, panel), rtol=1e-8, atol=1e-10, err_msg=feature.name)
    assert np.isfinite(MEASURES[0].compute(panel)).sum() > 8


def test_all_measures_find_the_variance_of_a_random_walk() -> None:
    random = np.random.default_rng(7)
    walk = np.cumsum(random.normal(size=(4000, 400)) * 0.6 / sqrt(YEAR * 400.0)).reshape(4000, 400)
    opened = np.concatenate([[0.0], walk[:-1, -1]])
    high, low = np.maximum(walk.max(axis=1), opened), np.minimum(walk.min(axis=1), opened)
    record = _bars(list(zip(*np.exp([opened, high, low, walk[:, -1]]), strict=True)))
    panel = _at(record, 4000.1)
    for kind, tolerance in (
        (BarVariance, 0.05),
        (BarBipower, 0.06),
        (Parkinson, 0.09),
        (GarmanKlass, 0.09),
        (RogersSatchell, 0.09),
        (YangZhang, 0.09),
    ):
        found = exp(kind(history=BARS, hours=3900.0).compute(panel)[0, 0])
        assert found == pytest.approx(0.36, rel=tolerance), kind.__name__
    down, up = (
        exp(BarSemivariance(history=BARS, hours=3900.0, side=side).compute(panel)[0, 0]) for side in ("down", "up")
    )
    assert down + up == pytest.approx(exp(BarVariance(history=BARS, hours=3900.0).compute(panel)[0, 0]), rel=1e-9)


def test_a_jump_is_seen_by_the_jump_share_alone() -> None:
    prices = _random(60, seed=3, step=0.002)
    jumped = [*prices[:50], *((o * 1.1, h * 1.1, low * 1.1, c * 1.1) for o, h, low, c in prices[50:])]
    calm, after = (
        BarJumpShare(history=BARS, hours=24.0).compute(_at(_bars(one), 60.5))[0, 0] for one in (prices, jumped)
    )
    assert calm < 0.3
    assert after > 0.7
    bipower = [BarBipower(history=BARS, hours=24.0).compute(_at(_bars(one), 60.5))[0, 0] for one in (prices, jumped)]
    variance = [BarVariance(history=BARS, hours=24.0).compute(_at(_bars(one), 60.5))[0, 0] for one in (prices, jumped)]
    assert bipower[1] - bipower[0] < 0.5 * (variance[1] - variance[0])


def test_no_window_bridges_a_hole_or_begins_before_the_history() -> None:
    hours = np.concatenate([np.arange(1.0, 61.0), np.arange(101.0, 161.0)])
    record = _bars(_random(120, seed=5), hours)
    panel = _panel(record, rows=27)
    at = panel.hours + 5.0 / 60.0
    for feature in MEASURES:
        column = feature.compute(panel)[:, 0]
        covered = ((at > 24.0) & (at < 63.0)) | (at > 125.0)
        assert np.isfinite(column[covered]).all(), feature.name
        assert np.isnan(column[(at < 20.0) | ((at > 64.0) & (at < 119.0))]).all(), feature.name


def test_the_bar_that_is_not_yet_known_is_not_seen() -> None:
    prices = _random(40, seed=9)
    crashed = [*prices[:30], (100.0, 100.0, 1.0, 1.0), *prices[31:]]
    feature = Parkinson(history=BARS, hours=24.0)
    before = [feature.compute(_at(_bars(one), 31.0))[0, 0] for one in (prices, crashed)]
    after = [feature.compute(_at(_bars(one), 31.0 + 1.0 / 60.0))[0, 0] for one in (prices, crashed)]
    assert before[0] == before[1]
    assert after[0] != after[1]


def test_a_bar_that_cannot_be_is_missing() -> None:
    prices = _random(40, seed=9)
    for wrong in ((100.0, 90.0, 80.0, 85.0), (100.0, 110.0, 105.0, 108.0), (1.0, 2.0, -1.0, 1.5), (nan, 2.0, 1.0, 1.5)):
        bars = Bars.of(_bars([*prices[:20], wrong, *prices[21:]]))
        assert len(bars.history) == 39
        assert bars.step[20] == pytest.approx(log(prices[21][3] / prices[19][3]))


def test_flat_prices_have_no_logarithm_of_a_variance() -> None:
    flat = _panel(_bars([(1.0, 1.0, 1.0, 1.0)] * 200), rows=10)
    assert all(np.isnan(feature.compute(flat)).all() for feature in MEASURES)


def test_names_and_refusals() -> None:
    assert len({feature.name for feature in MEASURES}) == len(MEASURES)
    assert Parkinson(history=BARS, hours=24.0).name == "parkinson_24h"
    assert all(feature.lookback_hours == 24.0 and feature.source and feature.unit for feature in MEASURES)
    with pytest.raises(InputError, match="make it longer"):
        Parkinson(history=BARS, hours=0.5)
    with pytest.raises(InputError, match='no history "spot/BTC"'):
        Parkinson(history=BARS, hours=24.0).compute(example(rows=3))


def test_quarter_hours_are_annualised_by_their_own_length() -> None:
    prices = _random(200, seed=11)
    hourly = Parkinson(history=BARS, hours=40.0).compute(_at(_bars(prices), 200.5))[0, 0]
    quarters = replace(_bars(prices, np.arange(1.0, 201.0) / 4.0), hole_hours=1.0)
    short = Parkinson(history=BARS, hours=10.0, bar_hours=0.25).compute(_at(quarters, 50.1))[0, 0]
    assert short == pytest.approx(hourly + log(4.0))
