"""Laws of position margin on random books: those that a rule set declares, and the ones that all keep."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Account, Chain, Position, RuleSet
from greekdrift.book.position_rules import MismatchTerms, PositionParameters, SizeTier, TierLaw
from greekdrift.config import load_rules
from greekdrift.margin import engine

Books = tuple[Float[ndarray, "account row"], Float[ndarray, " account"]]
"""Contracts of each row, and coins of collateral."""

COUNT = 200
"""Books of an example; with its 25 examples a law is tried on 5,000."""


def numbers(rules: RuleSet) -> PositionParameters:
    assert isinstance(rules.parameters, PositionParameters)
    return rules.parameters


DERIBIT, BYBIT = load_rules("deribit_standard"), load_rules("linear_standard")
FLAT = replace(
    DERIBIT,
    is_homogeneous=True,
    is_subadditive=True,
    parameters=replace(
        numbers(DERIBIT),
        linears=tuple(replace(one, initial_per_coin=0.0, maintenance_per_coin=0.0) for one in numbers(DERIBIT).linears),
        collateral=tuple(replace(one, maintenance=0.02, initial=0.01) for one in numbers(DERIBIT).collateral),
        mismatch=MismatchTerms(initial=0.1, maintenance=0.05),
    ),
)
"""Without growth by size, with haircuts and a share for currency mismatch: convex, homogeneous and sub-additive."""

PROGRESSIVE = replace(
    BYBIT,
    is_convex=True,
    parameters=replace(
        numbers(BYBIT), linears=tuple(replace(one, initial_tiers=TierLaw.PART) for one in numbers(BYBIT).linears)
    ),
)
"""Tiers on the part of the position that lies in them: convex."""

ALL = pytest.mark.parametrize("rules", [DERIBIT, BYBIT, FLAT, PROGRESSIVE], ids=["coin", "linear", "flat", "parts"])
some = settings(max_examples=25, deadline=None)


@pytest.fixture(scope="module")
def chains(make_chain: Callable[..., Chain]) -> dict[str, Chain]:
    days = (1.0, 9.0, 91.0)
    return {"deribit": make_chain(days=days), "bybit": make_chain(days=days, currency="USDC")}


def books(chain: Chain, seed: int) -> Books:
    """Sparse books of every size, from a fraction of a contract to a thousand times that, long and short."""
    dice = np.random.default_rng(seed)
    amounts = dice.normal(size=(COUNT, len(chain))) * 10.0 ** dice.uniform(-1.0, 2.0, size=(COUNT, 1))
    amounts *= np.where(chain.is_inverse & ~chain.is_option, 1e4, 1.0)
    amounts *= dice.random(amounts.shape) < dice.uniform(0.02, 0.5, size=(COUNT, 1))
    amounts[:, chain.is_spot] = 0.0
    return amounts, dice.normal(size=COUNT) * 10.0 ** dice.uniform(-1.0, 2.0, size=COUNT)


def margins(chain: Chain, held: Books, rules: RuleSet) -> tuple[ndarray, ndarray]:
    return engine.requirements(chain, held[0], rules, rows=np.arange(len(chain)), coins={"BTC": held[1]})


def chain_of(chains: dict[str, Chain], rules: RuleSet) -> Chain:
    return chains[rules.venue]


@ALL
@given(seed=st.integers(0, 2**32))
@some
def test_initial_is_at_least_maintenance_is_at_least_nothing(
    chains: dict[str, Chain], rules: RuleSet, seed: int
) -> None:
    """Acceptance property 1."""
    chain = chain_of(chains, rules)
    initial, maintenance = margins(chain, books(chain, seed), rules)
    assert np.all(initial >= maintenance * (1.0 - 1e-12))
    assert np.all(maintenance >= 0.0)


@ALL
@given(seed=st.integers(0, 2**32), weight=st.floats(0.0, 1.0), factor=st.floats(0.01, 100.0))
@some
def test_what_is_declared_holds(
    chains: dict[str, Chain], rules: RuleSet, seed: int, weight: float, factor: float
) -> None:
    """Acceptance property 2, for the claims that the rule set makes."""
    chain = chain_of(chains, rules)
    one, other = books(chain, seed), books(chain, seed + 1)
    first, second = (np.stack(margins(chain, held, rules)) for held in (one, other))
    slack = 1e-10 * (1.0 + first + second)
    if rules.is_convex:
        between = tuple(weight * a + (1.0 - weight) * b for a, b in zip(one, other, strict=True))
        found = np.stack(margins(chain, between, rules))
        assert np.all(found <= weight * first + (1.0 - weight) * second + slack)
    if rules.is_homogeneous:
        scaled = np.stack(margins(chain, (factor * one[0], factor * one[1]), rules))
        assert np.allclose(scaled, factor * first, rtol=1e-11, atol=1e-9)
    if rules.is_subadditive:
        together = np.stack(margins(chain, (one[0] + other[0], one[1] + other[1]), rules))
        assert np.all(together <= first + second + slack)


def one_line(chain: Chain, name: str, contracts: float) -> Books:
    amounts = np.zeros((1, len(chain)))
    amounts[0, chain.row_of[name]] = contracts
    return amounts, np.zeros(1)


def initial_of(chain: Chain, rules: RuleSet, name: str, contracts: float) -> float:
    return float(margins(chain, one_line(chain, name, contracts), rules)[0][0])


def test_what_is_not_declared_does_not_hold(chains: dict[str, Chain]) -> None:
    """The counterexamples of docs/margin.md."""
    coin, linear = chains["deribit"], chains["bybit"]
    assert (DERIBIT.is_homogeneous, DERIBIT.is_subadditive) == (False, False)
    once, twice = (initial_of(coin, DERIBIT, "BTC-PERPETUAL", n) for n in (1e6, 2e6))
    assert twice > 2.0 * once * 1.05
    assert not BYBIT.is_convex
    price = float(linear.forward[linear.row_of["BTC_USDC-PERPETUAL"]])
    below, at, above = (initial_of(linear, BYBIT, "BTC_USDC-PERPETUAL", v / price) for v in (1.9e6, 2.05e6, 2.2e6))
    assert at > 0.5 * (below + above)
    assert initial_of(linear, BYBIT, "BTC_USDC-PERPETUAL", 4e6 / price) > 2.0 * at


@ALL
@given(seed=st.integers(0, 2**32))
@some
def test_order_does_not_matter_and_opposite_lines_cancel(chains: dict[str, Chain], rules: RuleSet, seed: int) -> None:
    """Acceptance properties 3 and 9."""
    chain = chain_of(chains, rules)
    amounts, coins = books(chain, seed)
    initial, maintenance = margins(chain, (amounts, coins), rules)
    order = np.random.default_rng(seed).permutation(len(chain))
    turned = engine.requirements(
        chain.take(order), amounts[:, order], rules, rows=np.arange(len(order)), coins={"BTC": coins}
    )
    assert np.allclose(turned[0], initial, rtol=1e-12)
    assert np.allclose(turned[1], maintenance, rtol=1e-12)
    doubled = np.concatenate([amounts, amounts])
    hedged = np.concatenate([amounts + 7.0, amounts]) - np.concatenate([np.full_like(amounts, 7.0), 0.0 * amounts])
    both = [margins(chain, (one, np.tile(coins, 2)), rules)[0] for one in (doubled, hedged)]
    assert np.allclose(both[0], both[1], rtol=1e-9, atol=1e-6)


@ALL
def test_a_long_option_costs_its_premium(chains: dict[str, Chain], rules: RuleSet) -> None:
    """Acceptance property 4."""
    chain = chain_of(chains, rules)
    for row in np.flatnonzero(chain.is_option):
        price = float(chain.mark[row]) * (100_000.0 if chain.is_inverse[row] else 1.0)
        found = initial_of(chain, rules, chain.instruments[row].name, 3.0)
        assert found == pytest.approx(3.0 * price, rel=1e-9, abs=1e-9)


@ALL
@given(seed=st.integers(0, 2**32), more=st.floats(0.0, 0.5))
@some
def test_larger_shares_never_cost_less(chains: dict[str, Chain], rules: RuleSet, seed: int, more: float) -> None:
    """Acceptance property 5."""
    chain, p = chain_of(chains, rules), numbers(rules)
    held = books(chain, seed)
    before = np.stack(margins(chain, held, rules))
    shorts = ("initial", "initial_least", "maintenance", "maintenance_of_call_price", "maintenance_of_put_price", "fee")
    wider = [
        replace(p, short_options=tuple(replace(one, **{name: getattr(one, name) + more}) for one in p.short_options))
        for name in shorts
    ]
    wider += [
        replace(p, linears=tuple(replace(one, **{name: getattr(one, name) + more}) for one in p.linears))
        for name in ("initial", "maintenance", "initial_per_coin", "maintenance_per_coin")
        if not any(one.tiers for one in p.linears)
    ]
    wider.append(
        replace(p, mismatch=MismatchTerms(initial=p.mismatch.initial + more, maintenance=p.mismatch.maintenance))
    )
    wider.append(replace(p, collateral=tuple(replace(one, maintenance=one.maintenance + more) for one in p.collateral)))
    for one in wider:
        after = np.stack(margins(chain, held, replace(rules, parameters=one)))
        assert np.all(after >= before * (1.0 - 1e-12))


@pytest.mark.parametrize("venue", ["deribit", "bybit"])
@pytest.mark.parametrize("days", [0.0, 1e-9, 1.0 / 1440.0, 29.999999, 30.0, 3650.0])
@pytest.mark.parametrize(("ratio", "volatility"), [(1e-6, 0.5), (1e6, 0.5), (1.0, 1e-8), (1.0, 49.0)])
def test_nothing_is_ever_no_number(
    chains: dict[str, Chain], venue: str, days: float, ratio: float, volatility: float
) -> None:
    """Acceptance property 7: at settlement, next to it, far away, with a forward that is nearly nothing or huge."""
    chain, rules = chains[venue], {"deribit": DERIBIT, "bybit": BYBIT}[venue]
    rows = np.flatnonzero(chain.is_option)
    positions = tuple(Position(instrument=chain.instruments[row], quantity=(-1.0) ** row) for row in rows)
    account = Account(account_id="a", collateral={"BTC": 1.0}, positions=positions)
    initial, maintenance = engine.forecast_requirements(
        chain,
        [account],
        rules,
        rows=rows,
        underlyings=("BTC",),
        forward=np.full((1, 1, len(rows)), 100_000.0 * ratio),
        volatility=np.full((1, 1, len(rows)), volatility),
        time_to_expiry=np.full((1, len(rows)), days / 365.0),
        index=np.full((1, 1, 1), 100_000.0 * ratio),
    )
    assert np.all(np.isfinite(initial))
    assert np.all(initial >= maintenance)
    assert np.all(maintenance >= 0.0)


def test_tiers_that_grow_make_no_jump(chains: dict[str, Chain]) -> None:
    """By parts the requirement is continuous at a tier; on the whole position it jumps there."""
    tiers = (SizeTier(above_usd=1e6, initial=0.02, maintenance=0.01),)
    linear = chains["bybit"]
    price = float(linear.forward[linear.row_of["BTC_USDC-PERPETUAL"]])
    for law, jump in ((TierLaw.PART, 0.0), (TierLaw.WHOLE, 1e6 * 0.01)):
        own = tuple(replace(one, tiers=tiers, initial_tiers=law) for one in numbers(BYBIT).linears)
        rules = replace(BYBIT, parameters=replace(numbers(BYBIT), linears=own))
        sides = [initial_of(linear, rules, "BTC_USDC-PERPETUAL", v / price) for v in (1e6 - 1.0, 1e6 + 1.0)]
        assert sides[1] - sides[0] == pytest.approx(jump, abs=0.1)
