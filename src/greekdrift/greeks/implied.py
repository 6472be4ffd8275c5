"""Implied volatility on the forward: the doors, with a reason for each price that implies none.

A compiled solver does the work (`greeks.implied_kernel`); rows outside the range of its fit, such as |ln(F/K)| > 25,
go to the numpy solver it is tested against (`greeks.implied_truth`). From out-of-the-money prices the result is
exact to 1e-12 out to ±30 standard deviations; from in-the-money prices as exact as the digits of the price allow.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike

from greekdrift.errors import CalculationError, InputError
from greekdrift.greeks import black, implied_truth
from greekdrift.greeks.black import Quotes
from greekdrift.greeks.implied_truth import Reason, Reasons

CHUNK = 8192
"""Rows that are copied at a time where columns are strided, of another type or broadcast in several axes."""

_FACT = {
    Reason.NO_PRICE: "is missing",
    Reason.BELOW_INTRINSIC: "is below the intrinsic value",
    Reason.ABOVE_BOUND: "is at or above the upper bound, the discounted forward for a call and strike for a put",
    Reason.NO_INFORMATION: "holds no time value that its own digits can tell from zero",
    Reason.EXPIRED: "belongs to an option that has expired",
}
_REMEDY = "drop the row, or call greeks.implied.solve for all rows with a reason each"


def implied_volatility(
    price: ArrayLike,
    *,
    forward: ArrayLike,
    strike: ArrayLike,
    time_to_expiry: ArrayLike,
    is_call: ArrayLike,
    discount: ArrayLike = 1.0,
    is_coin: ArrayLike = False,
    deterministic: bool = True,
) -> ndarray:
    """The volatility at which `black.price` equals each price; annualised, per 1.00, in the broadcast shape.

    Raises `CalculationError` that names the first row without one: below intrinsic, at or above the bound,
    expired, or so deep in the money that the price holds no time value. Inputs as in `solve`.

    >>> implied_volatility([4.2920109414], forward=100.0, strike=110.0, time_to_expiry=1.0, is_call=True).round(9)
    array([0.2])
    """
    volatility, reason = solve(
        price,
        forward=forward,
        strike=strike,
        time_to_expiry=time_to_expiry,
        is_call=is_call,
        discount=discount,
        is_coin=is_coin,
        deterministic=deterministic,
    )
    if np.any(reason):
        bad = np.argwhere(reason != Reason.FOUND)
        at = tuple(int(i) for i in bad[0])
        columns = np.broadcast_arrays(price, forward, strike, time_to_expiry, is_coin, volatility)
        value, F, K, tau, coins = (column[at] for column in columns[:5])
        place = f"row {', '.join(map(str, at))}: " if at else ""
        unit = " coins" if coins else ""
        more = f" ({len(bad) - 1} more rows)" if len(bad) > 1 else ""
        raise CalculationError(
            f"{place}price {value}{unit} {_FACT[Reason(reason[at])]} "
            f"(forward {F}, strike {K}, {tau:g} years){more}; no volatility exists: {_REMEDY}."
        )
    return volatility


def solve(
    price: ArrayLike,
    *,
    forward: ArrayLike,
    strike: ArrayLike,
    time_to_expiry: ArrayLike,
    is_call: ArrayLike,
    discount: ArrayLike = 1.0,
    is_coin: ArrayLike = False,
    deterministic: bool = True,
) -> tuple[Quotes, Reasons]:
    """Implied volatility (NaN where there is none) and the `Reason` of each row, in the broadcast shape.

    A NaN price is a missing quote and gets NO_PRICE; any other input that is no number is refused. Prices are in
    quote currency, and where `is_coin` is true in coins per coin of the underlying, V = price × F, as inverse
    options are quoted. `deterministic` gives the same bits on every machine; without it, multiply-adds are fused.
    The bits of a row depend on nothing beside it in either case. Threads may call it at the same time.

    >>> volatility, reason = solve([4.29201094, 120.0], forward=100.0, strike=110.0, time_to_expiry=1.0, is_call=True)
    >>> volatility.round(6), [Reason(code).name for code in reason]
    (array([0.2, nan]), ['FOUND', 'ABOVE_BOUND'])
    >>> volatility, _ = solve(0.0429201094, forward=100.0, strike=110.0, time_to_expiry=1.0, is_call=True, is_coin=True)
    >>> round(float(volatility), 6)
    0.2
    """
    value = _in_quote_currency(price, forward, is_coin)
    given = (value, forward, strike, time_to_expiry, is_call, discount)
    try:
        columns = _columns(given)
        shape = np.broadcast(*columns).shape
    except (TypeError, ValueError):
        return _slowly(given)  # which says what is wrong
    volatility, reason = np.empty(shape), np.empty(shape, dtype=np.int8)
    if volatility.size == 0 or not _solve_blocks(columns, volatility, reason, deterministic=deterministic):
        return _slowly(given)
    is_left = reason < 0
    if is_left.any():
        volatility[is_left], reason[is_left] = _slowly([np.broadcast_to(column, shape)[is_left] for column in columns])
    return volatility, reason


def _solve_blocks(columns: Sequence[ndarray], volatility: ndarray, reason: ndarray, *, deterministic: bool) -> bool:
    """Run the compiled solver over all rows; False if an input is out of bounds, UNSETTLED < 0 where it gave up."""
    from greekdrift.greeks import implied_kernel  # noqa: PLC0415 - numba must not load with the package

    engine: Any = implied_kernel.strict if deterministic else implied_kernel.contracted
    found, codes, start = volatility.reshape(-1), reason.reshape(-1), 0
    for chunk in _chunks(columns, volatility.shape):
        rows = max(column.size for column in chunk)
        if not engine(*chunk, found[start : start + rows], codes[start : start + rows]):
            return False
        start += rows
    return True


def _chunks(columns: Sequence[ndarray], shape: tuple[int, ...]) -> Iterator[list[ndarray]]:
    """Columns as read-only contiguous vectors, of one element where that serves all rows.

    Columns of one shape pass as they are. Strided ones and those broadcast along some axis are copied, `CHUNK` rows
    at a time.
    """
    if all(column.size == 1 or (column.shape == shape and column.flags.c_contiguous) for column in columns):
        yield [_vector(column) for column in columns]
        return
    single = {i: _vector(column) for i, column in enumerate(columns) if column.size == 1}
    varying = [column for column in columns if column.size != 1]
    layout: Any = [["readonly", "contig"]] * len(varying)  # numpy's stub does not know "contig"
    rows = np.nditer(
        varying,
        flags=["external_loop", "buffered", "zerosize_ok"],
        op_flags=layout,
        order="C",
        buffersize=CHUNK,
    )
    for row in rows:
        parts = iter(row if len(varying) > 1 else [row])
        yield [single[i] if i in single else _vector(next(parts)) for i in range(len(columns))]


def _vector(column: ndarray) -> ndarray:
    vector = column.reshape(-1)
    vector.flags.writeable = False
    return vector


def _columns(given: Sequence[ArrayLike]) -> list[ndarray]:
    if any(isinstance(column, np.ma.MaskedArray) and np.ma.is_masked(column) for column in given):
        raise TypeError("what a mask hides is for the slow solver to name")
    columns = [np.asarray(column) for column in given]
    if any(column.dtype == np.bool_ for column in (*columns[:4], columns[5])):
        raise TypeError("a truth value is for the slow solver to name")
    kinds = [np.float64, np.float64, np.float64, np.float64, np.bool_, np.float64]
    return [
        column if column.dtype == kind and column.flags.aligned else column.astype(kind, casting="same_kind")
        for column, kind in zip(columns, kinds, strict=True)
    ]


def _slowly(given: Sequence[ArrayLike]) -> tuple[Quotes, Reasons]:
    price, forward, strike, time_to_expiry, is_call, discount = given
    volatility, reason = implied_truth.solve(
        price, forward=forward, strike=strike, time_to_expiry=time_to_expiry, is_call=is_call, discount=discount
    )
    return volatility, reason.astype(np.int8)


def _in_quote_currency(price: ArrayLike, forward: ArrayLike, is_coin: ArrayLike) -> ArrayLike:
    """Prices times the forward where they are in coins; as they came where none is."""
    try:
        coins = np.asarray(is_coin)
    except ValueError:
        raise InputError(f"is_coin {is_coin!r} is not an array of booleans.") from None
    black.refuse_masked("is_coin", is_coin)
    if coins.dtype != np.bool_:
        raise InputError(f"is_coin has type {coins.dtype}; pass booleans, True for prices in coins.")
    if coins.ndim == 0 and not coins:
        return price
    value = implied_truth.prices(price)
    try:
        unit = np.where(coins, np.asarray(forward, dtype=np.float64), 1.0)
        with np.errstate(all="ignore"):
            return value * unit
    except (TypeError, ValueError):
        raise InputError(
            f"price {value.shape}, is_coin {coins.shape} and forward do not multiply; pass one number per option."
        ) from None
