"""The two floating-point modes of compiled pages, as decorators: strict, and with multiply-adds fused.

Compiled code is kept on disk, beside the source or in the user's cache folder. Where neither can be written it is
compiled anew in each process. The cache tells functions apart by their place in the source and not by their mode:
each mode needs a function of its own. It notices changes of that page alone: after an edit of a page that others
inline (`elementary`, `kernel`), remove the `*.nbi` files.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Compiled = TypeVar("Compiled", bound=Callable[..., Any])


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
    except RuntimeError:  # numba finds no folder that it can write
        made = njit(error_model="numpy", nogil=True, fastmath=fastmath)(function)
    return made
