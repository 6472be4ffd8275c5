"""The two floating-point modes of compiled pages, as decorators: strict, and with multiply-adds fused.

Compiled code is kept on disk, beside the source or in the user's cache folder. Where neither can be written it is
compiled anew in each process. The cache tells functions apart by their place in the source and not by their mode:
each mode needs a function of its own. Numba looks at that page alone, but what is compiled also holds code of the
pages that it imports: the digest of them all is added to the stamp, or old code would go on computing after an edit.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from zlib import crc32

from numba import njit

Compiled = TypeVar("Compiled", bound=Callable[..., Any])
_IMPORT = re.compile(r"^from (greekdrift[.\w]*) import (.*)$", re.MULTILINE)


def strict(function: Compiled) -> Compiled:
    """Compiled without any freedom of rounding: the same bits on every machine; divisions as numpy does them."""
    return _compiled(function, fastmath=False)


def contracted(function: Compiled) -> Compiled:
    """Compiled with a · b + c rounded once where the machine can; nothing else is reordered."""
    return _compiled(function, fastmath={"contract"})


def _compiled(function: Compiled, *, fastmath: bool | set[str]) -> Compiled:
    made: Any
    try:
        made = njit(error_model="numpy", nogil=True, fastmath=fastmath, cache=True)(function)
        # numba has no public way to say what else code depends on; without its compiler there is no cache
        index = getattr(getattr(made, "_cache", None), "_cache_file", None)
        if index is not None:
            index._source_stamp = (index._source_stamp, pages(function.__module__))  # noqa: SLF001
    except RuntimeError:  # numba finds no folder that it can write
        made = njit(error_model="numpy", nogil=True, fastmath=fastmath)(function)
    return made


def pages(module: str) -> dict[str, int]:
    """Digest of a page and of each page of this package that it imports, directly or through another, by name.

    The first pages of rooms, which hold no code, are left out.

    >>> list(pages("greekdrift.greeks.compiled"))
    ['greekdrift.greeks.compiled']
    """
    found: dict[str, int] = {}
    names = [module]
    while names:
        name = names.pop()
        path = getattr(sys.modules.get(name), "__file__", None)
        if name in found or path is None or path.endswith("__init__.py"):
            continue
        text = Path(path).read_text(encoding="utf-8")
        found[name] = crc32(text.encode())
        for page, words in _IMPORT.findall(text):
            names += [page, *(f"{page}.{word}" for word in re.findall(r"\w+", words))]
    return found
