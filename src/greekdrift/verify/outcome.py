"""What the account is after the trades, held against the mandate; and what was claimed, held against the judge's own.

Rounding is forgiven to 1e-9 of a value and 1e-12 of the gross sum behind it. A comparison with NaN fails. What is
written down is rounded to nine digits of that gross sum (`verify.figure`), what is compared is not.
"""

from collections.abc import Iterable, Mapping
from math import isfinite, isnan, nan

from greekdrift.book import Band, Claim, Finding
from greekdrift.book.rules import STRESS_TOLERANCE
from greekdrift.verify.case import Case
from greekdrift.verify.figure import figure
from greekdrift.verify.greeks import Value
from greekdrift.verify.numbers import Numbers

RELATIVE = 1e-9
OF_GROSS = 1e-12


def judged(case: Case, found: Numbers) -> tuple[Finding, ...]:
    """Findings on the account after the trades: Greeks now and stressed, margin, cash, cost."""
    bands = case.mandate.bands
    return (
        *(greek_is_no_further_outside(band, found) for band in bands),
        *(greek_is_no_worse_under_stress(band, case, found) for band in bands),
        initial_margin_is_covered(case, found),
        maintenance_margin_is_covered(case, found),
        *(cash_is_there(currency, found) for currency in sorted({*found.before.cash, *found.after.cash})),
        cost_is_allowed(case, found),
        addon_is_no_larger_than_the_book(case, found),
    )


def claims(claim: Claim, found: Numbers) -> tuple[Finding, ...]:
    """Findings on each claimed number: equal to the judge's own."""
    own, gross = found.after, found.gross_usd
    money = {
        "initial margin": (claim.initial_margin_usd, own.margin.initial_margin_usd),
        "maintenance margin": (claim.maintenance_margin_usd, own.margin.maintenance_margin_usd),
        "equity": (claim.equity_usd, own.margin.equity_usd),
        "cost": (claim.cost_usd, found.cost_usd),
    }
    return (
        *_all_claimed("greeks", claim.greeks, own.greeks),
        *(
            _claimed(f"claimed greek {label}", claim.greeks[label], value.value, value.gross)
            for label, value in own.greeks.items()
            if label in claim.greeks
        ),
        *(_claimed(f"claimed {name}", said, value, gross) for name, (said, value) in money.items()),
        *_all_claimed("currencies", claim.cash, own.cash),
        *(
            _claimed(f"claimed cash {currency}", claim.cash[currency], value, abs(value))
            for currency, value in own.cash.items()
            if currency in claim.cash
        ),
    )


def greek_is_no_further_outside(band: Band, found: Numbers) -> Finding:
    """A Greek inside its band stays inside; one outside gets no further away."""
    before, after = found.before.greeks[band.label], found.after.greeks[band.label]
    allowed = band.distance_outside(before.value)
    outside = band.distance_outside(after.value)
    passed = isfinite(after.value) and outside <= allowed + _rounding(before, after)
    gross = max(before.gross, after.gross)
    was, is_now = figure(before.value, gross), figure(after.value, gross)
    detail = f"{was:.6g} before, {is_now:.6g} after, band [{band.lower:g}, {band.upper:g}]"
    return Finding(
        check=f"band {band.label}",
        passed=passed,
        value=_plain(outside, gross),
        limit=_plain(allowed, gross),
        detail=detail if passed else f"{detail}: further outside than before",
    )


def greek_is_no_worse_under_stress(band: Band, case: Case, found: Numbers) -> Finding:
    """The largest distance outside over the stressed states grows by no more than `margin.stress` allows."""
    before, after = (
        _largest(band.distance_outside(state[band.label].value) for state in side.stressed.values())
        for side in (found.before, found.after)
    )
    centre = 0.5 * (band.lower + band.upper)
    off_before, off_after = (abs(side.greeks[band.label].value - centre) for side in (found.before, found.after))
    width = band.upper - band.lower
    allowed = before + max(0.0, off_before - off_after) + STRESS_TOLERANCE * width if case.orders else before
    values = [state[band.label] for side in (found.before, found.after) for state in side.stressed.values()]
    passed = isfinite(after) and after <= allowed + _rounding(*values)
    gross = max((one.gross for one in values), default=0.0)
    was, is_now = figure(before, gross), figure(after, gross)
    detail = (
        f"worst distance outside over {len(found.after.stressed)} stressed states {was:.6g} before, {is_now:.6g} after"
    )
    return Finding(
        check=f"stressed {band.label}",
        passed=passed,
        value=_plain(after, gross),
        limit=_plain(allowed, gross),
        detail=detail if passed else f"{detail}: worse than allowed",
    )


def initial_margin_is_covered(case: Case, found: Numbers) -> Finding:
    """Initial margin is at most equity less the liquidity buffer; where it is not, the excess does not fall."""
    return _covered("initial margin", case, found, found.before.margin.excess_usd, found.after.margin.excess_usd)


def maintenance_margin_is_covered(case: Case, found: Numbers) -> Finding:
    """The same of the maintenance margin."""
    before, after = (
        side.margin.equity_usd - side.margin.maintenance_margin_usd for side in (found.before, found.after)
    )
    return _covered("maintenance margin", case, found, before, after)


def cash_is_there(currency: str, found: Numbers) -> Finding:
    """No currency is overdrawn by the trades."""
    before, after = found.before.cash.get(currency, 0.0), found.after.cash.get(currency, 0.0)
    allowed = min(before, 0.0)
    passed = isfinite(after) and after >= allowed - RELATIVE * abs(allowed)
    scale = max(abs(before), abs(after))
    return Finding(
        check=f"cash {currency}",
        passed=passed,
        value=_plain(after, scale),
        limit=_plain(allowed, scale),
        detail=f"{before:.6g} {currency} before, {after:.6g} after" + ("" if passed else ": overdrawn"),
    )


def cost_is_allowed(case: Case, found: Numbers) -> Finding:
    """Fees and the distance of limits from marks are within the mandate's cost."""
    limit = case.mandate.max_cost_usd
    passed = isfinite(found.cost_usd) and found.cost_usd <= limit * (1.0 + RELATIVE)
    detail = f"fees and spread of {len(case.orders)} orders, USD"
    return Finding(
        check="cost", passed=passed, value=_plain(found.cost_usd, found.cost_usd), limit=limit, detail=detail
    )


def addon_is_no_larger_than_the_book(case: Case, found: Numbers) -> Finding:
    """What is to be held on top of the requirement is at most the gross notional of lines and collateral.

    The add-on is not set against the equity: where the equity does not cover it, it is the call that is due.
    """
    passed = case.margin_addon_usd <= found.gross_usd
    return Finding(
        check="margin add-on",
        passed=passed,
        value=case.margin_addon_usd,
        limit=_plain(found.gross_usd, found.gross_usd),
        detail="held on top of the requirement, USD" + ("" if passed else ": more than the whole book"),
    )


def _covered(name: str, case: Case, found: Numbers, before: float, after: float) -> Finding:
    allowed = min(case.mandate.liquidity_buffer_usd, before)
    passed = isfinite(after) and after >= allowed - RELATIVE * abs(allowed) - OF_GROSS * found.gross_usd
    return Finding(
        check=name,
        passed=passed,
        value=_plain(after, found.gross_usd),
        limit=_plain(allowed, found.gross_usd),
        detail=f"equity above it, USD: {before:.2f} before, {after:.2f} after" + ("" if passed else ": too little"),
    )


def _claimed(check: str, said: float, own: float, gross: float) -> Finding:
    passed = isfinite(said) and isfinite(own) and abs(said - own) <= RELATIVE * abs(own) + OF_GROSS * gross
    detail = "as recomputed" if passed else f"claimed {said!r}, recomputed {own!r}"
    return Finding(check=check, passed=passed, value=_plain(said, abs(said)), limit=_plain(own, gross), detail=detail)


def _all_claimed(what: str, said: Mapping[str, float], own: Mapping[str, object]) -> Iterable[Finding]:
    """One finding where the claim names other things than the judge has."""
    strange, missing = sorted({*said} - {*own}), sorted({*own} - {*said})
    if strange or missing:
        detail = f"unknown: {', '.join(strange) or 'none'}; missing: {', '.join(missing) or 'none'}"
        yield Finding(check=f"claimed {what}", passed=False, value=len(said), limit=len(own), detail=detail)


def _largest(distances: Iterable[float]) -> float:
    """The largest distance, 0 without any; NaN where one of them is, which `max` alone would pass over."""
    found = list(distances)
    return nan if any(isnan(one) for one in found) else max(found, default=0.0)


def _rounding(*values: Value) -> float:
    return max((RELATIVE * abs(one.value) + OF_GROSS * one.gross for one in values), default=0.0)


def _plain(value: float, scale: float) -> float | str:
    """A figure, or the text of a number that is none, so that every finding has a canonical form."""
    return figure(value, scale) if isfinite(value) else str(value)
