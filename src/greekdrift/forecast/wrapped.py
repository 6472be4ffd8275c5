"""A forecaster of the table within another one: named as a component, checked there, kept beside one record."""

from collections.abc import Mapping
from typing import Any, TypeVar

from numpy import ndarray

from greekdrift.config.document import Document
from greekdrift.config.table import FORECASTERS, Component, build, problems
from greekdrift.errors import ConfigError
from greekdrift.forecast import packed
from greekdrift.forecast.artefact import put_together, taken_apart
from greekdrift.forecast.forecaster import Forecaster, Predictor

BASE = Component(use="fhs")
"""What is wrapped unless something else is named."""
GIVEN = ("seed", "recorder")

Record = TypeVar("Record")


def check(base: Component) -> None:
    """Refuses a component that is no forecaster of the table or has options that it does not know.

    >>> check(Component(use="fsh"))
    Traceback (most recent call last):
    ...
    greekdrift.errors.ConfigError: fsh: base.use: "fsh" is not known; did you mean "fhs"?
    """
    document = Document(name=base.use, values={})
    lines = problems(base, FORECASTERS, document=document, place=("base",), given=GIVEN)
    if lines:
        raise ConfigError("\n".join(lines))


def built(base: Component, *, seed: int, recorder: Any) -> Forecaster:
    """The forecaster that a component names."""
    made: Forecaster = build(base, FORECASTERS, seed=seed, recorder=recorder)
    return made


def pack(name: str, base: Predictor, **own: Any) -> tuple[dict[str, Any], dict[str, ndarray]]:
    """Plain values and arrays of a wrapper: the base under its kind, and one record of its own by name."""
    ((label, record),) = own.items()
    kind, config, arrays = taken_apart(base)
    values, own_arrays = packed.pack(record, path=f"{label}.")
    inner = {f"base.{field}": array for field, array in arrays.items()}
    return {"name": name, "kind": kind, "base": config, label: values}, inner | own_arrays


def unpack(
    config: Mapping[str, Any], arrays: Mapping[str, ndarray], **own: type[Record]
) -> tuple[str, Predictor, Record]:
    """Name, base and record of these values and arrays; `own` is the record's name and class."""
    ((label, record),) = own.items()
    inner = {field.removeprefix("base."): array for field, array in arrays.items() if field.startswith("base.")}
    base: Predictor = put_together(config["kind"], config["base"], inner)
    return str(config["name"]), base, packed.unpack(record, config[label], arrays, path=f"{label}.")
