from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from greekdrift.book import Scenarios
from greekdrift.evaluate.results import kind_of
from greekdrift.evaluate.scoring import distinct, observed_breach
from greekdrift.evaluate.settings import BANDED, QUANTITIES
from greekdrift.evaluate.truth import climatology
from greekdrift.units import instant


def _origin(*delta: float) -> SimpleNamespace:
    """One book whose delta drifts so at the points of the grid."""
    drift = np.zeros((len(delta), 1, len(QUANTITIES)))
    drift[:, 0, 0] = delta
    return SimpleNamespace(drift=drift)


def test_a_breach_at_any_check_counts_even_if_the_greek_comes_back() -> None:
    band = np.full((1, len(BANDED)), 1.0)
    outcome = observed_breach(_origin(0.5, -1.5, 0.2), np.array([0, 2]), band)
    assert outcome[:, 0, 0].tolist() == [0.0, 1.0]
    assert outcome[:, 0, 1].tolist() == [0.0, 0.0]


def test_a_missing_check_leaves_the_outcome_unknown() -> None:
    band = np.full((1, len(BANDED)), 1.0)
    outcome = observed_breach(_origin(0.5, np.nan, 0.2), np.array([0, 2]), band)
    assert outcome[0, 0, 0] == 0.0
    assert np.isnan(outcome[1, 0, 0])
    blind = observed_breach(_origin(0.5), np.array([0]), np.full((1, len(BANDED)), np.nan))
    assert np.isnan(blind).all()


def test_climatology_is_the_mean_crps_of_the_sample_itself() -> None:
    drifts = np.random.default_rng(0).normal(size=(4_000, 2)) * np.array([1.0, 3.0])
    np.testing.assert_allclose(climatology(drifts), np.array([1.0, 3.0]) / np.sqrt(np.pi), rtol=0.03)
    values = drifts[:20, 0]
    expected = 0.5 * np.abs(values[:, None] - values).sum() / (20 * 19)
    np.testing.assert_allclose(climatology(drifts[:20])[0], expected)
    assert np.isnan(climatology(np.array([[1.0], [np.nan]])))[0]


def test_scenarios_that_are_all_alike_are_priced_once() -> None:
    alike = Scenarios(
        underlyings=("BTC",),
        factors=("forward",),
        horizons=np.array([6.0]),
        increments=np.full((50, 1, 1, 1), 0.1),
        weights=np.full(50, 0.02),
        as_of=instant("2026-01-01T00:00Z"),
        known_at=instant("2026-01-01T00:05Z"),
        provenance="test",
    )
    assert distinct(alike).n == 1
    increments = alike.increments.copy()
    increments[7] = 0.2
    other = replace(alike, increments=increments)
    assert distinct(other) is other


def test_kinds_of_books() -> None:
    assert kind_of("ETH market maker 3") == "market maker"
    assert kind_of("AAPL risk reversal") == "risk reversal"
