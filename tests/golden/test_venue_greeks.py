"""Recorded venue tickers: three follow Black-76 on the forward at rate 0, act/365; the fourth floors time at a day."""

import csv

import numpy as np
import pytest

from greekdrift.greeks import compute
from greekdrift.greeks.implied import Reason, solve
from greekdrift.units import SECONDS_PER_YEAR, to_venue

PRINTED = {
    "delta": "delta",
    "gamma": "gamma",
    "vega": "vega_per_volpoint_usd",
    "theta": "theta_per_day_usd",
    "rho": "rho_per_pct_usd",
}


def tickers(golden):
    with (golden / "venue_ticker_greeks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        years = (int(row["expiry_ms"]) - int(row["ts_ms"])) / 1000.0 / SECONDS_PER_YEAR
        values = compute(
            ("price", *PRINTED),
            forward=float(row["underlying_price"]),
            strike=float(row["strike"]),
            volatility=float(row["mark_iv_pct"]) / 100.0,
            time_to_expiry=years,
            is_call=row["cp"] == "C",
        )
        yield row, years * 365.0, {name: float(to_venue(name, value)) for name, value in values.items()}


def half_a_digit(text: str) -> float:
    """Half a unit of the last printed digit."""
    mantissa, _, exponent = text.lower().partition("e")
    decimals = len(mantissa.partition(".")[2])
    return 0.5 * 10.0 ** (int(exponent or 0) - decimals)


@pytest.mark.shared
def test_three_tickers_are_black_on_the_forward(golden):
    """To half the last printed digit, or 1e-4 where the printed volatility (to 0.01 of 63 points) rounds more."""
    followed = [ticker for ticker in tickers(golden) if ticker[0]["venue"] == "deribit"]
    assert len(followed) == 3
    for row, _, value in followed:
        for name, printed in PRINTED.items():
            right = float(row[printed])
            slack = max(half_a_digit(row[printed]), 1e-4 * abs(right))
            assert abs(value[name] - right) <= slack, (row["instrument"], name)
        assert value["price"] / float(row["underlying_price"]) == pytest.approx(float(row["mark_price"]), abs=2e-5)


@pytest.mark.shared
def test_the_fourth_ticker_is_not_matched_near_expiry(golden):
    """Its price, delta and vega are Black's; gamma and theta are 14 % low, as if it had a whole day to live."""
    (row, days_left, value), *others = (ticker for ticker in tickers(golden) if ticker[0]["venue"] == "bybit")
    assert others == []
    assert value["price"] == pytest.approx(float(row["mark_price"]), rel=2e-3)
    assert value["delta"] == pytest.approx(float(row["delta"]), rel=1e-3)
    assert value["vega"] == pytest.approx(float(row["vega_per_volpoint_usd"]), rel=1e-3)
    for name in ("gamma", "theta"):
        ratio = float(row[PRINTED[name]]) / value[name]
        assert ratio == pytest.approx(0.86, abs=0.005)
        assert ratio == pytest.approx(days_left, rel=1e-3)


@pytest.mark.shared
def test_deltas_of_the_tickers_are_not_premium_adjusted(golden):
    for row, _, value in tickers(golden):
        if row["venue"] == "deribit":
            net = value["delta"] - value["price"] / float(row["underlying_price"])
            assert abs(net - float(row["delta"])) > 100.0 * abs(value["delta"] - float(row["delta"]))
            assert np.sign(net) == np.sign(value["delta"])


@pytest.mark.shared
@pytest.mark.parametrize("coin", ["btc", "eth"])
def test_recorded_chains_are_repriced_and_inverted(shared, coin):
    """Every listed option of the day of the shock, 2026-02-05: mark from mark_iv, delta, and volatility from price.

    The venue rounds its printed mark, and its delta was recorded up to some minutes after the price.
    """
    import pandas as pd

    path = shared / "data" / "deribit_option_chain_6h" / f"{coin}_chain.parquet"
    day = (pd.Timestamp("2026-02-05", tz="UTC"), pd.Timestamp("2026-02-06", tz="UTC"))
    rows = pd.read_parquet(path, filters=[("snapshot_ts_utc", ">=", day[0]), ("snapshot_ts_utc", "<", day[1])])
    assert len(rows) > 1000
    forward, volatility = rows["forward_price_usd"].to_numpy(), rows["mark_iv"].to_numpy()
    at = {
        "forward": forward,
        "strike": rows["strike_usd"].to_numpy(),
        "time_to_expiry": rows["time_to_expiry_years_act365"].to_numpy(),
        "is_call": (rows["option_type"] == "call").to_numpy(dtype=bool),
    }
    value = compute(("price", "delta"), **at, volatility=volatility)
    error = np.abs(value["price"] / forward - rows["mark_price_coin"].to_numpy())
    assert np.median(error) < 5e-5  # 5e-6 over all days; prices moved while they were recorded
    assert np.max(error) < 6e-3
    assert np.median(np.abs(value["delta"] - rows["delta_bs"].to_numpy())) < 1e-3
    found, reason = solve(value["price"], **at)
    outside = (at["strike"] >= forward) == at["is_call"]
    assert np.all(reason[outside] == Reason.FOUND)
    assert np.max(np.abs(found / volatility - 1.0)[outside]) < 1e-12
    assert np.nanmax(np.abs(found / volatility - 1.0)) < 1e-6
