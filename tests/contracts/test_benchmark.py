"""The benchmark runs from end to end with whatever peers are there, and no other target installs them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = """
import json, sys, warnings
from pathlib import Path
sys.path.insert(0, "benchmarks")
import calculator, peers, showing, writing
warnings.simplefilter("ignore")
folder = Path(sys.argv[1])
record = json.loads(json.dumps(calculator.measure(peers.libraries(), rounds=1, sizes=(1000, 100_000), exactly=40)))
showing.tables(record)
showing.picture(record, folder / "calculator.png")
writing.write(record, folder)
(folder / "calculator.json").write_text(json.dumps(record))
"""
pytestmark = pytest.mark.timeout(
    600
)  # on a machine that has compiled nothing yet, all of the calculator is compiled here
MARKED = re.compile(r"<!-- measured: (\w+) -->\n(.*?)<!-- end -->", re.DOTALL)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmark")
    (folder / "docs").mkdir()
    for page in ("README.md", "docs/calculator.md"):
        (folder / page).write_text(MARKED.sub(r"<!-- measured: \1 -->\n<!-- end -->", (ROOT / page).read_text()))
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(folder)], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_ours_is_scored_without_a_failure(ran):
    record = json.loads((ran / "calculator.json").read_text())
    for mode in ("greekdrift, contracted", "greekdrift, strict"):
        for region in record["accuracy"].values():
            assert max(score["worst"] for score in region[mode].values()) <= 1e-11
            assert sum(score["failed"] + score["wrong"] for score in region[mode].values()) == 0
        for region in record["accuracy of implied volatility"].values():
            assert region[mode]["asked"] > 0
            assert region[mode]["worst"] <= 1e-12
        assert all(row[mode] == 0 for row in record["numbers given where none exists"].values())
    assert record["revaluation"]["greekdrift, contracted: books"]["off brute force, of gross"] <= 1e-13
    assert 0.0 < record["revaluation"]["greekdrift, contracted: books"]["peak memory, MiB"] <= 400.0


def test_peers_that_are_absent_say_how_they_are_installed(ran):
    record = json.loads((ran / "calculator.json").read_text())
    absent = [one for one in record["libraries"] if not one["version"]]
    assert all(one["install"].startswith("pip install ") for one in absent)
    assert "numpy + scipy" in record["nanoseconds"]["price + 4 Greeks"]["100000"]


def test_every_marked_table_of_the_pages_is_written(ran):
    assert (ran / "calculator.png").stat().st_size > 10_000
    found = [
        match for page in ("README.md", "docs/calculator.md") for match in MARKED.findall((ran / page).read_text())
    ]
    assert {name for name, _ in found} == {"libraries", "speed", "accuracy", "books", "goals"}
    assert all("greekdrift" in table for _, table in found)


def test_the_pages_hold_measured_tables():
    tables = [
        table for page in ("README.md", "docs/calculator.md") for _, table in MARKED.findall((ROOT / page).read_text())
    ]
    assert len(tables) == 5
    assert all(table.count("\n") >= 3 for table in tables)


def test_only_the_benchmark_installs_the_peers():
    pins = (ROOT / "constraints" / "bench.txt").read_text()
    peers = re.findall(r"^([\w-]+)==", pins, re.MULTILINE)
    assert {"pyvolr", "iv-engine", "fast-vollib", "vollib"} <= set(peers)
    others = (ROOT / "constraints" / "cpu.txt").read_text() + (ROOT / "pyproject.toml").read_text()
    assert not [name for name in peers if re.search(rf"^\W*{re.escape(name)}\b", others, re.MULTILINE | re.IGNORECASE)]
    makefile = (ROOT / "Makefile").read_text()
    assert re.findall(r"^(\S+):.*\$\(PEERS\)", makefile, re.MULTILINE) == ["bench"]
