"""A signature over many records at once: one Ed25519 signature of the root of their hash tree.

root of one seal s:  SHA-256(0x00 s);  of more:  SHA-256(0x01 left right), split at the largest power of two
below their number. A record's *path* is the sibling roots from its leaf up; with it anyone can check that
the record belongs to a signed batch without the rest of the journal.
Source: the Merkle tree of RFC 9162, section 2.1; Ed25519 of RFC 8032. Needs the `cryptography` package.
"""

import hashlib
import json
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from greekdrift.book.canonical import canonical
from greekdrift.errors import JournalError
from greekdrift.journal.hash_chain import Entry
from greekdrift.journal.journal import Journal


def root(seals: Sequence[bytes]) -> bytes:
    """Root of the hash tree of some records' seals.

    >>> root([b"a"]).hex()[:16]
    '022a6979e6dab7aa'
    """
    if not seals:
        raise JournalError("a batch without records has no root; sign after something was decided.")
    if len(seals) == 1:
        return hashlib.sha256(b"\x00" + seals[0]).digest()
    split = _split(len(seals))
    return hashlib.sha256(b"\x01" + root(seals[:split]) + root(seals[split:])).digest()


def path(seals: Sequence[bytes], at: int) -> tuple[bytes, ...]:
    """Sibling roots that lead from one record to the root, leaf first."""
    if len(seals) == 1:
        return ()
    split = _split(len(seals))
    if at < split:
        return (*path(seals[:split], at), root(seals[split:]))
    return (*path(seals[split:], at - split), root(seals[:split]))


def belongs(record_seal: bytes, at: int, size: int, siblings: Sequence[bytes], batch_root: bytes) -> bool:
    """Whether a record is the one at a place of a batch of some size with a given root.

    >>> seals = [b"a", b"b", b"c"]
    >>> belongs(b"c", 2, 3, path(seals, 2), root(seals)), belongs(b"x", 2, 3, path(seals, 2), root(seals))
    (True, False)
    """
    return 0 <= at < size and _climb(record_seal, at, size, siblings) == batch_root


def _climb(record_seal: bytes, at: int, size: int, siblings: Sequence[bytes]) -> bytes | None:
    if size == 1:
        return hashlib.sha256(b"\x00" + record_seal).digest() if not siblings else None
    if not siblings:
        return None
    split = _split(size)
    sibling = siblings[-1]
    place, width = (at, split) if at < split else (at - split, size - split)
    inner = _climb(record_seal, place, width, siblings[:-1])
    if inner is None:
        return None
    pair = inner + sibling if at < split else sibling + inner
    return hashlib.sha256(b"\x01" + pair).digest()


def _split(size: int) -> int:
    return 1 << (size - 1).bit_length() - 1


def new_key() -> bytes:
    """A fresh private key, 32 bytes; keep it outside the journal's folder."""
    made: bytes = _ed25519().Ed25519PrivateKey.generate().private_bytes_raw()
    return made


def public_key(private: bytes) -> bytes:
    """The public key, 32 bytes, that belongs to a private one."""
    made: bytes = _ed25519().Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    return made


def sign(journal: Journal, entries: Sequence[Entry], private: bytes) -> int:
    """Signs a run of consecutive records and appends the signature as a record of its own."""
    first, last = entries[0].sequence, entries[-1].sequence
    if [entry.sequence for entry in entries] != list(range(first, last + 1)):
        raise JournalError(f"records {first} to {last} have a gap; sign consecutive records.")
    batch_root = root([entry.seal for entry in entries])
    message = _message(first, last, batch_root)
    signature = _ed25519().Ed25519PrivateKey.from_private_bytes(private).sign(message)
    statement = {
        "kind": "signature",
        "first": first,
        "last": last,
        "root": batch_root.hex(),
        "public_key": public_key(private).hex(),
        "signature": signature.hex(),
    }
    return journal.append(canonical(statement))


def check(entries: Sequence[Entry], public: bytes) -> tuple[int, ...]:
    """Checks every signature in a journal against a trusted key; returns the sequences that are covered.

    A signature by another key, over another root or over records that are not there is refused.
    """
    covered: set[int] = set()
    for entry in entries:
        statement = _statement(entry)
        if statement is not None:
            covered.update(_check(entries, entry, statement, public))
    return tuple(sorted(covered))


def _statement(entry: Entry) -> dict[str, Any] | None:
    try:
        said = json.loads(entry.payload)
    except ValueError:
        return None
    return said if isinstance(said, dict) and said.get("kind") == "signature" else None


def _check(entries: Sequence[Entry], entry: Entry, statement: dict[str, Any], public: bytes) -> range:
    place = f"signature in record {entry.sequence}"
    try:
        first, last = int(statement["first"]), int(statement["last"])
        claimed_root, signature = bytes.fromhex(statement["root"]), bytes.fromhex(statement["signature"])
        signer = bytes.fromhex(statement["public_key"])
    except (KeyError, TypeError, ValueError) as error:
        raise JournalError(f"{place} is not readable ({error}).") from error
    if signer != public:
        raise JournalError(f"{place} is by key {signer.hex()[:16]}, trusted is {public.hex()[:16]}.")
    if not 0 <= first <= last < entry.sequence:
        raise JournalError(f"{place} covers records {first} to {last}, which are not before it.")
    if root([signed.seal for signed in entries[first : last + 1]]) != claimed_root:
        raise JournalError(f"{place}: records {first} to {last} are not the ones that were signed.")
    module = import_module("cryptography.exceptions")
    try:
        _ed25519().Ed25519PublicKey.from_public_bytes(public).verify(signature, _message(first, last, claimed_root))
    except module.InvalidSignature:
        raise JournalError(f"{place} does not fit its key.") from None
    return range(first, last + 1)


def _message(first: int, last: int, batch_root: bytes) -> bytes:
    return canonical({"first": first, "kind": "greekdrift journal batch", "last": last, "root": batch_root.hex()})


def _ed25519() -> Any:
    try:
        return import_module("cryptography.hazmat.primitives.asymmetric.ed25519")
    except ImportError as error:
        raise JournalError(
            'signing needs the package "cryptography"; install it with: pip install "greekdrift[serve]".'
        ) from error
