"""Reserves against a rival: exactly 1 against itself, the exact root, no outcome in a factor."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from greekdrift.errors import InputError
from greekdrift.evaluate.reserves import Needs, equal_average, factor_at, lacking

CELLS = hnp.arrays(np.float64, (24, 3), elements=st.floats(0.0, 10.0, width=32))


def needs(need: np.ndarray, draws: int = 40) -> Needs:
    return Needs(need=need, block=4, steps=2, draws=draws)


@pytest.fixture
def drawn() -> np.random.Generator:
    return np.random.default_rng(5)


def test_a_reserve_against_itself_is_exactly_one(drawn: np.random.Generator) -> None:
    need, reserve = drawn.normal(size=(40, 5)), drawn.uniform(0.1, 1.5, size=(40, 5))
    need[3, 2] = np.nan
    by = needs(need)
    for found in (
        by.shortfall(reserve, reserve),
        by.shortfall(reserve, reserve, per_book=True),
        by.average(reserve, reserve),
        by.as_held(reserve, reserve)[0],
    ):
        assert (found.ratio.value, found.ratio.lower, found.ratio.upper) == (1.0, 1.0, 1.0)
    assert by.shortfall(reserve, reserve).statistic == 0.0


def test_a_rival_in_another_currency_changes_nothing(drawn: np.random.Generator) -> None:
    need, own, rival = (drawn.uniform(0.0, 2.0, size=(40, 5)) for _ in range(3))
    by = needs(need)
    for found, other in (
        (by.shortfall(own, rival), by.shortfall(own, 1024.0 * rival)),
        (by.average(own, rival), by.average(own, 1024.0 * rival)),
    ):
        assert found.ratio.value == pytest.approx(other.ratio.value, rel=1e-12)
    scaled = rival * np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    first, second = by.shortfall(own, rival, per_book=True), by.shortfall(own, scaled, per_book=True)
    assert first.ratio.value == pytest.approx(second.ratio.value, rel=1e-12)


def test_shortfall_and_average_by_hand() -> None:
    """Needs 0 and 4; ours holds 0 then 4, the rival 2 and 2: the same average, no shortfall against 2."""
    need = np.tile([[0.0], [4.0]], (8, 1))
    own, rival = np.tile([[0.0], [4.0]], (8, 1)), np.full((16, 1), 2.0)
    by = needs(need)
    assert by.shortfall(own, rival).ratio.value == 0.0
    assert by.average(own, rival).ratio.value == pytest.approx(0.5)
    held, average = by.as_held(0.5 * own, rival)
    assert (held.ratio.value, average) == (1.0, 0.5)


def test_the_average_ratio_says_what_it_claims(drawn: np.random.Generator) -> None:
    need, own, rival = (drawn.uniform(0.0, 2.0, size=(60, 4)) for _ in range(3))
    factor = needs(need).average(own, rival).ratio.value
    once = np.ones(60)
    equal = equal_average(own, rival, once) * rival
    assert lacking(need, factor * own).sum() == pytest.approx(lacking(need, equal).sum(), rel=1e-10)


@given(need=CELLS, reserve=CELLS, factor=st.floats(0.0, 3.0))
def test_the_factor_is_a_root(need: np.ndarray, reserve: np.ndarray, factor: float) -> None:
    once = np.ones(len(need))
    allowed = float(once @ lacking(need, factor * reserve))
    found = factor_at(need, reserve, once, allowed)
    if np.isfinite(found):
        reached = float(once @ lacking(need, found * reserve))
        assert reached == pytest.approx(allowed, rel=1e-9, abs=1e-9)
    else:
        assert not np.any((reserve > 0.0) & (need > 0.0)) or allowed == 0.0


def test_what_is_no_reserve_is_refused() -> None:
    need = np.ones((16, 2))
    with pytest.raises(InputError, match="negative"):
        needs(need).shortfall(-need, need)
    with pytest.raises(InputError, match="one per need"):
        needs(need).shortfall(need[:, :1], need)
    with pytest.raises(InputError, match="holds nothing"):
        needs(need).shortfall(need, 0.0 * need)


def test_few_origins_have_no_interval() -> None:
    found = needs(np.ones((7, 2))).shortfall(np.full((7, 2), 0.5), np.full((7, 2), 0.25))
    assert found.ratio.value == 1.0
    assert np.isnan(found.ratio.lower)
    assert found.statistic is None
