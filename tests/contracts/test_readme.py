"""What the README shows is what there is: its example prints what stands below it, its tree is the tree."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"\d[\d,.]*\d|\d")


def _figures(text: str) -> list[float]:
    return [float(found.replace(",", "")) for found in NUMBER.findall(text)]


def test_the_example_prints_what_stands_below_it() -> None:
    at = [language for language, _ in BLOCKS].index("python")
    code, shown = BLOCKS[at][1], BLOCKS[at + 1][1]
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert NUMBER.sub("#", done.stdout) == NUMBER.sub("#", shown)
    assert _figures(done.stdout) == pytest.approx(_figures(shown), rel=0.05, abs=5.0)


def test_every_room_is_on_the_street_and_nothing_else_is() -> None:
    source = ROOT / "src" / "greekdrift"
    there = {f"{path.name}/" for path in source.iterdir() if path.is_dir() and path.name != "__pycache__"}
    there |= {path.name for path in source.glob("*.py") if path.name != "__init__.py"}
    tree = next(block for _, block in BLOCKS if block.startswith("src/greekdrift/"))
    inside = "\n".join(line for line in tree.splitlines() if line.startswith(("├", "└")))
    named = set(re.findall(r"\b[a-z_]+(?:\.py|/)", inside))
    assert named == there


def test_every_file_that_the_readme_names_exists() -> None:
    named = set(re.findall(r"\b(?:docs|configs|models|notebooks|constraints)/[\w./-]*\w", README))
    assert named
    assert not [name for name in sorted(named) if not (ROOT / name).exists()]


def test_every_command_that_the_readme_names_exists() -> None:
    named = set(re.findall(r"\bgreekdrift ([a-z]+)\b", README)) - {"forecasts", "in"}
    shown = subprocess.run(
        [sys.executable, "-m", "greekdrift.cli", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert not [name for name in sorted(named) if not re.search(rf"\b{name}\b", shown)]
