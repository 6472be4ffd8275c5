import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from greekdrift.forecast.forest import forests


def _models(seed, *, iterations=7, leaves=6):
    rng = np.random.default_rng(seed)
    seen = rng.standard_normal((400, 3))
    target = seen[:, 0] - 2.0 * (seen[:, 1] > 0.3) + 0.1 * rng.standard_normal(400)
    return seen, [
        HistGradientBoostingRegressor(
            loss="quantile", quantile=level, max_iter=iterations, max_leaf_nodes=leaves, random_state=0
        ).fit(seen, target)
        for level in (0.1, 0.5, 0.9)
    ]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("leaves", [2, 6, 31])
def test_forests_say_what_scikit_learn_says(seed, leaves):
    seen, models = _models(seed, leaves=leaves)
    rows = np.concatenate([seen, 10.0 * np.random.default_rng(9).standard_normal((200, 3))])
    made = forests(models).predict(np.repeat(rows[None], 3, axis=0))
    np.testing.assert_allclose(made, [model.predict(rows) for model in models], rtol=1e-12, atol=1e-12)


def test_each_forest_has_its_own_rows():
    seen, models = _models(0)
    rows = np.stack([seen[:5], seen[5:10], seen[10:15]])
    made = forests(models).predict(rows)
    np.testing.assert_allclose(
        made, [model.predict(part) for model, part in zip(models, rows, strict=True)], rtol=1e-12
    )


def test_trees_of_a_constant_are_single_leaves():
    model = HistGradientBoostingRegressor(loss="quantile", quantile=0.5, max_iter=3).fit(
        np.ones((50, 2)), np.full(50, 4.0)
    )
    np.testing.assert_allclose(forests([model]).predict(np.ones((1, 2, 2))), 4.0)


@pytest.mark.parametrize("name", ["left", "right", "roots"])
@pytest.mark.parametrize("wrong", [-1, 10**6])
def test_a_node_that_is_not_there_is_refused(name, wrong):
    _, models = _models(0)
    good = forests(models)
    values = {field: getattr(good, field) for field in good.__slots__}
    broken = values[name].copy()
    broken.flat[0] = wrong
    with pytest.raises(ValueError, match=name):
        type(good)(**values | {name: broken})
