"""Position margin: the engine against the slow loop, many books, forecasts, slopes, and what is refused."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import process_time
from typing import Any

import numpy as np
import pytest

from greekdrift.book import Account, Chain, Position, RuleSet
from greekdrift.book.position_rules import LinearTerms, MismatchTerms, PositionParameters, Reference, SizeTier, TierLaw
from greekdrift.config import load_rules
from greekdrift.errors import BookError, CalculationError, ChainError, ConfigError
from greekdrift.margin import MarginResult, engine, naive_engine, position, position_naive
from greekdrift.margin.lines import coin_balances, contracts, held_rows
from greekdrift.margin.position_result import PositionMargin

MakeChain = Callable[..., Chain]

DERIBIT, BYBIT = load_rules("deribit_standard"), load_rules("linear_standard")


def numbers(rules: RuleSet) -> PositionParameters:
    assert isinstance(rules.parameters, PositionParameters)
    return rules.parameters


def with_everything(rules: RuleSet) -> RuleSet:
    """The rule set with haircuts, a share for currency mismatch and tiers beside growth."""
    p = numbers(rules)
    tiers = (
        SizeTier(above_usd=1e5, initial=0.05, maintenance=0.02),
        SizeTier(above_usd=1e6, initial=0.2, maintenance=0.1),
    )
    linears = tuple(replace(one, tiers=tiers, initial_per_coin=1e-4) for one in p.linears)
    collateral = tuple(replace(one, maintenance=0.02, initial=0.01) for one in p.collateral)
    mismatch = MismatchTerms(initial=0.05, maintenance=0.03)
    return replace(rules, parameters=replace(p, linears=linears, collateral=collateral, mismatch=mismatch))


CASES = [("", DERIBIT), ("", with_everything(DERIBIT)), ("USDC", BYBIT), ("USDC", with_everything(BYBIT))]
FORMS = pytest.mark.parametrize(("currency", "rules"), CASES, ids=["coin", "coin, more", "linear", "linear, more"])


def book(chain: Chain, seed: int, *, lines: int = 14, **collateral: float) -> Account:
    random = np.random.default_rng(seed)
    rows = random.choice(len(chain), size=min(lines, len(chain)), replace=False)
    scale = np.where(chain.is_inverse & ~chain.is_option, 5e4, 5.0)
    positions = tuple(
        Position(instrument=chain.instruments[row], quantity=float(random.normal(scale=scale[row]))) for row in rows
    )
    return Account(account_id=f"a{seed}", collateral=collateral, positions=positions)


def same(one: MarginResult, other: MarginResult, tolerance: float = 1e-11) -> None:
    def equal(value: float, expected: float) -> None:
        assert value == pytest.approx(
            expected, abs=tolerance * (1.0 + other.initial_margin_usd + abs(other.equity_usd))
        )

    assert one.worst_scenario == other.worst_scenario
    equal(one.initial_margin_usd, other.initial_margin_usd)
    equal(one.maintenance_margin_usd, other.maintenance_margin_usd)
    equal(one.equity_usd, other.equity_usd)
    for own, truth in zip(one.parts, other.parts, strict=True):
        assert isinstance(own, PositionMargin)
        assert isinstance(truth, PositionMargin)
        assert own.positions.keys() == truth.positions.keys()
        assert own.contingencies.keys() == truth.contingencies.keys()
        equal(own.option_value_usd, truth.option_value_usd)
        for name, value in own.contingencies.items():
            equal(value, truth.contingencies[name])
        for name, figures in own.positions.items():
            equal(figures[0], truth.positions[name][0])
            equal(figures[1], truth.positions[name][1])


@FORMS
@pytest.mark.parametrize("seed", range(5))
def test_equals_the_slow_loop(make_chain: MakeChain, currency: str, rules: RuleSet, seed: int) -> None:
    chain = make_chain(currency=currency)
    account = book(chain, seed, USDC=1e5, BTC=2.0 - seed)
    result = engine.requirement(chain, account, rules)
    same(result, naive_engine.requirement(chain, account, rules))
    assert result.initial_margin_usd >= result.maintenance_margin_usd >= 0.0
    (part,) = result.parts
    assert result.initial_margin_usd == pytest.approx(sum(part.contingencies.values()), rel=1e-12)


def test_the_excess_is_the_venues(make_chain: MakeChain) -> None:
    """Requirement against equity with options, and the venue's figure against a balance without: one excess."""
    chain = make_chain()
    account = book(chain, 3, BTC=9.0, USDC=1e5)
    result = engine.requirement(chain, account, DERIBIT)
    (part,) = result.parts
    assert isinstance(part, PositionMargin)
    balance = result.equity_usd - part.option_value_usd
    assert result.excess_usd == pytest.approx(balance - part.venue_initial_usd, rel=1e-12)
    assert result.equity_usd - result.maintenance_margin_usd == pytest.approx(
        balance - part.venue_maintenance_usd, rel=1e-12
    )


def test_a_short_call_by_hand(make_chain: MakeChain) -> None:
    chain = make_chain()
    name = "BTC-31JAN26-115000-C"
    row = chain.row_of[name]
    price, forward = float(chain.mark[row]), float(chain.forward[row])
    account = Account(account_id="a", collateral={"BTC": 5.0}, positions=(Position.of(name, -3.0),))
    (part,) = engine.requirement(chain, account, DERIBIT).parts
    assert isinstance(part, PositionMargin)
    out = (115_000.0 - forward) / forward
    coins = 3.0 * (max(0.15 - out, 0.10) + price), 3.0 * (0.075 + price)
    assert part.positions[name] == pytest.approx([coin * 100_000.0 for coin in coins], rel=1e-12)


def test_what_is_owed_in_a_coin_beyond_its_collateral_costs_more(make_chain: MakeChain) -> None:
    chain, rules = (
        make_chain(),
        replace(DERIBIT, parameters=replace(numbers(DERIBIT), mismatch=MismatchTerms(initial=0.1, maintenance=0.05))),
    )
    short = (Position.of("BTC-31JAN26-115000-C", -1.0),)

    def margin(**collateral: float) -> MarginResult:
        return engine.requirement(chain, Account(account_id="a", collateral=collateral, positions=short), rules)

    in_coin, in_cash = margin(BTC=10.0), margin(USDC=1e6)
    (part,) = in_cash.parts
    assert isinstance(part, PositionMargin)
    assert in_coin.parts[0].contingencies["currency mismatch"] == 0.0
    extra = in_cash.initial_margin_usd - in_coin.initial_margin_usd
    assert extra == pytest.approx(0.1 * part.venue_initial_usd, rel=1e-12)
    kept = in_cash.maintenance_margin_usd - in_coin.maintenance_margin_usd
    assert kept == pytest.approx(0.05 * part.venue_maintenance_usd, rel=1e-12)
    half = margin(BTC=part.venue_initial_usd / 2.0 / 100_000.0)
    assert half.parts[0].contingencies["currency mismatch"] == pytest.approx(extra / 2.0, rel=1e-12)


@FORMS
def test_expiry_day_and_settlement(make_chain: MakeChain, currency: str, rules: RuleSet) -> None:
    for minutes in (10.0, 0.0):
        as_of = datetime(2026, 1, 1, 8, tzinfo=UTC) - timedelta(minutes=minutes)
        chain = make_chain(as_of=as_of, days=(minutes / 1440.0, 1.0 + minutes / 1440.0), currency=currency)
        account = book(chain, 4, lines=20, BTC=3.0)
        same(engine.requirement(chain, account, rules), naive_engine.requirement(chain, account, rules))
        rows = np.flatnonzero(chain.is_option & (chain.time_to_expiry <= 0.0))
        settled = tuple(Position(instrument=chain.instruments[row], quantity=(-1.0) ** row) for row in rows)
        result = engine.requirement(
            chain, Account(account_id="s", collateral={}, positions=settled), DERIBIT if not currency else BYBIT
        )
        assert result.initial_margin_usd == pytest.approx(0.0, abs=1e-9)


@FORMS
def test_many_books_at_once(make_chain: MakeChain, currency: str, rules: RuleSet) -> None:
    chain = make_chain(currency=currency)
    accounts = [book(chain, seed, BTC=float(seed) - 2.0) for seed in range(5)]
    rows = held_rows(chain, accounts)
    initial, maintenance = engine.requirements(
        chain, contracts(chain, accounts, rows), rules, rows=rows, coins=coin_balances(accounts, rules.parameters)
    )
    for at, account in enumerate(accounts):
        alone = position_naive.requirement(chain, account, rules)
        assert initial[at] == pytest.approx(alone.initial_margin_usd, rel=1e-11)
        assert maintenance[at] == pytest.approx(alone.maintenance_margin_usd, rel=1e-11)


@FORMS
def test_forecast_equals_the_requirement_of_each_moved_chain(
    make_chain: MakeChain, currency: str, rules: RuleSet
) -> None:
    chain = make_chain(days=(1.0, 9.0, 30.0), currency=currency)
    accounts = [book(chain, seed, lines=15, BTC=3.0 - seed, USDC=1e5) for seed in range(3)]
    rows, horizons = held_rows(chain, accounts), (6.0, 30.0)
    random = np.random.default_rng(5)
    jump = np.exp(random.normal(scale=0.05, size=(4, 2, 1)))
    marks = np.where(chain.is_option[rows], chain.mark_iv[rows], 1.0)
    forward, volatility = chain.forward[rows] * jump, marks * np.exp(random.normal(scale=0.1, size=(4, 2, 1)))
    years = chain.time_to_expiry[rows] - np.array(horizons)[:, None] / 8760.0
    initial, maintenance = engine.forecast_requirements(
        chain, accounts, rules,
        rows=rows, underlyings=("BTC",), forward=forward, volatility=volatility, time_to_expiry=years,
        index=100_000.0 * jump,
    )  # fmt: skip
    for s in range(4):
        for h, hours in enumerate(horizons):
            later = moved(chain, rows, forward[s, h], volatility[s, h], years[h], hours, 100_000.0 * jump[s, h, 0])
            for a, account in enumerate(accounts):
                coins = account.collateral["BTC"] + coins_paid(chain, account, rows, forward[s, h], years[h])
                kept = tuple(one for one in account.positions if one.instrument.name in later.row_of)
                then = Account(account_id="later", collateral={"BTC": coins}, positions=kept)
                expected = position_naive.requirement(later, then, rules)
                assert initial[s, h, a] == pytest.approx(expected.initial_margin_usd, rel=1e-9)
                assert maintenance[s, h, a] == pytest.approx(expected.maintenance_margin_usd, rel=1e-9)


def moved(
    chain: Chain,
    rows: np.ndarray,
    forward: np.ndarray,
    volatility: np.ndarray,
    years: np.ndarray,
    hours: float,
    index: float,
) -> Chain:
    alive, then = years > 0.0, chain.as_of + timedelta(hours=hours)
    return replace(
        chain.take(rows[alive]),
        as_of=then,
        known_at=then,
        forward=forward[alive],
        mark_iv=np.where(chain.is_option[rows[alive]], volatility[alive], np.nan),
        index_price={"BTC": index},
    )


def coins_paid(chain: Chain, account: Account, rows: np.ndarray, forward: np.ndarray, years: np.ndarray) -> float:
    paid = 0.0
    for one in account.positions:
        row = chain.row_of[one.instrument.name]
        at = int(np.searchsorted(rows, row))
        amount = one.quantity * chain.contract_size[row]
        if one.instrument.is_inverse and not one.instrument.is_option:
            paid += amount * (1.0 / chain.forward[row] - 1.0 / forward[at])
        elif one.instrument.is_inverse and years[at] <= 0.0:
            side = 1.0 if one.instrument.is_call else -1.0
            paid += amount * max(side * (forward[at] - chain.strike[row]), 0.0) / forward[at]
    return paid


@FORMS
@pytest.mark.parametrize("seed", range(3))
def test_slopes_equal_bumps(make_chain: MakeChain, currency: str, rules: RuleSet, seed: int) -> None:
    chain = make_chain(currency=currency)
    account = book(chain, seed, BTC=(2.5, -1.0, 0.01)[seed], USDC=1e6)
    rows = np.arange(len(chain))
    slope = engine.subgradient(chain, account, rules, rows)
    n_equal = 0
    for row in rows:
        lot = 1e-5 if chain.is_option[row] or not chain.is_inverse[row] else 1e-2
        sides = [bumped(chain, account, rules, int(row), sign * lot) for sign in (-1.0, 1.0)]
        low, high = min(sides), max(sides)
        slack = 1e-3 + 1e-4 * abs(slope[row])
        assert low - slack <= slope[row] <= high + slack, chain.instruments[row].name
        n_equal += high - low < slack
    assert n_equal >= len(account.positions)


def bumped(chain: Chain, account: Account, rules: RuleSet, row: int, bought: float) -> float:
    """Margin per contract of trading at the Black value, by the slow loop."""
    instrument = chain.instruments[row]
    collateral = dict(account.collateral)
    if instrument.is_option:
        collateral[instrument.currency] -= bought * chain.mark[row] * chain.contract_size[row]
    quantities = {one.instrument: one.quantity for one in account.positions}
    quantities[instrument] = quantities.get(instrument, 0.0) + bought
    positions = tuple(Position(instrument=one, quantity=n) for one, n in quantities.items())
    then = Account(account_id="then", collateral=collateral, positions=positions)
    before = position_naive.requirement(chain, account, rules).initial_margin_usd
    return (position_naive.requirement(chain, then, rules).initial_margin_usd - before) / bought


def test_what_has_no_terms_or_no_price_is_refused(make_chain: MakeChain) -> None:
    chain = make_chain()
    linear = make_chain(currency="USDC")

    def held(**collateral: float) -> Account:
        return Account(account_id="a", collateral=collateral, positions=())

    unlisted = Account(account_id="a", collateral={}, positions=(Position.of("BTC-31JAN26-116000-C", 1.0),))
    short = linear.instruments[0].name
    for requirement in (engine.requirement, naive_engine.requirement):
        with pytest.raises(ChainError, match="not listed"):
            requirement(chain, unlisted, DERIBIT)
        with pytest.raises(BookError, match="SOL has no terms in the rule set"):
            requirement(chain, held(SOL=1.0), DERIBIT)
        with pytest.raises(BookError, match="no index price"):
            requirement(chain, held(ETH=1.0), DERIBIT)
        for quantity in (-1.0, 1.0):
            one = Account(account_id="a", collateral={}, positions=(Position.of(short, quantity),))
            with pytest.raises(BookError, match="no terms for linear options of BTC"):
                requirement(linear, one, DERIBIT)
        with pytest.raises(BookError, match="no terms for inverse perpetuals or futures of BTC"):
            requirement(
                chain, Account(account_id="a", collateral={}, positions=(Position.of("BTC-PERPETUAL", 1.0),)), BYBIT
            )
    for page in (position, position_naive):
        with pytest.raises(ConfigError, match="is not of the position form"):
            page.requirement(chain, held(), load_rules("derive_pm2"))


def test_a_state_that_is_no_number_is_refused(make_chain: MakeChain) -> None:
    chain = make_chain()
    account = book(chain, 1, BTC=3.0)
    rows = held_rows(chain, [account])
    given: dict[str, Any] = {
        "rows": rows,
        "underlyings": ("BTC",),
        "forward": chain.forward[rows][None, None],
        "volatility": np.full((1, 1, len(rows)), np.nan),
        "time_to_expiry": chain.time_to_expiry[rows][None],
        "index": np.full((1, 1, 1), 100_000.0),
    }
    with pytest.raises((CalculationError, ValueError), match="number"):
        engine.forecast_requirements(chain, [account], DERIBIT, **given)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mismatch": MismatchTerms(initial=float("nan"), maintenance=0.0)}, "initial nan is not a number"),
        ({"mismatch": MismatchTerms(initial=-0.1, maintenance=0.0)}, "at least 0"),
        ({"linears": numbers(DERIBIT).linears[:1] * 2}, "linears: BTC inverse stands twice"),
        ({"short_options": numbers(DERIBIT).short_options[:1] * 2}, "short_options: BTC inverse stands twice"),
    ],
)
def test_numbers_that_cannot_be_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(numbers(DERIBIT), **changed)
    first = numbers(BYBIT).linears[0]
    with pytest.raises(ConfigError, match="tiers must stand in order"):
        replace(first, tiers=first.tiers[::-1])


def test_growth_and_tiers_add() -> None:
    terms = LinearTerms(
        underlying="X", settlement=numbers(BYBIT).linears[0].settlement, price=Reference.INDEX,
        initial=0.01, maintenance=0.005, initial_per_coin=0.001, maintenance_per_coin=0.0,
        initial_tiers=TierLaw.PART, maintenance_tiers=TierLaw.WHOLE,
        tiers=(SizeTier(above_usd=100.0, initial=0.02, maintenance=0.01),),
    )  # fmt: skip
    initial, maintenance = position.linear_margin(terms, coins=np.array([1.0, -3.0]), price=100.0)
    assert initial.tolist() == pytest.approx([1.0 + 0.1, 1.0 + 4.0 + 0.001 * 3.0 * 300.0])
    assert maintenance.tolist() == pytest.approx([0.5, 3.0])


def test_a_thousand_scenarios_are_fast(make_chain: MakeChain) -> None:
    chain = make_chain()
    account = book(chain, 1, lines=50, BTC=3.0)
    rows = held_rows(chain, [account])
    jump = np.exp(np.random.default_rng(1).normal(scale=0.05, size=(1000, 1, 1)))
    volatility = np.broadcast_to(np.where(chain.is_option[rows], chain.mark_iv[rows], 1.0), (1000, 1, len(rows)))
    given = {"rows": rows, "underlyings": ("BTC",), "forward": chain.forward[rows] * jump, "volatility": volatility}
    given |= {"time_to_expiry": chain.time_to_expiry[rows][None], "index": 100_000.0 * jump}
    engine.forecast_requirements(chain, [account], DERIBIT, **given)
    started = process_time()
    engine.forecast_requirements(chain, [account], DERIBIT, **given)
    assert process_time() - started < 0.5
