"""`greekdrift serve` as a process: ready after the first decision, answers, stops gracefully."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from greekdrift.serve.client import Client


def test_serve_decides_answers_and_stops(chain_file: Path, book_file: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "greekdrift.cli", "serve", "--chain", str(chain_file), "--book", str(book_file)]
    command += ["--clock", "chain", "--port", "0", "--journal", str(tmp_path / "decisions.log")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "200"})
    assert process.stderr is not None
    with process:
        lines = []
        while not any("serving on" in line for line in lines):
            lines.append(process.stderr.readline())
            assert lines[-1], lines
        address = re.search(r"http://[\d.:]+", "".join(lines))
        assert address is not None
        assert "127.0.0.1" in address[0]
        with Client(address[0]) as client:
            until = time.monotonic() + 20.0
            while not client.is_ready() and time.monotonic() < until:
                time.sleep(0.05)
            outcomes = {one["account_id"]: one["outcome"] for one in client.propose()["decisions"]}
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    assert outcomes == {"maker": "BASELINE", "silent": "HOLD"}
    assert (tmp_path / "decisions.log").stat().st_size > 0
