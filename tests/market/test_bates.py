"""Paths of random variance: moments, martingales, and the values of the pricer from the same law."""

from dataclasses import replace

import numpy as np
import pytest

from greekdrift.errors import ConfigError, InputError
from greekdrift.market.bates import Market, Paths, ahead, start, step
from greekdrift.market.heston import Bates, option_values

LAW = Bates(
    reversion=5.0,
    volatility=1.1,
    correlation=-0.4,
    mean=(0.25, 0.7),
    jump_rate=(4.0, 60.0),
    jump_mean=-0.02,
    jump_deviation=0.05,
    leave=(8.0, 45.0),
)
MARKET = Market(laws=(LAW, replace(LAW, mean=(0.4, 0.9), volatility=1.4)))
N = 40_000


def many(regime: int, variance: float = 0.3, n: int = N) -> Paths:
    return Paths(
        regime=np.full(n, regime), log_price=np.full((n, 2), np.log(100.0)), variance=np.full((n, 2), variance)
    )


ENTERED = replace(LAW, entry_mean=-0.06, entry_deviation=0.03, leave=(20.0, 45.0))


@pytest.mark.parametrize("regime", [0, 1])
def test_jumps_at_own_instants_and_on_entering_are_priced(regime: int) -> None:
    """Half of the jumps come to each underlying alone; the first one has more of them than the second."""
    market = Market(laws=(ENTERED, replace(ENTERED, jump_rate=(2.0, 40.0))), own_jumps=0.5)
    hours, n = 120.0, len(many(regime).regime)
    later = ahead(market, many(regime), hours=hours, rng=np.random.default_rng(12), step_hours=2.0)
    strikes = np.array([80.0, 90.0, 100.0, 105.0, 115.0])
    is_call = strikes >= 100.0
    side = np.where(is_call, 1.0, -1.0)
    for u, law in enumerate(market.laws):
        growth = np.exp(later.log_price[:, u]) / 100.0
        assert abs(growth.mean() - 1.0) < 4.0 * growth.std() / np.sqrt(n)
        value = option_values(
            law, forward=100.0, strike=strikes, years=hours / 8760.0, variance=0.3, is_call=is_call, regime=regime
        )
        paid = np.maximum(side * (np.exp(later.log_price[:, [u]]) - strikes), 0.0)
        assert np.all(np.abs(paid.mean(axis=0) - value) < 4.0 * paid.std(axis=0) / np.sqrt(n))


def test_own_jumps_come_alone() -> None:
    calm = replace(LAW, jump_rate=(400.0, 400.0), jump_mean=0.0, jump_deviation=0.3, mean=(1e-4, 1e-4), volatility=0.01)
    before = many(0, variance=1e-4)
    for own, least, most in ((1.0, -0.02, 0.02), (0.0, 0.7, 0.9), (0.5, 0.3, 0.5)):
        market = Market(laws=(calm, calm), own_jumps=own)
        moves = step(market, before, 0.5, np.random.default_rng(9)).log_price - before.log_price
        assert least < np.corrcoef(moves.T)[0, 1] < most


def test_prices_jump_when_the_second_regime_begins() -> None:
    calm = replace(ENTERED, jump_rate=(0.0, 0.0), leave=(400.0, 45.0))
    before = many(0)
    later = step(Market(laws=(calm, calm)), before, 6.0, np.random.default_rng(13))
    moves, entered = later.log_price - before.log_price, later.regime == 1
    assert 0.1 < entered.mean() < 0.5
    gap = moves[entered].mean(axis=0) - moves[~entered].mean(axis=0)
    np.testing.assert_allclose(gap, -0.06, atol=0.002)
    assert np.exp(moves).mean() == pytest.approx(1.0, abs=5e-4)


@pytest.mark.parametrize("regime", [0, 1])
def test_payoffs_along_paths_are_worth_what_the_pricer_says(regime: int) -> None:
    hours = 240.0
    later = ahead(MARKET, many(regime), hours=hours, rng=np.random.default_rng(3), step_hours=2.0)
    strikes = np.array([80.0, 95.0, 100.0, 105.0, 120.0])
    is_call = strikes >= 100.0
    side = np.where(is_call, 1.0, -1.0)
    for u, law in enumerate(MARKET.laws):
        value = option_values(
            law, forward=100.0, strike=strikes, years=hours / 8760.0, variance=0.3, is_call=is_call, regime=regime
        )
        paid = np.maximum(side * (np.exp(later.log_price[:, [u]]) - strikes), 0.0)
        error = paid.std(axis=0) / np.sqrt(N)
        assert np.all(error < 0.05)
        assert np.all(np.abs(paid.mean(axis=0) - value) < 4.0 * error)


@pytest.mark.parametrize("variance", [0.0, 1e-4, 0.02, 1.5])
def test_one_step_keeps_the_moments_of_the_square_root_process(variance: float) -> None:
    law = Bates(reversion=3.0, volatility=1.5, correlation=-0.7, mean=(0.2,))
    paths = Paths(regime=np.zeros(N, dtype=np.int64), log_price=np.zeros((N, 1)), variance=np.full((N, 1), variance))
    later = step(Market(laws=(law,)), paths, 24.0, np.random.default_rng(5))
    fade = np.exp(-3.0 / 365.0)
    mean = 0.2 + (variance - 0.2) * fade
    spread = 1.5**2 / 3.0 * (1.0 - fade) * (variance * fade + 0.1 * (1.0 - fade))
    assert np.all(later.variance >= 0.0)
    assert later.variance.mean() == pytest.approx(mean, abs=5.0 * np.sqrt(spread / N))
    assert later.variance.std() == pytest.approx(np.sqrt(spread), rel=0.05)
    gross = np.exp(later.log_price)
    assert gross.mean() == pytest.approx(1.0, abs=5.0 * gross.std() / np.sqrt(N) + 1e-12)


def test_regimes_follow_their_chain() -> None:
    later = ahead(MARKET, many(0), hours=72.0, rng=np.random.default_rng(6), step_hours=6.0)
    share = 8.0 / 53.0 * (1.0 - np.exp(-53.0 * 72.0 / 8760.0))
    assert later.regime.mean() == pytest.approx(share, abs=5.0 * np.sqrt(share / N))


def test_underlyings_move_together_and_against_their_variance() -> None:
    calm = replace(LAW, jump_rate=(0.0, 0.0))
    before = many(0)
    later = step(Market(laws=(calm, calm), across=0.8), before, 0.5, np.random.default_rng(8))
    moves = np.concatenate([later.log_price - before.log_price, later.variance - before.variance], axis=1)
    found = np.corrcoef(moves.T)
    assert found[0, 1] == pytest.approx(0.8, abs=0.02)
    assert found[2, 3] == pytest.approx(0.8, abs=0.02)
    assert found[0, 2] == pytest.approx(-0.4, abs=0.02)


def test_same_seed_same_bytes_and_any_instant_can_be_gone_on_from() -> None:
    one = start(MARKET, np.array([100.0, 10.0]))
    first = ahead(MARKET, one, hours=6.0, rng=np.random.default_rng(1))
    again = ahead(MARKET, one, hours=6.0, rng=np.random.default_rng(1))
    assert first.log_price.tobytes() == again.log_price.tobytes()
    rng = np.random.default_rng(1)
    in_parts = ahead(MARKET, ahead(MARKET, one, hours=2.0, rng=rng), hours=4.0, rng=rng)
    assert in_parts.variance.tobytes() == first.variance.tobytes()
    assert ahead(MARKET, one, hours=0.0, rng=rng) is one
    assert first.repeated(3).variance.shape == (3, 2)


def test_refusals() -> None:
    with pytest.raises(ConfigError, match="must be the same"):
        Market(laws=(LAW, replace(LAW, leave=(1.0, 2.0))))
    with pytest.raises(ConfigError, match=r"own_jumps 1\.5 must lie"):
        Market(laws=(LAW,), own_jumps=1.5)
    with pytest.raises(ConfigError, match="across"):
        Market(laws=(LAW,), across=np.nan)
    with pytest.raises(ConfigError, match="at least one"):
        Market(laws=())
    with pytest.raises(InputError, match="positive prices"):
        start(MARKET, np.array([100.0]))
    with pytest.raises(InputError, match="hours nan"):
        ahead(MARKET, many(0, n=2), hours=np.nan, rng=np.random.default_rng(1))
    with pytest.raises(InputError, match="do not fit"):
        step(Market(laws=(LAW,)), many(0, n=2), 1.0, np.random.default_rng(1))
    with pytest.raises(InputError, match="at least 0"):
        many(0, variance=np.nan, n=2)
