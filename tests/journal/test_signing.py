"""A signed batch: any change of a record, the root, the range or the key is found."""

import hashlib
import json

import pytest

from greekdrift.errors import JournalError
from greekdrift.journal import Journal, read, signing
from greekdrift.journal.hash_chain import GENESIS, encode, seal

pytest.importorskip("cryptography")


def rebuilt(path, payloads):
    """A journal of other payloads with a perfect chain, as a forger without the key would write it."""
    head, content = GENESIS, b""
    for sequence, payload in enumerate(payloads):
        record = encode(payload, epoch=1, sequence=sequence, previous=head)
        head, content = seal(record), content + record
    path.write_bytes(content)
    path.with_name(path.name + ".writer").unlink(missing_ok=True)


@pytest.fixture
def signed(tmp_path):
    private = signing.new_key()
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.append_batch([b"%d" % n for n in range(5)])
        assert signing.sign(journal, read(path)[:3], private) == 5
        assert signing.sign(journal, read(path)[3:], private) == 6
    return path, signing.public_key(private)


def test_covers_what_was_signed(signed):
    path, public = signed
    assert signing.check(read(path), public) == (0, 1, 2, 3, 4, 5)


def test_a_forged_record_is_found_though_the_chain_is_perfect(signed, tmp_path):
    path, public = signed
    honest = [entry.payload for entry in read(path)]
    for at in range(5):
        forged = [b"9" if n == at else payload for n, payload in enumerate(honest)]
        rebuilt(tmp_path / "forged", forged)
        with pytest.raises(JournalError, match="are not the ones that were signed"):
            signing.check(read(tmp_path / "forged"), public)


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("signature", "00" * 64, "does not fit its key"),
        ("root", "11" * 32, "are not the ones that were signed"),
        ("public_key", "22" * 32, "trusted is"),
        ("first", 1, "are not the ones that were signed"),
        ("last", 9, "which are not before it"),
        ("last", "x", "is not readable"),
    ],
)
def test_a_forged_statement_is_found(signed, tmp_path, field, value, match):
    path, public = signed
    payloads = [entry.payload for entry in read(path)]
    payloads[5] = json.dumps(json.loads(payloads[5]) | {field: value}).encode()
    rebuilt(tmp_path / "forged", payloads)
    with pytest.raises(JournalError, match=match):
        signing.check(read(tmp_path / "forged"), public)


def test_another_key_is_refused(signed):
    path, _ = signed
    with pytest.raises(JournalError, match="trusted is"):
        signing.check(read(path), signing.public_key(signing.new_key()))


def test_a_gap_cannot_be_signed(signed):
    path, _ = signed
    entries = read(path)
    with pytest.raises(JournalError, match="have a gap"):
        signing.sign(None, [entries[0], entries[2]], signing.new_key())


def test_the_tree_is_the_one_of_the_standard():
    """RFC 9162 2.1: the tree of seven leaves, written out."""

    def leaf(content):
        return hashlib.sha256(b"\x00" + content).digest()

    def node(left, right):
        return hashlib.sha256(b"\x01" + left + right).digest()

    d = [bytes([n]) for n in range(7)]
    left = node(node(leaf(d[0]), leaf(d[1])), node(leaf(d[2]), leaf(d[3])))
    right = node(node(leaf(d[4]), leaf(d[5])), leaf(d[6]))
    assert signing.root(d) == node(left, right)
    assert signing.path(d, 6) == (node(leaf(d[4]), leaf(d[5])), left)


@pytest.mark.parametrize("size", range(1, 18))
def test_every_member_belongs_and_no_stranger(size):
    seals = [hashlib.sha256(bytes([n])).digest() for n in range(size)]
    top = signing.root(seals)
    for at in range(size):
        siblings = signing.path(seals, at)
        assert signing.belongs(seals[at], at, size, siblings, top)
        assert not signing.belongs(bytes(32), at, size, siblings, top)
        assert not signing.belongs(seals[at], at, size, (*siblings, bytes(32)), top)
        if siblings:
            assert not signing.belongs(seals[at], at, size, siblings[1:], top)
    with pytest.raises(JournalError, match="without records"):
        signing.root([])
