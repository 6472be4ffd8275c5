"""What a run's scorecard must show before its model may serve: declared in the experiment, before the run.

The gate is a part of the experiment's digest, so that one written after the scorecard is another experiment.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from greekdrift.config.problem import Section

COVERAGE = "coverage"


class Limit(Section):
    """One figure of the judged forecaster and what it may be.

    `metric`, `horizon` (hours; the headline's if absent) and `against` (a bar, or blank) name a measure of the
    scorecard; `of` says which of its numbers: the figure itself, an end of its 95 % interval, or its Diebold-Mariano t.
    """

    metric: Annotated[str, Field(min_length=1)]
    horizon: Annotated[float, Field(gt=0.0)] | None = None
    against: str = ""
    of: Literal["value", "lower", "upper", "t"] = "value"
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _is_a_limit(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError(f"the limit of {self.metric} limits nothing; give at_least or at_most")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"{self.metric} cannot be at least {self.at_least:g} and at most {self.at_most:g}")
        return self


class Gate(Section):
    """Limits that must all hold, on at least so many unseen origins in at least so many folds.

    >>> score = Limit(metric="loss", against="fhs:hari", of="upper", at_most=1.0)
    >>> Gate(origins=100, folds=2, limits=(score, Limit(metric="coverage 80", at_least=0.78, at_most=0.82))).folds
    2
    """

    origins: Annotated[int, Field(ge=20)]
    folds: Annotated[int, Field(ge=1)]
    limits: Annotated[tuple[Limit, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _asks_enough(self) -> Self:
        if not any(one.against for one in self.limits):
            raise ValueError("a gate needs a score against a bar, like {metric: loss, against: fhs:hari, at_most: 1}")
        if not any(one.metric.startswith(COVERAGE) for one in self.limits):
            raise ValueError("a gate needs a coverage, like {metric: coverage 80, at_least: 0.78, at_most: 0.82}")
        return self
