"""Collectors as processes that can be killed at any moment: one process is warm, and forks each of them.

Reads one JSON object a line from standard input and writes one a line to standard output. {"start": {...}} forks a
collector and answers {"event": "started"}; {"wait": pid} answers {"event": "ended"} with the status. A collector writes
{"event": "taken"} once a batch is acknowledged, with the SHA-256 of its files as they then lie on disk, {"event":
"refused"} for an instant without a snapshot, and {"event": "failed"} if it could not go on.
"""

import asyncio
import hashlib
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.venue.clock import SharedClock

from greekdrift.errors import GreekdriftError
from greekdrift.market.collect.collector import Missed
from greekdrift.market.collect.deribit import collector
from greekdrift.market.collect.rest import Limits
from greekdrift.market.collect.store import Batch, Entry
from greekdrift.units import stamp

PATIENCE, SETTLE = 0.3, 0.02
TIMEOUT = 0.4
PAGE = os.sysconf("SC_PAGE_SIZE")


def resident() -> int:
    """Bytes of memory of this process that are in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def say(facts: Mapping[str, Any]) -> None:
    """One line to whoever started this, in one piece."""
    os.write(1, json.dumps(facts).encode() + b"\n")


def collect(settings: Mapping[str, Any]) -> None:
    """Collects as one process of its own; each event is said."""
    folder = Path(settings["folder"])
    is_streamed = settings.get("stream", False)
    clock = SharedClock(settings["clock"], patience=PATIENCE if is_streamed else 0.0, settle=SETTLE)

    def report(what: Entry | Missed, batch: Batch | None, _following: datetime) -> None:
        if isinstance(what, Missed):
            say({"event": "refused", "pid": os.getpid(), "due": stamp(what.due), "reason": what.reason})
            return
        files = {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in what.files
        }
        facts: Mapping[str, Any] = {} if batch is None else batch.facts
        say(
            {
                "event": "taken",
                "pid": os.getpid(),
                "as_of": stamp(what.as_of),
                "files": files,
                "rejected": Counter(facts.get("rejected", {})) + Counter(facts.get("rejected_messages", {})),
                "resident": resident(),
            }
        )

    try:
        made = collector(
            folder,
            settings["currencies"],
            every=timedelta(seconds=settings["every"]),
            base_url=settings["url"],
            clock=clock,
            limits=Limits(timeout=TIMEOUT),
            depth=settings.get("depth", 0),
            stream=is_streamed,
            report=report,
            seed=settings["seed"],
        )
        found = made.recovery
        say(
            {
                "event": "opened",
                "pid": os.getpid(),
                "torn": found.torn_bytes,
                "quarantined": [path.name for path in found.quarantined],
            }
        )
        asyncio.run(made.run(count=settings.get("count")))
        say({"event": "done", "pid": os.getpid()})
    except GreekdriftError as problem:
        say({"event": "failed", "pid": os.getpid(), "error": type(problem).__name__, "fact": str(problem)})


def main() -> None:
    """Warms up with one snapshot into a folder that is thrown away, then forks what it is asked for."""
    settings = json.loads(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        SharedClock(place / "clock", start=datetime.fromisoformat(settings["start"])).close()
        taken = {**settings, "folder": str(place / "chains"), "clock": str(place / "clock"), "count": 1}
        collect(taken)
    say({"event": "ready", "pid": os.getpid()})
    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" in asked:
            _, status = os.waitpid(asked["wait"], 0)
            say({"event": "ended", "pid": asked["wait"], "status": status})
            continue
        pid = os.fork()
        if pid == 0:
            collect(asked["start"])
            os._exit(0)
        say({"event": "started", "pid": pid})


if __name__ == "__main__":
    main()
