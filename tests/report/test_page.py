import json
import re
from pathlib import Path

import pytest

from greekdrift.errors import DataError
from greekdrift.report.page import build


def test_the_page_needs_nothing_else(run_folder: Path) -> None:
    page = build(run_folder).read_text()
    assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?!data:|#)[a-z/]""", page)
    assert "http" not in re.sub(r'src="data:[^"]*"', "", page)
    assert "<script" not in page


def test_what_users_write_is_text_and_never_markup(run_folder: Path) -> None:
    page = build(run_folder).read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&lt;alive&gt;" in page


def test_every_part_is_shown(run_folder: Path) -> None:
    page = build(run_folder).read_text()
    for words in (
        "VERIFIED_ML",
        "BASELINE",
        "HOLD",
        "AAPL.USD-SPOT",
        "not trading is the verified proposal",
        "1 of 1 checks",
    ):
        assert words in page
    assert page.count("<img ") == 6
    assert page.count("<figcaption>breach within 72 h") == 3


def test_a_hold_shows_no_adjustment(run_folder: Path) -> None:
    page = build(run_folder).read_text()
    hold = page[page.index("silent<span") : page.index('<section id="forecast"')]
    assert "<table" not in hold
    assert "Certificate" not in hold


@pytest.mark.parametrize("missing", ["forecast", "decisions", "regime", "scorecard", "run"])
def test_a_part_may_be_absent(run_folder: Path, missing: str) -> None:
    (run_folder / f"{missing}.json").unlink()
    assert f'<section id="{missing}">' not in build(run_folder).read_text()


def test_the_same_run_gives_the_same_bytes(run_folder: Path) -> None:
    assert (
        build(run_folder, run_folder / "a.html").read_bytes() == build(run_folder, run_folder / "b.html").read_bytes()
    )


@pytest.mark.parametrize("text", ["{", "[]", json.dumps("x")])
def test_a_corrupt_part_is_a_clear_error(run_folder: Path, text: str) -> None:
    (run_folder / "forecast.json").write_text(text)
    with pytest.raises(DataError, match=r"forecast\.json"):
        build(run_folder)


def test_an_empty_or_absent_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds none of"):
        build(tmp_path)
    with pytest.raises(DataError, match="is no folder"):
        build(tmp_path / "absent")
