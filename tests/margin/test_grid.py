"""The vectorised engine: chains and accounts, many books at once, forecasts, slopes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import process_time

import numpy as np
import pytest

from greekdrift.book import Account, Chain, Order, Position, RuleSet, after_orders
from greekdrift.config import load_rules, load_venue
from greekdrift.errors import BookError, ChainError
from greekdrift.margin import MarginResult, grid, naive
from greekdrift.margin.lines import coin_balances, contracts, held_rows

MakeChain = Callable[..., Chain]


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rules("derive_pm2")


def book(chain: Chain, seed: int, *, lines: int = 12, **collateral: float) -> Account:
    random = np.random.default_rng(seed)
    rows = random.choice(len(chain), size=min(lines, len(chain)), replace=False)
    quantities = {
        int(row): float(random.normal(scale=1e3 if chain.is_inverse[row] and not chain.is_option[row] else 5.0))
        for row in rows
    }
    positions = tuple(Position(instrument=chain.instruments[row], quantity=n) for row, n in quantities.items())
    return Account(account_id=f"a{seed}", collateral=collateral, positions=positions)


def same(one: MarginResult, other: MarginResult, tolerance: float = 1e-10) -> None:
    scale = tolerance * (1.0 + abs(other.equity_usd) + other.initial_margin_usd)
    assert one.worst_scenario == other.worst_scenario
    assert one.initial_margin_usd == pytest.approx(other.initial_margin_usd, abs=scale)
    assert one.maintenance_margin_usd == pytest.approx(other.maintenance_margin_usd, abs=scale)
    assert one.equity_usd == pytest.approx(other.equity_usd, abs=scale)
    assert one.scenario_pnl.keys() == other.scenario_pnl.keys()
    for label, value in one.scenario_pnl.items():
        assert value == pytest.approx(other.scenario_pnl[label], abs=scale), label


@pytest.mark.parametrize("currency", ["", "USDC"])
@pytest.mark.parametrize("seed", range(6))
def test_equals_the_naive_loop(make_chain: MakeChain, rules: RuleSet, currency: str, seed: int) -> None:
    chain = make_chain(currency=currency)
    account = book(chain, seed, USDC=1e5, BTC=2.0 - seed)
    result = grid.requirement(chain, account, rules)
    same(result, naive.requirement(chain, account, rules))
    assert result.initial_margin_usd >= result.maintenance_margin_usd >= 0.0
    assert result.excess_usd == result.equity_usd - result.initial_margin_usd


def test_underlyings_add_without_offset(make_chain: MakeChain, rules: RuleSet) -> None:
    one, other = make_chain(), make_chain(underlying="ETH", index=3_000.0)
    both = joined(one, other)
    first, second = book(one, 1, USDC=10.0, BTC=1.0), book(other, 2, ETH=20.0)
    account = Account(
        account_id="x", collateral={"USDC": 10.0, "BTC": 1.0, "ETH": 20.0}, positions=first.positions + second.positions
    )
    result = grid.requirement(both, account, rules)
    same(result, naive.requirement(both, account, rules))
    parts = [grid.requirement(one, first, rules), grid.requirement(other, second, rules)]
    assert result.initial_margin_usd == pytest.approx(sum(part.initial_margin_usd for part in parts), rel=1e-12)
    assert result.equity_usd == pytest.approx(sum(part.equity_usd for part in parts), rel=1e-12)
    assert result.worst_scenario == "; ".join(part.worst_scenario for part in parts)


def test_an_account_of_cash_needs_no_margin(make_chain: MakeChain, rules: RuleSet) -> None:
    account = Account(account_id="cash", collateral={"USD": 5.0, "USDC": 2.0}, positions=())
    for engine in (grid, naive):
        result = engine.requirement(make_chain(), account, rules)
        assert (result.initial_margin_usd, result.equity_usd, result.worst_scenario) == (0.0, 7.0, "")


def test_coins_alone_are_cut_and_stressed(make_chain: MakeChain, rules: RuleSet) -> None:
    account = Account(account_id="coins", collateral={"BTC": 2.0}, positions=())
    result = grid.requirement(make_chain(), account, rules)
    same(result, naive.requirement(make_chain(), account, rules))
    assert result.equity_usd == 200_000.0
    # 18 % of the worst scenario and haircuts of 2 % and 1 % more
    assert result.initial_margin_usd == pytest.approx(200_000.0 * (0.18 + 0.03))
    assert result.maintenance_margin_usd == pytest.approx(200_000.0 * (0.8 * 0.18 + 0.02))


def test_a_coin_covers_a_short_call(make_chain: MakeChain, rules: RuleSet) -> None:
    chain = make_chain()
    short = (Position.of("BTC-31JAN26-115000-C", -1.0),)
    naked = Account(account_id="n", collateral={"USDC": 1e5}, positions=short)
    coin = Account(account_id="b", collateral={"BTC": 1.0}, positions=())
    covered = Account(account_id="c", collateral={"BTC": 1.0}, positions=short)
    needs = [grid.requirement(chain, account, rules).initial_margin_usd for account in (naked, coin, covered)]
    assert needs[2] < needs[1] < needs[0] + needs[1]


def test_inverse_option_is_worth_its_coin_at_the_index(make_chain: MakeChain, rules: RuleSet) -> None:
    chain = make_chain()
    row = chain.row_of["BTC-31JAN26-115000-C"]
    account = Account(account_id="a", collateral={}, positions=(Position.of("BTC-31JAN26-115000-C", 3.0),))
    expected = 3.0 * chain.mark[row] * chain.index_price["BTC"]
    assert grid.requirement(chain, account, rules).equity_usd == pytest.approx(expected, rel=1e-12)


def test_inverse_line_gains_what_the_coins_of_its_size_gain(make_chain: MakeChain, rules: RuleSet) -> None:
    chain = make_chain()
    row, n = chain.row_of["BTC-1APR26"] if "BTC-1APR26" in chain.row_of else chain.row_of["BTC-2APR26"], -700.0
    account = Account(
        account_id="a",
        collateral={"USDC": 1e6},
        positions=(Position(instrument=chain.instruments[row], quantity=n),),
    )
    forward, index, size = chain.forward[row], 100_000.0, 10.0
    for scenario in rules.parameters.scenarios:
        u = scenario.spot
        coins = n * size * (1.0 / forward - 1.0 / (forward * u))
        pnl = grid.requirement(chain, account, rules).scenario_pnl[f"BTC: {scenario.label}"]
        assert pnl == pytest.approx(scenario.damping * coins * index * u, rel=1e-12, abs=1e-9)


def test_forwards_of_one_expiry_may_differ(make_chain: MakeChain, rules: RuleSet) -> None:
    chain = make_chain()
    wobble = 1.0 + 3e-4 * np.sin(np.arange(len(chain)))
    chain = make_chain(forward=chain.forward * wobble)
    account = book(chain, 3, BTC=3.0)
    same(grid.requirement(chain, account, rules), naive.requirement(chain, account, rules))


def test_settlement_window_and_expiry_day(make_chain: MakeChain, rules: RuleSet) -> None:
    for minutes in (10.0, 0.0, 29.0):
        as_of = datetime(2026, 1, 1, 8, tzinfo=UTC) - timedelta(minutes=minutes)
        chain = make_chain(as_of=as_of, days=(minutes / 1440.0, 1.0 + minutes / 1440.0))
        assert chain.time_to_expiry[0] == pytest.approx(minutes / (365.0 * 1440.0))
        account = book(chain, 4, lines=30, BTC=3.0)
        same(grid.requirement(chain, account, rules), naive.requirement(chain, account, rules))


def test_unknown_instruments_and_collateral_are_refused(make_chain: MakeChain, rules: RuleSet) -> None:
    chain = make_chain()
    unlisted = Account(account_id="a", collateral={}, positions=(Position.of("BTC-31JAN26-116000-C", 1.0),))
    unpriced = Account(account_id="a", collateral={"SOL": 1.0}, positions=())
    for engine in (grid, naive):
        with pytest.raises(ChainError, match="not listed"):
            engine.requirement(chain, unlisted, rules)
        with pytest.raises(BookError, match="no index price"):
            engine.requirement(chain, unpriced, rules)


def test_many_books_at_once(make_chain: MakeChain, rules: RuleSet) -> None:
    chain = make_chain()
    accounts = [book(chain, seed, BTC=float(seed)) for seed in range(5)]
    rows = held_rows(chain, accounts)
    initial, maintenance = grid.requirements(
        chain, contracts(chain, accounts, rows), rules, rows=rows, coins=coin_balances(accounts, rules.parameters)
    )
    for at, account in enumerate(accounts):
        alone = naive.requirement(chain, account, rules)
        assert initial[at] == pytest.approx(alone.initial_margin_usd, rel=1e-11)
        assert maintenance[at] == pytest.approx(alone.maintenance_margin_usd, rel=1e-11)
    with pytest.raises(BookError, match="not among the given rows"):
        contracts(chain, accounts, rows[:3])


def test_forecast_equals_the_requirement_of_each_moved_chain(make_chain: MakeChain, rules: RuleSet) -> None:
    chain = make_chain(days=(1.0, 9.0, 30.0))
    accounts = [book(chain, seed, lines=15, BTC=3.0 - seed, USDC=1e5) for seed in range(3)]
    rows = held_rows(chain, accounts)
    horizons = np.array([6.0, 30.0])
    random = np.random.default_rng(5)
    jump = np.exp(random.normal(scale=0.05, size=(4, 2, 1)))
    forward = chain.forward[rows] * jump
    volatility = np.where(chain.is_option[rows], chain.mark_iv[rows], 1.0) * np.exp(
        random.normal(scale=0.1, size=(4, 2, 1))
    )
    years = chain.time_to_expiry[rows] - horizons[:, None] / 8760.0
    initial, maintenance = grid.forecast_requirements(
        chain,
        accounts,
        rules,
        rows=rows,
        underlyings=("BTC",),
        forward=forward,
        volatility=volatility,
        time_to_expiry=years,
        index=100_000.0 * jump,
    )
    for s in range(4):
        for h in range(2):
            alive = years[h] > 0.0
            later = moved_chain(chain, rows, forward[s, h], volatility[s, h], years[h], 100_000.0 * jump[s, h, 0])
            for a, account in enumerate(accounts):
                coins = account.collateral["BTC"] + coins_paid(chain, account, rows, forward[s, h], alive)
                kept = tuple(p for p in account.positions if p.instrument.name in later.row_of)
                then = Account(account_id="later", collateral={"BTC": coins}, positions=kept)
                expected = naive.requirement(later, then, rules)
                assert initial[s, h, a] == pytest.approx(expected.initial_margin_usd, rel=1e-9)
                assert maintenance[s, h, a] == pytest.approx(expected.maintenance_margin_usd, rel=1e-9)


def test_forecast_of_a_thousand_scenarios_is_fast(make_chain: MakeChain, rules: RuleSet) -> None:
    chain = make_chain()
    account = book(chain, 1, lines=40, BTC=3.0)
    rows = held_rows(chain, [account])
    jump = np.exp(np.random.default_rng(1).normal(scale=0.05, size=(1000, 1, 1)))
    shape = (1000, 1, len(rows))
    started = process_time()
    initial, _ = grid.forecast_requirements(
        chain,
        [account],
        rules,
        rows=rows,
        underlyings=("BTC",),
        forward=chain.forward[rows] * jump,
        volatility=np.broadcast_to(np.where(chain.is_option[rows], chain.mark_iv[rows], 1.0), shape),
        time_to_expiry=chain.time_to_expiry[rows][None, :],
        index=100_000.0 * jump,
    )
    assert initial.shape == (1000, 1, 1)
    assert process_time() - started < 2.0


@pytest.mark.parametrize("currency", ["", "USDC"])
@pytest.mark.parametrize("seed", range(4))
def test_slopes_equal_bumps(make_chain: MakeChain, rules: RuleSet, currency: str, seed: int) -> None:
    chain = make_chain(currency=currency)
    account = book(chain, seed, BTC=2.5, USDC=1e6)
    rows = np.arange(len(chain))
    slope = grid.subgradient(chain, account, rules, rows)
    n_equal = 0
    for row in rows:
        lot = 1e-4 if chain.is_option[row] else 1e-2
        sides = [bumped(chain, account, rules, int(row), sign * lot) for sign in (-1.0, 1.0)]
        low, high = min(sides), max(sides)
        slack = 1e-5 * (1.0 + abs(slope[row]))
        assert low - slack <= slope[row] <= high + slack, chain.instruments[row].name
        n_equal += high - low < slack
    assert n_equal >= len(account.positions)


def bumped(chain: Chain, account: Account, rules: RuleSet, row: int, contracts_bought: float) -> float:
    """Margin per contract of trading at the Black value, by the naive loop."""
    option = chain.instruments[row]
    collateral = dict(account.collateral)
    if option.is_option:
        collateral[option.currency] -= contracts_bought * chain.mark[row] * chain.contract_size[row]
    quantities = {p.instrument: p.quantity for p in account.positions}
    quantities[option] = quantities.get(option, 0.0) + contracts_bought
    then = Account(
        account_id="then",
        collateral=collateral,
        positions=tuple(Position(instrument=i, quantity=n) for i, n in quantities.items()),
    )
    before = naive.requirement(chain, account, rules).initial_margin_usd
    return (naive.requirement(chain, then, rules).initial_margin_usd - before) / contracts_bought


def joined(one: Chain, other: Chain) -> Chain:
    names = ("contract_size", "forward", "bid", "ask", "mark", "mark_iv", "open_interest", "volume_24h")
    return Chain(
        venue=one.venue,
        as_of=one.as_of,
        known_at=one.known_at,
        instruments=one.instruments + other.instruments,
        index_price={**one.index_price, **other.index_price},
        **{name: np.concatenate([getattr(one, name), getattr(other, name)]) for name in names},
    )


def moved_chain(
    chain: Chain, rows: np.ndarray, forward: np.ndarray, volatility: np.ndarray, years: np.ndarray, index: float
) -> Chain:
    alive = years > 0.0
    at = rows[alive]
    is_dated = np.isfinite(years)
    hours = (chain.time_to_expiry[rows][is_dated] - years[is_dated])[0] * 8760.0
    then = chain.as_of + timedelta(hours=round(float(hours)))
    return Chain(
        venue=chain.venue,
        as_of=then,
        known_at=then,
        instruments=tuple(chain.instruments[i] for i in at),
        contract_size=chain.contract_size[at],
        forward=forward[alive],
        bid=chain.bid[at],
        ask=chain.ask[at],
        mark=chain.mark[at],
        mark_iv=np.where(chain.is_option[at], volatility[alive], np.nan),
        open_interest=chain.open_interest[at],
        volume_24h=chain.volume_24h[at],
        index_price={"BTC": index},
    )


def coins_paid(chain: Chain, account: Account, rows: np.ndarray, forward: np.ndarray, alive: np.ndarray) -> float:
    paid = 0.0
    for position in account.positions:
        row = chain.row_of[position.instrument.name]
        at = int(np.searchsorted(rows, row))
        amount = position.quantity * chain.contract_size[row]
        if position.instrument.is_inverse and not position.instrument.is_option:
            paid += amount * (1.0 / chain.forward[row] - 1.0 / forward[at])
        elif position.instrument.is_inverse and not alive[at]:
            side = 1.0 if position.instrument.is_call else -1.0
            paid += amount * max(side * (forward[at] - chain.strike[row]), 0.0) / forward[at]
    return paid


def test_trade_bookkeeping_and_margin_meet(make_chain: MakeChain, rules: RuleSet) -> None:
    chain, venue = make_chain(), load_venue("deribit")
    account = Account(account_id="a", collateral={"BTC": 1.0}, positions=())
    row = chain.row_of["BTC-31JAN26-100000-C"]
    order = Order(
        instrument=chain.instruments[row], quantity=2.0, limit_price=float(chain.mark[row]), leg=1, reason="gamma"
    )
    after = after_orders(account, [order], chain, venue)
    fee = 2.0 * 0.0003 * 100_000.0
    before, then = (grid.requirement(chain, one, rules).equity_usd for one in (account, after))
    assert then == pytest.approx(before - fee, abs=1e-6)
