"""Whether a scorecard lets a model through: each limit of the gate, the figure that it is held against, the verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from greekdrift.config.gate import Gate, Limit
from greekdrift.errors import ConfigError, nearest

NUMBERS = {"value": "value", "lower": "lower", "upper": "upper", "t": "statistic"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One line of the gate; a figure that was not measured holds nothing."""

    what: str
    value: float | None
    limit: str
    is_held: bool

    @property
    def line(self) -> str:
        """The verdict in a line."""
        shown = "not measured" if self.value is None else f"{self.value:.4g}"
        return f"{self.what}: {shown}, {self.limit}: {'holds' if self.is_held else 'FAILS'}"


def verdicts(gate: Gate, card: Mapping[str, Any], *, judged: str, folds: int) -> tuple[Verdict, ...]:
    """Every line of the gate on the JSON values of a scorecard; a measure that no scorecard has is refused."""
    count = int(card["origins"])
    found = [
        Verdict(what="unseen origins", value=count, limit=f"at least {gate.origins}", is_held=count >= gate.origins),
        Verdict(what="unseen folds", value=folds, limit=f"at least {gate.folds}", is_held=folds >= gate.folds),
    ]
    return (*found, *(_verdict(limit, card, judged) for limit in gate.limits))


def _verdict(limit: Limit, card: Mapping[str, Any], judged: str) -> Verdict:
    hours = float(card["horizon"]) if limit.horizon is None else limit.horizon
    mine = [one for one in card["measures"] if one["forecaster"] == judged]
    measure = _measure(limit, mine, hours, judged)
    value = None if measure is None else measure[NUMBERS[limit.of]]
    against = f" / {limit.against}" if limit.against else ""
    number = {"value": "", "lower": ", lower end", "upper": ", upper end", "t": ", t"}[limit.of]
    return Verdict(
        what=f"{limit.metric}{against} at {hours:g} h{number}",
        value=value,
        limit=_words(limit),
        is_held=_holds(limit, value),
    )


def _measure(limit: Limit, mine: list[Mapping[str, Any]], hours: float, judged: str) -> Mapping[str, Any] | None:
    """The measure that a limit names, None where it could not be taken; a name that there cannot be is refused."""
    for key, wanted in (("metric", limit.metric), ("against", limit.against), ("horizon", hours)):
        known = {one[key] for one in mine}
        if wanted not in known:
            if not mine:
                return None
            words = {f"{one:g}" if isinstance(one, float | int) else one or '""' for one in known}
            word = f"{wanted:g}" if isinstance(wanted, float) else wanted
            raise ConfigError(f'gate: the scorecard has no {key} "{word}" of {judged}; {nearest(word, words)}')
    return next(
        (
            one
            for one in mine
            if (one["metric"], one["against"], one["horizon"]) == (limit.metric, limit.against, hours)
        ),
        None,
    )


def _words(limit: Limit) -> str:
    parts = [
        f"{words} {value:g}"
        for words, value in (("at least", limit.at_least), ("at most", limit.at_most))
        if value is not None
    ]
    return " and ".join(parts)


def _holds(limit: Limit, value: float | None) -> bool:
    if value is None or not isfinite(value):
        return False
    return (limit.at_least is None or value >= limit.at_least) and (limit.at_most is None or value <= limit.at_most)
