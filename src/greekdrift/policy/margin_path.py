"""Margin of hypothetical books along recorded history: the requirement, what a forecast says it needs, what it needed.

A book is made anew at each snapshot (`made`: a recipe that rolls, or fixed positions), forecast from what was known
then, and left alone for the horizon. The need is the fall of the excess liquidity (equity − initial margin) over the
horizon: its quantile is the reserve that a margin call needs. What cannot be known is NaN and counted, never 0.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from greekdrift.book import Account, Chain
from greekdrift.book.rules import RuleSet
from greekdrift.errors import DataError, InputError
from greekdrift.features.history import Panel
from greekdrift.forecast.forecaster import Forecaster, Predictor
from greekdrift.greeks.exposure import weights
from greekdrift.margin import engine
from greekdrift.margin.ahead import ahead, came
from greekdrift.market.source import Source
from greekdrift.policy.premargin import quantile
from greekdrift.score.tradeoff import Past
from greekdrift.surface import fit
from greekdrift.surface.revalue import revalue
from greekdrift.units import datetime64, from_datetime64, stamp

Amounts = Float[ndarray, "origin account"]
Made = Callable[[Chain], Sequence[Account]]

LEVELS = (0.95, 0.99)
TOLERANCE_HOURS = 1.5
FIRST_DAYS = 30


class Progress(Protocol):
    """What is told of the work that is done."""

    def __call__(self, done: int, total: int, /) -> None: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which part of history, how far ahead, and how a forecast is made: refitted every so many hours.

    Without `since` it begins after the first `FIRST_DAYS` days, which a law needs to learn from.
    """

    since: datetime | None = None
    until: datetime | None = None
    hours: float = 24.0
    levels: tuple[float, ...] = LEVELS
    scenarios: int = 500
    refit_hours: float = 720.0
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarginPath:
    """Margin of some accounts at some instants, USD; NaN where an account could not be made, or its end not be seen.

    `need_usd` are quantiles (level, origin, account) of the forecast need, not below 0; `realised_usd` is the fall that
    came, negative where excess liquidity rose.
    """

    as_of: ndarray
    account_ids: tuple[str, ...]
    levels: tuple[float, ...]
    hours: float
    equity_usd: Amounts
    requirement_usd: Amounts
    need_usd: Float[ndarray, "level origin account"]
    realised_usd: Amounts

    def since(self, moment: datetime) -> "MarginPath":
        """The path from an instant on."""
        there = self.as_of >= datetime64(moment)
        if not np.any(there):
            raise InputError(f"the path has no snapshot from {stamp(moment)} on.")
        return self._at(there)

    def until(self, moment: datetime) -> "MarginPath":
        """The path before an instant, without the ends that were seen only later."""
        before = np.asarray(self.as_of < datetime64(moment))
        if not np.any(before):
            raise InputError(f"the path has no snapshot before {stamp(moment)}.")
        seen = self.as_of + np.timedelta64(round(3600.0 * (self.hours + TOLERANCE_HOURS)), "s")
        known = np.asarray(seen < datetime64(moment))
        found = self._at(before)
        return replace(found, realised_usd=np.where(known[before][:, None], found.realised_usd, np.nan))

    def _at(self, chosen: Bool[ndarray, " origin"]) -> "MarginPath":
        names = ("equity_usd", "requirement_usd", "realised_usd")
        parts = {name: getattr(self, name)[chosen] for name in names}
        return replace(self, as_of=self.as_of[chosen], need_usd=self.need_usd[:, chosen], **parts)

    def need(self, level: float) -> Amounts:
        """The forecast need at one level."""
        if level not in self.levels:
            raise InputError(f"no need at level {level:g}; there are {', '.join(f'{one:g}' for one in self.levels)}.")
        found: Amounts = self.need_usd[self.levels.index(level)]
        return found

    def past(self, level: float) -> Past:
        """The need at one level, the requirement and what came, as a trade-off is judged on."""
        return Past(
            as_of=self.as_of,
            raw_usd=self.need(level),
            requirement_usd=self.requirement_usd,
            needed_usd=self.realised_usd,
        )


def margin_path(
    source: Source,
    panel: Panel,
    made: Made,
    rules: RuleSet,
    *,
    forecaster: Forecaster | None,
    asked: Asked,
    account_ids: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> MarginPath:
    """The margin of the accounts that `made` makes, at each row of the panel within the window asked for.

    `account_ids` are the accounts to follow: those of the first snapshot where none are named.

    Without a forecaster there are requirements and what was needed, and no forecast. Timing: the forecast of a row
    is made from the panel up to it and by a law fitted on no later one; `realised_usd` is known `hours` later.
    """
    rows = _rows(panel, asked)
    chains = [from_datetime64(moment) for moment in panel.as_of]
    if account_ids is None:
        account_ids = [one.account_id for one in made(source.chain(chains[rows[0]]))]
    names = _distinct(account_ids)
    shape = (len(rows), len(names))
    equity, requirement, realised = (np.full(shape, np.nan) for _ in range(3))
    need = np.full((len(asked.levels), *shape), np.nan)
    predictor: Predictor | None = None
    fitted_at = -np.inf
    for at, row in enumerate(rows):
        chain = source.chain(chains[row])
        if forecaster is not None and (predictor is None or panel.hours[row] - fitted_at >= asked.refit_hours):
            predictor, fitted_at = forecaster.fit(panel.until(panel.known_at[row])), panel.hours[row]
        accounts = [one for one in made(chain) if one.account_id in names]
        place = [names.index(one.account_id) for one in accounts]
        if accounts:
            margins = [engine.requirement(chain, one, rules) for one in accounts]
            equity[at, place] = [one.equity_usd for one in margins]
            requirement[at, place] = [one.initial_margin_usd for one in margins]
            now = requirement[at, place]
            later = _later(panel, row, asked.hours)
            if later is not None:
                seen = came(chain, source.chain(chains[later]), accounts, rules, equity_usd=[0.0] * len(accounts))
                realised[at, place] = seen.shortfall[0, 0] - now
            if predictor is not None:
                history = panel.until(panel.known_at[row])
                need[:, at, place] = needed(
                    chain, accounts, rules, predictor, history, requirement_usd=now, asked=asked
                )
        if progress is not None:
            progress(at + 1, len(rows))
    return MarginPath(
        as_of=panel.as_of[rows],
        account_ids=names,
        levels=asked.levels,
        hours=asked.hours,
        equity_usd=equity,
        requirement_usd=requirement,
        need_usd=need,
        realised_usd=realised,
    )


def needed(
    chain: Chain,
    accounts: Sequence[Account],
    rules: RuleSet,
    predictor: Predictor,
    history: Panel,
    *,
    requirement_usd: Float[ndarray, " account"],
    asked: Asked,
) -> Float[ndarray, "level account"]:
    """Quantiles of the fall of the excess over the horizon, not below 0, by the exact engine in every scenario."""
    held = np.flatnonzero(np.any(weights(chain, accounts) != 0.0, axis=0))
    if not held.size:
        return np.zeros((len(asked.levels), len(accounts)))
    scenarios = predictor.predict(history, horizons=[asked.hours], n=asked.scenarios, seed=asked.seed)
    repriced = revalue(chain, fit.fit(chain), scenarios, rows=held, names=("value_usd",))
    found = ahead(chain, accounts, rules, repriced, equity_usd=[0.0] * len(accounts))
    fall = found.shortfall[:, -1, :] - requirement_usd
    return np.array(
        [
            [max(0.0, quantile(fall[:, at], found.weights, level)) for at in range(len(accounts))]
            for level in asked.levels
        ]
    )


def listed(accounts: Sequence[Account]) -> Made:
    """The maker of fixed books: each account where all that it holds is listed, and nowhere else."""

    def made(chain: Chain) -> list[Account]:
        there = {one.name for one in chain.instruments}
        return [one for one in accounts if all(held.instrument.name in there for held in one.positions)]

    return made


def _distinct(account_ids: Sequence[str]) -> tuple[str, ...]:
    names = tuple(account_ids)
    if not names or len(set(names)) != len(names):
        raise InputError(
            f"{len(names)} hypothetical books of {len(set(names))} names; at least one, each its own name."
        )
    return names


def _rows(panel: Panel, asked: Asked) -> list[int]:
    first = panel.as_of[0] + FIRST_DAYS * np.timedelta64(1, "D") if asked.since is None else datetime64(asked.since)
    is_in = panel.as_of >= first
    if asked.until is not None:
        is_in &= panel.as_of <= datetime64(asked.until)
    if not np.any(is_in):
        raise DataError(
            f"no snapshot from {stamp(from_datetime64(first))} on within the history, which ends at "
            f"{stamp(from_datetime64(panel.as_of[-1]))}; ask for an earlier --since, or give more of the past."
        )
    return np.flatnonzero(is_in).tolist()


def _later(panel: Panel, row: int, hours: float) -> int | None:
    """The row nearest to a horizon later, within the tolerance."""
    apart = np.abs(panel.hours - panel.hours[row] - hours)
    best = int(np.argmin(apart))
    return best if apart[best] <= TOLERANCE_HOURS and best > row else None
