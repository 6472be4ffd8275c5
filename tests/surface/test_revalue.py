import numpy as np
import pytest

from greekdrift.book.scenarios import LARGEST_INCREMENT
from greekdrift.errors import ChainError, InputError
from greekdrift.greeks import compute
from greekdrift.greeks.exposure import line_quantities
from greekdrift.surface import FACTORS, revalue
from greekdrift.surface.cells import MONEY
from greekdrift.surface.revalue import revalue as revalued
from greekdrift.surface.scenario import moved
from greekdrift.surface.state import FORWARD

NAMES = ("value_usd", "value_coin", "delta_usd", "delta_net", "gamma", "vega", "theta", "vanna", "price", "delta")
HORIZONS = (6.0, 12.0, 24.0)


@pytest.fixture(scope="module")
def random_scenarios(chain, scenarios):
    rng = np.random.default_rng(11)
    increments = 0.03 * rng.standard_normal((40, len(HORIZONS), 2, len(FACTORS)))
    weights = rng.random(40)
    return scenarios(increments, HORIZONS, weights=weights / weights.sum())


@pytest.fixture(scope="module")
def rows(chain) -> np.ndarray:
    return np.concatenate([np.arange(0, len(chain), 9), np.flatnonzero(~chain.is_option)])


@pytest.fixture(scope="module")
def found(chain, surface, random_scenarios, rows):
    return revalued(chain, surface, random_scenarios, rows=rows, names=NAMES)


def test_now_is_what_exposure_says(chain, found, rows):
    expected = line_quantities(chain, NAMES, rows)
    for name in NAMES:
        np.testing.assert_allclose(found.now[name], expected[name], rtol=1e-12, atol=1e-300, err_msg=name)


def test_the_zero_move_changes_nothing(chain, surface, scenarios, rows):
    still = scenarios(np.zeros((1, 1, 2, len(FACTORS))), (0.0,))
    same = revalued(chain, surface, still, rows=rows, names=NAMES)
    for name in NAMES:
        scale = np.abs(same.now[name]).max()
        np.testing.assert_allclose(
            same.values[name][0, 0], same.now[name], rtol=1e-12, atol=1e-12 * scale, err_msg=name
        )
    np.testing.assert_allclose(same.pnl_usd, 0.0, atol=1e-9)


def test_values_equal_option_by_option_calculation(chain, surface, random_scenarios, found, rows):
    forward, volatility, years, index = moved(chain, surface, random_scenarios, rows)
    option = np.flatnonzero(chain.is_option[rows])
    s, h = 17, 1
    living = option[years[h, option] > 0.0]
    at = rows[living]
    expected = compute(
        ["price", "delta", "gamma", "vega", "theta"],
        forward=forward[s, h, living],
        strike=chain.strike[at],
        volatility=volatility[s, h, living],
        time_to_expiry=years[h, living],
        is_call=chain.is_call[at],
    )
    coin = expected["price"] / forward[s, h, living]
    spot = index[s, h, (chain.underlying[at] == "ETH").astype(int)]
    for name in ("gamma", "vega", "theta"):
        np.testing.assert_allclose(found.values[name][s, h, living], expected[name], rtol=1e-12)
    np.testing.assert_allclose(found.values["delta_usd"][s, h, living], expected["delta"], rtol=1e-12)
    np.testing.assert_allclose(found.values["delta_net"][s, h, living], expected["delta"] - coin, rtol=1e-12)
    np.testing.assert_allclose(found.values["value_usd"][s, h, living], coin * spot, rtol=1e-12)
    np.testing.assert_allclose(found.pnl_usd[s, h, living], coin * spot - found.now["value_usd"][living], rtol=1e-9)


def test_delta_net_is_the_bump_of_the_coin_value(chain, surface, scenarios):
    """F dV/dF with the smile moving along costs nothing here: the bump is of the forward at fixed volatility."""
    rows = np.flatnonzero(chain.is_option & (chain.underlying == "BTC"))[::7]
    found = revalued(chain, surface, scenarios(np.zeros((1, 1, 2, 26)), (0.0,)), rows=rows, names=("delta_net",))
    h = 1e-6
    kwargs = {
        "strike": chain.strike[rows],
        "volatility": chain.mark_iv[rows],
        "time_to_expiry": chain.time_to_expiry[rows],
        "is_call": chain.is_call[rows],
    }
    up, down = (compute(["price"], forward=chain.forward[rows] * (1 + x), **kwargs)["price"] for x in (h, -h))
    coin = up / (chain.forward[rows] * (1 + h)) - down / (chain.forward[rows] * (1 - h))
    np.testing.assert_allclose(found.now["delta_net"], coin / (2 * h), atol=1e-7)


@pytest.mark.parametrize(
    ("name", "profit"),
    [
        ("BTC-PERPETUAL", lambda f0, f1, s0, s1: 10.0 * (1 / f0 - 1 / f1) * s1),
        ("BTC-26JUN26", lambda f0, f1, s0, s1: 10.0 * (1 / f0 - 1 / f1) * s1),
        ("BTC_USDC-PERPETUAL", lambda f0, f1, s0, s1: f1 - f0),
        ("ETH_USDC", lambda f0, f1, s0, s1: s1 - s0),
    ],
)
def test_linear_contracts_earn_their_formula(chain, found, rows, name, profit):
    row = chain.row_of[name]
    at = int(np.flatnonzero(rows == row)[0])
    u = 0 if chain.underlying[row] == "BTC" else 1
    s0 = chain.index_price[str(chain.underlying[row])]
    expected = profit(chain.forward[row], found.forward[..., at], s0, found.index[..., u])
    np.testing.assert_allclose(found.pnl_usd[..., at], expected, rtol=1e-10)


def test_coin_profit_is_kept_apart(chain, surface, random_scenarios):
    rows = chain.rows(["BTC-PERPETUAL", "BTC_USDC-PERPETUAL"])
    found = revalued(chain, surface, random_scenarios, rows=rows, names=("pnl_coin", "value_usd"))
    expected = 10.0 * (1.0 / 70_010.0 - 1.0 / found.forward[..., 0])
    np.testing.assert_allclose(found.values["pnl_coin"][..., 0], expected, rtol=1e-12)
    assert not found.values["pnl_coin"][..., 1].any()
    assert not found.values["value_usd"].any()
    assert "pnl_coin" in MONEY


def test_expired_contracts_keep_their_settlement_and_lose_their_greeks(chain, surface, scenarios):
    increments = np.zeros((1, 2, 2, len(FACTORS)))
    increments[0, :, 0, FORWARD] = [0.16, 0.32]
    names = [instrument.name for instrument in chain.instruments if instrument.name.startswith("BTC-6FEB26")]
    rows = chain.rows(names)
    found = revalued(chain, surface, scenarios(increments, (16.0, 32.0)), rows=rows, names=NAMES)
    option = chain.is_option[rows]
    settled = chain.forward[rows[option]] * np.exp(0.16)
    side = np.where(chain.is_call[rows[option]], 1.0, -1.0)
    coins = np.maximum(side * (settled - chain.strike[rows[option]]), 0.0) / settled
    for h, index in enumerate(70_000.0 * np.exp([0.16, 0.32])):
        np.testing.assert_allclose(found.values["value_usd"][0, h, option], coins * index, rtol=1e-12)
    for name in ("delta_usd", "delta_net", "delta", "gamma", "vega", "theta", "vanna"):
        assert not found.values[name].any()
    future = int(np.flatnonzero(~option)[0])
    profit = 10.0 * (1.0 / 70_030.0 - 1.0 / (70_030.0 * np.exp(0.16)))
    np.testing.assert_allclose(found.pnl_usd[0, :, future], profit * 70_000.0 * np.exp([0.16, 0.32]), rtol=1e-9)


def test_blocks_do_not_show_in_the_result(chain, surface, random_scenarios, rows, found, monkeypatch):
    monkeypatch.setattr(revalue, "BLOCK", 1)
    again = revalued(chain, surface, random_scenarios, rows=rows, names=NAMES)
    for name in NAMES:
        np.testing.assert_array_equal(again.values[name], found.values[name])
    np.testing.assert_array_equal(again.pnl_usd, found.pnl_usd)


def test_books_are_weights_times_rows(found, rows):
    weights = np.random.default_rng(2).integers(-5, 6, (3, rows.size)).astype(float)
    totals = found.book("vega", weights)
    assert totals.shape == (40, len(HORIZONS), 3)
    np.testing.assert_allclose(totals[7, 2, 1], found.values["vega"][7, 2] @ weights[1])
    np.testing.assert_allclose(found.book("pnl_usd", weights)[3, 0, 0], found.pnl_usd[3, 0] @ weights[0])
    np.testing.assert_allclose(found.book_now("vega", weights), weights @ found.now["vega"])
    flat = found.book("delta_net", np.zeros((1, rows.size)))
    assert not flat.any()


def test_a_change_of_few_contracts_changes_a_book_by_their_columns(found, rows):
    weights = np.random.default_rng(2).integers(-5, 6, rows.size).astype(float)
    after = weights.copy()
    after[3] += 2.0
    after[11] -= 1.0
    for name in ("delta_net", "pnl_usd"):
        change = found.book_change(name, {int(rows[3]): 2.0, int(rows[11]): -1.0})
        scale = np.abs(found.book(name, after)).max()
        expected = found.book(name, after)[..., 0]
        np.testing.assert_allclose(found.book(name, weights)[..., 0] + change, expected, rtol=1e-11, atol=1e-12 * scale)
    with pytest.raises(InputError, match="was not revalued"):
        found.book_change("vega", {int(rows[1]) + 1: 1.0})


def test_fused_multiply_adds_change_the_last_bits_alone(chain, surface, random_scenarios, rows, found):
    quick = revalued(chain, surface, random_scenarios, rows=rows, names=NAMES, deterministic=False)
    for name in NAMES:
        scale = np.abs(found.values[name]).max()
        np.testing.assert_allclose(quick.values[name], found.values[name], rtol=1e-10, atol=1e-13 * scale, err_msg=name)


def test_wrong_names_are_answered(chain, surface, random_scenarios, found):
    with pytest.raises(InputError, match='unknown quantity "vegas"'):
        revalued(chain, surface, random_scenarios, rows=np.array([0]), names=("vegas",))
    with pytest.raises(InputError, match='"rho" was not revalued'):
        found.book("rho", np.zeros((1, 1)))


def test_no_rows_are_no_cells_and_rows_that_are_none_are_refused(chain, surface, random_scenarios):
    nothing = revalued(chain, surface, random_scenarios, rows=[], names=NAMES)
    assert nothing.pnl_usd.shape == (40, len(HORIZONS), 0)
    with pytest.raises(ChainError, match=r"rows .* of a chain of"):
        revalued(chain, surface, random_scenarios, rows=[len(chain)], names=NAMES)


@pytest.mark.parametrize("factor", range(len(FACTORS)))
def test_the_largest_increments_stay_numbers(chain, surface, scenarios, factor):
    increments = np.zeros((2, 1, 2, len(FACTORS)))
    increments[:, 0, :, factor] = np.array([[-LARGEST_INCREMENT], [LARGEST_INCREMENT]])
    extreme = revalued(chain, surface, scenarios(increments, (24.0,)), rows=np.arange(len(chain)), names=NAMES)
    assert all(np.isfinite(cube).all() for cube in (extreme.pnl_usd, *extreme.values.values()))
