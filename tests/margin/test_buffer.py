"""Liquidity at risk, the cash ladder and the reserve between them; a buffer that is drawn and refilled."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greekdrift.book import Account, Chain, Position, Scenarios
from greekdrift.config import load_rules
from greekdrift.errors import BookError, InputError
from greekdrift.forecast.margin import margin_forecast
from greekdrift.margin.buffer import (
    Buffer,
    BufferTerms,
    Raising,
    Source,
    ladder,
    liquidity_at_risk,
    reserve,
    stepped,
)
from greekdrift.surface import FACTORS
from greekdrift.surface.fit import fit

HOURS = np.array([6.0, 12.0, 24.0])
AT_ONCE, SLOW = Raising(haircut=0.0, delay_hours=0.0), Raising(haircut=0.2, delay_hours=8.0, usd_per_hour=10.0)


def paths(seed: int, count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    weights = random.exponential(size=count)
    return np.cumsum(random.normal(scale=100.0, size=(count, 3)), axis=1), weights / weights.sum()


@given(seed=st.integers(0, 1000), level=st.sampled_from((0.5, 0.9, 0.99)))
def test_liquidity_at_risk_is_the_least_cash_that_covers_the_paths(seed: int, level: float) -> None:
    need, weights = paths(seed)
    found = liquidity_at_risk(need, weights, level=level)
    assert np.all(np.diff(found) >= 0.0)
    for at in range(3):
        worst = np.maximum(need[:, : at + 1].max(axis=1), 0.0)
        assert weights[worst <= found[at]].sum() >= level - 1e-12
        if found[at] > 0.0:
            assert weights[worst < found[at]].sum() < level + 1e-12


@given(seed=st.integers(0, 1000), value=st.floats(0.0, 1e4))
def test_the_reserve_covers_with_the_ladder_what_liquidity_at_risk_covers_alone(seed: int, value: float) -> None:
    need, weights = paths(seed)
    alone = reserve(need, weights, horizons=HOURS, level=0.95)
    assert alone.reserve_usd == alone.liquidity_at_risk_usd[-1]
    source = Source(currency="BTC", value_usd=value, raising=SLOW)
    with_ladder = reserve(need, weights, horizons=HOURS, sources=[source], level=0.95)
    assert with_ladder.reserve_usd <= alone.reserve_usd
    is_met = np.all(need <= with_ladder.reserve_usd + with_ladder.raised_usd + 1e-9, axis=1)
    assert weights[is_met].sum() >= 0.95 - 1e-12


def test_what_comes_late_does_not_help_early() -> None:
    need, weights = np.array([[50.0, 0.0, 0.0]]), np.ones(1)
    late = Source(currency="BTC", value_usd=1e6, raising=Raising(haircut=0.0, delay_hours=24.0))
    assert reserve(need, weights, horizons=HOURS, sources=[late]).reserve_usd == 50.0
    early = Source(currency="USDC", value_usd=30.0, raising=AT_ONCE)
    assert reserve(need, weights, horizons=HOURS, sources=[late, early]).reserve_usd == 20.0
    assert Source(currency="BTC", value_usd=1e3, raising=SLOW).raised_usd(HOURS).tolist() == [0.0, 40.0, 160.0]


def test_a_debt_is_owed_from_the_start() -> None:
    owed = ladder({"USDC": -30.0}, {"USDC": 1.0}, {"USDC": AT_ONCE})
    assert reserve(np.zeros((1, 3)), np.ones(1), horizons=HOURS, sources=owed).reserve_usd == 30.0


def test_an_unknown_currency_is_an_error() -> None:
    terms = {"USDC": AT_ONCE, "BTC": SLOW}
    with pytest.raises(BookError, match='USDT becomes cash; did you mean "USDC"'):
        ladder({"USDT": 1.0}, {"USDT": 1.0}, terms)
    with pytest.raises(BookError, match="no value in USD"):
        ladder({"BTC": 1.0}, {}, terms)
    with pytest.raises(BookError, match="no value in USD"):
        ladder({"BTC": float("nan")}, {"BTC": 1.0}, terms)
    assert ladder({"USDT": 0.0}, {}, terms) == ()


def test_nothing_that_is_no_number_gives_a_reserve() -> None:
    need, weights = paths(1)
    for bad, level in ((np.where(need > 0.0, np.nan, need), 0.9), (need, 1.0), (need[:3], 0.9), (need[:, 0], 0.9)):
        with pytest.raises(InputError):
            liquidity_at_risk(bad, weights, level=level)
    for terms in ({"haircut": 1.5, "delay_hours": 0.0}, {"haircut": 0.0, "delay_hours": float("nan")}):
        with pytest.raises(InputError):
            Raising(**terms)
    with pytest.raises(InputError):
        Raising(haircut=0.0, delay_hours=0.0, usd_per_hour=0.0)


@given(
    held=st.floats(0.0, 1e6),
    need=st.floats(0.0, 1e6),
    target=st.floats(0.0, 1e6),
    hours=st.floats(0.0, 1e3),
    refill=st.floats(0.0, 1e6),
)
def test_a_step_neither_makes_nor_loses_money(
    held: float, need: float, target: float, hours: float, refill: float
) -> None:
    terms = BufferTerms(refill_usd_per_day=refill)
    step = stepped(Buffer(held_usd=held, target_usd=target), terms, need_usd=need, target_usd=target, hours=hours)
    assert step.paid_usd + step.unpaid_usd == pytest.approx(need)
    balance = held - step.paid_usd + step.refilled_usd - step.released_usd
    assert step.after.held_usd == pytest.approx(balance, abs=1e-6)
    assert min(step.paid_usd, step.unpaid_usd, step.refilled_usd, step.released_usd, step.after.held_usd) >= 0.0
    assert step.refilled_usd == 0.0 or step.released_usd == 0.0
    assert step.refilled_usd <= refill * hours / 24.0 + 1e-6


def test_a_drawn_buffer_comes_back_at_its_pace_and_lets_go_slowly() -> None:
    terms, buffer = BufferTerms(refill_usd_per_day=40.0), Buffer(held_usd=100.0, target_usd=100.0)
    step = stepped(buffer, terms, need_usd=150.0, target_usd=100.0, hours=0.0)
    assert (step.paid_usd, step.unpaid_usd, step.after.drawn_usd) == (100.0, 50.0, 100.0)
    held = []
    for _ in range(4):
        step = stepped(step.after, terms, need_usd=0.0, target_usd=100.0, hours=24.0)
        held.append(step.after.held_usd)
    assert held == [40.0, 80.0, 100.0, 100.0]
    inside = stepped(step.after, terms, need_usd=0.0, target_usd=95.0, hours=24.0)
    assert inside.after.held_usd == 100.0
    beyond = stepped(step.after, terms, need_usd=0.0, target_usd=50.0, hours=120.0)
    assert beyond.after.held_usd == pytest.approx(75.0)
    with pytest.raises(InputError):
        stepped(buffer, terms, need_usd=float("nan"), target_usd=1.0, hours=1.0)


def test_needs_of_one_account_are_bit_identical_whatever_the_others_hold(make_chain: Callable[..., Chain]) -> None:
    chain, rules = make_chain(), load_rules("derive_pm2")
    surface = fit(chain)
    random = np.random.default_rng(1)
    scenarios = Scenarios(
        underlyings=("BTC",), factors=FACTORS, horizons=HOURS,
        increments=0.02 * random.normal(size=(50, 3, 1, len(FACTORS))), weights=np.full(50, 0.02),
        as_of=chain.as_of, known_at=chain.known_at, provenance="t",
    )  # fmt: skip
    mine = Account(account_id="mine", collateral={"USDC": 1e5}, positions=(Position.of("BTC-31JAN26-115000-C", -3.0),))
    found = []
    for size in (1.0, 7.0, -2e6):
        other = Account(account_id="other", collateral={"BTC": 9.0}, positions=(Position.of("BTC-PERPETUAL", size),))
        ahead = margin_forecast(chain, [mine, other], rules, surface=surface, scenarios=scenarios)
        need = ahead.outlay("mine")
        assert np.all(need >= ahead.fall("mine") - 1e-6)
        made = reserve(need, scenarios.weights, horizons=HOURS, level=0.9)
        assert made.reserve_usd > 0.0
        found.append((need.tobytes(), made.reserve_usd))
    assert len(set(found)) == 1
