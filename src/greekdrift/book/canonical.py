"""One encoding for everything that is digested, signed or compared byte by byte.

JSON with sorted keys and no blanks; numbers in their shortest form that reads back to the same double,
-0 as 0; NaN and infinity are refused; instants and days as ISO 8601 in UTC; enumerations as their value; records as
objects of their fields; arrays as {"shape", "dtype", "sha256"} of their little-endian bytes, in which
the one value that may be missing, NaN, has one bit pattern.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from functools import lru_cache
from math import isfinite
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greekdrift.book.instrument import Instrument
from greekdrift.errors import InputError
from greekdrift.units import stamp

LEFT_OUT: Mapping[str, bool] = MappingProxyType({"is_left_out": True})
"""Metadata of a field that leaves no trace where it is None, so that a record which has it digests as it did before."""


def canonical(value: object) -> bytes:
    """The canonical bytes of a record, mapping, sequence, number or text.

    >>> canonical({"b": 1.0, "a": [True, None, "x"]})
    b'{"a":[true,null,"x"],"b":1.0}'
    """
    return json.dumps(
        _plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
    ).encode()


def digest(value: object) -> str:
    """SHA-256 of the canonical bytes, as 64 hexadecimal digits.

    >>> digest({"a": 1})[:12]
    '015abd7f5cc5'
    """
    return hashlib.sha256(canonical(value)).hexdigest()


def _plain(value: object) -> Any:
    if value is None or (isinstance(value, bool | int | str) and not isinstance(value, Enum)):
        return value
    if isinstance(value, float | np.floating):
        return _finite(float(value))
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, frozenset | set):
        return sorted(_plain(item) for item in value)
    if isinstance(value, np.integer | np.bool_):
        return value.item()
    if isinstance(value, Instrument):
        return _instrument(value)
    if is_dataclass(value):
        return _fields(value)
    raise InputError(f"a {type(value).__name__} has no canonical form; pass records, numbers, text or arrays.")


@lru_cache(maxsize=65_536)
def _instrument(value: Instrument) -> dict[str, Any]:
    """Kept, since a chain digests two thousand of them each time."""
    return _fields(value)


def _fields(value: Any) -> dict[str, Any]:
    return {name: _plain(item) for name, item in given_fields(value).items()}


def given_fields(value: Any) -> dict[str, Any]:
    """The fields that a record is made of, without those that are left out where they are None."""
    found = {field: getattr(value, field.name) for field in fields(value) if field.init}
    return {field.name: item for field, item in found.items() if not (item is None and "is_left_out" in field.metadata)}


def _finite(number: float) -> float:
    if not isfinite(number):
        raise InputError(f"{number} has no canonical form; a missing number must be None.")
    return number + 0.0


def _array(array: NDArray[Any]) -> dict[str, Any]:
    plain = np.ascontiguousarray(array)
    if plain.dtype.kind == "f":
        plain = np.where(np.isnan(plain), np.nan, plain + 0.0).astype("<f8")
    elif plain.dtype.kind in "US":
        plain = np.char.encode(plain.astype(str), "utf-8")
    elif plain.dtype.kind == "M":
        plain = plain.astype("<M8[us]")
    return {
        "shape": list(array.shape),
        "dtype": array.dtype.kind,
        "sha256": hashlib.sha256(plain.tobytes()).hexdigest(),
    }
