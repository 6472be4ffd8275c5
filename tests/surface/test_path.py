"""The way of the index: linear in ln S between what is known, and the settlements read from it."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from greekdrift.book import Chain
from greekdrift.surface import FACTORS, Surface
from greekdrift.surface.path import path
from greekdrift.surface.scenario import move
from greekdrift.units import datetime64

NEXT_DAY = datetime(2026, 2, 6, 8, tzinfo=UTC)


def _at(chain: Chain, surface: Surface, hours: float, log_return: float) -> Chain:
    increments = np.zeros((2, len(FACTORS)))
    increments[:, 0] = log_return
    return move(chain, surface, increments, hours, ("BTC", "ETH"))


def _rows(chain: Chain) -> np.ndarray:
    return np.flatnonzero((chain.underlying == "BTC") & (chain.expiry <= datetime64(chain.as_of + timedelta(days=3))))


def test_the_index_runs_through_snapshots_and_deliveries_in_any_order(chain: Chain, surface: Surface) -> None:
    later = _at(chain, surface, 24.0, 0.06)
    between = [_at(chain, surface, 20.0, 0.01), _at(chain, surface, 10.0, -0.02)]
    found = path(
        chain, later, _rows(chain), between=between, deliveries={("BTC", NEXT_DAY): 70_000.0 * float(np.exp(0.03))}
    )
    np.testing.assert_allclose(found.hours, [10.0, 16.0, 20.0, 24.0], rtol=1e-12)
    np.testing.assert_allclose(found.log_return, [[-0.02, 0.03, 0.01, 0.06]], atol=1e-12)
    assert found.underlyings == ("BTC",)
    (one,) = found.settled
    assert (one.expiry, one.apart_hours) == (NEXT_DAY, 0.0)
    is_gone = chain.expiry[_rows(chain)] == datetime64(NEXT_DAY)
    np.testing.assert_array_equal(np.isnan(found.settlement), ~is_gone)


def test_snapshots_outside_count_for_nothing(chain: Chain, surface: Surface) -> None:
    later = _at(chain, surface, 24.0, 0.06)
    far = [_at(chain, surface, 30.0, 0.5), chain]
    found = path(chain, later, _rows(chain), between=far, deliveries={})
    np.testing.assert_array_equal(found.hours, [16.0, 24.0])
    assert found.settled[0].apart_hours == pytest.approx(24.0)
    assert found.settled[0].price == pytest.approx(70_000.0 * np.exp(0.04), rel=1e-12)


def test_a_book_that_is_empty_has_no_way(chain: Chain, surface: Surface) -> None:
    found = path(chain, _at(chain, surface, 24.0, 0.0), np.empty(0, dtype=np.int64), deliveries={})
    assert found.log_return.shape == (0, 1)
    assert not found.settled
