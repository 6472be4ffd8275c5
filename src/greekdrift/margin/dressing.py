"""What a margin add-on is held by: the dressing, the state that goes in and comes out, and what moved it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import date, datetime
from math import isfinite
from typing import Any

from greekdrift.errors import ConfigError, InputError, nearest
from greekdrift.units import aware, instant, stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Dressing:
    """How an add-on is held. Rates are shares of the requirement (IM) a day; a device that is 0 or None is off.

    `scale` multiplies the need first: what is held on covers too, so that less has to be asked for. `coverage_first`
    says who yields where the need is beyond the budget: the budget (True) or the coverage (False).
    Either is recorded. `draw` and `refill` are multiples of the look-back's median: above the one the buffer is drawn,
    below the other it is built again.
    """

    scale: float = 1.0
    floor: float = 0.0
    floor_quantile: float = 0.5
    stressed_weight: float = 0.0
    buffer: float = 0.0
    draw: float = 1.25
    refill: float = 1.1
    look_back_days: float = 90.0
    rise_per_day: float = 0.5
    peak_to_trough: float | None = None
    release_half_life_days: float = 5.0
    dead_band: float = 0.1
    wait_days: float = 0.0
    coverage_first: bool = False

    def __post_init__(self) -> None:
        at_least = {"release_half_life_days": 1e-6, "look_back_days": 1.0, "draw": 1.0}
        for name, value in self._numbers().items():
            least = 1.0 if name == "peak_to_trough" else at_least.get(name, 0.0)
            if not (isfinite(value) and value >= least):
                raise ConfigError(f"dressing: {name} {value} must be a number of at least {least:g}.")
        for name in ("floor_quantile", "stressed_weight", "dead_band"):
            if not getattr(self, name) <= 1.0:
                raise ConfigError(f"dressing: {name} {getattr(self, name)} is a share; take 0 … 1.")
        if self.refill > self.draw:
            raise ConfigError(
                f"dressing: refill {self.refill} above draw {self.draw}; the buffer would do both at once."
            )

    @classmethod
    def from_values(cls, values: Mapping[str, Any], *, name: str = "dressing") -> "Dressing":
        """The dressing of a file's values; an unknown device or a value that is no number is refused.

        >>> Dressing.from_values({"floor": 1, "buffer": 0.25}).buffer
        0.25
        """
        known = [one.name for one in fields(cls)]
        for key, value in values.items():
            if key not in known:
                raise ConfigError(f'{name}: unknown device "{key}"; {nearest(str(key), known)}')
            is_flag, may_be_none = key == "coverage_first", key == "peak_to_trough" and value is None
            if is_flag != isinstance(value, bool) or not (is_flag or may_be_none or isinstance(value, int | float)):
                raise ConfigError(f"{name}: {key} is {value!r}; give {'true or false' if is_flag else 'a number'}.")
        return cls(**values)

    def _numbers(self) -> dict[str, float]:
        found = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "coverage_first"}
        return {name: float(value) for name, value in found.items() if value is not None}


PLAIN = Dressing()
"""Speed limit and slow release, no floor and no buffer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day of the look-back: the highest need and the lowest add-on held, as shares of the requirement."""

    date: str
    raw: float
    held: float


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that the next step has to know; `to_json` and `from_json` carry it as text.

    >>> first = State(as_of=instant("2026-02-05T08:00Z"), held_usd=5.0)
    >>> State.from_json(first.to_json()) == first
    True
    """

    as_of: datetime
    held_usd: float
    is_drawn: bool = False
    risen_at: datetime | None = None
    days: tuple[Day, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "as_of", aware(self.as_of))
        if not (isfinite(self.held_usd) and self.held_usd >= 0.0):
            raise InputError(f"an add-on of {self.held_usd} USD was never held; it is a number of at least 0.")
        for day in self.days:
            if not (isfinite(day.raw) and isfinite(day.held) and day.raw >= 0.0 and day.held >= 0.0):
                raise InputError(f"look-back of {day.date}: need {day.raw}, held {day.held}; numbers of at least 0.")

    def values(self) -> dict[str, Any]:
        """JSON-ready values."""
        risen = None if self.risen_at is None else stamp(self.risen_at)
        return {
            **asdict(self),
            "as_of": stamp(self.as_of),
            "risen_at": risen,
            "days": [asdict(one) for one in self.days],
        }

    def to_json(self) -> str:
        """The state as text, the same bytes for the same state."""
        return json.dumps(self.values(), allow_nan=False, sort_keys=True)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> "State":
        """The state of JSON values; refuses what is missing or unknown."""
        known = [one.name for one in fields(cls)]
        unknown = [name for name in values if name not in known]
        if unknown:
            raise InputError(f'state of an add-on: unknown field "{unknown[0]}"; {nearest(str(unknown[0]), known)}')
        try:
            days = tuple(
                Day(date=str(one["date"]), raw=float(one["raw"]), held=float(one["held"])) for one in values["days"]
            )
            risen = values["risen_at"]
            return cls(
                as_of=instant(values["as_of"]),
                held_usd=float(values["held_usd"]),
                is_drawn=values["is_drawn"] is True,
                risen_at=None if risen is None else instant(risen),
                days=tuple(replace(one, date=date.fromisoformat(one.date).isoformat()) for one in days),
            )
        except InputError:
            raise
        except (KeyError, TypeError, ValueError) as problem:
            raise InputError(
                f"state of an add-on: {type(problem).__name__} {problem}; give as_of, held_usd, is_drawn, risen_at and "
                "days as an earlier step wrote them."
            ) from None

    @classmethod
    def from_json(cls, text: str) -> "State":
        """The state of a text that `to_json` wrote."""
        try:
            values = json.loads(text)
        except ValueError as problem:
            raise InputError(f"state of an add-on: no JSON ({problem}).") from None
        if not isinstance(values, dict):
            raise InputError("state of an add-on: a JSON object is wanted.")
        return cls.from_values(values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """A device that moved the add-on away from what stood before, USD, and why."""

    device: str
    before_usd: float
    after_usd: float
    reason: str
