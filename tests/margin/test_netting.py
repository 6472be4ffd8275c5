"""Margin apart and together, and Shapley's split of the benefit."""

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest

from greekdrift.book import Account, Chain, Position, RuleSet
from greekdrift.config import load_rules
from greekdrift.errors import BookError
from greekdrift.margin import naive_engine
from greekdrift.margin import netting as page
from greekdrift.margin.netting import Member, elsewhere, netting, united

MakeChain = Callable[..., Chain]


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rules("derive_pm2")


@pytest.fixture(scope="module")
def chain(make_chain: MakeChain) -> Chain:
    return make_chain()


def book(chain: Chain, seed: int, **collateral: float) -> Account:
    random = np.random.default_rng(seed)
    rows = random.choice(len(chain), size=6, replace=False)
    sizes = [1e3 if chain.is_inverse[row] and not chain.is_option[row] else 5.0 for row in rows]
    positions = tuple(
        Position(instrument=chain.instruments[row], quantity=float(random.normal(scale=size)))
        for row, size in zip(rows, sizes, strict=True)
    )
    return Account(account_id=f"a{seed}", collateral=collateral, positions=positions)


def members(chain: Chain, rules: RuleSet, *accounts: Account) -> list[Member]:
    return [Member(account=account, chain=chain, rules=rules) for account in accounts]


def needs(chain: Chain, rules: RuleSet, accounts: list[Account]) -> float:
    return naive_engine.requirement(chain, united(accounts), rules).initial_margin_usd if accounts else 0.0


@pytest.mark.parametrize("seed", range(3))
def test_shares_are_shapleys_by_every_order_of_arrival(chain: Chain, rules: RuleSet, seed: int) -> None:
    accounts = [book(chain, 10 * seed + at, BTC=float(at), USDC=1e5) for at in range(4)]
    (found,) = netting(members(chain, rules, *accounts))
    pays = np.zeros(4)
    orders = list(permutations(range(4)))
    for order in orders:
        so_far: list[Account] = []
        for at in order:
            before = needs(chain, rules, so_far)
            so_far.append(accounts[at])
            pays[at] += (needs(chain, rules, so_far) - before) / len(orders)
    apart = np.array([needs(chain, rules, [account]) for account in accounts])
    assert found.is_exact
    np.testing.assert_allclose(found.apart_usd, apart, rtol=1e-10)
    np.testing.assert_allclose(found.shares_usd, apart - pays, rtol=1e-8, atol=1e-6)
    assert found.together_usd == pytest.approx(needs(chain, rules, accounts))
    assert found.shares_usd.sum() == pytest.approx(found.benefit_usd)


def test_opposite_books_need_nothing_together_and_share_alike(chain: Chain, rules: RuleSet) -> None:
    one = book(chain, 3)
    other = Account(
        account_id="mirror",
        collateral={},
        positions=tuple(Position(instrument=p.instrument, quantity=-p.quantity) for p in one.positions),
    )
    (found,) = netting(members(chain, rules, one, other))
    assert found.together_usd == 0.0
    assert found.benefit_usd == pytest.approx(found.apart_usd.sum())
    np.testing.assert_allclose(found.shares_usd, found.apart_usd.sum() / 2.0)


def test_an_account_of_its_own_and_one_elsewhere_share_nothing(
    make_chain: MakeChain, chain: Chain, rules: RuleSet
) -> None:
    other_place = make_chain()
    found = netting([*members(chain, rules, book(chain, 1)), *members(other_place, rules, book(other_place, 2))])
    assert [group.account_ids for group in found] == [("a1",), ("a2",)]
    for group in found:
        assert group.benefit_usd == pytest.approx(0.0, abs=1e-6)
        np.testing.assert_allclose(group.shares_usd, 0.0, atol=1e-6)


def test_many_accounts_are_split_over_drawn_orders(
    chain: Chain, rules: RuleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = [book(chain, seed, USDC=1e5) for seed in range(5)]
    exact = netting(members(chain, rules, *accounts))[0]
    monkeypatch.setattr(page, "MOST_EXACT", 3)
    with pytest.raises(BookError, match="random generator"):
        netting(members(chain, rules, *accounts))
    drawn = netting(members(chain, rules, *accounts), random=np.random.default_rng(1))[0]
    again = netting(members(chain, rules, *accounts), random=np.random.default_rng(1))[0]
    assert not drawn.is_exact
    assert drawn.shares_usd.tobytes() == again.shares_usd.tobytes()
    assert drawn.shares_usd.sum() == pytest.approx(drawn.benefit_usd)
    np.testing.assert_allclose(drawn.shares_usd, exact.shares_usd, atol=0.05 * exact.apart_usd.sum())


def test_the_whole_at_another_place_is_told_or_why_it_cannot_stand_there(
    make_chain: MakeChain, chain: Chain, rules: RuleSet
) -> None:
    one, other = book(chain, 1), Account(account_id="small", collateral={"USDC": 1.0}, positions=())
    found = elsewhere(members(chain, rules, one, other), [rules])
    assert found["derive_pm2"] == pytest.approx(needs(chain, rules, [one, other]))
    refused = elsewhere(members(make_chain(days=(2.0,)), rules, one), [rules])
    assert "not listed" in str(refused["derive_pm2"])


def test_an_account_twice_is_refused(chain: Chain, rules: RuleSet) -> None:
    with pytest.raises(BookError, match="a1 is listed twice"):
        netting(members(chain, rules, book(chain, 1), book(chain, 1)))
