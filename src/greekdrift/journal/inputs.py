"""The inputs of a decision, kept exactly: records to text and back, filed under the hash of their content.

The text is JSON with sorted keys. Numbers stand in their shortest form that reads back to the same double,
infinity as {"float": "inf"}; arrays as little-endian bytes in base64, so that a missing number keeps its bits;
an instrument that its own name describes completely stands as that name. What is read back has the same
canonical bytes, hence the same digests, as what was written.
"""

import base64
import hashlib
import json
import types
import zlib
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from greekdrift.book.canonical import given_fields
from greekdrift.book.instrument import Instrument, parse
from greekdrift.durable import write_durably
from greekdrift.errors import InstrumentError, JournalError
from greekdrift.units import instant, stamp

Record = TypeVar("Record")

_KINDS = {"f": "<f8", "i": "<i8", "u": "<u8", "b": "|b1", "M": "<M8[us]"}


def text(record: object) -> bytes:
    """The exact text of a record.

    >>> from greekdrift.book import Position
    >>> text(Position.of("BTC-PERPETUAL", -1500))
    b'{"instrument":"BTC-PERPETUAL","quantity":-1500.0}'
    """
    plain = _plain(record)
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode()


def record(kind: type[Record], content: bytes) -> Record:
    """The record that a text stands for.

    >>> from greekdrift.book import Position
    >>> record(Position, b'{"instrument":"BTC-PERPETUAL","quantity":-1500}').instrument.underlying
    'BTC'
    """
    try:
        made: Record = _record(kind, json.loads(content))
    except (KeyError, TypeError, ValueError) as error:
        raise JournalError(
            f"the stored text is no {kind.__name__} ({error}); it was written by another version: use that one."
        ) from error
    return made


class Store:
    """A folder of records, each filed under the SHA-256 of its text; the same record is filed once."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    def put(self, item: object) -> str:
        """Files a record durably and returns its address."""
        content = text(item)
        address = hashlib.sha256(content).hexdigest()
        path = self._path(address)
        if not path.exists():
            write_durably(path, zlib.compress(content, 6))
        return address

    def get(self, kind: type[Record], address: str) -> Record:
        """The record at an address; a missing, damaged or exchanged file is refused."""
        path = self._path(address)
        if not path.is_file():
            raise JournalError(
                f"{kind.__name__} {address} is not in {self.root}; copy the store along with the journal."
            )
        try:
            content = zlib.decompress(path.read_bytes())
        except zlib.error as error:
            raise JournalError(f"{path} is damaged ({error}); restore it from a copy.") from error
        if hashlib.sha256(content).hexdigest() != address:
            raise JournalError(f"{path} does not hold what its name says; restore it from a copy.")
        return record(kind, content)

    def _path(self, address: str) -> Path:
        if len(address) != 64 or not set(address) <= set("0123456789abcdef"):
            raise JournalError(f'"{address}" is no address; it has 64 hexadecimal digits.')
        return self.root / address[:2] / f"{address[2:]}.json.z"


def _plain(value: Any) -> Any:
    if isinstance(value, Instrument):
        return value.name if _is_named(value) else _fields(value)
    if value is None or (isinstance(value, bool | str | int) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        number = float(value)
        return number if isfinite(number) else {"float": repr(number)}
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]
    if isinstance(value, AbstractSet):
        return sorted(_plain(item) for item in value)
    if is_dataclass(value):
        return _fields(value)
    raise JournalError(f"a {type(value).__name__} cannot be stored; store records of book.")


def _fields(value: Any) -> dict[str, Any]:
    return {name: _plain(item) for name, item in given_fields(value).items()}


def _is_named(instrument: Instrument) -> bool:
    try:
        return parse(instrument.name) == instrument
    except InstrumentError:
        return False


def _array(array: NDArray[Any]) -> dict[str, Any]:
    if array.dtype.kind not in _KINDS:
        return {"array": "text", "shape": list(array.shape), "items": [str(item) for item in array.ravel()]}
    plain = np.ascontiguousarray(array).astype(_KINDS[array.dtype.kind])
    return {
        "array": plain.dtype.kind,
        "shape": list(array.shape),
        "bytes": base64.b64encode(plain.tobytes()).decode(),
    }


def _read_array(plain: dict[str, Any]) -> NDArray[Any]:
    shape = tuple(plain["shape"])
    if plain["array"] == "text":
        return np.array(plain["items"]).reshape(shape)
    return np.frombuffer(base64.b64decode(plain["bytes"]), dtype=_KINDS[plain["array"]]).reshape(shape)


def _record(kind: Any, plain: Any) -> Any:
    """A value of an annotated kind from plain JSON."""
    origin = get_origin(kind)
    if isinstance(plain, dict) and "array" in plain:
        return _read_array(plain)
    if kind is Instrument and isinstance(plain, str):
        return parse(plain)
    if origin in (Union, types.UnionType):
        return None if plain is None else _record(_member(kind, plain), plain)
    if origin is tuple:
        return _tuple(get_args(kind), plain)
    if origin in (frozenset, AbstractSet):
        return frozenset(_record(get_args(kind)[0], item) for item in plain)
    if origin is not None and issubclass(origin, Mapping):
        key_kind, item_kind = get_args(kind)
        return {_record(key_kind, key): _record(item_kind, item) for key, item in plain.items()}
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{name: _record(hints[name], item) for name, item in plain.items()})
    return _scalar(kind, plain)


def _scalar(kind: Any, plain: Any) -> Any:
    if kind is datetime:
        return instant(plain)
    if kind is date:
        return date.fromisoformat(plain)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(plain)
    if isinstance(plain, dict) and set(plain) == {"float"}:
        return float(plain["float"])
    return plain


def _tuple(kinds: tuple[Any, ...], plain: list[Any]) -> tuple[Any, ...]:
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(_record(kinds[0], item) for item in plain)
    return tuple(_record(kind, item) for kind, item in zip(kinds, plain, strict=True))


def _member(kind: Any, plain: Any) -> Any:
    """The kind inside an optional one; of several records the one whose fields the text has."""
    inner = [member for member in get_args(kind) if member is not type(None)]
    if len(inner) > 1:
        inner = [one for one in inner if is_dataclass(one) and {field.name for field in fields(one)} == set(plain)]
    (found,) = inner
    return found


@lru_cache(maxsize=64)
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
