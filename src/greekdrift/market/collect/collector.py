"""The collector: at each due instant one snapshot, checked and on disk, or a refusal with its reason; never half."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol, TypeVar

from greekdrift.errors import DataError, InputError, JournalError
from greekdrift.market.collect.clock import Clock
from greekdrift.market.collect.manifest import Source
from greekdrift.market.collect.snapshot import Refusal
from greekdrift.market.collect.store import Batch, Entry, Recovery, Store
from greekdrift.units import aware

SHARE = 0.9
"""Share of the cadence in which a snapshot must be taken; what has not arrived by then is refused."""
GRACE = 10.0
"""Seconds that a snapshot may still take once the run is stopped."""
PASSING = ("skew", "clock_skew", "rejected", "malformed", "venue")
"""Reasons of answers that may be better a moment later; failed calls were repeated already, except by ccxt."""
PAUSES = (2.0, 4.0)
"""Seconds before a snapshot is asked for again."""
Result = TypeVar("Result")
START = datetime(1970, 1, 1, tzinfo=UTC)


class Snapshots(Protocol):
    """Where snapshots come from: calls, or a stream that is kept up."""

    async def open(self) -> None:
        """Whatever must be done before the first snapshot."""
        ...

    async def take(self, *, until: float) -> Batch:
        """A snapshot, or `Refusal`; nothing is tried again after `until` on the clock's stopwatch."""
        ...

    async def close(self) -> None:
        """Gives back what was opened."""
        ...


class More(Protocol):
    """What else is collected after a snapshot, such as order books."""

    async def take(self, after: Batch, *, until: float) -> Batch | None:
        """A batch of another kind, or None; `Refusal` where it cannot be had."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """A due instant without a snapshot."""

    due: datetime
    reason: str
    fact: str


@dataclass(slots=True, kw_only=True)
class Tally:
    """What a run did: batches by kind, rows, bytes, rejected rows, and refusals by reason."""

    batches: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    size: int = 0
    rejected: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    first: datetime | None = None
    last: datetime | None = None

    @property
    def snapshots(self) -> int:
        """Number of acknowledged chains."""
        return self.batches.get("chain", 0)


Report = Callable[[Entry | Missed, Batch | None, datetime], None]
"""Called with what happened, the batch if there is one, and when the next snapshot is due."""


class Collector:
    """Takes a snapshot at once and then at each multiple of `every` since 1970, until it is stopped.

    Every acknowledged snapshot is in `folder`; what could not be had is listed there with its reason. `source` is whose
    snapshots they are; `verify` reads every file of the folder first. `run` may be called once. `stop` ends it after
    the snapshot that is being taken, or shortly after where that does not come. A disk that cannot be written refuses
    snapshots until it can.
    """

    def __init__(
        self,
        snapshots: Snapshots,
        folder: Path | str,
        *,
        every: timedelta,
        clock: Clock,
        more: More | None = None,
        report: Report | None = None,
        source: Source | None = None,
        verify: bool = False,
    ) -> None:
        if every < timedelta(seconds=1):
            raise InputError(
                f"a snapshot every {every.total_seconds():g} s is more than the venue allows; 1 s or more."
            )
        self._snapshots = snapshots
        self._folder = Path(folder)
        self._every = every
        self._clock = clock
        self._more = more
        self._report = report
        self._stopped = asyncio.Event()
        self._source = source
        self._store: Store | None = Store(folder, source=source, verify=verify)
        self.recovery: Recovery = self._store.recovery
        self.tally = Tally()

    def stop(self) -> None:
        """Ends `run` after the snapshot that is being taken."""
        self._stopped.set()

    async def run(self, *, count: int | None = None) -> Tally:
        """Collects until stopped, or for so many due instants; returns what was done."""
        try:
            await self._snapshots.open()
            due = self._clock.now()
            done = 0
            while not self._stopped.is_set() and (count is None or done < count):
                await self._once(due)
                done += 1
                if not self._stopped.is_set() and (count is None or done < count):
                    due = self._after(max(due, self._clock.now()))
                    await self._wait(due)
        finally:
            await self._snapshots.close()
            self.close()
        return self.tally

    def close(self) -> None:
        """Gives the folder back."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def _after(self, moment: datetime) -> datetime:
        """The next multiple of the cadence."""
        return START + ((aware(moment) - START) // self._every + 1) * self._every

    async def _wait(self, due: datetime) -> None:
        """Until the instant, or until stopped; a clock that was set back is waited for at most one cadence."""
        seconds = min((due - self._clock.now()).total_seconds(), self._every.total_seconds())
        if seconds <= 0.0:
            return
        await _unless(self._stopped.wait(), self._clock.sleep(seconds))

    async def _grace(self) -> None:
        """Until a while after the run was stopped."""
        await self._stopped.wait()
        await self._clock.sleep(GRACE)

    async def _once(self, due: datetime) -> None:
        until = self._clock.monotonic() + SHARE * self._every.total_seconds()
        if not self._is_open(due):
            return
        try:
            batch = await self._take(until)
            self._write(batch)
            if self._more is not None:
                await self._take_more(self._more, batch, until)
        except Refusal as problem:
            self._miss(due, problem.reason, problem.fact)
        except DataError as problem:
            self._miss(due, "repeated", str(problem))
        except JournalError as problem:
            self._miss(due, "disk", str(problem))

    async def _take(self, until: float) -> Batch:
        """A snapshot; where what came cannot be used it is asked for again, while the cadence allows."""
        for pause in PAUSES:
            try:
                return await self._attempt(until)
            except Refusal as problem:
                is_over = self._stopped.is_set() or self._clock.monotonic() + pause > until
                if is_over or problem.reason not in PASSING:
                    raise
                await _unless(self._stopped.wait(), self._clock.sleep(pause))
        return await self._attempt(until)

    async def _attempt(self, until: float) -> Batch:
        """A snapshot; once the run is stopped it is waited for a while and no longer."""
        found = await _unless(self._grace(), self._snapshots.take(until=until))
        if found is None:
            raise Refusal("stopped", f"the run was stopped and the snapshot was not there {GRACE:g} s later")
        return found

    async def _take_more(self, more: More, batch: Batch, until: float) -> None:
        """What else is collected, unless the run is stopped first."""
        found = await _unless(self._stopped.wait(), more.take(batch, until=until))
        if found is not None:
            self._write(found)

    def _write(self, batch: Batch) -> None:
        entry = self._opened.append(batch)
        tally = self.tally
        tally.batches[entry.key] = tally.batches.get(entry.key, 0) + 1
        tally.rows += sum(entry.rows.values())
        tally.size += entry.size
        tally.rejected += sum(batch.facts.get("rejected", {}).values())
        tally.first = tally.first or entry.as_of
        tally.last = entry.as_of
        self._tell(entry, batch)

    def _is_open(self, due: datetime) -> bool:
        """Opens the store again after a failure to write, which scans the folder; another writer there is final."""
        if self._store is None:
            try:
                self._store = Store(self._folder, source=self._source)
            except DataError as problem:
                self._miss(due, "disk", str(problem))
                return False
        return True

    @property
    def _opened(self) -> Store:
        if self._store is None:
            raise JournalError(f"{self._folder} is closed; make a new collector.")
        return self._store

    def _miss(self, due: datetime, reason: str, fact: str) -> None:
        self.tally.refused[reason] = self.tally.refused.get(reason, 0) + 1
        if reason != "disk":
            try:
                self._opened.refuse(due, reason=reason, fact=fact)
            except JournalError:
                self.close()
        else:
            self.close()
        self._tell(Missed(due=due, reason=reason, fact=fact), None)

    def _tell(self, what: Entry | Missed, batch: Batch | None) -> None:
        if self._report is not None:
            self._report(what, batch, self._after(self._clock.now()))


async def _unless(ends: Awaitable[object], work: Awaitable[Result]) -> Result | None:
    """What the work gives, or None where the end comes first, which stops the work."""
    working, ending = asyncio.ensure_future(work), asyncio.ensure_future(ends)
    try:
        await asyncio.wait((working, ending), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, ending):
            task.cancel()
        await asyncio.gather(working, ending, return_exceptions=True)
