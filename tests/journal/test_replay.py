"""A journal of real decisions replays byte by byte; any changed input, verdict or certificate is told."""

import copy
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
    decisions = [json.loads(entry.payload) for entry in read(path)]
    for decision in decisions:
        change(decision)
    _put(path, decisions)


def _put(path, decisions):
    head, content = GENESIS, b""
    for number, decision in enumerate(decisions):
        record = encode(canonical(decision), epoch=1, sequence=number, previous=head)
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
    """A journal with a perfect chain whose every record has another number of one certificate changed."""
    honest = next(said for entry in read(path) if (said := decision_of(entry)) and said["certificate"])
    places = list(_numbers(honest["certificate"]))
    assert len(places) > 10
    forged = []
    for place in places:
        forged.append(copy.deepcopy(honest))
        _nudge(forged[-1]["certificate"], place)
    _put(path, [honest, *forged])
    report = replay(path)
    assert len(report.problems) == len(places)
    for number, problem in enumerate(report.problems, start=1):
        assert f"record {number} " in problem
        assert "comes out different" in problem


@pytest.mark.parametrize(
    "beside", [{"outcome": "VERIFIED_ML"}, {"account_id": "another"}, {"as_of": "2025-01-01T00:00:00Z"}]
)
def test_what_a_record_says_beside_its_certificate_is_told(path, beside):
    """The certificate is intact; the record in which it lies gives it out for something else."""
    rewritten(path, lambda decision: decision.update(beside) if decision["certificate"] is not None else None)
    report = replay(path)
    assert len(report.problems) == 3
    assert f"{next(iter(beside))} is {next(iter(beside.values()))}" in report.problems[0]


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
    assert report.is_sound, report.problems
    assert (report.records, report.signed) == (7, 6)
    assert "6 signed" in report.describe()
    with pytest.raises(JournalError, match="trusted is"):
        replay(path, public_key=signing.public_key(signing.new_key()))


def test_what_a_trusted_key_has_not_signed_is_told(path):
    """Whoever can rewrite the whole chain can also leave the signatures away; a trusted key must notice."""
    pytest.importorskip("cryptography")
    private = signing.new_key()
    public = signing.public_key(private)
    assert replay(path).is_sound
    assert len(replay(path, public_key=public).problems) == 6
    with Journal(path) as journal:
        signing.sign(journal, read(path)[:4], private)
    report = replay(path, public_key=public)
    assert report.signed == 4
    assert len(report.problems) == 2
    assert all("not signed" in problem for problem in report.problems)
    assert "record 4 " in report.problems[0]
