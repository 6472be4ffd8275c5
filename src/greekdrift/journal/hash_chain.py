"""The file of the journal: one record after another, each sealed to the one before it.

A record is a header of 64 bytes and a payload:

    magic "GDJ1" · length u32 · epoch u64 · sequence u64 · previous 32 bytes · header check u32 · payload check u32

(little-endian). The *header check* is the CRC-32 of the header's first 56 bytes, the *payload check* that of the
payload; `previous` is the SHA-256 of the whole record before (header and payload), 32 zero bytes for the first.
So a flipped bit is found by a CRC, a rewritten record by the next record's `previous`, a lost or repeated one by
the sequence, an outdated writer by an epoch that falls.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap

from greekdrift.errors import JournalError

Buffer = bytes | memoryview | mmap

MAGIC = b"GDJ1"
GENESIS = bytes(32)
MAXIMUM_LENGTH = 1 << 26
_SEALED = struct.Struct("<4sIQQ32s")
_CHECKS = struct.Struct("<II")
HEADER_LENGTH = _SEALED.size + _CHECKS.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One record of the journal: its place in the file and in the chain, and what it says."""

    offset: int
    epoch: int
    sequence: int
    previous: bytes
    payload: bytes
    seal: bytes

    @property
    def end(self) -> int:
        """Offset of the first byte after the record."""
        return self.offset + HEADER_LENGTH + len(self.payload)


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """The first place where the file stops being a chain.

    A *tail* is damage with no whole record after it: what an interrupted write leaves behind. Everything
    else is a hole or a forgery.
    """

    offset: int
    sequence: int
    fact: str
    is_tail: bool


def encode(payload: bytes, *, epoch: int, sequence: int, previous: bytes) -> bytes:
    """The bytes of one record.

    >>> len(encode(b"{}", epoch=1, sequence=0, previous=GENESIS)) - HEADER_LENGTH
    2
    """
    if len(payload) > MAXIMUM_LENGTH:
        raise JournalError(f"a record of {len(payload)} bytes is over {MAXIMUM_LENGTH}; put large inputs in the store.")
    sealed = _SEALED.pack(MAGIC, len(payload), epoch, sequence, previous)
    return sealed + _CHECKS.pack(zlib.crc32(sealed), zlib.crc32(payload)) + payload


def seal(record: Buffer) -> bytes:
    """SHA-256 of a record's bytes: the `previous` of the record after it."""
    return hashlib.sha256(record).digest()


class Walk:
    """Goes once through a journal's bytes, record by record, and stops at the first damage.

    `head` is the seal of the last record that stands, `head_at` that of record number `mark` (counted from 1; None
    where the walk does not reach it).

    >>> first = encode(b"a", epoch=1, sequence=0, previous=GENESIS)
    >>> walk = Walk(first + encode(b"b", epoch=1, sequence=1, previous=seal(first)) + b"GD")
    >>> [entry.payload for entry in walk], walk.damage.fact, walk.damage.is_tail
    ([b'a', b'b'], 'only 2 of 64 header bytes', True)
    """

    def __init__(self, content: Buffer, *, mark: int = 0) -> None:
        self._content = memoryview(content)
        self._mark = mark
        self.head_at: bytes | None = GENESIS if mark == 0 else None
        self.damage: Damage | None = None
        self.head = GENESIS
        self.count = 0
        self.epoch = 0
        self.end = 0

    def __iter__(self) -> Iterator[Entry]:
        try:
            yield from self._entries()
        finally:
            self._content.release()

    def _entries(self) -> Iterator[Entry]:
        while self.end < len(self._content):
            entry, fact = decode(self._content, self.end)
            if entry is not None:
                fact = self._break(entry)
            if entry is None or fact:
                self.damage = Damage(
                    offset=self.end, sequence=self.count, fact=fact, is_tail=entry is None and self._nothing_after()
                )
                return
            self.head, self.epoch, self.end = entry.seal, entry.epoch, entry.end
            self.count += 1
            if self.count == self._mark:
                self.head_at = self.head
            yield entry

    def _break(self, entry: Entry) -> str:
        if entry.sequence != self.count:
            return f"sequence {entry.sequence} where {self.count} is due"
        if entry.previous != self.head:
            return "it does not follow from the record before it"
        if entry.epoch < self.epoch:
            return f"epoch {entry.epoch} after epoch {self.epoch}: an outdated writer"
        return ""

    def _nothing_after(self) -> bool:
        """Whether no whole record starts anywhere behind the damage."""
        content = self._content
        tail = bytes(content[self.end + 1 :])
        at = tail.find(MAGIC)
        while at >= 0:
            entry, _ = decode(content, self.end + 1 + at)
            if entry is not None:
                return False
            at = tail.find(MAGIC, at + 1)
        return True


def decode(content: Buffer, offset: int) -> tuple[Entry | None, str]:
    """The record that starts at an offset, or None and the fact that prevents it."""
    view = memoryview(content)
    rest = len(view) - offset
    if rest < HEADER_LENGTH:
        return None, f"only {rest} of {HEADER_LENGTH} header bytes"
    magic, length, epoch, sequence, previous = _SEALED.unpack_from(view, offset)
    header_check, payload_check = _CHECKS.unpack_from(view, offset + _SEALED.size)
    if magic != MAGIC:
        return None, f"{magic!r} where a record should start"
    if zlib.crc32(view[offset : offset + _SEALED.size]) != header_check:
        return None, "the header check fails"
    if length > MAXIMUM_LENGTH:
        return None, f"a length of {length} bytes"
    if rest < HEADER_LENGTH + length:
        return None, f"only {rest - HEADER_LENGTH} of {length} payload bytes"
    end = offset + HEADER_LENGTH + length
    payload = bytes(view[offset + HEADER_LENGTH : end])
    if zlib.crc32(payload) != payload_check:
        return None, "the payload check fails"
    entry = Entry(
        offset=offset, epoch=epoch, sequence=sequence, previous=previous, payload=payload, seal=seal(view[offset:end])
    )
    return entry, ""
