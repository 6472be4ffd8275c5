"""The clock that two processes share goes forward only, at once, and outlives whoever moves it."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.venue.clock import SharedClock

START = datetime(2026, 2, 5, 8, tzinfo=UTC)


def test_sleeping_moves_the_clock_that_others_see_and_that_a_successor_goes_on_with(tmp_path: Path) -> None:
    seen = SharedClock(tmp_path / "clock", start=START, tick=timedelta(0))
    mover = SharedClock(tmp_path / "clock")
    asyncio.run(mover.sleep(61.5))
    assert seen.now() == START + timedelta(seconds=61.5)
    mover.close()
    assert SharedClock(tmp_path / "clock", tick=timedelta(0)).now() == seen.now()


def test_sleeps_at_the_same_time_overlap(tmp_path: Path) -> None:
    clock = SharedClock(tmp_path / "clock", start=START, tick=timedelta(0))

    async def three() -> None:
        await asyncio.gather(*(clock.sleep(seconds) for seconds in (5.0, 20.0, 10.0)))

    asyncio.run(three())
    assert clock.now() == START + timedelta(seconds=20)
    assert clock.monotonic() == clock.now().timestamp()


def test_each_look_is_later_than_the_last_one(tmp_path: Path) -> None:
    clock = SharedClock(tmp_path / "clock", start=START)
    looks = [clock.now() for _ in range(5)]
    assert looks == sorted(set(looks))
