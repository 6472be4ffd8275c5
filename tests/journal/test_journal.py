"""Promises of the journal: acknowledged means there, one writer, damage refused with its place."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from greekdrift.errors import JournalError
from greekdrift.journal import Journal, read
from greekdrift.journal.lock import Acknowledged, acknowledged


def payloads(path):
    return [entry.payload for entry in read(path)]


def test_appends_and_reads_back(tmp_path):
    path = tmp_path / "deep" / "journal"
    with Journal(path) as journal:
        assert journal.recovery.records == 0
        assert journal.append(b"one") == 0
        assert journal.append_batch([b"two", b"three"]) == (1, 2)
    assert payloads(path) == [b"one", b"two", b"three"]
    with Journal(path) as journal:
        assert (journal.recovery.records, journal.epoch) == (3, 2)
        assert journal.append(b"four") == 3
    assert [entry.epoch for entry in read(path)] == [1, 1, 1, 2]


def test_the_same_decision_is_recorded_once(tmp_path):
    path = tmp_path / "journal"
    with Journal(path) as journal:
        assert journal.append_once([b"a", b"b", b"a"]) == (0, 1, 0)
        assert journal.append_once([b"b"]) == (1,)
    with Journal(path) as journal:
        assert journal.append_once([b"b", b"a"]) == (1, 0)
    assert payloads(path) == [b"a", b"b"]


def test_threads_take_turns(tmp_path):
    path = tmp_path / "journal"
    with Journal(path) as journal:
        threads = [
            threading.Thread(target=lambda k=k: [journal.append(b"%d-%d" % (k, n)) for n in range(20)])
            for k in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(payloads(path)) == sorted(b"%d-%d" % (k, n) for k in range(4) for n in range(20))


def test_a_second_writer_is_refused(tmp_path):
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.append(b"one")
        with pytest.raises(JournalError, match="has a writer already"):
            Journal(path)
        code = f"from greekdrift.journal import Journal\nJournal({str(path)!r})"
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert other.returncode != 0
        assert "has a writer already" in other.stderr
    Journal(path).close()


@pytest.mark.skipif(os.name != "posix", reason="a lock file in use cannot be removed elsewhere")
def test_an_outdated_writer_stops(tmp_path):
    """The lock file vanishes (another machine, a careless hand) and a twin takes over: the first one must stop."""
    path = tmp_path / "journal"
    old = Journal(path)
    old.append(b"one")
    line = acknowledged(path)
    assert line == Acknowledged(epoch=1, count=1, head=old.head)
    old._lock.write(Acknowledged(epoch=7, count=1, head=old.head))
    with pytest.raises(JournalError, match="another writer took over"):
        old.append(b"two")
    with pytest.raises(JournalError, match="is closed"):
        old.append(b"two")
    with Journal(path) as new:
        assert new.epoch == 8
        new.append(b"three")
    assert payloads(path) == [b"one", b"three"]


@pytest.mark.skipif(os.name != "posix", reason="an open file cannot be moved elsewhere")
def test_a_moved_file_is_noticed(tmp_path):
    path = tmp_path / "journal"
    journal = Journal(path)
    journal.append(b"one")
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(JournalError, match="was moved"):
        journal.append(b"two")


def test_a_torn_tail_is_put_aside(tmp_path):
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.append_batch([b"one", b"two"])
    whole = path.read_bytes()
    for number, cut in enumerate((1, 30, 63, 66)):
        path.write_bytes(whole + whole[len(whole) // 2 :][:cut])
        with pytest.raises(JournalError, match="opening the journal for writing puts it aside"):
            read(path)
        with Journal(path) as journal:
            assert journal.recovery.records == 2
            assert journal.recovery.torn_bytes == cut
            assert journal.recovery.put_aside is not None
            assert journal.recovery.put_aside.read_bytes() == whole[len(whole) // 2 :][:cut]
        assert path.read_bytes() == whole
        assert len(list(tmp_path.glob("journal.torn-2*"))) == number + 1


def test_a_lost_or_exchanged_acknowledged_record_is_refused(tmp_path):
    path = tmp_path / "journal"
    with Journal(path) as journal:
        for payload in (b"one", b"two", b"six"):
            journal.append(payload)
    whole = path.read_bytes()
    ends = [entry.end for entry in read(path)]
    for content, match in (
        (whole[: ends[1]], "3 records were acknowledged, only 2 stand"),
        (whole[: ends[1] + 10], "3 records were acknowledged, only 2 stand; only 10 of 64 header bytes"),
        (whole[:-1] + b"y", "3 records were acknowledged, only 2 stand; the payload check fails"),
        (b"", "3 records were acknowledged, only 0 stand"),
        (whole[:70] + b"?" + whole[71:], "byte 67"),
    ):
        path.write_bytes(content)
        for use in (read, Journal):
            with pytest.raises(JournalError, match=match):
                use(path)
    forged = tmp_path / "forged"
    with Journal(forged) as journal:
        for payload in (b"one", b"two", b"ten"):
            journal.append(payload)
        path.write_bytes(forged.read_bytes())
        for use in (read, Journal):
            with pytest.raises(JournalError, match="record 2 is not the one that was acknowledged"):
                use(path)
        journal.append(b"more")
        path.write_bytes(forged.read_bytes())
        for use in (read, Journal):
            with pytest.raises(JournalError, match="record 2 is not the one that was acknowledged"):
                use(path)


def test_a_record_that_is_on_disk_but_not_yet_acknowledged_stands(tmp_path):
    """What a writer that died between the two leaves behind: one record more than its line says."""
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.append(b"one")
        line = path.with_name("journal.writer").read_bytes()
        journal.append(b"two")
    path.with_name("journal.writer").write_bytes(line)
    assert payloads(path) == [b"one", b"two"]
    with Journal(path) as journal:
        assert journal.count == 2


def test_a_hole_stops_the_service_even_without_the_writers_line(tmp_path):
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.append_batch([b"one", b"two", b"three"])
    whole = bytearray(path.read_bytes())
    whole[70] ^= 1
    path.write_bytes(whole)
    path.with_name("journal.writer").unlink()
    for use in (read, Journal):
        with pytest.raises(JournalError, match=r"record 1 at byte 67 is damaged.*Restore the file"):
            use(path)


def test_a_failed_write_acknowledges_nothing(tmp_path, monkeypatch):
    path = tmp_path / "journal"
    journal = Journal(path)
    journal.append(b"one")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("greekdrift.journal.journal.os.fsync", full)
    with pytest.raises(JournalError, match="No space left on device"):
        journal.append(b"two")
    monkeypatch.undo()
    with pytest.raises(JournalError, match="is closed"):
        journal.append(b"two")
    with Journal(path) as again:
        assert again.append_once([b"two"]) == (1,)
    assert payloads(path) == [b"one", b"two"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_error(tmp_path):
    path = tmp_path / "journal"
    path.symlink_to("/dev/full")
    with pytest.raises(JournalError, match="could not be written"), Journal(path) as journal:
        journal.append(b"one")


NURSERY = """
import os, sys
from greekdrift.journal import Journal

def write(path, acknowledged):
    journal = Journal(path)
    said = os.open(acknowledged, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    number = journal.count
    while True:
        size = (number * 7919) % 30_000
        payloads = [b"%d:%s" % (n, b"x" * size) for n in range(number, number + 1 + number % 3)]
        sequences = journal.append_batch(payloads)
        number = sequences[-1] + 1
        os.write(said, b"".join(b"%d\\n" % one for one in sequences))

for _ in sys.stdin:
    child = os.fork()
    if child == 0:
        write(*sys.argv[1:])
    print(child, flush=True)
    os.waitpid(child, 0)
    print("gone", flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="writers are forked from one process that has loaded everything")
def test_kill_in_mid_write_loses_nothing_acknowledged(tmp_path):
    """40 times kill -9 at a random moment; after each the journal opens and holds all it had acknowledged."""
    path, acknowledged = tmp_path / "journal", tmp_path / "acknowledged"
    acknowledged.touch()
    generator = np.random.default_rng(5)
    command = [sys.executable, "-c", NURSERY, str(path), str(acknowledged)]
    last = -1
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as nursery:
        for _ in range(40):
            before = acknowledged.stat().st_size
            nursery.stdin.write("another\n")
            writer = int(nursery.stdout.readline())
            deadline = time.monotonic() + 20.0
            while acknowledged.stat().st_size == before and time.monotonic() < deadline:
                time.sleep(1e-3)
            time.sleep(float(generator.uniform(0.0, 0.04)))
            os.kill(writer, signal.SIGKILL)
            assert nursery.stdout.readline() == "gone\n"
            assert acknowledged.stat().st_size > before
            last = max(last, *(int(line) for line in acknowledged.read_text().split()))
            with Journal(path) as journal:
                assert journal.count > last
                assert journal.recovery.records == journal.count
                last = journal.count - 1
        nursery.stdin.close()
    entries = read(path)
    assert [int(entry.payload.split(b":")[0]) for entry in entries] == list(range(last + 1))
    assert len({entry.epoch for entry in entries}) >= 20


def test_reading_needs_a_file(tmp_path):
    with pytest.raises(JournalError, match="is no file"):
        read(tmp_path / "nothing")


def test_a_payload_can_be_anything(tmp_path):
    path = tmp_path / "journal"
    odd = [b"", b"GDJ1", json.dumps({"ü": 1}).encode(), bytes(range(256)) * 300]
    with Journal(path) as journal:
        for payload in odd:
            journal.append(payload)
    assert payloads(path) == odd
