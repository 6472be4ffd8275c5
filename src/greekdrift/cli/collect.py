"""`greekdrift collect`: option chains from a venue's public interface into a folder, for as long as it runs."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greekdrift.cli import options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

    import pandas as pd

    from greekdrift.market.collect.collector import Collector, Missed, Tally
    from greekdrift.market.collect.store import Batch, Entry

page = typer.Typer(
    no_args_is_help=True,
    epilog="Example: greekdrift collect deribit --currency BTC --once --out chains",
)

Out = Annotated[
    Path, typer.Option("--out", callback=options.folder_to_write, help="Folder to collect in; it is continued.")
]
Currency = Annotated[str, typer.Option(help="Coins, comma separated: BTC, ETH.")]
Every = Annotated[str, typer.Option(help="Time between snapshots: 30s, 10m, 1h.")]
Once = Annotated[bool, typer.Option("--once", help="Take one snapshot and end.")]
Verify = Annotated[
    bool, typer.Option("--verify", help="Read every file of the folder first, not just touched and recent ones.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing but the summary at the end.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON line an event, for machines.")]
SERIES_FILE = options.file_to_write(*options.CHAINS)

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
LEVELS = 10


@page.callback()
def venues() -> None:
    """Collect what a venue publishes; nothing is ever sent to it but public questions."""


@page.command()
def deribit(
    out: Out,
    currency: Currency = "BTC,ETH",
    every: Every = "10m",
    once: Once = False,
    depth: Annotated[
        bool, typer.Option("--depth", help=f"Order books too, {LEVELS} levels a side, nearest the money first.")
    ] = False,
    stream: Annotated[
        bool, typer.Option("--stream", help="Keep the chain up over a websocket; quotes then carry sizes.")
    ] = False,
    base_url: Annotated[
        str | None, typer.Option("--base-url", help="Another host of the same interface, such as the test network.")
    ] = None,
    verify: Verify = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Take a whole chain now and at each multiple of --every, until Ctrl-C.

    A snapshot holds every option, future and perpetual of the coins as of one
    instant, with index, funding and volatility index, implied volatilities
    of bid and ask, and Greeks of ours. It is on disk whole or not at all.
    One that cannot be had is listed with its reason; rows that cannot be
    right are left out and counted.

    Stop and start as you like (Ctrl-C or SIGTERM ends after the present
    snapshot): the folder is checked and continued. A second collector on
    it refuses. No account, no key, and nothing here can trade.

    Try it:
    greekdrift collect deribit --currency BTC --once --out chains

    Keep it running:
    greekdrift collect deribit --every 10m --out chains

    Then use it:
    greekdrift greeks --chain chains --at 2026-02-05T10:00Z

    Or in an experiment file: data: {use: parquet, root: chains}
    """
    made = _collector(
        out,
        currency,
        every,
        depth=depth,
        stream=stream,
        base_url=base_url,
        verify=verify,
        report=_report(quiet, as_json),
    )
    _carry_out(made, out, f"{currency} of deribit", every, once=once, quiet=quiet, as_json=as_json)


@page.command()
def okx(
    out: Out,
    currency: Currency = "BTC,ETH",
    every: Every = "10m",
    once: Once = False,
    verify: Verify = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """The same of OKX, through ccxt: options and the perpetual, until Ctrl-C.

    Coin-settled contracts, with the index and the next funding rate. The
    folder is like that of deribit, and of OKX alone. Needs the extra venues.

    Example:
    greekdrift collect okx --currency BTC --once --out okx-chains
    """
    from greekdrift.market.collect.okx import collector

    made = collector(out, coins(currency), every=span(every), report=_report(quiet, as_json), verify=verify)
    _carry_out(made, out, f"{currency} of okx", every, once=once, quiet=quiet, as_json=as_json)


@page.command("okx-perpetual")
def okx_perpetual(
    since: Annotated[str, typer.Option("--since", help="First instant, like 2026-06-01T00:00Z.")],
    currency: Currency = "BTC,ETH",
    timeframe: Annotated[str, typer.Option(help="Length of a candle: 1m, 15m, 1h, 4h, 1d.")] = "1h",
    candles: Annotated[
        Path | None, typer.Option("--candles", callback=SERIES_FILE, help="File for closed candles: .parquet or .csv.")
    ] = None,
    funding: Annotated[
        Path | None, typer.Option("--funding", callback=SERIES_FILE, help="File for paid funding: .parquet or .csv.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> None:
    """Histories of OKX's coin-settled perpetuals: closed candles and paid funding rates.

    Each row says when it was known: a candle once it closed, a rate when it
    was paid. What OKX does not answer is missing, never filled. Funding goes
    three months back. Needs the extra venues.

    Example:
    greekdrift collect okx-perpetual --since 2026-06-01T00:00Z --candles perp.parquet --funding funding.parquet
    """
    from datetime import UTC, datetime
    from functools import partial

    from greekdrift.errors import InputError
    from greekdrift.market import okx, okx_histories
    from greekdrift.units import instant

    if candles is None and funding is None:
        raise InputError("name the file to write with --candles, with --funding, or with both.")
    options.keep_apart((candles, funding), ())
    taken = next((one for one in (candles, funding) if one is not None and one.exists() and not force), None)
    if taken is not None:
        raise InputError(f"{taken}: is there already; add --force to replace it, or write to another file.")
    start, exchange = instant(since), okx.public()
    now = partial(datetime.now, UTC)
    if candles is not None:
        parts = [
            okx_histories.candles(exchange, one, timeframe=timeframe, since=start, now=now) for one in coins(currency)
        ]
        _keep(parts, candles)
    if funding is not None:
        _keep([okx_histories.funding(exchange, one, since=start, now=now) for one in coins(currency)], funding)


def _keep(parts: "Sequence[pd.DataFrame]", target: Path) -> None:
    """Writes histories of some coins, in order of time."""
    import pandas as pd

    from greekdrift.cli.console import writing
    from greekdrift.cli.importing import whole
    from greekdrift.errors import DataError
    from greekdrift.units import counted

    rows = pd.concat(parts, ignore_index=True).sort_values(["event_time_utc", "underlying"], ignore_index=True)
    if rows.empty:
        raise DataError(f"okx answered nothing for {target}: choose an earlier --since; nothing was written.")
    with writing(target, counted(len(rows), "row")), whole(target) as part:
        rows.to_parquet(part, index=False) if target.suffix == ".parquet" else rows.to_csv(part, index=False)


def _carry_out(made: "Collector", out: Path, what: str, every: str, *, once: bool, quiet: bool, as_json: bool) -> None:
    """Runs a collector and says what it did."""
    from greekdrift.cli.console import lead, say, table
    from greekdrift.units import counted

    found = made.recovery
    if not (quiet or as_json):
        if found.batches or found.quarantined or found.torn_bytes:
            say(
                f"{out}: continues after {counted(found.batches, 'batch', 'batches')}; "
                f"read again: {counted(found.read, 'file')}, "
                f"to quarantine: {counted(len(found.quarantined), 'file')}"
            )
        say(f"collecting {what} into {out}, a snapshot every {every}; Ctrl-C ends it")
    tally = _run(made, count=1 if once else None)
    if as_json:
        print(json.dumps(_summary(tally), sort_keys=True), flush=True)
        return _end(tally)
    refused = ", ".join(f"{count} {reason}" for reason, count in sorted(tally.refused.items())) or "none"
    table(
        f"{out}",
        ("what", "value"),
        [
            ("snapshots", f"{tally.snapshots:,}{_span(tally)}"),
            ("rows", f"{tally.rows:,} in {tally.size / 1e6:,.1f} MB; {tally.rejected:,} rejected"),
            ("refused", refused),
        ],
    )
    if tally.last is not None and tally.snapshots:
        from greekdrift.units import stamp

        lead(f"greekdrift greeks --chain {out} --at {stamp(tally.last)}; greekdrift data validate {out}")
    return _end(tally)


def _collector(
    out: Path,
    currency: str,
    every: str,
    *,
    depth: bool,
    stream: bool,
    base_url: str | None,
    verify: bool,
    report: "Callable[[Entry | Missed, Batch | None, datetime], None]",
) -> "Collector":
    from greekdrift.market.collect.deribit import collector
    from greekdrift.market.collect.rest import DERIBIT

    return collector(
        out,
        coins(currency),
        every=span(every),
        base_url=base_url or DERIBIT,
        depth=LEVELS if depth else 0,
        stream=stream,
        verify=verify,
        report=report,
    )


def coins(text: str) -> list[str]:
    """Coins of a list with commas.

    >>> coins("btc, ETH")
    ['BTC', 'ETH']
    """
    return [name.strip().upper() for name in text.split(",") if name.strip()]


def span(text: str, *, option: str = "--every") -> "timedelta":
    """A duration of a number and a unit; `option` is where it was given.

    >>> span("10m").total_seconds()
    600.0
    """
    from datetime import timedelta

    from greekdrift.errors import InputError

    match = re.fullmatch(r"(\d{1,6})([smhd])", text.strip())
    if match is None or int(match[1]) == 0:
        raise InputError(f'{option}: "{text}" is not a duration; write it like 30s, 10m or 1h.')
    return timedelta(seconds=int(match[1]) * UNITS[match[2]])


def _run(collector: "Collector", *, count: int | None) -> "Tally":
    """Runs until it is done or told to stop by a signal; the snapshot that is being taken is finished first."""
    import asyncio
    import contextlib
    import signal

    async def running() -> "Tally":
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, collector.stop)
        return await collector.run(count=count)

    return asyncio.run(running())


def _summary(tally: "Tally") -> dict[str, Any]:
    """What the run did, for machines."""
    return {
        "event": "end",
        "snapshots": tally.snapshots,
        "rows": tally.rows,
        "bytes": tally.size,
        "rejected": tally.rejected,
        "refused": dict(sorted(tally.refused.items())),
    }


def _end(tally: "Tally") -> None:
    if not tally.snapshots and tally.refused:
        raise typer.Exit(1)


def _span(tally: "Tally") -> str:
    from greekdrift.units import stamp

    if tally.first is None or tally.last is None:
        return ""
    return f" from {stamp(tally.first)} to {stamp(tally.last)}"


def _report(quiet: bool, as_json: bool) -> "Callable[[Entry | Missed, Batch | None, datetime], None]":
    from greekdrift.cli.console import say
    from greekdrift.market.collect.collector import Missed

    def report(what: "Entry | Missed", batch: "Batch | None", following: "datetime") -> None:
        facts = _missed(what) if isinstance(what, Missed) else _entry(what, batch)
        if as_json:
            print(json.dumps(facts, sort_keys=True), flush=True)
        elif not quiet:
            say(f"{_line(facts)}; next {following:%H:%M:%S}Z")

    return report


def _missed(what: "Missed") -> dict[str, Any]:
    from greekdrift.units import stamp

    return {"event": "refused", "due": stamp(what.due), "reason": what.reason, "fact": what.fact}


def _entry(what: "Entry", batch: "Batch | None") -> dict[str, Any]:
    from greekdrift.units import stamp

    facts = {} if batch is None else dict(batch.facts)
    return {
        "event": what.key,
        "as_of": stamp(what.as_of),
        "known_at": stamp(what.known_at),
        "rows": dict(what.rows),
        "files": [str(path) for path in what.files],
        **facts,
    }


def _line(facts: dict[str, Any]) -> str:
    from greekdrift.cli.console import escape

    if facts["event"] == "refused":
        return f"{facts['due'][:19]}Z  no snapshot, {facts['reason']}: {escape(facts['fact']).rstrip('.')}"
    rows = ", ".join(f"{count:,} {name}" for name, count in facts["rows"].items())
    rejected = facts.get("rejected") or {}
    why = f" ({', '.join(f'{count} {reason}' for reason, count in rejected.items())})" if rejected else ""
    more = f", missing {escape('; '.join(facts['missing']))}" if facts.get("missing") else ""
    return f"{facts['as_of'][:19]}Z  {rows} rows, {sum(rejected.values())} rejected{why}{more}"
