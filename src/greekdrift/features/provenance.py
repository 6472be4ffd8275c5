"""What a stored result was made of: the text of the program that made it and the values of its parts."""

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import greekdrift
from greekdrift.book import digest
from greekdrift.errors import DataError

HOME = Path(greekdrift.__file__).parent


def code(*rooms: str) -> str:
    """SHA-256 of the source text of some rooms (folders or pages of the package) and of numpy's version.

    >>> code("features") == code("units.py")
    False
    """
    pages = [page for room in sorted(rooms) for page in _pages(HOME / room)]
    texts = [[str(page.relative_to(HOME)), hashlib.sha256(page.read_bytes()).hexdigest()] for page in pages]
    return digest({"numpy": np.__version__, "pages": texts})


def _pages(room: Path) -> list[Path]:
    pages = [room] if room.suffix == ".py" else sorted(room.rglob("*.py"))
    if not pages or not pages[0].is_file():
        raise DataError(f"{room.name} is no room or page of the package; name one as it stands below greekdrift/.")
    return pages


def identity(records: Sequence[Any]) -> str:
    """SHA-256 of records (such as features): their classes, the text of classes from elsewhere, their values.

    What has no canonical form is refused: two of them might look the same.

    >>> from greekdrift.features.calendar import HourOfDay
    >>> identity([HourOfDay(wave="sin")]) == identity([HourOfDay(wave="cos")])
    False
    """
    return digest([[_class(type(record)), record] for record in records])


def _class(kind: type) -> list[str]:
    """Name of a class and, of one that is not the package's own, the SHA-256 of its page."""
    name = f"{kind.__module__}.{kind.__qualname__}"
    if kind.__module__.split(".")[0] == "greekdrift":
        return [name]
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    if file is None:
        raise DataError(f"{kind.__qualname__} stands in no file, so its text is unknown; build without a cache.")
    return [name, hashlib.sha256(Path(file).read_bytes()).hexdigest()]
