"""The rule that most desks follow, as the rival: when a Greek is outside its band, trade it back to the nearest edge.

Options first, band by band, with the cheapest contract per unit of that Greek; then delta with the cheapest linear
contract. It looks at nothing but the band it mends, so one correction may break another band, and the judge may
refuse what it proposes.
"""

import numpy as np

from greekdrift.policy.breach import now_hinges
from greekdrift.policy.case import Case, Trade
from greekdrift.policy.objective import Objective, Proposal, proposal


def reactive(at: Case, *, hours: float = 24.0) -> Proposal:
    """The proposal of the rule; its objective is that of `baseline`, so that the two can be compared."""
    trade = at.nothing
    for is_delta in (False, True):
        for band, target in enumerate(at.targets):
            if (target.band.greek == "delta") == is_delta:
                trade = _to_the_edge(at, trade, band, at.lots.is_linear if is_delta else ~at.lots.is_linear)
    loss = now_hinges(at.targets, at.values, at.matrix, hours=hours)
    return proposal(Objective(at, loss), trade, addon=None, is_forecast=False, source="reactive")


def _to_the_edge(at: Case, trade: Trade, band: int, usable: np.ndarray) -> Trade:
    """Trades contracts, cheapest per unit of the Greek first, until one band value is at its nearest edge or inside."""
    limits, slope, costs = at.targets[band].band, at.matrix[band], at.universe.costs
    trade = trade.copy()
    value = float(at.values[band] + slope @ trade)
    wanted = min(max(value, limits.lower), limits.upper) - value
    side = np.sign(wanted) * np.sign(slope)
    price = np.where(side > 0.0, costs.buy_cost, costs.sell_cost)
    able = usable & (slope != 0.0) & np.isfinite(price)
    room = np.where(side > 0.0, at.universe.upper - trade, trade - at.universe.lower)
    per_unit = np.where(able, price, np.inf) / np.where(slope != 0.0, np.abs(slope), 1.0)
    for row in np.argsort(per_unit, kind="stable"):
        if wanted == 0.0 or not np.isfinite(per_unit[row]):
            break
        lot = at.lots.lot[row]
        lots = min(np.ceil(abs(wanted / slope[row]) / lot - 1e-9), np.floor(room[row] / lot + 1e-9))
        change = float(np.round(side[row] * max(lots, 0.0) * lot, 9))
        trade[row] += change
        value = float(at.values[band] + slope @ trade)
        wanted = min(max(value, limits.lower), limits.upper) - value
        if np.sign(wanted) * np.sign(slope[row]) != side[row]:
            break
    return trade
