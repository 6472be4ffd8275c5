"""What a stored result was made of: the text of the program that made it and the values of its parts."""

import ast
import hashlib
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import greekdrift
from greekdrift.book import digest
from greekdrift.errors import DataError

PACKAGE = "greekdrift"
HOME = Path(greekdrift.__file__).parent
LIBRARIES = ("numba", "numpy", "pandas", "pyarrow", "scipy")
"""What computes beside the package."""


def code(*modules: str, without: Collection[str] = ()) -> str:
    """SHA-256 of the source text of modules and of all of the package that they import, and of `LIBRARIES`' versions.

    Pages `without` are not followed: such as a room's own `__init__`, which shows pages that have no part in a result.

    >>> code("greekdrift.features.calendar") == code("greekdrift.units")
    False
    """
    reached: set[str] = set(without)
    waiting = [name for name in modules if _page(name) is not None]
    if len(waiting) != len(modules):
        raise DataError(f"{min(set(modules) - set(waiting))} is no module of the package; name one as imported.")
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += _imported(name)
    return digest(
        {"libraries": _versions(), "pages": [[name, _sha256(_page(name))] for name in sorted(reached - set(without))]}
    )


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    return {name: version(name) for name in LIBRARIES}


def _page(module: str) -> Path | None:
    """The file of a module of the package; none for other names."""
    package, *parts = module.split(".")
    if package != PACKAGE:
        return None
    pages = (HOME.joinpath(*parts).with_suffix(".py"), HOME.joinpath(*parts, "__init__.py"))
    return next((page for page in pages if page.is_file()), None)


@lru_cache(maxsize=1024)
def _imported(module: str) -> tuple[str, ...]:
    """Modules of the package that a module imports, anywhere in it, and the packages around them."""
    page = _page(module)
    tree = ast.parse("" if page is None else page.read_text(encoding="utf-8"))
    names = [name for found in map(_names, ast.walk(tree)) for name in found]
    return tuple(dict.fromkeys(name for whole in names for name in _around(whole) if _page(name) is not None))


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module is not None:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _around(module: str) -> Iterable[str]:
    parts = module.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts) + 1))


def _sha256(page: Path | None) -> str:
    return "" if page is None else hashlib.sha256(page.read_bytes()).hexdigest()


def identity(records: Sequence[Any]) -> str:
    """SHA-256 of records (such as features): the text of their classes and their values.

    What has no canonical form is refused: two of them might look the same.

    >>> from greekdrift.features.calendar import HourOfDay
    >>> identity([HourOfDay(wave="sin")]) == identity([HourOfDay(wave="cos")])
    False
    """
    texts = {kind: text_of(kind) for kind in {type(record) for record in records}}
    return digest([[texts[type(record)], record] for record in records])


def text_of(kind: type) -> list[str]:
    """Name of a class and the SHA-256 of its text: of all that it imports, for one of the package's own."""
    name = f"{kind.__module__}.{kind.__qualname__}"
    if _page(kind.__module__) is not None:
        return [name, code(kind.__module__)]
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    if file is None:
        raise DataError(f"{kind.__qualname__} stands in no file, so its text is unknown; build without a cache.")
    return [name, _sha256(Path(file))]
