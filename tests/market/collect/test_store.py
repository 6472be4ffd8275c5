import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from greekdrift.errors import DataError, JournalError
from greekdrift.market.collect import manifest, store
from greekdrift.market.collect.lock import Lock, Promise
from greekdrift.market.collect.manifest import Source
from greekdrift.market.collect.store import Batch, Store

NOON = datetime(2026, 2, 5, 12, tzinfo=UTC)


def batch(minute: int, *, key: str = "chain", rows: int = 3) -> Batch:
    as_of = NOON + timedelta(minutes=minute)
    return Batch(
        key=key,
        as_of=as_of,
        known_at=as_of + timedelta(seconds=1),
        tables={"chain": pa.table({"x": list(range(rows))}), "series": pa.table({"y": [float(minute)]})},
        facts={"rejected": {"crossed": 1}},
        details={"examples": ["only in the file"]},
    )


def listed(folder: Path) -> list[Path]:
    return [*manifest.files(folder), *manifest.files(folder, "series")]


def test_what_is_appended_is_listed_partitioned_and_reads_back(tmp_path: Path) -> None:
    with Store(tmp_path) as folder:
        entry = folder.append(batch(0))
        folder.append(batch(60 * 13))
    assert [path.parent.name for path in manifest.files(tmp_path)] == ["date=2026-02-05", "date=2026-02-06"]
    assert all(path.is_file() for path in entry.files)
    assert entry.rows == {"chain": 3, "series": 1}
    read = pq.read_table(entry.files[0])
    assert read["x"].to_pylist() == [0, 1, 2]
    assert b"only in the file" in read.schema.metadata[manifest.METADATA]
    assert b"only in the file" not in (tmp_path / manifest.NAME).read_bytes()
    assert not list(tmp_path.rglob("*.part"))


def test_same_batches_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with Store(tmp_path / name) as folder:
            folder.append(batch(0))
            folder.append(batch(1))
    assert (tmp_path / "a" / manifest.NAME).read_bytes() == (tmp_path / "b" / manifest.NAME).read_bytes()
    assert [path.read_bytes() for path in listed(tmp_path / "a")] == [
        path.read_bytes() for path in listed(tmp_path / "b")
    ]


def test_a_repetition_is_refused_also_after_a_restart(tmp_path: Path) -> None:
    with Store(tmp_path) as folder:
        folder.append(batch(5))
        with pytest.raises(DataError, match="repetition"):
            folder.append(batch(5))
        folder.append(batch(4, key="depth"))
    with Store(tmp_path) as folder:
        with pytest.raises(DataError, match="repetition"):
            folder.append(batch(4))
        assert folder.last("chain") == NOON + timedelta(minutes=5)
        assert folder.recovery.batches == 2


def test_a_file_has_the_time_of_its_snapshot_and_is_not_read_again_while_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "RECENT", 2)
    with Store(tmp_path) as folder:
        entries = [folder.append(batch(minute)) for minute in range(10)]
    first = entries[0].files[0]
    assert first.stat().st_mtime == entries[0].known_at.timestamp()
    with Store(tmp_path) as folder:
        assert folder.recovery.read == 2
    os.utime(first)
    with Store(tmp_path) as folder:
        assert folder.recovery.read == 3
    with Store(tmp_path) as folder:
        assert folder.recovery.read == 2
    with Store(tmp_path, verify=True) as folder:
        assert folder.recovery.read == 20
        assert folder.recovery.quarantined == ()


def test_content_that_changed_behind_the_time_of_its_file_is_found_by_readers_and_where_all_is_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "RECENT", 2)
    with Store(tmp_path) as folder:
        entries = [folder.append(batch(minute)) for minute in range(10)]
    path = entries[0].files[0]
    facts, content = path.stat(), bytearray(path.read_bytes())
    content[50] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(facts.st_mtime_ns, facts.st_mtime_ns))
    with Store(tmp_path) as folder:
        assert folder.recovery.quarantined == ()
    with pytest.raises(DataError, match="not what was acknowledged"):
        manifest.files(tmp_path)
    with Store(tmp_path, verify=True) as folder:
        assert [one.name for one in folder.recovery.quarantined] == [path.name]
    assert path not in manifest.files(tmp_path)


def test_opening_costs_no_more_than_a_look_at_each_file(tmp_path: Path) -> None:
    """`benchmarks/collected.py` opens a month of minutes; this is a third of a day."""
    with Store(tmp_path) as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(store.os, "fsync", lambda _: None)
        for minute in range(480):
            folder.append(batch(minute))
    start = time.process_time()
    with Store(tmp_path) as folder:
        assert (folder.recovery.batches, folder.recovery.read) == (480, store.RECENT)
    assert time.process_time() - start < 0.3


def test_a_folder_holds_snapshots_of_one_source(tmp_path: Path) -> None:
    own, test = Source(venue="deribit"), Source(venue="deribit", host="test.deribit.com")
    with Store(tmp_path / "old") as folder:
        folder.append(batch(0))
    with Store(tmp_path / "old", source=own) as folder:
        entry = folder.append(batch(1))
    assert "source" not in pq.read_table(entry.files[0]).column_names
    with Store(tmp_path / "test", source=test) as folder:
        entry = folder.append(batch(0))
    assert [pq.read_table(path)["source"].unique().to_pylist() for path in entry.files] == [[test.label]] * 2
    assert [line.body["source"] for line in manifest.Walk(tmp_path / "test" / manifest.NAME)] == [test.label]
    for name, source in (("old", test), ("test", own), ("test", Source(venue="okx"))):
        before = (tmp_path / name / manifest.NAME).read_bytes()
        with pytest.raises(DataError, match="into another folder"):
            Store(tmp_path / name, source=source)
        assert (tmp_path / name / manifest.NAME).read_bytes() == before


class Died(BaseException):
    """Stands for the end of the process."""


def dying(monkeypatch: pytest.MonkeyPatch, after: int, half: bool) -> None:
    """From the given step on, the process is dead; a write may have been half done."""
    seen = 0

    def wrap(real: Callable[..., Any], is_write: bool = False) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen > after:
                if is_write and half and seen == after + 1:
                    real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                raise Died
            return real(*arguments, **keywords)

        return call

    monkeypatch.setattr(store.os, "write", wrap(os.write, is_write=True))
    monkeypatch.setattr(store.os, "fsync", wrap(os.fsync))
    monkeypatch.setattr(Path, "replace", wrap(Path.replace))
    monkeypatch.setattr(Lock, "write", wrap(Lock.write))


@pytest.mark.parametrize("half", [False, True])
def test_wherever_the_process_ends_what_was_acknowledged_stays_and_nothing_else_is_read(
    tmp_path: Path, half: bool
) -> None:
    after = 0
    while True:
        folder = tmp_path / f"{half}-{after}"
        acknowledged = []
        with Store(folder) as writer:
            acknowledged.append(writer.append(batch(0)))
            with pytest.MonkeyPatch.context() as patch:
                dying(patch, after, half)
                with contextlib.suppress(Died):
                    acknowledged.append(writer.append(batch(1)))
        with Store(folder) as again:
            names = [path for entry in acknowledged for path in entry.files]
            found = listed(folder)
            assert set(names) <= set(found)
            assert len(found) in {len(names), 4}
            assert set(folder.glob("*/date=*/*")) == set(found)
            last = again.append(batch(2))
            assert set(last.files) <= set(listed(folder))
        if len(acknowledged) == 2:
            break
        after += 1
    assert after >= 12


def test_files_that_nobody_listed_and_changed_ones_go_to_quarantine(tmp_path: Path) -> None:
    with Store(tmp_path) as folder:
        kept, spoilt = folder.append(batch(0)), folder.append(batch(1))
    content = spoilt.files[0].read_bytes()
    spoilt.files[0].write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    spoilt.files[1].unlink()
    orphan = kept.files[0].with_name("chain-orphan.parquet")
    orphan.write_bytes(b"x")
    part = kept.files[0].with_name("chain-x.parquet.part")
    part.write_bytes(b"y")
    with pytest.raises(DataError, match="quarantine"):
        manifest.files(tmp_path)
    with Store(tmp_path) as folder:
        assert {path.name for path in folder.recovery.quarantined} == {
            spoilt.files[0].name,
            orphan.name,
            part.name,
        }
    assert set(listed(tmp_path)) == set(kept.files)
    with Store(tmp_path) as folder:
        assert folder.recovery.quarantined == ()


def test_a_cut_manifest_line_is_put_aside(tmp_path: Path) -> None:
    with Store(tmp_path) as folder:
        folder.append(batch(0))
    with (tmp_path / manifest.NAME).open("ab") as file:
        file.write(b"0123abcd {torn")
    with Store(tmp_path) as folder:
        assert folder.recovery.torn_bytes == 14
        assert folder.recovery.quarantined[0].read_bytes() == b"0123abcd {torn"
        folder.append(batch(1))
    assert len(manifest.files(tmp_path)) == 2


def test_a_manifest_that_lost_acknowledged_lines_is_refused(tmp_path: Path) -> None:
    with Store(tmp_path) as folder:
        folder.append(batch(0))
        size = (tmp_path / manifest.NAME).stat().st_size
        folder.append(batch(1))
    content = (tmp_path / manifest.NAME).read_bytes()
    (tmp_path / manifest.NAME).write_bytes(content[:size])
    with pytest.raises(JournalError, match="acknowledged"):
        Store(tmp_path)
    (tmp_path / manifest.NAME).write_bytes(content)
    with Store(tmp_path) as folder:
        assert folder.recovery.batches == 2


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_disk_that_fails_acknowledges_nothing_and_closes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, call: str
) -> None:
    def fail(*arguments: Any) -> int:
        raise OSError(number, os.strerror(number))

    with Store(tmp_path) as folder:
        folder.append(batch(0))
        with monkeypatch.context() as patch:
            patch.setattr(store.os, call, fail)
            with pytest.raises(JournalError, match="not acknowledged"):
                folder.append(batch(1))
        with pytest.raises(JournalError, match="closed"):
            folder.append(batch(1))
    with Store(tmp_path) as folder:
        assert folder.last("chain") == NOON
        folder.append(batch(1))


def test_a_second_collector_refuses_and_names_the_first(tmp_path: Path) -> None:
    with Store(tmp_path) as folder:
        folder.append(batch(0))
        script = f"from greekdrift.market.collect.store import Store; Store({str(tmp_path)!r})"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert f"process {os.getpid()}" in done.stderr
        folder.append(batch(1))


def test_a_writer_that_was_overtaken_stops(tmp_path: Path) -> None:
    folder = Store(tmp_path)
    lock = tmp_path / "collector.lock"
    lock.unlink()
    with Store(tmp_path) as second:
        second.append(batch(0))
        with pytest.raises(JournalError, match="took the folder over"):
            folder.append(batch(1))
    folder.close()


def test_a_torn_lock_is_no_promise(tmp_path: Path) -> None:
    with Store(tmp_path) as folder:
        folder.append(batch(0))
    lock = tmp_path / "collector.lock"
    lock.write_bytes(lock.read_bytes()[:20])
    with Store(tmp_path) as folder:
        assert folder.recovery.left_by is None
        assert folder.epoch == 2
        folder.append(batch(1))


def test_the_lock_says_who_held_it(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    lock.write(Promise(pid=7, epoch=3, count=2, head="a" * 64))
    lock.release()
    assert Lock(tmp_path).left_by == Promise(pid=7, epoch=3, count=2, head="a" * 64)


WRITER = """
import sys
sys.path.insert(0, {tests!r})
import importlib.util
spec = importlib.util.spec_from_file_location("store_tests", {page!r})
tests = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tests)
from greekdrift.market.collect.store import Store
with Store({folder!r}) as store:
    last = store.last("chain")
    minute = 0 if last is None else int((last - tests.NOON).total_seconds() // 60) + 1
    while True:
        store.append(tests.batch(minute))
        print(minute, flush=True)
        minute += 1
"""


def test_killed_for_real_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    script = WRITER.format(tests=str(Path(__file__).parent), page=__file__, folder=str(tmp_path))
    acknowledged: list[int] = []
    for kill in range(3):
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            acknowledged += [int(process.stdout.readline()) for _ in range(3 + 5 * kill)]
            process.send_signal(signal.SIGKILL)
            acknowledged += [int(line) for line in process.stdout.read().split("\n")[:-1]]
    with Store(tmp_path):
        pass
    there = [path.name for path in manifest.files(tmp_path)]
    assert len(set(there)) == len(there)
    assert len(acknowledged) == len(set(acknowledged))
    for minute in acknowledged:
        assert f"chain-{NOON + timedelta(minutes=minute):%Y%m%dT%H%M%S%f}Z.parquet" in there
    assert len(there) - len(acknowledged) <= 3


def test_memory_of_the_store_does_not_grow_with_its_batches(tmp_path: Path) -> None:
    import tracemalloc

    with Store(tmp_path) as folder:
        for minute in range(20):
            folder.append(batch(minute))
        tracemalloc.start()
        first = tracemalloc.get_traced_memory()[0]
        for minute in range(20, 60):
            folder.append(batch(minute))
        grown = tracemalloc.get_traced_memory()[0] - first
        tracemalloc.stop()
    assert grown < 40_000
