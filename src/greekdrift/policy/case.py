"""What does not depend on the forecast in one account's decision: what it may trade, aims at and must keep."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from greekdrift.book import Account, Chain, Kind, Mandate, Order, Venue, after_orders, digest
from greekdrift.book.rules import RuleSet
from greekdrift.errors import BookError
from greekdrift.greeks.exposure import line_quantities
from greekdrift.margin import engine
from greekdrift.margin.result import MarginResult
from greekdrift.policy.band import Target, targets
from greekdrift.policy.breach import now_matrix, now_values
from greekdrift.policy.candidates import Universe, notional_usd, universe
from greekdrift.policy.impact import SquareRoot, delta_cost_share
from greekdrift.policy.limits import cash_limits, cost_limit, no_further_outside
from greekdrift.policy.lots import Lots
from greekdrift.policy.relief import Cut
from greekdrift.policy.solver import Hinges, Limits, Programme
from greekdrift.policy.stress import Stressed, stressed

Trade = Float[ndarray, " row"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """One account at one instant. `values` and `matrix` give the band values now and per contract traded."""

    chain: Chain
    account: Account
    mandate: Mandate
    rules: RuleSet
    venue: Venue
    now: datetime
    universe: Universe
    targets: tuple[Target, ...]
    values: Float[ndarray, " band"]
    matrix: Float[ndarray, "band row"]
    limits: Limits
    stress: Stressed
    lots: Lots
    margin: MarginResult
    chain_digest: str

    @property
    def nothing(self) -> Trade:
        """The trade of no contract."""
        return np.zeros(self.universe.rows.size)

    @property
    def required_excess_usd(self) -> float:
        """Excess that must be left after a trade: the buffer, or what there is where that is less already."""
        return min(self.mandate.liquidity_buffer_usd, self.margin.excess_usd)

    def valid_until(self, orders: Sequence[Order]) -> datetime:
        """End of a proposal: what the mandate gives it, or the first expiry of a line or an order that comes sooner.

        With that expiry the account becomes another one, and every number that was claimed with it.
        """
        instruments = [one.instrument for one in self.account.positions] + [one.instrument for one in orders]
        ends = [one.expiry for one in instruments]
        mandated = self.now + timedelta(seconds=self.mandate.valid_for_seconds)
        return min([mandated, *(end for end in ends if end is not None)])

    def orders(self, trade: Trade, reasons: Sequence[str] | None = None) -> tuple[Order, ...]:
        """The orders of a trade: options first, larger premium first, then linear contracts, each at its sure price."""
        rows, costs = self.universe.rows, self.universe.costs
        traded = np.flatnonzero(trade).tolist()
        size = np.abs(trade) * self.lots.notional_usd
        sequence = sorted(traded, key=lambda at: (bool(self.lots.is_linear[at]), -size[at], at))
        return tuple(
            Order(
                instrument=self.chain.instruments[rows[at]],
                quantity=float(trade[at]),
                limit_price=float(costs.buy_limit[at] if trade[at] > 0.0 else costs.sell_limit[at]),
                leg=leg,
                reason=reasons[at] if reasons is not None else "",
            )
            for leg, at in enumerate(sequence)
        )

    def after(self, trade: Trade) -> Account:
        """The account after a trade is filled at its limits."""
        return after_orders(self.account, self.orders(trade), self.chain, self.venue)

    def margin_after(self, trade: Trade) -> MarginResult:
        """The exact margin after a trade."""
        return engine.requirement(self.chain, self.after(trade), self.rules) if np.any(trade) else self.margin

    def stands(self, trade: Trade) -> bool:
        """Whether a trade keeps every limit, the rule under stress, and the required excess by the exact engine."""
        if not np.any(trade):
            return True
        if np.any(self.stress.is_broken(trade)) or not self.limits.are_kept(trade):
            return False
        return self._is_covered(self.margin_after(trade))

    def cuts(self, trade: Trade) -> list[Limits]:
        """Further rows that a trade which does not stand has shown to be needed."""
        broken = self.stress.is_broken(trade)
        rows = [self.stress.limits(broken)] if np.any(broken) else []
        return rows if self._is_covered(self.margin_after(trade)) else [*rows, self.margin_cut(trade)]

    def _is_covered(self, after: MarginResult) -> bool:
        """Initial and maintenance margin leave the buffer, or no less than there is."""
        free, free_before = (side.equity_usd - side.maintenance_margin_usd for side in (after, self.margin))
        is_kept = free >= min(self.mandate.liquidity_buffer_usd, free_before) - 1e-6
        return is_kept and after.excess_usd >= self.required_excess_usd - 1e-6

    def programme(self, hinges: Hinges, limits: Sequence[Limits] = ()) -> Programme:
        """The convex programme of this case with some hinges and further limits."""
        costs = self.universe.costs
        return Programme(
            buy_cost=np.nan_to_num(costs.buy_cost),
            sell_cost=np.nan_to_num(costs.sell_cost),
            impact=costs.impact,
            lower=self.universe.lower,
            upper=self.universe.upper,
            hinges=hinges,
            limits=Limits.together([self.limits, *limits]),
        )

    def margin_slope(self, trade: Trade) -> tuple[MarginResult, Trade]:
        """Exact margin after a trade and its change per contract of each row, USD."""
        after = self.after(trade)
        return (
            engine.requirement(self.chain, after, self.rules),
            engine.subgradient(self.chain, after, self.rules, self.universe.rows),
        )

    def margin_cut(self, trade: Trade) -> Limits:
        """The limit on margin, linear at a trade: IM + slope (x − trade) + cost ≤ equity − required excess."""
        found, slope = self.margin_slope(trade)
        costs = self.universe.costs
        bound = self.margin.equity_usd - self.required_excess_usd - found.initial_margin_usd + float(slope @ trade)
        return Limits(
            bought=(slope + np.nan_to_num(costs.buy_cost))[None],
            sold=(np.nan_to_num(costs.sell_cost) - slope)[None],
            bound=np.array([max(bound, 0.0)]),
        )

    def shortage_usd(self, trade: Trade) -> float:
        """What is missing to the liquidity buffer after a trade."""
        return max(self.mandate.liquidity_buffer_usd - self.margin_after(trade).excess_usd, 0.0)

    def shortage_cut(self, trade: Trade) -> Cut:
        """The shortage before its zero, IM + cost + buffer − equity, linear at a trade."""
        found, slope = self.margin_slope(trade)
        costs = self.universe.costs
        return Cut(
            trade=trade,
            value=self.mandate.liquidity_buffer_usd - found.excess_usd,
            bought=slope + np.nan_to_num(costs.buy_cost),
            sold=np.nan_to_num(costs.sell_cost) - slope,
        )


def case(
    chain: Chain,
    account: Account,
    *,
    rules: RuleSet,
    venue: Venue,
    now: datetime,
    law: SquareRoot | None = None,
    ticket_usd: float = 20.0,
    chain_digest: str | None = None,
) -> Case:
    """The case of an account; an account without a mandate, or under another rule set, is refused.

    `chain_digest` saves working it out again where many accounts share a chain.
    """
    mandate = account.mandate
    if mandate is None:
        raise BookError(f"{account.account_id} has no mandate; add one to the book file.")
    if mandate.rule_set != rules.name:
        raise BookError(f"{account.account_id} is under {mandate.rule_set}, not {rules.name}; pass its rule set.")
    tradable = universe(chain, account, venue, law=law)
    rows = tradable.rows
    matrix = now_matrix(chain, mandate, rows)
    values = now_values(chain, account, tradable, matrix)
    aims = _targets(chain, mandate, tradable)
    limits = [no_further_outside(mandate.bands, values, matrix), cost_limit(tradable, mandate)]
    return Case(
        chain=chain,
        account=account,
        mandate=mandate,
        rules=rules,
        venue=venue,
        now=now,
        universe=tradable,
        targets=aims,
        values=values,
        matrix=matrix,
        limits=Limits.together([*limits, cash_limits(chain, account, tradable)]),
        stress=stressed(chain, account, mandate, rules, tradable, targets=aims, now=values, now_slope=matrix),
        lots=Lots(
            lot=tradable.costs.lot,
            notional_usd=notional_usd(chain, rows),
            is_linear=_is_linear(chain, rows),
            ticket_usd=ticket_usd,
        ),
        margin=engine.requirement(chain, account, rules),
        chain_digest=chain_digest or digest(chain),
    )


def _is_linear(chain: Chain, rows: ndarray) -> Bool[ndarray, " row"]:
    return np.array([chain.instruments[row].kind is not Kind.OPTION for row in rows], dtype=np.bool_)


def _targets(chain: Chain, mandate: Mandate, tradable: Universe) -> tuple[Target, ...]:
    """Targets frozen at the book before the trade; gamma and cost matter only with a stated risk aversion."""
    if mandate.risk_aversion is None:
        return targets(chain, mandate, gamma={}, cost={})
    from_rows = _gamma(chain, tradable)
    shares = {name: delta_cost_share(chain, tradable.costs, name) for name in from_rows}
    return targets(
        chain, mandate, gamma=from_rows, cost={name: share for name, share in shares.items() if share is not None}
    )


def _gamma(chain: Chain, tradable: Universe) -> dict[str, float]:
    line = line_quantities(chain, ("gamma",), tradable.rows)["gamma"] * tradable.held
    names = chain.underlying[tradable.rows]
    return {str(name): float(line[names == name].sum()) for name in np.unique(names)}
