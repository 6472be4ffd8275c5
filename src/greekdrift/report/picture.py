"""A picture in a file of its own: an image, or a page that holds it with its tables and notes."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from greekdrift.errors import InputError
from greekdrift.report.figures import STYLE, image, settle
from greekdrift.report.page import table
from greekdrift.report.style import CSS

IMAGES = (".png", ".svg", ".pdf")
PAGES = (".html", ".htm")
DOTS_PER_INCH = 140


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table below the picture: its title, columns and rows."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


def write(
    path: Path, pictures: Sequence[tuple[Figure, str]], *, title: str, lead: str = "", tables: Sequence[Table] = ()
) -> None:
    """Writes pictures (each with its description) to a page, or the one picture to an image; the same bytes each time.

    The page needs nothing else: no script, no font, no request.
    """
    if path.suffix in PAGES:
        path.write_text(_page(pictures, title=title, lead=lead, tables=tables), encoding="utf-8")
        return
    if len(pictures) != 1:
        raise InputError(f"{path}: {len(pictures)} pictures do not fit into one image; write an .html page.")
    metadata: dict[str, Any] = {".svg": {"Date": None, "Creator": None}, ".pdf": {"CreationDate": None}}
    with rc_context(STYLE):
        settle(pictures[0][0])
        pictures[0][0].savefig(path, dpi=DOTS_PER_INCH, metadata=metadata.get(path.suffix))


def _page(pictures: Sequence[tuple[Figure, str]], *, title: str, lead: str, tables: Sequence[Table]) -> str:
    shown = "".join(f"<section><figure>{image(figure, alt)}</figure></section>" for figure, alt in pictures)
    listed = "".join(f"<section><h2>{escape(one.title)}</h2>{table(one.columns, one.rows)}</section>" for one in tables)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{CSS}</style></head><body>'
        f"<header><p class=brand>greekdrift</p><h1>{escape(title)}</h1><p class=lead>{escape(lead)}</p></header>"
        f"<main>{shown}{listed}</main></body></html>"
    )
