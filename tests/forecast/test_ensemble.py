import numpy as np
import pytest

from greekdrift.errors import InputError
from greekdrift.forecast.econometric import FilteredHistorical, named
from greekdrift.forecast.ensemble import Pool, shares
from greekdrift.score import crps


def test_a_pool_of_one_is_that_law(make_panel):
    """Up to the order and the seed of the paths: the same quantiles."""
    panel = make_panel(rows=300)
    pool, alone = (
        one.fit(panel).predict(panel, horizons=(6.0, 24.0), n=20_000, seed=0).increments
        for one in (Pool(laws=("hari",)), FilteredHistorical())
    )
    levels = (0.1, 0.5, 0.9)
    size = alone.std(axis=0)
    difference = np.quantile(pool, levels, axis=0) - np.quantile(alone, levels, axis=0)
    assert np.abs(difference / size).max() < 0.06


def test_a_pool_is_the_mean_of_its_members_distributions(make_panel):
    panel = make_panel(rows=300)
    laws = ("ewma", "hari-flat")
    pool = Pool(laws=laws).fit(panel)
    made = pool.predict(panel, horizons=(24.0,), n=20_000, seed=0).increments[:, 0]
    parts = [member.predict(panel, horizons=(24.0,), n=10_000, seed=1).increments[:, 0] for member in pool.members]
    for factor in range(4):
        for value in np.quantile(made[:, 0, factor], (0.05, 0.3, 0.8)):
            mean = np.mean([(part[:, 0, factor] <= value).mean() for part in parts])
            assert (made[:, 0, factor] <= value).mean() == pytest.approx(mean, abs=0.02)


def test_it_never_scores_worse_than_its_members_on_average(make_panel):
    panel = make_panel(rows=400)
    pool = Pool().fit(panel)
    observed = np.linspace(-0.1, 0.1, 9)
    made = pool.predict(panel, horizons=(24.0,), n=6000, seed=0).increments[:, 0, 0, 0]
    mean = np.mean(
        [
            crps(np.repeat(part[:, None], 9, axis=1), observed)
            for member in pool.members
            for part in (member.predict(panel, horizons=(24.0,), n=6000, seed=3).increments[:, 0, 0, 0],)
        ],
        axis=0,
    )
    assert np.all(crps(np.repeat(made[:, None], 9, axis=1), observed) <= mean + 3e-4)


@pytest.mark.parametrize("law", ["hari", "haris-flat:pool"])
def test_a_common_pool_of_one_is_that_law_to_the_bit(law, make_panel):
    panel = make_panel(rows=200)
    pool, alone = (
        one.fit(panel).predict(panel, horizons=(6.0, 24.0), n=64, seed=5).increments
        for one in (Pool(laws=(law,), common=True), named(law))
    )
    assert pool.tobytes() == alone.tobytes()


def test_a_common_pool_has_the_paths_of_each_law_on_its_share(make_panel):
    panel = make_panel(rows=200)
    made = Pool(laws=("hari", "front"), common=True).fit(panel).predict(panel, horizons=(24.0,), n=100, seed=5)
    of_law = [
        np.all(
            made.increments == named(law).fit(panel).predict(panel, horizons=(24.0,), n=100, seed=5).increments,
            (1, 2, 3),
        )
        for law in ("hari", "front")
    ]
    assert [int(one.sum()) for one in of_law] == [50, 50]
    assert np.all(of_law[0] != of_law[1])


def test_a_common_pool_is_the_law_of_the_pool(make_panel):
    """Other draws of the same distribution: the same quantiles."""
    panel = make_panel(rows=300)
    common, apart = (
        Pool(common=common).fit(panel).predict(panel, horizons=(6.0, 24.0), n=20_000, seed=0).increments
        for common in (True, False)
    )
    levels = (0.1, 0.5, 0.9)
    difference = np.quantile(common, levels, axis=0) - np.quantile(apart, levels, axis=0)
    assert np.abs(difference / apart.std(axis=0)).max() < 0.06


def test_paths_are_shared_out_evenly():
    assert shares(10, 3) == (4, 3, 3)
    assert shares(2, 3) == (1, 1, 0)


def test_fewer_paths_than_members_still_work(make_panel):
    panel = make_panel(rows=150)
    made = Pool().fit(panel).predict(panel, horizons=(6.0,), n=2, seed=0)
    assert made.n == 2


def test_names_go_both_ways():
    for law in ("ewma", "hari", "haris-flat:pool", "fhs:harit:pool", "front-flat"):
        assert named(law).name == f"fhs:{law.removeprefix('fhs:')}"


def test_a_pool_of_other_laws_says_which():
    assert Pool().name == "pool"
    assert Pool(laws=("hari", "front-flat:pool")).name == "pool:hari+front-flat:pool"
    assert Pool(common=True).name == "pool-common"


def test_a_wrong_law_names_the_nearest():
    with pytest.raises(InputError, match="did you mean"):
        Pool(laws=("haris-flat:pol",))
    with pytest.raises(InputError, match="at least one law"):
        Pool(laws=())
