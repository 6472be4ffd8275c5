"""The collector against the fake venue: a day of one-minute snapshots with every fault, killed again and again.

Three runs. Killed: 24 simulated hours by calls, 200 SIGKILLs at random moments, files damaged behind its back, second
collectors on the same folder. Streamed: three hours over the websocket with order books, 30 kills. Steady: 24 hours in
one process, whose memory must stay within 10 %. Everything that was collected is then held against what was
acknowledged and against the market behind the venue. Prints a table; ends with status 1 if anything was found.

    python -m campaigns.collect [--part 20] [--seed 1]      one part in so many of it
"""

import argparse
import json
import logging
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import IO, Any, cast

from campaigns.audit import Findings, audit
from tests.venue.clock import SharedClock
from tests.venue.faults import Fault, Plan
from tests.venue.market import MINUTE, Market, thinned
from tests.venue.server import Venue, running

from greekdrift.config import load_venue
from greekdrift.market.collect import manifest
from greekdrift.market.collect.store import Store
from greekdrift.market.simulate import SimulatedSource

START = datetime(2026, 2, 5, 7, 30, tzinfo=UTC)
CALLS = {
    Fault.DISCONNECT: 0.01,
    Fault.STALE: 0.02,
    Fault.DUPLICATE: 0.02,
    Fault.OUT_OF_ORDER: 0.005,
    Fault.GAP: 0.02,
    Fault.NAN: 0.02,
    Fault.CROSSED: 0.02,
    Fault.RATE_LIMIT: 0.01,
    Fault.SERVER: 0.01,
    Fault.SLOW: 0.005,
    Fault.TRUNCATED: 0.01,
    Fault.CLOCK_SKEW: 0.005,
}
"""Share of calls that each fault strikes: about one in seven fails somehow."""
NOTICES = dict.fromkeys(Fault, 0.0004) | {Fault.RATE_LIMIT: 0.02, Fault.DISCONNECT: 0.0001, Fault.SERVER: 0.0001}
STALL = 0.6
SILENCE = 60.0
FLAT = 0.10
DAMAGE = 0.1
SECOND = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run: simulated minutes, kills, and whether by the stream."""

    name: str
    minutes: int
    kills: int
    stream: bool = False


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a run did and what was found."""

    run: Run
    findings: Findings = field(default_factory=Findings)
    kills: int = 0
    kills_opening: int = 0
    unfinished: int = 0
    damaged: dict[str, str] = field(default_factory=dict)
    planted: int = 0
    quarantined: int = 0
    second: int = 0
    second_let_in: int = 0
    failed: list[str] = field(default_factory=list)
    acknowledged: dict[str, str] = field(default_factory=dict)
    rejected: Counter[str] = field(default_factory=Counter)
    fired: Counter[Fault] = field(default_factory=Counter)
    restarts: list[datetime] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def growth(self) -> float:
        """Memory at the end over memory after the first fifth, less 1; 0 for a run of many processes."""
        if self.kills or len(self.resident) < 10:
            return 0.0
        fifth = len(self.resident) // 5
        return statistics.median(self.resident[-fifth:]) / statistics.median(self.resident[fifth : 2 * fifth]) - 1.0

    @property
    def problems(self) -> list[str]:
        """What must not be, in words; nothing for a run that holds."""
        silent = [fault.value for fault in Fault if not self.fired[fault]]
        found = list(self.findings.examples) if not self.findings.is_clean else []
        found += [f"failed: {one}" for one in self.failed]
        found += [f"a fault never struck: {', '.join(silent)}"] if silent else []
        found += [f"{self.second_let_in} second collectors were let in"] if self.second_let_in else []
        found += [f"memory grew by {self.growth:.1%}"] if abs(self.growth) > FLAT else []
        found += [f"{self.kills} kills of {self.run.kills}"] if self.kills < self.run.kills else []
        return found


class Nursery:
    """The process that forks collectors, and what they say, in order."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._process = subprocess.Popen(
            [sys.executable, "-m", "campaigns.nursery", json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self._input = cast("IO[str]", self._process.stdin)
        self._output = cast("IO[str]", self._process.stdout)
        self._events: Queue[dict[str, Any]] = Queue()
        self._listening = Thread(target=self._listen, daemon=True)
        self._listening.start()
        self.until("ready", wait=180.0)

    def _listen(self) -> None:
        for line in self._output:
            self._events.put(json.loads(line))

    def ask(self, question: dict[str, Any]) -> None:
        """Sends one question."""
        self._input.write(json.dumps(question) + "\n")
        self._input.flush()

    def start(self, **settings: Any) -> int:
        """Forks a collector; its process."""
        self.ask({"start": {**self._settings, **settings}})
        return int(self.until("started")["pid"])

    def next(self, wait: float) -> dict[str, Any] | None:
        """The next event, or None if there is none for so many seconds."""
        try:
            return self._events.get(timeout=max(wait, 0.0))
        except Empty:
            return None

    def until(self, event: str, *, wait: float = SILENCE) -> dict[str, Any]:
        """The next event of a kind; others before it are left out."""
        limit = time.monotonic() + wait
        while (found := self.next(limit - time.monotonic())) is not None:
            if found["event"] == event:
                return found
        raise RuntimeError(f"the nursery did not say {event!r} in {wait:g} s")

    def close(self) -> None:
        """Ends the process."""
        self._input.close()
        self._process.wait(timeout=30.0)
        self._listening.join(timeout=30.0)
        self._output.close()


class Campaign:
    """One run, from the first start to the audit."""

    def __init__(self, run: Run, folder: Path, market: Market, venue: Venue, nursery: Nursery, *, seed: int) -> None:
        self._folder = folder
        self._market = market
        self._venue = venue
        self._nursery = nursery
        self._rng = random.Random(f"{seed}/{run.name}")
        self._end = market.start + run.minutes * MINUTE
        self._pace = 0.1
        """Real seconds from one snapshot to the next, as it was last: kills strike anywhere in it."""
        self.outcome = Outcome(run=run)

    def go(self) -> Outcome:
        """Runs it."""
        outcome, run = self.outcome, self.outcome.run
        began = time.monotonic()
        while self._now < self._end or outcome.kills < run.kills:
            self._life(len(outcome.restarts))
        Store(self._folder).close()
        outcome.findings = audit(
            self._folder,
            self._market,
            acknowledged=outcome.acknowledged,
            damaged=outcome.damaged,
            explained=outcome.restarts,
            until=self._end,
        )
        outcome.fired = self._venue.plan.fired
        outcome.seconds = time.monotonic() - began
        return outcome

    @property
    def _now(self) -> datetime:
        return self._venue.clock.now()

    def _life(self, number: int) -> None:
        """One collector from its start to its kill, or to the end of the run."""
        outcome, run = self.outcome, self.outcome.run
        left = max(1, -((self._now - self._end) // MINUTE))
        kills_left = run.kills - outcome.kills
        outcome.restarts.append(self._now)
        pid = self._nursery.start(folder=str(self._folder), seed=number, count=left + 1 if kills_left <= 0 else None)
        if kills_left <= 0:
            self._watch(None, None)
        else:
            mean = left / kills_left
            taken = self._rng.randint(0, max(1, round(2.0 * mean - 1.0)))
            self._watch(taken, self._rng.uniform(0.0, 1.2 * self._pace))
            if self._rng.random() < SECOND:
                self._try_second()
            os.kill(pid, signal.SIGKILL)
            outcome.kills += 1
        self._bury(pid)
        outcome.restarts.append(self._now)
        if kills_left > 0 and self._rng.random() < DAMAGE:
            self._damage()

    def _watch(self, taken: int | None, more: float | None) -> None:
        """Listens until so many snapshots were taken and so many seconds more have passed, or to the end."""
        limit = time.monotonic() + (more or 0.0) if taken == 0 else None
        last = 0.0
        while True:
            event = self._nursery.next(SILENCE if limit is None else limit - time.monotonic())
            if event is None:
                if limit is None:
                    self.outcome.failed.append(f"nothing was said for {SILENCE:g} s")
                return
            self._take(event)
            if event["event"] in {"failed", "done"}:
                return
            if event["event"] == "taken":
                self._pace = min(1.0, time.monotonic() - last) if last else self._pace
                last = time.monotonic()
            if taken is not None and limit is None and event["event"] in {"taken", "refused"}:
                taken -= 1
                if taken <= 0:
                    limit = time.monotonic() + (more or 0.0)

    def _take(self, event: dict[str, Any]) -> None:
        outcome = self.outcome
        if event["event"] == "taken":
            outcome.acknowledged |= event["files"]
            outcome.rejected.update(event["rejected"])
            outcome.resident.append(event["resident"])
        elif event["event"] == "opened":
            outcome.quarantined += len(event["quarantined"])
            outcome.unfinished += bool(event["quarantined"] or event["torn"])
        elif event["event"] == "failed":
            outcome.failed.append(event["fact"])

    def _bury(self, pid: int) -> None:
        """Waits for the end of a process and takes what it still said."""
        self._nursery.ask({"wait": pid})
        opened = False
        while (event := self._nursery.next(SILENCE)) is not None and event["event"] != "ended":
            opened = opened or event["event"] == "opened"
            self._take(event)
        if event is None:
            raise RuntimeError(f"process {pid} did not end")
        self.outcome.kills_opening += opened

    def _try_second(self) -> None:
        """Another collector on the same folder, which must refuse while the first one lives."""
        pid = self._nursery.start(folder=str(self._folder), seed=0, count=1)
        self.outcome.second += 1
        while (event := self._nursery.next(SILENCE)) is not None:
            if event["pid"] != pid:
                self._take(event)
            elif event["event"] == "failed":
                break
            elif event["event"] in {"taken", "opened"}:
                self.outcome.second_let_in += 1
                break
        self._nursery.ask({"wait": pid})
        while (event := self._nursery.next(SILENCE)) is not None and event["event"] != "ended":
            self._take(event)

    def _damage(self) -> None:
        """What a bad disk or a careless hand does while nothing runs."""
        outcome, rng = self.outcome, self._rng
        kind = rng.choice(("flip", "cut", "tail", "stray", "part"))
        listed = [name for name in outcome.acknowledged if name not in outcome.damaged]
        if kind in {"flip", "cut"} and listed:
            name = rng.choice(listed)
            path = self._folder / name
            content = bytearray(path.read_bytes())
            at = rng.randrange(len(content))
            content[at] ^= 1 << rng.randrange(8)
            path.write_bytes(content[:at] if kind == "cut" else content)
            outcome.damaged[name] = kind
        elif kind == "tail":
            with (self._folder / manifest.NAME).open("ab") as file:
                file.write(b'0badcafe {"n":' + rng.randbytes(rng.randrange(1, 200)).replace(b"\n", b" "))
            outcome.planted += 1
        else:
            day = self._folder / "chain" / "date=2026-02-05"
            day.mkdir(parents=True, exist_ok=True)
            name = f"chain-{rng.randrange(10**9)}.parquet" + (".part" if kind == "part" else "")
            (day / name).write_bytes(b"PAR1" + rng.randbytes(1000) + b"PAR1")
            outcome.planted += 1


def market_of(seed: int) -> Market:
    """A small market of both coins; contracts expire half an hour after its start, and new ones are listed then."""
    source = SimulatedSource(venue=load_venue("deribit"), seed=seed, days=1.0, start=START)
    return Market(thinned(source.chain(source.snapshots()[0]), expiries=3, strikes=4), seed=seed, late=0.03)


@contextmanager
def staged(run: Run, market: Market, folder: Path, *, seed: int) -> Iterator[Campaign]:
    """The venue and the nursery of one run."""
    clock = SharedClock(folder / "clock", start=market.start, tick=timedelta(0))
    plan = Plan(seed=seed, share=NOTICES if run.stream else CALLS)
    venue = Venue(market, clock, plan=Plan(), stall=STALL)
    with running(venue) as url:
        nursery = Nursery(
            {
                "url": url,
                "clock": str(folder / "clock"),
                "start": market.start.isoformat(),
                "currencies": list(market.currencies),
                "every": 60,
                "seed": seed,
                "stream": run.stream,
                "depth": 5 if run.stream else 0,
            }
        )
        for fault in Fault:
            plan.force(fault)
        venue.plan = plan
        try:
            yield Campaign(run, folder / "chains", market, venue, nursery, seed=seed)
        finally:
            nursery.close()
    clock.close()


def runs(part: int) -> tuple[Run, ...]:
    """The runs of the whole campaign, or of one part in so many of it."""
    return (
        Run(name="killed", minutes=1440 // part, kills=-(-200 // part)),
        Run(name="streamed", minutes=180 // part, kills=-(-30 // part), stream=True),
        Run(name="steady", minutes=1440 // part, kills=0),
    )


def carried_out(run: Run, *, seed: int) -> Outcome:
    """One run in a folder of its own, which is thrown away."""
    with tempfile.TemporaryDirectory() as folder, staged(run, market_of(seed), Path(folder), seed=seed) as campaign:
        return campaign.go()


def table(outcomes: Sequence[Outcome]) -> str:
    """The counts of each run, one a column."""
    names = [*Findings.MUST_BE_ZERO, "snapshots", "rows", "levels", "minutes"]
    lines = [("", *(one.run.name for one in outcomes))]
    lines += [(name.replace("_", " "), *(f"{getattr(one.findings, name):,}" for one in outcomes)) for name in names]
    lines += [
        ("acknowledged files", *(f"{len(one.acknowledged):,}" for one in outcomes)),
        ("kills", *(f"{one.kills:,}" for one in outcomes)),
        ("starts that found something unfinished", *(f"{one.unfinished:,}" for one in outcomes)),
        ("files damaged or planted", *(f"{len(one.damaged) + one.planted:,}" for one in outcomes)),
        ("files put into quarantine", *(f"{one.quarantined:,}" for one in outcomes)),
        ("second collectors refused", *(f"{one.second - one.second_let_in} of {one.second}" for one in outcomes)),
        ("snapshots refused", *(f"{sum(one.findings.refused.values()):,}" for one in outcomes)),
        ("rows rejected", *(f"{sum(one.rejected.values()):,}" for one in outcomes)),
        ("memory, MB", *(f"{max(one.resident, default=0) / 1e6:.0f}" for one in outcomes)),
        ("memory growth", *(f"{one.growth:+.1%}" for one in outcomes)),
        ("seconds", *(f"{one.seconds:.0f}" for one in outcomes)),
    ]
    lines += [(f"fault: {fault.value}", *(f"{one.fired[fault]:,}" for one in outcomes)) for fault in Fault]
    width = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if not at else cell.rjust(w) for at, (cell, w) in enumerate(zip(line, width, strict=True))
        )
        for line in lines
    )


def main() -> int:
    """Carries out the campaign and prints its table; 1 if anything was found."""
    parser = argparse.ArgumentParser(description="the collector against a failing venue, killed again and again")
    parser.add_argument("--part", type=int, default=1, help="one part in so many of the campaign")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="one run by name")
    asked = parser.parse_args()
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # each message to a collector that was just killed is one
    outcomes = [carried_out(one, seed=asked.seed) for one in runs(asked.part) if asked.only in {"", one.name}]
    print(table(outcomes))
    problems = [f"{one.run.name}: {problem}" for one in outcomes for problem in one.problems]
    print("\n".join(problems) if problems else "nothing was lost, doubled, corrupt or untrue")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
