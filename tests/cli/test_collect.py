"""The collector as a program, against a venue on this machine."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import httpx
import pandas as pd
import pytest
from tests.market.collect.conftest import Venue
from tests.market.collect.test_stream import Streaming
from tests.venue.okx import AS_OF, Answers
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from greekdrift.config import load_venue
from greekdrift.market import okx
from greekdrift.market.simulate import SimulatedSource


class Present:
    """The clock of this machine, as the venue made by hand asks for it."""

    @property
    def at(self) -> datetime:
        return datetime.now(UTC)


@pytest.fixture(scope="module")
def venue() -> Venue:
    start = datetime.now(UTC).replace(microsecond=0)
    source = SimulatedSource(venue=load_venue("deribit"), seed=3, days=1.0, start=start)
    return Venue(source.chain(source.snapshots()[0]), Present())


@pytest.fixture(scope="module")
def address(venue: Any) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = venue(httpx.Request("GET", f"http://127.0.0.1{self.path}"))
            self.send_response(answer.status_code)
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def stream_address(venue: Venue) -> Iterator[str]:
    """Calls and the stream at one address, as the venue has them."""

    def answer(connection: ServerConnection, request: Request) -> Response | None:
        if not request.path.startswith("/api/"):
            return None
        return connection.respond(HTTPStatus.OK, venue(httpx.Request("GET", f"http://127.0.0.1{request.path}")).text)

    async def serving() -> None:
        async with serve(Streaming(venue.chain), "127.0.0.1", 0, process_request=answer) as server:
            ports.put(server.sockets[0].getsockname()[1])
            await asyncio.to_thread(over.wait)

    ports: SimpleQueue[int] = SimpleQueue()
    over = threading.Event()
    thread = threading.Thread(target=asyncio.run, args=(serving(),), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{ports.get(timeout=30.0)}"
    over.set()
    thread.join(timeout=10.0)


def test_the_stream_as_a_program(run: Callable, stream_address: str, tmp_path: Path) -> None:
    done = run("collect", "deribit", "--once", "--stream", "--depth", "--out", tmp_path, "--base-url", stream_address)
    assert done.code == 0, done.err
    assert "chain, 8 series" in done.err
    assert "depth rows, 0 rejected" in done.err
    assert run("data", "validate", tmp_path).code == 0


def test_one_snapshot_is_collected_and_used(run: Callable, address: str, tmp_path: Path) -> None:
    folder = tmp_path / "chains"
    done = run("collect", "deribit", "--once", "--out", folder, "--base-url", address)
    assert done.code == 0, done.err
    assert "0 rejected" in done.err
    assert f"greekdrift greeks --chain {folder} --at" in done.err
    assert "snapshots   1 from" in done.out
    greeks = run("greeks", "--chain", folder, "--out", tmp_path / "greeks.csv")
    assert greeks.code == 0, greeks.err
    assert run("data", "validate", folder).code == 0
    again = run("collect", "deribit", "--once", "--out", folder, "--base-url", address, "--currency", "eth,btc")
    assert "continues after 1 batch;" in again.err


def test_events_as_lines_for_machines(run: Callable, address: str, tmp_path: Path) -> None:
    done = run(
        "collect", "deribit", "--once", "--depth", "--json", "--every", "4s", "--out", tmp_path, "--base-url", address
    )
    assert done.code == 0, done.err
    events = [json.loads(line) for line in done.out.splitlines()]
    assert [event["event"] for event in events] == ["chain", "depth", "end"]
    assert all(Path(path).is_file() for event in events[:2] for path in event["files"])
    assert events[-1]["snapshots"] == 1
    assert not done.err


def test_quiet_says_the_summary_alone(run: Callable, address: str, tmp_path: Path) -> None:
    done = run("collect", "deribit", "--once", "--quiet", "--out", tmp_path, "--base-url", address)
    assert "rejected;" not in done.err
    assert "snapshots" in done.out


def test_a_venue_that_is_not_there_is_a_refusal_with_its_reason(run: Callable, tmp_path: Path) -> None:
    done = run("collect", "deribit", "--once", "--every", "1s", "--out", tmp_path, "--base-url", "http://127.0.0.1:9")
    assert done.code == 1
    assert "no snapshot, connection" in done.err
    assert "1 connection" in done.out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--every", "10"), "10m"),
        (("--every", "0s"), "10m"),
        (("--currency", "DOGE"), "BTC, ETH"),
        (("--base-url", "http://www.deribit.com"), "https"),
    ],
)
def test_what_cannot_be_is_refused(run: Callable, tmp_path: Path, options: tuple[str, ...], told: str) -> None:
    done = run("collect", "deribit", "--once", "--out", tmp_path / "x", *options)
    assert done.code == 2
    assert told in done.err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_and_a_second_collector_refuses(
    run: Callable, address: str, tmp_path: Path, number: signal.Signals
) -> None:
    command = [sys.executable, "-m", "greekdrift.cli", "collect", "deribit", "--every", "1h", "--json"]
    command += ["--out", str(tmp_path), "--base-url", address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"NO_COLOR": "1"}) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "chain"
        second = run("collect", "deribit", "--once", "--out", tmp_path, "--base-url", address)
        assert second.code == 2
        assert f"process {process.pid}" in second.err
        process.send_signal(number)
        assert json.loads(process.stdout.read())["event"] == "end"
        assert process.wait(timeout=10) == 0


@pytest.fixture
def exchange(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """OKX in place of ccxt's, at this moment."""
    now = datetime.now(UTC)
    made = Answers(as_of=now, expiry=(now + timedelta(days=41)).replace(hour=8, minute=0, second=0, microsecond=0))
    monkeypatch.setattr(okx, "public", lambda: made)
    return made


def test_okx_is_collected_and_used(run: Callable, exchange: Answers, tmp_path: Path) -> None:
    folder = tmp_path / "chains"
    done = run("collect", "okx", "--once", "--currency", "BTC", "--out", folder)
    assert done.code == 0, done.err
    assert "7 chain, 2 series rows, 0 rejected" in done.err
    done = run("greeks", "--chain", folder, "--venue", "okx", "--out", tmp_path / "greeks.csv")
    assert done.code == 0, done.err


def test_histories_of_the_perpetual_are_written(run: Callable, exchange: Answers, tmp_path: Path) -> None:
    candles, funding = tmp_path / "perp.parquet", tmp_path / "funding.csv"
    since = f"{AS_OF - timedelta(hours=200):%Y-%m-%dT%H:%MZ}"
    asked = ("collect", "okx-perpetual", "--currency", "BTC", "--since", since)
    done = run(*asked, "--candles", candles, "--funding", funding)
    assert done.code == 0, done.err
    hours = pd.read_parquet(candles)
    assert list(hours.columns)[:3] == ["event_time_utc", "known_at_utc", "underlying"]
    assert (hours["known_at_utc"] > hours["event_time_utc"]).all()
    assert set(pd.read_csv(funding)["name"]) == {"funding"}
    again = run(*asked, "--candles", candles)
    assert again.code == 2
    assert "--force" in again.err
    assert run(*asked, "--candles", candles, "--force").code == 0
    assert "--candles" in run(*asked).err


def test_the_help_teaches(run: Callable) -> None:
    text = run("collect", "deribit", "--help").out
    for word in ("--once", "--stream", "--depth", "Ctrl-C", "greekdrift greeks", "No account"):
        assert word in text
    for word in ("deribit", "okx", "okx-perpetual"):
        assert word in run("collect", "--help").out
