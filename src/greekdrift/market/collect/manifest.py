"""The list of what a collected folder holds: one checked line a snapshot, each bound to the one before it.

A folder is

    manifest.jsonl                                    this list; nothing else says what was collected
    chain/date=2026-02-05/chain-20260205T100000….parquet     options, futures and perpetuals of one snapshot
    series/date=2026-02-05/series-….parquet           index, funding and volatility index
    depth/date=2026-02-05/depth-….parquet             order books, where asked for
    quarantine/                                       what the list does not know, or whose content changed

A line is `<crc32 of the rest, 8 hex digits> <JSON>`. The JSON holds `n` (its number), `epoch` (of the writer),
`previous` (SHA-256 of the line before, with its newline), `kind`, and for a snapshot its files with length and SHA-256,
and its `source` (see `Source`). A line counts once it is on disk; a last line that is cut is as if it had never been
written. The time of change of a file is its snapshot's `known_at`: one that was changed since has another.
"""

import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from greekdrift.errors import DataError, JournalError
from greekdrift.units import aware, instant

NAME = "manifest.jsonl"
METADATA = b"greekdrift.collect"
"""Key of what a file says of itself: a JSON object with `as_of`, `known_at` and, of a chain, `underlyings`."""
GENESIS = "0" * 64
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LONGEST = 1 << 20
FIELDS: dict[str, dict[str, type]] = {
    "snapshot": {"key": str, "as_of": str, "files": dict},
    "quarantined": {"file": str},
}
"""What a line of a kind holds at least."""


OWN = "deribit"
"""Source of snapshots that name none, as the first ones did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Whose snapshots a folder holds: a venue, and the host where it is not the venue's own (a test network).

    >>> Source(venue="deribit", host="test.deribit.com").label
    'deribit at test.deribit.com'
    """

    venue: str
    host: str | None = None

    @property
    def label(self) -> str:
        """The same in words, as manifest and rows have it."""
        return self.venue if self.host is None else f"{self.venue} at {self.host}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line that stands: where it begins and ends, its own SHA-256, and what it says."""

    start: int
    end: int
    seal: str
    body: dict[str, Any]


def encode(body: dict[str, Any]) -> bytes:
    """The bytes of one line.

    >>> encode({"n": 0}).decode().strip()
    'cd500a3f {"n":0}'
    """
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def decode(line: bytes) -> dict[str, Any] | None:
    """What a line says; None where it is cut or its check fails."""
    if len(line) < 12 or not line.endswith(b"\n") or line[8:9] != b" ":
        return None
    text = line[9:-1]
    if line[:8] != b"%08x" % zlib.crc32(text):
        return None
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


class Walk:
    """Goes once through a manifest, line by line, and stops at a cut tail; damage before whole lines is refused."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.count = 0
        self.epoch = 0
        self.head = GENESIS
        self.end = 0
        self.torn = 0

    def __iter__(self) -> Iterator[Line]:
        with self._path.open("rb") as file:
            while raw := file.readline(LONGEST):
                body = decode(raw)
                fact = "it is cut or its check fails" if body is None else self._break(body)
                if body is None or fact:
                    self._stop(raw, file.read(), fact, is_whole=body is not None)
                    return
                start, self.end = self.end, self.end + len(raw)
                self.head = hashlib.sha256(raw).hexdigest()
                self.count, self.epoch = self.count + 1, body["epoch"]
                yield Line(start=start, end=self.end, seal=self.head, body=body)

    def _break(self, body: dict[str, Any]) -> str:
        epoch = body.get("epoch")
        if body.get("n") != self.count:
            return f"it says number {body.get('n')!r} where {self.count} is due"
        if body.get("previous") != self.head:
            return "it does not follow from the line before it"
        if type(epoch) is not int or epoch < self.epoch:
            return f"epoch {epoch!r} after epoch {self.epoch}: an outdated writer"
        is_named = all(type(body.get(name)) is kind for name, kind in FIELDS.get(str(body.get("kind")), {}).items())
        return "" if is_named else f"a line of kind {body.get('kind')!r} lacks a field"

    def _stop(self, raw: bytes, rest: bytes, fact: str, *, is_whole: bool) -> None:
        if is_whole or _holds_a_line(raw[1:] + rest):
            raise JournalError(
                f"{self._path}: line {self.count + 1} at byte {self.end} is damaged: {fact}, and whole lines follow "
                "or stand there. Restore the manifest from a copy, or collect into a new folder."
            )
        self.torn = len(raw) + len(rest)


def _holds_a_line(tail: bytes) -> bool:
    """Whether a whole line begins anywhere in some bytes."""
    at = tail.find(b" {")
    while at >= 0:
        end = tail.find(b"\n", at)
        if at >= 8 and end >= 0 and decode(tail[at - 8 : end + 1]) is not None:
            return True
        at = tail.find(b" {", at + 1)
    return False


def is_collected(folder: Path) -> bool:
    """Whether a folder was written by the collector."""
    return (folder / NAME).is_file()


def files(
    folder: Path, table: str = "chain", *, since: datetime | None = None, until: datetime | None = None
) -> tuple[Path, ...]:
    """The acknowledged files of one table of a collected folder, in order of time, their content checked.

    With `since` or `until` only files of snapshots in that stretch, ends included, are looked at. A file that is
    missing or whose content is not what was acknowledged is refused; files that the manifest does not know are not
    read.
    """
    listed: dict[str, dict[str, Any]] = {}
    for line in Walk(folder / NAME):
        if line.body.get("kind") == "snapshot":
            if is_within(instant(line.body["as_of"]), since, until):
                listed |= line.body["files"]
        elif line.body.get("kind") == "quarantined":
            listed.pop(line.body["file"], None)
    found = []
    for name, facts in listed.items():
        if name.startswith(f"{table}/"):
            problem = difference(folder / name, facts)
            if problem:
                raise DataError(
                    f"{folder / name}: {problem}; start `greekdrift collect` on the folder, which moves it to "
                    "quarantine, or restore the file from a copy."
                )
            found.append(folder / name)
    return tuple(sorted(found))


def is_within(moment: datetime, since: datetime | None, until: datetime | None) -> bool:
    """Whether an instant lies in a stretch, ends included; None leaves an end open."""
    return (since is None or moment >= aware(since)) and (until is None or moment <= aware(until))


def modified(known_at: datetime) -> int:
    """Time of change of the files of a snapshot, in nanoseconds since 1970.

    >>> from datetime import UTC
    >>> modified(datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC))
    1000005000
    """
    return (aware(known_at) - EPOCH) // timedelta(microseconds=1) * 1000


def is_untouched(path: Path, facts: dict[str, Any], known_at: datetime) -> bool:
    """Whether a file has the length and the time of change that it was acknowledged with: its content is not read."""
    try:
        found = path.stat()
    except OSError:
        return False
    return (found.st_size, found.st_mtime_ns) == (facts["bytes"], modified(known_at))


def difference(path: Path, facts: dict[str, Any]) -> str:
    """How a file differs from what was acknowledged; nothing where it does not."""
    try:
        if path.stat().st_size != facts["bytes"]:
            return f"has {path.stat().st_size} bytes, {facts['bytes']} were acknowledged"
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as problem:
        return f"cannot be read ({problem.strerror})"
    return "" if found == facts["sha256"] else "its content is not what was acknowledged"
