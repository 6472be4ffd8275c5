"""The guard against hindsight: change everything that was known only later, and nothing computed before may change.

Three things can see the future: a feature, a label that is no future at all, and a procedure that fits, scales or
selects. Each has its guard; all of them change states, take rows away, let underlyings vanish, and correct and
backfill histories, after an instant.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Shaped
from numpy import ndarray

from greekdrift.errors import LeakError
from greekdrift.features.feature import Column, Feature
from greekdrift.features.history import Panel
from greekdrift.market.series import Series, series

Label = Callable[[Panel], Column]
"""What is to be forecast, for each row and underlying; NaN where it is not known yet."""
Procedure = Callable[[Panel, np.datetime64], ndarray]
"""What is learnt from a panel for use from an instant on: parameters, scales, names; numbers or text."""

MISSING = 0.1
BACKFILLS = 8
SHAKES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """A feature or procedure that depends on what was known only from `changed` on, or a label that does not."""

    feature: str
    row: int
    known_at: np.datetime64
    changed: np.datetime64
    is_label: bool = False

    def __str__(self) -> str:
        did = "stayed the same, whatever was" if self.is_label else "changed when only what was"
        return f"{self.feature} at row {self.row} ({self.known_at}) {did} known from {self.changed} on"


def leaks(features: Sequence[Feature], panel: Panel, *, seed: int, cuts: int = 8) -> tuple[Leak, ...]:
    """Leaks of features on a panel, at most one a feature.

    At several cuts what was known later is changed or taken away, on the panel as it is and with gaps in it (what
    fills gaps from behind shows only there); every feature of the rows before must stay equal bit by bit.
    """
    random = np.random.default_rng(seed)
    places = _places(panel, cuts, random)
    found: dict[str, Leak] = {}
    for base in (panel, _with_gaps(panel, random)):
        worlds = [(moment, other) for moment in places for other in _otherwise(base, moment, random)]
        for feature in features:
            if feature.name not in found:
                leak = _feature_leak(feature, base, worlds)
                found |= {} if leak is None else {feature.name: leak}
    return tuple(found.values())


def label_leaks(label: Label, panel: Panel, *, name: str, seed: int, cuts: int = 8) -> tuple[Leak, ...]:
    """The leak of a label that is known with its row: however the future changes, it never does.

    A label of the future changes in at least one of many futures. One that cannot be computed from the rows given
    (all NaN) is no leak and no label.
    """
    random = np.random.default_rng(seed)
    honest = label(panel)
    tried = None
    for moment in _places(panel, cuts, random):
        row = int(np.searchsorted(panel.known_at, moment, side="right")) - 1
        if not np.any(np.isfinite(honest[row])):
            continue
        tried = row
        for _ in range(SHAKES):
            if not np.all(_same(honest[row], label(_shaken(panel, moment, random, missing=0.0))[row])):
                return ()
    if tried is None:
        return ()
    return (_leak(name, panel, tried, is_label=True),)


def procedure_leaks(procedure: Procedure, panel: Panel, *, name: str, seed: int, cuts: int = 8) -> tuple[Leak, ...]:
    """The leak of a procedure: what it learns for an instant depends on what was known after that instant.

    So are found scales of the whole sample, targets that reach past the instant, words and instruments that only
    the later rows know.
    """
    random = np.random.default_rng(seed)
    for base in (panel, _with_gaps(panel, random)):
        for moment in _places(panel, cuts, random):
            honest = procedure(base, moment)
            for other in _otherwise(base, moment, random):
                seen = procedure(other, moment)
                if honest.shape != seen.shape or not np.all(_same(honest, seen)):
                    row = int(np.searchsorted(panel.known_at, moment, side="right")) - 1
                    return (_leak(name, panel, row),)
    return ()


def refuse_leaks(features: Sequence[Feature], panel: Panel, *, seed: int) -> None:
    """Raise `LeakError` naming the first feature that sees past `known_at`."""
    found = leaks(features, panel, seed=seed)
    if found:
        raise LeakError(f"{found[0]}; use only rows up to the feature's own, and data by their known_at.")


def _leak(name: str, panel: Panel, row: int, *, cut: int | None = None, is_label: bool = False) -> Leak:
    """A leak at a row; what was changed became known with the first row after the cut."""
    after = int(np.searchsorted(panel.known_at, panel.known_at[row if cut is None else cut], side="right"))
    return Leak(feature=name, row=row, known_at=panel.known_at[row], changed=panel.known_at[after], is_label=is_label)


def _places(panel: Panel, cuts: int, random: np.random.Generator) -> list[np.datetime64]:
    """Instants at which a row became known, with rows before and after: some at random, and some where it matters.

    What is read by when it happened, not by when it was known, shows only at a row that stands between the two: of
    each record such a row is taken, where there is one.
    """
    last = max(len(panel) - 1, 1)
    rows = [*random.integers(0, last, size=cuts).tolist()]
    for _, one in sorted(panel.histories.items()):
        waiting = _waiting(panel.known_at[:last], one)
        rows += [int(random.choice(waiting))] if waiting.size else []
    return [panel.known_at[row] for row in np.unique(rows) if panel.known_at[row] < panel.known_at[-1]]


def _waiting(moments: Shaped[ndarray, " row"], one: Series) -> ndarray:
    """Rows at which the newest event of a record has happened and is not known; where none is so, any event."""
    happened = np.searchsorted(np.sort(one.event_time), moments, side="right")
    known = np.searchsorted(one.known_at, moments, side="right")
    oldest = np.datetime64("0001-01-01", "us")
    newest = np.append(oldest, np.sort(one.event_time))[happened]
    told = np.append(oldest, np.maximum.accumulate(one.event_time))[known]
    found = np.flatnonzero(newest > told)
    return found if found.size else np.flatnonzero(happened > known)


def _feature_leak(feature: Feature, base: Panel, worlds: Sequence[tuple[np.datetime64, Panel]]) -> Leak | None:
    honest = feature.compute(base)
    for moment, other in worlds:
        seen = feature.compute(other)
        before = int(np.searchsorted(base.known_at, moment, side="right"))
        differs = ~_same(honest[:before], seen[:before])
        if np.any(differs):
            row = int(np.flatnonzero(differs.any(axis=1))[0])
            return _leak(feature.name, base, row, cut=before - 1)
    return None


def _otherwise(panel: Panel, moment: np.datetime64, random: np.random.Generator) -> tuple[Panel, ...]:
    """Worlds in which all was the same up to an instant: another future, an underlying less, no future."""
    return (
        _shaken(panel, moment, random, missing=MISSING),
        _without_one(panel, moment, random),
        panel.until(moment),
    )


def _shaken(panel: Panel, moment: np.datetime64, random: np.random.Generator, *, missing: float) -> Panel:
    """Later states moved at random, some made missing; histories moved, corrected and backfilled."""
    later = panel.known_at > moment
    state = panel.state.copy()
    state[later] = _moved(state[later], random, missing=missing)
    histories = {name: _rewritten(one, moment, random, missing=missing) for name, one in panel.histories.items()}
    return replace(panel, state=state, histories=histories)


def _without_one(panel: Panel, moment: np.datetime64, random: np.random.Generator) -> Panel:
    """One underlying has no state after the instant, as if it had been delisted; the histories end."""
    state = panel.state.copy()
    state[panel.known_at > moment, random.integers(len(panel.underlyings))] = np.nan
    return replace(panel, state=state, histories={name: one.until(moment) for name, one in panel.histories.items()})


def _rewritten(one: Series, moment: np.datetime64, random: np.random.Generator, *, missing: float) -> Series:
    """A history with other later rows, and with new later rows about events before the instant."""
    later = one.known_at > moment
    values = one.values.copy()
    values[later] = _moved(values[later], random, missing=missing)
    past = np.flatnonzero(one.event_time <= moment)
    if past.size == 0:
        return replace(one, values=values)
    told = random.choice(past, size=min(BACKFILLS, past.size), replace=False)
    delays = random.choice(86_400_000_000, size=told.size, replace=False) + 1
    return series(
        one.name,
        event_time=np.concatenate([one.event_time, one.event_time[told]]),
        known_at=np.concatenate([one.known_at, moment + delays.astype("timedelta64[us]")]),
        columns=one.columns,
        units=one.units,
        values=np.concatenate([values, _moved(one.values[told], random, missing=missing)]),
        hole_hours=one.hole_hours,
        lag_hours=one.lag_hours,
    )


def _with_gaps(panel: Panel, random: np.random.Generator) -> Panel:
    """The panel with some of its values missing, whole cells and whole rows."""
    state = panel.state.copy()
    state[random.uniform(size=state.shape) < MISSING] = np.nan
    state[random.uniform(size=len(panel)) < MISSING] = np.nan
    histories = {}
    for name, one in panel.histories.items():
        is_gone = random.uniform(size=len(one)) < MISSING
        histories[name] = replace(one, values=np.where(is_gone[:, None], np.nan, one.values))
    return replace(panel, state=state, histories=histories)


def _moved(values: Float[ndarray, "..."], random: np.random.Generator, *, missing: float) -> Float[ndarray, "..."]:
    """Values scaled and shifted at random; a share of them missing. What was missing gets a number."""
    size = np.where(np.isnan(values), 1.0, np.abs(values) + 1e-6)
    moved = np.where(np.isnan(values), 0.0, values) * random.uniform(0.5, 2.0, size=values.shape)
    moved += size * random.normal(size=values.shape)
    return np.where(random.uniform(size=values.shape) < missing, np.nan, moved)


def _same(left: Shaped[ndarray, "..."], right: Shaped[ndarray, "..."]) -> Bool[ndarray, "..."]:
    """Equal bit by bit as far as numbers go; two missing values are the same."""
    if left.dtype.kind != "f":
        return np.asarray(left == right)
    return (left == right) | (np.isnan(left) & np.isnan(right))
