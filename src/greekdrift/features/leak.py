"""The guard against hindsight: change everything after an instant, and no feature before it may change."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from greekdrift.errors import LeakError
from greekdrift.features.feature import Feature
from greekdrift.features.history import Panel


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """A feature whose value at a row depends on what was known only later."""

    feature: str
    row: int
    known_at: np.datetime64
    changed: np.datetime64

    def __str__(self) -> str:
        return f"{self.feature} at row {self.row} ({self.known_at}) changed when rows known from {self.changed} on did"


def leaks(features: Sequence[Feature], panel: Panel, *, seed: int, cuts: int = 8) -> tuple[Leak, ...]:
    """Leaks of features on a panel, at most one a feature.

    At several cuts the states after the cut are replaced (shifted, scaled, made missing) and then taken away;
    every feature of the rows before must stay equal bit by bit.
    """
    random = np.random.default_rng(seed)
    places = np.unique(random.integers(1, len(panel), size=cuts))
    found: dict[str, Leak] = {}
    for feature in features:
        honest = feature.compute(panel)
        for place in places:
            leak = _leak_at(feature, panel, honest, int(place), random)
            if leak is not None:
                found.setdefault(feature.name, leak)
    return tuple(found.values())


def refuse_leaks(features: Sequence[Feature], panel: Panel, *, seed: int) -> None:
    """Raise `LeakError` naming the first feature that sees past `known_at`."""
    found = leaks(features, panel, seed=seed)
    if found:
        raise LeakError(f"{found[0]}; use only rows up to the feature's own, and data by their known_at.")


def _leak_at(
    feature: Feature, panel: Panel, honest: Float[ndarray, "row underlying"], place: int, random: np.random.Generator
) -> Leak | None:
    for other in (_shaken(panel, place, random), panel.until(panel.known_at[place - 1])):
        seen = feature.compute(other)
        before = panel.known_at[: len(seen)] < panel.known_at[place]
        differs = ~_same_bits(honest[: len(seen)], seen) & before[:, None]
        if np.any(differs):
            row = int(np.flatnonzero(differs.any(axis=1))[0])
            return Leak(feature=feature.name, row=row, known_at=panel.known_at[row], changed=panel.known_at[place])
    return None


def _shaken(panel: Panel, place: int, random: np.random.Generator) -> Panel:
    """The panel with every state that was known from row `place` on moved at random and some made missing."""
    later = panel.known_at >= panel.known_at[place]
    state = panel.state.copy()
    shape = state[later].shape
    moved = state[later] * random.uniform(0.5, 2.0, size=shape) + random.normal(size=shape)
    state[later] = np.where(random.uniform(size=shape) < 0.1, np.nan, moved)
    return replace(panel, state=state)


def _same_bits(left: Float[ndarray, "row cell"], right: Float[ndarray, "row cell"]) -> Bool[ndarray, "row cell"]:
    return (left == right) | (np.isnan(left) & np.isnan(right))
