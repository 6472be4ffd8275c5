"""Candidates of transfers: every kind is there, legs sum to zero, and nothing that is not listed on both sides."""

from collections.abc import Callable

import numpy as np
import pytest

from greekdrift.book import Account, Chain, Position
from greekdrift.config import load_rules
from greekdrift.margin.netting import Member
from greekdrift.margin.transfer_candidates import KINDS, candidates, coins_of_contract

MakeChain = Callable[..., Chain]
CALL = "BTC-31JAN26-115000-C"


def member(chain: Chain, name: str, *lines: tuple[str, float]) -> Member:
    positions = tuple(Position.of(*line) for line in lines)
    account = Account(account_id=name, collateral={"BTC": 1.0}, positions=positions)
    return Member(account=account, chain=chain, rules=load_rules("derive_pm2"))


def test_every_kind_is_tried_and_its_legs_sum_to_zero(make_chain: MakeChain) -> None:
    chain = make_chain()
    found = list(candidates([member(chain, "a", (CALL, -4.0)), member(chain, "b")], KINDS))
    assert {what for what, _ in found} == set(KINDS)
    for what, legs in found:
        sums: dict[str, float] = {}
        for leg in legs:
            sums[leg.instrument] = sums.get(leg.instrument, 0.0) + leg.quantity
        assert all(total == 0.0 for total in sums.values())
        assert {leg.account_id for leg in legs} == {"a", "b"}
        if what == "box":
            quantities = sorted(leg.quantity for leg in legs if leg.account_id == "a")
            assert quantities[0] == pytest.approx(-quantities[1])
    assert sorted(legs[0].quantity for what, legs in found if what == "move") == [2.0, 4.0]


def test_nothing_goes_where_it_is_not_listed(make_chain: MakeChain) -> None:
    chain, early = make_chain(), make_chain(days=(2.0,))
    found = list(candidates([member(chain, "a", (CALL, -4.0)), member(early, "b")], KINDS))
    assert {what for what, _ in found} == {"pair"}
    assert {leg.instrument for _, legs in found for leg in legs} == {"BTC-PERPETUAL"}


def test_coins_of_a_contract(make_chain: MakeChain) -> None:
    chain = make_chain()
    row = chain.row_of["BTC-PERPETUAL"]
    assert coins_of_contract(chain, row) == pytest.approx(10.0 / chain.forward[row])
    assert coins_of_contract(chain, chain.row_of[CALL]) == 1.0
    assert np.isfinite(coins_of_contract(chain, np.int64(0)))
