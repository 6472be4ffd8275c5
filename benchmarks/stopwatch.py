"""Times of several calls in one run: rounds A B C, A B C, … so that a noisy minute meets all of them alike."""

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter, process_time

LEAST_SECONDS = 1e-2
"""A turn repeats a call for about this long, so that all but its first find caches and memory warm."""
FEWEST, MOST = 4, 200
QUICK = 5e-2
"""Seconds of a call from which on one a turn is enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds of a call over all turns: least processor time, least and median wall time.

    On a quiet machine the three are close. Processor time counts all threads, so that a second one gains nothing, and
    is not spoilt by neighbours who take the processor away for a while.
    """

    least: float
    wall: float
    median: float
    calls: int


def race(calls: Mapping[str, Callable[[], object]], *, rounds: int, patience: float = 60.0) -> dict[str, Timing]:
    """Timing of each call by name, in interleaved rounds, for at most `patience` seconds (three rounds at least)."""
    repeats = {name: _repeats(call) for name, call in calls.items()}
    wall: dict[str, list[float]] = {name: [] for name in calls}
    used: dict[str, list[float]] = {name: [] for name in calls}
    gc.collect()
    gc.disable()
    started = perf_counter()
    try:
        for done in range(rounds):
            for name, call in calls.items():
                for _ in range(repeats[name]):
                    before, at = process_time(), perf_counter()
                    call()
                    wall[name].append(perf_counter() - at)
                    used[name].append(process_time() - before)
            if done >= 2 and perf_counter() - started > patience:  # a round of slow peers is worth three fast ones
                break
    finally:
        gc.enable()
    return {
        name: Timing(
            least=min(used[name]),
            wall=min(times),
            median=sorted(times)[len(times) // 2],
            calls=len(times),
        )
        for name, times in wall.items()
    }


def _repeats(call: Callable[[], object]) -> int:
    """Warm up, then how many calls fill a turn: at least a few of a quick one, so that most of them are warm."""
    call()
    spent = []
    for _ in range(3):
        at = process_time()
        call()
        spent.append(process_time() - at)
        if spent[-1] > QUICK:
            return 1
    return min(MOST, max(FEWEST, round(LEAST_SECONDS / max(min(spent), 1e-9))))
