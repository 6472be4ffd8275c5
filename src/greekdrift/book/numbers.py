"""Numbers of a record as floats, whatever kind they came in, so that equal records have equal digests.

10 and 10.0 are the same position, but not the same text; a record that travels as JSON would come back as another.
"""

from collections.abc import Mapping
from types import MappingProxyType


def as_floats(record: object, *names: str) -> None:
    """Makes the named fields of a frozen record floats; a field that is None stays so."""
    for name in names:
        value = getattr(record, name)
        if value is not None:
            object.__setattr__(record, name, float(value))


def sorted_floats(values: Mapping[str, float]) -> Mapping[str, float]:
    """A read-only mapping with its keys in order and floats as values.

    >>> dict(sorted_floats({"b": 2, "a": 1.5}))
    {'a': 1.5, 'b': 2.0}
    """
    return MappingProxyType({key: float(values[key]) for key in sorted(values)})
