"""Everything that reads from outside against 50,000 inputs that nobody meant: taken, refused by name, never worse.

Each kind of reader runs in a process of its own, which may not outgrow its memory and not think longer than `PATIENCE`
about one input. A crash, another exception than those of `greekdrift.errors`, a partial file or a number that is none
is a finding, with the number of the try that shows it again. Ends with status 1 if there was any.

    python -m campaigns.mutate [--part 20] [--seed 1] [--only replies] [--at 1234]
"""

import argparse
import gc
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from campaigns.targets import TARGETS

PATIENCE = 20
"""Seconds for one input."""
GROWTH = 400 << 20
"""Bytes that a process may grow by, from after the first inputs to the end."""
ADDRESS_SPACE = 16 << 30
MOST_FINDINGS = 20


class TooLong(BaseException):
    """An input took longer than `PATIENCE`; not an `Exception`, so that nothing catches it on the way."""


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What one target did: inputs by what became of them, findings, seconds, growth in bytes, slowest input."""

    target: str
    inputs: int = 0
    became: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    seconds: float = 0.0
    growth: int = 0
    slowest: float = 0.0


def tried(target: str, numbers: Sequence[int], *, seed: int) -> Outcome:
    """Makes the tries of these numbers, here."""
    made, _, size = TARGETS[target]
    outcome = Outcome(target=target)
    began, first = time.monotonic(), 0
    is_clocked = threading.current_thread() is threading.main_thread()
    if is_clocked:
        signal.signal(signal.SIGALRM, _too_long)
    with _strict(), tempfile.TemporaryDirectory() as folder, made(Path(folder), seed) as attempt:
        for count, number in enumerate(numbers):
            start = time.monotonic()
            try:
                if is_clocked:
                    signal.alarm(PATIENCE)
                outcome.became[attempt(random.Random(f"{seed}/{target}/{number}"))] += size
            except (Exception, TooLong) as problem:  # noqa: BLE001 - whatever escapes is a finding
                outcome.findings.append(f"{target} {number}: {_said(problem)}")
            finally:
                if is_clocked:
                    signal.alarm(0)
            outcome.inputs += size
            outcome.slowest = max(outcome.slowest, time.monotonic() - start)
            if len(outcome.findings) >= MOST_FINDINGS:
                break
            if count == min(50, len(numbers) // 4):
                gc.collect()
                first = _peak()
    outcome.growth = _peak() - first
    outcome.seconds = time.monotonic() - began
    if outcome.growth > GROWTH:
        outcome.findings.append(f"{target}: memory grew by {outcome.growth / 1e6:.0f} MB")
    return outcome


@contextmanager
def _strict() -> Iterator[None]:
    """A warning of numpy, pandas or ours is a finding too: what it warns of went on with a number that is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("error", FutureWarning)
        yield


def _too_long(_number: int, _frame: FrameType | None) -> None:
    raise TooLong(f"longer than {PATIENCE} s")


def _said(problem: BaseException) -> str:
    last = traceback.extract_tb(problem.__traceback__)[-1:]
    place = f" in {Path(last[0].filename).name}:{last[0].lineno}" if last else ""
    return f"{type(problem).__name__}: {str(problem)[:200]}{place}"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def apart(target: str, numbers: range, *, seed: int) -> Outcome:
    """Makes the tries in a process of their own; one that dies is a finding."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "campaigns.mutate", "--worker", "--only", target, "--seed", str(seed)),
            *("--from", str(numbers.start), "--to", str(numbers.stop)),
        ],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    if done.returncode == 0:
        facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return Outcome(**{**facts, "became": Counter(facts["became"])})
    said = done.stderr.strip().splitlines()[-1:] or ["nothing was said"]
    reached = [line for line in done.stderr.splitlines() if line.startswith("reached ")][-1:]
    return Outcome(
        target=target, findings=[f"{target}: the process ended with {done.returncode}: {said[0][:200]} {reached}"]
    )


def worker(target: str, numbers: range, *, seed: int) -> int:
    """The tries of one process; one JSON line at the end."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    outcome = tried(target, numbers, seed=seed)
    facts = {name: getattr(outcome, name) for name in Outcome.__slots__}
    print(json.dumps(facts))
    return 0


def table(outcomes: Sequence[Outcome]) -> str:
    """One line a target."""
    head: tuple[str, ...] = ("", "inputs", "taken", "in part", "refused", "findings", "slowest", "growth", "seconds")
    lines = [head]
    lines += [
        (
            one.target,
            f"{one.inputs:,}",
            *(f"{one.became[name]:,}" for name in ("taken", "part", "refused")),
            f"{len(one.findings):,}",
            f"{one.slowest:.2f} s",
            f"{one.growth / 1e6:.0f} MB",
            f"{one.seconds:.0f}",
        )
        for one in outcomes
    ]
    total = sum(one.inputs for one in outcomes)
    width = [max(len(line[at]) for line in lines) for at in range(len(head))]
    rows = ["  ".join(cell.rjust(w) for cell, w in zip(line, width, strict=True)) for line in lines]
    return "\n".join([*rows, f"{total:,} inputs"])


def main() -> int:
    """Carries out the campaign and prints its table; 1 if there was a finding."""
    parser = argparse.ArgumentParser(description="mutated inputs to everything that reads from outside")
    parser.add_argument("--part", type=int, default=1, help="one part in so many of the campaign")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", choices=["", *TARGETS], help="one target")
    parser.add_argument("--at", type=int, default=None, help="one try, here, with its whole traceback")
    parser.add_argument("--here", action="store_true", help="all in this process: faster, but a crash ends it")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--from", type=int, default=0, dest="start", help=argparse.SUPPRESS)
    parser.add_argument("--to", type=int, default=0, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        return worker(asked.only, range(asked.start, asked.to), seed=asked.seed)
    if asked.at is not None:
        with tempfile.TemporaryDirectory() as folder, TARGETS[asked.only][0](Path(folder), asked.seed) as attempt:
            print(attempt(random.Random(f"{asked.seed}/{asked.only}/{asked.at}")))
        return 0
    made = tried if asked.here else apart
    outcomes = [
        made(target, range(-(-count // asked.part)), seed=asked.seed)
        for target, (_, count, _) in TARGETS.items()
        if asked.only in {"", target}
    ]
    print(table(outcomes))
    findings = [finding for one in outcomes for finding in one.findings]
    print("\n".join(findings) if findings else "every input was taken or refused by name")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
