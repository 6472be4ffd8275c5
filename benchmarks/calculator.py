"""The calculator beside its peers, in one run on one thread: time, accuracy against 60 digits, refusals.

    python benchmarks/calculator.py                       everything, about ten minutes
    python benchmarks/calculator.py --quick               the same on less, about two minutes
    python benchmarks/calculator.py --out runs/bench      where calculator.json and calculator.png go
    python benchmarks/calculator.py --pages .             also rewrites README.md and docs/calculator.md, .png

Peers that are not installed are named with the command that installs them (`make bench` installs all).
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import argparse
import json
import platform
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from time import perf_counter

import accuracy
import showing
import smiles
import workload
import writing
from peers import SLOW, Library, Ready, libraries
from samples import one_sided, options
from stopwatch import Timing, race

from greekdrift.greeks import black

SIZE = 100_000
"""Options of the figures that have a goal."""
FULL = {"rounds": 15, "sizes": (1_000, 10_000, SIZE, 1_000_000), "exactly": SLOW}
QUICK = {"rounds": 5, "sizes": (1_000, SIZE), "exactly": 300}


def main() -> None:
    """Run everything, show it, and write calculator.json and calculator.png."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--quick", action="store_true", help="fewer rounds, sizes and options in 60 digits")
    words.add_argument("--out", type=Path, default=Path("runs/benchmark"), help="folder of the record and the picture")
    words.add_argument("--pages", type=Path, help="root of the checkout whose README and docs/ shall hold the results")
    words.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    asked = words.parse_args()
    if asked.memory:
        print(workload.peak_memory())
        return
    started = perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peers warn of what their answers are scored for
        record = measure(libraries(), **(QUICK if asked.quick else FULL))
    record["seconds"] = round(perf_counter() - started, 1)
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "calculator.json").write_text(json.dumps(record, indent=1) + "\n")
    showing.tables(record)
    picture = showing.picture(record, asked.out / "calculator.png")
    if asked.pages:
        shutil.copyfile(picture, asked.pages / "docs" / "calculator.png")
        print("Rewritten:", *writing.write(record, asked.pages))
    print(f"Done in {record['seconds']:.0f} s. Record: {asked.out / 'calculator.json'}  Picture: {picture}")


def measure(everyone: list[Library], *, rounds: int, sizes: Sequence[int], exactly: int) -> dict[str, object]:
    """The whole record: machine, libraries, times, accuracy of `exactly` options a region, refusals."""
    timed = {
        "price + 4 Greeks": {str(n): first(everyone, n, rounds=rounds) for n in sizes},
        "price + 11 Greeks": {str(SIZE): eleven(everyone, rounds=rounds)},
        "implied volatility, mixed": {str(n): implied(everyone, n, rounds=rounds, is_mixed=True) for n in (SIZE,)},
        "implied volatility, one side": {str(n): implied(everyone, n, rounds=rounds, is_mixed=False) for n in (SIZE,)},
    }
    return {
        "machine": machine(),
        "libraries": [
            {"name": one.name, "version": one.version, "install": one.install, "note": one.note} for one in everyone
        ],
        "nanoseconds": timed,
        "revaluation": workload.revaluation(everyone, rounds=rounds),
        "smiles": smiles.slices(rounds=rounds) | smiles.chain(rounds=rounds),
        "accuracy": accuracy.plain(accuracy.prices_and_greeks(everyone, n=exactly)),
        "accuracy of implied volatility": accuracy.plain(accuracy.volatilities(everyone, n=exactly)),
        "numbers given where none exists": accuracy.inventions(everyone, n=exactly),
    }


def first(everyone: list[Library], n: int, *, rounds: int) -> dict[str, dict[str, float]]:
    """Nanoseconds an option of price, delta, gamma, vega and theta, calls and puts within ±3 deviations."""
    sample = options(n, deviations=3.0, seed=1)
    return _race({one.name: one.first(sample) for one in everyone if one.first}, rounds=rounds)


def eleven(everyone: list[Library], *, rounds: int) -> dict[str, dict[str, float]]:
    """Nanoseconds an option of price and eleven Greeks."""
    sample = options(SIZE, deviations=3.0, seed=2)
    return _race({one.name: one.eleven(sample) for one in everyone if one.eleven}, rounds=rounds)


def implied(everyone: list[Library], n: int, *, rounds: int, is_mixed: bool) -> dict[str, dict[str, float]]:
    """Nanoseconds an implied volatility, out of the money within ±30 deviations."""
    sample = options(n, deviations=30.0, seed=3, is_out=True) if is_mixed else one_sided(n, deviations=30.0, seed=4)
    price = black.price(black.options(**sample.columns()))
    ready = {one.name: one.implied(price, sample) for one in everyone if one.implied}
    return _race(ready, rounds=rounds)


def _race(ready: dict[str, Ready], *, rounds: int) -> dict[str, dict[str, float]]:
    timings = race({name: one.call for name, one in ready.items()}, rounds=rounds)
    return {name: _each(timing, ready[name].size) for name, timing in timings.items()}


def _each(timing: Timing, size: int) -> dict[str, float]:
    each = 1e9 / size
    return {name: value if name == "calls" else value * each for name, value in asdict(timing).items()}


def machine() -> dict[str, str]:
    """Processor, system, and the versions that matter."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor() or "unknown",
    )
    versions = {name: metadata.version(name) for name in ("numpy", "numba", "scipy")}
    return {"processor": model, "cores": str(os.cpu_count()), "python": platform.python_version(), **versions}


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


if __name__ == "__main__":
    main()
