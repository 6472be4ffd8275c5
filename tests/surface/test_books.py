"""Books in blocks against contracts one by one: the same numbers, in any company, without the memory."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from greekdrift.book import Scenarios
from greekdrift.errors import InputError
from greekdrift.greeks import QUANTITIES, black, compute
from greekdrift.surface import FACTORS
from greekdrift.surface.books import books
from greekdrift.surface.cells import MONEY
from greekdrift.surface.fit import fit
from greekdrift.surface.revalue import revalue
from greekdrift.surface.scenario import moved

HORIZONS = (6.0, 18.0, 72.0)
EVERY = (*MONEY, *QUANTITIES)
N = 41


@pytest.fixture(scope="module")
def random_scenarios(chain, scenarios):
    increments = 0.04 * np.random.default_rng(3).standard_normal((N, len(HORIZONS), 2, len(FACTORS)))
    return scenarios(increments, HORIZONS)


@pytest.fixture(scope="module")
def weights(chain):
    rng = np.random.default_rng(4)
    held = rng.integers(-9, 10, (5, len(chain))).astype(float)
    return held * (rng.random(held.shape) < 0.3)


@pytest.fixture(scope="module")
def listed(make_chain):
    """Calls and puts of one volatility: each strike is priced once for both."""
    return make_chain()


def under(chain, n=60, horizons=(6.0, 30.0), seed=1, scale=0.05):
    increments = scale * np.random.default_rng(seed).standard_normal((n, len(horizons), 1, len(FACTORS)))
    return Scenarios(
        underlyings=chain.underlyings,
        factors=FACTORS,
        horizons=np.array(horizons),
        increments=increments,
        weights=np.full(n, 1.0 / n),
        as_of=chain.as_of,
        known_at=chain.known_at,
        provenance="test",
    )


def assert_equal_to_cubes(found, cubes, weights):
    """To 1e-13 of the gross size, Σ |contracts × quantity|, now or after the move."""
    for name in (*found.values, "pnl_usd"):
        books_of = found.pnl_usd if name == "pnl_usd" else found.values[name]
        cube = cubes.cube(name)
        gross = np.abs(cube) @ np.abs(weights).T
        if name.startswith("pnl"):
            worth = cubes.cube(name.replace("pnl", "value"))
            gross = gross + np.abs(worth) @ np.abs(weights).T
        assert np.all(np.abs(books_of - cubes.book(name, weights)) <= 1e-13 * gross + 1e-300), name


@pytest.mark.parametrize("kept", ["log_moneyness", "standardised"])
def test_books_are_cubes_times_weights(chain, surface, random_scenarios, weights, kept):
    found = books(chain, surface, random_scenarios, weights=weights, names=EVERY, kept=kept)
    cubes = revalue(chain, surface, random_scenarios, rows=np.arange(len(chain)), names=EVERY, kept=kept)
    assert found.pnl_usd.shape == (N, len(HORIZONS), 5)
    assert_equal_to_cubes(found, cubes, weights)
    for name in EVERY:
        np.testing.assert_allclose(found.now[name], cubes.book_now(name, weights), rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("currency", ["", "USDC"])
def test_strikes_priced_once_for_call_and_put_equal_both(make_chain, currency):
    chain = make_chain(currency=currency)
    surface, scenarios = fit(chain), under(chain, horizons=(6.0, 60.0))
    weights = np.random.default_rng(5).normal(size=(4, len(chain)))
    cubes = revalue(chain, surface, scenarios, rows=np.arange(len(chain)), names=EVERY)
    assert_equal_to_cubes(books(chain, surface, scenarios, weights=weights, names=EVERY), cubes, weights)
    quick = books(chain, surface, scenarios, weights=weights, names=EVERY, deterministic=False)
    assert_equal_to_cubes(quick, cubes, weights)


def test_books_equal_brute_force_position_by_position(listed):
    """Every position of every account on its own through the public calculator, on the moved market."""
    surface, scenarios = fit(listed), under(listed, horizons=(6.0,))
    rng = np.random.default_rng(6)
    account, row = rng.integers(0, 5, 300), rng.choice(np.flatnonzero(listed.is_option), 300)
    contracts = rng.integers(-9, 10, 300).astype(float)
    weights = np.zeros((5, len(listed)))
    np.add.at(weights, (account, row), contracts)
    found = books(listed, surface, scenarios, weights=weights)
    at = moved(listed, surface, scenarios, row)
    values = compute(
        ["price", "delta", "gamma", "vega", "theta"],
        forward=at.forward, strike=listed.strike[row], volatility=at.volatility, time_to_expiry=at.time_to_expiry,
        is_call=listed.is_call[row],
    )  # fmt: skip
    coins = values["price"] / at.forward
    values |= {"delta_usd": values["delta"], "delta_net": values["delta"] - coins, "value_usd": coins * at.index}
    for name, books_of in found.values.items():
        each = contracts * values[name]
        for one in range(5):
            mine = account == one
            gross = np.abs(each[..., mine]).sum(axis=-1)
            assert np.all(np.abs(books_of[..., one] - each[..., mine].sum(axis=-1)) <= 1e-13 * gross), name


@pytest.mark.parametrize("deterministic", [True, False])
def test_a_book_has_the_same_bits_in_any_company(chain, surface, scenarios, random_scenarios, weights, deterministic):
    every = {"names": ("value_usd", "delta_net", "gamma", "vega", "theta"), "deterministic": deterministic}
    together = books(chain, surface, random_scenarios, weights=weights, **every)
    for one in (0, 3, 4):
        alone = books(chain, surface, random_scenarios, weights=weights[one], **every)
        np.testing.assert_array_equal(alone.pnl_usd[..., 0], together.pnl_usd[..., one])
        for name in every["names"]:
            np.testing.assert_array_equal(alone.values[name][..., 0], together.values[name][..., one], err_msg=name)
    few = scenarios(random_scenarios.increments[7:20], HORIZONS)
    part = books(chain, surface, few, weights=weights, **every)
    np.testing.assert_array_equal(part.values["gamma"], together.values["gamma"][7:20])
    np.testing.assert_array_equal(part.pnl_usd, together.pnl_usd[7:20])


def test_rows_may_be_given_in_any_order_and_repeatedly(chain, surface, random_scenarios):
    rows = np.array([30, 4, 4, 17, len(chain) - 1])
    weights = np.array([[1.0, 2.0, -3.0, 4.0, 5.0], [0.0, 1.0, 0.0, 0.0, 0.0]])
    once = np.zeros((2, len(chain)))
    np.add.at(once.T, rows, weights.T)
    found = books(chain, surface, random_scenarios, rows=rows, weights=weights)
    same = books(chain, surface, random_scenarios, weights=once)
    np.testing.assert_array_equal(found.pnl_usd, same.pnl_usd)
    repeated = revalue(chain, surface, random_scenarios, rows=rows)
    np.testing.assert_array_equal(repeated.pnl_usd[..., 1], repeated.pnl_usd[..., 2])
    assert_equal_to_cubes(found, repeated, weights)


def test_empty_and_flat_books_are_nothing(chain, surface, random_scenarios):
    flat = books(chain, surface, random_scenarios, weights=np.zeros((3, len(chain))), names=EVERY)
    for cube in (flat.pnl_usd, *flat.values.values()):
        assert cube.shape == (N, len(HORIZONS), 3)
        assert not cube.any()
    assert books(chain, surface, random_scenarios, weights=np.zeros((0, len(chain)))).pnl_usd.shape == (N, 3, 0)


def test_a_change_of_holdings_needs_the_changed_contracts_only(chain, surface, random_scenarios, weights):
    before = books(chain, surface, random_scenarios, weights=weights)
    change = np.zeros((5, 2))
    change[1] = [3.0, -2.0]
    traded = books(chain, surface, random_scenarios, rows=[8, 77], weights=change)
    after = weights.copy()
    after[1, [8, 77]] += change[1]
    whole = books(chain, surface, random_scenarios, weights=after)
    for name, cube in before.plus(traded).values.items():
        scale = np.abs(whole.values[name]).max()
        np.testing.assert_allclose(cube, whole.values[name], rtol=1e-11, atol=1e-12 * scale, err_msg=name)
    np.testing.assert_allclose(before.plus(traded).now["vega"], whole.now["vega"], rtol=1e-12)
    other = books(chain, surface, random_scenarios, rows=[8], weights=[[1.0]])
    with pytest.raises(InputError, match="other books"):
        before.plus(other)


def test_weights_that_are_none_are_refused(chain, surface, random_scenarios):
    with pytest.raises(InputError, match=r"give \(account, row\) with 2 rows"):
        books(chain, surface, random_scenarios, rows=[1, 2], weights=np.ones((3, 4)))
    with pytest.raises(InputError, match=r"weights\[0, 1\] = nan is no number"):
        books(chain, surface, random_scenarios, rows=[1, 2], weights=[[1.0, np.nan]])
    with pytest.raises(InputError, match='unknown quantity "gama"'):
        books(chain, surface, random_scenarios, rows=[1], weights=[[1.0]], names=("gama",))


def test_greeks_fade_within_the_settlement_window(make_chain):
    """Twelve minutes before expiry 40 % of the average is still to come: deltas and vegas are less by that."""
    chain = make_chain(days=(2.0, 9.0), settlement_average_minutes=30.0)
    sudden = make_chain(days=(2.0, 9.0))
    surface, horizons = fit(chain), (47.8, 47.0)
    names = ("delta_usd", "delta_net", "vega", "value_usd", "rho")
    scenarios = under(chain, horizons=horizons[::-1], scale=0.01)
    rows = np.arange(len(chain))
    fading = revalue(chain, surface, scenarios, rows=rows, names=names)
    plain = revalue(sudden, surface, scenarios, rows=rows, names=names)
    near = np.isclose(chain.time_to_expiry, 2.0 / 365.0)
    for name in names:
        np.testing.assert_array_equal(fading.values[name][:, 0], plain.values[name][:, 0], err_msg=name)
        np.testing.assert_array_equal(fading.values[name][:, 1, ~near], plain.values[name][:, 1, ~near], err_msg=name)
    future = np.flatnonzero(near & ~chain.is_option)
    share = fading.values["delta_usd"][:, 1, future] / plain.values["delta_usd"][:, 1, future]
    np.testing.assert_allclose(share, 0.4, rtol=1e-9)
    deep = np.flatnonzero(near & chain.is_call & (chain.strike < 0.8 * chain.forward))
    np.testing.assert_allclose(fading.values["delta_usd"][:, 1, deep], 0.4, rtol=1e-9)
    weights = np.random.default_rng(8).normal(size=(3, len(chain)))
    assert_equal_to_cubes(books(chain, surface, scenarios, weights=weights, names=names), fading, weights)


MEMORY = """
import importlib.util, sys, resource
import numpy as np
spec = importlib.util.spec_from_file_location("fixtures", sys.argv[1])
fixtures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fixtures)
from greekdrift.book import Scenarios
from greekdrift.surface import FACTORS
from greekdrift.surface.books import books
from greekdrift.surface.fit import fit
days = (1.0, 2.0, 3.0, 7.0, 14.0, 21.0, 28.0, 56.0, 84.0, 112.0, 182.0, 364.0)
chain = fixtures.listed_chain(days=days, moneyness=tuple(np.exp(np.linspace(-0.5, 0.5, 40))))
surface, rng = fit(chain), np.random.default_rng(1)
def under(n):
    increments = 0.03 * rng.standard_normal((n, 1, 1, len(FACTORS)))
    return Scenarios(underlyings=("BTC",), factors=FACTORS, horizons=np.array([6.0]), increments=increments,
                     weights=np.full(n, 1.0 / n), as_of=chain.as_of, known_at=chain.known_at, provenance="memory")
weights = np.zeros((50, len(chain)))
np.add.at(weights, (rng.integers(0, 50, 10_000), rng.choice(np.flatnonzero(chain.is_option), 10_000)), 1.0)
books(chain, surface, under(40), weights=weights)
scenarios = under(2_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = books(chain, surface, scenarios, weights=weights)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024.0, found.pnl_usd.size)
"""


def test_ten_thousand_positions_need_little_memory():
    """10,000 positions × 2,000 scenarios × 50 accounts: the results are 6 MiB; a cube of all contracts were 100 MiB."""
    fixtures = Path(__file__).parents[1] / "conftest.py"
    run = subprocess.run(
        [sys.executable, "-c", MEMORY, str(fixtures)], capture_output=True, text=True, check=True, timeout=300
    )
    mebibytes, size = run.stdout.split()
    assert int(size) == 100_000
    assert float(mebibytes) < 60.0


def test_books_stay_a_multiple_faster_than_position_by_position(listed):
    """Guard of the vector loops and of the shared strikes: CPU time against the numpy truth per position."""
    surface, scenarios = fit(listed), under(listed, n=2048, horizons=(6.0,))
    rng = np.random.default_rng(6)
    account, row = rng.integers(0, 50, 2_000), rng.choice(np.flatnonzero(listed.is_option), 2_000)
    weights = np.zeros((50, len(listed)))
    np.add.at(weights, (account, row), 1.0)
    few = moved(listed, surface, under(listed, n=4, horizons=(6.0,)), row)

    def brute():
        at = black.options(
            forward=few.forward, strike=listed.strike[row], volatility=few.volatility,
            time_to_expiry=few.time_to_expiry, is_call=listed.is_call[row],
        )  # fmt: skip
        return [quantity(at) for quantity in (black.price, black.delta, black.gamma, black.vega, black.theta)]

    def seconds(work):
        best = np.inf
        for _ in range(7):
            began = time.thread_time()
            work()
            best = min(best, time.thread_time() - began)
        return best

    ratio = seconds(brute) * 2048 / 4 / seconds(lambda: books(listed, surface, scenarios, weights=weights))
    assert ratio > 40.0
