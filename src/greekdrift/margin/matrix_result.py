"""What a risk-matrix margin answers of an account, book by book."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from greekdrift.margin.result import MarginResult

LEAST = "least delta charge"
"""Label of the charge on net and hedged delta where it is more than every scenario's loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixMargin:
    """Risk-matrix margin of one book of an account in USD; coin-settled figures are those over `index_price`.

    `scenario_pnl` is what counts of this book alone, after damping. `worst_loss_usd`, negative for a loss, is its share
    in what binds the account: where books offset each other it may be a gain, and the requirement below 0; parts add
    up to the account. Without lines of its own a part holds collateral only.
    """

    underlying: str
    index_price: float
    initial_margin_usd: float
    maintenance_margin_usd: float
    equity_usd: float
    option_value_usd: float
    collateral_value_usd: float
    scenario_pnl: Mapping[str, float]
    worst_scenario: str
    worst_loss_usd: float
    roll_usd: float
    delta_shock_usd: float
    funding_usd: float
    fees_usd: float
    collateral_maintenance_usd: float
    collateral_initial_usd: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "scenario_pnl", MappingProxyType(dict(self.scenario_pnl)))

    @property
    def contingencies(self) -> Mapping[str, float]:
        """What comes on top of the loss in the initial margin, by name."""
        return {
            "roll": self.roll_usd,
            "delta shock": self.delta_shock_usd,
            "funding": self.funding_usd,
            "fees": self.fees_usd,
            "collateral": self.collateral_maintenance_usd + self.collateral_initial_usd,
        }


def account_margin(parts: Sequence[MatrixMargin], *, cash_usd: float) -> MarginResult:
    """The account that some parts are of."""
    return MarginResult(
        initial_margin_usd=sum(part.initial_margin_usd for part in parts),
        maintenance_margin_usd=sum(part.maintenance_margin_usd for part in parts),
        equity_usd=cash_usd + sum(part.equity_usd for part in parts),
        worst_scenario="; ".join(f"{part.underlying}: {part.worst_scenario}" for part in parts),
        scenario_pnl={f"{part.underlying}: {key}": pnl for part in parts for key, pnl in part.scenario_pnl.items()},
        parts=tuple(parts),
    )
