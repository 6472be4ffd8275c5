"""Laws of the net-portfolio margin, on generated portfolios."""

from collections.abc import Callable
from dataclasses import replace
from math import isfinite

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greekdrift.book import Chain
from greekdrift.book.rules import (
    NetCollateral,
    NetExpiry,
    NetLinear,
    NetOption,
    NetPortfolio,
    NetPortfolioParameters,
    SkewTerms,
)
from greekdrift.config import load_rules
from greekdrift.margin import NetMargin, grid, naive

RULES = load_rules("derive_pm2")
P = RULES.parameters
SPOT = 1_000.0


def amounts(size: float) -> st.SearchStrategy[float]:
    return st.floats(-size, size, allow_subnormal=False).map(lambda x: round(x, 3))


@st.composite
def options(draw: st.DrawFn) -> NetOption:
    return NetOption(
        strike=draw(st.sampled_from((300.0, 700.0, 900.0, 1_000.0, 1_100.0, 1_400.0, 4_000.0))),
        is_call=draw(st.booleans()),
        forward=SPOT * draw(st.floats(0.9, 1.1)),
        volatility=draw(st.floats(0.05, 3.0)),
        amount=draw(amounts(20.0)),
        worth=draw(st.floats(0.9, 1.1)),
    )


@st.composite
def expiries(draw: st.DrawFn) -> NetExpiry:
    return NetExpiry(
        time_to_expiry=draw(st.sampled_from((0.0, 1e-6, 3e-5, 1e-3, 5.0 / 365.0, 30.0 / 365.0, 0.5, 2.0))),
        rate=draw(st.floats(-0.2, 0.5)),
        options=tuple(draw(st.lists(options(), max_size=6))),
        forward_confidence=draw(st.sampled_from((1.0, 0.3))),
    )


@st.composite
def portfolios(draw: st.DrawFn) -> NetPortfolio:
    linear = st.builds(NetLinear, amount=amounts(30.0), price=st.floats(900.0, 1_100.0))
    collateral = st.builds(
        NetCollateral,
        amount=amounts(30.0),
        price=st.floats(500.0, 2_000.0),
        is_risk_cancelling=st.booleans(),
        maintenance=st.floats(0.0, 0.2),
        initial=st.floats(0.0, 0.2),
        confidence=st.sampled_from((1.0, 0.5)),
        confidence_threshold=st.just(0.6),
    )
    return NetPortfolio(
        underlying="X",
        cash=draw(amounts(1e5)),
        spot_price=SPOT,
        expiries=tuple(draw(st.lists(expiries(), max_size=4))),
        linears=tuple(draw(st.lists(linear, max_size=2))),
        collaterals=tuple(draw(st.lists(collateral, max_size=2))),
        stable_price=draw(st.sampled_from((1.0, 0.95))),
    )


def scale(margin: NetMargin, portfolio: NetPortfolio) -> float:
    legs = [option for expiry in portfolio.expiries for option in expiry.options]
    gross = sum(abs(leg.amount) * (leg.forward + leg.strike) for leg in legs)
    gross += sum(abs(one.amount) * one.price for one in (*portfolio.linears, *portfolio.collaterals))
    return 1.0 + 10.0 * gross + abs(margin.equity_usd)


@given(
    portfolio=portfolios(), width=st.sampled_from((P.skew, SkewTerms(least_width=0.0, scale=0.0, level=1.0, slope=0.0)))
)
def test_both_engines_agree(portfolio: NetPortfolio, width: SkewTerms) -> None:
    parameters = replace(P, skew=width)
    slow, fast = naive.net_margin(portfolio, parameters), grid.net_margin(portfolio, parameters)
    tolerance = 1e-13 * scale(slow, portfolio)
    for name in NetMargin.__slots__:
        one, other = getattr(slow, name), getattr(fast, name)
        if isinstance(one, float):
            assert other == pytest.approx(one, abs=tolerance, rel=1e-11), name
    assert fast.scenario_pnl == pytest.approx(dict(slow.scenario_pnl), abs=tolerance, rel=1e-11)


@given(portfolio=portfolios())
def test_requirements_are_ordered_and_finite(portfolio: NetPortfolio) -> None:
    margin = grid.net_margin(portfolio, P)
    assert isfinite(margin.equity_usd)
    assert margin.initial_margin_usd >= margin.maintenance_margin_usd >= 0.0
    assert margin.worst_loss_usd <= min(margin.basis_usd, *margin.scenario_pnl.values())


@given(portfolio=portfolios(), factor=st.floats(0.01, 100.0))
def test_homogeneous_as_declared(portfolio: NetPortfolio, factor: float) -> None:
    assert RULES.is_homogeneous
    margin, larger = grid.net_margin(portfolio, P), grid.net_margin(times(portfolio, factor), P)
    for name in ("initial_margin_usd", "maintenance_margin_usd", "equity_usd", "worst_loss_usd"):
        expected = factor * getattr(margin, name)
        assert getattr(larger, name) == pytest.approx(
            expected, rel=1e-10, abs=1e-12 * factor * scale(margin, portfolio)
        )


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), lines=st.integers(1, 15))
def test_convex_and_subadditive_but_for_the_skew_scenarios(
    make_chain: Callable[..., Chain], seed: int, lines: int
) -> None:
    chain = make_chain()
    random = np.random.default_rng(seed)
    books = np.zeros((2, len(chain)))
    for book in books:
        rows = random.choice(len(chain) - 1, size=lines, replace=False)
        book[rows] = random.normal(size=lines) * np.where(chain.is_option[rows], 1.0, 1e3)
    books[1] += random.integers(0, 2) * books[0]
    coins = random.normal(size=2)
    without = replace(RULES, parameters=replace(P, skew_scenarios=()))
    weights = np.vstack([books, books.sum(axis=0)])
    held = {"BTC": np.append(coins, coins.sum())}
    for part in grid.requirements(chain, weights, without, rows=np.arange(len(chain)), coins=held):
        assert part[2] <= (part[0] + part[1]) * (1.0 + 1e-12)


def test_neither_convex_nor_subadditive_with_them_as_declared(make_chain: Callable[..., Chain]) -> None:
    assert not RULES.is_convex
    assert not RULES.is_subadditive
    chain = make_chain(currency="USDC", days=(30.0,))
    strikes = {"70000-P": 22.62, "85000-P": -30.0, "95000-P": 29.81, "100000-P": -14.07}
    strikes |= {"105000-C": 2.31, "115000-C": -6.58, "130000-C": 9.87}
    book = np.zeros(len(chain))
    for strike, contracts in strikes.items():
        book[chain.row_of[f"BTC_USDC-31JAN26-{strike}"]] = contracts
    book[chain.row_of["BTC_USDC-PERPETUAL"]] = -0.207
    step = np.zeros(len(chain))
    step[chain.row_of["BTC_USDC-31JAN26-95000-P"]] = 0.1
    weights = np.vstack([book - step, book + step, book])
    less, more, middle = grid.requirements(chain, weights, RULES, rows=np.arange(len(chain)), coins={})[0]
    assert middle > 0.5 * (less + more) * (1.0 + 2e-4)


@given(portfolio=portfolios(), leg=options())
def test_long_and_short_of_one_instrument_change_nothing(portfolio: NetPortfolio, leg: NetOption) -> None:
    pair = (leg, replace(leg, amount=-leg.amount))
    with_pair = replace(portfolio, expiries=(*portfolio.expiries, NetExpiry(time_to_expiry=0.1, options=pair)))
    one, other = grid.net_margin(portfolio, P), grid.net_margin(with_pair, P)
    for name in ("initial_margin_usd", "maintenance_margin_usd", "equity_usd"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-12, abs=1e-9)


@given(leg=options(), years=st.floats(0.0, 2.0))
def test_a_long_option_loses_at_most_its_value(leg: NetOption, years: float) -> None:
    long = NetExpiry(time_to_expiry=years, options=(replace(leg, amount=abs(leg.amount)),))
    portfolio = NetPortfolio(underlying="X", cash=0.0, spot_price=SPOT, expiries=(long,))
    margin = grid.net_margin(portfolio, replace(P, skew_scenarios=()))
    assert min(margin.scenario_pnl.values()) >= -margin.option_value_usd * (1.0 + 1e-12) - 1e-9


@given(portfolio=portfolios(), extra=st.floats(0.5, 2.0))
def test_more_scenarios_and_less_damping_never_lower_it(portfolio: NetPortfolio, extra: float) -> None:
    margin = grid.net_margin(portfolio, P)
    added = replace(P.scenarios[0], label="added", spot=extra)
    heavier = tuple(replace(one, damping=1.5 * one.damping) for one in P.scenarios)
    for parameters in (replace(P, scenarios=(*P.scenarios, added)), replace(P, scenarios=heavier)):
        stricter = grid.net_margin(portfolio, parameters)
        assert stricter.initial_margin_usd >= margin.initial_margin_usd * (1.0 - 1e-12)
        assert stricter.maintenance_margin_usd >= margin.maintenance_margin_usd * (1.0 - 1e-12)


@given(leg=options(), more=st.floats(0.0, 1.0))
def test_larger_volatility_moves_never_lower_that_of_a_short_option(leg: NetOption, more: float) -> None:
    short = NetExpiry(time_to_expiry=0.1, options=(replace(leg, amount=-abs(leg.amount)),))
    portfolio = NetPortfolio(underlying="X", cash=0.0, spot_price=SPOT, expiries=(short,))
    base = grid.net_margin(portfolio, P).initial_margin_usd
    for terms in (
        replace(P.volatility, up=P.volatility.up + more),
        replace(P.volatility, floor=P.volatility.floor + more),
    ):
        assert grid.net_margin(portfolio, replace(P, volatility=terms)).initial_margin_usd >= base * (1.0 - 1e-12)


@given(portfolio=portfolios())
def test_order_and_split_of_legs_do_not_matter(portfolio: NetPortfolio) -> None:
    def halved(option: NetOption) -> NetOption:
        return replace(option, amount=0.5 * option.amount)

    turned = replace(
        portfolio,
        expiries=tuple(
            replace(one, options=tuple(halved(leg) for leg in reversed(one.options)) + tuple(map(halved, one.options)))
            for one in reversed(portfolio.expiries)
        ),
        linears=portfolio.linears[::-1],
        collaterals=portfolio.collaterals[::-1],
    )
    one, other = grid.net_margin(portfolio, P), grid.net_margin(turned, P)
    tolerance = 1e-13 * scale(one, portfolio)
    for name in ("initial_margin_usd", "maintenance_margin_usd", "equity_usd", "worst_loss_usd"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-12, abs=tolerance), name


@given(leg=options())
def test_continuous_through_thirty_days(leg: NetOption) -> None:
    def at(days: float) -> float:
        expiry = NetExpiry(time_to_expiry=days / 365.0, options=(leg,))
        return margin_of(NetPortfolio(underlying="X", cash=0.0, spot_price=SPOT, expiries=(expiry,)), P)

    assert at(30.0 - 1e-7) == pytest.approx(at(30.0 + 1e-7), rel=1e-6, abs=1e-6)


@given(
    strike=st.floats(300.0, 4_000.0),
    forward=st.floats(800.0, 1_200.0),
    volatility=st.floats(0.05, 3.0),
    amount=st.floats(-50.0, 50.0).filter(lambda x: abs(x) > 1e-3),
    rate=st.floats(-0.2, 0.5),
    years=st.sampled_from((1e-3, 5.0 / 365.0, 30.0 / 365.0, 2.0)),
)
def test_a_parity_book_feels_no_volatility(
    strike: float, forward: float, volatility: float, amount: float, rate: float, years: float
) -> None:
    """Call − put is n D (F − K): what it loses depends on spot alone, and a turn of the smile moves only discounts."""
    call = NetOption(strike=strike, is_call=True, forward=forward, volatility=volatility, amount=amount)
    pair = NetExpiry(time_to_expiry=years, rate=rate, options=(call, replace(call, is_call=False, amount=-amount)))
    for engine in (grid, naive):
        margin = engine.net_margin(NetPortfolio(underlying="X", cash=0.0, spot_price=SPOT, expiries=(pair,)), P)
        discount = np.exp(-max(rate, 0.0) * years)
        close = {"rel": 1e-10, "abs": 1e-9 * abs(amount) * strike}
        assert margin.option_value_usd == pytest.approx(amount * discount * (forward - strike), **close)
        by_spot: dict[tuple[float, float], list[float]] = {}
        for one in P.scenarios:
            by_spot.setdefault((one.spot, one.damping), []).append(margin.scenario_pnl[one.label])
        assert max(len(found) for found in by_spot.values()) == 3
        for found in by_spot.values():
            assert found == pytest.approx([found[0]] * len(found), **close)
        skewed = [margin.scenario_pnl[one.label] for one in P.skew_scenarios]
        long, short = margin.static_discounts[0]
        worth = margin.option_value_usd
        assert skewed == pytest.approx([-abs(worth * (long if worth >= 0.0 else short) - worth)] * len(skewed), **close)


@given(leg=options(), rate=st.floats(-0.2, 0.5))
def test_what_has_expired_is_worth_its_intrinsic_value_and_moves_no_more(leg: NetOption, rate: float) -> None:
    expiry = NetExpiry(time_to_expiry=0.0, rate=rate, options=(leg,))
    side = 1.0 if leg.is_call else -1.0
    intrinsic = leg.amount * leg.worth * max(side * (leg.forward - leg.strike), 0.0)
    for engine in (grid, naive):
        margin = engine.net_margin(NetPortfolio(underlying="X", cash=0.0, spot_price=SPOT, expiries=(expiry,)), P)
        assert margin.equity_usd == pytest.approx(intrinsic, rel=1e-12, abs=1e-9)
        assert max(map(abs, (margin.basis_usd, *margin.scenario_pnl.values()))) == pytest.approx(0.0, abs=1e-8)


@given(
    leg=options(),
    strike=st.sampled_from((1e-6, 1.0, 1e3, 1e9)),
    forward=st.sampled_from((1e-9, 1.0, 1e3, 1e8)),
    volatility=st.sampled_from((0.0, 1e-9, 0.5, 49.0)),
    years=st.sampled_from((0.0, 1e-9, 1e-3, 30.0 / 365.0, 30.0)),
    rate=st.sampled_from((-5.0, 0.0, 1.0)),
)
def test_no_state_of_the_market_gives_a_number_that_is_none(
    leg: NetOption, strike: float, forward: float, volatility: float, years: float, rate: float
) -> None:
    """Nothing left of time, volatility or the forward; strikes out of sight; rates far below zero."""
    odd = replace(leg, strike=strike, forward=forward, volatility=volatility)
    expiry = NetExpiry(time_to_expiry=years, rate=rate, options=(odd,))
    portfolio = NetPortfolio(underlying="X", cash=0.0, spot_price=SPOT, expiries=(expiry,))
    slow, fast = naive.net_margin(portfolio, P), grid.net_margin(portfolio, P)
    assert isfinite(fast.initial_margin_usd)
    assert fast.initial_margin_usd >= fast.maintenance_margin_usd >= 0.0
    tolerance = 1e-12 * (1.0 + abs(leg.amount) * (strike + 10.0 * forward) * np.exp(max(-rate, 0.0)))
    assert fast.initial_margin_usd == pytest.approx(slow.initial_margin_usd, rel=1e-10, abs=tolerance)


def margin_of(portfolio: NetPortfolio, parameters: NetPortfolioParameters) -> float:
    return grid.net_margin(portfolio, parameters).initial_margin_usd


def times(portfolio: NetPortfolio, factor: float) -> NetPortfolio:
    return replace(
        portfolio,
        cash=factor * portfolio.cash,
        expiries=tuple(
            replace(one, options=tuple(replace(leg, amount=factor * leg.amount) for leg in one.options))
            for one in portfolio.expiries
        ),
        linears=tuple(replace(one, amount=factor * one.amount) for one in portfolio.linears),
        collaterals=tuple(replace(one, amount=factor * one.amount) for one in portfolio.collaterals),
    )
