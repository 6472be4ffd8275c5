"""Frozen records from files: each field of the record is a key, none may be missing, none may be added."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, create_model

from greekdrift.config.document import Document
from greekdrift.config.problem import Section, parse
from greekdrift.errors import ConfigError

Record = TypeVar("Record")


def record(
    kind: type[Record], document: Document, *, kinds: Mapping[str, type] | None = None, **computed: Any
) -> Record:
    """The record that a document describes; `computed` fields are not in the file but given here.

    `kinds` names the record of a field that may hold one of several.

    >>> from greekdrift.book import Band
    >>> facts = {"greek": "vega", "underlying": "BTC", "lower": -1, "upper": 1, "view": "net", "tenor_days": [0, 30]}
    >>> record(Band, Document(name="band.yaml", values=facts)).label
    'BTC vega 0-30d'
    """
    of_fields = tuple((kinds or {}).items())
    model = parse(model_of(kind, tuple(sorted(computed)), of_fields), document)  # type: ignore[arg-type]
    try:
        return kind(**_values(kind, model, kinds), **computed)
    except (ValueError, TypeError) as problem:
        raise ConfigError(f"{document.name}: {problem}") from None


@cache
def model_of(kind: Any, without: tuple[str, ...] = (), kinds: tuple[tuple[str, type], ...] = ()) -> type[BaseModel]:
    """The pydantic model of a dataclass in which every field is required."""
    hints = {**get_type_hints(kind), **dict(kinds)}
    entries: dict[str, Any] = {
        field.name: (_mapped(hints[field.name]), ...)
        for field in fields(kind)
        if field.init and field.name not in without
    }
    return create_model(kind.__name__, __base__=Section, **entries)


def _mapped(hint: Any) -> Any:
    if isinstance(hint, type) and is_dataclass(hint):
        return model_of(hint)
    arguments = get_args(hint)
    if not arguments:
        return hint
    mapped = tuple(_mapped(argument) for argument in arguments)
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return Union[mapped]  # noqa: UP007
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return dict[mapped[0], mapped[1]]  # type: ignore[valid-type]
    return hint if mapped == arguments else origin[mapped]


def _values(kind: type, model: BaseModel, kinds: Mapping[str, type] | None = None) -> dict[str, Any]:
    hints = {**get_type_hints(kind), **(kinds or {})}
    return {name: _record_of(hints[name], getattr(model, name)) for name in type(model).model_fields}


def _record_of(hint: Any, value: Any) -> Any:
    if isinstance(value, BaseModel):
        return _dataclass_in(hint)(**_values(_dataclass_in(hint), value))
    if isinstance(value, tuple | list):
        kinds = [argument for argument in get_args(hint) if argument is not Ellipsis]
        each = kinds if len(kinds) == len(value) else kinds[:1] * len(value)
        return tuple(_record_of(one, item) for one, item in zip(each, value, strict=True))
    if isinstance(value, dict):
        of_value = get_args(hint)[1] if get_args(hint) else Any
        return {key: _record_of(of_value, item) for key, item in value.items()}
    return value


def _dataclass_in(hint: Any) -> type:
    options = [hint, *get_args(hint)]
    return next(option for option in options if isinstance(option, type) and is_dataclass(option))
