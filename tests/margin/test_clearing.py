"""Margin pair by pair, compressed and central, against the slow engine; consent; when clearing pays."""

from collections.abc import Callable
from math import fsum

import numpy as np
import pytest

from greekdrift.book import Account, Chain, Position, RuleSet
from greekdrift.config import load_rules
from greekdrift.errors import BookError, InputError
from greekdrift.margin import naive_engine
from greekdrift.margin.clearing import bilateral_exposure, cleared_exposure, fewest_participants, multilateral
from greekdrift.margin.compression import nets

MakeChain = Callable[..., Chain]
NAMES = ("BTC-PERPETUAL", "BTC-31JAN26-115000-C", "BTC-31JAN26-85000-P")
SIDES = ("a", "b", "c", "d")


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rules("derive_pm2")


@pytest.fixture(scope="module")
def chain(make_chain: MakeChain) -> Chain:
    return make_chain()


def network(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    gross = np.round(random.exponential(10.0, size=(3, 4, 4))) * (random.random((3, 4, 4)) < 0.7)
    gross[0] *= 500.0
    gross[:, np.arange(4), np.arange(4)] = 0.0
    return gross


def need(chain: Chain, rules: RuleSet, quantities: np.ndarray) -> float:
    lines = tuple(Position.of(name, float(n)) for name, n in zip(NAMES, quantities, strict=True) if n != 0.0)
    account = Account(account_id="x", collateral={}, positions=lines)
    return naive_engine.requirement(chain, account, rules).initial_margin_usd


@pytest.mark.parametrize("is_conservative", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_three_ways_to_net_by_the_slow_engine(chain: Chain, rules: RuleSet, seed: int, is_conservative: bool) -> None:
    gross = network(seed)
    found = multilateral(chain, rules, gross, participants=SIDES, instruments=NAMES, is_conservative=is_conservative)
    for at in range(4):
        for network_of, figures in ((gross, found.bilateral_usd), (found.after, found.compressed_usd)):
            pairs = [need(chain, rules, network_of[:, at, other] - network_of[:, other, at]) for other in range(4)]
            assert figures[at] == pytest.approx(fsum(pairs), rel=1e-10, abs=1e-6)
        assert found.central_usd[at] == pytest.approx(need(chain, rules, nets(gross)[:, at]), rel=1e-10, abs=1e-6)
    assert np.all(found.compressed_usd <= found.bilateral_usd * (1.0 + 1e-8) + 1e-6)
    np.testing.assert_allclose(nets(found.after), nets(gross), atol=1e-7)
    assert found.freed_by_compression_usd >= -1e-6


def test_consent_lets_a_requirement_rise_for_the_good_of_all(chain: Chain, rules: RuleSet) -> None:
    kept = [
        (seed, found)
        for seed in range(40)
        if (
            found := multilateral(
                chain, rules, network(seed), participants=SIDES, instruments=NAMES, is_conservative=False
            )
        ).kept
    ]
    assert kept, "no network in which compression would hurt anybody: the test says nothing"
    for seed, found in kept[:3]:
        free = multilateral(
            chain, rules, network(seed), participants=SIDES, instruments=NAMES, is_conservative=False, consents=SIDES
        )
        assert free.kept == ()
        assert free.after.sum() <= found.after.sum() + 1e-6
        for name in found.kept:
            at = SIDES.index(name)
            np.testing.assert_array_equal(found.after[:, at, :], found.gross[:, at, :])


def test_closed_forms_are_expectations_of_drawn_exposures() -> None:
    random = np.random.default_rng(1)
    count, classes, deviation = 6, 3, 2.0
    drawn = random.normal(scale=deviation, size=(200_000, count - 1, classes))
    bilateral = np.maximum(drawn.sum(axis=2), 0.0).sum(axis=1).mean()
    central = np.maximum(drawn[:, :, 1:].sum(axis=2), 0.0).sum(axis=1) + np.maximum(drawn[:, :, 0].sum(axis=1), 0.0)
    assert bilateral == pytest.approx(bilateral_exposure(count, classes, deviation=deviation), rel=0.01)
    assert central.mean() == pytest.approx(cleared_exposure(count, classes, deviation=deviation), rel=0.01)


@pytest.mark.parametrize("classes", range(1, 12))
def test_clearing_pays_exactly_from_the_fewest_participants_on(classes: int) -> None:
    fewest = fewest_participants(classes)
    for count in range(2, 3 * fewest):
        pays = cleared_exposure(count, classes) < bilateral_exposure(count, classes) - 1e-12
        assert pays == (count >= fewest)


def test_bad_input_is_refused(chain: Chain, rules: RuleSet) -> None:
    with pytest.raises(BookError, match="trades of shape"):
        multilateral(chain, rules, np.zeros((1, 2, 2)), participants=SIDES, instruments=NAMES)
    with pytest.raises(InputError, match="two participants"):
        bilateral_exposure(1, 1)
