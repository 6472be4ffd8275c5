"""The interval that is reported of a book's quantity: at the level that held often enough of late.

A forecast's own 80 % interval runs from its 10 % to its 90 % quantile. Where those of the past held more or less often
than they said, the reported one runs from another tail p to 1 − p of the *same* scenarios. What p is, is adaptive
conformal inference (`forecast.conformal`) on levels: the outcome is the level u of what happened in its forecast, the
forecast's interval is [α/2, 1 − α/2], and every score is a distance in levels. So what reference books taught holds
for any size of a book, and one number for each cell and horizon is all that must be kept:

    tail p = α/2 − q (1 − α),   q the stretch; no bounded interval where p is below the first of the scenarios

A cell is a Greek of an underlying ("BTC vega") or the P&L of all of them ("all pnl_usd"). A walk-forward writes what
it learnt to `intervals.json` (`evaluate.intervals`), by the instant at which it was known, so that a forecast as of
any instant takes what was known then.

Claim: long-run coverage of what was reported, over the reference books of a cell, and nothing else. Scenarios, Greeks,
decisions and the law of the policy are not changed. Where the coverage of what was reported leaves its allowed band
(`Intervals.reason`), the law is not one to act upon, and the deterministic rule decides.

Source: Gibbs & Candès (2021), with the law's own quantiles as the nested sets of their eq. 1.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
from jaxtyping import Float, Shaped
from numpy import ndarray

from greekdrift.book import Band, canonical, digest
from greekdrift.durable import write_durably
from greekdrift.errors import ArtefactError, GreekdriftError, InputError
from greekdrift.score import quantile
from greekdrift.units import aware, datetime64, from_datetime64, instant, stamp

FILE = "intervals.json"
FORMAT, VERSION = "greekdrift-intervals", 1
LEVEL = 0.8
"""Level of the intervals that are reported."""
ALLOWED = 0.1
"""How far the coverage of what was reported may lie from its level, before the deterministic rule decides."""
LAST, LEAST = 120, 60
"""Origins over which coverage is looked at, and fewer than which tell nothing."""
EVERY = "all"
"""The underlying of a cell that spans all of them."""
PNL = "pnl_usd"
LEARNT_AS: Mapping[str, str] = {
    "delta": "delta_usd",
    "delta_usd": "delta_usd",
    "delta_net": "delta_usd",
    "delta_collateral": "delta_usd",
    "gamma": "gamma",
    "vega": "vega",
    "theta": "theta",
    "value_usd": PNL,
}
"""Greek of a reference book from which the level of a Greek is learnt."""


def cell_of(quantity: str, band: Band | None = None) -> str | None:
    """The cell that speaks of a quantity of an account, with its band where it is one; None where none does.

    >>> cell_of("vega of BTC"), cell_of("delta_net of ETH"), cell_of("pnl_usd"), cell_of("initial_margin_usd")
    ('BTC vega', 'ETH delta_usd', 'all pnl_usd', None)
    """
    if band is not None:
        greek, underlying = str(band.greek), band.underlying
    elif quantity == PNL:
        return f"{EVERY} {PNL}"
    else:
        greek, _, underlying = quantity.partition(" of ")
    return f"{underlying} {LEARNT_AS[greek]}" if underlying and greek in LEARNT_AS else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Intervals:
    """What was known at an instant of the intervals of one forecaster.

    `tail` is the level of an interval's lower end, by horizon (hours) and cell; −∞ where none that is bounded can be
    promised. `outcomes` are the origins behind it by horizon, `coverage` the share of what was reported that held at
    the last `recent` of them; NaN where there is none.
    """

    forecaster: str
    level: float
    horizons: tuple[float, ...]
    cells: tuple[str, ...]
    tail: Float[ndarray, "horizon cell"]
    outcomes: Float[ndarray, " horizon"]
    recent: Float[ndarray, " horizon"]
    coverage: Float[ndarray, " horizon"]
    known_at: datetime

    def tail_of(self, cell: str | None, hours: float) -> float | None:
        """Level of the lower end for a cell at a horizon; None where nothing was learnt about it."""
        near = [at for at, one in enumerate(self.horizons) if abs(one - hours) < 1e-6]
        if cell not in self.cells or not near or self.outcomes[near[0]] == 0.0:
            return None
        return float(self.tail[near[0], self.cells.index(cell)])

    @property
    def reason(self) -> str:
        """Why the law is not one to act upon: the first horizon whose coverage is out of its band; blank where none is.

        NaN is out of every band.
        """
        low, high = self.level - ALLOWED, self.level + ALLOWED
        for hours, share, count in zip(self.horizons, self.coverage, self.recent, strict=True):
            if count >= LEAST and not low <= share <= high:
                return (
                    f"the reported intervals of {self.forecaster} held {share:.1%} of the time at the last {count:.0f} "
                    f"origins of {hours:g} h known at {stamp(self.known_at)}; allowed are {low:.0%} to {high:.0%}"
                )
        return ""

    @property
    def note(self) -> str:
        """What they rest on, in a sentence."""
        parts = [
            f"{hours:g} h: {count:.0f} origins, {share:.1%} of the last {last:.0f} held"
            for hours, count, share, last in zip(self.horizons, self.outcomes, self.coverage, self.recent, strict=True)
            if count
        ]
        return f"{self.level:.0%} intervals adapted to outcomes known at {stamp(self.known_at)} ({'; '.join(parts)})"

    def plain(self) -> dict[str, Any]:
        """What they rest on, as JSON values."""
        return {
            "forecaster": self.forecaster,
            "level": self.level,
            "known_at": stamp(self.known_at),
            "horizons_hours": list(self.horizons),
            "outcomes": [int(one) for one in self.outcomes],
            "coverage": [None if np.isnan(one) else float(one) for one in self.coverage],
            "last": [int(one) for one in self.recent],
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learnt:
    """What a walk-forward of one forecaster taught, row by row of the instants at which it was known.

    `tail` as in `Intervals`; `held` and `outcomes` are sums over the origins known by then: of the share of the
    reported intervals that held, and of one each.
    """

    forecaster: str
    level: float
    horizons: tuple[float, ...]
    cells: tuple[str, ...]
    known_at: Shaped[ndarray, " row"]
    tail: Float[ndarray, "row horizon cell"]
    held: Float[ndarray, "row horizon"]
    outcomes: Float[ndarray, "row horizon"]

    def __post_init__(self) -> None:
        rows, shape = len(self.known_at), (len(self.horizons), len(self.cells))
        is_whole = self.tail.shape == (rows, *shape) and self.held.shape == self.outcomes.shape == (rows, shape[0])
        if rows == 0 or not is_whole or not 0.0 < self.level < 1.0:
            raise InputError(f"intervals of {self.forecaster}: {rows} rows, level {self.level}, tables do not fit.")
        if np.any(np.diff(self.known_at) <= np.timedelta64(0, "us")):
            raise InputError(f"intervals of {self.forecaster}: instants must increase.")
        counts = np.concatenate([np.zeros((1, shape[0])), self.outcomes])
        shares = np.diff(np.concatenate([np.zeros((1, shape[0])), self.held]), axis=0)
        added = np.diff(counts, axis=0)
        if not np.all((shares >= -1e-5) & (shares <= added + 1e-5)) or np.any(np.isnan(self.tail)):
            raise InputError(f"intervals of {self.forecaster}: more held than there were, or a level is no number.")

    def at(self, moment: datetime) -> Intervals | None:
        """What was known at an instant; None before the first."""
        row = int(np.searchsorted(self.known_at, datetime64(aware(moment)), side="right")) - 1
        if row < 0:
            return None
        count = self.outcomes[row]
        recent, coverage = np.zeros(len(self.horizons)), np.full(len(self.horizons), np.nan)
        for at in range(len(self.horizons)):
            before = int(np.searchsorted(self.outcomes[: row + 1, at], count[at] - LAST, side="right")) - 1
            start = (self.held[before, at], self.outcomes[before, at]) if before >= 0 else (0.0, 0.0)
            recent[at] = count[at] - start[1]
            if recent[at]:
                coverage[at] = (self.held[row, at] - start[0]) / recent[at]
        return Intervals(
            forecaster=self.forecaster,
            level=self.level,
            horizons=self.horizons,
            cells=self.cells,
            tail=self.tail[row],
            outcomes=count,
            recent=recent,
            coverage=coverage,
            known_at=from_datetime64(self.known_at[row]),
        )

    def plain(self) -> dict[str, Any]:
        """JSON values; null is an unbounded tail."""
        return {
            "level": self.level,
            "horizons": list(self.horizons),
            "cells": list(self.cells),
            "known_at": [stamp(from_datetime64(one)) for one in self.known_at],
            "tail": [
                [[round(one, 5) if np.isfinite(one) else None for one in cells] for cells in row]
                for row in self.tail.tolist()
            ],
            "held": np.round(self.held, 5).tolist(),
            "outcomes": self.outcomes.astype(int).tolist(),
        }

    @classmethod
    def of(cls, forecaster: str, values: Mapping[str, Any]) -> Self:
        """The record of these values."""
        tail = [[[-np.inf if one is None else float(one) for one in cells] for cells in row] for row in values["tail"]]
        return cls(
            forecaster=forecaster,
            level=float(values["level"]),
            horizons=tuple(float(one) for one in values["horizons"]),
            cells=tuple(str(one) for one in values["cells"]),
            known_at=np.array([datetime64(instant(one)) for one in values["known_at"]]),
            tail=np.array(tail, dtype=np.float64),
            held=np.array(values["held"], dtype=np.float64),
            outcomes=np.array(values["outcomes"], dtype=np.float64),
        )


def ends(
    samples: Float[ndarray, "scenario horizon"], weights: Float[ndarray, " scenario"], tails: Float[ndarray, " horizon"]
) -> tuple[Float[ndarray, " horizon"], Float[ndarray, " horizon"]]:
    """The interval from tail p to 1 − p of the scenarios at each horizon; ±∞ where p is below the first of them.

    >>> low, high = ends(np.arange(9.0)[:, None].repeat(2, axis=1), np.full(9, 1 / 9), np.array([0.2, 0.05]))
    >>> low.round(6).tolist(), high.tolist()
    ([1.0, -inf], [7.0, inf])
    """
    size = 1.0 / float(np.sum(weights**2))
    low, high = np.full(len(tails), -np.inf), np.full(len(tails), np.inf)
    for at, tail in enumerate(tails):
        if tail >= 1.0 / (size + 1.0) - 1e-12:
            low[at], high[at] = quantile(samples[:, at], (tail, 1.0 - tail), weights=weights)
    return low, high


def write(path: Path, found: Mapping[str, Learnt]) -> None:
    """Puts what was learnt, by forecaster, in the place of what stood in the file."""
    values = {name: one.plain() for name, one in sorted(found.items())}
    write_durably(path, canonical({"format": FORMAT, "version": VERSION, "values": values, "sha256": digest(values)}))


def read(path: Path) -> dict[str, Learnt]:
    """What a file holds, by forecaster; one that is damaged or was changed is refused."""
    try:
        told = json.loads(path.read_bytes())
        values, sealed = told["values"], told["sha256"]
        is_ours = told["format"] == FORMAT and told["version"] == VERSION and digest(values) == sealed
        found = {str(name): Learnt.of(str(name), one) for name, one in values.items()} if is_ours else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, GreekdriftError) as problem:
        raise ArtefactError(
            f"{path} cannot be read ({type(problem).__name__}: {problem}); make it again with greekdrift evaluate."
        ) from problem
    if found is None:
        raise ArtefactError(f"{path} was changed, or is of another version; make it again with greekdrift evaluate.")
    return found


def learnt_of(path: Path, forecaster: str) -> Learnt | None:
    """What a file holds of a forecaster, also where it was judged as a trained model; None where it holds nothing."""
    found = read(path)
    return found.get(f"{forecaster} (trained)", found.get(forecaster))
