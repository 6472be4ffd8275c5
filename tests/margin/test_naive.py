"""The slow loop against values worked by hand from the formulas of its rule set."""

from dataclasses import replace
from math import exp, log

import pytest

from greekdrift.book.rules import NetExpiry, NetLinear, NetOption, NetPortfolio
from greekdrift.book.scenario_terms import VolatilityMove
from greekdrift.config import load_rules
from greekdrift.greeks import compute
from greekdrift.margin import naive

P = load_rules("derive_pm2").parameters
OPTION = NetOption(strike=110.0, is_call=True, forward=100.0, volatility=0.5, amount=-2.0)


def test_black_price_is_that_of_the_calculator() -> None:
    for is_call in (True, False):
        for volatility, years in ((0.5, 0.25), (0.0, 0.25), (0.5, 0.0), (3.0, 2.0)):
            option = replace(OPTION, is_call=is_call)
            at = {"forward": 97.0, "strike": 110.0, "volatility": volatility, "time_to_expiry": years}
            price = naive.black_price(option, forward=97.0, volatility=volatility, time_to_expiry=years)
            assert price == pytest.approx(float(compute(["price"], **at, is_call=is_call)["price"]), abs=1e-12)


def test_volatility_moves_follow_the_power_law() -> None:
    for days, multiple in ((0.2, 30.0**0.3), (10.0, 3.0**0.3), (30.0, 1.0), (120.0, 0.25**0.13)):
        up = naive.shocked_volatility(0.8, days / 365.0, VolatilityMove.UP, P.volatility)
        down = naive.shocked_volatility(0.8, days / 365.0, VolatilityMove.DOWN, P.volatility)
        assert up == pytest.approx(0.8 * (1.0 + 0.5 * multiple))
        assert down == pytest.approx(0.8 * (1.0 - 0.275 * multiple))
    assert naive.shocked_volatility(0.1, 0.5, VolatilityMove.UP, P.volatility) == 0.45
    assert naive.shocked_volatility(0.1, 0.5, VolatilityMove.NONE, P.volatility) == 0.1


def test_skew_turns_about_the_forward_and_stops_at_its_cap() -> None:
    linear, absolute = P.skew_scenarios
    years = 0.25
    cap, width = 0.15 - 0.05 * 0.5, 4.0 * 0.5 * (0.6 - 0.1 * 0.5)
    k = log(110.0 / 100.0)
    assert naive.skew_multiplier(OPTION, years, linear, P) == pytest.approx(1.0 + k * cap / width)
    low = replace(OPTION, strike=100.0**2 / 110.0)
    assert naive.skew_multiplier(low, years, linear, P) == pytest.approx(1.0 - k * cap / width)
    assert naive.skew_multiplier(low, years, absolute, P) == pytest.approx(1.0 + k * cap / width)
    assert naive.skew_multiplier(replace(OPTION, strike=1e6), years, linear, P) == pytest.approx(1.0 + cap)
    assert naive.skew_multiplier(replace(OPTION, strike=1e-3), years, linear, P) == pytest.approx(1.0 - cap)
    assert naive.skew_multiplier(replace(OPTION, strike=100.0), years, linear, P) == 1.0


def test_static_discounts() -> None:
    long, short = naive.static_discount(NetExpiry(time_to_expiry=0.5, options=(), rate=0.1), P)
    assert long == pytest.approx(0.95 * exp(-0.5 * (0.1 + 0.08)))
    assert short == pytest.approx(exp(0.1 * 0.5))
    assert naive.static_discount(NetExpiry(time_to_expiry=0.0, options=(), rate=0.1), P) == (1.0, 1.0)
    assert naive.static_discount(NetExpiry(time_to_expiry=0.5, options=(), rate=-0.5), P)[1] == 1.0


def test_naked_shorts_are_those_that_no_long_of_the_strike_covers() -> None:
    put = replace(OPTION, is_call=False, amount=1.5)
    other = replace(OPTION, strike=120.0, amount=5.0)
    expiry = NetExpiry(time_to_expiry=0.25, options=(OPTION, put, other))
    margin = naive.net_margin(NetPortfolio(underlying="X", cash=0.0, spot_price=100.0, expiries=(expiry,)), P)
    assert margin.option_maintenance_usd == pytest.approx(0.5 * 100.0 * 0.003)
    assert margin.option_initial_usd == pytest.approx(0.5 * 100.0 * 0.002)


def test_a_short_call_by_hand() -> None:
    expiry = NetExpiry(time_to_expiry=0.25, options=(OPTION,))
    margin = naive.net_margin(NetPortfolio(underlying="X", cash=40.0, spot_price=100.0, expiries=(expiry,)), P)
    volatility = 0.5 * (1.0 + 0.5 * (30.0 / (0.25 * 365.0)) ** 0.13)
    at = {"strike": 110.0, "time_to_expiry": 0.25, "is_call": True}
    mark = -2.0 * float(compute(["price"], forward=100.0, volatility=0.5, **at)["price"])
    moved = -2.0 * float(compute(["price"], forward=118.0, volatility=volatility, **at)["price"])
    assert margin.worst_scenario == "spot +18 %, volatility up"
    assert margin.worst_loss_usd == pytest.approx(moved - mark)
    assert margin.equity_usd == pytest.approx(40.0 + mark)
    assert margin.maintenance_margin_usd == pytest.approx(-0.8 * (moved - mark) + 2.0 * 0.3)
    assert margin.initial_margin_usd == pytest.approx(-(moved - mark) + 2.0 * 0.5)
    assert margin.initial_health_usd == margin.equity_usd - margin.initial_margin_usd
    assert margin.maintenance_health_usd == margin.equity_usd - margin.maintenance_margin_usd


def test_a_stable_coin_below_its_peg_enlarges_the_loss() -> None:
    linears = (NetLinear(amount=1.0, price=100.0),)
    portfolio = NetPortfolio(underlying="X", cash=0.0, spot_price=100.0, linears=linears, stable_price=0.9)
    margin = naive.net_margin(portfolio, P)
    assert margin.initial_loss_share == pytest.approx(1.0 + (0.98 - 0.9) * 2.0)
    assert margin.initial_margin_usd == pytest.approx(1.16 * 18.0 + 2.0)


def test_only_the_floating_part_of_the_forward_moves_in_the_settlement_window() -> None:
    years = 600.0 / (365.0 * 86_400.0)
    deep = NetOption(strike=10.0, is_call=True, forward=100.0, volatility=0.5, amount=1.0)
    portfolio = NetPortfolio(
        underlying="X", cash=0.0, spot_price=100.0, expiries=(NetExpiry(time_to_expiry=years, options=(deep,)),)
    )
    pnl = naive.net_margin(portfolio, P).scenario_pnl["spot -9 %, volatility none"]
    long = 0.95 * exp(-0.08 * years)
    assert pnl == pytest.approx(long * (100.0 * (2.0 / 3.0 + 0.91 / 3.0) - 10.0) - 90.0)
