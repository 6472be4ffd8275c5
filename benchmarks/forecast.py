"""From a snapshot to the forecast of a book, in one run on one thread: milliseconds beside the goals.

    python benchmarks/forecast.py                       everything, about two minutes
    python benchmarks/forecast.py --rounds 3            the same, quicker and noisier
    python benchmarks/forecast.py --out runs/bench      where forecast.json goes

A simulated market of two coins, 60 days of six-hour snapshots. Each figure is the least processor time of its turns,
which are interleaved. "Before" is the readable way to the same numbers: the walk in numpy, and books by way of the
scenarios of every contract.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from calculator import machine
from stopwatch import race

from greekdrift.book import Account, Band, Chain, Mandate, Position
from greekdrift.config import load_rules, load_venue
from greekdrift.features.panel import Panel, build
from greekdrift.forecast.deep.training import DriftNet
from greekdrift.forecast.distribution import BOOK, Forecast, forecast
from greekdrift.forecast.econometric import FilteredHistorical, FilteredPredictor, walk
from greekdrift.forecast.ensemble import Pool
from greekdrift.forecast.forecaster import Predictor, scenarios
from greekdrift.forecast.memory import memory, moves
from greekdrift.forecast.steps import path_of_steps
from greekdrift.forecast.streamed import forecast_books
from greekdrift.market.simulate import SimulatedSource
from greekdrift.serve.outlook import outlook
from greekdrift.surface.fit import fit
from greekdrift.surface.revalue import revalue

HORIZONS, N, FEW = (6.0, 12.0, 24.0, 48.0, 72.0), 2_000, 1_000
ACCOUNTS, LINES = 50, 200
START = Path(__file__).resolve().parents[1] / "models" / "start-coins"
ROW = "{:<62} {:>10} {:>8} {:>6}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """A chain, its past, predictors fitted on it, and books of it."""

    chain: Chain
    panel: Panel
    fhs: FilteredPredictor
    pool: Predictor
    net: Predictor
    small: tuple[Account, ...]
    banded: tuple[Account, ...]
    large: tuple[Account, ...]
    tenors: tuple[Account, ...]


def case() -> Case:
    """Books drawn from the listed contracts: 20 lines in one account, 10,000 in fifty, and the same with mandates."""
    source = SimulatedSource(venue=load_venue("deribit"), seed=3, days=60.0)
    panel = build(source)
    chain = source.chain(source.snapshots()[-1])
    plain, tenors = _bands(()), _bands(((0.0, 7.0), (7.0, 30.0), (30.0, 400.0)))
    return Case(
        chain=chain,
        panel=panel,
        fhs=FilteredHistorical().fit(panel),
        pool=Pool().fit(panel),
        net=_net(panel),
        small=_accounts(chain, 1, 20, ()),
        banded=_accounts(chain, 1, 20, plain),
        large=_accounts(chain, ACCOUNTS, LINES, ()),
        tenors=_accounts(chain, ACCOUNTS, LINES, tenors),
    )


def _net(panel: Panel) -> Predictor:
    """The drift net as it comes from the start of the coins: its means and shapes, on a market of a later time."""
    ahead = np.timedelta64(5 * 365 * 24, "h")
    later = replace(panel, as_of=panel.as_of + ahead, known_at=panel.known_at + ahead)
    net = DriftNet(start=str(START), horizons=(6.0, 12.0, 24.0), draws=8, batch_draws=4, epochs=1)
    return net.fit(later)


def _bands(tenors: tuple[tuple[float, float], ...]) -> tuple[Band, ...]:
    """Bands on delta, gamma and vega of both coins, vega by tenor where tenors are given."""
    return tuple(
        Band(greek=greek, underlying=coin, lower=-1e6, upper=1e6, tenor_days=tenor)
        for coin in ("BTC", "ETH")
        for greek in ("delta", "gamma", "vega")
        for tenor in ((tenors or (None,)) if greek == "vega" else (None,))
    )


def _accounts(chain: Chain, count: int, lines: int, bands: tuple[Band, ...]) -> tuple[Account, ...]:
    rng = np.random.default_rng(1)
    mandate = Mandate(
        rule_set="derive_pm2", bands=bands, liquidity_buffer_usd=0.0, venues=("deribit",),
        max_order_notional_usd=1e6, max_cost_usd=1e4,
    )  # fmt: skip
    return tuple(
        Account(
            account_id=f"account {at:02d}",
            collateral={"BTC": 1.0, "USDC": 1e5},
            positions=tuple(
                Position.of(chain.instruments[row].name, float(rng.integers(1, 9)))
                for row in rng.choice(len(chain), lines, replace=False)
            ),
            mandate=mandate if bands else None,
        )
        for at in range(count)
    )


def end_to_end(on: Case, accounts: tuple[Account, ...], *, deterministic: bool = True) -> Forecast:
    """Scenarios, surface, and the forecast of the accounts."""
    drawn = on.fhs.predict(on.panel, horizons=HORIZONS, n=N, seed=1)
    surface = fit(on.chain)
    return forecast_books(on.chain, accounts, surface=surface, scenarios=drawn, deterministic=deterministic)


def before(on: Case, accounts: tuple[Account, ...]) -> Forecast:
    """The same by the readable walk and the scenarios of every contract."""
    held = np.unique(np.concatenate([on.chain.rows(account.quantities()) for account in accounts]))
    drawn = readable(on, N)
    return forecast(on.chain, accounts, revalue(on.chain, fit(on.chain), drawn, rows=held, names=BOOK))


def readable(on: Case, n: int) -> object:
    """The scenarios of `fhs` by the readable walk."""
    hours, scale = np.array(HORIZONS), on.fhs.scale
    lengths, arrivals = path_of_steps(hours, scale.clock.step_hours)
    drawn = on.fhs.residuals.draw(n=n, length=lengths.size, random=np.random.default_rng(1))
    past = memory(moves(on.panel), scale.clock.memories, last_only=True).repeated(n)
    origin = np.repeat(on.panel.state[-1:], n, axis=0)
    moved = walk(scale, past, origin, on.panel.as_of[-1:], drawn, lengths)[:, arrivals - 1]
    return scenarios(on.panel, moved, horizons=hours, name="fhs", seed=1)


def with_margin(on: Case) -> object:
    """The forecast of 20 lines with initial and maintenance margin and equity in every scenario."""
    return outlook(
        on.chain, on.small, predictor=on.fhs, history=on.panel, rules=load_rules("derive_pm2"), horizons=HORIZONS, n=N,
        seed=1,
    )  # fmt: skip


def figures(on: Case) -> Mapping[str, tuple[Callable[[], object], float | None]]:
    """What is timed, and the goal of each in milliseconds."""
    at = {"horizons": HORIZONS, "seed": 1}
    return {
        f"scenarios, fhs, {FEW:,} paths": (lambda: on.fhs.predict(on.panel, n=FEW, **at), 5.0),
        f"scenarios, fhs, {N:,} paths": (lambda: on.fhs.predict(on.panel, n=N, **at), 5.0),
        f"scenarios, fhs, {N:,} paths, before": (lambda: readable(on, N), None),
        f"scenarios, pool, {N:,} paths": (lambda: on.pool.predict(on.panel, n=N, **at), None),
        f"scenarios, drift net, {FEW:,} paths to 24 h": (
            lambda: on.net.predict(on.panel, horizons=(24.0,), n=FEW, seed=1),
            5.0,
        ),
        f"scenarios, drift net, {FEW:,} paths": (lambda: on.net.predict(on.panel, n=FEW, **at), 5.0),
        "20 lines": (lambda: end_to_end(on, on.small), 25.0),
        "20 lines, bands on delta, gamma, vega": (lambda: end_to_end(on, on.banded), 25.0),
        "20 lines, before": (lambda: before(on, on.small), None),
        "20 lines, with margin": (lambda: with_margin(on), None),
        "10,000 lines over 50 accounts, contracted": (lambda: end_to_end(on, on.large, deterministic=False), 150.0),
        "10,000 lines over 50 accounts, strict": (lambda: end_to_end(on, on.large), 150.0),
        "10,000 lines over 50 accounts, bands by tenor, strict": (lambda: end_to_end(on, on.tenors), None),
        "10,000 lines over 50 accounts, before": (lambda: before(on, on.large), None),
    }


def difference(on: Case) -> float:
    """Largest difference between a forecast and the one made the way before, as a share of its largest value."""
    worst = 0.0
    made, known = end_to_end(on, on.small), before(on, on.small)
    for name in made.quantities:
        column = known.of(known.account_ids[0], name)
        size = float(np.abs(column).max())
        if size > 0.0:
            worst = max(worst, float(np.abs(made.of(made.account_ids[0], name) - column).max()) / size)
    return worst


def main() -> None:
    """Run everything, show it, and write forecast.json."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--rounds", type=int, default=9, help="turns of each call")
    words.add_argument("--out", type=Path, default=Path("runs/benchmark"), help="folder of the record")
    asked = words.parse_args()
    on = case()
    wanted = figures(on)
    timed = race({name: call for name, (call, _) in wanted.items()}, rounds=asked.rounds)
    print(f"{len(on.chain)} listed contracts, {N:,} scenarios x {len(HORIZONS)} horizons, one thread")
    print(ROW.format("", "ms", "goal", "met"))
    for name, (_, goal) in wanted.items():
        found = 1e3 * timed[name].least
        met = "" if goal is None else "yes" if found <= goal else "no"
        print(ROW.format(name, f"{found:.1f}", "" if goal is None else f"{goal:g}", met))
    apart = difference(on)
    print(f"largest difference from the way before, of the largest value: {apart:.1e}")
    record = {
        "machine": machine(),
        "milliseconds": {name: 1e3 * one.least for name, one in timed.items()},
        "goals": {name: goal for name, (_, goal) in wanted.items() if goal is not None},
        "difference": apart,
    }
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "forecast.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"Record: {asked.out / 'forecast.json'}")


if __name__ == "__main__":
    main()
