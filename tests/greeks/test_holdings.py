"""Sparse holdings: the same sums as by hand, whatever the order, the duplicates and the company of an account."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from greekdrift.book import Account, Position
from greekdrift.errors import BookError, ChainError
from greekdrift.greeks.exposure import exposure
from greekdrift.greeks.holdings import Holdings


def account(name, held, **collateral):
    positions = tuple(Position.of(row, quantity) for row, quantity in held.items())
    return Account(account_id=name, collateral=collateral, positions=positions)


HELD = {"BTC-PERPETUAL": -1500, "BTC-27JUN25-100000-C": 2.5, "ETH-2JUN25-2600-P": 0.1, "BTC-27JUN25-90000-P": 0.0}


def test_lines_of_accounts(every_kind):
    held = Holdings.of(every_kind, (account("a", HELD, BTC=1.0, USDC=5.0), account("b", {}), account("c", HELD)))
    assert held.account_ids == ("a", "b", "c")
    assert held.rows.tolist() == sorted(every_kind.row_of[name] for name, quantity in HELD.items() if quantity)
    assert held.starts.tolist() == [0, 3, 3, 6]
    table = held.table(len(every_kind))
    for name, quantity in HELD.items():
        assert table[:, every_kind.row_of[name]].tolist() == [quantity, 0.0, quantity]
    assert np.count_nonzero(table) == 6
    assert {name: column.tolist() for name, column in held.collateral.items()} == {"BTC": [1.0, 0.0, 0.0]}


def test_sums_are_those_of_the_table(every_kind):
    random = np.random.default_rng(3)
    table = np.where(random.random((7, len(every_kind))) < 0.4, random.normal(size=(7, len(every_kind))), 0.0)
    held, columns = Holdings.of_table(every_kind, table), random.normal(size=(len(every_kind), 4))
    assert np.array_equal(held.table(len(every_kind)), table)
    assert held.sums(columns[held.rows]) == pytest.approx(table @ columns, rel=1e-12, abs=1e-14)


def test_neither_order_nor_company_changes_a_bit(every_kind):
    """An account's figures depend on its own lines alone, to the last bit."""
    names = [row.name for row in every_kind.instruments]
    quantities = np.random.default_rng(5).normal(size=len(names))
    forward = account("a", dict(zip(names, quantities, strict=True)), BTC=0.3)
    backward = account("b", dict(zip(names[::-1], quantities[::-1], strict=True)), BTC=0.3)
    alone = exposure(every_kind, (forward,))
    together = exposure(every_kind, (account("x", {names[0]: 1e9}), backward, forward, account("y", {})))
    for name, column in alone.quantities.items():
        assert np.array_equal(together.quantities[name][1], column[0]), name
        assert np.array_equal(together.quantities[name][2], column[0]), name


def test_duplicates_add_up_and_nothing_given_is_changed(every_kind):
    lines = (np.array([1.0, 2.0, -3.0, 4.0]), np.array([3, 0, 3, 5]), np.array([0, 3, 4]))
    as_rows = sparse.csr_array(lines, shape=(2, len(every_kind)))
    held = Holdings.of_table(every_kind, as_rows, account_ids=("a", "b"), collateral={"ETH": np.array([1.0, 2.0])})
    assert held.table(len(every_kind))[0, [0, 3]].tolist() == [2.0, -2.0]
    assert as_rows.data.tolist() == [1.0, 2.0, -3.0, 4.0]
    assert exposure(every_kind, held).value("b", "ETH", "coin_equity") == 2.0


def test_an_exposure_of_a_table_is_that_of_its_accounts(every_kind):
    accounts = (account("a", HELD, ETH=1.0), account("b", {"BTC_USDC": 2.0}, BTC=-1.0))
    held = Holdings.of(every_kind, accounts)
    as_table = Holdings.of_table(
        every_kind, held.table(len(every_kind)), account_ids=held.account_ids, collateral=held.collateral
    )
    first, second = exposure(every_kind, accounts), exposure(every_kind, as_table)
    for name, column in first.quantities.items():
        assert np.array_equal(column, second.quantities[name]), name


def test_a_coin_without_rows_but_with_a_price_counts(every_kind):
    chain = replace(every_kind, index_price={**every_kind.index_price, "SOL": 150.0})
    found = exposure(chain, (account("a", HELD, SOL=10.0, USDC=7.0),))
    assert found.underlyings == ("BTC", "ETH", "SOL")
    assert found.value("a", "SOL", "delta_collateral") == 10.0
    assert found.value("a", "SOL", "delta_usd") == 0.0


def test_what_does_not_fit_is_refused(every_kind):
    with pytest.raises(ChainError, match='c: "BTC-27JUN25-1-C" is not listed'):
        Holdings.of(every_kind, (account("b", HELD), account("c", {"BTC-27JUN25-1-C": 1})))
    with pytest.raises(BookError, match="2 accounts × 3 rows does not fit"):
        Holdings.of_table(every_kind, np.zeros((2, 3)))
    with pytest.raises(BookError, match="does not fit 1 names"):
        Holdings.of_table(every_kind, np.zeros((2, len(every_kind))), account_ids=("a",))
    with pytest.raises(BookError, match=r"this one has the shape \(3,\)"):
        Holdings.of_table(every_kind, np.zeros(3))
    with pytest.raises(BookError, match="not finite"):
        Holdings.of_table(every_kind, np.full((1, len(every_kind)), np.nan))
    with pytest.raises(BookError, match="collateral BTC is not 1 finite numbers"):
        Holdings.of_table(every_kind, np.zeros((1, len(every_kind))), collateral={"BTC": np.array([np.nan])})
    with pytest.raises(BookError, match="collateral USDC has no index price"):
        Holdings.of_table(every_kind, np.zeros((1, len(every_kind))), collateral={"USDC": np.array([1.0])})
