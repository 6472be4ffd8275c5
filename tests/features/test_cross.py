from dataclasses import replace

import numpy as np
import pytest

from greekdrift.features.cross import Correlation, OthersReturn
from greekdrift.features.history import HOUR, Panel, example
from greekdrift.features.realised import Return


def _panel(*paths: np.ndarray, names: tuple[str, ...] = ("BTC", "ETH", "SOL")) -> Panel:
    panel = example(rows=len(paths[0]), underlyings=names[: len(paths)])
    state = panel.state.copy()
    for at, values in enumerate(paths):
        state[:, at, panel.factors.index("forward")] = values
    return replace(panel, state=state)


def test_others_return_is_that_of_the_others() -> None:
    panel = example(rows=12, underlyings=("BTC", "ETH", "SOL"))
    own = Return(hours=24.0).compute(panel)
    column = OthersReturn(hours=24.0).compute(panel)
    assert column[-1, 0] == pytest.approx(own[-1, 1:].mean())
    assert column[-1, 2] == pytest.approx(own[-1, :2].mean())
    assert np.isnan(OthersReturn(hours=24.0).compute(example(rows=12))).all()


def test_correlation_by_hand() -> None:
    left, right = np.array([0.01, -0.02, 0.01, 0.03]), np.array([0.02, -0.01, -0.01, 0.02])
    panel = _panel(np.cumsum([0.0, *left]), np.cumsum([0.0, *right]))
    expected = left @ right / np.sqrt((left @ left) * (right @ right))
    column = Correlation(hours=24.0).compute(panel)
    np.testing.assert_allclose(column[-1], expected, rtol=1e-9)
    assert np.isnan(column[:4]).all()


def test_correlation_lies_between_minus_one_and_one_and_is_a_mean_over_the_others() -> None:
    random = np.random.default_rng(3)
    walk = np.cumsum(random.normal(size=60) * 0.01)
    other = np.cumsum(random.normal(size=60) * 0.01)
    column = Correlation(hours=48.0).compute(_panel(walk, 2.0 * walk, -walk))[-1]
    np.testing.assert_allclose(column, [0.0, 0.0, -1.0], atol=1e-9)
    pair = Correlation(hours=48.0).compute(_panel(walk, other))[-1, 0]
    three = Correlation(hours=48.0).compute(_panel(walk, walk, other))[-1]
    assert three[0] == pytest.approx((1.0 + pair) / 2.0)


def test_rows_that_one_lacks_count_for_neither() -> None:
    random = np.random.default_rng(5)
    left, right = np.cumsum(random.normal(size=(2, 40)) * 0.01, axis=1)
    holed = left.copy()
    holed[20] = np.nan
    both = [holed, np.where(np.isnan(holed), np.nan, right)]
    one = Correlation(hours=48.0).compute(_panel(holed, right))
    np.testing.assert_array_equal(one, Correlation(hours=48.0).compute(_panel(*both)))
    assert np.isnan(one[20]).all()
    assert np.isfinite(one[21:]).all()


def test_no_correlation_bridges_a_hole_or_needs_a_lone_underlying() -> None:
    random = np.random.default_rng(5)
    panel = _panel(*np.cumsum(random.normal(size=(2, 40)) * 0.01, axis=1))
    as_of = panel.as_of + np.where(np.arange(40) >= 20, 100, 0) * HOUR
    column = Correlation(hours=48.0).compute(replace(panel, as_of=as_of, known_at=as_of))
    assert np.isnan(column[20:26]).all()
    assert np.isfinite(column[28:]).all()
    assert np.isnan(Correlation(hours=48.0).compute(example(rows=20))).all()
