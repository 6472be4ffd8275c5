"""The exact objective of a trade, piece by piece in USD, and the proposal that carries it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Adjustment, Claim, digest, order_cost_usd
from greekdrift.greeks.bands import band_values
from greekdrift.margin.addon import Step
from greekdrift.margin.ahead import Ahead, ahead
from greekdrift.policy.ahead import representatives
from greekdrift.policy.case import Case, Trade
from greekdrift.policy.premargin import need
from greekdrift.policy.reason import reasons
from greekdrift.policy.relief import Cut, Relief
from greekdrift.policy.solver import Hinges
from greekdrift.surface.revalue import Revaluation, part

MARGIN_SCENARIOS = 100
CALL_PRICE = 1.0
"""USD per USD of a margin call: what a call costs at least is the money itself."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Proposal:
    """An adjustment, the objective of making it and of doing nothing (USD), and the parts of both by name.

    `addon` is the step that its margin add-on comes from, with the state that the next decision needs.
    """

    adjustment: Adjustment
    objective_usd: float
    idle_usd: float
    parts: Mapping[str, float]
    idle_parts: Mapping[str, float] = field(default_factory=dict)
    addon: Step | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", MappingProxyType(dict(self.parts)))
        object.__setattr__(self, "idle_parts", MappingProxyType(dict(self.idle_parts)))

    @property
    def is_idle(self) -> bool:
        """True where nothing is traded."""
        return not self.adjustment.orders


class Calls:
    """Margin calls of one account ahead: exact in some scenarios, and linear at a trade for the programme."""

    def __init__(self, at: Case, own: Revaluation) -> None:
        chosen, weight = representatives(ranking(at, own), own.weights, MARGIN_SCENARIOS)
        self._at = at
        self._own = part(own, scenarios=chosen, weights_of=weight)
        self._known: dict[bytes, Ahead] = {}

    def ahead(self, trade: Trade) -> Ahead:
        """Margin and equity in the scenarios after a trade."""
        key = trade.tobytes()
        if key not in self._known:
            after = self._at.after(trade)
            equity = [self._at.margin_after(trade).equity_usd]
            rows = np.union1d(self._at.chain.rows(after.quantities()), self._own.rows[:1])
            held = part(self._own, rows=rows)
            self._known[key] = ahead(self._at.chain, [after], self._at.rules, held, equity_usd=equity)
        return self._known[key]

    def cost(self, trade: Trade) -> float:
        """Mean call over scenarios and horizons, USD."""
        found = self.ahead(trade)
        return CALL_PRICE * float(found.weights @ np.maximum(found.shortfall[:, :, 0], 0.0).mean(axis=1))

    def cut(self, trade: Trade) -> Cut:
        """The mean call linear at a trade, by differences of the exact engine, one lot of each row."""
        at, lot = self._at, self._at.lots.lot
        step = np.where(at.universe.upper > trade, lot, -lot)
        moved = trade + np.diag(step)
        tried = [_tradable(at, one) for one in (trade, *moved)]
        equity = [at.margin_after(one).equity_usd for one in tried]
        found = ahead(at.chain, [at.after(one) for one in tried], at.rules, self._own, equity_usd=equity)
        calls = CALL_PRICE * (found.weights @ np.maximum(found.shortfall, 0.0).mean(axis=1))
        slope = (calls[1:] - calls[0]) / step
        return Cut(trade=trade, value=float(calls[0]), bought=slope, sold=-slope)


def _tradable(at: Case, trade: Trade) -> Trade:
    """The trade without what has no price on its side."""
    costs = at.universe.costs
    limit = np.where(trade > 0.0, costs.buy_limit, costs.sell_limit)
    return np.where(np.isnan(limit), 0.0, trade)


class Objective:
    """The exact objective of a trade, piece by piece, on all scenarios."""

    def __init__(
        self, at: Case, now_loss: Hinges, *, ahead_loss: Hinges | None = None, calls: Calls | None = None
    ) -> None:
        self.at = at
        self.ahead_loss = ahead_loss
        self.calls = calls
        self.loss = now_loss if ahead_loss is None else Hinges.together([now_loss, ahead_loss])
        self._now_loss = now_loss
        self._costs = at.programme(Hinges.none(at.nothing.size))

    def parts(self, trade: Trade) -> dict[str, float]:
        """USD by name."""
        parts = {
            "trading cost": float(self._costs.trading_cost(trade)),
            "tickets": self.at.lots.ticket_usd * int(np.count_nonzero(trade)),
            "breach now": float(self._now_loss.cost(trade)),
            "buffer missing": CALL_PRICE * self.at.shortage_usd(trade),
        }
        if self.ahead_loss is not None:
            parts["breach ahead"] = float(self.ahead_loss.cost(trade))
        if self.calls is not None:
            parts["margin calls ahead"] = self.calls.cost(trade)
        return parts

    def total(self, trade: Trade) -> float:
        """Their sum."""
        return sum(self.parts(trade).values())

    def cuts(self, trade: Trade) -> tuple[Cut | None, Cut | None]:
        """The missing buffer and the calls ahead, each linear at a trade; None where there is none."""
        short = self.at.shortage_cut(trade) if self.at.shortage_usd(self.at.nothing) > 0.0 else None
        fears = self.calls is not None and max(self.calls.cost(trade), self.calls.cost(self.at.nothing)) > 0.0
        return short, self.calls.cut(trade) if self.calls is not None and fears else None

    def reliefs(self, cuts: Sequence[tuple[Cut | None, Cut | None]]) -> list[Relief]:
        """Both losses as columns of the programme. The missing buffer may not grow; calls may, at their price."""
        short = tuple(cut for cut, _ in cuts if cut is not None)
        calls = tuple(cut for _, cut in cuts if cut is not None)
        found = []
        if short:
            found.append(Relief(idle=self.at.shortage_usd(self.at.nothing), worst=0.0, price=CALL_PRICE, cuts=short))
        if calls and self.calls is not None:
            idle, equity = self.calls.cost(self.at.nothing), abs(self.at.margin.equity_usd)
            found.append(Relief(idle=idle, worst=CALL_PRICE * equity, price=1.0, cuts=calls))
        return found

    def need_usd(self, trade: Trade, requirement_now: float, *, level: float) -> float:
        """What the requirement may rise to above the one of now, after a trade."""
        if self.calls is None:
            return 0.0
        found = self.calls.ahead(trade)
        return need(found.initial_margin[:, :, 0], found.weights, now=requirement_now, level=level)


def ranking(at: Case, own: Revaluation) -> Float[ndarray, " scenario"]:
    """Scenarios in order of the account's own P&L at the last horizon."""
    ranking: Float[ndarray, " scenario"] = own.pnl_usd[:, -1] @ at.universe.held
    return ranking


def proposal(
    objective: Objective,
    trade: Trade,
    *,
    addon: Step | None,
    is_forecast: bool,
    source: str,
) -> Proposal:
    """A trade as an adjustment with everything it claims, beside both objectives; `source` names what it rests on.

    `addon` is the step of the margin add-on; None where the rule that proposes holds none.
    """
    at = objective.at
    orders = at.orders(trade, reasons(at, trade, objective.loss))
    after, margin = at.after(trade), at.margin_after(trade)
    claim = Claim(
        greeks=band_values(at.chain, after),
        initial_margin_usd=margin.initial_margin_usd,
        maintenance_margin_usd=margin.maintenance_margin_usd,
        equity_usd=margin.equity_usd,
        cash=dict(after.collateral),
        cost_usd=sum(order_cost_usd(order, at.chain, at.venue) for order in orders),
    )
    adjustment = Adjustment(
        account_id=at.account.account_id,
        as_of=at.chain.as_of,
        valid_until=at.valid_until(orders),
        orders=orders,
        margin_addon_usd=0.0 if addon is None else addon.addon_usd,
        claim=claim,
        chain_digest=at.chain_digest,
        account_digest=digest(at.account),
        is_forecast_based=is_forecast,
        provenance=source,
    )
    parts, idle = objective.parts(trade), objective.parts(at.nothing)
    return Proposal(
        adjustment=adjustment,
        objective_usd=sum(parts.values()),
        idle_usd=sum(idle.values()),
        parts=parts,
        idle_parts=idle,
        addon=addon,
    )
