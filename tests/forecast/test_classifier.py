from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from greekdrift.errors import DataError, InputError
from greekdrift.forecast import classifier
from greekdrift.forecast.classifier import beta, calibrated, fit, hidden_odds, isotonic, walk_forward
from greekdrift.forecast.days import of_sessions
from greekdrift.forecast.events import NEVER, Recipe, Rows
from greekdrift.forecast.regime import mapped

AHEAD = 5
KNOWS = Recipe(columns=("known",))


def rows(seed: int = 0, n: int = 1200, *, slope: float = 1.5) -> Rows:
    """An event whose odds follow one column; the second column is noise."""
    random = np.random.default_rng(seed)
    known, noise = random.normal(size=n), random.normal(size=n)
    ratio = slope * known - 1.0 + random.normal(size=n)
    day = np.arange(n)
    outcome = (ratio > 0.0).astype(float)
    outcome[-AHEAD:] = np.nan
    ratio[-AHEAD:] = np.nan
    complete = np.append(day[AHEAD:], np.full(AHEAD, NEVER))
    return Rows(day=day, complete=complete, outcome=outcome, columns={"known": known, "noise": noise}, ratio=ratio)


def brier(probability: np.ndarray, one: Rows) -> float:
    judged = np.isfinite(probability) & np.isfinite(one.outcome)
    return float(np.mean((probability[judged] - one.outcome[judged]) ** 2))


def test_the_regression_is_that_of_scikit_learn() -> None:
    one = rows(slope=3.0)
    found = fit(one, Recipe(columns=("known", "noise")))
    x = np.column_stack([one.columns[name] for name in ("known", "noise")])[:-AHEAD]
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    oracle = LogisticRegression(C=1.0 / classifier.RIDGE, tol=1e-12, max_iter=5000).fit(x, one.outcome[:-AHEAD])
    np.testing.assert_allclose(found.coefficients, [oracle.intercept_[0], *oracle.coef_[0]], atol=1e-6)
    np.testing.assert_allclose(found.probability(one.columns)[:-AHEAD], oracle.predict_proba(x)[:, 1], atol=1e-7)


@pytest.mark.parametrize("link", ["logit", "lognormal"])
def test_a_column_that_knows_beats_the_base_rate_and_noise_does_not(link) -> None:
    one = rows()
    base = brier(walk_forward(one, Recipe(), first=300), one)
    assert brier(walk_forward(one, replace(KNOWS, link=link), first=300), one) < 0.75 * base
    assert brier(walk_forward(one, Recipe(columns=("noise",), link=link), first=300), one) > 0.97 * base


def test_climatology_is_the_base_rate_of_complete_rows() -> None:
    one = rows()
    found = walk_forward(one, Recipe(), first=300, refit=50)
    assert np.isnan(found[:300]).all()
    np.testing.assert_allclose(found[300:350], one.outcome[: 300 - AHEAD + 1].mean())


@pytest.mark.parametrize("link", ["logit", "lognormal"])
@pytest.mark.parametrize("is_calibrated", [True, False])
@pytest.mark.parametrize("with_prior", [True, False])
def test_no_probability_uses_an_outcome_that_was_not_complete(link, is_calibrated, with_prior) -> None:
    one = rows()
    recipe = Recipe(columns=("known", "noise"), link=link, is_calibrated=is_calibrated)
    prior = fit(rows(5), recipe) if with_prior else None
    other = Rows(
        day=one.day,
        complete=one.complete,
        outcome=np.where(one.complete > 700, 1.0 - one.outcome, one.outcome),
        columns={name: np.where(one.day > 700, -9.0, values) for name, values in one.columns.items()},
        ratio=np.where(one.complete > 700, -one.ratio, one.ratio),
    )
    found = [walk_forward(each, recipe, first=300, refit=50, prior=prior) for each in (one, other)]
    np.testing.assert_array_equal(found[0][:701], found[1][:701])
    assert not np.array_equal(found[0][760:], found[1][760:], equal_nan=True)


def test_a_map_learnt_on_the_past_undoes_a_wrong_level_and_keeps_order() -> None:
    one = rows(n=4000)
    wrong = walk_forward(one, KNOWS, first=300) ** 3
    right = calibrated(one, wrong, first=300)
    late = one.day > 2500
    assert np.nanmean((right - wrong)[late]) > 0.05
    assert brier(np.where(late, right, np.nan), one) < brier(np.where(late, wrong, np.nan), one)
    steps = isotonic(one, wrong, wrong[late], until=2500)
    assert np.nanmean((steps - one.outcome[late]) ** 2) < brier(np.where(late, wrong, np.nan), one)
    block = (one.day >= 3006) & (one.day < 3072)
    order = np.argsort(wrong[block])
    assert np.all(np.diff(right[block][order]) >= -1e-12)


def test_a_map_of_what_is_right_already_is_nearly_none() -> None:
    one = rows(n=4000)
    chance = 1.0 / (1.0 + np.exp(-one.columns["known"]))
    happened = (np.random.default_rng(9).uniform(size=4000) < chance).astype(float)
    right = replace(one, outcome=happened)
    np.testing.assert_allclose(mapped(chance, beta(right, chance, until=3000)), chance, atol=0.03)
    assert beta(right, chance, until=50) is None


@pytest.mark.parametrize("link", ["logit", "lognormal"])
def test_few_rows_are_shrunk_to_the_longer_history_and_many_are_not(link, monkeypatch) -> None:
    monkeypatch.setattr(classifier, "WORTH", 100.0)
    recipe = replace(KNOWS, link=link)
    longer, own = fit(rows(1, 5000), recipe), rows(2, 5000, slope=-1.0)
    alone = fit(own, recipe).coefficients[1]
    few = fit(own, recipe, until=20, prior=longer).coefficients[1]
    many = fit(own, recipe, prior=longer).coefficients[1]
    none = fit(own, recipe, until=-1, prior=longer).coefficients
    assert abs(few - longer.coefficients[1]) < 0.35 * abs(alone - longer.coefficients[1])
    assert abs(many - alone) < 0.1 * abs(alone - longer.coefficients[1])
    np.testing.assert_allclose(none, longer.coefficients, atol=1e-6)


def test_the_hidden_state_knows_no_later_return_and_is_that_of_any_scale() -> None:
    returns = 0.01 * np.random.default_rng(0).standard_t(3, size=600)
    changed = np.where(np.arange(600) >= 500, 5.0 * returns, returns)
    found = []
    for one in (returns, changed, 7.0 * returns):
        day = np.arange(600)
        days = of_sessions(
            "X",
            day=day,
            known_at=day.astype("datetime64[D]").astype("datetime64[us]"),
            close=np.exp(np.cumsum(one)),
            variance=np.full(600, 1e-4),
        )
        found.append(hidden_odds(days))
    assert np.isnan(found[0][:100]).all()
    np.testing.assert_array_equal(found[0][132:500], found[1][132:500])
    assert not np.array_equal(found[0][500:], found[1][500:])
    np.testing.assert_allclose(found[2][132:], found[0][132:], atol=1e-6)


def test_refusals() -> None:
    one = rows()
    with pytest.raises(InputError, match='did you mean "known"'):
        walk_forward(one, Recipe(columns=("knwon",)), first=300)
    with pytest.raises(DataError, match="start later"):
        walk_forward(one, KNOWS, first=8)
    with pytest.raises(InputError, match="no ratio"):
        walk_forward(replace(one, ratio=None), replace(KNOWS, link="lognormal"), first=300)
    with pytest.raises(InputError, match="the longer history has the columns"):
        fit(one, KNOWS, prior=fit(one, Recipe(columns=("noise",))))
