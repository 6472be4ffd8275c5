"""Records taken apart into plain values and arrays, and put together again, field by field.

An array becomes an entry of the arrays under its dotted path (instants as microseconds since 1970), records within
a record recurse, also those of a mapping, a tuple becomes a list. Nothing is looked up by a name that stands in the
file: the fields and their types come from the class that the caller gives.
"""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_args, get_type_hints

import numpy as np
from numpy import ndarray
from pydantic import TypeAdapter

INSTANTS, ARRAY = "datetime64[us]", "array"

Record = TypeVar("Record")


def pack(record: Any, *, path: str = "") -> tuple[dict[str, Any], dict[str, ndarray]]:
    """Plain values and arrays of a record.

    >>> from greekdrift.forecast.hidden import HiddenState
    >>> pack(HiddenState(variance=(1.0, 2.0), stay=(0.9, 0.8)))
    ({'variance': [1.0, 2.0], 'stay': [0.9, 0.8]}, {})
    """
    config: dict[str, Any] = {}
    arrays: dict[str, ndarray] = {}
    for field in fields(record):
        if not field.init:
            continue
        value, where = getattr(record, field.name), f"{path}{field.name}"
        if isinstance(value, ndarray):
            is_time = value.dtype.kind == "M"
            arrays[where] = value.astype(INSTANTS).astype(np.int64) if is_time else value
            config[field.name] = INSTANTS if is_time else ARRAY
        elif is_dataclass(value):
            config[field.name], inner = pack(value, path=f"{where}.")
            arrays |= inner
        elif isinstance(value, tuple) and value and all(is_dataclass(item) for item in value):
            parts = [pack(item, path=f"{where}.{at}.") for at, item in enumerate(value)]
            config[field.name] = [part for part, _ in parts]
            arrays |= {name: array for _, inner in parts for name, array in inner.items()}
        elif isinstance(value, Mapping) and all(is_dataclass(item) for item in value.values()):
            named = {key: pack(item, path=f"{where}.{key}.") for key, item in value.items()}
            config[field.name] = {key: part for key, (part, _) in named.items()}
            arrays |= {name: array for _, inner in named.values() for name, array in inner.items()}
        else:
            config[field.name] = list(value) if isinstance(value, tuple) else value
    return config, arrays


def unpack(kind: type[Record], config: Mapping[str, Any], arrays: Mapping[str, ndarray], *, path: str = "") -> Record:
    """The record of these values and arrays.

    A field too many or too few is a KeyError, a value of another type than the field's a ValueError.

    >>> from greekdrift.forecast.hidden import HiddenState
    >>> unpack(HiddenState, {"variance": [1.0, 2.0], "stay": [0.9, 0.8]}, {}).stay
    (0.9, 0.8)
    """
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind) if field.init]  # type: ignore[arg-type]
    unknown = set(config) - set(names)
    if unknown:
        raise KeyError(f"{path}{min(unknown)} is not a field of {kind.__name__}")
    values: dict[str, Any] = {}
    for name in names:
        value, where, hint = config[name], f"{path}{name}", hints[name]
        if value in (INSTANTS, ARRAY):
            values[name] = arrays[where].astype(INSTANTS) if value == INSTANTS else arrays[where]
        elif isinstance(hint, type) and is_dataclass(hint):
            values[name] = unpack(hint, value, arrays, path=f"{where}.")
        elif is_dataclass(item := (*get_args(hint), None)[0]) and isinstance(item, type) and isinstance(value, list):
            values[name] = tuple(unpack(item, part, arrays, path=f"{where}.{at}.") for at, part in enumerate(value))
        elif is_dataclass(item := (None, *get_args(hint))[-1]) and isinstance(item, type) and isinstance(value, dict):
            values[name] = {key: unpack(item, part, arrays, path=f"{where}.{key}.") for key, part in value.items()}
        else:
            values[name] = TypeAdapter(hint).validate_json(json.dumps(value), strict=True)
    return kind(**values)
