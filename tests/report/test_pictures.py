"""Waterfalls and smiles as figures, and the files they are written to."""

from pathlib import Path

import numpy as np
import pytest

from greekdrift.errors import InputError
from greekdrift.report.picture import Table, write
from greekdrift.report.smiles import smiles
from greekdrift.report.waterfall import waterfalls

PANEL = {
    "title": "a $ b",
    "quantity": "pnl_usd, USD",
    "parts": {"clock": 2.0, "spot": -5.0, "level": 1.0},
    "total": -2.0,
}


def test_bars_of_a_waterfall_stand_on_each_other() -> None:
    figure = waterfalls([PANEL], columns=1, title="why")
    bars = [(bar.get_y(), bar.get_y() + bar.get_height()) for bar in figure.axes[0].patches]
    np.testing.assert_allclose(bars, [(0.0, 2.0), (2.0, -3.0), (-3.0, -2.0), (0.0, -2.0)], atol=1e-12)


def test_what_is_not_known_is_no_bar() -> None:
    panel = {**PANEL, "parts": {**PANEL["parts"], "spot": None}, "total": None}
    figure = waterfalls([panel], columns=1, title="why")
    assert len(figure.axes[0].patches) == 2
    assert {"?", "unknown"} <= {text.get_text() for text in figure.axes[0].texts}


def _smile(days: float) -> dict[str, object]:
    k = np.linspace(-0.3, 0.3, 7)
    line_k = np.linspace(-0.4, 0.4, 21)
    mark = 0.5 + k * k
    return {
        "title": "27 Mar", "note": "rmse", "days": days, "atm": 0.5, "k": k, "bid": np.r_[np.nan, mark[1:] - 0.01],
        "ask": mark + 0.01, "mark": mark, "is_quoted": np.arange(7) > 0, "error": 0.001 * k, "line_k": line_k,
        "line": 0.5 + line_k**2, "quoted": (-0.3, 0.3),
    }  # fmt: skip


@pytest.mark.parametrize("count", [1, 4, 5])
def test_a_surface_has_a_smile_and_its_errors_for_each_expiry(count: int) -> None:
    figure = smiles([_smile(3.0 * (at + 1)) for at in range(count)], title="BTC")
    assert len(figure.axes) == 2 * count + 2


def test_files_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("a.png", "a.svg", "a.pdf", "a.html"):
        made = []
        for _ in range(2):
            write(
                tmp_path / name,
                [(waterfalls([PANEL], columns=1, title="why"), "why")],
                title="<why>",
                tables=[Table(title="Numbers", columns=("name", "value"), rows=[("x", 1.0)])],
            )
            made.append((tmp_path / name).read_bytes())
        assert made[0] == made[1]
    page = (tmp_path / "a.html").read_text()
    assert "&lt;why&gt;" in page
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_several_pictures_need_a_page(tmp_path: Path) -> None:
    two = [(waterfalls([PANEL], columns=1, title="why"), "why")] * 2
    with pytest.raises(InputError, match=r"write an \.html page"):
        write(tmp_path / "two.png", two, title="two")
