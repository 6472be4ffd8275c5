"""The verdict: the judge's own numbers first, and only then what was claimed.

Stages, each of which must pass before the next can be asked: identity and time; listing; terms of orders; the account
after the trades; the claim.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from greekdrift.book import Account, Adjustment, Chain, Finding, Mandate, Outcome, Venue, digest
from greekdrift.book.rules import RuleSet
from greekdrift.errors import GreekdriftError
from greekdrift.units import aware
from greekdrift.verify.case import Case
from greekdrift.verify.certificate import Certificate, Compared
from greekdrift.verify.figure import figure
from greekdrift.verify.greeks import Value
from greekdrift.verify.limits import IDENTITY, LISTING, PRODUCTS, TERMS
from greekdrift.verify.numbers import Numbers, State, numbers
from greekdrift.verify.outcome import claims, judged
from greekdrift.verify.verified import SEAL, Refused, Verified


def verify(
    account: Account,
    chain: Chain,
    adjustment: Adjustment,
    mandate: Mandate | None,
    rules: RuleSet,
    now: datetime,
    *,
    venue: Venue,
) -> Verified | Refused:
    """Whether an adjustment is right for an account, recomputed from book and chain and never from a forecast.

    Right means: meant for this account and this chain, in time, in listed and allowed instruments, on lots and ticks,
    within collar, participation and size; afterwards no banded Greek is further outside its band, now or in the rule
    set's stressed states, margin and buffer are covered, no currency is overdrawn, the cost is allowed; and every
    claimed number equals the recomputed one to 1e-9. The same inputs give the same certificate, to the byte.
    """
    if mandate is None:
        return _refused([_missing_mandate(account)])
    case = Case.of(account, chain, adjustment, mandate, rules, aware(now), venue)
    findings: list[Finding] = []
    for stage in (IDENTITY, LISTING, PRODUCTS, TERMS):
        findings += [check(case) for check in stage]
        if not _pass(findings):
            return _refused(findings)
    try:
        found = numbers(case)
    except (GreekdriftError, ArithmeticError, ValueError) as problem:
        detail = f"the account cannot be computed: {problem}"
        return _refused([*findings, Finding(check="numbers", passed=False, value=None, limit=None, detail=detail)])
    findings += judged(case, found)
    findings += claims(adjustment.claim, found)
    if not _pass(findings):
        return _refused(findings)
    return Verified(adjustment=adjustment, certificate=_certificate(case, adjustment, found, findings), seal=SEAL)


def _certificate(case: Case, adjustment: Adjustment, found: Numbers, findings: list[Finding]) -> Certificate:
    before, after, money = found.before, found.after, found.gross_usd
    needed = after.margin.initial_margin_usd + case.margin_addon_usd + case.mandate.liquidity_buffer_usd
    return Certificate.of(
        account_id=case.account.account_id,
        as_of=case.chain.as_of,
        now=case.now,
        valid_until=case.valid_until,
        outcome=Outcome.VERIFIED_ML if adjustment.is_forecast_based else Outcome.BASELINE,
        digests={
            "account": digest(case.account),
            "adjustment": digest(adjustment),
            "chain": case.chain_digest,
            "mandate": digest(case.mandate),
            "rules": digest(case.rules),
            "venue": digest(case.venue),
        },
        provenance=adjustment.provenance,
        compared=_compared(found),
        stressed=tuple(
            (state, *row) for state, values in before.stressed.items() for row in _greeks(values, after.stressed[state])
        ),
        scenarios=tuple(
            _row(name, before.margin.scenario_pnl.get(name, 0.0), after.margin.scenario_pnl.get(name, 0.0), money)
            for name in dict.fromkeys([*before.margin.scenario_pnl, *after.margin.scenario_pnl])
        ),
        worst_scenario=(before.margin.worst_scenario, after.margin.worst_scenario),
        cost_usd=figure(found.cost_usd, found.cost_usd),
        margin_addon_usd=case.margin_addon_usd,
        call_usd=figure(max(needed - after.margin.equity_usd, 0.0), money),
        findings=tuple(findings),
    )


def _compared(found: Numbers) -> tuple[Compared, ...]:
    """Each banded Greek, margin figure and currency, before and after."""
    before, after = found.before, found.after
    margins = zip(_margin(before).items(), _margin(after).values(), strict=True)
    return (
        *_greeks(before.greeks, after.greeks),
        *(_row(name, was, now, found.gross_usd) for (name, was), now in margins),
        *(
            _row(f"cash, {currency}", before.cash.get(currency, 0.0), after.cash.get(currency, 0.0), 0.0)
            for currency in sorted({*before.cash, *after.cash})
        ),
    )


def _greeks(before: Mapping[str, Value], after: Mapping[str, Value]) -> list[Compared]:
    return [
        _row(label, was.value, after[label].value, max(was.gross, after[label].gross)) for label, was in before.items()
    ]


def _row(name: str, before: float, after: float, scale: float) -> Compared:
    return name, figure(before, scale), figure(after, scale)


def _margin(side: State) -> dict[str, float]:
    margin = side.margin
    return {
        "initial margin, USD": margin.initial_margin_usd,
        "maintenance margin, USD": margin.maintenance_margin_usd,
        "equity, USD": margin.equity_usd,
        "excess, USD": margin.excess_usd,
    }


def _pass(findings: Iterable[Finding]) -> bool:
    return all(one.passed for one in findings)


def _refused(findings: list[Finding]) -> Refused:
    return Refused(findings=tuple(findings))


def _missing_mandate(account: Account) -> Finding:
    detail = f"{account.account_id} has no mandate; nothing may be done without one"
    return Finding(check="mandate", passed=False, value=None, limit=None, detail=detail)
