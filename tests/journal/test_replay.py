"""A journal of real decisions replays byte by byte; any changed input, verdict or certificate is told."""

import json
import re
import shutil
from datetime import timedelta

import numpy as np
import pytest

from greekdrift.book import Account, Band, Kind, Mandate, Position, canonical
from greekdrift.config import load_rules, load_venue
from greekdrift.errors import JournalError
from greekdrift.journal import Journal, read, replay, signing
from greekdrift.journal.hash_chain import GENESIS, encode, seal
from greekdrift.journal.record import decision_of
from greekdrift.market.simulate import SimulatedSource
from greekdrift.rebalance import rebalance


def accounts(chain):
    life = chain.time_to_expiry * 365.0
    rows = np.flatnonzero(chain.is_option & (chain.underlying == "BTC") & (life > 10.0) & (chain.bid > 0.0))
    near = rows[np.argmin(np.abs(chain.strike[rows] / chain.forward[rows] - 1.0))]
    mandate = Mandate(
        rule_set="derive_pm2",
        bands=(Band(greek="delta", underlying="BTC", lower=-1.0, upper=1.0),),
        liquidity_buffer_usd=1_000.0,
        venues=("deribit",),
        max_order_notional_usd=5e6,
        max_cost_usd=5e4,
        hedge_kinds=(Kind.PERPETUAL,),
    )
    short = Position.of(chain.instruments[near].name, -8.0)
    return (
        Account(account_id="desk", collateral={"BTC": 30.0}, positions=(short,), mandate=mandate),
        Account(account_id="free", collateral={"BTC": 1.0}, positions=(short,)),
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    venue = load_venue("deribit")
    source = SimulatedSource(venue=venue, seed=5, days=2.0)
    path = tmp_path_factory.mktemp("journal") / "decisions"
    with Journal(path) as journal:
        for moment in source.snapshots()[:3]:
            chain = source.chain(moment)
            now = chain.known_at + timedelta(seconds=20)
            rebalance(chain, accounts(chain), rules=load_rules("derive_pm2"), venue=venue, now=now, journal=journal)
    return path


@pytest.fixture
def path(written, tmp_path):
    """A copy that may be spoilt."""
    for one in written.parent.iterdir():
        copy = shutil.copytree if one.is_dir() else shutil.copy
        copy(one, tmp_path / one.name)
    return tmp_path / written.name


def rewritten(path, change):
    """The journal with its decisions changed and a perfect chain, as a forger would write it."""
    head, content = GENESIS, b""
    for entry in read(path):
        decision = json.loads(entry.payload)
        change(decision)
        record = encode(canonical(decision), epoch=1, sequence=entry.sequence, previous=head)
        head, content = seal(record), content + record
    path.write_bytes(content)
    path.with_name(path.name + ".writer").unlink()


def test_every_certificate_comes_out_the_same(path):
    report = replay(path)
    assert report.is_sound, report.problems
    assert report.outcomes == {"BASELINE": 3, "HOLD": 3}
    assert (report.records, report.replayed, report.signed) == (6, 3, 0)


def test_a_copy_on_another_machine_replays_with_its_store_named(path, tmp_path):
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    shutil.copy(path, moved / "journal")
    shutil.move(path.with_name(path.name + ".inputs"), moved / "store")
    assert replay(moved / "journal", inputs=moved / "store").is_sound
    missing = replay(moved / "journal")
    assert len(missing.problems) == 6
    assert "copy the store along" in missing.problems[0]


def test_every_changed_number_of_a_certificate_is_told(path):
    """Each number of the first certificate is changed in turn, in a journal whose chain is perfect."""
    honest = next(said for entry in read(path) if (said := decision_of(entry)) and said["certificate"])
    places = list(_numbers(honest["certificate"]))
    assert len(places) > 10
    content = path.read_bytes()
    for place in places:
        path.write_bytes(content)

        def change(decision, place=place):
            if decision["certificate"] is not None and decision["as_of"] == honest["as_of"]:
                _nudge(decision["certificate"], place)

        _without_line(path)
        rewritten(path, change)
        report = replay(path)
        assert len(report.problems) == 1, place
        assert "comes out different" in report.problems[0]


def _without_line(path):
    line = path.with_name(path.name + ".writer")
    if not line.exists():
        line.write_bytes(b"")


def _numbers(value, place=()):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(item, (*place, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _numbers(item, (*place, number))
    elif isinstance(value, float):
        yield place


def _nudge(value, place):
    for key in place[:-1]:
        value = value[key]
    value[place[-1]] = value[place[-1]] * (1.0 + 1e-12) + 1e-300


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda decision: decision.update(outcome="HOLD"), "HOLD with a certificate"),
        (lambda decision: decision.update(certificate=None, outcome="BASELINE"), "without a certificate"),
        (lambda decision: decision.update(now=decision["as_of"]), "refused in the replay|comes out different"),
        (lambda decision: decision["inputs"].update(chain=decision["inputs"]["venue"]), "another version"),
    ],
)
def test_a_forged_decision_is_told(path, change, problem):
    rewritten(path, lambda decision: change(decision) if decision["certificate"] is not None else None)
    report = replay(path)
    assert len(report.problems) == 3
    assert not report.is_sound
    assert "DISAGREE" in report.describe()

    assert re.search(problem, report.problems[0])


def test_a_spoilt_input_is_told(path):
    for number, one in enumerate(sorted(path.with_name(path.name + ".inputs").rglob("*.z"))):
        content = one.read_bytes()
        one.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
        report = replay(path)
        assert report.problems, number
        assert "restore it from a copy" in report.problems[0]
        one.write_bytes(content)
    assert replay(path).is_sound


def test_damage_to_the_journal_itself_is_an_error(path):
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(JournalError):
        replay(path)


def test_signatures_count_when_a_key_is_trusted(path):
    pytest.importorskip("cryptography")
    private = signing.new_key()
    with Journal(path) as journal:
        signing.sign(journal, read(path), private)
    report = replay(path, public_key=signing.public_key(private))
    assert (report.records, report.signed) == (7, 6)
    assert "6 signed" in report.describe()
    with pytest.raises(JournalError, match="trusted is"):
        replay(path, public_key=signing.public_key(signing.new_key()))
