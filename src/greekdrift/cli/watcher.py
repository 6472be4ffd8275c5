"""Snapshots judged one by one against the bands of a book: what is printed and logged, and when the hook is run."""

import json
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from greekdrift.cli.console import escape, say, table
from greekdrift.cli.quantities import shown, unit
from greekdrift.cli.watched import Standing, State, all_unknown, standings, unquoted, worst
from greekdrift.errors import DataError
from greekdrift.units import counted, stamp

if TYPE_CHECKING:
    from greekdrift.book import Account
    from greekdrift.cli.foreseen import Foresight
    from greekdrift.market.follow import Follower, Seen

BREACHED = 1
UNKNOWN = 3
HOOK_SECONDS = 30.0
STANDARD_ERROR = 2
"""Where the hook prints: standard output is for events."""

Event = dict[str, Any]


class Watch:
    """Judges snapshots one by one, says so, and remembers which bands were in breach."""

    def __init__(
        self,
        accounts: "Sequence[Account]",
        *,
        hook: Sequence[str],
        stale_after: timedelta | None,
        out: Literal["json", "venue", "internal"],
        log: Path | None,
        foresight: "Foresight | None" = None,
    ) -> None:
        self._accounts = accounts
        self._hook = hook
        self._stale_after = stale_after
        self._out = out
        self._log = log
        self._foresight = foresight
        self._breached: set[tuple[str, str]] = set()
        self._alarmed: set[tuple[str, str]] = set()
        self._last: datetime | None = None
        self._is_stale = False
        self._stop = threading.Event()

    def once(self, follower: "Follower") -> int:
        """The latest snapshot, judged: 0 inside, 1 breach, 3 unknown."""
        found = follower.poll(last_only=True) or follower.poll(last_only=True)
        if not found:
            raise DataError(
                "the folder holds no snapshot (files named *chain*.parquet or .csv); wait for the first one, or give "
                "another folder."
            )
        code, states = 0, set()
        for seen in found:
            code = max(code, self._judge(seen))
            states.add(self._state)
        code = max(code, self._stale())
        if code == BREACHED or states & {State.BREACH, State.ALARM}:
            return BREACHED
        return UNKNOWN if State.UNKNOWN in states or self._is_stale else 0

    def follow(self, follower: "Follower", *, every: timedelta) -> int:
        """Until a breach without a hook, a hook that fails, or a signal."""
        count, is_first = 0, True
        with self._signals():
            while not self._stop.is_set():
                found = follower.poll(last_only=is_first)
                is_first = is_first and not found
                for seen in found:
                    count += 1
                    if code := self._judge(seen):
                        return code
                if code := self._stale():
                    return code
                self._stop.wait(every.total_seconds())
        say(f"stopped after {counted(count, 'snapshot')}")
        return 0

    def _judge(self, seen: "Seen") -> int:
        """Says where the accounts stand on one snapshot; the code to end with, 0 to go on."""
        if seen.chain is None:
            found = all_unknown(self._accounts, seen.problem)
            marks: tuple[str, ...] = ()
        else:
            found = standings(seen.chain, self._accounts)
            if self._foresight is not None:
                found = self._foresight.applied(seen.chain, self._accounts, found)
            marks = unquoted(seen.chain, self._accounts)
            self._last, self._is_stale = seen.chain.known_at, False
        return self._told(_event(seen, found, marks), found)

    def _stale(self) -> int:
        """Whether the last snapshot is too old for anything to be known; said once, until there is a newer one."""
        if self._stale_after is None or self._last is None or self._is_stale:
            return 0
        age = datetime.now(UTC) - self._last
        if age <= self._stale_after:
            return 0
        self._is_stale = True
        reason = f"the last snapshot was known at {stamp(self._last)}, over {self._stale_after} ago"
        found = all_unknown(self._accounts, reason)
        return self._told({"event": "stale", "known_at": stamp(self._last), **_states(found, ())}, found)

    def _told(self, event: Event, found: Sequence[Standing]) -> int:
        """Prints and logs an event, and runs the hook where a band is newly in breach or in alarm."""
        self._state = worst(found)
        now = {
            state: {(one.account_id, one.band.label) for one in found if one.state is state}
            for state in (State.BREACH, State.ALARM, State.UNKNOWN)
        }
        breaches, alarms = sorted(now[State.BREACH] - self._breached), sorted(now[State.ALARM] - self._alarmed)
        # What is not known stays in the state that it was in: it has not come back inside.
        self._breached = now[State.BREACH] | (self._breached & now[State.UNKNOWN])
        self._alarmed = now[State.ALARM] | (self._alarmed & now[State.UNKNOWN])
        event["new_breaches"] = [list(one) for one in breaches]
        if self._foresight is not None:
            event["new_alarms"] = [list(one) for one in alarms]
        self._print(event, found)
        # The hook comes whatever became of the log: a full disk is no reason to keep a breach quiet.
        is_logged = self._logged(event)
        is_bad, is_new = bool(now[State.BREACH] or now[State.ALARM]), bool(breaches or alarms)
        code = BREACHED if is_bad and not self._hook else self._call(event) if is_new else 0
        return code if is_logged else BREACHED

    def _logged(self, event: Event) -> bool:

        if self._log is None:
            return True
        try:
            with self._log.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(event, sort_keys=True, allow_nan=False)}\n")
        except OSError as problem:
            say(f"{escape(str(self._log))}: cannot be written ({problem.strerror}); make room, or log elsewhere")
            return False
        return True

    def _call(self, event: Event) -> int:
        """Runs the hook; a failure ends the watch, since nobody would hear of the next breach."""
        try:
            done = subprocess.run(
                list(self._hook),
                input=json.dumps(event, sort_keys=True, allow_nan=False).encode(),
                stdout=STANDARD_ERROR,
                timeout=HOOK_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as problem:
            say(f"the hook failed: {escape(str(problem))}")
            return BREACHED
        if done.returncode:
            say(f"the hook {escape(self._hook[0])} ended with code {done.returncode}")
            return BREACHED
        return 0

    def _print(self, event: Event, found: Sequence[Standing]) -> None:

        if self._out == "json":
            print(json.dumps(event, sort_keys=True, allow_nan=False), flush=True)
            return
        title = (
            f"{event['as_of'] or event['file']}: {event['state']}" if event["event"] == "snapshot" else event["event"]
        )
        ahead = () if self._foresight is None else ("chance",)
        table(
            title,
            ("account", "band", "value", "lower", "upper", "unit", *ahead, "state"),
            [_row(one, self._out, is_ahead=bool(ahead)) for one in found],
        )
        if event.get("unquoted"):
            say(f"held, without bid and ask: {escape(', '.join(event['unquoted']))}")

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM end the watch after what is being done; the handlers are given back."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, lambda *_: self._stop.set()) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)


def _event(seen: "Seen", found: Sequence[Standing], marks: Sequence[str]) -> Event:

    return {
        "event": "snapshot",
        "file": str(seen.file),
        "as_of": None if seen.as_of is None else stamp(seen.as_of),
        "known_at": None if seen.chain is None else stamp(seen.chain.known_at),
        **_states(found, marks),
    }


def _states(found: Sequence[Standing], marks: Sequence[str]) -> Event:

    return {"state": str(worst(found)), "bands": [one.facts() for one in found], "unquoted": list(marks)}


def _row(one: Standing, units: Any, *, is_ahead: bool) -> tuple[Any, ...]:

    greek = one.band.greek
    values = [
        None if value is None else float(shown(greek, value, units))
        for value in (one.value, one.band.lower, one.band.upper)
    ]
    said = str(one.state)
    if one.reason:
        said = f"{said}: {one.reason}"
    elif one.outside:
        said = f"{said} by {float(shown(greek, one.outside, units)):.4g}"
    chance = None if one.chance is None or one.chance.value is None else f"{one.chance.value:.1%}"
    return (one.account_id, one.band.label, *values, unit(greek, units), *((chance,) if is_ahead else ()), said)
