import hashlib
from pathlib import Path

import pytest

from greekdrift.errors import DataError, JournalError
from greekdrift.market.collect import manifest
from greekdrift.market.collect.manifest import GENESIS, Walk, decode, encode


def lines(count: int) -> list[bytes]:
    made: list[bytes] = []
    head = GENESIS
    for number in range(count):
        line = encode({"n": number, "epoch": 1, "previous": head, "kind": "refused", "text": "é\n"})
        head = hashlib.sha256(line).hexdigest()
        made.append(line)
    return made


def walked(path: Path) -> Walk:
    walk = Walk(path)
    for _ in walk:
        pass
    return walk


def test_a_line_says_what_it_was_given() -> None:
    body = {"n": 3, "text": "é\n\x00", "nested": {"a": [1, None]}}
    assert decode(encode(body)) == body
    assert encode(body).count(b"\n") == 1


def test_every_cut_leaves_the_whole_lines_before_it(tmp_path: Path) -> None:
    made = lines(3)
    whole = b"".join(made)
    ends = [0, len(made[0]), len(made[0]) + len(made[1]), len(whole)]
    path = tmp_path / manifest.NAME
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        walk = walked(path)
        assert walk.count == sum(size >= end for end in ends[1:])
        assert walk.torn == size - ends[walk.count]


def test_a_changed_byte_is_found_wherever_it_is(tmp_path: Path) -> None:
    made = lines(3)
    whole = b"".join(made)
    path = tmp_path / manifest.NAME
    last = len(made[0]) + len(made[1])
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        if at < last:
            with pytest.raises(JournalError, match="Restore"):
                walked(path)
        else:
            assert walked(path).count == 2


def test_lost_repeated_and_exchanged_lines_are_refused(tmp_path: Path) -> None:
    made = lines(4)
    path = tmp_path / manifest.NAME
    for wrong in ([0, 2, 3], [0, 1, 1, 2], [1, 0, 2], [0, 0], [1]):
        path.write_bytes(b"".join(made[at] for at in wrong))
        with pytest.raises(JournalError, match="damaged"):
            walked(path)


def test_a_line_of_an_outdated_writer_is_refused(tmp_path: Path) -> None:
    first = encode({"n": 0, "epoch": 2, "previous": GENESIS, "kind": "refused"})
    second = encode({"n": 1, "epoch": 1, "previous": hashlib.sha256(first).hexdigest(), "kind": "refused"})
    path = tmp_path / manifest.NAME
    path.write_bytes(first + second)
    with pytest.raises(JournalError, match="outdated"):
        walked(path)


def test_files_are_those_that_are_listed_and_unchanged(tmp_path: Path) -> None:
    (tmp_path / "chain").mkdir()
    listed = {}
    for name in ("a", "b"):
        (tmp_path / "chain" / name).write_bytes(name.encode())
        listed[f"chain/{name}"] = {"bytes": 1, "sha256": hashlib.sha256(name.encode()).hexdigest()}
    (tmp_path / "chain" / "orphan").write_bytes(b"x")
    said = {"kind": "snapshot", "key": "chain", "as_of": "2026-02-05T10:00:00Z", "files": listed}
    line = encode({"n": 0, "epoch": 1, "previous": GENESIS, **said})
    (tmp_path / manifest.NAME).write_bytes(line + b"torn")
    assert [path.name for path in manifest.files(tmp_path)] == ["a", "b"]
    assert manifest.files(tmp_path, "series") == ()
    (tmp_path / "chain" / "b").write_bytes(b"c")
    with pytest.raises(DataError, match="content"):
        manifest.files(tmp_path)
    (tmp_path / "chain" / "b").unlink()
    with pytest.raises(DataError, match="cannot be read"):
        manifest.files(tmp_path)


def test_a_line_that_lacks_what_it_must_say_is_refused(tmp_path: Path) -> None:
    for said in (
        {"kind": "snapshot"},
        {"kind": "snapshot", "files": [], "key": "x", "as_of": "y"},
        {"kind": "quarantined"},
    ):
        (tmp_path / manifest.NAME).write_bytes(encode({"n": 0, "epoch": 1, "previous": GENESIS, **said}))
        with pytest.raises(JournalError, match="lacks a field"):
            walked(tmp_path / manifest.NAME)
