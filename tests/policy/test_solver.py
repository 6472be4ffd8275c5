"""The interior-point method against two independent solvers and against its own optimality conditions."""

import cvxpy as cp
import numpy as np
import pytest
from scipy.optimize import linprog

from greekdrift.errors import InputError
from greekdrift.policy.solver import Hinges, Limits, Programme, solve


def made(seed, *, n=12, scenarios=40, bands=4, impact=0.3, rows=3):
    """A random hedge problem."""
    draw = np.random.default_rng(seed)
    per = scenarios
    base, book = draw.normal(size=(bands, n)), draw.normal(size=bands) * 3.0
    slope = np.concatenate(
        [base[k] * (1 + 0.2 * draw.normal(size=(per, 1))) + 0.1 * draw.normal(size=(per, n)) for k in range(bands)]
    )
    start = np.concatenate([book[k] + draw.normal(size=per) for k in range(bands)])
    cost = np.abs(draw.normal(size=n)) * 20 + 10
    lower, upper = -draw.uniform(0, 3, n) * (draw.random(n) < 0.8), draw.uniform(0, 3, n) * (draw.random(n) < 0.8)
    matrix, bound = draw.normal(size=(rows, n)), np.abs(draw.normal(size=rows)) * (draw.random(rows) < 0.7)
    ones = np.ones(start.size)
    return Programme(
        buy_cost=cost,
        sell_cost=1.1 * cost,
        impact=impact * cost,
        lower=lower,
        upper=upper,
        hinges=Hinges(slope=slope, start=start, floor=-ones, ceiling=ones, price=1000.0 / per * ones),
        limits=Limits.together(
            [
                Limits.signed(matrix, bound),
                Limits(bought=cost[None], sold=1.1 * cost[None], bound=np.array([150.0])),
            ]
        ),
    )


def cone_optimum(at):
    """Optimum by Clarabel through cvxpy, on the epigraph with power cones."""
    n = at.buy_cost.size
    bought, sold = cp.Variable(n, nonneg=True), cp.Variable(n, nonneg=True)
    value = at.hinges.start + at.hinges.slope @ (bought - sold)
    outside = cp.maximum(at.hinges.floor - value, value - at.hinges.ceiling, 0)
    cost = at.buy_cost @ bought + at.sell_cost @ sold + at.impact @ (cp.power(bought, 1.5) + cp.power(sold, 1.5))
    rows = at.limits.bought @ bought + at.limits.sold @ sold <= at.limits.bound
    problem = cp.Problem(cp.Minimize(cost + at.hinges.price @ outside), [bought <= at.upper, sold <= -at.lower, rows])
    return problem.solve(solver=cp.CLARABEL)


def linear_optimum(at):
    """Optimum without impact by HiGHS on the epigraph."""
    n, m = at.buy_cost.size, at.hinges.start.size
    hinges, limits = at.hinges, at.limits
    below = np.hstack([hinges.slope, -hinges.slope, -np.eye(m)])
    above = np.hstack([-hinges.slope, hinges.slope, -np.eye(m)])
    rows = np.hstack([limits.bought, limits.sold, np.zeros((limits.bound.size, m))])
    bound = np.concatenate([hinges.ceiling - hinges.start, hinges.start - hinges.floor, limits.bound])
    sizes = [*zip(np.zeros(n), at.upper, strict=True), *zip(np.zeros(n), -at.lower, strict=True)]
    cost = np.concatenate([at.buy_cost, at.sell_cost, hinges.price])
    return linprog(cost, A_ub=np.vstack([below, above, rows]), b_ub=bound, bounds=[*sizes, *[(0, None)] * m]).fun


@pytest.mark.parametrize("seed", range(8))
def test_equals_the_linear_optimum_without_impact(seed):
    at = made(seed, impact=0.0)
    found = solve(at)
    assert found.objective == pytest.approx(linear_optimum(at), rel=1e-5)
    assert at.limits.are_kept(found.trade, tolerance=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_equals_the_cone_optimum_with_impact(seed):
    at = made(seed)
    assert solve(at).objective == pytest.approx(cone_optimum(at), rel=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_contract_sizes_do_not_matter(seed):
    """The same problem in contracts of other sizes has the same objective (perpetual 10 USD, option 1 coin)."""
    at = made(seed, scenarios=20)
    plain = solve(at)
    factor = 10.0 ** np.linspace(-4, 4, at.buy_cost.size)
    scaled = Programme(
        buy_cost=at.buy_cost * factor,
        sell_cost=at.sell_cost * factor,
        impact=at.impact * factor**1.5,
        lower=at.lower / factor,
        upper=at.upper / factor,
        hinges=Hinges(
            slope=at.hinges.slope * factor,
            start=at.hinges.start,
            floor=at.hinges.floor,
            ceiling=at.hinges.ceiling,
            price=at.hinges.price,
        ),
        limits=Limits(bought=at.limits.bought * factor, sold=at.limits.sold * factor, bound=at.limits.bound),
    )
    found = solve(scaled)
    assert found.objective == pytest.approx(plain.objective, rel=1e-6)
    assert scaled.limits.are_kept(found.trade, tolerance=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_a_large_problem_converges_and_beats_random_trades(seed):
    at = made(seed, n=40, scenarios=300, bands=6)
    found = solve(at)
    assert found.gap < 1e-6
    assert found.steps < 60
    draw = np.random.default_rng(seed)
    nearby = np.clip(found.trade + 0.05 * draw.normal(size=(2000, 40)), at.lower, at.upper)
    kept = [trade for trade in nearby if at.limits.are_kept(trade)]
    assert found.objective <= min(at.objective(np.array([np.zeros(40), *kept]))) + 1e-6 * found.objective


def test_the_same_programme_gives_the_same_bytes():
    assert solve(made(3)).trade.tobytes() == solve(made(3)).trade.tobytes()


def test_a_book_inside_its_band_trades_nothing():
    at = made(1)
    calm = Hinges(
        slope=at.hinges.slope,
        start=0.0 * at.hinges.start,
        floor=at.hinges.floor,
        ceiling=at.hinges.ceiling,
        price=at.hinges.price,
    )
    found = solve(
        Programme(
            buy_cost=at.buy_cost,
            sell_cost=at.sell_cost,
            impact=at.impact,
            lower=at.lower,
            upper=at.upper,
            hinges=calm,
            limits=at.limits,
        )
    )
    assert found.objective == 0.0
    assert not np.any(found.trade)


def test_trading_too_dear_trades_nothing():
    one = np.ones(1)
    hinges = Hinges(slope=np.ones((1, 1)), start=5.0 * one, floor=-one, ceiling=one, price=one)
    at = Programme(
        buy_cost=1.1 * one,
        sell_cost=1.1 * one,
        impact=0.0 * one,
        lower=-9.0 * one,
        upper=9.0 * one,
        hinges=hinges,
        limits=Limits.none(1),
    )
    assert abs(solve(at).trade[0]) < 1e-5
    assert solve(at).objective == pytest.approx(4.0)


def test_impact_follows_its_first_order_condition():
    """One instrument: 1.5 k √x + c = price where the hinge is active throughout, so x = ((p − c)/(1.5 k))²."""
    one = np.ones(1)
    at = Programme(
        buy_cost=0.1 * one,
        sell_cost=0.1 * one,
        impact=0.4 * one,
        lower=-50.0 * one,
        upper=50.0 * one,
        hinges=Hinges(slope=np.ones((1, 1)), start=-20.0 * one, floor=-one, ceiling=one, price=one),
        limits=Limits.none(1),
    )
    assert solve(at).trade[0] == pytest.approx(((1.0 - 0.1) / (1.5 * 0.4)) ** 2, rel=1e-4)


def test_what_cannot_be_a_programme_is_refused():
    at = made(0)
    with pytest.raises(InputError, match="broken by doing nothing"):
        Limits.signed(np.ones((1, 2)), np.array([-1.0]))
    with pytest.raises(InputError, match="leave room"):
        Programme(
            buy_cost=at.buy_cost,
            sell_cost=at.sell_cost,
            impact=at.impact,
            lower=at.lower + 5.0,
            upper=at.upper + 9.0,
            hinges=at.hinges,
            limits=at.limits,
        )
    with pytest.raises(InputError, match="never a gain"):
        Programme(
            buy_cost=-at.buy_cost,
            sell_cost=at.sell_cost,
            impact=at.impact,
            lower=at.lower,
            upper=at.upper,
            hinges=at.hinges,
            limits=at.limits,
        )


def test_a_programme_on_some_instruments_is_the_same_with_the_others_closed():
    at = made(2)
    kept = np.array([0, 3, 4, 7])
    closed = np.isin(np.arange(12), kept)
    same = Programme(
        buy_cost=at.buy_cost,
        sell_cost=at.sell_cost,
        impact=at.impact,
        lower=np.where(closed, at.lower, 0.0),
        upper=np.where(closed, at.upper, 0.0),
        hinges=at.hinges,
        limits=at.limits,
    )
    assert solve(at.on(kept)).objective == pytest.approx(solve(same).objective, rel=1e-6)
