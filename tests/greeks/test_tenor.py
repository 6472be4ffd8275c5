"""Vega by tenor: buckets add up to the whole, borders belong to the later bucket."""

import numpy as np
import pytest

from greekdrift.book import Account, Chain, Position
from greekdrift.errors import InputError
from greekdrift.greeks.exposure import exposure
from greekdrift.greeks.tenor import by_tenor, labels


def _all_of(chain: Chain) -> Account:
    names = [one.name for one in chain.instruments]
    held = tuple(Position.of(name, 1.0 + at) for at, name in enumerate(names))
    return Account(account_id="all", collateral={"BTC": 1.0}, positions=held)


@pytest.mark.parametrize("name", ["vega", "gamma", "delta_net"])
def test_buckets_add_up_over_options(every_kind: Chain, name: str) -> None:
    account = _all_of(every_kind)
    options = Account(
        account_id="options",
        collateral={},
        positions=tuple(one for one in account.positions if one.instrument.is_option),
    )
    found = by_tenor(every_kind, [account, options], name)
    np.testing.assert_array_equal(found[0], found[1])
    whole = exposure(every_kind, [options], (name,)).quantities[name]
    np.testing.assert_allclose(found[1].sum(axis=-1), whole[0], rtol=1e-12)
    np.testing.assert_array_equal(found[0] != 0.0, [[False, True, False, True, False], [True, *[False] * 4]])


def test_a_border_belongs_to_the_later_bucket(every_kind: Chain) -> None:
    found = by_tenor(every_kind, [_all_of(every_kind)], edges=(0.0, 1.0, 2.0))
    assert found[0, 1, 0] == 0.0
    assert found[0, 1, 1] > 0.0
    assert labels() == ("0-7d", "7-30d", "30-90d", "90-180d", "180d+")


def test_edges_that_do_not_increase_are_refused(every_kind: Chain) -> None:
    for edges in ((0.0,), (0.0, 7.0, 7.0), (0.0, float("nan"))):
        with pytest.raises(InputError, match="do not increase"):
            by_tenor(every_kind, [], edges=edges)
