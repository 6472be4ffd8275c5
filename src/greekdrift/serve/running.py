"""Running the application: on an address until told to stop, or in the background of a process.

On SIGTERM or SIGINT readiness falls first, then the socket closes, then what is in flight is finished.
"""

import logging
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI

from greekdrift.errors import GreekdriftError, InputError
from greekdrift.serve.engine import Engine

GRACE_SECONDS = 10
MOST_CONNECTIONS = 128
START_SECONDS = 30.0


class Server(uvicorn.Server):
    """Uvicorn that says "not ready" before it stops, and returns to its caller when it has (to close the journal)."""

    engine: Engine

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT end the serving and nothing else; outside the main thread they are left alone."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {sig: signal.signal(sig, self.handle_exit) for sig in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Readiness first, then the shutdown."""
        self.engine.is_draining = True
        super().handle_exit(sig, frame)


def server(app: FastAPI) -> Server:
    """The server of an application; logs nothing but warnings."""
    made = Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=GRACE_SECONDS,
            timeout_keep_alive=5,
        )
    )
    made.engine = app.state.engine
    return made


def bound(host: str, port: int) -> socket.socket:
    """A socket on an address; port 0 takes a free one. A port that is taken is refused."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
    except (OSError, OverflowError) as problem:
        made.close()
        raise InputError(f"cannot listen on {host}:{port} ({problem}); choose another --host or --port.") from None
    return made


def address(listening: socket.socket) -> str:
    """The address as a client writes it."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(app: FastAPI, listening: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT."""
    with listening:
        server(app).run(sockets=[listening])


@contextmanager
def background(app: FastAPI) -> Iterator[str]:
    """Serve on a free port of 127.0.0.1 in a thread; gives the address, stops at the end."""
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    with bound("127.0.0.1", 0) as listening:
        made = server(app)
        thread = threading.Thread(target=made.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            _wait(made, thread)
            yield address(listening)
        finally:
            app.state.engine.is_draining = True
            made.should_exit = True
            thread.join(GRACE_SECONDS + 5)


def _wait(made: Server, thread: threading.Thread) -> None:
    until = time.monotonic() + START_SECONDS
    while not made.started:
        if not thread.is_alive() or time.monotonic() > until:
            raise GreekdriftError("the server did not start; run greekdrift serve to see why.")
        time.sleep(0.02)
