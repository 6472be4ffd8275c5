"""Where the drift of a book will come from: clock, spot, level, skew, curvature and cross, scenario by scenario.

With Q(x) a quantity of an unchanged account h hours later on the chain moved by the increment x of a scenario, and Q₀
what it is now, as `surface.attribution` splits what has happened:

    clock      Q(0) − Q₀                          the market frozen, the same in every scenario
    spot       Q(x_spot) − Q(0)                   index, forward and basis alone
    level      Q(x_level) − Q(0)                  at-the-money volatility alone; skew and curvature likewise
    cross      Q(x) − Q(0) − Σ of the four        what they do together beyond that
    sum        Q(x) − Q₀                          the drift of that scenario, to rounding

There is no residual: a forecast moves nothing but the factors. Means of the parts add up to the mean drift; quantiles
of the parts do not add up, since the parts are not largest in the same scenarios.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Account, Chain, Scenarios
from greekdrift.forecast import monte_carlo
from greekdrift.forecast.distribution import Forecast
from greekdrift.forecast.streamed import forecast_books
from greekdrift.score import quantile
from greekdrift.surface.attribution import GROUPS
from greekdrift.surface.attribution import PARTS as EVERY
from greekdrift.surface.slices import Surface

PARTS = tuple(part for part in EVERY if part != "residual")
NAMES = ("delta_net", "gamma", "vega", "theta")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DriftForecast:
    """Parts of the drift of every quantity of a forecast, in the order of `PARTS`; they sum to it in every scenario.

    `total` is the forecast of the quantities themselves, `parts[p]` the samples of one part, axes as in `Forecast`.
    """

    total: Forecast
    parts: Float[ndarray, "part scenario horizon account quantity"]

    def of(self, account_id: str, quantity: str) -> Float[ndarray, "part scenario horizon"]:
        """Samples of the parts of one quantity of one account."""
        self.total.of(account_id, quantity)
        account, column = self.total.account_ids.index(account_id), self.total.quantities.index(quantity)
        return self.parts[:, :, :, account, column]

    def mean(self, account_id: str, quantity: str) -> Float[ndarray, "part horizon"]:
        """Expected parts, which add up to the expected drift."""
        return np.tensordot(self.of(account_id, quantity), self.total.weights, axes=(1, 0))

    def mean_error(self, account_id: str, quantity: str) -> Float[ndarray, "part horizon"]:
        """Monte-Carlo standard errors of the expected parts; 0 for the clock, which is certain."""
        return monte_carlo.mean_error(np.moveaxis(self.of(account_id, quantity), 1, 0), self.total.weights)

    def quantile(self, account_id: str, quantity: str, levels: Sequence[float]) -> Float[ndarray, "level part horizon"]:
        """Quantiles of each part."""
        return quantile(np.moveaxis(self.of(account_id, quantity), 1, 0), levels, weights=self.total.weights)


def attributed(
    chain: Chain,
    accounts: Sequence[Account],
    *,
    surface: Surface,
    scenarios: Scenarios,
    names: Sequence[str] = NAMES,
    deterministic: bool = True,
) -> DriftForecast:
    """Parts of the drift of `pnl_usd` and of each name by underlying, of unchanged accounts; bands play no part.

    Six revaluations, the clock's of a single scenario. Names and units as in `streamed.forecast_books`.
    """
    bare = [replace(account, mandate=None) for account in accounts]

    def under(increments: ndarray) -> Forecast:
        n = len(increments)
        moved = replace(scenarios, increments=increments, weights=scenarios.weights if n == scenarios.n else np.ones(1))
        return forecast_books(chain, bare, surface=surface, scenarios=moved, names=names, deterministic=deterministic)

    total = under(scenarios.increments)
    clock = under(np.zeros((1, *scenarios.increments.shape[1:]))).samples
    parts = np.empty((len(PARTS), *total.samples.shape))
    parts[0] = clock - total.now
    for at, group in enumerate(GROUPS[1:-1], start=1):
        parts[at] = under(_alone(scenarios.increments, group)).samples - clock
    parts[-1] = total.samples - clock - parts[1:-1].sum(axis=0)
    parts.setflags(write=False)
    return DriftForecast(total=replace(total, provenance=scenarios.provenance), parts=parts)


def _alone(increments: ndarray, group: Sequence[slice]) -> ndarray:
    moved = np.zeros_like(increments)
    for part in group:
        moved[..., part] = increments[..., part]
    return moved
