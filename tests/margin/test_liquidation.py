"""Prices of liquidation and call: all of them, against moved chains and a brute search."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greekdrift.book import Account, Chain, Position, RuleSet, Scenarios
from greekdrift.config import load_rules
from greekdrift.errors import CalculationError, InputError
from greekdrift.margin import naive
from greekdrift.margin.liquidation import liquidation, zeros
from greekdrift.margin.standing import increments_of, response_of, standing
from greekdrift.surface import FACTORS, Surface
from greekdrift.surface.fit import fit
from greekdrift.surface.scenario import move

MakeChain = Callable[..., Chain]
STRANGLE = (("BTC-31JAN26-115000-C", -20.0), ("BTC-31JAN26-85000-P", -20.0))


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rules("derive_pm2")


@pytest.fixture(scope="module")
def market(make_chain: MakeChain) -> tuple[Chain, Surface]:
    chain = make_chain()
    return chain, fit(chain)


def account_of(*lines: tuple[str, float], **collateral: float) -> Account:
    return Account(account_id="a", collateral=collateral, positions=tuple(Position.of(*line) for line in lines))


def health_of_moved_chain(market: tuple[Chain, Surface], account: Account, rules: RuleSet, x: float, slope: float):
    """Health by a chain that is really moved, and what inverse lines pay until then."""
    chain, surface = market
    increments = np.zeros((1, len(FACTORS)))
    increments[0, FACTORS.index("forward")] = x
    increments[0, [at for at, name in enumerate(FACTORS) if name.startswith("atm")]] = slope * x
    then = move(chain, surface, increments, 0.0, ["BTC"])
    collateral = dict(account.collateral)
    for position in account.positions:
        if position.instrument.is_inverse and not position.instrument.is_option:
            row = chain.row_of[position.instrument.name]
            before, after = chain.forward[row], then.forward[then.row_of[position.instrument.name]]
            paid = position.quantity * chain.contract_size[row] * (1.0 / before - 1.0 / after)
            collateral["BTC"] = collateral.get("BTC", 0.0) + paid
    result = naive.requirement(then, replace(account, collateral=collateral), rules)
    return result.excess_usd, result.equity_usd - result.maintenance_margin_usd


@pytest.mark.parametrize("slope", [0.0, -0.8])
def test_health_is_that_of_a_chain_moved_by_hand(market: tuple[Chain, Surface], rules: RuleSet, slope: float) -> None:
    account = account_of(*STRANGLE, ("BTC-PERPETUAL", 5e4), ("BTC-31JAN26", -2e4), BTC=5.0, USDC=5e5)
    chain, surface = market
    x = np.array([-0.5, -0.1, 0.0, 0.2, 0.7])
    response = {name: slope for name in FACTORS if name.startswith("atm")}
    moved = increments_of({"BTC": x}, ("BTC",), {"BTC": response})
    found = standing(chain, account, rules, surface=surface, increments=moved, underlyings=("BTC",))
    for at, point in enumerate(x):
        initial, maintenance = health_of_moved_chain(market, account, rules, float(point), slope)
        assert found.initial_health[at] == pytest.approx(initial, rel=1e-9, abs=1e-4)
        assert found.maintenance_health[at] == pytest.approx(maintenance, rel=1e-9, abs=1e-4)


def test_a_short_strangle_dies_on_both_sides(market: tuple[Chain, Surface], rules: RuleSet) -> None:
    chain, surface = market
    account = account_of(*STRANGLE, USDC=8e5)
    found = liquidation(chain, account, rules, surface=surface, underlying="BTC")
    assert [one.direction for one in found.of("liquidation")] == ["falling", "rising"]
    (below, above), (call_below, call_above) = found.nearest("liquidation"), found.nearest("call")
    assert below is not None
    assert above is not None
    assert call_below is not None
    assert call_above is not None
    assert below.price_usd < call_below.price_usd < found.spot_usd < call_above.price_usd < above.price_usd
    for one in found.crossings:
        x = float(np.log(one.price_usd / found.spot_usd))
        pair = health_of_moved_chain(market, account, rules, x, 0.0)
        assert abs(pair[one.kind == "liquidation"]) < 1e-3


def test_health_that_comes_back_gives_more_than_two_prices(market: tuple[Chain, Surface], rules: RuleSet) -> None:
    """Short near calls under long far ones: harm between, none far above."""
    chain, surface = market
    account = account_of(("BTC-31JAN26-115000-C", -10.0), ("BTC-31JAN26-130000-C", 14.0), USDC=7e4)
    found = liquidation(chain, account, rules, surface=surface, underlying="BTC")
    directions = [one.direction for one in found.of("liquidation")]
    assert "rising" in directions
    assert "falling" in directions
    rising = min(one.price_usd for one in found.of("liquidation") if one.direction == "rising")
    falling = max(one.price_usd for one in found.of("liquidation") if one.direction == "falling")
    assert found.spot_usd < rising < falling


@settings(max_examples=12)
@given(seed=st.integers(0, 10_000), cash=st.floats(1e4, 2e6))
def test_no_crossing_of_a_random_book_is_missed(
    market: tuple[Chain, Surface], rules: RuleSet, seed: int, cash: float
) -> None:
    """A grid sixteen times as fine sees no change of sign that is not told, and nothing else is told."""
    chain, surface = market
    random = np.random.default_rng(seed)
    options = np.flatnonzero(chain.is_option)
    lines = [
        (chain.instruments[row].name, float(random.normal(scale=8.0)))
        for row in random.choice(options, 5, replace=False)
    ]
    account = account_of(*lines, BTC=float(random.normal()), USDC=cash)
    found = liquidation(chain, account, rules, surface=surface, underlying="BTC", points=101)
    fine = np.linspace(np.log(0.3), np.log(3.0), 1601)
    moved = increments_of({"BTC": fine}, ("BTC",), {})
    there = standing(chain, account, rules, surface=surface, increments=moved, underlyings=("BTC",))
    for kind, values in (("call", there.initial_health), ("liquidation", there.maintenance_health)):
        prices = np.array([one.price_usd for one in found.crossings if one.kind == kind])
        places = np.log(prices / found.spot_usd)
        changes = np.flatnonzero((values[:-1] >= 0.0) != (values[1:] >= 0.0))
        inside = [int(np.sum((places >= fine[at]) & (places <= fine[at + 1]))) for at in changes]
        assert all(count % 2 == 1 for count in inside)
        elsewhere = np.setdiff1d(np.arange(fine.size - 1), changes)
        for at in elsewhere:
            within = [one for one in found.of(kind) if fine[at] < np.log(one.price_usd / found.spot_usd) < fine[at + 1]]
            assert len([one for one in within if one.direction != "touching"]) % 2 == 0


def test_crossings_and_touches_between_two_points_of_the_grid_are_found() -> None:
    grid = np.linspace(-1.0, 1.0, 41)

    def touching(x: np.ndarray) -> np.ndarray:
        return np.abs(x - 0.0137)

    def dipping(x: np.ndarray) -> np.ndarray:
        return np.abs(x - 0.0137) - 1e-7

    assert [(round(x, 9), *sides) for x, *sides in zeros(touching, grid, touching(grid))] == [(0.0137, True, True)]
    assert [(round(x, 9), *sides) for x, *sides in zeros(dipping, grid, dipping(grid))] == [
        (0.0136999, True, False),
        (0.0137001, False, True),
    ]
    assert zeros(lambda x: touching(x) + 1e-3, grid, touching(grid) + 1e-3) == []


def test_what_lies_at_zero_everywhere_has_no_price(market: tuple[Chain, Surface], rules: RuleSet) -> None:
    chain, surface = market
    found = liquidation(chain, account_of(USDC=1e5, BTC=0.1), rules, surface=surface, underlying="BTC")
    assert found.crossings == ()
    grid = np.linspace(-1.0, 1.0, 41)
    with pytest.raises(CalculationError, match="lies at 0"):
        zeros(lambda x: np.maximum(x, 0.0), grid, np.maximum(grid, 0.0))


def test_the_response_of_a_forecast_is_its_regression(market: tuple[Chain, Surface]) -> None:
    chain, _ = market
    random = np.random.default_rng(1)
    increments = 0.01 * random.normal(size=(400, 1, 1, len(FACTORS)))
    increments[..., 3] = -1.5 * increments[..., 0] + 0.3
    scenarios = Scenarios(
        underlyings=("BTC",), factors=FACTORS, horizons=np.array([24.0]), increments=increments,
        weights=np.full(400, 1.0 / 400), as_of=chain.as_of, known_at=chain.known_at, provenance="t",
    )  # fmt: skip
    found = response_of(scenarios, "BTC", hours=24.0)
    assert found[FACTORS[3]] == pytest.approx(-1.5)
    slope = np.polyfit(increments[:, 0, 0, 0], increments[:, 0, 0, 7], 1)[0]
    assert found[FACTORS[7]] == pytest.approx(slope)
    with pytest.raises(InputError, match="no horizon of 6 hours"):
        response_of(scenarios, "BTC", hours=6.0)
    with pytest.raises(InputError, match="known: BTC"):
        response_of(scenarios, "XRP", hours=24.0)


def test_bad_input_is_refused_by_name(market: tuple[Chain, Surface], rules: RuleSet) -> None:
    chain, surface = market
    account = account_of(*STRANGLE, USDC=1e5)
    with pytest.raises(InputError, match="low below high"):
        liquidation(chain, account, rules, surface=surface, underlying="BTC", low=2.0, high=1.0)
    with pytest.raises(InputError, match='"SOL" has no index price'):
        liquidation(chain, account, rules, surface=surface, underlying="SOL")
    with pytest.raises(InputError, match="did you mean"):
        liquidation(chain, account, rules, surface=surface, underlying="BTC", response={"atm_31": -1.0})
    with pytest.raises(InputError, match="is not a number"):
        liquidation(chain, account, rules, surface=surface, underlying="BTC", response={"atm_30": np.nan})
