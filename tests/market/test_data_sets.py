"""The real data sets: each loads as its description says, and what its README states is measured again."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from greekdrift.config import load_venue
from greekdrift.config.data_set import load_data_set
from greekdrift.features.history import HOUR
from greekdrift.greeks import compute
from greekdrift.market.parquet import ParquetSource
from greekdrift.market.series import Series
from greekdrift.market.series_files import load
from greekdrift.units import from_datetime64

pytestmark = pytest.mark.shared

FOLDER = Path(__file__).resolve().parents[2] / "configs" / "data"
SETS = sorted(path.stem for path in FOLDER.glob("*.yaml") if load_data_set(path).tables)
HOLE = (np.datetime64("2025-07-01T01:00:00"), np.datetime64("2025-12-29T23:00:00"))


@lru_cache
def _load(name: str, root: Path) -> dict[str, Series]:
    return {key.split("/")[1]: one for key, one in load(load_data_set(FOLDER / f"{name}.yaml"), root).items()}


def _common(one: Series, other: Series) -> tuple[np.ndarray, np.ndarray]:
    _, left, right = np.intersect1d(one.event_time, other.event_time, return_indices=True)
    return left, right


@pytest.mark.parametrize("name", SETS)
def test_every_set_loads_and_keeps_its_lags(name: str, shared: Path) -> None:
    for one in _load(name, shared / "data").values():
        assert len(one) > 10
        lag = (one.known_at - one.event_time) / HOUR
        np.testing.assert_allclose(lag, one.lag_hours, atol=1e-9)
        assert lag.min() > 0.0
        assert np.isfinite(one.values).any(axis=0).all()
        assert np.all(np.diff(one.event_time) > np.timedelta64(0, "us"))


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("binance_perp_15m", "BTC"),
        ("binance_spot_daily", "BTC"),
        ("dvol_btc_daily", "BTC"),
        ("perp_funding_rates", "BTC"),
    ],
)
def test_the_withheld_months_are_a_hole(name: str, key: str, shared: Path) -> None:
    one = _load(name, shared / "data")[key]
    grown_old = np.timedelta64(round((one.hole_hours + one.lag_hours) * 3600.0), "s")
    moments = np.arange(HOLE[0] + grown_old, HOLE[1], 8 * HOUR).astype("datetime64[us]")
    assert np.isnan(one.as_of(moments, one.columns[-1])).all()
    after = one.event_time[one.event_time > np.datetime64("2025-12-30T23:00")][:1]
    start, stop = one.windows(after + np.timedelta64(1, "D"), 24.0 * 30.0)
    assert (start[0], stop[0]) == (0, 0)
    assert one.is_after_hole.sum() == 2


def test_spot_and_perpetual_bars_agree_across_sets(shared: Path) -> None:
    root = shared / "data"
    hourly, daily = _load("binance_spot_1h", root), _load("binance_spot_daily", root)
    left, right = _common(hourly["BTC"], daily["BTC"])
    assert len(left) == 2373
    np.testing.assert_array_equal(hourly["BTC"].column("close")[left], daily["BTC"].column("close")[right])
    steps = np.diff(hourly["BTC"].event_time) / HOUR
    assert round(float(np.sum(steps - 1.0))) == 128
    assert int(sum(np.sum(one.column("volume") == 0.0) for one in hourly.values())) == 8
    five, fifteen = _load("binance_perp_5m", root), _load("binance_perp_15m", root)
    left, right = _common(five["BTC"], fifteen["BTC"])
    assert len(left) == 47_966
    assert np.sum(five["BTC"].column("close")[left] != fifteen["BTC"].column("close")[right]) == 1
    minute = _load("binance_perp_1m_2025_05", root)["BTC"]
    assert np.all(np.diff(minute.event_time) == np.timedelta64(1, "m"))


def test_funding_is_aligned_across_venues_by_its_event(shared: Path) -> None:
    root = shared / "data"
    funding, venues = _load("perp_funding_rates", root), _load("multi_venue_spot_perp_8h", root)
    left, right = _common(funding["BTC"], venues["binance-BTC-funding"])
    assert len(left) == 1642
    np.testing.assert_allclose(
        funding["BTC"].column("rate")[left], venues["binance-BTC-funding"].column("rate")[right], atol=1e-12
    )
    gaps = np.diff(funding["gate-BTC"].event_time) / HOUR
    assert sorted(gaps)[-2:] == [8.0, 752.0]
    for venue in ("bybit-BTC", "gate-BTC"):
        one = funding[venue]
        left, right = _common(funding["BTC"], one)
        stamps = _common(funding["BTC"], _shifted(one, 8.0))
        by_event = np.corrcoef(funding["BTC"].column("rate")[left], one.column("rate")[right])[0, 1]
        by_stamp = np.corrcoef(funding["BTC"].column("rate")[stamps[0]], one.column("rate")[stamps[1]])[0, 1]
        assert by_event > by_stamp + 0.02


def _shifted(one: Series, hours: float) -> Series:
    cut = one.until(one.known_at[-1])
    object.__setattr__(cut, "event_time", one.event_time + np.timedelta64(int(hours), "h"))
    return cut


def test_bars_of_two_venue_files_open_alike(shared: Path) -> None:
    bars = _load("multi_venue_spot_perp_8h", shared / "data")["binance-BTC-perp"]
    fifteen = _load("binance_perp_15m", shared / "data")["BTC"]
    begin = np.searchsorted(fifteen.event_time, bars.event_time - np.timedelta64(465, "m"))
    same = fifteen.event_time[begin] == bars.event_time - np.timedelta64(465, "m")
    assert same.sum() == 1642
    np.testing.assert_array_equal(bars.column("open"), fifteen.column("open")[begin])


def test_smile_factors_follow_the_venues_index(shared: Path) -> None:
    factors = _load("deribit_iv_factors_6h", shared / "data")
    dvol = _load("dvol_btc_daily", shared / "data")["BTC"]
    btc = factors["BTC"]
    atm = 100.0 * btc.column("atm_30")
    day_end = np.searchsorted(dvol.event_time, btc.event_time)
    gap = np.abs((dvol.event_time[np.minimum(day_end, len(dvol) - 1)] - btc.event_time) / HOUR)
    near = (gap < 3.0) & (day_end < len(dvol))
    assert near.sum() > 40
    level = 100.0 * dvol.column("close")[day_end[near]]
    assert np.corrcoef(atm[near], level)[0, 1] > 0.99
    assert np.corrcoef(100.0 * btc.column("vix_style_30")[near], level)[0, 1] > 0.98
    assert 1.5 < np.median(100.0 * btc.column("vix_style_30")[near] - level) < 3.0
    for coin, rmse, mae in (("BTC", 2.39, 1.38), ("ETH", 2.27, 1.45)):
        one = factors[coin]
        level = 100.0 * one.column("atm_30")
        wanted = one.event_time + 24 * HOUR
        after = np.clip(np.searchsorted(one.event_time, wanted), 1, len(one) - 1)
        after -= (wanted - one.event_time[after - 1]) < (one.event_time[after] - wanted)
        is_there = np.abs((one.event_time[after] - wanted) / HOUR) <= 3.0
        change = (level[after] - level)[is_there]
        assert np.sqrt(np.mean(change**2)) == pytest.approx(rmse, abs=0.1)
        assert np.mean(np.abs(change)) == pytest.approx(mae, abs=0.05)


def test_no_day_of_the_venues_index_is_missing(shared: Path) -> None:
    one = _load("dvol_btc_daily", shared / "data")["BTC"]
    steps = np.diff(one.event_time) / HOUR
    assert np.sum(steps != 24.0) == 1


def test_basis_at_pillars_is_the_listed_basis_between(shared: Path) -> None:
    one = _load("deribit_term_structure_6h", shared / "data")["BTC"]
    assert len(one) == 690
    basis = one.column("basis_90")
    assert np.isfinite(basis).all()
    assert np.abs(basis).max() < 0.2
    perpetual = _load("deribit_term_structure_6h", shared / "data")["BTC-perpetual"]
    left, right = _common(one, perpetual)
    ratio = perpetual.column("price")[right] / one.column("forward_14")[left]
    assert len(left) == 419
    assert np.abs(np.log(ratio)).max() < 0.03


def test_the_straddles_keep_parity(shared: Path) -> None:
    one = _load("deribit_btc_atm_straddle_monthly", shared / "data")["BTC"]
    parity = one.column("call_mark") - one.column("put_mark") - (1.0 - one.column("strike") / one.column("forward"))
    assert np.median(np.abs(parity)) < 2.4e-5
    assert np.abs(parity).max() < 1.3e-4


def test_index_surfaces_give_the_index_of_volatility(shared: Path) -> None:
    factors = _load("spx_ivs_factors", shared / "data")["SPX"]
    indices = _load("vol_indices_daily", shared / "data")
    month = 1.0 / 12.0
    level = factors.column("beta_1") + factors.column("beta_2") * np.exp(-np.sqrt(month / 0.25))
    left, right = _common(factors, indices["VIX"])
    assert len(left) > 5000
    vix = indices["VIX"].column("close")[right]
    assert np.corrcoef(level[left], vix)[0, 1] == pytest.approx(0.995, abs=0.002)
    assert np.corrcoef(np.diff(level[left]), np.diff(vix))[0, 1] == pytest.approx(0.963, abs=0.005)
    assert np.median(vix - level[left]) == pytest.approx(0.02, abs=0.01)
    day = factors.event_time.astype("datetime64[D]")
    _, left, right = np.intersect1d(day, indices["SPX"].event_time.astype("datetime64[D]"), return_indices=True)
    np.testing.assert_allclose(factors.column("close")[left], indices["SPX"].column("close")[right], rtol=1.2e-4)
    change = np.diff(factors.column("beta_2"))
    assert -0.2 < np.corrcoef(change[1:], change[:-1])[0, 1] < -0.1


def test_errors_of_the_official_file_are_missing(shared: Path) -> None:
    one = _load("vol_indices_daily", shared / "data")["VVIX"]
    assert int(np.isnan(one.values).sum()) == 10
    assert np.nanmin(one.values) >= 0.6


def test_realised_variances_of_two_sources_agree(shared: Path) -> None:
    sets = _load("realized_variance", shared / "data")
    spx, panel = sets["SPX"], sets["rv5-SPX"]
    day = spx.event_time.astype("datetime64[D]")
    before = (panel.event_time - 24 * HOUR).astype("datetime64[D]")
    _, left, right = np.intersect1d(day, before, return_indices=True)
    ratio = spx.column("rv5")[left] / panel.column("rv5")[right]
    assert len(left) > 2000
    assert np.median(np.abs(np.log(ratio))) < 0.01
    assert len(sets["rv5-SSMI"]) == 2456
    assert np.isnan(sets["SPX-1971"].column("rv5")[:1000]).all()


def test_the_books_depth_is_as_stated(shared: Path) -> None:
    sets = _load("binance_l2_depth_1s", shared / "data")
    assert all(np.all(one.column("bid") < one.column("ask")) for one in sets.values())
    assert np.median(sets["BTC-perp"].column("spread")) == pytest.approx(0.016, abs=0.001)
    assert np.nanmedian(sets["BTC-perp"].column("cost_buy_1000k")) == pytest.approx(1.0, abs=0.05)
    assert np.nanmedian(sets["BTC-spot"].column("cost_buy_1000k")) == pytest.approx(2.1, abs=0.1)


def test_chains_reprice_and_keep_parity(shared: Path) -> None:
    found = load_data_set(FOLDER / "deribit_option_chain_6h.yaml").chains
    assert found is not None
    source = ParquetSource(
        str(shared / "data" / found.path),
        venue=load_venue(found.venue),
        underlyings=found.underlyings,
        known_after_minutes=found.known_after_minutes,
    )
    moments = source.snapshots()
    assert len(moments) == 690
    errors, parities, missing = [], [], []
    for moment in moments[::46]:
        chain = source.chain(moment)
        assert chain.known_at > chain.as_of
        at = chain.is_option & np.isfinite(chain.mark_iv)
        price = compute(
            ["price"],
            forward=chain.forward[at],
            strike=chain.strike[at],
            volatility=chain.mark_iv[at],
            time_to_expiry=chain.time_to_expiry[at],
            is_call=chain.is_call[at],
        )["price"]
        errors.append(np.abs(price / chain.forward[at] - chain.mark[at]))
        parities.append(
            _parity(
                chain.mark[at],
                chain.strike[at],
                chain.forward[at],
                chain.is_call[at],
                chain.time_to_expiry[at],
                chain.underlying[at],
            )
        )
        missing.append(np.isnan(chain.bid[at]))
        assert not np.any(chain.bid > chain.ask)
    error, parity = np.concatenate(errors), np.concatenate(parities)
    assert np.median(error) == pytest.approx(5.4e-6, rel=0.3)
    assert np.quantile(error, 0.9) < 1.5e-4
    assert np.quantile(error, 0.99) < 7e-4
    assert error.max() < 5.9e-3
    assert np.median(parity) == pytest.approx(1.7e-5, rel=0.4)
    assert np.quantile(parity, 0.99) < 1e-3
    assert np.mean(np.concatenate(missing)) == pytest.approx(0.076, abs=0.03)


def _parity(
    mark: np.ndarray, strike: np.ndarray, forward: np.ndarray, is_call: np.ndarray, life: np.ndarray, name: np.ndarray
) -> np.ndarray:
    """|C − P − (1 − K/F)| in coins of every pair."""
    order = np.lexsort((is_call, strike, life, name))
    put, call = order[:-1], order[1:]
    is_pair = (strike[put] == strike[call]) & (life[put] == life[call]) & (name[put] == name[call])
    is_pair &= ~is_call[put] & is_call[call]
    put, call = put[is_pair], call[is_pair]
    return np.abs(mark[call] - mark[put] - (1.0 - strike[call] / forward[call]))


def test_a_stretch_of_chains_reads_what_it_needs(shared: Path) -> None:
    whole = ParquetSource(str(shared / "data"), venue=load_venue("deribit"), underlyings=("BTC", "ETH"))
    first, last = whole.snapshots()[100], whole.snapshots()[103]
    part = ParquetSource(
        str(shared / "data"), venue=load_venue("deribit"), underlyings=("BTC", "ETH"), since=first, until=last
    )
    assert part.snapshots() == whole.snapshots()[100:104]
    assert part.digest != whole.digest
    np.testing.assert_array_equal(part.chain(first).mark, whole.chain(first).mark)
    assert from_datetime64(np.datetime64(first.replace(tzinfo=None))) == first


def test_a_collection_of_stamped_rows_is_one_chain(shared: Path) -> None:
    found = load_data_set(FOLDER / "deribit_chain_2021_snapshot.yaml").chains
    assert found is not None
    source = ParquetSource(
        str(shared / "data" / found.path),
        venue=load_venue(found.venue),
        underlyings=found.underlyings,
        known_after_minutes=found.known_after_minutes,
        join_minutes=found.join_minutes,
    )
    assert [f"{moment:%Y-%m-%d %H:%M}" for moment in source.snapshots()] == ["2021-02-11 18:38", "2021-02-11 18:44"]
    for moment in source.snapshots():
        assert int(source.chain(moment).is_option.sum()) == 488
        assert [(one.filter, one.count, one.of) for one in source.dropped[moment]] == [("latest", 0, 488)]
