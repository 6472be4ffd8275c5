"""Measures of recorded histories: plausible, in agreement with each other, and missing in and after a hole."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from greekdrift.config.data_set import load_data_set
from greekdrift.features.depth import Depth, DepthImbalance, QuotedSpread
from greekdrift.features.funding import Funding, Premium
from greekdrift.features.history import HOUR, Panel, example
from greekdrift.features.outside import OutsideLevel
from greekdrift.features.ranges import BarBipower, BarVariance, GarmanKlass, Parkinson, RogersSatchell, YangZhang
from greekdrift.market.series_files import load

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "data"
SPOT, PERPETUAL = "binance_spot_1h/{underlying}", "binance_perp_15m/{underlying}"

pytestmark = pytest.mark.shared


def _panel(start: str, days: int, shared: Path, *sets: str) -> Panel:
    """Rows every six hours, known five minutes later, beside the histories of these sets."""
    bare = example(rows=4 * days, underlyings=("BTC", "ETH"))
    as_of = np.datetime64(start, "us") + np.arange(4 * days) * 6 * HOUR
    histories = {}
    for name in sets:
        histories |= load(load_data_set(CONFIGS / f"{name}.yaml"), shared / "data")
    return replace(bare, as_of=as_of, known_at=as_of + np.timedelta64(5, "m"), histories=histories)


def test_estimators_of_variance_agree(shared: Path) -> None:
    panel = _panel("2022-01-01", 1200, shared, "binance_spot_1h")
    closes = BarVariance(history=SPOT, hours=720.0).compute(panel)
    assert np.isfinite(closes).all()
    volatility = np.exp(0.5 * np.median(closes, axis=0))
    assert (volatility > 0.35).all()
    assert (volatility < 1.0).all()
    for kind in (Parkinson, GarmanKlass, RogersSatchell, YangZhang, BarBipower):
        apart = np.median(kind(history=SPOT, hours=720.0).compute(panel) - closes, axis=0)
        assert (np.abs(apart) < 0.25).all(), (kind.__name__, apart)


def test_no_window_bridges_the_withheld_half_year(shared: Path) -> None:
    panel = _panel("2025-06-20", 240, shared, "binance_perp_15m", "perp_funding_rates")
    day = np.timedelta64(1, "D")
    begin, end = np.datetime64("2025-07-01", "us"), np.datetime64("2025-12-30", "us")
    for feature, days in (
        (BarVariance(history=PERPETUAL, hours=168.0, bar_hours=0.25), 7),
        (Parkinson(history=PERPETUAL, hours=168.0, bar_hours=0.25), 7),
        (Funding(history="perp_funding_rates/{underlying}", hours=168.0), 7),
    ):
        column = feature.compute(panel)[:, 0]
        assert np.isfinite(column[panel.as_of < begin]).all(), feature.name
        assert np.isnan(column[(panel.as_of > begin + 2 * day) & (panel.as_of < end + 5 * day)]).all(), feature.name
        assert np.isfinite(column[panel.as_of > end + (days + 1) * day]).all(), feature.name


def test_funding_and_premium_of_the_perpetual_are_small(shared: Path) -> None:
    panel = _panel("2023-03-01", 700, shared, "binance_perp_15m", "binance_spot_1h", "perp_funding_rates")
    premium = Premium(history=PERPETUAL, over=SPOT).compute(panel)
    assert np.nanmax(np.abs(premium)) < 0.01
    funding = Funding(history="perp_funding_rates/{underlying}").compute(panel)
    assert np.isfinite(funding).all()
    assert (np.abs(np.median(funding, axis=0) - 0.1) < 0.08).all()


def test_a_close_of_vix_is_not_known_before_the_market_has_closed(shared: Path) -> None:
    panel = _panel("2018-01-30", 10, shared, "vol_indices_daily")
    level = np.exp(OutsideLevel(history="vol_indices_daily/VIX").compute(panel)[:, 0])
    by_row = dict(zip(panel.as_of.astype("datetime64[h]").astype(str).tolist(), level.round(4).tolist(), strict=True))
    # 2018-02-05: from 17.31 to 37.32 at 16:15 in New York, 21:15 UTC
    assert by_row["2018-02-05T18"] == pytest.approx(0.1731)
    assert by_row["2018-02-06T00"] == pytest.approx(0.3732)


def test_spread_and_depth_of_a_recorded_book(shared: Path) -> None:
    bare = example(rows=6, underlyings=("BTC", "ETH"))
    as_of = np.datetime64("2024-08-08T23:54:30", "us") + np.arange(6) * np.timedelta64(45, "s")
    histories = load(load_data_set(CONFIGS / "binance_l2_depth_1s.yaml"), shared / "data")
    panel = replace(
        bare, as_of=as_of, known_at=as_of + np.timedelta64(2, "s"), histories=histories, step_hours=45.0 / 3600.0
    )
    books = {"history": "binance_l2_depth_1s/{underlying}-perp", "hours": 0.004}
    spread = QuotedSpread(**books, bid="bid", ask="ask").compute(panel)
    assert np.isfinite(spread).all()
    # the set's README: a median of 0.016 basis points for BTC
    assert np.exp(np.median(spread[:, 0])) == pytest.approx(1.6e-6, rel=0.3)
    sides = {"bid": "depth_bid_5bps", "ask": "depth_ask_5bps"}
    depth = Depth(**books, **sides).compute(panel)
    assert (depth[:, 0] > depth[:, 1]).all()
    imbalance = DepthImbalance(**books, **sides).compute(panel)
    assert np.isfinite(imbalance).all()
    assert (np.abs(imbalance) < 1.0).all()
