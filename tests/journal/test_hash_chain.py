"""Mutations of a journal's bytes: none is accepted, and damage names its place."""

import numpy as np
import pytest

from greekdrift.errors import JournalError
from greekdrift.journal.hash_chain import GENESIS, HEADER_LENGTH, MAXIMUM_LENGTH, Walk, decode, encode, seal


def chain(payloads, epochs=None):
    head, content, ends = GENESIS, b"", []
    for sequence, payload in enumerate(payloads):
        record = encode(payload, epoch=(epochs or [1] * len(payloads))[sequence], sequence=sequence, previous=head)
        head = seal(record)
        content += record
        ends.append(len(content))
    return content, ends


PAYLOADS = [b'{"n":%d}' % n * (n + 1) for n in range(6)]


def test_reads_back_what_was_written():
    content, ends = chain(PAYLOADS)
    walk = Walk(content)
    entries = list(walk)
    assert [entry.payload for entry in entries] == PAYLOADS
    assert [entry.end for entry in entries] == ends
    assert (walk.damage, walk.count, walk.end, walk.head) == (None, 6, len(content), entries[-1].seal)


def test_every_single_bit_flip_is_found():
    """All bits of a journal of six records; the last record's are a torn tail, all others a hole."""
    content, ends = chain(PAYLOADS)
    for place in range(len(content)):
        for bit in range(8):
            mutated = bytearray(content)
            mutated[place] ^= 1 << bit
            walk = Walk(bytes(mutated))
            entries = list(walk)
            assert walk.damage is not None, (place, bit)
            assert walk.damage.offset in (0, *ends)
            assert walk.damage.is_tail == (place >= ends[-2]), (place, bit, walk.damage)
            assert [entry.payload for entry in entries] == PAYLOADS[: len(entries)]


def test_every_truncation_is_a_torn_tail_or_a_shorter_chain():
    content, ends = chain(PAYLOADS)
    for length in range(len(content)):
        walk = Walk(content[:length])
        list(walk)
        if length in (0, *ends):
            assert walk.damage is None
        else:
            assert walk.damage is not None
            assert walk.damage.is_tail
        assert walk.end == max(end for end in (0, *ends) if end <= length)


@pytest.mark.parametrize("seed", range(3))
def test_random_mutations_are_found(seed):
    """Overwritten, deleted, inserted and swapped stretches: 1,500 of them, none accepted."""
    content, ends = chain(PAYLOADS)
    starts = [0, *ends[:-1]]
    generator = np.random.default_rng(seed)
    for _ in range(500):
        kind = generator.integers(4)
        at = int(generator.integers(len(content)))
        length = int(generator.integers(1, 90))
        noise = generator.bytes(length)
        one, two = (int(n) for n in generator.choice(len(starts), 2, replace=False))
        mutated = (
            content[:at] + noise + content[at + length :],
            content[:at] + content[at + length :],
            content[:at] + noise + content[at:],
            b"".join(
                content[starts[k] : ends[k]]
                for k in [two if n == one else one if n == two else n for n in range(len(starts))]
            ),
        )[kind]
        if mutated == content:
            continue
        walk = Walk(mutated)
        kept = [entry.payload for entry in walk]
        assert walk.damage is not None or len(kept) < len(PAYLOADS)
        assert kept == PAYLOADS[: len(kept)]


def test_a_rewritten_record_with_right_checks_breaks_the_chain():
    content, ends = chain(PAYLOADS)
    forged = encode(b"x" * len(PAYLOADS[2]), epoch=1, sequence=2, previous=list(Walk(content))[2].previous)
    walk = Walk(content[: ends[1]] + forged + content[ends[2] :])
    assert len(list(walk)) == 3
    assert walk.damage is not None
    assert walk.damage.fact == "it does not follow from the record before it"
    assert not walk.damage.is_tail


def test_a_repeated_record_and_an_outdated_epoch_are_found():
    content, ends = chain(PAYLOADS)
    walk = Walk(content + content[ends[4] :])
    list(walk)
    assert walk.damage is not None
    assert walk.damage.fact == "sequence 5 where 6 is due"
    content, _ = chain(PAYLOADS, epochs=[1, 1, 2, 2, 1, 3])
    walk = Walk(content)
    list(walk)
    assert walk.damage is not None
    assert "outdated writer" in walk.damage.fact


def test_an_impossible_length_is_damage_and_is_not_written():
    with pytest.raises(JournalError, match="put large inputs in the store"):
        encode(bytes(MAXIMUM_LENGTH + 1), epoch=1, sequence=0, previous=GENESIS)
    content, _ = chain([b"abc"])
    assert decode(content, 0)[0] is not None
    assert decode(content[: HEADER_LENGTH - 1], 0) == (
        None,
        f"only {HEADER_LENGTH - 1} of {HEADER_LENGTH} header bytes",
    )
