"""The option chains of the development data: what their READMEs state about them, recomputed."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from greekdrift.book import Venue
from greekdrift.greeks import compute
from greekdrift.market.parquet import files
from greekdrift.market.validation import quotes, stream
from greekdrift.market.validation.data_sets import SetValidation
from greekdrift.market.validation.rules import Severity
from greekdrift.market.validation.validate import Block, blocks, validate

pytestmark = pytest.mark.shared

SECONDS_A_COIN = 60.0
YEAR = 365.0 * 86_400.0


@pytest.fixture(scope="module")
def data(shared: Path) -> Path:
    return shared / "data"


def whole(path: Path, venue: Venue) -> Block:
    """All rows in one block."""
    (block,) = blocks(stream.survey(files(path)), venue=venue, rows=10_000_000)
    return block


def test_the_six_hour_chains_are_checked_within_two_minutes_and_have_no_error(six_hours: tuple[SetValidation, float]):
    """Tickers of the snapshot of 07:58 were asked for in the minutes after it, when its first options had expired."""
    found, seconds = six_hours
    assert seconds < 2 * SECONDS_A_COIN
    assert sum(one.rows for one in found.lines) == 1_121_128
    assert all(one.severity < Severity.ERROR for one in found.findings)
    assert {one.rule.name: one.count for one in found.findings} == {
        "off_tick": 4,
        "iv_mismatch": 27,
        "parity": 1,
        "parity_of_marks": 4,
        "index_gap": 265,
        "forward_gap": 122,
        "time_gap": 12,
        "mark_outside": 20_354,
        "greeks_late": 2_462,
    }
    places = {one.rule.name: one.places for one in found.findings}
    for rule, ether in (("iv_mismatch", 26), ("forward_gap", 112), ("mark_outside", 5_458), ("greeks_late", 907)):
        assert places[rule]["name"].str.startswith("ETH-").sum() == ether
    late = places["greeks_late"]
    assert late["figure"].iloc[0] == pytest.approx(1.0, abs=0.01)
    assert (late["name"].str.startswith("ETH-4JUN26") & (late["figure"] > 0.99)).any()


def test_hourly_sample_agrees_with_the_six_hour_chains(data: Path):
    hourly, wide = (
        pd.read_parquet(data / folder / "btc_chain.parquet")[
            ["snapshot_ts_utc", "instrument_name", "mark_iv", "delta_bs"]
        ].astype({"snapshot_ts_utc": "datetime64[us, UTC]", "instrument_name": str})
        for folder in ("deribit_btc_chain_1h_sample", "deribit_option_chain_6h")
    )
    assert not hourly.duplicated(["snapshot_ts_utc", "instrument_name"]).any()
    joint = pd.merge_asof(
        hourly.sort_values("snapshot_ts_utc"),
        wide.sort_values("snapshot_ts_utc"),
        on="snapshot_ts_utc",
        by="instrument_name",
        direction="nearest",
        tolerance=pd.Timedelta(minutes=30),
    ).dropna(subset="mark_iv_y")
    assert len(joint) > 2_500
    points = 100.0 * (joint["mark_iv_x"] - joint["mark_iv_y"]).abs().median()
    assert points == pytest.approx(0.045, abs=0.006)
    assert (joint["delta_bs_x"] - joint["delta_bs_y"]).abs().median() == pytest.approx(0.0004, abs=6e-5)


def test_hourly_sample_has_marks_outside_its_quotes(data: Path):
    chain = pd.read_parquet(data / "deribit_btc_chain_1h_sample" / "btc_chain.parquet")
    near = chain[chain["delta_bs"].abs().between(0.1, 0.9)]
    outside = (near["mark_iv"] < near["bid_iv"]) | (near["mark_iv"] > near["ask_iv"])
    assert outside.mean() == pytest.approx(0.04, abs=0.005)


def test_the_snapshot_of_2021_is_an_oracle_of_greeks(data: Path, deribit: Venue):
    path = data / "deribit_chain_2021_snapshot" / "btc_chain.parquet"
    rows = whole(path, deribit).rows
    assert np.nanmedian(quotes.repricing(rows, rows.is_option) * rows.unit) == pytest.approx(5e-6, abs=2e-6)
    assert np.nanmedian(quotes.delta_gap(rows)) == pytest.approx(3e-6, abs=1e-6)
    chain = pd.read_parquet(path)
    made = compute(
        ("gamma", "vega", "theta"),
        forward=chain["forward_price_usd"],
        strike=chain["strike_usd"],
        volatility=chain["mark_iv"],
        time_to_expiry=(chain["expiry_ts_utc"] - chain["snapshot_ts_utc"]).dt.total_seconds() / YEAR,
        is_call=(chain["option_type"] == "call").to_numpy(),
    )
    assert np.median(np.abs(made["gamma"] - chain["gamma_per_usd"])) == pytest.approx(2e-6, abs=3e-7)
    is_large = (chain["vega_usd_per_volpoint"] > 1.0).to_numpy()
    for name, column, factor in (("vega", "vega_usd_per_volpoint", 100.0), ("theta", "theta_usd_per_day", 365.0)):
        assert np.median((made[name] / factor / chain[column])[is_large]) == pytest.approx(1.0, abs=1e-4)


def test_the_snapshot_of_2021_shows_what_a_test_network_is(data: Path, deribit: Venue):
    found = validate(data / "deribit_chain_2021_snapshot" / "btc_chain.parquet", venue=deribit)
    assert found.at_least(Severity.ERROR) == ()
    names = {one.rule.name for one in found.findings}
    assert names >= {"scattered_stamps", "out_of_order", "parity", "below_intrinsic", "wide_vertical"}


def test_end_of_day_index_options_to_one_or_two_per_cent(data: Path):
    whole = pd.read_parquet(data / "option_chains_eod" / "spx_ivolatility_sample_2011.parquet")
    chain = whole[(whole["isinterpolated"] != "*") & (whole["iv"] > 0.0)]
    made = compute(
        ("price", "delta", "gamma", "vega", "theta"),
        forward=chain["forward_price"],
        strike=chain["strike"],
        volatility=chain["iv"],
        time_to_expiry=(chain["option_expiration"] - chain["date"]).dt.days / 365.0,
        is_call=(chain["right"] == "C").to_numpy(),
    )
    error = np.abs(made["delta"] - chain["delta"])
    assert np.median(error) == pytest.approx(0.003, abs=5e-4)
    assert np.quantile(error, 0.95) == pytest.approx(0.03, abs=5e-3)
    is_large = (chain["vega"] > 0.05).to_numpy()
    for name, unit, ratio in (("vega", 100.0, 1.008), ("gamma", 1.0, 1.013), ("theta", 365.0, 0.988)):
        assert np.median((made[name] / unit / chain[name])[is_large]) == pytest.approx(ratio, abs=0.008)
    price = np.abs(made["price"] / chain["mean_price"] - 1.0)[is_large]
    assert np.median(price) == pytest.approx(0.0065, abs=5e-4)


def test_end_of_day_shares_are_an_oracle_of_order_of_magnitude_only(data: Path):
    chain = pd.read_parquet(data / "option_chains_eod" / "lean_universe_chains.parquet")
    own = chain[(chain["underlying"] == "AAPL") & (chain["implied_volatility"] > 0.0) & (chain["vega"] > 0.01)]
    own = own[own["expiry"] > own["date"]]
    made = compute(
        ("delta", "gamma", "vega"),
        forward=own["spot"],
        strike=own["strike"],
        volatility=own["implied_volatility"],
        time_to_expiry=(own["expiry"] - own["date"]).dt.days / 365.0,
        is_call=(own["right"] == "C").to_numpy(),
    )
    assert 0.03 <= np.median(np.abs(made["delta"] - own["delta"])) <= 0.06
    assert 1.03 <= np.median(made["vega"] / 100.0 / own["vega"]) <= 1.08
    assert 0.91 <= np.median(made["gamma"] / own["gamma"]) <= 0.99


def test_share_surfaces_of_2023_are_on_their_grid(data: Path):
    surface = pd.read_parquet(data / "equity_iv_surfaces_2023" / "surface_qmoms.parquet")
    assert len(surface) == 67_500
    assert surface.groupby("ticker")["date"].nunique().to_dict() == dict.fromkeys(
        ("AAPL", "CAT", "CVX", "IBM", "TSLA"), 250
    )
    assert sorted(surface["days"].unique()) == [30.0, 60.0, 91.0]
    assert not surface.duplicated(["ticker", "date", "days", "delta"]).any()
    assert not surface.isna().any().any()
    assert surface["delta"].abs().max() == 50.0
    assert (surface["mnes"] - surface["k"] / surface["s"]).abs().max() < 1e-9
    made = compute(
        ("delta",),
        forward=surface["f"],
        strike=surface["k"],
        volatility=surface["impl_volatility"],
        time_to_expiry=surface["days"] / 365.0,
        is_call=(surface["delta"] > 0.0).to_numpy(),
    )["delta"]
    assert np.median(np.abs(made - surface["delta"] / 100.0)) < 0.002


def test_the_modelled_level_of_the_index_follows_vix(data: Path):
    """Stated until 2020: correlation 0.995 of levels, 0.963 of changes, VIX about 2 points higher; here until 2015."""
    factors = pd.read_parquet(data / "spx_ivs_factors" / "ivs_factors.parquet").set_index("date")
    indices = pd.read_parquet(data / "vol_indices_daily" / "vol_indices.parquet")
    level = factors["beta_1"] + factors["beta_2"] * np.exp(-np.sqrt((1.0 / 12.0) / 0.25))
    vix = indices[indices["series"] == "VIX"].set_index("date")["close"] / 100.0
    both = pd.DataFrame({"model": level, "vix": vix}).dropna()
    assert len(both) == 5029
    assert both.corr().iloc[0, 1] == pytest.approx(0.9957, abs=5e-5)
    assert both.diff().dropna().corr().iloc[0, 1] == pytest.approx(0.9673, abs=5e-5)
    assert 100.0 * (both["vix"] - both["model"]).mean() == pytest.approx(2.0, abs=0.1)


def test_a_zero_of_the_dispersion_index_was_dropped(data: Path):
    indices = pd.read_parquet(data / "vol_indices_daily" / "vol_indices.parquet")
    days = set(indices.loc[indices["series"] == "DSPX", "date"].astype(str).str[:10])
    assert {"2018-02-07", "2018-02-09"} <= days
    assert "2018-02-08" not in days


def test_forwards_lie_within_their_own_ranges(data: Path):
    curve = pd.read_parquet(data / "deribit_term_structure_6h" / "forward_curve.parquet")
    assert (curve["forward_min_usd"] <= curve["forward_price_usd"]).all()
    assert (curve["forward_price_usd"] <= curve["forward_max_usd"]).all()
    assert not curve.duplicated(["snapshot_ts_utc", "underlying", "expiry_ts_utc"]).any()
    wide = (curve["forward_max_usd"] - curve["forward_min_usd"]) / curve["forward_price_usd"]
    assert (wide.median(), wide.max()) == pytest.approx((7e-6, 4.36e-3), rel=0.1)
