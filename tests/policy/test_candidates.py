"""What may be traded: held lines, linear contracts, liquid options of the banded tenors, neighbours."""

from dataclasses import replace

import numpy as np
import pytest

from greekdrift.book import Kind
from greekdrift.errors import BookError, ChainError
from greekdrift.policy.candidates import candidates, notional_usd, universe
from greekdrift.units import days


def names(chain, rows):
    return {chain.instruments[row].name for row in rows}


def test_holds_the_perpetual_each_tenor_and_the_neighbours(chain, desk, venue):
    rows = candidates(chain, desk, venue)
    found = names(chain, rows)
    assert "BTC-PERPETUAL" in found
    assert {"BTC-24APR26-70000-C", "BTC-27MAR26-65000-P", "BTC-24APR26-80000-C"} <= found, "strike and expiry rolls"
    life = days(chain.time_to_expiry[rows[chain.is_option[rows]]])
    for start, end in ((5, 30), (30, 90), (90, 1000)):
        assert np.any((life >= start) & (life < end))
    assert np.all(life >= 5.0)
    assert all(name.startswith("BTC") for name in found), "no band on ETH, so nothing to trade there"


def test_held_lines_are_in_the_universe_with_their_quantities(chain, desk, venue):
    found = universe(chain, desk, venue)
    assert np.array_equal(found.rows, np.unique(found.rows))
    for name, quantity in desk.quantities().items():
        assert found.held[np.searchsorted(found.rows, chain.row_of[name])] == quantity


def test_a_dying_option_can_only_be_reduced(chain, made, venue):
    account = made.account({"BTC-6MAR26-70000-C": -4.0})
    found = universe(chain, account, venue)
    at = np.searchsorted(found.rows, chain.row_of["BTC-6MAR26-70000-C"])
    assert (found.lower[at], found.upper[at]) == (0.0, 4.0)


def test_sizes_stay_within_participation_and_the_largest_order(chain, made, venue):
    account = made.account(made.straddles, max_participation=0.05, max_order_notional_usd=350_000.0)
    found = universe(chain, account, venue)
    volume = chain.volume_24h[found.rows]
    capped = np.isfinite(volume)
    assert np.all(found.upper[capped] <= 0.05 * volume[capped] + 1e-12)
    assert np.all(found.upper * notional_usd(chain, found.rows) <= 350_000.0 + 1e-6)
    perpetual = np.searchsorted(found.rows, chain.row_of["BTC-PERPETUAL"])
    assert found.upper[perpetual] == pytest.approx(35_000.0)


def test_untraded_options_and_forbidden_kinds_are_left_out(chain, made, venue):
    silent = replace(chain, volume_24h=np.where(chain.is_option, 0.0, np.nan))
    desk = made.account(made.straddles)
    found = universe(silent, desk, venue)
    options = chain.is_option[found.rows]
    assert np.all(found.upper[options] == 0.0)
    only_perpetual = made.account(made.straddles, hedge_kinds=(Kind.PERPETUAL,))
    rows = candidates(chain, only_perpetual, venue)
    assert names(chain, rows) == {"BTC-PERPETUAL"}
    found = universe(chain, only_perpetual, venue)
    reduces = np.sign(found.held) * -1.0
    assert np.all((found.upper > 0.0) <= ((reduces > 0.0) | ~chain.is_option[found.rows]))
    assert np.all((found.lower < 0.0) <= ((reduces < 0.0) | ~chain.is_option[found.rows]))


def test_an_unknown_volume_is_not_a_large_one(chain, made, venue):
    recorded = replace(chain, origin="recorded", volume_24h=np.full(len(chain), np.nan))
    for market, trades in ((recorded, False), (replace(recorded, origin="modelled"), True)):
        found = universe(market, made.account(made.straddles), venue)
        options = chain.is_option[found.rows]
        assert np.any(found.upper[options]) == trades
        assert np.all(found.upper[~options] > 0.0)


def test_what_has_no_recorded_volume_takes_no_place_of_what_has(chain, made, venue):
    """Half the options of a recorded chain lack a volume: the candidates are among the others, which can be traded."""
    volume = np.where(chain.is_option & (np.arange(len(chain)) % 4 < 2), np.nan, chain.volume_24h)
    recorded = replace(chain, origin="recorded", volume_24h=volume)
    account = made.account({"BTC-PERPETUAL": 10.0})
    rows = candidates(recorded, account, venue)
    options = rows[recorded.is_option[rows]]
    assert options.size >= 6
    assert np.all(np.isfinite(recorded.volume_24h[options]))


def test_nothing_is_traded_on_a_venue_outside_the_mandate(chain, made, venue):
    found = universe(chain, made.account(made.straddles, venues=("elsewhere",)), venue)
    assert not np.any(found.upper)
    assert not np.any(found.lower)


def test_unlisted_lines_and_missing_mandates_are_refused(chain, made, desk, venue):
    with pytest.raises(ChainError, match="not listed"):
        universe(chain, made.account({"BTC-27MAR26-71000-C": 1.0}), venue)
    with pytest.raises(BookError, match="no mandate"):
        universe(chain, replace(desk, mandate=None), venue)
