"""Each order names the breach that it answers."""

import numpy as np
import pytest

from greekdrift.book import Band
from greekdrift.policy.breach import now_hinges
from greekdrift.policy.reason import reasons


@pytest.fixture
def at(case_of, made):
    bands = (
        Band(greek="delta", underlying="BTC", lower=-1.0, upper=1.0),
        Band(greek="vega", underlying="BTC", lower=-20_000.0, upper=20_000.0, tenor_days=(0.0, 30.0)),
    )
    return case_of(made.account({"BTC-27MAR26-70000-C": -10.0, "BTC-PERPETUAL": 90_000.0}, bands=bands))


def traded(at, **contracts):
    trade = at.nothing
    for name, quantity in contracts.items():
        trade[np.searchsorted(at.universe.rows, at.chain.row_of[name.replace("_", "-")])] = quantity
    loss = now_hinges(at.targets, at.values, at.matrix, hours=24.0)
    found = reasons(at, trade, loss)
    return {
        name: found[np.searchsorted(at.universe.rows, at.chain.row_of[name.replace("_", "-")])] for name in contracts
    }


def test_the_perpetual_answers_delta_and_the_option_vega(at):
    found = traded(at, BTC_PERPETUAL=-60_000.0, BTC_27MAR26_70000_C=8.0)
    assert found["BTC_PERPETUAL"].startswith("BTC delta (net) outside [-1, 1]: ")
    assert found["BTC_27MAR26_70000_C"].startswith("BTC vega 0-30d outside [-20000, 20000]: -")


def test_inside_the_band_but_off_the_target_is_near_the_edge(case_of, made):
    near = (Band(greek="delta", underlying="BTC", lower=-1.0, upper=1.0),)
    at = case_of(made.account({"BTC-PERPETUAL": 6_900.0}, bands=near))
    assert traded(at, BTC_PERPETUAL=-700.0)["BTC_PERPETUAL"].startswith(
        "BTC delta (net) near the edge of [-1, 1]: 0.98"
    )


def test_an_order_that_mends_no_band_says_so(at):
    found = traded(at, BTC_PERPETUAL=100.0, BTC_27MAR26_70000_C=0.0)
    assert "supports the other orders" in found["BTC_PERPETUAL"]
    assert found["BTC_27MAR26_70000_C"] == ""


def test_without_orders_or_bands_there_are_no_reasons(at, case_of, made):
    loss = now_hinges(at.targets, at.values, at.matrix, hours=1.0)
    assert not any(reasons(at, at.nothing, loss))
    bare = case_of(made.account(made.straddles, bands=()))
    trade = bare.nothing + 1.0
    assert not any(reasons(bare, trade, now_hinges(bare.targets, bare.values, bare.matrix, hours=1.0)))
