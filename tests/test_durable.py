import os
from pathlib import Path

import pytest

from greekdrift import durable


@pytest.mark.skipif(os.name != "posix", reason="folders cannot be opened elsewhere")
def test_every_folder_that_is_made_is_made_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(durable, "sync_folder", synced.append)
    durable.write_durably(tmp_path / "a" / "b" / "file", b"content")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"content"
    assert set(synced) == {tmp_path, tmp_path / "a", tmp_path / "a" / "b"}
    assert [one.name for one in (tmp_path / "a" / "b").iterdir()] == ["file"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "file"
    durable.write_durably(place, b"old")

    def full(_: int) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        durable.write_durably(place, b"new")
    assert place.read_bytes() == b"old"
