"""What every command prints: progress on a terminal, results as tables, and where to look next.

Results go to standard output, notes and progress to standard error, so that output can be piped.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from greekdrift.errors import InputError

__all__ = [
    "escape",
    "folder",
    "lead",
    "notes",
    "number",
    "progress",
    "results",
    "say",
    "table",
    "write_json",
    "writing",
]


WIDEST = 400
"""Columns of a table at most; it is as wide as its numbers need, so that no digit is cut off."""


class Advance(Protocol):
    """Called with steps done and steps in all."""

    def __call__(self, done: int, total: int) -> None:
        """Note the progress."""


def notes() -> Console:
    """Where notes and progress go."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def results() -> Console:
    """Where results go; wide enough for a table when it is piped."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def say(text: str) -> None:
    """A note: what was done, after the results that it speaks of."""
    sys.stdout.flush()
    notes().print(text)


def lead(text: str) -> None:
    """A note: what to do next."""
    sys.stdout.flush()
    notes().print(f"[dim]next:[/] {escape(text)}")


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table of results; numbers stand to the right, and none is cut off, however narrow the terminal.

    The title stands on a line of its own, whatever its length.
    """
    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    for at, column in enumerate(columns):
        is_number = bool(rows) and all(isinstance(row[at], int | float) for row in rows if row[at] is not None)
        shown.add_column(column, justify="right" if is_number else "left", overflow="fold", no_wrap=is_number)
    for row in rows:
        shown.add_row(*(Text(number(value)) for value in row))
    screen = results()
    needed = Measurement.get(screen, screen.options.update(max_width=WIDEST), shown)
    screen.width = max(screen.width, needed.minimum if sys.stdout.isatty() else needed.maximum)
    screen.print(Text(f"\n{title}", style="bold"), soft_wrap=True)
    screen.print(shown)


def number(value: Any) -> str:
    """A cell: four significant digits, thousands apart, a dash where nothing is known.

    >>> number(12345.678), number(0.012345), number(None), number("x")
    ('12,346', '0.01235', '–', 'x')
    """
    if value is None or value != value:  # noqa: PLR0124
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000.0 else f"{value:.4g}"
    return str(value)


@contextmanager
def progress(text: str) -> Iterator[Advance]:
    """A bar on a terminal, silence elsewhere."""
    console = notes()
    if not console.is_terminal:
        console.print(f"{text} ...")
        yield _unseen
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _unseen(done: int, total: int) -> None:
    """Progress that nobody watches."""


def write_json(value: Any, out: Path | None) -> None:
    """JSON to a file, or to standard output; numbers that do not exist are null, never NaN."""
    text = json.dumps(value, indent=2, allow_nan=False)
    if out is None:
        print(text)
        return
    with writing(out):
        out.write_text(text + "\n", encoding="utf-8")


@contextmanager
def writing(out: Path, what: str = "") -> Iterator[None]:
    """Around the writing of a file: its folder is made, and the note says whether a file was written or replaced."""
    folder(out.parent)
    verb = "replaced" if out.exists() else "wrote"
    try:
        yield
    except OSError as problem:
        raise InputError(f"{out}: cannot be written ({problem.strerror or problem}); choose another path.") from None
    say(f"{verb} [bold]{escape(str(out))}[/]{f' ({what})' if what else ''}")


def folder(path: Path) -> Path:
    """A folder that exists and can be written."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise InputError(f"{path}: cannot be made a folder ({problem.strerror}); choose another with --out.") from None
    return path
