"""Columns of options in any layout: the same bits shifted, split, strided, broadcast, threaded; read in place."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greekdrift.errors import InputError
from greekdrift.greeks import QUANTITIES, black, columns, compute, kernel

EVERY = tuple(QUANTITIES)
SOME = ("price", "delta", "theta", "color")
N = 3 * kernel.WIDTH + 77
both_modes = pytest.mark.parametrize("deterministic", [True, False], ids=["strict", "contracted"])


def draw(shape) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    return {
        "forward": rng.uniform(50.0, 150.0, shape),
        "strike": rng.uniform(20.0, 300.0, shape),
        "volatility": rng.uniform(0.0, 2.0, shape),
        "time_to_expiry": rng.uniform(0.0, 1.0, shape),
        "is_call": rng.random(shape) < 0.5,
        "discount": rng.choice([1.0, 0.97, 0.5], shape),
    }


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return all(one[name].tobytes() == np.ascontiguousarray(other[name]).tobytes() for name in one)


@both_modes
def test_same_bits_wherever_an_option_stands(deterministic):
    at = draw(N)
    whole = compute(EVERY, **at, deterministic=deterministic)
    for first, last in ((0, 1), (1, N), (7, 8), (500, 530), (3, 3 + kernel.WIDTH), (N - 65, N), (0, N - 1)):
        part = compute(EVERY, **{name: column[first:last] for name, column in at.items()}, deterministic=deterministic)
        assert same(part, {name: column[first:last] for name, column in whole.items()})
    order = np.random.default_rng(1).permutation(N)
    shuffled = compute(EVERY, **{name: column[order] for name, column in at.items()}, deterministic=deterministic)
    assert same(shuffled, {name: column[order] for name, column in whole.items()})


@both_modes
def test_same_bits_on_any_number_of_threads(deterministic, monkeypatch):
    monkeypatch.setattr(compute.__globals__["_columns"](), "SHARE", 100)
    at = draw(N)
    alone = compute(EVERY, **at, deterministic=deterministic, threads=1)
    for threads in (2, 3, 50, None):
        assert same(alone, compute(EVERY, **at, deterministic=deterministic, threads=threads))


def test_a_bad_number_in_another_threads_share_is_named(monkeypatch):
    monkeypatch.setattr(compute.__globals__["_columns"](), "SHARE", 100)
    at = draw(N)
    at["strike"][-2] = np.nan
    with pytest.raises(InputError, match=rf"^strike\[{N - 2}\] = nan is not a number from 0 to 1e\+100; drop"):
        compute(SOME, **at, threads=4)


def test_concurrent_calls_do_not_disturb_each_other():
    inputs = [{name: np.roll(column, k) for name, column in draw(5000).items()} for k in range(8)]
    right = [compute(SOME, **at) for at in inputs]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda k: compute(SOME, **inputs[k % 8]), range(64)))
    assert all(same(right[k % 8], one) for k, one in enumerate(found))


def layouts(column: np.ndarray) -> list[np.ndarray]:
    """The same numbers at other strides: reversed, every third, a field of a record, unaligned, read-only."""
    turned = np.ascontiguousarray(column[::-1])[::-1]
    wide = np.repeat(column, 3)[::3]
    record = np.zeros(column.shape, dtype=[("pad", "i1"), ("value", column.dtype)])
    record["value"] = column
    aligned = np.zeros(column.shape, dtype=np.dtype([("value", column.dtype), ("next", "f8")], align=True))
    aligned["value"] = column
    fixed = column.copy()
    fixed.flags.writeable = False
    return [turned, wide, record["value"], aligned["value"], fixed]


@pytest.mark.parametrize("count", [40, N])
def test_same_bits_at_any_stride(count):
    at = draw(count)
    right = compute(SOME, **at)
    for name in at:
        for column in layouts(at[name]):
            assert same(right, compute(SOME, **(at | {name: column}))), (name, column.strides)
    every = {name: layouts(column)[k % 5] for k, (name, column) in enumerate(at.items())}
    assert same(right, compute(SOME, **every))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 12), max_size=4), st.lists(st.integers(0, 15), min_size=6, max_size=6), st.booleans())
def test_any_broadcast_is_that_of_numpy(shape, kept, is_fortran):
    """Each input keeps some axes of the shape; the rest have size one, or are missing where they lead."""
    at = {}
    for bits, (name, full) in zip(kept, draw(shape).items(), strict=True):
        taken = full[tuple(slice(None) if bits >> axis & 1 else slice(0, 1) for axis in range(len(shape)))]
        while taken.ndim and taken.shape[0] == 1:
            taken = taken[0]
        at[name] = np.asfortranarray(taken) if is_fortran else taken
    full = np.broadcast_arrays(*at.values())
    flat = {name: column.ravel() for name, column in zip(at, full, strict=True)}
    got = compute(SOME, **at)
    assert got["price"].shape == full[0].shape
    assert same(got, compute(SOME, **flat))


def test_a_large_grid_of_four_axes():
    rng = np.random.default_rng(2)
    F, K = rng.uniform(80.0, 120.0, (50, 3, 1)), rng.uniform(50.0, 200.0, 11)
    tau, sigma = rng.uniform(0.0, 1.0, (3, 1)), rng.uniform(0.1, 1.0, (2, 1, 1, 11))
    got = compute(SOME, forward=F, strike=K, volatility=sigma, time_to_expiry=tau, is_call=False)
    full = np.broadcast_arrays(F, K, sigma, tau)
    flat = compute(
        SOME, **dict(zip(("forward", "strike", "volatility", "time_to_expiry"), full, strict=True)), is_call=False
    )
    assert got["price"].shape == (2, 50, 3, 11)
    assert same(got, flat)


def test_inputs_are_read_in_place_and_left_alone():
    at = draw(N)
    before = {name: column.copy() for name, column in at.items()}
    compute(EVERY, **at)
    assert all(np.array_equal(at[name], before[name]) for name in at)
    plan, axes = columns._plan([at["forward"], at["is_call"]], (N,))
    assert axes == 1
    assert plan.tolist() == [N, at["forward"].ctypes.data, 8, at["is_call"].ctypes.data, 1]


def test_axes_that_move_evenly_are_one():
    grid = np.zeros((5, 6, 7))
    plan, axes = columns._plan([grid, np.zeros(())], (5, 6, 7))
    assert (axes, plan[0], plan[2], plan[4]) == (1, 210, 8, 0)
    plan, axes = columns._plan([grid, np.zeros((6, 1))], (5, 6, 7))
    assert (axes, plan[:3].tolist(), plan[4:7].tolist()) == (3, [5, 6, 7], [336, 56, 8])
    assert plan[8:].tolist() == [0, 8, 0]


@pytest.mark.parametrize("convert", [np.float32, np.int64, np.uint8, list, lambda x: x.astype(">f8"), np.longdouble])
def test_numbers_of_other_types(convert):
    whole = {name: np.array([90, 100, 120]) for name in ("forward", "strike")}
    whole |= {"volatility": np.array([1, 2, 1]), "time_to_expiry": np.array([1, 1, 0]), "is_call": [True, False, True]}
    floats = {name: np.asarray(column, dtype=float if name != "is_call" else bool) for name, column in whole.items()}
    given = {name: convert(column) if name != "is_call" else column for name, column in floats.items()}
    assert same(compute(EVERY, **floats), compute(EVERY, **given))


def test_results_can_be_written_and_do_not_share_places():
    value = compute(("price", "price", "delta"), **draw(10))
    assert list(value) == ["price", "delta"]
    value["price"][:] = 0.0
    assert np.any(value["delta"] != 0.0)
    assert all(column.flags.writeable and column.flags.c_contiguous for column in value.values())


NO_NUMBERS = [("forward", -1.0), ("strike", np.nan), ("volatility", np.inf), ("time_to_expiry", -1e-9),
              ("discount", 0.0), ("forward", 2e100)]  # fmt: skip
NO_COLUMNS = [{"forward": "abc"}, {"strike": 1j}, {"is_call": 1}, {"forward": [1.0, 2.0], "strike": [1.0] * 3},
              {"is_call": ["C"]}, {"volatility": None}, {"strike": [[1.0], [1.0, 2.0]]}]  # fmt: skip


@pytest.mark.parametrize("count", [3, N])
@pytest.mark.parametrize(("name", "value"), NO_NUMBERS)
def test_bad_numbers_are_refused_in_the_words_of_the_truth(name, value, count):
    at = draw(count)
    at[name][2] = value
    with pytest.raises(InputError) as from_truth:
        black.options(**at)
    with pytest.raises(InputError) as from_kernel:
        compute(SOME, **at)
    assert str(from_kernel.value) == str(from_truth.value)
    assert str(from_kernel.value).startswith(f"{name}[2] = ")


@pytest.mark.parametrize("bad", NO_COLUMNS)
def test_what_is_no_column_is_refused_in_the_words_of_the_truth(bad):
    at = {"forward": 100.0, "strike": 110.0, "volatility": 0.5, "time_to_expiry": 0.25, "is_call": True} | bad
    with pytest.raises(InputError) as from_truth:
        black.options(**at)
    with pytest.raises(InputError) as from_kernel:
        compute(SOME, **at)
    assert str(from_kernel.value) == str(from_truth.value)


def test_empty_inputs_are_checked_as_well():
    at = draw(0)
    assert compute(SOME, **at)["theta"].shape == (0,)
    with pytest.raises(InputError, match="forward"):
        compute(SOME, **(at | {"forward": -1.0}))


@pytest.mark.parametrize("count", [3, N])
def test_no_names_are_no_quantities_but_the_inputs_are_checked(count):
    at = draw(count)
    assert compute([], **at) == {}
    with pytest.raises(InputError, match=r"strike\[1\]"):
        compute([], **(at | {"strike": np.where(np.arange(count) == 1, -1.0, at["strike"])}))


@pytest.mark.parametrize("threads", [0, -1, 1.5, "two"])
def test_threads_are_counted_from_one(threads):
    with pytest.raises(InputError, match=f"threads {threads!r} is not a positive whole number"):
        compute(SOME, **draw(3), threads=threads)
