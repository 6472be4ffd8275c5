"""The risk-matrix engine on chains: equal to the slow loop, many books, forecasts, slopes, refusals."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf, nan

import numpy as np
import pytest

from greekdrift.book import Account, Chain, Position, RuleSet
from greekdrift.book.matrix_rules import DampenerLaw, DeltaShockLaw, MatrixBook, MatrixLinear, MatrixOption, RollLaw
from greekdrift.config import load_rules
from greekdrift.errors import BookError, CalculationError, ChainError, ConfigError
from greekdrift.margin import MarginResult, grid, matrix, matrix_naive
from greekdrift.margin.lines import coin_balances, contracts, held_rows
from greekdrift.margin.matrix_result import LEAST

MakeChain = Callable[..., Chain]
DERIBIT, PARADEX = load_rules("deribit_pm"), load_rules("paradex_pm")


def shared(rules: RuleSet, share: float) -> RuleSet:
    """The rule set with another share of the scan without offset, and every charge and gain at work."""
    p = rules.parameters
    fees = {"linear": 4e-4, "option": 3e-4, "funding": 2e-4}
    settlements = tuple(
        replace(one, fees=replace(one.fees, **fees), gain_share=0.6, largest_gain_usd=3e4) for one in p.settlements
    )
    pairs = tuple(
        replace(one, delta_shock=replace(one.delta_shock, threshold_usd=1e5, per_coin=5e-3)) for one in p.pairs
    )
    cuts = tuple(replace(one, maintenance=0.02, initial=0.01) for one in p.collateral)
    return replace(rules, parameters=replace(p, separate=share, settlements=settlements, pairs=pairs, collateral=cuts))


RULES = {
    "deribit": DERIBIT,
    "paradex": PARADEX,
    "all together": shared(DERIBIT, 0.0),
    "some apart": shared(DERIBIT, 0.3),
    "all apart": shared(DERIBIT, 1.0),
}


def joined(*chains: Chain) -> Chain:
    """One chain of several, without rows that stand in two."""
    rows, names = [], set()
    for chain in chains:
        for row, instrument in enumerate(chain.instruments):
            if instrument.name not in names:
                names.add(instrument.name)
                rows.append((chain, row))
    names_of = ("contract_size", "forward", "bid", "ask", "mark", "mark_iv", "open_interest", "volume_24h")
    columns = {name: np.array([getattr(chain, name)[row] for chain, row in rows]) for name in names_of}
    prices = {name: price for chain in chains for name, price in chain.index_price.items()}
    instruments = tuple(chain.instruments[row] for chain, row in rows)
    return replace(chains[0], instruments=instruments, index_price=prices, **columns)


@pytest.fixture(scope="module")
def market(make_chain: MakeChain) -> Chain:
    return joined(make_chain(), make_chain(currency="USDC"), make_chain(underlying="ETH", index=3_000.0))


def book(chain: Chain, rules: RuleSet, seed: int, *, lines: int = 14, scale: float = 5.0) -> Account:
    random = np.random.default_rng(seed)
    takes_coins = any(one.currency == "BTC" for one in rules.parameters.settlements)
    fit = np.flatnonzero(np.ones(len(chain), dtype=bool) if takes_coins else ~chain.is_inverse & ~chain.is_spot)
    rows = random.choice(fit, size=min(lines, len(fit)), replace=False)
    size = np.where(chain.is_inverse[rows] & ~chain.is_option[rows], 1e3, scale)
    positions = tuple(
        Position(instrument=chain.instruments[row], quantity=float(n))
        for row, n in zip(rows, random.normal(size=len(rows)) * size, strict=True)
    )
    coins = {"BTC": 2.0 - seed, "ETH": float(seed)} if takes_coins else {}
    coins = {name: amount for name, amount in coins.items() if name in chain.index_price}
    return Account(account_id=f"a{seed}", collateral={"USDC": 1e5, **coins}, positions=positions)


def same(one: MarginResult, other: MarginResult) -> None:
    close = {"abs": 1e-11 * (1.0 + abs(other.equity_usd) + other.initial_margin_usd)}
    for name in ("initial_margin_usd", "maintenance_margin_usd", "equity_usd"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), **close), name
    assert one.worst_scenario == other.worst_scenario
    assert dict(one.scenario_pnl) == pytest.approx(dict(other.scenario_pnl), **close)
    for part, twin in zip(one.parts, other.parts, strict=True):
        assert part.underlying == twin.underlying
        assert dict(part.contingencies) == pytest.approx(dict(twin.contingencies), **close)
        assert part.worst_loss_usd == pytest.approx(twin.worst_loss_usd, **close)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("seed", range(5))
def test_equals_the_naive_loop(market: Chain, name: str, seed: int) -> None:
    rules = RULES[name]
    account = book(market, rules, seed, scale=5.0 if seed < 4 else 400.0)
    result = matrix.requirement(market, account, rules)
    same(result, matrix_naive.requirement(market, account, rules))
    assert result.initial_margin_usd >= result.maintenance_margin_usd >= 0.0
    for field in ("initial_margin_usd", "maintenance_margin_usd"):
        parts = sum(getattr(part, field) for part in result.parts)
        assert getattr(result, field) == pytest.approx(parts, rel=1e-12)


@pytest.mark.parametrize("minutes", [29.0, 10.0, 0.0])
def test_settlement_window_and_expiry(make_chain: MakeChain, minutes: float) -> None:
    as_of = datetime(2026, 1, 1, 8, tzinfo=UTC) - timedelta(minutes=minutes)
    chain = make_chain(as_of=as_of, days=(minutes / 1440.0, 1.0 + minutes / 1440.0))
    account = book(chain, DERIBIT, 4, lines=30)
    same(matrix.requirement(chain, account, DERIBIT), matrix_naive.requirement(chain, account, DERIBIT))


def test_an_account_of_cash_or_coins_alone(make_chain: MakeChain) -> None:
    for engine in (matrix, matrix_naive):
        cash = Account(account_id="c", collateral={"USD": 5.0}, positions=())
        result = engine.requirement(make_chain(), cash, DERIBIT)
        assert (result.initial_margin_usd, result.equity_usd, result.parts) == (0.0, 5.0, ())
        coins = Account(account_id="c", collateral={"BTC": 2.0}, positions=())
        result = engine.requirement(make_chain(), coins, shared(DERIBIT, 0.0))
        assert result.equity_usd == 200_000.0
        assert result.initial_margin_usd == pytest.approx(200_000.0 * 0.03)
        assert result.maintenance_margin_usd == pytest.approx(200_000.0 * 0.02)


def test_books_add_where_they_are_apart_and_offset_where_they_are_together(market: Chain) -> None:
    """Long BTC and short ETH perpetuals: together the gain of ETH counts by its share, in the other's scenario."""
    positions = (Position.of("BTC-PERPETUAL", 20_000.0), Position.of("ETH-PERPETUAL", -10_000.0))
    account = Account(account_id="a", collateral={}, positions=positions)
    each = [
        matrix.requirement(market, replace(account, positions=(one,)), DERIBIT).initial_margin_usd for one in positions
    ]
    apart = replace(DERIBIT, parameters=replace(DERIBIT.parameters, separate=1.0))
    assert matrix.requirement(market, account, apart).initial_margin_usd == pytest.approx(sum(each), rel=1e-12)
    together = matrix.requirement(market, account, DERIBIT)
    assert together.initial_margin_usd < 0.9 * max(each)
    assert min(part.initial_margin_usd for part in together.parts) < 0.0


def test_the_least_delta_charge_binds_a_hedged_book(make_chain: MakeChain) -> None:
    chain = make_chain(currency="USDC")
    names = ("BTC_USDC-PERPETUAL", "BTC_USDC-31JAN26")
    found = [name for name in chain.row_of if not chain.is_option[chain.row_of[name]] and name != "BTC_USDC"]
    positions = (Position.of(found[0], 5.0), Position.of(found[1], -5.0))
    account = Account(account_id="a", collateral={"USDC": 1e5}, positions=positions)
    result = matrix.requirement(chain, account, PARADEX)
    assert result.worst_scenario == f"BTC-USD: {LEAST}", names
    same(result, matrix_naive.requirement(chain, account, PARADEX))


@pytest.mark.parametrize("name", ["deribit", "some apart"])
def test_many_books_at_once_equal_one_at_a_time(market: Chain, name: str) -> None:
    rules = RULES[name]
    accounts = [book(market, rules, seed) for seed in range(6)]
    rows = held_rows(market, accounts)
    initial, maintenance = matrix.requirements(
        market,
        contracts(market, accounts, rows),
        rules,
        rows=rows,
        coins=coin_balances(accounts, rules.parameters),
    )
    for at, account in enumerate(accounts):
        alone = matrix_naive.requirement(market, account, rules)
        assert initial[at] == pytest.approx(alone.initial_margin_usd, rel=1e-10)
        assert maintenance[at] == pytest.approx(alone.maintenance_margin_usd, rel=1e-10)


@pytest.mark.parametrize("name", ["deribit", "paradex", "some apart"])
def test_a_forecast_is_the_requirement_on_the_moved_chain(market: Chain, name: str) -> None:
    rules = RULES[name]
    account = book(market, rules, 2)
    rows = held_rows(market, [account])
    prices = {name: market.index_price[name] for name in ("BTC", "ETH")}
    jump = np.array([0.9, 1.0, 1.2])[:, None, None]
    initial, maintenance = matrix.forecast_requirements(
        market,
        [account],
        rules,
        rows=rows,
        underlyings=tuple(prices),
        forward=market.forward[rows] * jump,
        volatility=np.where(market.is_option[rows], market.mark_iv[rows], 1.0) * np.ones_like(jump),
        time_to_expiry=market.time_to_expiry[rows][None],
        index=np.array(list(prices.values())) * jump,
    )
    for at, factor in enumerate(jump[:, 0, 0]):
        moved = replace(
            market,
            forward=market.forward * factor,
            index_price={name: price * factor for name, price in market.index_price.items()},
        )
        paid: dict[str, float] = {}
        for position in account.positions:
            row = market.row_of[position.instrument.name]
            if market.is_inverse[row] and not market.is_option[row]:
                gain = position.quantity * market.contract_size[row] / market.forward[row] * (1.0 - 1.0 / factor)
                coin = position.instrument.underlying
                paid[coin] = paid.get(coin, 0.0) + gain
        richer = {name: amount + paid.get(name, 0.0) for name, amount in account.collateral.items()}
        expected = matrix_naive.requirement(moved, replace(account, collateral=richer), rules)
        assert initial[at, 0, 0] == pytest.approx(expected.initial_margin_usd, rel=1e-10)
        assert maintenance[at, 0, 0] == pytest.approx(expected.maintenance_margin_usd, rel=1e-10)


def test_what_expires_by_the_horizon_is_settled_and_gone(make_chain: MakeChain) -> None:
    chain = make_chain()
    name = next(one.name for one in chain.instruments if one.is_option)
    account = Account(account_id="a", collateral={"BTC": 3.0}, positions=(Position.of(name, -4.0),))
    rows = held_rows(chain, [account])
    shape = (2, 1, 1)
    initial, _ = matrix.forecast_requirements(
        chain,
        [account],
        DERIBIT,
        rows=rows,
        underlyings=("BTC",),
        forward=np.full(shape, 90_000.0),
        volatility=np.full(shape, 0.5),
        time_to_expiry=np.array([[0.0]]),
        index=np.full(shape, 90_000.0),
    )
    assert initial[:, 0, 0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("seed", range(2))
def test_slopes_equal_bumps(market: Chain, name: str, seed: int) -> None:
    rules = RULES[name]
    account = book(market, rules, seed, lines=8, scale=5.0 if seed == 0 else 60.0)
    takes_coins = rules is not PARADEX
    fit = np.flatnonzero(np.ones(len(market), dtype=bool) if takes_coins else ~market.is_inverse & ~market.is_spot)
    more = np.random.default_rng(seed).choice(fit, size=5, replace=False)
    rows = np.union1d(held_rows(market, [account]), more)
    slope = matrix.subgradient(market, account, rules, rows)
    smooth = 0
    for row, value in zip(rows, slope, strict=True):
        lot = 1e-2 if market.is_inverse[row] and not market.is_option[row] else 1e-4
        sides = [bumped(market, account, rules, int(row), side * lot) for side in (-1.0, 1.0)]
        slack = 1e-4 * (1.0 + abs(value))
        assert min(sides) - slack <= value <= max(sides) + slack, market.instruments[row].name
        smooth += max(sides) - min(sides) < slack
    assert smooth >= len(account.positions) // 2


def bumped(chain: Chain, account: Account, rules: RuleSet, row: int, bought: float) -> float:
    """Margin per contract of trading at the Black value, by the slow loop."""
    instrument, collateral = chain.instruments[row], dict(account.collateral)
    if instrument.is_option and instrument.is_inverse:
        paid = bought * chain.mark[row] * chain.contract_size[row]
        collateral[instrument.currency] = collateral.get(instrument.currency, 0.0) - paid
    quantities = {one.instrument: one.quantity for one in account.positions}
    quantities[instrument] = quantities.get(instrument, 0.0) + bought
    positions = tuple(Position(instrument=one, quantity=n) for one, n in quantities.items())
    then = replace(account, collateral=collateral, positions=positions)
    before = matrix_naive.requirement(chain, account, rules).initial_margin_usd
    return (matrix_naive.requirement(chain, then, rules).initial_margin_usd - before) / bought


def test_laws_can_be_left_out(market: Chain) -> None:
    laws = replace(
        DERIBIT.parameters.laws, dampener=DampenerLaw.NONE, delta_shock=DeltaShockLaw.NONE, roll=RollLaw.NONE
    )
    bare = replace(DERIBIT, parameters=replace(DERIBIT.parameters, laws=laws))
    account = book(market, bare, 1)
    result = matrix.requirement(market, account, bare)
    same(result, matrix_naive.requirement(market, account, bare))
    assert all(part.contingencies["roll"] == part.contingencies["delta shock"] == 0.0 for part in result.parts)


def test_what_is_not_listed_or_has_no_numbers_is_refused(make_chain: MakeChain) -> None:
    chain, solana = make_chain(), make_chain(underlying="SOL", index=150.0)
    unlisted = Account(account_id="a", collateral={}, positions=(Position.of("BTC-31JAN26-116000-C", 1.0),))
    inverse = Account(account_id="a", collateral={}, positions=(Position.of("BTC-PERPETUAL", 1.0),))
    other = Account(account_id="a", collateral={}, positions=(Position.of("SOL-PERPETUAL", 1.0),))
    for engine in (matrix, matrix_naive):
        with pytest.raises(ChainError, match="not listed"):
            engine.requirement(chain, unlisted, DERIBIT)
        with pytest.raises(BookError, match=r"no terms for BTC \(it has: USD\); add them to settlements"):
            engine.requirement(chain, inverse, PARADEX)
        with pytest.raises(BookError, match="no terms for SOL"):
            engine.requirement(solana, other, DERIBIT)
        with pytest.raises(BookError, match="no index price"):
            engine.requirement(solana, Account(account_id="a", collateral={"BTC": 1.0}, positions=()), DERIBIT)
        with pytest.raises(BookError, match="collateral SOL has no terms"):
            engine.requirement(solana, Account(account_id="a", collateral={"SOL": 1.0}, positions=()), DERIBIT)
    with pytest.raises(ConfigError, match="net-portfolio"):
        grid.requirement(chain, inverse, DERIBIT)
    with pytest.raises(ConfigError, match="risk-matrix"):
        matrix.requirement(chain, inverse, load_rules("derive_pm2"))


@pytest.mark.parametrize(
    "broken", [{"forward": nan}, {"forward": 0.0}, {"volatility": -0.1}, {"volatility": nan}, {"strike": 0.0}]
)
def test_records_refuse_what_cannot_be(broken: dict[str, float]) -> None:
    good = {"strike": 1.0, "forward": 1.0, "volatility": 0.5, "time_to_expiry": 0.1, "amount": 1.0}
    with pytest.raises(BookError, match=next(iter(broken))):
        MatrixOption(is_call=True, **{**good, **broken})
    for more in ({"time_to_expiry": -0.1}, {"amount": inf}):
        with pytest.raises(BookError):
            MatrixOption(is_call=True, **{**good, **more})
    with pytest.raises(BookError):
        MatrixLinear(amount=1.0, forward=1.0, time_to_expiry=nan)
    with pytest.raises(BookError):
        MatrixBook(underlying="BTC", currency="USD", spot_price=nan)


def test_a_forecast_with_a_number_that_is_none_is_refused(make_chain: MakeChain) -> None:
    chain = make_chain()
    account = book(chain, DERIBIT, 1)
    rows = held_rows(chain, [account])
    with pytest.raises(CalculationError):
        matrix.forecast_requirements(
            chain,
            [account],
            DERIBIT,
            rows=rows,
            underlyings=("BTC",),
            forward=np.where(np.arange(len(rows)) == 0, nan, chain.forward[rows])[None, None],
            volatility=np.ones((1, 1, len(rows))),
            time_to_expiry=chain.time_to_expiry[rows][None],
            index=np.full((1, 1, 1), 1e5),
        )
