"""What the position form answers, from the engine and from the slow loop alike."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

PER_POSITION = "each position by itself"
"""What stands in the place of a binding scenario."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionMargin:
    """Margin of the positions and the coin of one underlying, USD; requirements are against equity with options.

    `positions` are the venue's own figures by instrument, (initial, maintenance): those of a short option contain
    its mark, and they are held against a balance that leaves options out. `option_value_usd` is between the two.
    """

    underlying: str
    initial_margin_usd: float
    maintenance_margin_usd: float
    equity_usd: float
    option_value_usd: float
    positions: Mapping[str, tuple[float, float]]
    contingencies: Mapping[str, float]
    scenario_pnl: Mapping[str, float] = field(default_factory=dict)
    worst_scenario: str = PER_POSITION
    worst_loss_usd: float = 0.0

    def __post_init__(self) -> None:
        for name in ("positions", "contingencies", "scenario_pnl"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    @property
    def venue_initial_usd(self) -> float:
        """The initial margin as the venue shows it: the sum of its figures, before haircuts and mismatch."""
        return sum(initial for initial, _ in self.positions.values())

    @property
    def venue_maintenance_usd(self) -> float:
        """The maintenance margin as the venue shows it."""
        return sum(maintenance for _, maintenance in self.positions.values())
