"""Both laws answer what the source of simulated chains asks, alike."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from greekdrift.market.bates_world import BTC, BatesLaw, BatesWorld
from greekdrift.market.law import Law
from greekdrift.market.listing import coin_expiries
from greekdrift.market.world import DEFAULT_PRICE, PRICES, SsviWorld, World, opening
from greekdrift.surface.state import FACTORS

START = datetime(2025, 3, 6, 4, tzinfo=UTC)
NAMES = ("BTC", "ETH")
WORLDS = {
    "ssvi": SsviWorld(Law(), NAMES),
    "bates": BatesWorld(BatesLaw(laws={"BTC": BTC, "ETH": BTC}), NAMES, start=START, days=30.0),
}


@pytest.mark.parametrize("name", WORLDS)
def test_smiles_outlook_and_values_say_the_same(name: str) -> None:
    world: World = WORLDS[name]
    moment = START + timedelta(hours=9)
    hidden = world.later(world.start(), START, 18, np.random.default_rng(1))
    values, index = world.values(hidden, moment), world.index(hidden)
    assert values.shape == (1, 2, len(FACTORS))
    np.testing.assert_allclose(np.exp(values[..., 0]), index, rtol=1e-12)
    for u in range(2):
        for expiry in coin_expiries(moment):
            smile = world.smile(hidden, u, moment, expiry)
            forward, deviation = world.outlook([hidden], u, [moment], expiry)
            assert smile.forward == pytest.approx(forward[0], rel=1e-12)
            assert smile.deviation == pytest.approx(deviation[0], rel=1e-9)
            at_money = float(smile.volatility(np.zeros(1))[0]) * np.sqrt(smile.time_to_expiry)
            assert at_money == pytest.approx(smile.deviation, rel=1e-9)


@pytest.mark.parametrize("name", WORLDS)
def test_steps_add_up_and_paths_are_repeated(name: str) -> None:
    world: World = WORLDS[name]
    rng = np.random.default_rng(2)
    halves = world.later(world.later(world.start(), START, 5, rng), START + timedelta(hours=2.5), 7, rng)
    whole = world.later(world.start(), START, 12, np.random.default_rng(2))
    np.testing.assert_array_equal(world.index(halves), world.index(whole))
    assert world.index(whole.repeated(3)).shape == (3, 2)


def test_opening_prices() -> None:
    np.testing.assert_array_equal(opening(("ETH", "XYZ")), [PRICES["ETH"], DEFAULT_PRICE])
