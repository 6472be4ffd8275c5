"""Stationary bootstrap: paths of steps drawn in blocks of random length, so that runs of weather stay together.

Source: Politis & Romano (1994). A block ends with probability 1/mean at each step, and where the data end or
have a hole; nothing is wrapped around a hole.
"""

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

from greekdrift.errors import DataError


def draw(
    following: Int[ndarray, " step"],
    *,
    n: int,
    length: int,
    mean_block: float,
    random: np.random.Generator,
    without: Bool[ndarray, " step"] | None = None,
) -> Int[ndarray, "scenario length"]:
    """Numbers of the steps along `n` paths; every step starts about equally many paths, those `without` are left out.

    >>> draw(np.array([1, 2, -1]), n=2, length=2, mean_block=1e9, random=np.random.default_rng(1)).shape
    (2, 2)
    """
    usable = np.arange(following.size) if without is None else np.flatnonzero(~without)
    if usable.size == 0:
        raise DataError("no complete step to draw from; give a panel in which neighbouring rows are complete.")
    paths = np.empty((n, length), dtype=np.int64)
    ends = following < 0
    if without is not None:
        ends |= without[following]
    paths[:, 0] = usable[balanced(usable.size, n, random)]
    for at in range(1, length):
        is_new = ends[paths[:, at - 1]] | (random.random(n) < 1.0 / mean_block)
        paths[:, at] = np.where(is_new, usable[balanced(usable.size, n, random)], following[paths[:, at - 1]])
    return paths


def balanced(items: int, n: int, random: np.random.Generator) -> Int[ndarray, " draw"]:
    """`n` numbers below `items` in random order, each drawn ⌊n/items⌋ or one more times.

    >>> np.bincount(balanced(3, 7, np.random.default_rng(0)), minlength=3).sum()
    np.int64(7)
    """
    whole, rest = divmod(n, items)
    numbers = np.concatenate([np.tile(np.arange(items), whole), random.permutation(items)[:rest]])
    return random.permutation(numbers)
