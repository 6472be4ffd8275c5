from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greekdrift.errors import InputError
from greekdrift.forecast import packed
from greekdrift.forecast.conformal import Conformal, adapt, miss_bound

LEVEL = 0.8


def _series(seed, n, *, spread=1.0):
    rng = np.random.default_rng(seed)
    observed = spread * rng.standard_normal((n, 1))
    return np.full((n, 1), -1.2816), np.full((n, 1), 1.2816), observed


@pytest.mark.parametrize(
    ("level", "wanted"),
    [
        (
            0.8,
            [
                [-1.9082628969261082, -0.06780035125961548],
                [-1.0643548701360037, 0.25627957948987373],
                [-0.13444992634976283, 1.2373032888331439],
            ],
        ),
        (
            0.95,
            [
                [-1.9318767992634447, -0.044186448922279076],
                [-1.0812991611188416, 0.2732238704727115],
                [-0.15205009242243128, 1.2549034549058125],
            ],
        ),
    ],
)
def test_without_adaption_it_is_split_conformal_as_crepes_has_it(level, wanted):
    """As crepes 0.9.1 has it: ConformalRegressor normalised by `sigmas`: 30 outcomes calibrate, three are predicted."""
    i = np.arange(40.0)
    middle, width = np.sin(i), 1.0 + 0.5 * np.cos(0.7 * i)
    observed = middle + width * np.sin(1.9 * i + 0.3 * np.sin(i)) * 1.3
    state = Conformal.start(1, level=level, rate=0.0)
    lower, upper = (middle - 0.5 * width)[:, None], (middle + 0.5 * width)[:, None]
    for at in range(30):
        state = state.after(lower[at], upper[at], served=(lower[at], upper[at]), observed=observed[at : at + 1])
    made = [np.concatenate(state.interval(lower[at], upper[at])) for at in (30, 31, 32)]
    np.testing.assert_allclose(made, wanted, rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rate=st.floats(0.01, 0.2),
    delay=st.integers(0, 12),
    wildness=st.floats(0.0, 3.0),
)
def test_misses_stay_below_the_bound_whatever_the_data_do(seed, rate, delay, wildness):
    """Volatility that jumps, trends and answers: the promise holds on every path, not in the mean."""
    rng = np.random.default_rng(seed)
    n = 300
    size = np.exp(wildness * np.cumsum(rng.choice([-0.3, 0.3], size=n)))
    observed = (size * rng.standard_normal(n))[:, None]
    made = np.arange(float(n))
    served = adapt(
        np.full((n, 1), -1.0),
        np.full((n, 1), 1.0),
        observed,
        made_at=made,
        known_at=made + delay + 0.5,
        level=LEVEL,
        rate=rate,
        window=60,
    )
    heard = n - delay - 1
    misses = 1.0 - served.is_inside[:heard].mean()
    assert misses <= miss_bound(heard, level=LEVEL, rate=rate, awaited=delay + 1) + 1e-12


def test_a_law_that_is_too_narrow_is_stretched_until_it_covers():
    lower, upper, observed = _series(1, 3000, spread=2.5)
    made = np.arange(3000.0)
    plain = float(((lower <= observed) & (observed <= upper)).mean())
    served = adapt(lower, upper, observed, made_at=made, known_at=made + 4.0, level=LEVEL)
    assert plain < 0.45
    assert served.coverage[0] == pytest.approx(LEVEL, abs=0.02)


def test_a_calibrated_law_stays_nearly_as_it_is():
    lower, upper, observed = _series(2, 3000)
    made = np.arange(3000.0)
    served = adapt(lower, upper, observed, made_at=made, known_at=made + 4.0, level=LEVEL)
    widths = (served.upper - served.lower)[500:, 0] / 2.5632
    assert np.median(widths) == pytest.approx(1.0, abs=0.08)


def test_an_outcome_counts_when_it_is_known_and_not_before():
    lower, upper, observed = _series(3, 200, spread=3.0)
    made = np.arange(200.0)
    changed = observed.copy()
    changed[100:] += 50.0
    one, two = (
        adapt(lower, upper, seen, made_at=made, known_at=made + 8.0, level=LEVEL) for seen in (observed, changed)
    )
    np.testing.assert_array_equal(one.upper[:108], two.upper[:108])
    assert not np.array_equal(one.upper[109:], two.upper[109:])


def test_unknown_outcomes_teach_nothing():
    lower, upper, observed = _series(4, 50)
    nothing = np.full_like(observed, np.nan)
    made = np.arange(50.0)
    served = adapt(lower, upper, nothing, made_at=made, known_at=made + 1.0, level=LEVEL)
    np.testing.assert_array_equal(served.upper, upper)
    with pytest.raises(InputError, match="no known outcome"):
        _ = served.coverage


def test_a_miss_too_many_unbounds_it_even_before_it_knows_enough_scores():
    state = Conformal.start(1, level=0.95, rate=0.2)
    low, high = np.array([0.0]), np.array([1.0])
    assert state.interval(low, high)[1] == high
    later = state.after(low, high, served=(low, high), observed=np.array([3.0]))
    assert later.current[0] < 0.0
    assert later.interval(low, high)[1] == np.inf


def test_cells_learn_apart():
    lower, upper, observed = _series(5, 300)
    both = np.concatenate([observed, 4.0 * observed], axis=1)
    made = np.arange(300.0)
    served = adapt(lower.repeat(2, 1), upper.repeat(2, 1), both, made_at=made, known_at=made + 1.0, level=LEVEL)
    alone = adapt(lower, upper, observed, made_at=made, known_at=made + 1.0, level=LEVEL)
    np.testing.assert_array_equal(served.upper[:, :1], alone.upper)
    assert np.all(served.upper[100:, 1] > served.upper[100:, 0])


def test_a_certain_quantity_stays_a_point_and_a_surprise_unbounds_it():
    state = Conformal.start(1, level=LEVEL)
    point = np.array([2.0])
    for _ in range(30):
        state = state.after(point, point, served=(point, point), observed=point)
    lower, upper = state.interval(point, point)
    assert (lower[0], upper[0]) == (2.0, 2.0)
    for _ in range(40):
        state = state.after(point, point, served=(point, point), observed=point + 1.0)
    lower, upper = state.interval(point, point)
    assert (lower[0], upper[0]) == (-np.inf, np.inf)


def test_it_is_taken_apart_and_put_together():
    lower, upper, observed = _series(6, 20)
    state = Conformal.start(1, level=LEVEL)
    for at in range(20):
        state = state.after(lower[at], upper[at], served=(lower[at], upper[at]), observed=observed[at])
    again = packed.unpack(Conformal, *packed.pack(state))
    np.testing.assert_array_equal(again.stretch, state.stretch)


@pytest.mark.parametrize(
    "wrong",
    [
        {"lower": np.array([[np.nan]])},
        {"lower": np.array([[2.0]])},
        {"observed": np.zeros((1, 2))},
        {"known_at": np.array([-1.0])},
        {"level": 1.0},
        {"rate": -0.1},
        {"level": np.nan},
    ],
)
def test_what_cannot_be_is_refused(wrong):
    right = {
        "lower": np.array([[0.0]]),
        "upper": np.array([[1.0]]),
        "observed": np.array([[0.5]]),
        "made_at": np.array([0.0]),
        "known_at": np.array([1.0]),
        "level": LEVEL,
    }
    given_ = {**right, **wrong}
    lower, upper, observed = (given_.pop(name) for name in ("lower", "upper", "observed"))
    with pytest.raises(InputError, match="conformal"):
        adapt(lower, upper, observed, **given_)


def test_it_adapts_as_mapie_does():
    """As MAPIE 1.6.0 has it: TimeSeriesRegressor, "aci", absolute scores, `adapt_conformal_inference`, `update`.

    100 outcomes calibrate, gamma is 0.02, the window rolls; the 1st, 11th, 21st, 31st and 40th interval and alpha.
    """
    wanted = {
        100: (-1.95287115, 0.94013987, 0.200),
        110: (-1.60018036, 1.51169500, 0.160),
        120: (-1.05883394, 2.22005630, 0.120),
        130: (-2.69577103, 0.83555913, 0.080),
        139: (-1.23871929, 2.63087955, 0.056),
    }
    i = np.arange(140.0)
    middle = np.sin(i)
    observed = (middle + (1.0 + 0.004 * i) * np.sin(1.9 * i + 0.3 * np.sin(i)) * 1.3)[:, None]
    lower, upper = (middle - 0.5)[:, None], (middle + 0.5)[:, None]
    state = Conformal.start(1, level=0.8, rate=0.0, window=100)
    for at in range(100):
        state = state.after(lower[at], upper[at], served=(lower[at], upper[at]), observed=observed[at])
    state = replace(state, rate=0.02)
    for at in range(100, 140):
        served = state.interval(lower[at], upper[at])
        if at in wanted:
            found = (float(served[0][0]), float(served[1][0]), float(state.current[0]))
            assert found == pytest.approx(wanted[at], abs=1e-8)
        state = state.after(lower[at], upper[at], served=served, observed=observed[at])


def _naive(lower, upper, observed, made, known, *, level, rate):
    """The published rule, one cell, in plain loops: books that become known together are one step."""
    alpha, scores, served, heard = 1.0 - level, [], [], set()
    for now, moment in enumerate(made):
        for past in sorted((one for one in range(now) if one not in heard), key=lambda one: known[one]):
            if known[past] > moment:
                continue
            heard.add(past)
            misses = []
            for low, high, seen, (left, right) in zip(
                lower[past], upper[past], observed[past], served[past], strict=True
            ):
                if not np.isnan(seen):
                    misses.append(seen < left or seen > right)
                    scores.append(max(low - seen, seen - high) / (high - low))
            if misses:
                alpha = min(1.0, alpha + rate * ((1.0 - level) - sum(misses) / len(misses)))
        rank = int(np.ceil((len(scores) + 1) * (1.0 - alpha) - 1e-9))
        q = 0.0
        if len(scores) >= round(1.0 / (1.0 - level)) - 1:
            q = sorted(scores)[max(rank, 1) - 1] if rank <= len(scores) else np.inf
        q = np.inf if alpha <= 0.0 else q
        served.append([(low - q, high + q) for low, high in zip(lower[now], upper[now], strict=True)])
    return np.array(served)


@pytest.mark.parametrize("delay", [1.0, 4.0])
def test_books_of_a_cell_are_one_step_as_in_plain_loops(delay):
    random = np.random.default_rng(8)
    observed = 1.7 * random.standard_normal((150, 3, 1))
    observed[random.random(observed.shape) < 0.1] = np.nan
    lower, upper = np.full(observed.shape, -0.5), np.full(observed.shape, 0.5)
    made = np.arange(150.0)
    served = adapt(lower, upper, observed, made_at=made, known_at=made + delay, level=LEVEL, rate=0.05, window=10_000)
    wanted = _naive(lower[..., 0], upper[..., 0], observed[..., 0], made, made + delay, level=LEVEL, rate=0.05)
    np.testing.assert_allclose(np.stack([served.lower, served.upper], axis=-1)[:, :, 0], wanted, rtol=0.0, atol=1e-12)
    assert served.stretch.shape == (150, 1)
    assert served.coverage[0] == pytest.approx(LEVEL, abs=0.05)


def test_at_the_end_every_outcome_is_heard():
    lower, upper, observed = _series(9, 60, spread=3.0)
    made = np.arange(60.0)
    served = adapt(lower, upper, observed, made_at=made, known_at=made + 8.0, level=LEVEL)
    longer = adapt(
        *(np.concatenate([one, one[:1]]) for one in (lower, upper, observed)),
        made_at=np.append(made, 100.0), known_at=np.append(made + 8.0, 108.0), level=LEVEL,
    )  # fmt: skip
    assert served.state.stretch.tobytes() == longer.stretch[-1].tobytes()
    assert served.stretch[-1] != served.state.stretch
