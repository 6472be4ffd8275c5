"""Laws of what is said about a margin, for every packaged rule set: slopes, shares, savings, transfers, prices."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greekdrift.book import Account, Chain, Position, RuleSet
from greekdrift.config import load_rules
from greekdrift.margin import naive_engine
from greekdrift.margin.liquidation import liquidation
from greekdrift.margin.netting import Member, netting, united
from greekdrift.margin.sensitivity import contributions, slopes
from greekdrift.margin.transfers import Costs, advise
from greekdrift.surface import Surface
from greekdrift.surface.fit import fit

MakeChain = Callable[..., Chain]
LINEAR = ("paradex_pm", "linear_standard")
RULES = [load_rules(name) for name in ("derive_pm2", "deribit_pm", "paradex_pm", "deribit_standard", "linear_standard")]


@pytest.fixture(scope="module")
def markets(make_chain: MakeChain) -> dict[str, tuple[Chain, Surface]]:
    """A coin-settled and a linear market, without spot, dated futures or further expiries."""
    found = {}
    for currency in ("", "USDC"):
        whole = make_chain(currency=currency, days=(9.0, 30.0))
        chain = whole.take(whole.is_option | np.array([one.kind == "perpetual" for one in whole.instruments]))
        found[currency] = (chain, fit(chain))
    return found


def market_of(markets: dict[str, tuple[Chain, Surface]], rules: RuleSet) -> tuple[Chain, Surface]:
    return markets["USDC" if rules.name in LINEAR else ""]


def drawn(chain: Chain, seed: int, name: str = "a", lines: int = 5) -> Account:
    random = np.random.default_rng(seed)
    rows = random.choice(len(chain), lines, replace=False)
    is_in_usd = chain.is_inverse & ~chain.is_option
    positions = tuple(
        Position(instrument=chain.instruments[row], quantity=float(np.round(random.normal(scale=s), 2)) or 1.0)
        for row, s in zip(rows, np.where(is_in_usd[rows], 3e3, 4.0), strict=True)
    )
    coins = {} if chain.instruments[0].currency == "USDC" else {"BTC": float(random.uniform(1.0, 20.0))}
    return Account(account_id=name, collateral=coins or {"USDC": 3e5}, positions=positions)


def after(chain: Chain, account: Account, name: str, bought: float) -> Account:
    row = chain.row_of[name]
    instrument, collateral = chain.instruments[row], dict(account.collateral)
    if instrument.is_option:
        cost = bought * chain.mark[row] * chain.contract_size[row]
        collateral[instrument.currency] = collateral.get(instrument.currency, 0.0) - cost
    held = {one.instrument: one.quantity for one in account.positions}
    held[instrument] = held.get(instrument, 0.0) + bought
    positions = tuple(Position(instrument=one, quantity=n) for one, n in held.items() if n != 0.0)
    return replace(account, collateral=collateral, positions=positions)


@pytest.mark.parametrize("rules", RULES, ids=lambda one: one.name)
@settings(max_examples=15)
@given(seed=st.integers(0, 100_000))
def test_slopes_are_what_a_small_trade_costs(markets, rules: RuleSet, seed: int) -> None:
    chain, _ = market_of(markets, rules)
    account = drawn(chain, seed)
    wanted = [*account.quantities(), chain.instruments[seed % len(chain)].name]
    found = slopes(chain, account, rules, instruments=dict.fromkeys(wanted))
    now = naive_engine.requirement(chain, account, rules)

    def bumped(name: str, lot: float) -> np.ndarray:
        then = naive_engine.requirement(chain, after(chain, account, name, lot), rules)
        change = (
            then.initial_margin_usd - now.initial_margin_usd,
            then.maintenance_margin_usd - now.maintenance_margin_usd,
        )
        return np.array(change) / abs(lot)

    for at, name in enumerate(found.instruments):
        lot = 1e-5 if chain.is_option[chain.row_of[name]] or chain.instruments[0].currency == "USDC" else 1e-2
        slack = 1e-12 * (1.0 + now.initial_margin_usd) / lot + 1e-4
        for sign, slope in (
            (1.0, (found.initial_bought[at], found.maintenance_bought[at])),
            (-1.0, (found.initial_sold[at], found.maintenance_sold[at])),
        ):
            small, large = bumped(name, sign * lot), bumped(name, 2.0 * sign * lot)
            if np.allclose(small, large, rtol=1e-6, atol=slack):  # else a kink lies within the lot
                np.testing.assert_allclose(slope, small, rtol=1e-4, atol=slack, err_msg=name)


@pytest.mark.parametrize("rules", RULES, ids=lambda one: one.name)
@settings(max_examples=20)
@given(seed=st.integers(0, 100_000))
def test_shares_sum_to_the_margin_where_it_is_homogeneous(markets, rules: RuleSet, seed: int) -> None:
    chain, _ = market_of(markets, rules)
    account = drawn(chain, seed)
    found = contributions(chain, account, rules)
    margin = naive_engine.requirement(chain, account, rules).initial_margin_usd
    assert found.requirement_usd == pytest.approx(margin, rel=1e-9)
    assert (found.euler is not None) == rules.is_homogeneous
    if found.euler is not None:
        assert found.euler.sum() == pytest.approx(margin, rel=1e-7)


@pytest.mark.parametrize("rules", RULES, ids=lambda one: one.name)
@settings(max_examples=20)
@given(seed=st.integers(0, 100_000))
def test_savings_sum_and_are_not_negative_where_the_rule_set_is_subadditive(markets, rules: RuleSet, seed: int) -> None:
    chain, _ = market_of(markets, rules)
    accounts = [drawn(chain, seed + at, name) for at, name in enumerate("abc")]
    (found,) = netting([Member(account=one, chain=chain, rules=rules) for one in accounts])
    apart = [naive_engine.requirement(chain, one, rules).initial_margin_usd for one in accounts]
    whole = naive_engine.requirement(chain, united(accounts), rules).initial_margin_usd
    assert found.benefit_usd == pytest.approx(sum(apart) - whole, rel=1e-7, abs=1e-3)
    assert found.shares_usd.sum() == pytest.approx(found.benefit_usd, rel=1e-7, abs=1e-3)
    if rules.is_subadditive:
        assert found.benefit_usd >= -1e-6 * (1.0 + sum(apart))


@pytest.mark.parametrize("rules", RULES, ids=lambda one: one.name)
@settings(max_examples=8)
@given(seed=st.integers(0, 100_000))
def test_transfers_free_what_they_say_and_raise_nobody(markets, rules: RuleSet, seed: int) -> None:
    chain, _ = market_of(markets, rules)
    accounts = [drawn(chain, seed + at, name, lines=3) for at, name in enumerate("ab")]
    found = advise([Member(account=one, chain=chain, rules=rules) for one in accounts], costs=Costs(), most_steps=2)
    for before, member in zip(accounts, found.members, strict=True):
        was = naive_engine.requirement(chain, before, rules)
        now = naive_engine.requirement(chain, member.account, rules)
        assert now.initial_margin_usd == pytest.approx(found.after_usd[before.account_id], rel=1e-7, abs=1e-3)
        assert now.initial_margin_usd <= was.initial_margin_usd * (1.0 + 1e-8) + 1e-6
        assert now.equity_usd == pytest.approx(was.equity_usd, rel=1e-8, abs=1e-2)
    assert all(step.net_usd >= 1.0 for step in found.steps)


@pytest.mark.parametrize("rules", RULES, ids=lambda one: one.name)
@settings(max_examples=5)
@given(seed=st.integers(0, 100_000))
def test_health_changes_sign_at_the_told_prices_and_nowhere_else(markets, rules: RuleSet, seed: int) -> None:
    chain, surface = market_of(markets, rules)
    account = drawn(chain, seed)
    found = liquidation(chain, account, rules, surface=surface, underlying="BTC", points=201)
    for kind, health in (("call", found.standing.initial_health), ("liquidation", found.standing.maintenance_health)):
        crossed = [one for one in found.of(kind) if one.direction != "touching"]
        edges = [0.0, *(one.price_usd for one in crossed), np.inf]
        sides = [crossed[0].is_healthy_below] if crossed else [bool(health[0] >= 0.0)]
        sides += [one.is_healthy_above for one in crossed]
        assert all(one.is_healthy_below == side for one, side in zip(crossed, sides, strict=False))
        for low, high, side in zip(edges[:-1], edges[1:], sides, strict=True):
            inside = (found.prices > low * (1.0 + 1e-9)) & (found.prices < high * (1.0 - 1e-9))
            assert np.all((health[inside] >= 0.0) == side)
