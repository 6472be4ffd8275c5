"""`greekdrift watch`: a folder of snapshots against the bands of a book, with an exit code or a hook on breach."""

import json
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from greekdrift.cli import options
from greekdrift.cli.quantities import Units

if TYPE_CHECKING:
    from greekdrift.book import Account
    from greekdrift.cli.foreseen import Foresight
    from greekdrift.cli.watched import Standing
    from greekdrift.market.follow import Follower, Seen

BREACHED = 1
UNKNOWN = 3
ALARM = 0.2
WITHIN = "24h"
HOOK_SECONDS = 30.0
STANDARD_ERROR = 2
"""Where the hook prints: standard output is for events."""

Event = dict[str, Any]


def command(
    chains: Annotated[Path, typer.Option("--chains", help="Folder of snapshots, such as that of greekdrift collect.")],
    book: options.BookFile,
    every: Annotated[str, typer.Option("--every", help="Time between looks: 5s, 1m.")] = "5s",
    once: Annotated[bool, typer.Option("--once", help="Judge the latest snapshot and end.")] = False,
    hook: Annotated[
        str | None, typer.Option("--hook", help="Program to run on a new breach; gets the event as JSON on its input.")
    ] = None,
    stale_after: Annotated[
        str | None, typer.Option("--stale-after", help="Age of the last snapshot at which nothing is known, like 30m.")
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option("--drop", help="Filter of quotes: alive, finite or uncrossed; repeatable.")
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option("--log", callback=options.file_to_write(), help="File that gets one JSON line a snapshot."),
    ] = None,
    units: Annotated[
        Units, typer.Option(help="venue: vega per point, theta per day; internal: per 1.00, per year.")
    ] = "venue",
    venue: options.VenueName = "deribit",
    model: options.Model = None,
    alarm: Annotated[
        float | None, typer.Option("--alarm", help="Probability of a breach that is as bad as one, like 0.2.")
    ] = None,
    within: Annotated[str | None, typer.Option("--within", help="How far --model looks ahead, like 24h.")] = None,
    history: Annotated[
        Path | None, typer.Option("--history", help="Chain files of the past for --model; else those of --chains.")
    ] = None,
    samples: Annotated[int, typer.Option("--samples", min=16, help="Scenarios of --model.")] = 500,
    runs: options.Runs = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line a snapshot, for machines.")] = False,
) -> None:
    """Follow a folder of snapshots and hold each account against its bands.

    Starts with the latest snapshot. A band is inside, in breach, or unknown:
    a held contract without a row leaves the bands that it enters unknown,
    never inside. Values are those of greekdrift greeks, at mark volatility.

    Without a hook the first breach ends it with code 1. With one, the hook is
    run for every new breach (a list of words, no shell; ended after 30 s) and
    the watch goes on; a hook that fails ends it with code 1, and so does a log
    that cannot be written, after the hook. --once ends with 0 inside, 1 breach,
    3 unknown. Ctrl-C ends it with 0.

    With --model a band that is inside, but is left within --within (24h) with
    a probability of --alarm (0.2) or more, is in alarm: code and hook as for a
    breach. Where the model cannot speak, or the market is unlike what it
    learnt from, a band that is inside is unknown.

    Example, one look:
    greekdrift watch --chains chains --book book.yaml --once

    Example, stay and call:
    greekdrift watch --chains chains --book book.yaml --hook "notify --urgent"

    Example, before it happens:
    greekdrift watch --chains chains --book book.yaml --model production
      --alarm 0.2 --within 24h
    """
    from greekdrift.cli.collect import span
    from greekdrift.config import load_venue
    from greekdrift.market.follow import Follower

    options.keep_apart((log,), (book,))
    _can_be_logged(log)
    ahead = _ahead(model, alarm, within)
    accounts = _watched(options.accounts_of(book), book)
    follower = Follower(chains, venue=load_venue(venue), drop=tuple(drop or ()))
    watch = Watch(
        accounts,
        hook=_words(hook),
        stale_after=None if stale_after is None else span(stale_after, option="--stale-after"),
        out="json" if as_json else units,
        log=log,
        foresight=None
        if ahead is None
        else _foresight(ahead, past=history or chains, venue=venue, drop=tuple(drop or ()), samples=samples, runs=runs),
    )
    code = watch.once(follower) if once else watch.follow(follower, every=span(every))
    if code:
        raise typer.Exit(code)


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
        from greekdrift.cli.watched import State
        from greekdrift.errors import DataError

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
        from greekdrift.cli.console import say

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
        say(f"stopped after {count:,} snapshots")
        return 0

    def _judge(self, seen: "Seen") -> int:
        """Says where the accounts stand on one snapshot; the code to end with, 0 to go on."""
        from greekdrift.cli.watched import all_unknown, standings, unquoted

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
        from datetime import UTC

        from greekdrift.cli.watched import all_unknown
        from greekdrift.units import stamp

        if self._stale_after is None or self._last is None or self._is_stale:
            return 0
        age = datetime.now(UTC) - self._last
        if age <= self._stale_after:
            return 0
        self._is_stale = True
        reason = f"the last snapshot was known at {stamp(self._last)}, over {self._stale_after} ago"
        found = all_unknown(self._accounts, reason)
        return self._told({"event": "stale", "known_at": stamp(self._last), **_states(found, ())}, found)

    def _told(self, event: Event, found: "Sequence[Standing]") -> int:
        """Prints and logs an event, and runs the hook where a band is newly in breach or in alarm."""
        from greekdrift.cli.watched import State, worst

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
        from greekdrift.cli.console import escape, say

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
        from greekdrift.cli.console import escape, say

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

    def _print(self, event: Event, found: "Sequence[Standing]") -> None:
        from greekdrift.cli.console import escape, say, table

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


def _can_be_logged(log: Path | None) -> None:
    """Refuses a log that cannot be written before the watch begins, and makes its folder."""
    from greekdrift.errors import InputError

    if log is None:
        return
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.open("a", encoding="utf-8").close()
    except OSError as problem:
        raise InputError(f"--log {log}: cannot be written ({problem.strerror}); give another file.") from None


def _watched(accounts: "Sequence[Account]", book: Path) -> "Sequence[Account]":
    from greekdrift.cli.console import escape, say
    from greekdrift.errors import BookError

    if not any(account.mandate is not None and account.mandate.bands for account in accounts):
        raise BookError(f"{book}: no account has a mandate with bands, so there is nothing to watch; add one.")
    for account in accounts:
        if account.mandate is None:
            say(f"{escape(account.account_id)} has no mandate and is not watched")
    return accounts


def _ahead(model: str | None, alarm: float | None, within: str | None) -> tuple[str, float, float] | None:
    """Model, alarm and hours ahead; options that go together given alone are refused before anything is read."""
    from greekdrift.cli.collect import span
    from greekdrift.errors import InputError

    if model is None:
        alone = "--alarm" if alarm is not None else "--within" if within is not None else ""
        if alone:
            raise InputError(f"{alone} needs a forecast: give --model production, a trained folder or a name like fhs.")
        return None
    chance = ALARM if alarm is None else alarm
    if not 0.0 < chance <= 1.0:
        raise InputError(f"--alarm {chance:g}: is no probability; give one like 0.2.")
    return model, chance, span(within or WITHIN, option="--within").total_seconds() / 3600.0


def _foresight(
    ahead: tuple[str, float, float], *, past: Path, venue: str, drop: tuple[str, ...], samples: int, runs: Path
) -> "Foresight":
    from greekdrift.cli.foreseen import Foresight
    from greekdrift.cli.setting import check_model
    from greekdrift.config import load_venue

    model, alarm, hours = ahead
    check_model(model, runs)
    return Foresight(
        model=model,
        past=past,
        venue=load_venue(venue),
        drop=drop,
        within=hours,
        alarm=alarm,
        samples=samples,
        runs=runs,
    )


def _words(hook: str | None) -> tuple[str, ...]:
    """The hook as a program and its arguments; one that is not there is refused before the watch begins."""
    import shlex
    from shutil import which

    from greekdrift.errors import InputError

    if hook is None:
        return ()
    try:
        words = tuple(shlex.split(hook))
    except ValueError as problem:
        raise InputError(f"--hook {hook}: cannot be split into words ({problem}); close the quotes.") from None
    if not words or which(words[0]) is None:
        raise InputError(f'--hook: "{words[0] if words else ""}" is no program that can be run; give its path.')
    return words


def _event(seen: "Seen", found: "Sequence[Standing]", marks: Sequence[str]) -> Event:
    from greekdrift.units import stamp

    return {
        "event": "snapshot",
        "file": str(seen.file),
        "as_of": None if seen.as_of is None else stamp(seen.as_of),
        "known_at": None if seen.chain is None else stamp(seen.chain.known_at),
        **_states(found, marks),
    }


def _states(found: "Sequence[Standing]", marks: Sequence[str]) -> Event:
    from greekdrift.cli.watched import worst

    return {"state": str(worst(found)), "bands": [one.facts() for one in found], "unquoted": list(marks)}


def _row(one: "Standing", units: Any, *, is_ahead: bool) -> tuple[Any, ...]:
    from greekdrift.cli.quantities import shown, unit

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
