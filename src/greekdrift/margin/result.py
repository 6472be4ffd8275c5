"""What a margin engine answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol


class MarginPart(Protocol):
    """What every form of margin says of one part of an account: an underlying, or a currency's book, or a position.

    A loss is negative, a contingency at least 0; `scenario_pnl` is empty for forms without scenarios.
    """

    @property
    def underlying(self) -> str:
        """What the part is of."""

    @property
    def initial_margin_usd(self) -> float:
        """Requirement to open."""

    @property
    def maintenance_margin_usd(self) -> float:
        """Requirement to keep."""

    @property
    def equity_usd(self) -> float:
        """Worth of the part without what counts as cash."""

    @property
    def scenario_pnl(self) -> Mapping[str, float]:
        """P&L that counts, by scenario, USD."""

    @property
    def worst_scenario(self) -> str:
        """The binding scenario."""

    @property
    def worst_loss_usd(self) -> float:
        """What is lost in it."""

    @property
    def contingencies(self) -> Mapping[str, float]:
        """What comes on top of the loss, by name, USD, of the initial margin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetMargin:
    """Net-portfolio margin of one underlying, piece by piece, in USD.

    A loss is negative, a contingency at least 0. `equity_usd` is T of the model. `expiry_values_usd` is the mark
    of each expiry's options, `static_discounts` its (long, short) factors. `*_initial_usd` contingencies
    come on top of the `*_maintenance_usd` ones.
    """

    underlying: str
    initial_margin_usd: float
    maintenance_margin_usd: float
    equity_usd: float
    option_value_usd: float
    collateral_value_usd: float
    expiry_values_usd: tuple[float, ...]
    static_discounts: tuple[tuple[float, float], ...]
    scenario_pnl: Mapping[str, float]
    basis_usd: float
    worst_scenario: str
    worst_loss_usd: float
    initial_loss_share: float
    linear_maintenance_usd: float
    linear_initial_usd: float
    option_maintenance_usd: float
    option_initial_usd: float
    collateral_maintenance_usd: float
    collateral_initial_usd: float
    confidence_usd: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "scenario_pnl", MappingProxyType(dict(self.scenario_pnl)))

    @property
    def contingencies(self) -> Mapping[str, float]:
        """What comes on top of the loss in the initial margin, by name."""
        return {
            "linear": self.linear_maintenance_usd + self.linear_initial_usd,
            "short options": self.option_maintenance_usd + self.option_initial_usd,
            "collateral": self.collateral_maintenance_usd + self.collateral_initial_usd,
            "doubtful prices": self.confidence_usd,
        }

    @property
    def initial_health_usd(self) -> float:
        """The published IM: equity − requirement; at least 0 to open."""
        return self.equity_usd - self.initial_margin_usd

    @property
    def maintenance_health_usd(self) -> float:
        """The published MM: equity − requirement; at least 0 to keep."""
        return self.equity_usd - self.maintenance_margin_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginResult:
    """Margin requirement of an account, with the parts that it is made of.

    Requirements are at least 0; `parts` are of the rule set's form. `worst_scenario` names the binding
    scenario of each underlying, `scenario_pnl` is by "underlying: scenario".
    """

    initial_margin_usd: float
    maintenance_margin_usd: float
    equity_usd: float
    worst_scenario: str
    scenario_pnl: Mapping[str, float]
    parts: tuple[MarginPart, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "scenario_pnl", MappingProxyType(dict(self.scenario_pnl)))

    @property
    def excess_usd(self) -> float:
        """Equity above the initial margin, the published health; negative where a call is due."""
        return self.equity_usd - self.initial_margin_usd
