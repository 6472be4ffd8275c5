"""Scenarios of a margin grid and the move of volatilities in them, as the scenario forms share them."""

from dataclasses import dataclass
from enum import StrEnum


class Table(StrEnum):
    """The part of the grid that a scenario belongs to: the regular range or the damped tail."""

    REGULAR = "regular"
    TAIL = "tail"


class VolatilityMove(StrEnum):
    """Which way a scenario moves every volatility."""

    UP = "up"
    NONE = "none"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotScenario:
    """Spot × `spot` (1.18 = up 18 %) and a volatility move; the share `damping` of the P&L counts."""

    label: str
    table: Table
    spot: float
    volatility: VolatilityMove
    damping: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VolatilityTerms:
    """Power law of the volatility move: m = (30 / max(days, floor_days)) ^ (short_power to 30 days, else long_power).

    up: max(σ (1 + up m), floor);   down: σ max(1 − down m, 0).
    """

    up: float
    down: float
    floor: float
    short_power: float
    long_power: float
    floor_days: float
