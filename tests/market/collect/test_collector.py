import asyncio
import errno
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from greekdrift.config import load_venue
from greekdrift.errors import DataError, InputError, JournalError
from greekdrift.market.collect import manifest, store
from greekdrift.market.collect.collector import Collector, Missed
from greekdrift.market.collect.deribit import collector
from greekdrift.market.collect.rest import Limits
from greekdrift.market.collect.snapshot import Refusal
from greekdrift.market.collect.store import Batch, Entry, Store
from greekdrift.market.validation.validate import validate

MINUTE = timedelta(minutes=1)


class Scripted:
    """Snapshots that a test writes: an offset of the stamp in seconds, or a refusal."""

    def __init__(self, clock: Any, script: list[float | Exception] | None = None, seconds: float = 0.0) -> None:
        self.clock, self.script, self.seconds = clock, script, seconds
        self.until: list[float] = []
        self.opened = self.closed = 0

    async def open(self) -> None:
        self.opened += 1

    async def close(self) -> None:
        self.closed += 1

    async def take(self, *, until: float) -> Batch:
        self.until.append(until - self.clock.monotonic())
        await self.clock.sleep(self.seconds)
        step = self.script.pop(0) if self.script else 0.0
        if isinstance(step, Exception):
            raise step
        as_of = self.clock.now() + timedelta(seconds=step)
        return Batch(key="chain", as_of=as_of, known_at=as_of, tables={"chain": pa.table({"x": [1.0]})})


def run(snapshots: Scripted, folder: Path, *, count: int | None = 3, every: timedelta = MINUTE, **given: Any) -> Any:
    events: list[Entry | Missed] = []
    nexts: list[datetime] = []

    def report(what: Entry | Missed, batch: Batch | None, following: datetime) -> None:
        events.append(what)
        nexts.append(following)

    async def go() -> Any:
        made = Collector(snapshots, folder, every=every, clock=snapshots.clock, report=report, **given)
        return await made.run(count=count)

    return asyncio.run(go()), events, nexts


def lines(folder: Path) -> list[dict[str, Any]]:
    return [line.body for line in manifest.Walk(folder / manifest.NAME)]


def test_the_first_snapshot_is_taken_at_once_and_the_others_on_the_grid(clock: Any, tmp_path: Path) -> None:
    clock.at = datetime(2026, 2, 5, 10, 3, 20, tzinfo=UTC)
    snapshots = Scripted(clock)
    tally, events, nexts = run(snapshots, tmp_path, count=4, every=timedelta(minutes=10))
    stamps = [event.as_of.replace(microsecond=0) for event in events]
    assert [f"{one:%H:%M:%S}" for one in stamps] == ["10:03:20", "10:10:00", "10:20:00", "10:30:00"]
    assert f"{nexts[0]:%H:%M}" == "10:10"
    assert tally.snapshots == 4
    assert all(0.0 < one <= 540.0 for one in snapshots.until)
    assert (snapshots.opened, snapshots.closed) == (1, 1)


def test_a_slow_venue_skips_due_instants_and_never_piles_them_up(clock: Any, tmp_path: Path) -> None:
    clock.at = datetime(2026, 2, 5, 10, 0, 0, tzinfo=UTC)
    _, events, _ = run(Scripted(clock, seconds=150.0), tmp_path, count=3)
    assert [f"{event.as_of:%H:%M}" for event in events] == ["10:02", "10:05", "10:08"]


def test_what_cannot_be_had_is_listed_with_its_reason_and_the_run_goes_on(clock: Any, tmp_path: Path) -> None:
    script: list[float | Exception] = [0.0, Refusal("server", "status 500"), -3600.0, 0.0]
    tally, events, _ = run(Scripted(clock, script), tmp_path, count=4)
    assert tally.snapshots == 2
    assert tally.refused == {"server": 1, "repeated": 1}
    assert [line["kind"] for line in lines(tmp_path)] == ["snapshot", "refused", "refused", "snapshot"]
    assert isinstance(events[1], Missed)
    assert len(manifest.files(tmp_path)) == 2


def test_answers_that_cannot_be_used_are_asked_for_again_while_the_cadence_allows(clock: Any, tmp_path: Path) -> None:
    bad = [Refusal("skew", "x"), Refusal("malformed", "x")]
    tally, _, _ = run(Scripted(clock, [*bad, 0.0]), tmp_path / "a", count=1)
    assert (tally.snapshots, tally.refused) == (1, {})
    tally, _, _ = run(Scripted(clock, [*bad, Refusal("rejected", "x"), 0.0]), tmp_path / "b", count=1)
    assert (tally.snapshots, tally.refused) == (0, {"rejected": 1})
    tally, _, _ = run(Scripted(clock, [*bad, 0.0]), tmp_path / "c", count=1, every=timedelta(seconds=4))
    assert (tally.snapshots, tally.refused) == (0, {"malformed": 1})
    tally, _, _ = run(Scripted(clock, [Refusal("server", "x"), 0.0]), tmp_path / "d", count=1)
    assert (tally.snapshots, tally.refused) == (0, {"server": 1})


def test_stopping_ends_after_the_snapshot_that_is_being_taken(clock: Any, tmp_path: Path) -> None:
    snapshots = Scripted(clock)

    async def go() -> Any:
        made = Collector(snapshots, tmp_path, every=MINUTE, clock=clock, report=lambda *_: made.stop())
        return await made.run()

    assert asyncio.run(go()).snapshots == 1
    with Store(tmp_path) as again:
        assert again.recovery.batches == 1


def test_stopping_does_not_wait_for_a_snapshot_that_does_not_come(
    clock: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots = Scripted(clock)

    async def go() -> Any:
        made = Collector(snapshots, tmp_path, every=MINUTE, clock=clock)

        async def hang(*, until: float) -> Batch:
            made.stop()
            await asyncio.Event().wait()
            raise AssertionError

        monkeypatch.setattr(snapshots, "take", hang)
        return await made.run()

    tally = asyncio.run(go())
    assert tally.refused == {"stopped": 1}
    assert clock.slept == [10.0]
    assert snapshots.closed == 1


def test_a_full_disk_refuses_snapshots_until_there_is_room(
    clock: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync
    calls = 0

    def fsync(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if 12 <= calls <= 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(store.os, "fsync", fsync)
    tally, events, _ = run(Scripted(clock), tmp_path, count=14)
    assert tally.refused["disk"] >= 2
    assert tally.snapshots + tally.refused["disk"] == 14
    assert isinstance(events[-1], Entry)
    acknowledged = {path for event in events if isinstance(event, Entry) for path in event.files}
    assert acknowledged == set(manifest.files(tmp_path))


def test_a_second_collector_is_refused_at_once_and_an_overtaken_one_ends(clock: Any, tmp_path: Path) -> None:
    async def go() -> None:
        first = Collector(Scripted(clock), tmp_path, every=MINUTE, clock=clock)
        with pytest.raises(JournalError, match="has a collector already"):
            Collector(Scripted(clock), tmp_path, every=MINUTE, clock=clock)
        (tmp_path / "collector.lock").unlink()
        second = Collector(Scripted(clock), tmp_path, every=MINUTE, clock=clock)
        with pytest.raises(JournalError, match="has a collector already"):
            await first.run(count=3)
        assert (await second.run(count=2)).snapshots == 2

    asyncio.run(go())


def test_a_cadence_that_cannot_be_is_refused(clock: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 s"):
        Collector(Scripted(clock), tmp_path, every=timedelta(milliseconds=10), clock=clock)


def collected(venue: Any, clock: Any, folder: Path, count: int, **given: Any) -> Any:
    async def go() -> Any:
        made = collector(
            folder,
            clock=clock,
            transport=httpx.MockTransport(venue),
            every=timedelta(minutes=10),
            limits=Limits(per_second=1e4, attempts=2),
            **{"base_url": "http://127.0.0.1", **given},
        )
        return await made.run(count=count)

    return asyncio.run(go())


def test_a_restart_continues_the_folder(venue: Any, clock: Any, tmp_path: Path) -> None:
    assert collected(venue, clock, tmp_path, 2).snapshots == 2
    clock.at += timedelta(minutes=10)
    assert collected(venue, clock, tmp_path, 2).snapshots == 2
    assert len(manifest.files(tmp_path)) == 4
    assert [line["n"] for line in lines(tmp_path)] == [0, 1, 2, 3]


def test_a_market_that_stands_still_is_collected_and_found_sound(venue: Any, clock: Any, tmp_path: Path) -> None:
    assert collected(venue, clock, tmp_path, 3).snapshots == 3
    quotes = [pq.read_table(path).select(["instrument_name", "mark_price_coin"]) for path in manifest.files(tmp_path)]
    assert quotes[0] == quotes[1] == quotes[2]
    found = validate(tmp_path, venue=load_venue("deribit"))
    assert "repeated_snapshot" not in {one.rule.name for one in found.findings}


def test_another_host_is_said_in_rows_and_manifest_and_has_a_folder_of_its_own(
    venue: Any, clock: Any, tmp_path: Path
) -> None:
    collected(venue, clock, tmp_path, 1, depth=5)
    for table in ("chain", "series", "depth"):
        (path,) = manifest.files(tmp_path, table)
        assert pq.read_table(path)["source"].unique().to_pylist() == ["deribit at 127.0.0.1"]
    assert {line["source"] for line in lines(tmp_path)} == {"deribit at 127.0.0.1"}
    with pytest.raises(DataError, match=r"holds snapshots of deribit at 127\.0\.0\.1; collect those of deribit into"):
        collector(tmp_path, clock=clock)


def test_answers_of_the_test_network_under_the_own_address_are_refused(venue: Any, clock: Any, tmp_path: Path) -> None:
    venue.spoil = lambda method, parameters, number, answer: answer | {"testnet": True}
    tally = collected(venue, clock, tmp_path, 1, base_url="https://www.deribit.com")
    assert tally.refused == {"test_network": 1}
    venue.spoil = lambda method, parameters, number, answer: answer
    assert collected(venue, clock, tmp_path, 1, base_url="https://www.deribit.com").snapshots == 1
    assert "source" not in pq.read_table(manifest.files(tmp_path)[0]).column_names


def test_order_books_are_a_batch_of_their_own_nearest_to_the_money_first(
    venue: Any, clock: Any, tmp_path: Path
) -> None:
    tally = collected(venue, clock, tmp_path, 1, depth=5)
    assert tally.batches == {"chain": 1, "depth": 1}
    (path,) = manifest.files(tmp_path, "depth")
    table = pq.read_table(path).to_pandas()
    books = [parameters["instrument_name"] for method, parameters in venue.calls if method.endswith("get_order_book")]
    assert set(books[:2]) == {"BTC-PERPETUAL", "ETH-PERPETUAL"}
    assert set(table["instrument_name"]) == set(books)
    assert table.iloc[0][["side", "level", "price", "size"]].tolist() == ["bid", 0, 0.05, 10.0]
    assert (table["event_time_utc"] <= table["known_at_utc"]).all()
    assert lines(tmp_path)[1]["books"] == len(books)


def test_books_end_where_the_cadence_does(venue: Any, clock: Any, tmp_path: Path) -> None:
    def slow(method: str, parameters: dict[str, str], number: int, answer: Any) -> Any:
        clock.at += timedelta(seconds=20.0 * method.endswith("get_order_book"))
        return answer

    venue.spoil = slow
    collected(venue, clock, tmp_path, 1, depth=5)
    facts = lines(tmp_path)[-1]
    assert facts["key"] == "depth"
    assert 0 < facts["books"] < 60
    assert facts["books"] + facts["not_reached"] == len(venue.chain)


def test_books_that_cannot_be_read_lose_no_chain(venue: Any, clock: Any, tmp_path: Path) -> None:
    venue.spoil = lambda method, parameters, number, answer: (
        httpx.Response(404) if method.endswith("get_order_book") else answer
    )
    tally = collected(venue, clock, tmp_path, 1, depth=5)
    assert tally.batches == {"chain": 1}
    assert tally.refused == {"depth": 1}


def test_other_depths_are_refused(venue: Any, clock: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="levels"):
        collected(venue, clock, tmp_path, 1, depth=7)
