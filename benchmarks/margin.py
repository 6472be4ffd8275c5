"""Margin of accounts under every packaged rule set, in one run on one thread: milliseconds beside the goals and peers.

    python benchmarks/margin.py                       everything, about a minute
    python benchmarks/margin.py --rounds 5            the same, quicker and noisier
    python benchmarks/margin.py --out runs/bench      where margin.json goes

Each figure is the least processor time of its turns, which are interleaved. No open library answers with a venue's
margin; so the peers do the least that any engine must, the worth of every line in every scenario of the first rule set
and the worst sum: QuantLib's Black formula line by line, and the same formula written in numpy and scipy on the whole
grid at once. "Slow truth" is the loop that judges proposals.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import QuantLib
from calculator import machine
from scipy.special import ndtr
from stopwatch import race

from greekdrift.book import Account, Chain, Position
from greekdrift.book.instrument import deribit_name, parse
from greekdrift.book.rules import RuleSet
from greekdrift.config import load_rules
from greekdrift.greeks import compute
from greekdrift.margin import engine, naive_engine
from greekdrift.margin.lines import coin_balances, contracts, held_rows
from greekdrift.margin.shocks import moved_volatility

RULES = ("derive_pm2", "deribit_pm", "paradex_pm", "deribit_standard", "linear_standard")
LINES, MANY, EACH, STATES, FEW = 100, 1_000, 50, 1_000, 20
ROW = "{:<66} {:>10} {:>8} {:>6}"
AS_OF, INDEX = datetime(2026, 1, 1, 8, tzinfo=UTC), 100_000.0
DAYS, RATIOS = (1, 2, 9, 30, 58, 86, 177, 268), np.linspace(0.5, 1.8, 27)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """A chain, one account, many accounts on it, and moved states of the market."""

    chain: Chain
    rules: RuleSet
    one: Account
    few: Account
    many: tuple[Account, ...]


def listed(currency: str) -> Chain:
    """432 options of BTC on a smile, and the perpetual; settled in the coin, or in a currency."""
    grid = [(day, round(INDEX * ratio), is_call) for day in DAYS for ratio in RATIOS for is_call in (True, False)]
    day, strike = (np.array([one[at] for one in grid], dtype=np.float64) for at in (0, 1))
    forward = INDEX * (1.0 + 0.05 * day / 365.0)
    k = np.log(strike / forward)
    volatility = 0.6 - 0.2 * k + 0.4 * k * k
    is_call = np.array([one[2] for one in grid])
    price = compute(
        ["price"], forward=forward, strike=strike, volatility=volatility, time_to_expiry=day / 365.0, is_call=is_call
    )["price"]
    expiries = [AS_OF + timedelta(days=one[0]) for one in grid]
    names = [
        deribit_name("BTC", expiry, one[1], is_call=one[2], currency=currency)
        for expiry, one in zip(expiries, grid, strict=True)
    ]
    perpetual = f"BTC_{currency}-PERPETUAL" if currency else "BTC-PERPETUAL"
    count = len(names) + 1
    none = np.full(count, np.nan)
    return Chain(
        venue="deribit", as_of=AS_OF, known_at=AS_OF,
        instruments=tuple(parse(name) for name in (*names, perpetual)),
        contract_size=np.r_[np.ones(count - 1), 1.0 if currency else 10.0],
        forward=np.r_[forward, INDEX], bid=none, ask=none,
        mark=np.r_[price if currency else price / forward, INDEX],
        mark_iv=np.r_[volatility, np.nan], open_interest=none, volume_24h=none,
        index_price={"BTC": INDEX}, origin="modelled",
    )  # fmt: skip


def case(name: str) -> Case:
    """Books drawn from a chain that the rule set knows: coin-settled where it takes the coin, else linear."""
    currency = "USDC" if name in ("paradex_pm", "linear_standard") else ""
    chain, random = listed(currency), np.random.default_rng(1)
    collateral = {"USDC": 1e6} if currency else {"BTC": 20.0}

    def book(lines: int, at: int) -> Account:
        rows = [*random.choice(len(chain) - 1, lines - 1, replace=False), len(chain) - 1]
        sizes = [*random.normal(scale=5.0, size=lines - 1), random.normal(scale=10.0 if currency else 1e4)]
        positions = tuple(
            Position(instrument=chain.instruments[row], quantity=float(size))
            for row, size in zip(rows, sizes, strict=True)
        )
        return Account(account_id=f"account {at}", collateral=collateral, positions=positions)

    return Case(
        chain=chain,
        rules=load_rules(name),
        one=book(LINES, 0),
        few=book(FEW, 1),
        many=tuple(book(EACH, at) for at in range(MANY)),
    )


def one_account(on: Case) -> Callable[[], object]:
    """Margin of one account, with every scenario and part."""
    return lambda: engine.requirement(on.chain, on.one, on.rules)


def many_accounts(on: Case) -> Callable[[], object]:
    """Margin of many accounts from their contracts, each instrument valued once."""
    rows = held_rows(on.chain, on.many)
    weights, coins = contracts(on.chain, on.many, rows), coin_balances(on.many, on.rules.parameters)
    return lambda: engine.requirements(on.chain, weights, on.rules, rows=rows, coins=coins)


def forecast(on: Case, account: Account) -> Callable[[], object]:
    """Margin of one account in every forecast scenario."""
    rows, random = held_rows(on.chain, [account]), np.random.default_rng(2)
    jump = np.exp(random.normal(scale=0.04, size=(STATES, 1, 1)))
    level = np.exp(random.normal(scale=0.1, size=(STATES, 1, 1)))
    volatility = np.where(on.chain.is_option[rows], on.chain.mark_iv[rows], 1.0)
    moved = {
        "forward": on.chain.forward[rows] * jump,
        "volatility": np.broadcast_to(volatility, (STATES, 1, rows.size)) * level,
        "time_to_expiry": np.maximum(on.chain.time_to_expiry[rows] - 12.0 / 8760.0, 0.0)[None],
        "index": INDEX * jump,
    }
    return lambda: engine.forecast_requirements(on.chain, [account], on.rules, rows=rows, underlyings=("BTC",), **moved)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """What a peer is given: options, their moved forwards and volatilities in each scenario, and contracts."""

    strike: np.ndarray
    is_call: np.ndarray
    years: np.ndarray
    forward: np.ndarray
    volatility: np.ndarray
    mark: np.ndarray
    amounts: np.ndarray


def grid(on: Case, accounts: tuple[Account, ...]) -> Grid:
    """The scenarios of the first rule set on the options that some accounts hold."""
    rows = held_rows(on.chain, accounts)
    rows = rows[on.chain.is_option[rows]]
    p, chain = on.rules.parameters, on.chain
    options = [Account(account_id=one.account_id, collateral={}, positions=_options(one)) for one in accounts]
    volatility, years = chain.mark_iv[rows], chain.time_to_expiry[rows]
    moved = [moved_volatility(volatility[None], years, one.volatility, p.volatility)[0] for one in p.scenarios]
    price = compute(
        ["price"], forward=chain.forward[rows], strike=chain.strike[rows], volatility=volatility,
        time_to_expiry=years, is_call=chain.is_call[rows],
    )["price"]  # fmt: skip
    return Grid(
        strike=chain.strike[rows],
        is_call=chain.is_call[rows],
        years=years,
        forward=chain.forward[rows] * np.array([one.spot for one in p.scenarios])[:, None],
        volatility=np.array(moved),
        mark=price,
        amounts=contracts(chain, options, rows),
    )


def _options(account: Account) -> tuple[Position, ...]:
    return tuple(one for one in account.positions if one.instrument.is_option)


def by_numpy(on: Grid) -> np.ndarray:
    """Worst scenario of each account by Black's formula in numpy and scipy, on the whole grid at once."""
    deviation = on.volatility * np.sqrt(on.years)
    d1 = np.log(on.forward / on.strike) / deviation + 0.5 * deviation
    side = np.where(on.is_call, 1.0, -1.0)
    worth = side * (on.forward * ndtr(side * d1) - on.strike * ndtr(side * (d1 - deviation)))
    worst: np.ndarray = ((worth - on.mark) @ on.amounts.T).min(axis=0)
    return worst


def by_quantlib(on: Grid) -> np.ndarray:
    """The same for one account with QuantLib, line by line."""
    deviation = on.volatility * np.sqrt(on.years)
    worst = np.inf
    for at in range(len(on.forward)):
        total = 0.0
        for line, amount in enumerate(on.amounts[0]):
            side = QuantLib.Option.Call if on.is_call[line] else QuantLib.Option.Put
            value = QuantLib.blackFormula(side, on.strike[line], on.forward[at, line], deviation[at, line])
            total += amount * (value - on.mark[line])
        worst = min(worst, total)
    return np.array([worst])


def figures(cases: Mapping[str, Case]) -> Mapping[str, tuple[Callable[[], object], float | None]]:
    """What is timed, and the goal of each in milliseconds."""
    found: dict[str, tuple[Callable[[], object], float | None]] = {}
    for name, on in cases.items():
        found[f"{name}: one account of {LINES} lines"] = (one_account(on), 1.0)
        found[f"{name}: {MANY:,} accounts of {EACH} lines"] = (many_accounts(on), 100.0)
        found[f"{name}: {FEW} lines in {STATES:,} forecast scenarios"] = (forecast(on, on.few), 150.0)
        found[f"{name}: {LINES} lines in {STATES:,} forecast scenarios"] = (forecast(on, on.one), None)
        found[f"{name}: one account of {LINES} lines, slow truth"] = (_slow(on), None)
    on = cases[RULES[0]]
    one, many = grid(on, (on.one,)), grid(on, on.many)
    found[f"QuantLib line by line, worst of the scenarios: {LINES} lines"] = (lambda: by_quantlib(one), None)
    found[f"numpy and scipy, worst of the scenarios: {LINES} lines"] = (lambda: by_numpy(one), None)
    found[f"numpy and scipy, worst of the scenarios: {MANY:,} x {EACH}"] = (lambda: by_numpy(many), None)
    return found


def _slow(on: Case) -> Callable[[], object]:
    return lambda: naive_engine.requirement(on.chain, on.one, on.rules)


def main() -> None:
    """Run everything, show it, and write margin.json."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--rounds", type=int, default=15, help="turns of each call")
    words.add_argument("--out", type=Path, default=Path("runs/benchmark"), help="folder of the record")
    asked = words.parse_args()
    cases = {name: case(name) for name in RULES}
    on = grid(cases[RULES[0]], (cases[RULES[0]].one,))
    apart = abs(float(by_numpy(on)[0] / by_quantlib(on)[0]) - 1.0)
    wanted = figures(cases)
    timed = race({name: call for name, (call, _) in wanted.items()}, rounds=asked.rounds, patience=120.0)
    print(ROW.format("", "ms", "goal", "met"))
    for name, (_, goal) in wanted.items():
        found = 1e3 * timed[name].least
        met = "" if goal is None else "yes" if found <= goal else "no"
        print(ROW.format(name, f"{found:.2f}", "" if goal is None else f"{goal:g}", met))
    print(f"peers among themselves differ by {apart:.1e}; one thread, least processor time")
    record = {
        "machine": machine(),
        "milliseconds": {name: 1e3 * one.least for name, one in timed.items()},
        "goals": {name: goal for name, (_, goal) in wanted.items() if goal is not None},
    }
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "margin.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"Record: {asked.out / 'margin.json'}")


if __name__ == "__main__":
    main()
