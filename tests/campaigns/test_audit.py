"""The audit finds what it is there to find: each kind of harm is done to a sound folder, and is found."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from campaigns.audit import Findings, audit
from campaigns.collect import market_of
from tests.venue.clock import SharedClock
from tests.venue.market import MINUTE, Market
from tests.venue.server import Venue, running

from greekdrift.errors import DataError, JournalError
from greekdrift.market.collect import manifest
from greekdrift.market.collect.collector import Missed
from greekdrift.market.collect.deribit import collector
from greekdrift.market.collect.store import Batch, Entry

MINUTES = 4


@dataclass(frozen=True)
class Folder:
    path: Path
    market: Market
    acknowledged: dict[str, str]

    def audited(self, **given: object) -> Findings:
        told: dict[str, object] = {
            "market": self.market,
            "acknowledged": self.acknowledged,
            "damaged": (),
            "explained": (),
            "until": self.market.start + MINUTES * MINUTE,
        }
        told |= given
        return audit(self.path, told.pop("market"), **told)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    market = market_of(5)
    seen = SharedClock(tmp_path / "clock", start=market.start, tick=timedelta(0))
    clock = SharedClock(tmp_path / "clock")
    acknowledged: dict[str, str] = {}

    def report(what: Entry | Missed, batch: Batch | None, following: datetime) -> None:
        assert isinstance(what, Entry)
        for path in what.files:
            name = path.relative_to(tmp_path / "chains").as_posix()
            acknowledged[name] = hashlib.sha256(path.read_bytes()).hexdigest()

    with running(Venue(market, seen)) as url:
        made = collector(
            tmp_path / "chains",
            market.currencies,
            every=timedelta(minutes=1),
            base_url=url,
            clock=clock,
            depth=5,
            report=report,
        )
        asyncio.run(made.run(count=MINUTES))
    return Folder(tmp_path / "chains", market, acknowledged)


def _first(folder: Folder, table: str = "chain") -> str:
    return min(name for name in folder.acknowledged if name.startswith(table))


def _stray(folder: Folder) -> dict[str, object]:
    name = _first(folder)
    (folder.path / name).with_name("chain-stray.parquet").write_bytes((folder.path / name).read_bytes())
    return {}


HARM: tuple[tuple[str, Callable[[Folder], dict[str, object]]], ...] = (
    ("lost", lambda folder: {"acknowledged": folder.acknowledged | {"chain/date=2026-02-05/gone.parquet": "0"}}),
    ("changed", lambda folder: {"acknowledged": folder.acknowledged | {_first(folder): "0"}}),
    ("changed", lambda folder: {"damaged": [_first(folder)]}),
    ("unlisted", _stray),
    ("untrue_rows", lambda folder: {"market": market_of(6)}),
    ("unexplained", lambda folder: {"until": folder.market.start + (MINUTES + 2) * MINUTE}),
)


def test_a_sound_folder_is_clean_and_each_harm_is_found(folder: Folder) -> None:
    sound = folder.audited()
    assert sound.is_clean, sound.examples
    assert (sound.snapshots, sound.minutes) == (MINUTES, MINUTES)
    assert sound.rows > 100
    assert sound.levels > 100
    for name, harm in HARM:
        found = folder.audited(**harm(folder))
        assert getattr(found, name) > 0, name
        (folder.path / _first(folder)).with_name("chain-stray.parquet").unlink(missing_ok=True)


def test_a_folder_whose_list_or_files_were_changed_is_refused(folder: Folder) -> None:
    path = folder.path / _first(folder)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="not what was acknowledged"):
        folder.audited(acknowledged={})
    listing = folder.path / manifest.NAME
    lines = listing.read_bytes().splitlines(keepends=True)
    listing.write_bytes(b"".join([lines[0], *lines]))
    with pytest.raises(JournalError):
        folder.audited(acknowledged={})
