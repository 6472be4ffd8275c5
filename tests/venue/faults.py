"""What goes wrong at the fake venue, when, and how often it did: faults by plan, drawn by seed or forced one by one.

A draw depends on the seed, the place (method and parameters, or channel), the simulated minute and the number of the
attempt in it, and on nothing else: concurrent calls get the same faults in whatever order they arrive.
"""

import random
from collections import Counter, deque
from collections.abc import Collection, Mapping
from enum import StrEnum


class Fault(StrEnum):
    """A way to fail; what it means for calls and for the stream stands in `server` and `stream`."""

    DISCONNECT = "disconnect"
    STALE = "stale"
    DUPLICATE = "duplicate"
    OUT_OF_ORDER = "out_of_order"
    GAP = "gap"
    NAN = "nan"
    CROSSED = "crossed"
    RATE_LIMIT = "rate_limit"
    SERVER = "server"
    SLOW = "slow"
    TRUNCATED = "truncated"
    CLOCK_SKEW = "clock_skew"


TRANSPORT = (
    Fault.DISCONNECT,
    Fault.RATE_LIMIT,
    Fault.SERVER,
    Fault.SLOW,
    Fault.TRUNCATED,
    Fault.CLOCK_SKEW,
    Fault.OUT_OF_ORDER,
)
"""Faults of a whole answer, whatever it says."""
ROWS = (Fault.STALE, Fault.DUPLICATE, Fault.GAP, Fault.NAN, Fault.CROSSED)
"""Faults of some rows of an answer that has rows."""


class Plan:
    """Which fault strikes next. `share` is the probability of each fault at each place where it can strike."""

    def __init__(self, *, seed: int = 0, share: Mapping[Fault, float] | None = None) -> None:
        self._seed = seed
        self._share = dict(share or {})
        self._forced: deque[tuple[Fault, str]] = deque()
        self._minute = ""
        self._attempts: Counter[str] = Counter()
        self.fired: Counter[Fault] = Counter()

    def force(self, fault: Fault, *, where: str = "", times: int = 1) -> None:
        """Lets a fault strike the next so many calls or messages whose place contains `where`."""
        self._forced.extend([(fault, where)] * times)

    def draw(self, possible: Collection[Fault], *, place: str, minute: str) -> tuple[Fault | None, random.Random]:
        """The fault that strikes here, if any, counted, and the random numbers for its details."""
        if minute != self._minute:
            self._minute = minute
            self._attempts.clear()
        self._attempts[place] += 1
        rng = random.Random(f"{self._seed}/{minute}/{place}/{self._attempts[place]}")
        fault = self._pending(possible, place) or self._drawn(possible, rng)
        if fault is not None:
            self.fired[fault] += 1
        return fault, rng

    def _pending(self, possible: Collection[Fault], place: str) -> Fault | None:
        for at, (fault, where) in enumerate(self._forced):
            if where in place and fault in possible:
                del self._forced[at]
                return fault
        return None

    def _drawn(self, possible: Collection[Fault], rng: random.Random) -> Fault | None:
        point = rng.random()
        for fault in Fault:
            if fault in possible:
                point -= self._share.get(fault, 0.0)
                if point < 0.0:
                    return fault
        return None
