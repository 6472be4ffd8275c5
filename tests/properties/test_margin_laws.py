"""What every packaged rule set declares, and the acceptance properties of margin, on many random books at once.

A rule set gets the books that it has numbers for: coin-settled, dollar-settled, or both. Each law sees `PORTFOLIOS`
books, drawn from one seed: hundreds by default, a hundred thousand and more over all laws with `make properties`.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy import ndarray

from greekdrift.book import Account, Chain, Position, RuleSet
from greekdrift.config import load_rules
from greekdrift.config.facts import names
from greekdrift.errors import BookError, ChainError
from greekdrift.margin import engine, naive_engine

PORTFOLIOS = int(os.environ.get("GREEKDRIFT_PORTFOLIOS", "500"))
BATCH = 2_000
LOT = 1e-12
DAY = timedelta(days=1)

MakeChain = Callable[..., Chain]


@dataclass(frozen=True, kw_only=True, eq=False)
class World:
    """A rule set, a chain, the rows that it has numbers for, and a source of random books on them."""

    rules: RuleSet
    chain: Chain
    rows: ndarray
    has_coins: bool

    def books(self, random: np.random.Generator, count: int, *, lines: int = 9) -> tuple[ndarray, ndarray]:
        """Signed contracts (account, row) of sizes from small to beyond every threshold, and BTC of collateral."""
        weights = np.zeros((count, len(self.rows)))
        chosen = random.random(weights.shape).argsort(axis=1)[:, : random.integers(1, lines + 1)]
        size = 10.0 ** random.uniform(-1.0, 3.0, size=(count, 1)) * random.normal(size=chosen.shape)
        np.put_along_axis(weights, chosen, size, axis=1)
        is_dollars = self.chain.is_inverse[self.rows] & ~self.chain.is_option[self.rows]
        coins = random.normal(size=count) * 10.0 if self.has_coins else np.zeros(count)
        return weights * np.where(is_dollars, 1e4, 1.0), coins

    def margins(self, weights: ndarray, coins: ndarray, *, chain: Chain | None = None) -> tuple[ndarray, ndarray]:
        """Initial and maintenance margin of the books."""
        held = {"BTC": coins} if self.has_coins else {}
        return engine.requirements(chain or self.chain, weights, self.rules, rows=self.rows, coins=held)

    def scale(self, weights: ndarray, coins: ndarray) -> ndarray:
        """Gross notional of books, what rounding is relative to."""
        price = self.chain.index_price["BTC"]
        in_coins = self.chain.is_option[self.rows] | ~self.chain.is_inverse[self.rows]
        unit = self.chain.contract_size[self.rows] * np.where(in_coins, price, 1.0)
        return 1.0 + np.abs(weights) @ unit + np.abs(coins) * price


def world(rules: RuleSet, chain: Chain, *, has_spot: bool = False) -> World | None:
    """The part of a chain that a rule set has numbers for; None where it has none."""
    rows = []
    for row, instrument in enumerate(chain.instruments):
        if chain.is_spot[row] and not has_spot:
            continue
        account = Account(account_id="a", collateral={}, positions=(Position(instrument=instrument, quantity=1.0),))
        try:
            engine.requirement(chain, account, rules)
        except BookError:
            continue
        rows.append(row)
    try:
        engine.requirement(chain, Account(account_id="a", collateral={"BTC": 1.0}, positions=()), rules)
        has_coins = True
    except BookError:
        has_coins = False
    return World(rules=rules, chain=chain, rows=np.array(rows), has_coins=has_coins) if rows else None


WORLDS = [(name, currency) for name in names("rules") for currency in ("", "USDC")]


@pytest.fixture(scope="module", params=WORLDS, ids=lambda one: f"{one[0]}-{one[1] or 'coin'}")
def place(request: pytest.FixtureRequest, make_chain: MakeChain) -> World:
    name, currency = request.param
    found = world(load_rules(name), make_chain(currency=currency, days=(1.0, 9.0, 91.0)))
    if found is None:
        pytest.skip("the rule set has no numbers for such contracts")
    return found


def batches(seed: int) -> list[tuple[np.random.Generator, int]]:
    random = np.random.default_rng(seed)
    counts = [min(BATCH, PORTFOLIOS - start) for start in range(0, PORTFOLIOS, BATCH)]
    return [(random, count) for count in counts]


def test_1_initial_margin_is_at_least_maintenance_margin_and_that_at_least_zero(place: World) -> None:
    for random, count in batches(1):
        weights, coins = place.books(random, count)
        initial, maintenance = place.margins(weights, coins)
        rounding = LOT * place.scale(weights, coins)
        assert np.all(np.isfinite(initial))
        assert np.all(initial >= maintenance - rounding)
        assert np.all(maintenance >= -rounding)


def test_2_homogeneous_where_declared(place: World) -> None:
    if not place.rules.is_homogeneous:
        pytest.skip("not declared; counterexample in docs/margin.md")
    for random, count in batches(2):
        weights, coins = place.books(random, count)
        factor = 10.0 ** random.uniform(-2.0, 2.0, size=count)
        for one, other in zip(
            place.margins(weights, coins), place.margins(weights * factor[:, None], coins * factor), strict=True
        ):
            assert np.all(np.abs(other - factor * one) <= LOT * factor * place.scale(weights, coins) + 1e-11 * other)


def test_2_subadditive_where_declared(place: World) -> None:
    if not place.rules.is_subadditive:
        pytest.skip("not declared; counterexample in docs/margin.md")
    for random, count in batches(3):
        (weights, coins), (more, coins_more) = place.books(random, count), place.books(random, count)
        together = place.margins(weights + more, coins + coins_more)
        apart = zip(place.margins(weights, coins), place.margins(more, coins_more), strict=True)
        rounding = LOT * (place.scale(weights, coins) + place.scale(more, coins_more))
        for one, parts in zip(together, apart, strict=True):
            assert np.all(one <= parts[0] + parts[1] + rounding)


def test_2_convex_where_declared(place: World) -> None:
    if not place.rules.is_convex:
        pytest.skip("not declared; counterexample in docs/margin.md")
    for random, count in batches(4):
        (weights, coins), (more, coins_more) = place.books(random, count), place.books(random, count)
        share = random.random(count)
        mixed = place.margins(
            share[:, None] * weights + (1.0 - share)[:, None] * more, share * coins + (1.0 - share) * coins_more
        )
        rounding = LOT * (place.scale(weights, coins) + place.scale(more, coins_more))
        ends = zip(place.margins(weights, coins), place.margins(more, coins_more), strict=True)
        for one, (first, last) in zip(mixed, ends, strict=True):
            assert np.all(one <= share * first + (1.0 - share) * last + rounding)


def test_3_and_9_legs_of_one_instrument_are_one_and_their_order_does_not_matter(place: World) -> None:
    random = np.random.default_rng(5)
    for _ in range(10):
        weights, coins = place.books(random, 1)
        order = random.permutation(len(place.rows))
        held = {"BTC": coins} if place.has_coins else {}
        turned = engine.requirements(place.chain, weights[:, order], place.rules, rows=place.rows[order], coins=held)
        for one, other in zip(place.margins(weights, coins), turned, strict=True):
            assert other == pytest.approx(one, rel=1e-12, abs=LOT * float(place.scale(weights, coins)[0]))
        doubled = engine.requirements(
            place.chain,
            np.concatenate([0.25 * weights, 0.75 * weights], axis=1),
            place.rules,
            rows=np.concatenate([place.rows, place.rows]),
            coins=held,
        )
        if place.rules.is_homogeneous:
            for one, other in zip(place.margins(weights, coins), doubled, strict=True):
                assert other == pytest.approx(one, rel=1e-11, abs=LOT * float(place.scale(weights, coins)[0]))


def test_4_a_long_option_alone_loses_at_most_its_value_in_any_scenario(place: World) -> None:
    """But for the net-portfolio form's skew scenarios, which charge a turn of the smile either way."""
    options = [row for row in place.rows if place.chain.is_option[row]]
    for row in options:
        instrument = place.chain.instruments[row]
        account = Account(account_id="a", collateral={}, positions=(Position(instrument=instrument, quantity=3.0),))
        result = engine.requirement(place.chain, account, place.rules)
        unit = place.chain.index_price["BTC"] if place.chain.is_inverse[row] else 1.0
        value = 3.0 * place.chain.mark[row] * unit * place.chain.contract_size[row]
        losses = [-pnl for label, pnl in result.scenario_pnl.items() if "skew" not in label]
        assert max(losses, default=0.0) <= value * (1.0 + 1e-9) + 1e-6, instrument.name


def test_7_continuous_through_thirty_days(place: World, make_chain: MakeChain) -> None:
    """No jump where the power of the volatility law changes, nor anywhere near it."""
    weights, coins = place.books(np.random.default_rng(7), 40)
    start = datetime(2026, 1, 1, 8, tzinfo=UTC)
    currency = "USDC" if np.any(~place.chain.is_inverse[place.rows]) else ""
    base = make_chain(currency=currency, days=(30.0, 60.0, 91.0), as_of=start)
    assert len(base) == len(place.chain)
    sides = [replace(base, as_of=at, known_at=at) for at in (start - DAY / 86_400, start + DAY / 86_400)]
    before, after = (place.margins(weights, coins, chain=chain)[0] for chain in sides)
    assert after == pytest.approx(before, rel=1e-4, abs=1e-6 * float(place.scale(weights, coins).max()))


def test_8_what_has_expired_moves_no_more_and_what_is_unknown_fails(place: World, make_chain: MakeChain) -> None:
    if not np.any(place.chain.is_option[place.rows]):
        pytest.skip("the rule set has no numbers for such options")
    currency = "USDC" if np.any(~place.chain.is_inverse[place.rows]) else ""
    chain = make_chain(currency=currency, days=(0.0, 9.0))
    ended = [row for row in range(len(chain)) if chain.is_option[row] and chain.time_to_expiry[row] == 0.0]
    positions = tuple(Position(instrument=chain.instruments[row], quantity=5.0) for row in ended)
    account = Account(account_id="a", collateral={"USDC": 10.0}, positions=positions)
    result = engine.requirement(chain, account, place.rules)
    intrinsic = sum(5.0 * max(chain.forward[r] - chain.strike[r], 0.0) for r in ended if chain.is_call[r])
    intrinsic += sum(5.0 * max(chain.strike[r] - chain.forward[r], 0.0) for r in ended if not chain.is_call[r])
    assert result.equity_usd - 10.0 == pytest.approx(intrinsic * (chain.index[0] / chain.forward[0]), rel=1e-9)
    assert max(map(abs, result.scenario_pnl.values()), default=0.0) <= 1e-6
    stranger = replace(account, positions=(Position.of("BTC-25DEC37-1000-C", 1.0),))
    for door in (engine, naive_engine):
        with pytest.raises(ChainError, match="not listed"):
            door.requirement(chain, stranger, place.rules)


def test_both_doors_agree(place: World) -> None:
    random = np.random.default_rng(9)
    for _ in range(6):
        weights, coins = place.books(random, 1)
        positions = tuple(
            Position(instrument=place.chain.instruments[row], quantity=float(n))
            for row, n in zip(place.rows, weights[0], strict=True)
            if n != 0.0
        )
        collateral = {"USDC": 1e5, **({"BTC": float(coins[0])} if place.has_coins else {})}
        account = Account(account_id="a", collateral=collateral, positions=positions)
        fast = engine.requirement(place.chain, account, place.rules)
        slow = naive_engine.requirement(place.chain, account, place.rules)
        close = {"rel": 1e-9, "abs": 1e-11 * float(place.scale(weights, coins)[0])}
        for name in ("initial_margin_usd", "maintenance_margin_usd", "equity_usd"):
            assert getattr(fast, name) == pytest.approx(getattr(slow, name), **close), name
        assert dict(fast.scenario_pnl) == pytest.approx(dict(slow.scenario_pnl), **close)
        batch = place.margins(weights, coins)
        assert batch[0][0] == pytest.approx(fast.initial_margin_usd, **close)


def test_enough_portfolios_are_tried() -> None:
    """At least 2,000 books in the ordinary run and 100,000 with `make properties`: the first law alone sees so many."""
    tried = PORTFOLIOS * len(names("rules"))
    assert tried >= (100_000 if PORTFOLIOS >= 10_000 else 2_000)
