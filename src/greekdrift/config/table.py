"""The one closed table: what a name in a configuration stands for, as "room.module:Class", resolved when used.

Nothing outside this table can be named by a configuration or an artefact.
"""

import json
from collections.abc import Mapping
from importlib import import_module
from inspect import Parameter, signature
from typing import Annotated, Any, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PydanticSchemaGenerationError,
    PydanticUserError,
    TypeAdapter,
    ValidationError,
)

from greekdrift.config.document import Document, Place
from greekdrift.errors import ConfigError, nearest

SOURCES: Mapping[str, str] = {
    "parquet": "market.parquet:ParquetSource",
    "qmoms": "market.packaged:QmomsSource",
    "simulated": "market.simulate:SimulatedSource",
}
"""Where chains come from."""

FORECASTERS: Mapping[str, str] = {
    "clock": "forecast.clock:Clock",
    "historical": "forecast.historical:Historical",
    "fhs": "forecast.historical:FilteredHistorical",
    "drift_net": "forecast.deep.training:DriftNet",
}
"""What makes joint scenarios of the market state."""


class Component(BaseModel):
    """A name of the table and the values of its constructor; `use: historical` is the shortest."""

    model_config = ConfigDict(extra="allow", frozen=True)

    use: Annotated[str, Field(min_length=1)]

    @property
    def options(self) -> dict[str, Any]:
        """Constructor values."""
        return dict(self.model_extra or {})


def resolve(table: Mapping[str, str], name: str) -> Any:
    """The class that a name stands for; a wrong name is answered with the nearest right one.

    >>> resolve(FORECASTERS, "historicl")
    Traceback (most recent call last):
    ...
    greekdrift.errors.ConfigError: "historicl" is not known; did you mean "historical"?
    """
    if name not in table:
        raise ConfigError(f'"{name}" is not known; {nearest(name, table)}')
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(f"greekdrift.{module}"), attribute)


def problems(
    component: Component, table: Mapping[str, str], *, document: Document, place: Place, given: tuple[str, ...] = ()
) -> list[str]:
    """What is wrong with a component: unknown name, unknown, missing or mistyped options, each with its place."""
    if component.use not in table:
        return [f'{document.where((*place, "use"))}: "{component.use}" is not known; {nearest(component.use, table)}']
    parameters = _parameters(resolve(table, component.use))
    open_names = [name for name in parameters if name not in given]
    found = []
    for name, value in component.options.items():
        where = document.where((*place, name))
        if name not in open_names:
            hint = nearest(name, open_names) if open_names else "it takes no options"
            found.append(f"{where}: {component.use} has no such option; {hint}")
        else:
            _, problem = _typed(parameters[name][0], value)
            if problem:
                found.append(f"{where}: {problem}, got {value!r}")
    missing = [name for name in open_names if parameters[name][1] and name not in component.options]
    return found + [f"{document.where((*place, name))}: is missing; {component.use} needs it" for name in missing]


def build(component: Component, table: Mapping[str, str], **given: Any) -> Any:
    """The object that a component describes; `given` are values that the caller knows (a seed, a progress hook).

    A given value that the constructor does not take is left out.
    """
    lines = problems(component, table, document=Document(name=component.use, values={}), place=(), given=tuple(given))
    if lines:
        raise ConfigError("\n".join(lines))
    kind = resolve(table, component.use)
    parameters = _parameters(kind)
    options = {name: _typed(parameters[name][0], value)[0] for name, value in component.options.items()}
    return kind(**{**{name: value for name, value in given.items() if name in parameters}, **options})


def _parameters(kind: Any) -> dict[str, tuple[Any, bool]]:
    """Annotation of each constructor parameter and whether it must be given."""
    hints = get_type_hints(kind.__init__)
    return {
        name: (hints.get(name, Any), parameter.default is Parameter.empty)
        for name, parameter in signature(kind).parameters.items()
        if parameter.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    }


def _typed(annotation: Any, value: Any) -> tuple[Any, str | None]:
    """The value as its parameter's type, and what is wrong with it."""
    try:
        adapter = TypeAdapter(annotation)
    except (PydanticSchemaGenerationError, PydanticUserError):
        return value, None
    try:
        return adapter.validate_json(json.dumps(value), strict=True), None
    except ValidationError as found:
        return value, found.errors(include_url=False)[0]["msg"].replace("Input should be", "should be")
