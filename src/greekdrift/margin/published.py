"""Portfolios with published margins, computed and compared."""

from dataclasses import dataclass
from math import isfinite

import numpy as np

from greekdrift.config.portfolio_files import PortfolioCase
from greekdrift.errors import CalculationError, GreekdriftError
from greekdrift.margin.grid import net_margin
from greekdrift.margin.result import NetMargin

TOLERANCE = 1e-9
"""Relative error from which an expected figure is missed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """The margin of a case and its relative errors; None where nothing was expected.

    error = |figure − expected| / max(|expected|, 1 USD); `scenario_error` is the largest of the scenarios.
    """

    case: str
    margin: NetMargin
    initial_error: float | None
    maintenance_error: float | None
    scenario_error: float | None
    scenario: str | None
    n_scenarios: int

    @property
    def worst_error(self) -> float | None:
        """The largest of the three errors."""
        errors = [one for one in (self.initial_error, self.maintenance_error, self.scenario_error) if one is not None]
        return max(errors, default=None)

    @property
    def is_missed(self) -> bool:
        """Whether an expected figure is missed."""
        return self.worst_error is not None and self.worst_error > TOLERANCE


def compared(case: PortfolioCase) -> Compared:
    """The margin of a portfolio beside what is expected of it; a figure that is no number is refused.

    >>> from greekdrift.book.rules import NetPortfolio
    >>> from greekdrift.config import load_rules
    >>> found = compared(PortfolioCase(
    ...     case="cash",
    ...     portfolio=NetPortfolio(underlying="BTC", cash=1000.0, spot_price=100_000.0),
    ...     parameters=load_rules("derive_pm2").parameters,
    ...     initial_health_usd=1000.0,
    ...     maintenance_health_usd=None,
    ...     scenario_pnl={},
    ... ))
    >>> found.margin.initial_health_usd, found.initial_error, found.maintenance_error, found.is_missed
    (1000.0, 0.0, None, False)
    """
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # what is no number is refused below, with its case
            margin = net_margin(case.portfolio, case.parameters)
    except GreekdriftError as problem:
        raise CalculationError(f"case {case.case}: {problem}") from None
    figures = (margin.initial_health_usd, margin.maintenance_health_usd, *margin.scenario_pnl.values())
    if not all(isfinite(figure) for figure in figures):
        raise CalculationError(f"case {case.case}: its margin is not a number; check its prices and parameters.")
    errors = {name: _error(margin.scenario_pnl[name], expected) for name, expected in case.scenario_pnl.items()}
    worst = max(errors, key=lambda name: errors[name], default=None)
    return Compared(
        case=case.case,
        margin=margin,
        initial_error=_error_or_none(margin.initial_health_usd, case.initial_health_usd),
        maintenance_error=_error_or_none(margin.maintenance_health_usd, case.maintenance_health_usd),
        scenario_error=None if worst is None else errors[worst],
        scenario=worst,
        n_scenarios=len(errors),
    )


def _error(value: float, expected: float) -> float:
    return abs(value - expected) / max(abs(expected), 1.0)


def _error_or_none(value: float, expected: float | None) -> float | None:
    return None if expected is None else _error(value, expected)
