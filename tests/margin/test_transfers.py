"""The adviser of internal transfers: what it proposes holds by the slow engine and hurts nobody who did not consent."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greekdrift.book import Account, Chain, Position, RuleSet
from greekdrift.book.instrument import parse
from greekdrift.config import load_rules, load_venue
from greekdrift.errors import BookError, CalculationError
from greekdrift.greeks.exposure import deltas
from greekdrift.margin import engine, naive_engine, transfers
from greekdrift.margin.netting import Member, united
from greekdrift.margin.transfers import Advice, Costs, advise

MakeChain = Callable[..., Chain]
FREE = Costs(fee=0.0)


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rules("derive_pm2")


@pytest.fixture(scope="module")
def chain(make_chain: MakeChain) -> Chain:
    return make_chain()


def member(chain: Chain, rules: RuleSet, name: str, *lines: tuple[str, float], **collateral: float) -> Member:
    positions = tuple(Position.of(*line) for line in lines)
    return Member(
        account=Account(account_id=name, collateral=collateral, positions=positions), chain=chain, rules=rules
    )


def check(before: list[Member], found: Advice, consents: tuple[str, ...] = ()) -> None:
    """The whole owns what it owned, equity moves nowhere, claims are exact and nobody pays unasked."""
    then = {one.account.account_id: one for one in found.members}
    for one in before:
        name = one.account.account_id
        was = naive_engine.requirement(one.chain, one.account, one.rules)
        now = naive_engine.requirement(one.chain, then[name].account, one.rules)
        assert now.equity_usd == pytest.approx(was.equity_usd, rel=1e-9, abs=1e-3)
        assert now.initial_margin_usd == pytest.approx(found.after_usd[name], rel=1e-9, abs=1e-6)
        assert was.initial_margin_usd == pytest.approx(found.before_usd[name], rel=1e-9, abs=1e-6)
        if name not in consents:
            assert now.initial_margin_usd <= was.initial_margin_usd * (1.0 + 1e-8) + 1e-6
    whole, afterwards = (united([one.account for one in group]) for group in (before, found.members))
    held, kept = whole.quantities(), afterwards.quantities()
    for name in held.keys() | kept.keys():
        assert kept.get(name, 0.0) == pytest.approx(held.get(name, 0.0), abs=1e-8)
    for currency in whole.collateral.keys() | afterwards.collateral.keys():
        assert afterwards.collateral.get(currency, 0.0) == pytest.approx(whole.collateral.get(currency, 0.0), abs=1e-6)
    freed = sum(one.freed_usd for one in found.steps)
    assert sum(found.before_usd.values()) - sum(found.after_usd.values()) == pytest.approx(freed, abs=1e-4)


def test_opposite_perpetuals_meet_in_one_account(chain: Chain, rules: RuleSet) -> None:
    books = [
        member(chain, rules, "long", ("BTC-PERPETUAL", 5e4), USDC=1e6),
        member(chain, rules, "short", ("BTC-PERPETUAL", -5e4), USDC=1e6),
    ]
    found = advise(books, costs=FREE)
    assert len(found.steps) == 1
    assert sum(found.after_usd.values()) == pytest.approx(0.0, abs=1e-6)
    check(books, found)


def test_a_short_call_and_its_hedge_find_each_other(chain: Chain, rules: RuleSet) -> None:
    """Two kinds of remedy: the position moves, or a pair of perpetuals carries the delta across."""
    books = [
        member(chain, rules, "writer", ("BTC-31JAN26-115000-C", -20.0), USDC=2e6, BTC=2.0),
        member(chain, rules, "hedger", ("BTC-PERPETUAL", 8e4), USDC=2e6, BTC=2.0),
    ]
    for kind in ("move", "pair", "box"):
        found = advise(books, costs=FREE, kinds=[kind])
        assert found.steps, kind
        assert {one.what for one in found.steps} == {kind}
        check(books, found)
    every = advise(books, costs=FREE)
    assert every.ranked[0].net_usd >= max(
        advise(books, costs=FREE, kinds=[k]).ranked[0].net_usd for k in ("move", "pair")
    )


def test_costs_decide_what_is_worth_it(chain: Chain, rules: RuleSet) -> None:
    books = [
        member(chain, rules, "long", ("BTC-PERPETUAL", 5e4), USDC=1e6),
        member(chain, rules, "short", ("BTC-PERPETUAL", -5e4), USDC=1e6),
    ]
    assert advise(books, costs=Costs(move_usd=1e9, fee=1.0)).steps == ()
    found = advise(books, costs=Costs(move_usd=25.0, move_hours=2.0, fee=1.0))
    assert found.steps[0].cost_usd == 25.0
    assert found.steps[0].hours == 2.0
    assert found.steps[0].net_usd == pytest.approx(found.steps[0].freed_usd - 25.0)


def test_legs_are_whole_lots_where_the_venue_is_known(chain: Chain, rules: RuleSet) -> None:
    venue = load_venue("deribit")
    books = [
        replace(member(chain, rules, "writer", ("BTC-31JAN26-115000-C", -20.07), USDC=2e6, BTC=2.0), venue=venue),
        replace(member(chain, rules, "hedger", ("BTC-PERPETUAL", 8e4), USDC=2e6, BTC=2.0), venue=venue),
    ]
    found = advise(books, costs=FREE)
    check(books, found)
    held = {(one.account.account_id, name): n for one in books for name, n in one.account.quantities().items()}
    for step in (*found.ranked, *found.steps):
        for leg in step.legs:
            lot = venue.product(parse(leg.instrument)).lot
            is_whole = abs(leg.quantity / lot - round(leg.quantity / lot)) < 1e-6
            assert is_whole or abs(leg.quantity) in {abs(n) for n in held.values()}


def test_a_hedged_move_leaves_the_deltas_and_pays_for_its_hedge(chain: Chain, rules: RuleSet) -> None:
    call = "BTC-31JAN26-115000-C"
    books = [
        member(chain, rules, "writer", (call, -20.0), ("BTC-PERPETUAL", 5e4), USDC=2e6, BTC=2.0),
        member(chain, rules, "owner", (call, 30.0), ("BTC-PERPETUAL", -7e4), USDC=2e6, BTC=2.0),
    ]
    found = advise(books, costs=Costs(move_usd=10.0, move_hours=3.0, fee=1e-4, trade_hours=1.0), kinds=["hedged"])
    check(books, found)
    step = found.steps[0]
    assert {leg.instrument for leg in step.legs} == {call, "BTC-PERPETUAL"}
    traded = sum(abs(leg.quantity) * 10.0 for leg in step.legs if leg.instrument == "BTC-PERPETUAL")
    assert step.cost_usd == pytest.approx(10.0 + 1e-4 * traded, rel=1e-3)
    assert step.hours == 3.0
    then = {one.account.account_id: one.account for one in found.members}
    if len(found.steps) == 1:
        for one in books:
            was = deltas(chain, [one.account]).collateral
            np.testing.assert_allclose(deltas(chain, [then[one.account.account_id]]).collateral, was, atol=1e-6)


def test_another_venue_is_reached_by_trades(chain: Chain, rules: RuleSet) -> None:
    there = replace(rules, venue="elsewhere")
    books = [
        member(chain, rules, "long", ("BTC-PERPETUAL", 5e4), USDC=1e6),
        member(chain, there, "short", ("BTC-PERPETUAL", -5e4), USDC=1e6),
    ]
    found = advise(books, costs=Costs(move_usd=1.0, fee=0.001, trade_hours=0.5))
    legs = 2 * 5e5 * 100_000.0 / 100_010.0
    assert found.steps[0].cost_usd == pytest.approx(0.001 * legs)
    assert found.steps[0].hours == 0.5


def test_nobody_pays_unasked(chain: Chain, rules: RuleSet) -> None:
    """One account alone gains, the other would need more: only with its consent, and only if it can carry it."""
    books = [
        member(chain, rules, "a", ("BTC-PERPETUAL", 5e4), ("BTC-31JAN26-100000-P", 5.0), USDC=1e6, BTC=1.0),
        member(chain, rules, "b", ("BTC-31JAN26-100000-C", -5.0), USDC=1e6, BTC=1.0),
    ]
    without = advise(books, costs=FREE)
    both = advise(books, costs=FREE, consents=("a", "b"))
    assert sum(both.after_usd.values()) <= sum(without.after_usd.values()) + 1e-6
    check(books, without)
    check(books, both, consents=("a", "b"))
    poor = [books[0], replace(books[1], account=replace(books[1].account, collateral={"USDC": 1.0}))]
    check(poor, advise(poor, costs=FREE, consents=("a",)), consents=("a",))


@settings(max_examples=12)
@given(seed=st.integers(0, 10_000))
def test_advice_on_random_books_frees_margin_and_keeps_the_rules(chain: Chain, rules: RuleSet, seed: int) -> None:
    random = np.random.default_rng(seed)
    books = []
    for name in ("a", "b", "c"):
        rows = random.choice(len(chain) - 1, 4, replace=False)
        lines = [
            (
                chain.instruments[row].name,
                float(np.round(random.normal(scale=5.0 if chain.is_option[row] else 3e3), 3)),
            )
            for row in rows
        ]
        books.append(member(chain, rules, name, *lines, USDC=1e6, BTC=float(random.uniform(0.0, 5.0))))
    found = advise(books, costs=Costs(fee=1e-4), most_steps=3)
    check(books, found)
    assert all(step.net_usd >= 1.0 for step in found.steps)
    assert [step for step in found.steps if step.raises] == []


def test_a_claim_that_the_whole_account_does_not_bear_out_is_an_error(
    chain: Chain, rules: RuleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = engine.requirement

    def wrong(*given: object):
        result = exact(*given)
        return replace(result, initial_margin_usd=result.initial_margin_usd + 100.0)

    books = [
        member(chain, rules, "long", ("BTC-PERPETUAL", 5e4), USDC=1e6),
        member(chain, rules, "short", ("BTC-PERPETUAL", -5e4), USDC=1e6),
    ]
    monkeypatch.setattr(transfers.engine, "requirement", wrong)
    with pytest.raises(CalculationError, match="was to leave a requirement"):
        advise(books, costs=FREE)


def test_bad_input_is_refused(chain: Chain, rules: RuleSet) -> None:
    with pytest.raises(BookError, match="consent of x"):
        advise([member(chain, rules, "a", USDC=1.0)], costs=FREE, consents=("x",))
    with pytest.raises(BookError, match="fee nan"):
        Costs(fee=float("nan"))
