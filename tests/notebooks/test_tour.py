"""The notebook runs from top to bottom, and is a valid percent notebook."""

import os
import subprocess
import sys
from pathlib import Path

import jupytext

TOUR = Path(__file__).resolve().parents[2] / "notebooks" / "tour.py"


def test_the_tour_runs_and_ends_verified() -> None:
    environment = os.environ | {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "default"}
    done = subprocess.run(
        [sys.executable, str(TOUR)], capture_output=True, text=True, env=environment, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "verified again: True" in done.stdout


def test_the_tour_is_a_percent_notebook() -> None:
    cells = jupytext.read(TOUR).cells
    assert sum(cell.cell_type == "code" for cell in cells) >= 6
    assert sum(cell.cell_type == "markdown" for cell in cells) >= 5
