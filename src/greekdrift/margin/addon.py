"""Margin ahead of the event: an add-on that covers what the requirement is likely to become, without sudden calls.

The forecast says what is needed (`policy.premargin`). Held as it is, that reserve is procyclical: it is smallest before
a shock and asks for most in the middle of one. A `Dressing` holds it within a budget: a machine whose whole state goes
in and comes out (`step`), so that it can be kept as JSON, replayed and checked. Each device that moves the add-on is
recorded with its reason; where coverage asks for more than the budget allows, that is said too.

    scale      raw is so much of the need, for what is held on covers too
    stressed   (1 − w) raw + w · highest of the look-back                     EU 153/2013, art. 28 (1) (b)
    floor      at least `floor` · quantile of the look-back                    art. 28 (1) (c)
    buffer     25 % more, drawn while the need stands high, then built again   art. 28 (1) (a)
    budget     by day at most `rise_per_day` · IM more, at most `peak_to_trough` between highest and lowest held
    release    by halves, not within `dead_band`, not before `wait_days` after the last rise

The look-back keeps raw/IM by day, so that levels stay comparable while the book's size changes.
Sources: EU Regulation 153/2013; ESMA91-1505572268-3217 on thresholds of drawing and building; Murphy, Vasios & Vause
(Bank of England, 2014).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import isfinite
from statistics import median

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.errors import InputError
from greekdrift.margin.dressing import Day, Dressing, Override, State
from greekdrift.units import aware, stamp

SLACK = 1e-9
"""Relative change of an add-on below which no device is said to have moved it."""
LEAST_USD = 1e-6
"""Requirement from which an account has shares of it; below, it is closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The add-on to hold now, the state to keep, the need it came from, and every override on the way.

    `target_usd` is where the devices want it before speed and release. `is_first`: nothing was known of before.
    """

    addon_usd: float
    raw_usd: float | None
    target_usd: float
    state: State
    overrides: tuple[Override, ...]
    is_first: bool

    @property
    def uncovered_usd(self) -> float:
        """What the forecast need is above the add-on: coverage that the budget has cost."""
        return max(0.0, (self.raw_usd or 0.0) - self.addon_usd)

    @property
    def findings(self) -> tuple[Override, ...]:
        """The overrides that say that coverage and budget cannot both be had."""
        return tuple(one for one in self.overrides if one.device == "budget")


def step(
    dressing: Dressing, previous: State | None, *, as_of: datetime, raw_usd: float | None, requirement_usd: float
) -> Step:
    """The add-on now, from the need now and the state of before (None: nothing is known of before).

    A need of None is no forecast: what is held is released as slowly as ever, and the look-back notes nothing.

    Pure: the same arguments give the same step. A step without a `previous` holds what the devices want at once. Beyond
    what is wanted at most the requirement itself is held on: a book that was closed keeps none.

    >>> from greekdrift.units import instant
    >>> monday, noon = instant("2026-02-02T00:00Z"), instant("2026-02-02T12:00Z")
    >>> first = step(Dressing(), None, as_of=monday, raw_usd=100.0, requirement_usd=1_000.0)
    >>> more = step(Dressing(), first.state, as_of=noon, raw_usd=900.0, requirement_usd=1_000.0)
    >>> first.addon_usd, more.addon_usd, more.uncovered_usd, more.findings[0].reason
    (100.0, 350.0, 550.0, 'coverage asks for 900 USD, a rise of 0.5 of the requirement a day allows 350')
    """
    raw = 0.0 if raw_usd is None else dressing.scale * raw_usd
    _check(previous, as_of=as_of, raw_usd=raw, requirement_usd=requirement_usd)
    days = () if previous is None else previous.days
    if raw_usd is not None:
        days = _noted(days, as_of, raw, requirement_usd, look_back=dressing.look_back_days)
    overrides: list[Override] = []
    if raw_usd is not None:
        _to("scale", raw_usd, raw, f"{dressing.scale:g} of the need: what is held on covers too", overrides)
    target, is_drawn = _target(dressing, previous, days, raw, requirement_usd, overrides)
    held = target
    if previous is not None:
        hours = (aware(as_of) - previous.as_of) / timedelta(hours=1)
        if target > previous.held_usd:
            held = _risen(dressing, previous, days, target, raw, requirement_usd, hours, overrides)
        else:
            held = _released(dressing, previous, target, requirement_usd, as_of, hours, overrides)
    has_risen = previous is None or held > previous.held_usd
    state = State(
        as_of=as_of,
        held_usd=held,
        is_drawn=is_drawn,
        risen_at=aware(as_of) if has_risen or previous is None else previous.risen_at,
        days=_with_held(days, as_of, held, requirement_usd),
    )
    return Step(
        addon_usd=held,
        raw_usd=raw_usd,
        target_usd=target,
        state=state,
        overrides=tuple(overrides),
        is_first=previous is None,
    )


def dress(
    dressing: Dressing,
    raw_usd: Sequence[float] | Float[ndarray, " origin"],
    requirement_usd: Sequence[float] | Float[ndarray, " origin"],
    *,
    as_of: Sequence[datetime],
    previous: State | None = None,
) -> tuple[Step, ...]:
    """The steps of one account along a series: a replay; its last state carries on from there."""
    if not len(raw_usd) == len(requirement_usd) == len(as_of):
        raise InputError(f"{len(raw_usd)} needs, {len(requirement_usd)} requirements, {len(as_of)} instants; one each.")
    found: list[Step] = []
    for raw, requirement, moment in zip(raw_usd, requirement_usd, as_of, strict=True):
        one = step(dressing, previous, as_of=moment, raw_usd=float(raw), requirement_usd=float(requirement))
        found.append(one)
        previous = one.state
    return tuple(found)


def _check(previous: State | None, *, as_of: datetime, raw_usd: float, requirement_usd: float) -> None:
    if not all(isfinite(one) and one >= 0.0 for one in (raw_usd, requirement_usd)):
        raise InputError(
            f"add-on from a need of {raw_usd} and a requirement of {requirement_usd} USD: each at least 0."
        )
    if previous is not None and aware(as_of) < previous.as_of:
        raise InputError(f"an add-on of {stamp(as_of)} after one of {stamp(previous.as_of)}: time does not go back.")


def _noted(
    known: tuple[Day, ...], as_of: datetime, raw_usd: float, requirement_usd: float, *, look_back: float
) -> tuple[Day, ...]:
    """The look-back with the need of now; a book without a requirement has no share to note."""
    if requirement_usd < LEAST_USD:
        return known
    today, share = aware(as_of).date(), raw_usd / requirement_usd
    first = (today - timedelta(days=look_back)).isoformat()
    if known and known[-1].date == today.isoformat():
        return (*known[:-1], replace(known[-1], raw=max(known[-1].raw, share)))
    kept = known if not known or known[0].date > first else tuple(one for one in known if one.date > first)
    return (*kept, Day(date=today.isoformat(), raw=share, held=float("inf")))


def _with_held(days: tuple[Day, ...], as_of: datetime, held_usd: float, requirement_usd: float) -> tuple[Day, ...]:
    if requirement_usd < LEAST_USD or not days or days[-1].date != aware(as_of).date().isoformat():
        return days
    return (*days[:-1], replace(days[-1], held=min(days[-1].held, held_usd / requirement_usd)))


def _target(
    dressing: Dressing,
    previous: State | None,
    days: tuple[Day, ...],
    raw_usd: float,
    requirement_usd: float,
    overrides: list[Override],
) -> tuple[float, bool]:
    """Where stress weight, floor and buffer want the add-on, and whether the buffer is drawn."""
    target, is_drawn = raw_usd, False if previous is None else previous.is_drawn
    past = [one.raw for one in days] if requirement_usd >= LEAST_USD else []
    if not past:
        return target, is_drawn
    highest = max(past) * requirement_usd
    if dressing.stressed_weight > 0.0:
        stressed = (1.0 - dressing.stressed_weight) * target + dressing.stressed_weight * highest
        target = _to(
            "stressed weight", target, stressed, f"the highest need of the look-back is {highest:,.0f} USD", overrides
        )
    if dressing.floor > 0.0:
        least = dressing.floor * _ranked(past, dressing.floor_quantile) * requirement_usd
        why = f"{dressing.floor:g} of the look-back's {dressing.floor_quantile:g} quantile"
        target = _to("floor", target, max(target, least), why, overrides)
    if dressing.peak_to_trough is not None:
        why = f"no lower than 1/{dressing.peak_to_trough:g} of the look-back's highest need"
        target = _to("trough", target, max(target, highest / dressing.peak_to_trough), why, overrides)
    if dressing.buffer > 0.0:
        usual = median(past) * requirement_usd
        is_drawn = target > (dressing.refill if is_drawn else dressing.draw) * usual
        full = (1.0 + dressing.buffer) * target
        there = 0.0 if previous is None else previous.held_usd
        wanted = max(target, min(full, there)) if is_drawn else full
        why = "drawn: the need stands high" if is_drawn else f"{dressing.buffer:.0%} on top"
        target = _to("buffer", target, wanted, why, overrides)
    return target, is_drawn


def _risen(
    dressing: Dressing,
    previous: State,
    days: tuple[Day, ...],
    target: float,
    raw_usd: float,
    requirement_usd: float,
    hours: float,
    overrides: list[Override],
) -> float:
    """Up to the target as far as the budget allows; what coverage asks for beyond it is said, held if it is first."""
    allowed = previous.held_usd + dressing.rise_per_day * requirement_usd * hours / 24.0
    why = f"a rise of {dressing.rise_per_day:g} of the requirement a day allows {allowed:,.0f}"
    if dressing.peak_to_trough is not None:
        lows = [one.held for one in days if 0.0 < one.held < float("inf")]
        top = dressing.peak_to_trough * min(lows) * requirement_usd if lows else float("inf")
        if top < allowed:
            allowed = max(top, previous.held_usd)
            why = f"{dressing.peak_to_trough:g} times the lowest held allows {allowed:,.0f}"
    held = min(target, allowed)
    asked = raw_usd > held * (1.0 + SLACK)
    if asked and dressing.coverage_first:
        held = raw_usd
    if asked:
        text = f"coverage asks for {raw_usd:,.0f} USD, {why}"
        overrides.append(Override(device="budget", before_usd=target, after_usd=held, reason=text))
    else:
        _to("speed limit", target, held, why, overrides)
    return held


def _released(
    dressing: Dressing,
    previous: State,
    target: float,
    requirement_usd: float,
    as_of: datetime,
    hours: float,
    overrides: list[Override],
) -> float:
    """Down to the target by halves, unless it is near or a rise is recent; a closed book keeps nothing."""
    most, excess = max(target, requirement_usd), previous.held_usd - target
    if excess <= dressing.dead_band * previous.held_usd:
        held, device, why = previous.held_usd, "dead band", f"within {dressing.dead_band:.0%} of what is held"
    elif previous.risen_at is not None and aware(as_of) - previous.risen_at < timedelta(days=dressing.wait_days):
        held, device = previous.held_usd, "wait"
        why = f"it rose at {stamp(previous.risen_at)}; nothing is released for {dressing.wait_days:g} days"
    else:
        held = target + excess * 0.5 ** (hours / (24.0 * dressing.release_half_life_days))
        device, why = "release", f"half of what is too much in {dressing.release_half_life_days:g} days"
    held = _to(device, target, held, why, overrides)
    return _to("size", held, min(held, most), f"no more than the requirement of {requirement_usd:,.0f} USD", overrides)


def _ranked(values: Sequence[float], level: float) -> float:
    """The smallest value that a share `level` of all do not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, max(0, int(np.ceil(level * len(ranked) - 1e-12)) - 1))]


def _to(device: str, before: float, after: float, reason: str, overrides: list[Override]) -> float:
    if abs(after - before) > SLACK * max(before, after):
        overrides.append(Override(device=device, before_usd=before, after_usd=after, reason=reason))
    return after
