"""Every problem of a document at once: file, line, key path, what is wrong and the nearest right key."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from greekdrift.config.document import Document, Place
from greekdrift.errors import ConfigError, InputError, nearest


class Section(BaseModel):
    """A part of a file: unknown keys are refused, numbers must be numbers, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


Model = TypeVar("Model", bound=BaseModel)


def parse(model: type[Model], document: Document, *, error: type[InputError] = ConfigError) -> Model:
    """The model of a document; all problems are raised together as one error.

    >>> class Night(Section):
    ...     horizons: tuple[float, ...]
    >>> parse(Night, Document(name="night.yaml", values={"horizon": [6]}))
    Traceback (most recent call last):
    ...
    greekdrift.errors.ConfigError: night.yaml has 2 problems:
      night.yaml: horizons: is missing
      night.yaml: horizon: is no key here; did you mean "horizons"?
    """
    try:
        return model.model_validate_json(json.dumps(document.values), strict=True)
    except ValidationError as problems:
        lines = [_line(model, document, dict(found)) for found in problems.errors(include_url=False)]
    raise error(listing(document.name, lines))


def listing(name: str, lines: Sequence[str]) -> str:
    """One message of several problems."""
    if len(lines) == 1:
        return lines[0]
    return f"{name} has {len(lines)} problems:\n  " + "\n  ".join(lines)


def _line(model: type[BaseModel], document: Document, found: Mapping[str, Any]) -> str:
    place = _real(document.values, found["loc"])
    return f"{document.where(place)}: {fact(model, found)}"


def fact(model: type[BaseModel], found: Mapping[str, Any]) -> str:
    """What is wrong, in words, of one of pydantic's findings."""
    place = tuple(found["loc"])
    if found["type"] == "missing":
        return "is missing"
    if found["type"] == "extra_forbidden":
        known = _keys(model.model_json_schema(), place[:-1])
        return f"is no key here; {nearest(str(place[-1]), known)}" if known else "is no key here; remove it"
    if found["type"] == "too_short":
        return f"has {found['ctx']['actual_length']} elements; give at least {found['ctx']['min_length']}"
    if found["type"] == "value_error":
        return str(found["ctx"]["error"])
    message = found["msg"].replace("Input should be", "should be").replace("Input", "it")
    given = found["input"]
    shown = "" if isinstance(given, dict | list) else f", got {given!r}"
    return f"{message}{shown}"


def _real(values: Any, place: Sequence[str | int]) -> Place:
    """The part of a place that stands in the document (pydantic adds the names of union members)."""
    real: list[str | int] = []
    for at, part in enumerate(place):
        is_key = isinstance(values, dict) and part in values
        is_position = isinstance(values, list) and isinstance(part, int) and part < len(values)
        if is_key or is_position:
            values = values[part]
        elif at < len(place) - 1 or not isinstance(values, dict):
            continue
        real.append(part)
    return tuple(real)


def _keys(schema: Mapping[str, Any], place: Sequence[str | int]) -> set[str]:
    """Keys that a JSON schema knows at a place."""
    definitions = schema.get("$defs", {})
    found: set[str] = set()
    reached = [schema]
    for part in place:
        reached = [inner for outer in reached for inner in _step(outer, part, definitions)]
    for outer in reached:
        for plain in _plain(outer, definitions):
            found |= set(plain.get("properties", {}))
    return found


def _step(schema: Mapping[str, Any], part: str | int, definitions: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    inner: list[Mapping[str, Any]] = []
    for plain in _plain(schema, definitions):
        properties = plain.get("properties", {})
        if part in properties:
            inner.append(properties[part])
        elif isinstance(plain.get("additionalProperties"), dict):
            inner.append(plain["additionalProperties"])
        elif isinstance(part, int) and isinstance(plain.get("items"), dict):
            inner.append(plain["items"])
    return inner


def _plain(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A schema without references and alternatives: the list of what it may be."""
    if "$ref" in schema:
        return _plain(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    if alternatives:
        return [plain for one in alternatives for plain in _plain(one, definitions)]
    return [schema]
