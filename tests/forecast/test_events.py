import numpy as np
import pytest

from greekdrift.errors import DataError, InputError
from greekdrift.forecast.events import (
    Rows,
    calibrated,
    extreme,
    falls,
    hidden_odds,
    lumpiness,
    pooled,
    rises_above,
    walk_forward,
    weekend_share,
)

AHEAD = 5


def rows(seed: int = 0, n: int = 1200, *, slope: float = 1.5) -> Rows:
    """An event whose odds follow one column; the second column is noise."""
    random = np.random.default_rng(seed)
    known, noise = random.normal(size=n), random.normal(size=n)
    ratio = slope * known - 1.0 + random.normal(size=n)
    day = np.arange(n)
    outcome = (ratio > 0.0).astype(float)
    outcome[-AHEAD:] = np.nan
    ratio[-AHEAD:] = np.nan
    complete = np.append(day[AHEAD:], np.full(AHEAD, n + 100))
    return Rows(day=day, complete=complete, outcome=outcome, columns={"known": known, "noise": noise}, ratio=ratio)


def brier(probability: np.ndarray, one: Rows) -> float:
    judged = np.isfinite(probability) & np.isfinite(one.outcome)
    return float(np.mean((probability[judged] - one.outcome[judged]) ** 2))


@pytest.mark.parametrize("link", ["logit", "lognormal"])
def test_a_column_that_knows_beats_the_base_rate_and_noise_does_not(link) -> None:
    one = rows()
    base = brier(walk_forward(one, (), first=300), one)
    assert brier(walk_forward(one, ("known",), first=300, link=link), one) < 0.75 * base
    assert brier(walk_forward(one, ("noise",), first=300, link=link), one) > 0.97 * base


@pytest.mark.parametrize("link", ["logit", "lognormal"])
@pytest.mark.parametrize("by", [None, "beta", "isotonic"])
def test_no_probability_uses_an_outcome_that_was_not_complete(link, by) -> None:
    one = rows()
    changed = np.where(one.complete > 700, 1.0 - one.outcome, one.outcome)
    other = Rows(
        day=one.day,
        complete=one.complete,
        outcome=changed,
        columns={name: np.where(one.day > 700, -9.0, values) for name, values in one.columns.items()},
        ratio=np.where(one.complete > 700, -one.ratio, one.ratio),
    )
    found = []
    for each in (one, other):
        chance = walk_forward(each, ("known", "noise"), first=300, refit=50, link=link)
        found.append(chance if by is None else calibrated(each, chance, first=300, refit=50, by=by))
    np.testing.assert_array_equal(found[0][:701], found[1][:701])
    assert not np.array_equal(found[0][760:], found[1][760:], equal_nan=True)


@pytest.mark.parametrize("by", ["beta", "isotonic"])
def test_a_map_learnt_on_the_past_undoes_a_wrong_level_and_keeps_order(by) -> None:
    one = rows(n=4000)
    chance = walk_forward(one, ("known",), first=300)
    wrong = chance**3
    right = calibrated(one, wrong, first=300, by=by)
    late = one.day > 2500
    assert np.nanmean((right - wrong)[late]) > 0.05
    assert brier(np.where(late, right, np.nan), one) < brier(np.where(late, wrong, np.nan), one)
    block = (one.day >= 3006) & (one.day < 3072)
    order = np.argsort(wrong[block])
    assert np.all(np.diff(right[block][order]) >= -1e-12)
    assert np.all((right[late] > 0.0) & (right[late] < 1.0))


def test_pooled_rows_are_those_of_their_parts() -> None:
    first, second = rows(0, 400), rows(1, 300)
    both = pooled([first, second])
    assert len(both.day) == 700
    np.testing.assert_array_equal(both.columns["known"][400:], second.columns["known"])
    chance = walk_forward(both, ("known",), first=200)
    assert np.isfinite(chance).sum() == 200 + 100


def test_falls_and_rises_look_ahead_only_so_far() -> None:
    close = np.array([100.0, 98.0, 96.0, 94.0, 120.0])
    np.testing.assert_array_equal(falls(close, ahead=2, share=0.05), [0.0, 0.0, 0.0, np.nan, np.nan])
    np.testing.assert_array_equal(falls(close, ahead=3, share=0.05), [1.0, 0.0, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(extreme(close, ahead=4, is_lowest=False), [120.0, np.nan, np.nan, np.nan, np.nan])
    risen = rises_above(np.array([0.0, 0.0, 2.0, 0.0]), np.ones(4), ahead=1)
    np.testing.assert_array_equal(risen, [0.0, 1.0, np.nan, np.nan])


def test_lumpiness_is_never_positive_and_blind_to_the_unit() -> None:
    variance = np.random.default_rng(0).lognormal(size=60)
    found = lumpiness(variance)
    assert np.isnan(found[:21]).all()
    assert np.all(found[21:] <= 0.0)
    np.testing.assert_allclose(lumpiness(7.0 * variance)[21:], found[21:], atol=1e-12)


def test_weekends_are_those_of_the_calendar() -> None:
    day = np.arange(np.datetime64("2026-02-02"), np.datetime64("2026-02-16"))
    expected = [sum(one.weekday() >= 5 for one in (day[at] + np.arange(1, 6)).tolist()) / 5.0 for at in range(14)]
    np.testing.assert_allclose(weekend_share(day.astype(np.int64), 5), expected)


def test_the_hidden_state_knows_no_later_return() -> None:
    returns = 0.01 * np.random.default_rng(0).standard_t(3, size=600)
    changed = returns.copy()
    changed[500:] *= 5.0
    before, after = (hidden_odds(one, first=200) for one in (returns, changed))
    assert np.isnan(before[:200]).all()
    np.testing.assert_array_equal(before[200:500], after[200:500])


def test_refusals() -> None:
    one = rows()
    with pytest.raises(InputError, match='did you mean "known"'):
        walk_forward(one, ("knwon",), first=300)
    with pytest.raises(DataError, match="start later"):
        walk_forward(one, ("known",), first=8)
    plain = Rows(day=one.day, complete=one.complete, outcome=one.outcome, columns=one.columns)
    with pytest.raises(InputError, match="no ratio"):
        walk_forward(plain, ("known",), first=300, link="lognormal")
