"""The gate: every limit must hold on a figure that was measured."""

from typing import Any

import pytest

from greekdrift.config.document import Document
from greekdrift.config.gate import Gate
from greekdrift.config.problem import parse
from greekdrift.errors import ConfigError
from greekdrift.evaluate.gate import verdicts

SCORE = {"metric": "loss", "against": "fhs:hari", "of": "upper", "at_most": 1.0}
COVERAGE = {"metric": "coverage 80", "at_least": 0.78, "at_most": 0.82}


def gate(*limits: dict[str, Any], origins: int = 20, folds: int = 1) -> Gate:
    values = {"origins": origins, "folds": folds, "limits": list(limits or (SCORE, COVERAGE))}
    return parse(Gate, Document(name="gate", values=values))


def measure(metric: str, against: str = "", hours: float = 24.0, **values: float | None) -> dict[str, Any]:
    given = {"value": 0.9, "lower": 0.8, "upper": 0.99, "statistic": -3.0, **values}
    return {"forecaster": "net", "horizon": hours, "metric": metric, "against": against, "n": 40, **given}


def card(*measures: dict[str, Any], origins: int = 40) -> dict[str, Any]:
    found = measures or (measure("loss", "fhs:hari"), measure("coverage 80", value=0.8))
    return {"origins": origins, "horizon": 24.0, "measures": list(found)}


def held(found: Any) -> list[bool]:
    return [one.is_held for one in found]


def test_every_line_holds_or_the_gate_does_not() -> None:
    assert held(verdicts(gate(), card(), judged="net", folds=2)) == [True] * 4
    assert held(verdicts(gate(origins=41, folds=3), card(), judged="net", folds=2)) == [False, False, True, True]
    worse = card(measure("loss", "fhs:hari", upper=1.001), measure("coverage 80", value=0.83))
    assert held(verdicts(gate(), worse, judged="net", folds=2)) == [True, True, False, False]


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), -float("inf")])
def test_what_was_not_measured_holds_nothing(value: float | None) -> None:
    found = verdicts(
        gate(), card(measure("loss", "fhs:hari", upper=value), measure("coverage 80", value=0.8)), judged="net", folds=1
    )
    assert held(found) == [True, True, False, True]
    if value is None:
        assert "not measured" in found[2].line


def test_a_forecaster_that_was_not_judged_holds_nothing() -> None:
    assert held(verdicts(gate(), card(), judged="other", folds=1)) == [True, True, False, False]


@pytest.mark.parametrize("of", ["value", "lower", "upper", "t"])
def test_each_number_of_a_figure_can_be_limited(of: str) -> None:
    numbers = {"value": 0.9, "lower": 0.8, "upper": 0.99, "t": -3.0}
    tight = {**SCORE, "of": of, "at_most": numbers[of]}
    wide = {**SCORE, "of": of, "at_most": numbers[of] - 1e-9}
    assert verdicts(gate(tight, COVERAGE), card(), judged="net", folds=1)[2].is_held
    assert not verdicts(gate(wide, COVERAGE), card(), judged="net", folds=1)[2].is_held


def test_a_name_that_no_scorecard_has_is_answered_with_the_nearest() -> None:
    for limit, hint in (
        ({**SCORE, "metric": "los"}, 'did you mean "loss"'),
        ({**SCORE, "against": "fhs:har"}, 'did you mean "fhs:hari"'),
        ({**SCORE, "horizon": 23}, 'has no horizon "23" of net; known: 24'),
    ):
        with pytest.raises(ConfigError, match=hint):
            verdicts(gate(limit, COVERAGE), card(), judged="net", folds=1)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ([SCORE, {"metric": "coverage 80"}], "limits nothing"),
        ([SCORE, {**COVERAGE, "at_least": 0.9}], "cannot be at least"),
        ([COVERAGE, COVERAGE], "needs a score against a bar"),
        ([SCORE, SCORE], "needs a coverage"),
        ([SCORE, {**COVERAGE, "of": "uper"}], "limits.1.of"),
        ([SCORE, {**COVERAGE, "at_most": "1"}], "at_most"),
    ],
)
def test_a_gate_that_asks_too_little_or_wrongly_is_refused(limits: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        gate(*limits)
