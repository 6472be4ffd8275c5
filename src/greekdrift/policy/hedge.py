"""The hedge of one account: one convex programme over scenarios, in whole lots, checked against doing nothing.

    minimise   fees + half spread + impact + tickets                        what the trade costs
             + ½ T Σ_bands price · outside(now)                             breach loss now, for T hours
             + ½ T Σ_bands price · mean over scenarios, horizons of outside breach loss ahead
             + mean over scenarios, horizons of (IM − equity)⁺              margin calls ahead
    subject to what `limits` holds: Greeks no further outside, now and stressed; margin, cost, cash, size, lots

The mean, not a tail of it: the tail of breach loss costs 9 % more for the same depth. `baseline` is the same programme
without a forecast: breach loss now with weight one. Doing nothing is always a candidate, and wins where its objective
is not higher. Every proposal carries both objectives, exactly evaluated on all scenarios.
"""

import numpy as np
from numpy import ndarray

from greekdrift.margin.addon import Step, step
from greekdrift.margin.dressing import PLAIN, Dressing, State
from greekdrift.policy.ahead import representatives
from greekdrift.policy.breach import now_hinges, scenario_hinges
from greekdrift.policy.case import Case, Trade
from greekdrift.policy.lots import whole_lots
from greekdrift.policy.objective import Calls, Objective, Proposal, proposal, ranking
from greekdrift.policy.relief import relieved
from greekdrift.policy.solver import Hinges, Limits
from greekdrift.surface.revalue import Revaluation, part

SEARCH_ROWS = 1_500
"""Hinges up to which the search takes all scenarios; beyond, representatives steer it."""
ROUNDS = 8


def baseline(
    at: Case, *, hours: float = 24.0, dressing: Dressing = PLAIN, previous_addon: State | None = None
) -> Proposal:
    """The deterministic rule: the programme on today's Greeks, each breach priced for some hours, no forecast.

    It asks for no add-on, but one that was held is released as slowly as ever: a missing forecast frees no margin.
    """
    loss = now_hinges(at.targets, at.values, at.matrix, hours=hours)
    objective = Objective(at, loss)
    trade = _search(at, objective, loss)
    held = _held(at, dressing, previous_addon, raw_usd=None, requirement_usd=at.margin_after(trade).initial_margin_usd)
    return proposal(objective, trade, addon=held, is_forecast=False, source="baseline")


def propose(
    at: Case,
    revaluation: Revaluation,
    *,
    source: str,
    dressing: Dressing = PLAIN,
    previous_addon: State | None = None,
    margin_level: float = 0.95,
) -> Proposal:
    """The proposal from a forecast: `revaluation` holds the rows of the case (and may hold more) in every scenario.

    `source` names the forecast in the adjustment. The add-on is the requirement's quantile ahead above the one of now,
    for the account after the trade, held as the dressing says from the state of the last decision.
    """
    own = part(revaluation, rows=at.universe.rows)
    hours = 0.5 * float(own.horizons[-1])
    now_loss = now_hinges(at.targets, at.values, at.matrix, hours=hours)
    objective = Objective(at, now_loss, ahead_loss=_ahead_hinges(at, own, hours=hours), calls=Calls(at, own))
    trade = _search(at, objective, Hinges.together([now_loss, _steering(at, own, objective, hours=hours)]))
    requirement_now = at.margin_after(trade).initial_margin_usd
    raw = objective.need_usd(trade, requirement_now, level=margin_level)
    held = _held(at, dressing, previous_addon, raw_usd=raw, requirement_usd=requirement_now)
    return proposal(objective, trade, addon=held, is_forecast=True, source=source)


def _held(
    at: Case, dressing: Dressing, previous: State | None, *, raw_usd: float | None, requirement_usd: float
) -> Step:
    """The step of the add-on; a clock that went back counts as no time passed."""
    as_of = at.now if previous is None else max(at.now, previous.as_of)
    return step(dressing, previous, as_of=as_of, raw_usd=raw_usd, requirement_usd=requirement_usd)


def _search(at: Case, objective: Objective, steering: Hinges) -> Trade:
    """The best whole-lot trade that stands, doing nothing among them.

    The programme knows margin through cuts only, so it is solved again with one more cut of each kind at what it found,
    until that repeats or no cut was needed.
    """
    tried = [at.nothing]
    cuts = [objective.cuts(at.nothing)]
    limits: list[Limits] = []
    for _ in range(ROUNDS):
        reliefs = objective.reliefs(cuts)
        programme = relieved(at.programme(steering, limits), reliefs)
        found = whole_lots(programme, at.lots.widened(len(reliefs)))[: at.nothing.size]
        is_new = not any(np.array_equal(found, one) for one in tried)
        stands = at.stands(found)
        tried.append(found if stands else _shrunk(at, found))
        more = objective.cuts(found) if is_new else (None, None)
        if not is_new or (stands and more == (None, None)):
            break
        cuts.append(more)
        limits += [] if stands else at.cuts(found)
    return tried[int(np.argmin([objective.total(one) for one in tried]))]


def _shrunk(at: Case, trade: Trade) -> Trade:
    """The largest of a few shares of a trade that stands; nothing where none does."""
    for share in (0.75, 0.5, 0.25):
        less = np.round(np.trunc(share * trade / at.lots.lot + 1e-9) * at.lots.lot, 9)
        if at.stands(less):
            return less
    return at.nothing


def _ahead_hinges(at: Case, own: Revaluation, *, hours: float, chosen: tuple[ndarray, ndarray] | None = None) -> Hinges:
    scenarios, weight = chosen if chosen is not None else (np.arange(own.weights.size), own.weights)
    return scenario_hinges(
        at.chain,
        at.account,
        at.mandate,
        at.targets,
        at.universe,
        own,
        hours=hours,
        scenarios=scenarios,
        weights=weight,
    )


def _steering(at: Case, own: Revaluation, objective: Objective, *, hours: float) -> Hinges:
    """The breach losses ahead that the search sees: all where they are few, else those of representative scenarios."""
    whole = objective.ahead_loss
    count = max(8, SEARCH_ROWS // max(1, own.horizons.size * len(at.targets)))
    if whole is not None and count >= own.weights.size:
        return whole
    return _ahead_hinges(at, own, hours=hours, chosen=representatives(ranking(at, own), own.weights, count))
