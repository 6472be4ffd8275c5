"""The picture of a margin map: every tile, the framed one, and the same bytes each time."""

from pathlib import Path

import numpy as np
import pytest

from greekdrift.report.margin_map import margin_maps
from greekdrift.report.picture import write


def panel(*, has_cells: bool = True) -> dict[str, object]:
    spot, volatility = np.linspace(-0.3, 0.3, 7), np.linspace(-0.4, 0.6, 5)
    pnl = 1e5 * spot[None, :] - 2e4 * volatility[:, None]
    cells = [
        {"label": "spot -18 %", "move": -0.18, "volatility": "up", "pnl_usd": -2e4, "is_binding": True},
        {"label": "spot +18 %", "move": 0.18, "volatility": "down", "pnl_usd": 0.0, "is_binding": False},
    ]
    return {
        "title": "a · BTC", "spot": spot, "volatility": volatility, "pnl_usd": pnl,
        "initial_margin_usd": 5e4 - pnl, "initial_health_usd": pnl, "cells": cells if has_cells else [],
    }  # fmt: skip


def test_tiles_carry_their_figures_and_the_binding_one_is_framed() -> None:
    figure = margin_maps([panel()], title="Margin")
    tiles = figure.axes[2]
    assert {text.get_text() for text in tiles.texts} == {"−20k", "0"}
    (frame,) = tiles.patches
    assert frame.get_xy() == (-0.5, -0.5)
    assert "spot -18 %" in tiles.xaxis.get_label().get_text()


def test_a_form_without_scenarios_says_so() -> None:
    figure = margin_maps([panel(has_cells=False)], title="Margin")
    assert any("no scenarios" in text.get_text() for axes in figure.axes for text in axes.texts)


@pytest.mark.parametrize("ending", [".png", ".html"])
def test_the_same_bytes_each_time(tmp_path: Path, ending: str) -> None:
    made = []
    for name in ("one", "other"):
        path = tmp_path / f"{name}{ending}"
        write(path, [(margin_maps([panel()], title="Margin"), "map")], title="Margin")
        made.append(path.read_bytes())
    assert made[0] == made[1]
