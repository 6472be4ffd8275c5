"""A clock that two processes see: the collector moves it by sleeping, the venue reads it, and it outlives both.

The instant stands in a file of 16 bytes: microseconds since 1970, and the instant up to which the venue has streamed.
Sleeping ends at once and moves the clock, so that a day of snapshots takes minutes. Only one process may move it.
"""

import asyncio
import mmap
import os
import struct
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
_NOW, _STREAMED, _LENGTH = 0, 8, 16


def micros(moment: datetime) -> int:
    """Microseconds since 1970.

    >>> micros(datetime(1970, 1, 1, 0, 1, tzinfo=UTC))
    60000000
    """
    return (moment - EPOCH) // MICROSECOND


class SharedClock:
    """The `Clock` of the collector over a file; `start` sets it, without one it goes on where it stands.

    Each look moves it by `tick` (0 for a process that only reads). `patience` is how long, in real seconds, a sleep
    waits for the venue to have streamed up to the new instant, and `settle` how long for the messages to be taken;
    0 where nothing is streamed.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        start: datetime | None = None,
        tick: timedelta = MICROSECOND,
        patience: float = 0.0,
        settle: float = 0.0,
    ) -> None:
        self._tick = tick // MICROSECOND
        self._patience = patience
        self._settle = settle
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            os.ftruncate(descriptor, _LENGTH)
            self._map = mmap.mmap(descriptor, _LENGTH)
        finally:
            os.close(descriptor)
        if start is not None:
            self._put(_NOW, micros(start))
            self._put(_STREAMED, micros(start))

    def now(self) -> datetime:
        """The instant, and a tick later from now on."""
        if self._tick:
            self._put(_NOW, self._get(_NOW) + self._tick)
        return EPOCH + self._get(_NOW) * MICROSECOND

    def monotonic(self) -> float:
        """The same as seconds of a stopwatch."""
        return self._get(_NOW) / 1e6

    async def sleep(self, seconds: float) -> None:
        """Moves the clock to the end of the sleep, at once; sleeps of the same time overlap."""
        end = self._get(_NOW) + round(seconds * 1e6)
        await asyncio.sleep(0)
        if self._get(_NOW) < end:
            self._put(_NOW, end)
        if self._patience:
            await self._await_stream(end)
            await asyncio.sleep(self._settle)

    async def _await_stream(self, end: int) -> None:
        limit = time.monotonic() + self._patience
        while self._get(_STREAMED) < end and time.monotonic() < limit:  # noqa: ASYNC110 - the event is in another process
            await asyncio.sleep(0.002)

    def streamed(self, moment: datetime) -> None:
        """Says that everything up to an instant was sent."""
        self._put(_STREAMED, micros(moment))

    def close(self) -> None:
        """Gives the file back."""
        self._map.close()

    def _get(self, place: int) -> int:
        return int(struct.unpack_from("<q", self._map, place)[0])

    def _put(self, place: int, value: int) -> None:
        struct.pack_into("<q", self._map, place, value)
