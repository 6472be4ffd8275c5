"""The whole cycle on one page: surface → scenarios → revaluation (once) → forecast → proposal → verdict → journal.

Three outcomes and no fourth: VERIFIED_ML (the forecast's proposal, verified), BASELINE (the deterministic rule's,
verified too, with the reason why no forecast was used) and HOLD (nothing is done, with the reasons). What is shared
between accounts depends on the market alone; each account is decided on arrays of its own, so that its decision is
the same to the bit whatever another account holds.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import isfinite
from types import MappingProxyType

import numpy as np

from greekdrift import policy
from greekdrift.book import Account, Adjustment, Chain, Finding, Outcome, Scenarios, Venue, digest
from greekdrift.book.rules import RuleSet
from greekdrift.errors import GreekdriftError, InputError
from greekdrift.features.history import Panel
from greekdrift.forecast.distribution import Forecast, forecast
from greekdrift.forecast.forecaster import Predictor
from greekdrift.forecast.intervals import Learnt
from greekdrift.forecast.novelty import Novelty
from greekdrift.journal import Journal
from greekdrift.journal.record import Decided, enter
from greekdrift.margin.addon import Step
from greekdrift.margin.ahead import ahead
from greekdrift.margin.dressing import PLAIN, Dressing, State
from greekdrift.policy.breach import quantities
from greekdrift.surface import fit
from greekdrift.surface.revalue import Revaluation, part, revalue
from greekdrift.surface.slices import Refusal
from greekdrift.units import aware, datetime64, from_datetime64, stamp
from greekdrift.verify import Certificate, Refused, Verified, verify

HORIZONS = (6.0, 12.0, 18.0, 24.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decision:
    """What one account does now, and why.

    `adjustment` and `certificate` are there if and only if the outcome is no HOLD: nothing unverified leaves.
    `objective` and `idle` are the parts, in USD, of the objective of the adjustment and of doing nothing.
    `findings` say what the judge refused on the way. `forecast` is there wherever there was one. `addon` is the step of
    the margin add-on, whose state the next cycle needs; a HOLD has none, and the state of before stays the last.
    """

    account_id: str
    outcome: Outcome
    reasons: tuple[str, ...]
    adjustment: Adjustment | None = None
    certificate: Certificate | None = None
    forecast: Forecast | None = None
    objective: Mapping[str, float] = field(default_factory=dict)
    idle: Mapping[str, float] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    addon: Step | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "objective", MappingProxyType(dict(self.objective)))
        object.__setattr__(self, "idle", MappingProxyType(dict(self.idle)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outlook:
    """What the forecaster says of the market, repriced once for all accounts; or the reason why there is nothing.

    `refused` are the expiries whose volatilities are moved along a stand-in, for their quotes gave no smile.
    """

    revaluation: Revaluation | None
    source: str
    reason: str
    refused: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Hours for which a breach is priced, and how the margin add-on is held."""

    hours: float
    dressing: Dressing


def rebalance(
    chain: Chain,
    accounts: Sequence[Account],
    *,
    rules: RuleSet | Mapping[str, RuleSet],
    venue: Venue,
    now: datetime,
    predictor: Predictor | None = None,
    novelty: Novelty | None = None,
    intervals: Learnt | None = None,
    history: Panel | None = None,
    horizons: Sequence[float] = HORIZONS,
    n: int = 256,
    seed: int = 0,
    dressing: Dressing = PLAIN,
    previous_addons: Mapping[str, State] | None = None,
    stale_after: timedelta = timedelta(minutes=10),
    journal: Journal | None = None,
) -> tuple[Decision, ...]:
    """One decision per account, in the order of the accounts.

    `history` ends with the snapshot of this chain; without it, without a predictor, or with a chain known for longer
    than `stale_after`, the deterministic rule decides; so it does where `novelty` finds the history too unlike what the
    predictor learnt from, and where the coverage of the reported `intervals`, as known now, left its allowed band.
    `previous_addons` are the states of the add-ons of the last cycle by account, `Decision.addon.state` of then;
    without one the add-on is taken at once, and its step says that it is the first. A clock that went back counts as
    no time passed. Accounts of one name all HOLD, for nobody could tell whose decision is whose. With a journal a
    decision counts once it is on disk: where that fails, every account HOLDs.
    """
    now = aware(now)
    terms = Terms(hours=_last(horizons), dressing=dressing)
    by_name = {rules.name: rules} if isinstance(rules, RuleSet) else dict(rules)
    if now < chain.known_at:
        early = f"the chain is known at {stamp(chain.known_at)} only, now is {stamp(now)}"
        decisions = tuple(_hold(account, early) for account in accounts)
    else:
        address, held = digest(chain), previous_addons or {}
        names = Counter(account.account_id for account in accounts)
        cases = [
            _case(chain, account, by_name, venue, now, address)
            if names[account.account_id] == 1
            else f"{names[account.account_id]} accounts are called {account.account_id}; give each a name of its own"
            for account in accounts
        ]
        reason = _no_forecast(chain, predictor, history, novelty, now=now, stale=stale_after)
        reason = reason or _not_covered(intervals, now)
        seen = (
            Outlook(revaluation=None, source="", reason=reason)
            if reason
            else _outlook(chain, cases, predictor, history, now=now, horizons=horizons, n=n, seed=seed)
        )
        decisions = tuple(
            _decided(account, case, seen, terms, previous=held.get(account.account_id))
            for account, case in zip(accounts, cases, strict=True)
        )
    return decisions if journal is None else _recorded(journal, chain, accounts, by_name, venue, now, decisions)


def _last(horizons: Sequence[float]) -> float:
    hours = [float(one) for one in horizons]
    if not hours or not all(isfinite(one) for one in hours) or any(np.diff([0.0, *hours]) <= 0.0):
        raise InputError(f"horizons {hours} must be hours ahead that rise, at least one.")
    return hours[-1]


def _case(
    chain: Chain, account: Account, rules: Mapping[str, RuleSet], venue: Venue, now: datetime, address: str
) -> policy.Case | str:
    """The case of an account, or why it has to HOLD."""
    if account.mandate is None:
        return "no mandate: nothing may be done without one"
    if account.mandate.rule_set not in rules:
        return f"its rule set {account.mandate.rule_set} is not at hand ({', '.join(sorted(rules))})"
    try:
        return policy.case(
            chain, account, rules=rules[account.mandate.rule_set], venue=venue, now=now, chain_digest=address
        )
    except GreekdriftError as problem:
        return str(problem)
    except Exception as problem:  # noqa: BLE001  one account's trouble, of whatever kind, is no other account's
        return f"its case failed: {type(problem).__name__}: {problem}"


def _outlook(
    chain: Chain,
    cases: Sequence[policy.Case | str],
    predictor: Predictor | None,
    history: Panel | None,
    *,
    now: datetime,
    horizons: Sequence[float],
    n: int,
    seed: int,
) -> Outlook:
    alive = [case for case in cases if isinstance(case, policy.Case)]
    if predictor is None or history is None or not alive:
        return Outlook(revaluation=None, source="", reason="")
    try:
        surface = fit.fit(chain, as_of=now)
    except GreekdriftError as problem:
        return Outlook(revaluation=None, source="", reason=f"the surface does not fit: {problem}")
    try:
        scenarios = predictor.predict(history, horizons=horizons, n=n, seed=seed)
        rows, names = _asked_for(alive, scenarios)
        repriced = revalue(chain, surface, scenarios, rows=rows, names=names) if rows.size else None
    except Exception as problem:  # noqa: BLE001  a model may fail in any way; the deterministic rule decides then
        return Outlook(
            revaluation=None, source="", reason=f"the forecast failed: {str(problem) or type(problem).__name__}"
        )
    return Outlook(revaluation=repriced, source=scenarios.provenance, reason="", refused=surface.refused)


def _no_forecast(
    chain: Chain,
    predictor: Predictor | None,
    history: Panel | None,
    novelty: Novelty | None,
    *,
    now: datetime,
    stale: timedelta,
) -> str:
    """Why there can be no forecast; blank where there can."""
    if predictor is None:
        return "no model"
    if history is None or len(history) < 2:
        return "cold start: no history" if history is None or len(history) == 0 else "cold start: one snapshot only"
    if now - chain.known_at > stale:
        return f"the chain is stale: known at {stamp(chain.known_at)}, now is {stamp(now)}"
    if history.as_of[-1] != datetime64(chain.as_of):
        return f"the history ends at {stamp(from_datetime64(history.as_of[-1]))}, the chain is of {stamp(chain.as_of)}"
    if history.known_at[-1] > datetime64(now):
        return f"the history is known at {stamp(from_datetime64(history.known_at[-1]))} only"
    return "" if novelty is None else _too_new(novelty, history)


def _too_new(novelty: Novelty, history: Panel) -> str:
    try:
        return novelty.judge(history).reason
    except Exception as problem:  # noqa: BLE001  what cannot be judged is not usual; the deterministic rule decides then
        return f"whether the market is usual could not be told: {type(problem).__name__}: {problem}"


def _not_covered(intervals: Learnt | None, now: datetime) -> str:
    """Why the law's reported intervals speak against it; blank where nothing is known of them."""
    if intervals is None:
        return ""
    try:
        known = intervals.at(now)
        reason = "" if known is None else known.reason
    except Exception as problem:  # noqa: BLE001  what cannot be judged is not good enough; the rule decides then
        reason = f"whether the reported intervals hold could not be told: {type(problem).__name__}: {problem}"
    return reason


def _asked_for(cases: Sequence[policy.Case], scenarios: Scenarios) -> tuple[np.ndarray, tuple[str, ...]]:
    """Rows and quantities of all accounts that the scenarios can speak of."""
    spoken = [case for case in cases if not _missing(case, scenarios.underlyings)]
    rows = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *(case.universe.rows for case in spoken)]))
    names = {"value_usd", "delta_usd", "delta_net", "gamma", "vega", "theta"}
    return rows, tuple(sorted(names.union(*(quantities(case.mandate) for case in spoken))))


def _missing(case: policy.Case, underlyings: Sequence[str]) -> list[str]:
    mine = {str(name) for name in case.chain.underlying[case.universe.rows]}
    mine |= {name for name in case.account.collateral if name in case.chain.index_price}
    return sorted(mine - set(underlyings))


def stand_ins(chain: Chain, account: Account, refused: Sequence[Refusal]) -> list[str]:
    """What the account holds on expiries that the surface refused: forecast along a stand-in, which is said."""
    rows = chain.rows(account.quantities()) if account.positions else np.zeros(0, dtype=np.int64)
    rows = rows[chain.is_option[rows]]
    held = {(str(name), moment) for name, moment in zip(chain.underlying[rows], chain.expiry[rows], strict=True)}
    return [
        f"{one.underlying} {stamp(one.expiry)} is forecast along a stand-in for its smile: {one.reason}"
        for one in refused
        if (one.underlying, datetime64(one.expiry)) in held
    ]


def _decided(
    account: Account, case: policy.Case | str, outlook: Outlook, terms: Terms, *, previous: State | None
) -> Decision:
    """The decision of one account, whatever goes wrong in it."""
    if not isinstance(case, policy.Case):
        return _hold(account, case)
    try:
        return _decide(case, outlook, terms, previous=previous)
    except Exception as problem:  # noqa: BLE001  one account's trouble, of whatever kind, is no other account's
        return _hold(account, f"the decision failed: {type(problem).__name__}: {problem}")


def _decide(case: policy.Case, outlook: Outlook, terms: Terms, *, previous: State | None) -> Decision:
    """Forecast first; where it is missing, fails or is refused the deterministic rule; where that is refused HOLD."""
    reasons = [outlook.reason] if outlook.reason else []
    findings: list[Finding] = []
    seen: Forecast | None = None
    repriced = outlook.revaluation
    missing = _missing(case, repriced.underlyings) if repriced is not None else []
    if missing:
        reasons.append(f"the model does not know {', '.join(missing)}")
    elif repriced is not None:
        own = part(repriced, rows=case.universe.rows)
        reasons += stand_ins(case.chain, case.account, outlook.refused)
        try:
            seen = _forecast(case, own, source=outlook.source)
            wanted = policy.propose(case, own, source=outlook.source, dressing=terms.dressing, previous_addon=previous)
        except Exception as problem:  # noqa: BLE001  whatever breaks in the forecast's way, the rule decides then
            reasons.append(f"no proposal from the forecast: {str(problem) or type(problem).__name__}")
        else:
            verdict = _verdict(case, wanted.adjustment)
            if isinstance(verdict, Verified):
                return _made(case, Outcome.VERIFIED_ML, reasons, wanted, verdict, seen, findings)
            reasons.append(f"the forecast's proposal was refused: {_failed(verdict)}")
            findings += verdict.findings
    return _fallen_back(case, reasons, findings, seen, terms, previous=previous)


def _fallen_back(
    case: policy.Case,
    reasons: list[str],
    findings: list[Finding],
    seen: Forecast | None,
    terms: Terms,
    *,
    previous: State | None,
) -> Decision:
    try:
        rule = policy.baseline(case, hours=terms.hours, dressing=terms.dressing, previous_addon=previous)
    except GreekdriftError as problem:
        return _hold(case.account, *reasons, f"no proposal from the deterministic rule: {problem}", seen=seen)
    verdict = _verdict(case, rule.adjustment)
    if isinstance(verdict, Verified):
        return _made(case, Outcome.BASELINE, reasons, rule, verdict, seen, findings)
    reasons.append(f"the deterministic rule was refused: {_failed(verdict)}")
    return _hold(case.account, *reasons, seen=seen, findings=(*findings, *verdict.findings))


def _forecast(case: policy.Case, own: Revaluation, *, source: str) -> Forecast:
    """The forecast of the account as it is: Greeks, P&L, margin and equity, with what they are now."""
    held = part(own, rows=np.unique(case.chain.rows(case.account.quantities()))) if case.account.positions else own
    margin = case.margin
    found = ahead(case.chain, [case.account], case.rules, held, equity_usd=[margin.equity_usd])
    extra = {
        "initial_margin_usd": (found.initial_margin, margin.initial_margin_usd),
        "maintenance_margin_usd": (found.maintenance_margin, margin.maintenance_margin_usd),
        "equity_usd": (found.equity, margin.equity_usd),
        "excess_usd": (-found.shortfall, margin.excess_usd),
    }
    return forecast(
        case.chain,
        [case.account],
        held,
        extra={name: samples for name, (samples, _) in extra.items()},
        extra_now={name: np.array([value]) for name, (_, value) in extra.items()},
        provenance=source,
    )


def _verdict(case: policy.Case, adjustment: Adjustment) -> Verified | Refused:
    return verify(case.account, case.chain, adjustment, case.mandate, case.rules, case.now, venue=case.venue)


def _failed(verdict: Refused) -> str:
    return "; ".join(f"{one.check} ({one.detail})" for one in verdict.findings if not one.passed)


def _made(
    case: policy.Case,
    outcome: Outcome,
    reasons: list[str],
    proposal: policy.Proposal,
    verdict: Verified,
    seen: Forecast | None,
    findings: Sequence[Finding],
) -> Decision:
    saving = proposal.idle_usd - proposal.objective_usd
    why = "doing nothing costs least" if proposal.is_idle else f"saves {saving:,.0f} USD against doing nothing"
    return Decision(
        account_id=case.account.account_id,
        outcome=outcome,
        reasons=(*reasons, why),
        adjustment=proposal.adjustment,
        certificate=verdict.certificate,
        forecast=seen,
        objective=proposal.parts,
        idle=proposal.idle_parts,
        addon=proposal.addon,
        findings=tuple(findings),
    )


def _hold(account: Account, *reasons: str, seen: Forecast | None = None, findings: Sequence[Finding] = ()) -> Decision:
    return Decision(
        account_id=account.account_id,
        outcome=Outcome.HOLD,
        reasons=tuple(reasons),
        forecast=seen,
        findings=tuple(findings),
    )


def _recorded(
    journal: Journal,
    chain: Chain,
    accounts: Sequence[Account],
    rules: Mapping[str, RuleSet],
    venue: Venue,
    now: datetime,
    decisions: tuple[Decision, ...],
) -> tuple[Decision, ...]:
    """The decisions once they are on disk; where that fails nothing is decided."""
    decided = [
        Decided(
            account=account,
            rules=rules.get(account.mandate.rule_set) if account.mandate is not None else None,
            outcome=decision.outcome,
            reasons=decision.reasons,
            findings=decision.findings,
            adjustment=decision.adjustment,
            certificate=decision.certificate,
        )
        for account, decision in zip(accounts, decisions, strict=True)
    ]
    try:
        enter(journal, decided, chain=chain, venue=venue, now=now)
    except (GreekdriftError, OSError) as problem:
        why = f"the decision could not be recorded: {problem}"
        return tuple(_hold(account, why, seen=one.forecast) for account, one in zip(accounts, decisions, strict=True))
    return decisions
