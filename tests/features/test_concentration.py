from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from greekdrift.book import Account, Chain, Position
from greekdrift.errors import InputError
from greekdrift.features.books import reference_books
from greekdrift.features.concentration import (
    BOOK_FEATURES,
    DollarGamma,
    DollarVanna,
    ExpiringShare,
    ExpiryConcentration,
    Held,
    NearSpotShare,
    StrikeConcentration,
    book_features,
)
from greekdrift.greeks import compute
from greekdrift.greeks.exposure import line_quantities


def _account(chain: Chain, contracts: dict[str, float], name: str = "desk") -> Account:
    rows = {instrument.name: instrument for instrument in chain.instruments}
    positions = tuple(Position(instrument=rows[key], quantity=quantity) for key, quantity in contracts.items())
    return Account(account_id=name, collateral={}, positions=positions)


def _values(chain: Chain, contracts: dict[str, float]) -> dict[str, float]:
    table = book_features(chain, [_account(chain, contracts)])
    return {feature.name: float(value) for feature, value in zip(BOOK_FEATURES, table[0], strict=True)}


def test_one_option_by_its_own_greeks(chain_of: Callable[..., Chain]) -> None:
    chain = chain_of()
    row = chain.row_of["BTC-27MAR26-100-C"]
    years = float(chain.time_to_expiry[row])
    greeks = compute(
        ["gamma", "vanna"], forward=100.0, strike=100.0, volatility=0.6, time_to_expiry=years, is_call=True
    )
    found = _values(chain, {"BTC-27MAR26-100-C": -3.0})
    assert found["dollar_gamma"] == pytest.approx(-float(greeks["gamma"]) * 100.0 * 0.01, rel=1e-9)
    assert found["dollar_vanna"] == pytest.approx(-float(greeks["vanna"]) * 0.01, rel=1e-9)
    assert (found["strike_concentration"], found["expiry_concentration"]) == (1.0, 1.0)
    assert (found["near_spot_share_0.5"], found["expiring_share_24h"]) == (1.0, 0.0)


def test_concentration_equals_sums_by_strike_and_expiry(chain_of: Callable[..., Chain]) -> None:
    chain = chain_of()
    books = reference_books(chain, seed=3)
    table = book_features(chain, books)
    names = [feature.name for feature in BOOK_FEATURES]
    for account, values in zip(books, table, strict=True):
        by_strike: dict[float, float] = {}
        by_expiry: dict[Any, float] = {}
        near = soon = total = 0.0
        for name, quantity in account.quantities().items():
            row = chain.row_of[name]
            if not chain.is_option[row]:
                continue
            line = line_quantities(chain, ("gamma", "vega"), [row])
            gamma = abs(quantity) * float(line["gamma"][0]) * chain.forward[row] ** 2
            by_strike[chain.strike[row]] = by_strike.get(chain.strike[row], 0.0) + gamma
            expiry = chain.instruments[row].expiry
            by_expiry[expiry] = by_expiry.get(expiry, 0.0) + abs(quantity) * float(line["vega"][0])
            total += gamma
            width = 0.5 * chain.mark_iv[row] * np.sqrt(chain.time_to_expiry[row])
            near += gamma * (abs(np.log(chain.strike[row] / chain.forward[row])) <= width)
            soon += gamma * (chain.time_to_expiry[row] * 365.0 <= 1.0)
        found = dict(zip(names, values, strict=True))
        shares = np.array(list(by_strike.values())) / total
        vegas = np.array(list(by_expiry.values())) / sum(by_expiry.values())
        assert found["strike_concentration"] == pytest.approx(shares @ shares, rel=1e-9)
        assert found["expiry_concentration"] == pytest.approx(vegas @ vegas, rel=1e-9)
        assert found["near_spot_share_0.5"] == pytest.approx(near / total, abs=1e-12)
        assert found["expiring_share_24h"] == pytest.approx(soon / total, abs=1e-12)


def test_size_does_not_count_and_signs_do(chain_of: Callable[..., Chain]) -> None:
    chain = chain_of()
    one = {"BTC-27MAR26-100-C": 1.0, "BTC-13MAR26-90-P": -2.0, "BTC-PERPETUAL": 5.0}
    many = {name: 7.0 * quantity for name, quantity in one.items()}
    np.testing.assert_allclose(list(_values(chain, many).values()), list(_values(chain, one).values()), rtol=1e-12)
    turned = _values(chain, {name: -quantity for name, quantity in one.items()})
    straight = _values(chain, one)
    for name in ("dollar_gamma", "dollar_vanna"):
        assert turned[name] == pytest.approx(-straight[name])
    for name in ("strike_concentration", "expiry_concentration", "near_spot_share_0.5"):
        assert turned[name] == pytest.approx(straight[name])


def test_a_book_without_options_has_none(chain_of: Callable[..., Chain]) -> None:
    chain = chain_of()
    books = [_account(chain, {"BTC-PERPETUAL": 5.0}, "hedge"), _account(chain, {"BTC-13MAR26-90-P": 1.0}, "option")]
    table = book_features(chain, books)
    assert np.isnan(table[0]).all()
    assert np.isfinite(table[1]).all()
    assert np.isnan(book_features(chain, books[:1])).all()
    assert book_features(chain, books, ()).shape == (2, 0)


def test_equal_strikes_of_two_underlyings_are_two() -> None:
    one = np.ones(3)
    held = Held(
        contracts=np.array([[1.0, 2.0, 1.0]]),
        underlying=np.array(["BTC", "ETH", "ETH"]),
        strike=100.0 * one,
        forward=100.0 * one,
        life_days=np.array([7.0, 7.0, 30.0]),
        deviation=0.1 * one,
        size=one,
        gamma=0.01 * one,
        vega=10.0 * one,
        vanna=0.0 * one,
    )
    assert StrikeConcentration().compute(held)[0] == pytest.approx((1.0 + 9.0) / 16.0)
    assert ExpiryConcentration().compute(held)[0] == pytest.approx((1.0 + 4.0 + 1.0) / 16.0)
    assert ExpiringShare(hours=168.0).compute(held)[0] == pytest.approx(0.75)


def test_a_name_that_stands_twice_is_refused(chain_of: Callable[..., Chain]) -> None:
    with pytest.raises(InputError, match="stands twice"):
        book_features(chain_of(), [], (DollarGamma(), DollarGamma()))
    kinds = (DollarGamma, DollarVanna, NearSpotShare, ExpiringShare, StrikeConcentration, ExpiryConcentration)
    assert tuple(type(feature) for feature in BOOK_FEATURES) == kinds
