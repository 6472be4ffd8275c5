"""`greekdrift watch`: a folder of snapshots against the bands of a book, with an exit code or a hook on breach."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from greekdrift.cli import options
from greekdrift.cli.quantities import Units

if TYPE_CHECKING:
    from greekdrift.book import Account
    from greekdrift.cli.foreseen import Foresight

ALARM = 0.2
WITHIN = "24h"


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
    from greekdrift.cli.watcher import Watch
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
