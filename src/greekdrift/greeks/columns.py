"""Quantities of columns of options in any memory layout, block by block through `greeks.kernel`, on one thread or more.

A plan says where the options lie: the sizes of the merged axes of the broadcast shape, then for each input its
address and its stride in bytes along each axis (0 where it is broadcast). Inputs are read in place, checked in
the same pass, and not copied (other numbers than doubles are converted first); results are rows of one new block
of memory. A few options, up to one block, are laid into the workspace directly.
"""

from collections.abc import Sequence
from math import prod
from threading import Thread
from typing import Any

import numpy as np
from numba import config, types
from numba.extending import intrinsic, register_jitable
from numba.np.numpy_support import carray
from numpy import ndarray
from numpy.typing import ArrayLike

from greekdrift.greeks.black import LARGEST, TINY
from greekdrift.greeks.compiled import contracted, strict
from greekdrift.greeks.kernel import (
    DISCOUNT,
    GROUP,
    ROW,
    ROWS,
    SIDE,
    STRIKE,
    TIME,
    VOLATILITY,
    WIDTH,
    needs,
    prepare,
    prepare_contracted,
    quantity,
    quantity_contracted,
    workspace,
)

SHARE = 32_768
"""Fewest options for which a further thread pays."""


def evaluate(
    codes: ndarray, inputs: Sequence[ArrayLike], *, is_strict: bool, threads: int | None
) -> list[ndarray] | None:
    """Quantities with these codes, in the broadcast shape; None where an input is none that `black.options` takes.

    `inputs`: forward, strike, volatility, time to expiry, discount, is_call, the order of the kernel's input rows.
    """
    try:
        given = [_column(value) for value in inputs[:SIDE]]
        calls = np.asarray(inputs[SIDE])
    except (TypeError, ValueError):
        return None
    if calls.dtype != np.bool_ or any(
        isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value) for value in inputs
    ):
        return None
    arrays = [*given, calls]
    shapes = {array.shape for array in arrays}
    try:
        shape = shapes.pop() if len(shapes) == 1 else np.broadcast_shapes(*shapes)
    except ValueError:
        return None
    count = prod(shape)
    if count == 0:
        return None
    room = -(-count // GROUP) * GROUP
    out = np.empty(codes.size * room)
    is_good = (
        _few(arrays, shape, codes, out, is_strict)
        if count <= WIDTH
        else _many(arrays, shape, codes, out, is_strict, threads)
    )
    return [row[:count].reshape(shape) for row in out.reshape(-1, room)] if is_good else None


def _column(value: ArrayLike) -> ndarray:
    array = np.asarray(value)
    if array.dtype == np.bool_:
        raise TypeError("a truth value is for the slow door to name")
    column = array if array.dtype == np.float64 else array.astype(np.float64, casting="same_kind")
    return column if column.flags.aligned else column.copy()


def _few(arrays: list[ndarray], shape: tuple[int, ...], codes: ndarray, out: ndarray, is_strict: bool) -> bool:
    work = np.empty(ROWS * ROW)
    count = prod(shape)
    for row, array in enumerate(arrays):
        start = row * ROW
        if array.ndim == 0:
            work[start : start + count] = array
        else:
            work[start : start + count].reshape(shape)[...] = array
    return (few if is_strict else few_contracted)(work, count, codes, out)


def _many(
    arrays: list[ndarray], shape: tuple[int, ...], codes: ndarray, out: ndarray, is_strict: bool, threads: int | None
) -> bool:
    plan, axes = _plan(arrays, shape)
    run = columns if is_strict else columns_contracted
    count = prod(shape)
    allowed: int = threads or config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    parts = max(1, min(allowed, count // SHARE))
    share = -(-count // (parts * WIDTH)) * WIDTH
    done = [False] * parts

    def part(number: int) -> None:
        first = number * share
        done[number] = run(plan, axes, codes, out, first, max(first, min(first + share, count)))

    others = [Thread(target=part, args=(number,)) for number in range(1, parts)]
    for other in others:
        other.start()
    part(0)
    for other in others:
        other.join()
    return all(done)


def _plan(arrays: list[ndarray], shape: tuple[int, ...]) -> tuple[ndarray, int]:
    """Plan of a broadcast, and its number of axes: neighbours along which every input moves evenly are one axis."""
    strides = [_strides(array, shape) for array in arrays]
    sizes: list[int] = []
    steps: list[list[int]] = [[] for _ in arrays]
    for axis in range(len(shape) - 1, -1, -1):
        size = shape[axis]
        if size == 1:
            continue
        if sizes and all(stride[axis] == step[0] * sizes[0] for stride, step in zip(strides, steps, strict=True)):
            sizes[0] *= size
            continue
        sizes.insert(0, size)
        for stride, step in zip(strides, steps, strict=True):
            step.insert(0, stride[axis])
    plan = sizes.copy()
    for array, step in zip(arrays, steps, strict=True):
        plan += [array.__array_interface__["data"][0], *step]
    return np.array(plan, dtype=np.int64), len(sizes)


def _strides(array: ndarray, shape: tuple[int, ...]) -> tuple[int, ...]:
    own = tuple(0 if size == 1 else stride for size, stride in zip(array.shape, array.strides, strict=True))
    return (0,) * (len(shape) - len(own)) + own


@register_jitable(forceinline=True)
def _refused(work: ndarray, width: int) -> bool:
    bad = 0
    for i in range(width):
        F, K, D = work[i], work[STRIKE * ROW + i], work[DISCOUNT * ROW + i]
        sigma, tau = work[VOLATILITY * ROW + i], work[TIME * ROW + i]
        is_good = (F >= 0.0) & (F <= LARGEST) & (K >= 0.0) & (K <= LARGEST) & (sigma >= 0.0) & (sigma <= LARGEST)
        bad += not (is_good & (tau >= 0.0) & (tau <= LARGEST) & (D >= TINY) & (D <= LARGEST))
    return bad > 0


@register_jitable
def _tidy(work: ndarray, count: int) -> None:
    """−0.0 becomes 0, and a side of 1 or 0 becomes +1 or −1."""
    for row in range(SIDE):
        for i in range(row * ROW, row * ROW + count):
            work[i] += 0.0
    for i in range(SIDE * ROW, SIDE * ROW + count):
        work[i] = 2.0 * work[i] - 1.0


@register_jitable(forceinline=True)
def _pad(work: ndarray, count: int, width: int) -> None:
    for row in range(SIDE + 1):
        for i in range(row * ROW + count, row * ROW + width):
            work[i] = 1.0


@intrinsic
def _pointer(_context: Any, _address: Any) -> tuple[Any, Any]:
    """A memory address as a pointer."""

    def cast(_context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], _context.get_value_type(signature.return_type))

    return types.voidptr(types.int64), cast


@register_jitable(forceinline=True)
def _doubles(address: int, length: int) -> ndarray:
    return carray(_pointer(address), (length,), np.float64)  # type: ignore[call-arg]


@register_jitable(forceinline=True)
def _flags(address: int, length: int) -> ndarray:
    return carray(_pointer(address), (length,), np.int8)  # type: ignore[call-arg]


@register_jitable
def _read(target: ndarray, address: int, stride: int) -> None:
    """A column of doubles at an address; −0.0 becomes 0."""
    if stride == 8:
        column = _doubles(address, target.size)
        for i in range(target.size):
            target[i] = column[i] + 0.0
    elif stride == 0:
        value = _doubles(address, 1)[0] + 0.0
        for i in range(target.size):
            target[i] = value
    else:
        for i in range(target.size):
            target[i] = _doubles(address + stride * i, 1)[0] + 0.0


@register_jitable
def _read_sides(target: ndarray, address: int, stride: int) -> None:
    """A column of booleans at an address: +1 where true, −1 where false."""
    if stride == 1:
        column = _flags(address, target.size)
        for i in range(target.size):
            target[i] = 1.0 if column[i] != 0 else -1.0
    elif stride == 0:
        side = 1.0 if _flags(address, 1)[0] != 0 else -1.0
        for i in range(target.size):
            target[i] = side
    else:
        for i in range(target.size):
            target[i] = 1.0 if _flags(address + stride * i, 1)[0] != 0 else -1.0


@register_jitable
def _load(work: ndarray, plan: ndarray, index: ndarray, count: int) -> None:
    """Next `count` options of a plan into the input rows; `index` is the place in the shape and moves on."""
    axes = index.size
    size = plan[axes - 1]
    done = 0
    while done < count:
        length = min(size - index[axes - 1], count - done)
        for row in range(SIDE + 1):
            place = axes + row * (axes + 1)
            address = plan[place]
            for axis in range(axes):
                address += index[axis] * plan[place + 1 + axis]
            target = work[row * ROW + done : row * ROW + done + length]
            if row == SIDE:
                _read_sides(target, address, plan[place + axes])
            else:
                _read(target, address, plan[place + axes])
        done += length
        index[axes - 1] += length
        for axis in range(axes - 1, 0, -1):
            if index[axis] == plan[axis]:
                index[axis] = 0
                index[axis - 1] += 1


@register_jitable
def _place(plan: ndarray, axes: int, position: int) -> ndarray:
    """Index along each axis of the option at a position of the flat order."""
    index = np.empty(axes, np.int64)
    rest = position
    for axis in range(axes - 1, -1, -1):
        index[axis] = rest % plan[axis]
        rest //= plan[axis]
    return index


@strict
def few(work: ndarray, count: int, codes: ndarray, out: ndarray) -> bool:
    """Quantities of the first `count` ≤ WIDTH options of a workspace, into the rows of out; False where one is bad."""
    width = -(-count // GROUP) * GROUP
    _tidy(work, count)
    _pad(work, count, width)
    if _refused(work, width):
        return False
    prepare(work, width, needs(codes))
    for j in range(codes.size):
        quantity(codes[j], work, width, out, j * width)
    return True


@strict
def columns(plan: ndarray, axes: int, codes: ndarray, out: ndarray, first: int, last: int) -> bool:
    """Quantities of the options from `first` to `last` of a plan, into the rows of out; False where one is bad."""
    work, index = workspace(), _place(plan, axes, first)
    needed, room = needs(codes), out.size // codes.size
    for start in range(first, last, WIDTH):
        count = min(WIDTH, last - start)
        width = -(-count // GROUP) * GROUP
        _load(work, plan, index, count)
        _pad(work, count, width)
        if _refused(work, width):
            return False
        prepare(work, width, needed)
        for j in range(codes.size):
            quantity(codes[j], work, width, out, j * room + start)
    return True


@contracted
def few_contracted(work: ndarray, count: int, codes: ndarray, out: ndarray) -> bool:
    """As `few`, with multiply-adds fused."""
    width = -(-count // GROUP) * GROUP
    _tidy(work, count)
    _pad(work, count, width)
    if _refused(work, width):
        return False
    prepare_contracted(work, width, needs(codes))
    for j in range(codes.size):
        quantity_contracted(codes[j], work, width, out, j * width)
    return True


@contracted
def columns_contracted(plan: ndarray, axes: int, codes: ndarray, out: ndarray, first: int, last: int) -> bool:
    """As `columns`, with multiply-adds fused."""
    work, index = workspace(), _place(plan, axes, first)
    needed, room = needs(codes), out.size // codes.size
    for start in range(first, last, WIDTH):
        count = min(WIDTH, last - start)
        width = -(-count // GROUP) * GROUP
        _load(work, plan, index, count)
        _pad(work, count, width)
        if _refused(work, width):
            return False
        prepare_contracted(work, width, needed)
        for j in range(codes.size):
            quantity_contracted(codes[j], work, width, out, j * room + start)
    return True
