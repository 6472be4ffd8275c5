"""A real socket: served in the background, stopped gracefully, slow senders cut off."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from fastapi import FastAPI

from greekdrift.errors import InputError
from greekdrift.serve import guard
from greekdrift.serve.client import Client
from greekdrift.serve.running import background, bound


def test_the_background_server_answers_a_client(app: FastAPI, market) -> None:
    with background(app) as address:
        assert address.startswith("http://127.0.0.1:")
        with Client(address) as client:
            client.snapshot(market.chain)
            assert client.is_ready()
            assert {one["outcome"] for one in client.propose()["decisions"]} == {"VERIFIED_ML", "HOLD"}
    with Client(address) as client:
        assert not client.is_ready()


def test_a_slow_sender_is_cut_off(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "RECEIVE_SECONDS", 0.3)
    with background(app) as address:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=5.0) as slow:
            slow.sendall(b"POST /v1/propose HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            answer = slow.recv(65536)
    assert b"408" in answer.split(b"\r\n")[0]


def test_a_port_that_is_taken_is_a_clear_error() -> None:
    with bound("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(InputError, match="choose another"):
            bound("127.0.0.1", taken.getsockname()[1])


def test_an_impossible_port_is_a_clear_error() -> None:
    with pytest.raises(InputError, match="cannot listen"):
        bound("127.0.0.1", 99_999)


PROGRAM = """
import sys
from fastapi import FastAPI
from greekdrift.serve.running import bound, address, run

class Engine:
    is_draining = False

app = FastAPI()
app.state.engine = Engine()

@app.get("/readyz")
def ready() -> dict:
    return {"ready": not app.state.engine.is_draining}

listening = bound("127.0.0.1", 0)
print(address(listening), flush=True)
run(app, listening)
print("drained" if app.state.engine.is_draining else "cut", flush=True)
"""


def test_sigterm_drains_and_ends(tmp_path) -> None:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stdout is not None
    with process, Client(process.stdout.readline().strip()) as client:
        until = time.monotonic() + 20.0
        while not client.is_ready() and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline().strip() == "drained"
        assert process.wait(timeout=15) == 0
