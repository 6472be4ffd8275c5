from typing import Any

import numpy as np
import pytest

from greekdrift.book import Account, Position
from greekdrift.errors import InputError
from greekdrift.features.books import reference_books
from greekdrift.features.target import DRIFTS, realised_drift
from greekdrift.greeks.exposure import exposure


def _account(**quantities: float) -> Account:
    positions = tuple(Position.of(name.replace("_", "-"), number) for name, number in quantities.items())
    return Account(account_id="one", collateral={}, positions=positions)


def test_greeks_drift_as_the_exposure_of_the_two_chains_differs(chain_of: Any) -> None:
    chain, later = chain_of(), chain_of(hours=6.0, index=103.0, level=0.65)
    books = reference_books(chain, seed=7)
    drift = realised_drift(chain, later, books)
    assert tuple(drift) == DRIFTS
    before, after = exposure(chain, books).quantities, exposure(later, books).quantities
    for name in ("delta_usd", "delta_net", "gamma", "vega", "theta"):
        np.testing.assert_allclose(drift[name], (after[name] - before[name])[:, 0], rtol=1e-12, atol=1e-15)


def test_pnl_of_a_coin_option_is_the_change_of_its_cash_worth(chain_of: Any) -> None:
    chain, later = chain_of(), chain_of(hours=6.0, index=103.0)
    name = "BTC-27MAR26-100-C"
    drift = realised_drift(chain, later, [_account(**{name.replace("-", "_"): 2.0})])
    worth = [one.mark[one.row_of[name]] * one.index_price["BTC"] for one in (chain, later)]
    assert drift["pnl_usd"][0] == pytest.approx(2.0 * (worth[1] - worth[0]), rel=1e-12)


def test_pnl_of_linear_and_inverse_hedges(chain_of: Any) -> None:
    chain, later = chain_of(), chain_of(hours=6.0, index=110.0)
    inverse = realised_drift(chain, later, [_account(BTC_PERPETUAL=5.0)])
    assert inverse["pnl_usd"][0] == pytest.approx(5.0 * 10.0 * (1 / 100 - 1 / 110) * 110, rel=1e-12)
    assert inverse["delta_usd"][0] == pytest.approx(50.0 / 110.0 - 50.0 / 100.0, rel=1e-12)
    for hedge in ("spot", "perpetual"):
        linear = {"underlying": "AAPL", "is_inverse": False, "hedge": hedge}
        account = _account(**{f"AAPL.USD_{hedge.upper()}": 3.0})
        drift = realised_drift(chain_of(**linear), chain_of(hours=6.0, index=110.0, **linear), [account])
        assert drift["pnl_usd"][0] == pytest.approx(30.0, rel=1e-12)
        assert drift["delta_usd"][0] == 0.0


def test_an_expired_option_is_settled_and_has_no_greeks(chain_of: Any) -> None:
    chain, later = chain_of(), chain_of(hours=30.0, index=107.0)
    names = ("BTC-3MAR26-100-C", "BTC-3MAR26-100-P", "BTC-3MAR26-110-P")
    assert names[0] not in later.row_of
    accounts = [_account(**{name.replace("-", "_"): 1.0}) for name in names]
    drift = realised_drift(chain, later, accounts)
    line = exposure(chain, accounts[:1])
    assert drift["gamma"][0] == -line.value("one", "BTC", "gamma")
    assert drift["delta_net"][0] == -line.value("one", "BTC", "delta_net")
    rows = chain.rows(names)
    now = chain.mark[rows] * chain.index_price["BTC"]
    np.testing.assert_allclose(drift["pnl_usd"], np.array([7.0, 0.0, 3.0]) - now, rtol=1e-9)


def test_an_instrument_that_vanished_leaves_its_accounts_unknown(chain_of: Any) -> None:
    gone = "BTC-27MAR26-100-C"
    chain, later = chain_of(), chain_of(hours=6.0, drop=(gone,))
    books = reference_books(chain, seed=7)
    drift = realised_drift(chain, later, books)
    holds = np.array([gone in book.quantities() for book in books])
    assert 0 < holds.sum() < len(books)
    for column in drift.values():
        np.testing.assert_array_equal(np.isnan(column), holds)


def test_refusals(chain_of: Any) -> None:
    chain = chain_of()
    with pytest.raises(InputError, match="must be later"):
        realised_drift(chain, chain, reference_books(chain, seed=1))
    with pytest.raises(InputError, match='did you mean "vega"'):
        realised_drift(chain, chain_of(hours=6.0), (), ("vegaa",))
