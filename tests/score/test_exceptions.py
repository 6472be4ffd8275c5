"""Coverage backtests: closed forms, an independent loop over plain numbers, what the tests find in simulated books."""

from itertools import pairwise
from math import comb, log

import numpy as np
import pytest
from scipy.stats import chi2

from greekdrift.errors import InputError
from greekdrift.score import exceptions
from greekdrift.score.exceptions import Light, backtest, exceeded, pooled


def _term(times: float, chance: float) -> float:
    return 0.0 if times == 0 else times * log(chance)


def _naive_proportion(hits: list[int], p: float) -> float:
    n, x = len(hits), sum(hits)
    seen = x / n
    return -2.0 * (_term(n - x, 1 - p) + _term(x, p) - _term(n - x, 1 - seen) - _term(x, seen))


def _naive_independence(hits: list[int]) -> float:
    n = {(i, j): 0 for i in (0, 1) for j in (0, 1)}
    for before, after in pairwise(hits):
        n[before, after] += 1
    p01 = n[0, 1] / (n[0, 0] + n[0, 1]) if n[0, 0] + n[0, 1] else 0.0
    p11 = n[1, 1] / (n[1, 0] + n[1, 1]) if n[1, 0] + n[1, 1] else 0.0
    p2 = (n[0, 1] + n[1, 1]) / (len(hits) - 1)
    tied = _term(n[0, 0] + n[1, 0], 1 - p2) + _term(n[0, 1] + n[1, 1], p2)
    free = _term(n[0, 0], 1 - p01) + _term(n[0, 1], p01) + _term(n[1, 0], 1 - p11) + _term(n[1, 1], p11)
    return -2.0 * (tied - free)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("level", [0.99, 0.95])
def test_the_tests_equal_a_loop_over_plain_numbers(seed: int, level: float) -> None:
    random = np.random.default_rng(seed)
    hits = (random.random(int(random.integers(2, 400))) < random.choice([0.0, 0.01, 0.05, 0.3, 1.0])).astype(int)
    found = backtest(hits, level=level)
    share, apart = _naive_proportion(hits.tolist(), 1 - level), _naive_independence(hits.tolist())
    assert found.proportion.statistic == pytest.approx(share, rel=1e-9, abs=1e-9)
    assert found.independence.statistic == pytest.approx(apart, rel=1e-9, abs=1e-9)
    assert found.conditional.statistic == pytest.approx(share + apart, rel=1e-9, abs=1e-9)
    for test, degrees in ((found.proportion, 1), (found.independence, 1), (found.conditional, 2)):
        assert test.p_value == pytest.approx(chi2.sf(test.statistic, degrees), rel=1e-9)
        assert test.degrees == degrees


def test_no_exception_and_nothing_but_exceptions() -> None:
    none, every = backtest(np.zeros(250), level=0.99), backtest(np.ones(250), level=0.99)
    assert none.proportion.statistic == pytest.approx(-2 * 250 * log(0.99))
    assert every.proportion.statistic == pytest.approx(-2 * 250 * log(0.01))
    assert none.independence.p_value == every.independence.p_value == 1.0
    assert (none.light, every.light) == (Light.GREEN, Light.RED)
    assert (none.share, every.share) == (0.0, 1.0)


def test_the_published_zones_of_the_basel_committee() -> None:
    """99 %, 250 observations: green 0-4, yellow 5-9, red from 10 (Basel Committee 1996, table 2)."""
    lights = [exceptions.traffic_light(count, 250, level=0.99) for count in range(12)]
    assert lights == [Light.GREEN] * 5 + [Light.YELLOW] * 5 + [Light.RED] * 2
    reached = [sum(comb(250, k) * 0.01**k * 0.99 ** (250 - k) for k in range(count + 1)) for count in range(5)]
    assert [round(100 * one, 2) for one in reached] == [8.11, 28.58, 54.32, 75.81, 89.22]


@pytest.mark.parametrize(
    ("observations", "level", "fewest", "most"),
    [
        (255, 0.99, 1, 6),
        (510, 0.99, 2, 10),
        (1000, 0.99, 5, 16),
        (255, 0.95, 7, 20),
        (510, 0.95, 17, 35),
        (1000, 0.95, 38, 64),
        (255, 0.90, 17, 35),
        (1000, 0.90, 82, 119),
    ],
)
def test_the_published_regions_of_kupiec(observations: int, level: float, fewest: int, most: int) -> None:
    """Counts that are not refused at 5 % (Kupiec 1995); of the first row the table gives the upper end alone, N < 7."""
    kept = [
        count
        for count in range(observations // 4)
        if exceptions.proportion(count, observations, level=level).p_value > 0.05
    ]
    assert kept == list(range(fewest, most + 1))


def test_power_equals_simulation_and_is_stated_at_the_nominal_share_first() -> None:
    random = np.random.default_rng(4)
    counts = random.binomial(250, 0.03, size=4_000)
    refused = np.mean([exceptions.proportion(int(x), 250, level=0.99).p_value < 0.05 for x in counts])
    found = backtest(np.zeros(250), level=0.99, alternatives=(3.0,))
    assert [one.alternative for one in found.power] == pytest.approx([0.01, 0.03])
    assert found.power[1].probability == pytest.approx(refused, abs=0.03)
    assert found.power[0].probability < 0.12
    assert exceptions.power(20, level=0.99, alternative=0.03) < 0.15 < found.power[1].probability


def test_clustered_exceptions_are_found_and_thinning_lets_them_go() -> None:
    """A four-step horizon that overlaps turns each exception into four in a row; every fourth is independent again."""
    random = np.random.default_rng(0)
    single = (random.random(600) < 0.05).astype(float)
    overlapping = np.repeat(single, 4)
    assert backtest(overlapping, level=0.95).independence.p_value < 1e-20
    apart = backtest(overlapping, level=0.95, every=4)
    assert apart.observations == 600
    assert apart.every == 4
    assert apart.independence.p_value > 0.05
    assert apart.exceptions == int(single.sum())


def test_pooled_books_that_fail_together_have_the_interval_of_one_book() -> None:
    random = np.random.default_rng(8)
    one = (random.random(2_000) < 0.05).astype(float)
    same = pooled(np.tile(one[:, None], 24), level=0.95, block=8, seed=1)
    alone = pooled(one[:, None], level=0.95, block=8, seed=1)
    assert str(same.share) == str(alone.share)
    apart = pooled((random.random((2_000, 24)) < 0.05).astype(float), level=0.95, block=8, seed=1)
    width = [one.share.upper - one.share.lower for one in (apart, same)]
    assert width[0] < 0.5 * width[1]
    assert (same.together, apart.together < 0.5) == (1.0, True)


def test_the_pooled_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """Ten books that share their shocks, four origins at a time; and a share that is wrong is not held."""
    held = []
    for seed in range(120):
        random = np.random.default_rng(seed)
        together = np.repeat(random.random((150, 1)) < 0.05, 4, axis=0)
        hits = np.where(random.random((600, 10)) < 0.5, together, random.random((600, 10)) < 0.05).astype(float)
        held.append(pooled(hits, level=0.95, block=8, seed=seed, draws=300).holds_nominal)
    assert 0.84 <= np.mean(held) <= 0.99
    assert not pooled(np.ones((40, 2)), level=0.95, block=4, seed=1).holds_nominal


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: backtest([0, 1, np.nan], level=0.99), "no numbers"),
        (lambda: backtest([0, 2], level=0.99), "0 or 1"),
        (lambda: backtest([], level=0.99), "no series"),
        (lambda: backtest(np.zeros((3, 2)), level=0.99), "no series"),
        (lambda: backtest([0, 1], level=99.0), "between 0 and 1"),
        (lambda: backtest([0, 1], level=0.99, every=0), "take 1 or more"),
        (lambda: exceptions.proportion(5, 4, level=0.9), "cannot be"),
        (lambda: exceptions.proportion(0, 0, level=0.9), "cannot be"),
        (lambda: exceptions.power(10, level=0.9, alternative=1.5), "probabilities"),
        (lambda: pooled([0, 1], level=0.9, block=1, seed=0), r"\(origin, book\)"),
        (lambda: exceeded([1.0, np.nan], [1.0, 1.0]), "no numbers"),
        (lambda: exceeded([1.0], [1.0, 1.0]), "one reserve per need"),
    ],
)
def test_what_cannot_be_tested_is_refused(call, word: str) -> None:
    with pytest.raises(InputError, match=word):
        call()
