"""A configuration or book file as plain values, with the line of each key and the overrides applied.

YAML is read as version 1.2 reads it where version 1.1 surprises: `1e-3` is a number, `2026-02-05` is text,
`no` and `on` are text. A key that stands twice is refused, and so is a number that is none (NaN).
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from greekdrift.errors import ConfigError

Place = tuple[str | int, ...]
"""The way from the top of a document to a value: keys and positions."""

MOST_VALUES = 500_000
"""A file that holds more (say, by references that multiply) is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Plain values of a file (mappings, lists, numbers, text) and the line on which each key stands."""

    name: str
    values: dict[str, Any]
    lines: Mapping[Place, int] = field(default_factory=dict)
    overridden: Mapping[Place, str] = field(default_factory=dict)

    def where(self, place: Place) -> str:
        """Readable place of a key: file, line and key path, or the override that set it.

        >>> Document(name="a.yaml", values={}, lines={("data",): 3}).where(("data", "root"))
        'a.yaml:3: data.root'
        """
        for length in range(len(place), 0, -1):
            override = self.overridden.get(place[:length])
            if override is not None:
                return f"--set {override}: {dotted(place)}"
            line = self.lines.get(place[:length])
            if line is not None:
                return f"{self.name}:{line}: {dotted(place)}"
        return f"{self.name}: {dotted(place)}" if place else self.name


def dotted(place: Place) -> str:
    """A place as text.

    >>> dotted(("accounts", 0, "collateral"))
    'accounts.0.collateral'
    """
    return ".".join(str(part) for part in place)


def read(path: Path | str) -> Document:
    """The document in a YAML or JSON file; a missing, unreadable or contradictory file is refused."""
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{file}: there is no such file; check the path.") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{file}: cannot be read as text ({problem}).") from None
    return read_text(text, name=str(file), is_json=file.suffix.lower() == ".json")


def read_text(text: str, *, name: str, is_json: bool = False) -> Document:
    """The document in a text.

    >>> read_text("{a: 1e-3, b: [on, 2026-02-05]}", name="x.yaml").values
    {'a': 0.001, 'b': ['on', '2026-02-05']}
    """
    values, lines = _json(text, name) if is_json else _yaml(text, name)
    if not isinstance(values, dict):
        raise ConfigError(f"{name}: the top must be a mapping of keys, found {_kind(values)}.")
    try:
        json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError as problem:
        half = problem.object[problem.start : problem.end]
        raise ConfigError(f"{name}: holds half a character ({half!a}); remove it.") from None
    return Document(name=name, values=values, lines=lines)


def override(document: Document, settings: Iterable[str]) -> Document:
    """The document with `key.path=value` settings applied, values read as YAML.

    >>> override(read_text("a: {b: 1}", name="x.yaml"), ["a.b=[2, 3]", "c=x"]).values
    {'a': {'b': [2, 3]}, 'c': 'x'}
    """
    values = json.loads(json.dumps(document.values))
    overridden = dict(document.overridden)
    for setting in settings:
        key, sign, text = setting.partition("=")
        if not sign or not key.strip():
            raise ConfigError(f'--set {setting}: write it as key.path=value, like "data.root=chains".')
        place = tuple(int(part) if part.isdigit() else part for part in key.strip().split("."))
        value, _ = _yaml(text, f"--set {setting}")
        _put(values, place, value, setting)
        overridden[place] = setting
    return Document(name=document.name, values=values, lines=document.lines, overridden=overridden)


def _put(values: Any, place: Place, value: Any, setting: str) -> None:
    for depth, part in enumerate(place):
        here = dotted(place[:depth]) or "the top"
        is_last = depth == len(place) - 1
        if isinstance(values, list):
            if not isinstance(part, int) or part >= len(values):
                raise ConfigError(f"--set {setting}: {here} is a list of {len(values)}; give a position below that.")
        elif isinstance(values, dict):
            part = str(part)  # noqa: PLW2901
            if not is_last and values.get(part) is None:
                values[part] = {}
        else:
            raise ConfigError(f"--set {setting}: {here} is {_kind(values)} and has no keys.")
        if is_last:
            values[part] = value
        else:
            values = values[part]


def _json(text: str, name: str) -> tuple[Any, dict[Place, int]]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise ConfigError(f'{name}: the key "{key}" stands twice; keep one.')
            found[key] = value
        return found

    def refuse(constant: str) -> None:
        raise ConfigError(f"{name}: {constant} is not a number; leave the key out or write null.")

    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=refuse), {}
    except json.JSONDecodeError as problem:
        raise ConfigError(f"{name}:{problem.lineno}: not valid JSON: {problem.msg}.") from None
    except ConfigError:
        raise
    except ValueError as problem:
        raise ConfigError(f"{name}: holds a number that cannot be read ({problem}); correct it.") from None
    except RecursionError:
        raise ConfigError(f"{name}: nested too deeply.") from None


class _Loader(yaml.SafeLoader):
    """YAML with the number, truth and text rules of version 1.2."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)
_Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))


def _yaml(text: str, name: str) -> tuple[Any, dict[Place, int]]:
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as problem:
        raise ConfigError(f"{name}: holds a character that YAML has not ({problem.reason}); remove it.") from None
    try:
        node = loader.get_single_node()
        lines: dict[Place, int] = {}
        return (None if node is None else _value(loader, node, (), lines, name)), lines
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        raise ConfigError(f"{name}:{line}: not valid YAML: {problem.problem}.") from None
    except yaml.YAMLError as problem:
        raise ConfigError(f"{name}: not valid YAML: {problem}.") from None
    except ConfigError:
        raise
    except ValueError as problem:
        raise ConfigError(f"{name}: holds a number that cannot be read ({problem}); correct it.") from None
    except RecursionError:
        raise ConfigError(f"{name}: nested too deeply.") from None
    finally:
        loader.dispose()


def _value(loader: _Loader, node: yaml.Node, place: Place, lines: dict[Place, int], name: str) -> Any:
    if not node.tag.startswith("tag:yaml.org,2002:") or "/" in node.tag:
        raise ConfigError(f"{name}:{node.start_mark.line + 1}: the tag {node.tag} has no meaning here; remove it.")
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in found:
                raise ConfigError(f'{name}:{line}: the key "{dotted((*place, key))}" stands twice; keep one.')
            _note(lines, (*place, key), line, name)
            found[key] = _value(loader, value_node, (*place, key), lines, name)
        return found
    if isinstance(node, yaml.SequenceNode):
        items = []
        for at, item in enumerate(node.value):
            _note(lines, (*place, at), item.start_mark.line + 1, name)
            items.append(_value(loader, item, (*place, at), lines, name))
        return items
    value = loader.construct_object(node)
    if isinstance(value, float) and value != value:  # noqa: PLR0124
        raise ConfigError(f"{name}:{node.start_mark.line + 1}: {dotted(place)}: NaN is not a number; write null.")
    return value


def _note(lines: dict[Place, int], place: Place, line: int, name: str) -> None:
    lines[place] = line
    if len(lines) > MOST_VALUES:
        raise ConfigError(f"{name}: holds more than {MOST_VALUES} values; split the file.")


def _kind(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", int: "a number", float: "a number", type(None): "nothing"}
    return names.get(type(value), type(value).__name__)
