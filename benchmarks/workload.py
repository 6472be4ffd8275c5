"""The workload that matters: 10,000 positions of 50 accounts under 2,000 joint scenarios, beside brute force."""

import resource
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from goals import CONTRACTED
from numpy import ndarray
from peers import Library
from samples import Options
from stopwatch import race

from greekdrift.book import Chain, Scenarios
from greekdrift.book.instrument import deribit_name, parse
from greekdrift.greeks import compute
from greekdrift.surface import FACTORS, Surface, fit, revalue
from greekdrift.surface import books as streaming

EXPIRIES, STRIKES, ACCOUNTS, POSITIONS, SCENARIOS = 12, 40, 50, 10_000, 2_000
NAMES = ("value_usd", "delta_usd", "gamma", "vega", "theta")
BLOCK = 10
"""Scenarios of the block that brute force is timed on; the rest is extrapolated."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """A listed chain, its surface, joint scenarios one day ahead, and the contracts of each account by chain row."""

    chain: Chain
    surface: Surface
    scenarios: Scenarios
    rows: ndarray
    weights: ndarray


def case(*, strikes: int = STRIKES) -> Case:
    """12 expiries × `strikes`, calls and puts, coin-settled; 200 positions in each of 50 accounts."""
    as_of, index = datetime(2026, 1, 1, 8, tzinfo=UTC), 100_000.0
    rng = np.random.default_rng(6)
    names, columns = [], []
    for day in np.unique(np.round(np.geomspace(2.0, 400.0, EXPIRIES))):
        tau, expiry = day / 365.0, as_of + timedelta(days=float(day))
        forward = index * (1.0 + 0.04 * tau)
        listed = np.round(forward * np.exp(np.linspace(-2.5, 2.5, strikes) * 0.55 * np.sqrt(tau)))
        z = np.log(listed / forward) / (0.55 * np.sqrt(tau))
        volatility = 0.55 * (1.0 - 0.05 * z + 0.03 * z * z)
        for K, sigma in zip(listed, volatility, strict=True):
            for is_call in (True, False):
                at = {"forward": forward, "strike": K, "volatility": sigma, "time_to_expiry": tau}
                worth = float(compute(["price"], **at, is_call=is_call)["price"]) / forward
                names.append(parse(deribit_name("BTC", expiry, int(K), is_call=is_call)))
                columns.append((forward, 0.98 * worth, 1.02 * worth, worth, sigma))
    forward, bid, ask, mark, mark_iv = np.array(columns).T
    n = len(names)
    chain = Chain(
        venue="deribit", as_of=as_of, known_at=as_of, instruments=tuple(names), index_price={"BTC": index},
        contract_size=np.ones(n), forward=forward, bid=bid, ask=ask, mark=mark, mark_iv=mark_iv,
        open_interest=np.full(n, np.nan), volume_24h=np.full(n, np.nan),
    )  # fmt: skip
    weights = np.zeros((ACCOUNTS, n))
    for account in weights:
        account[rng.choice(n, POSITIONS // ACCOUNTS, replace=False)] = rng.integers(-20, 21, POSITIONS // ACCOUNTS)
    scale = np.where(
        np.array(FACTORS) == "forward", 0.04, np.where([name.startswith("atm") for name in FACTORS], 0.08, 0.01)
    )
    increments = rng.normal(0.0, 1.0, (SCENARIOS, 1, 1, len(FACTORS))) * scale
    scenarios = Scenarios(
        underlyings=("BTC",), factors=FACTORS, horizons=np.array([24.0]), increments=increments,
        weights=np.full(SCENARIOS, 1.0 / SCENARIOS), as_of=as_of, known_at=as_of, provenance="benchmark",
    )  # fmt: skip
    return Case(chain=chain, surface=fit.fit(chain), scenarios=scenarios, rows=np.arange(n), weights=weights)


def revaluation(everyone: list[Library], *, rounds: int) -> dict[str, dict[str, object]]:
    """Milliseconds of the whole workload through our public function, and of brute force by library, extrapolated.

    Brute force prices every position under every scenario, moved forward and volatility given: the move is free for it.
    """
    on = case()
    arguments = {"weights": on.weights, "rows": on.rows, "names": NAMES}
    calls = {
        f"greekdrift, {mode}": lambda strict=strict: streaming.books(
            on.chain, on.surface, on.scenarios, **arguments, deterministic=strict
        )
        for mode, strict in (("contracted", False), ("strict", True))
    }
    cells, account, contracts = block(on)
    ready = {one.name: one.first(cells) for one in everyone if one.first and not one.name.startswith("greekdrift")}
    ready |= {"greekdrift compute": everyone[0].first(cells)}
    timings = race(calls | {name: one.call for name, one in ready.items()}, rounds=rounds)
    ours = timings[CONTRACTED].least
    found: dict[str, dict[str, object]] = {}
    for name in calls:
        found[f"{name}: books"] = {"milliseconds": 1e3 * timings[name].least, "ratio": timings[name].least / ours}
    found[f"{CONTRACTED}: books"]["peak memory, MiB"] = measured_memory()
    found[f"{CONTRACTED}: books"]["off brute force, of gross"] = difference(on, cells, account, contracts)
    for name, one in ready.items():
        seconds = timings[name].least / one.size * POSITIONS * SCENARIOS
        found[f"{name}: brute force"] = {"milliseconds": 1e3 * seconds, "ratio": seconds / ours}
    return found


def block(on: Case) -> tuple[Options, ndarray, ndarray]:
    """Cells of every position under the first scenarios, (scenario, position) flat; its owner and its contracts."""
    account, row = np.nonzero(on.weights)
    few = replace(on.scenarios, increments=on.scenarios.increments[:BLOCK], weights=np.full(BLOCK, 1.0 / BLOCK))
    moved = revalue.revalue(on.chain, on.surface, few, rows=on.rows, names=("gamma",))
    flat = {
        "forward": moved.forward[:, 0, row],
        "strike": np.broadcast_to(on.chain.strike[row], (BLOCK, row.size)),
        "volatility": moved.volatility[:, 0, row],
        "time_to_expiry": np.broadcast_to(moved.time_to_expiry[0, row], (BLOCK, row.size)),
        "is_call": np.broadcast_to(on.chain.is_call[row], (BLOCK, row.size)),
    }
    cells = Options(**{name: np.ascontiguousarray(column.reshape(-1)) for name, column in flat.items()})
    return cells, account, on.weights[account, row]


def difference(on: Case, cells: Options, account: ndarray, contracts: ndarray) -> float:
    """Largest difference of vega between our books and brute force, as a share of the gross vega of the book."""
    each = compute(["vega"], **cells.columns())["vega"].reshape(BLOCK, -1) * contracts
    owner = np.eye(ACCOUNTS)[account]
    found = streaming.books(
        on.chain, on.surface, on.scenarios, weights=on.weights, rows=on.rows, names=("vega",), deterministic=False
    ).values["vega"][:BLOCK, 0]
    return float(np.max(np.abs(found - each @ owner) / (np.abs(each) @ owner)))


def measured_memory() -> float:
    """Peak memory of the workload beyond what loading and compiling take, MiB, in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("calculator.py")), "--memory"]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def peak_memory() -> float:
    """The same, in this process: the peak of resident memory, counted from just before, over what there was.

    Linux alone can set the peak back (proc(5), clear_refs); elsewhere the growth of the largest resident size is a
    lower bound.
    """
    on = case()
    arguments = {"weights": on.weights, "rows": on.rows, "names": NAMES, "deterministic": False}
    few = replace(on.scenarios, increments=on.scenarios.increments[:2], weights=np.full(2, 0.5))
    streaming.books(on.chain, on.surface, few, **arguments)
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5")
        before = _resident("VmRSS")
        streaming.books(on.chain, on.surface, on.scenarios, **arguments)
        return _resident("VmHWM") - before
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    streaming.books(on.chain, on.surface, on.scenarios, **arguments)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0 - before


def _resident(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1024.0 for line in lines if line.startswith(f"{name}:"))
