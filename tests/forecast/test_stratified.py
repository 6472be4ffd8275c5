"""Stratified scenarios follow the same law with less error."""

import numpy as np
import pytest

from greekdrift.errors import InputError
from greekdrift.forecast.econometric import FilteredHistorical
from greekdrift.forecast.stratified import Stratified, picked

HORIZONS = (6.0, 24.0)


def test_one_path_of_every_neighbourhood_is_kept():
    returns = np.random.default_rng(0).standard_normal((400, 1))
    kept = picked(returns, 50, np.random.default_rng(1))
    rank = np.argsort(np.argsort(returns[:, 0]))[kept]
    assert sorted(rank // 8) == list(range(50))


def test_every_path_is_kept_equally_often():
    returns = np.random.default_rng(0).standard_normal((40, 3))
    times = np.zeros(40)
    for seed in range(2_000):
        times[picked(returns, 10, np.random.default_rng(seed))] += 1.0
    assert np.abs(times / 2_000 - 0.25).max() < 4.5 * np.sqrt(0.25 * 0.75 / 2_000)


def test_means_and_quantiles_err_less_and_are_not_biased(make_panel):
    panel = make_panel(rows=200, seed=4)
    plain = FilteredHistorical().fit(panel)
    made = {"plain": plain, "stratified": Stratified(predictor=plain, oversample=8)}
    found = {
        name: np.array(
            [
                [returns.mean(axis=0), np.quantile(returns, 0.1, axis=0)]
                for seed in range(40)
                for returns in [one.predict(panel, horizons=HORIZONS, n=64, seed=seed).increments[:, -1, :, 0]]
            ]
        )
        for name, one in made.items()
    }
    spread = {name: values.std(axis=0) for name, values in found.items()}
    assert np.all(spread["stratified"] < 0.75 * spread["plain"])
    gap = np.abs(found["stratified"].mean(axis=0) - found["plain"].mean(axis=0))
    assert np.all(gap < 4.0 * spread["plain"] / np.sqrt(40))


def test_it_is_a_predictor_like_any_other(make_panel):
    panel = make_panel(rows=100, seed=4)
    made = Stratified(predictor=FilteredHistorical().fit(panel))
    one, same, other = (made.predict(panel, horizons=HORIZONS, n=20, seed=seed) for seed in (1, 1, 2))
    assert (one.n, one.horizons.tolist(), made.name) == (20, list(HORIZONS), "fhs:hari")
    assert one.increments.tobytes() == same.increments.tobytes()
    assert one.increments.tobytes() != other.increments.tobytes()
    assert "one of 8" in one.provenance


def test_fewer_than_two_is_refused(make_panel):
    with pytest.raises(InputError, match="at least 2"):
        Stratified(predictor=FilteredHistorical().fit(make_panel(rows=50)), oversample=1)
