"""Walks that are kept: truth and the scores of each forecaster under a key of everything that they were made of.

A forecaster that is added, or whose program changed, is the only one that is walked again; a walk that was broken
off goes on with the forecasters that are missing.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from greekdrift.book import digest
from greekdrift.config.table import FORECASTERS, Component
from greekdrift.errors import InputError
from greekdrift.evaluate.fixed import Fixed
from greekdrift.evaluate.results import NO_CHANGE, Results, Scores
from greekdrift.evaluate.settings import Settings
from greekdrift.evaluate.truth import Truth
from greekdrift.evaluate.walk import Progress, realised, walk
from greekdrift.features.panel import Panel
from greekdrift.features.provenance import code, text_of
from greekdrift.features.states import Digested, quotes_digest
from greekdrift.forecast.forecaster import Forecaster
from greekdrift.market import blocks
from greekdrift.market.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The folder of kept walks of one panel, source and protocol.

    The first part of every key is the SHA-256 of panel, chains, settings and program; the second that of the
    forecaster: its values and the text of all of the package that it imports. `content` is the digest of the chains.
    """

    panel: Panel
    source: Source
    settings: Settings
    cache: Path
    content: str
    base: str

    @classmethod
    def of(cls, panel: Panel, source: Source, settings: Settings, *, cache: str | Path) -> "Kept":
        """The folder for these; every chain of a source that knows no digest of its own is read once."""
        rows = [panel.as_of, panel.known_at, panel.state, panel.features, panel.underlyings, panel.factors]
        facts = [panel.feature_names, panel.step_hours, panel.clock, panel.gap_steps]
        records = {name: digest(one) for name, one in sorted(panel.histories.items())}
        program = code("greekdrift.evaluate.walk", without=("greekdrift.evaluate",))
        chains = content(source)
        base = digest([rows, facts, records, chains, settings.digest, program])
        return cls(panel=panel, source=source, settings=settings, cache=Path(cache), content=chains, base=base)

    def truth(self, *, progress: Progress | None = None) -> Truth:
        """What happened after every origin, from the folder or made and put there."""
        place = self.cache / f"truth-{self.base[:24]}"
        kept = blocks.read(place)
        if kept is None:
            made = realised(self.panel, self.source, self.settings, progress=progress)
            blocks.write(place, {"drift": made.drift}, {})
            return made
        return Truth(drift=kept.arrays["drift"])

    def is_kept(self, forecaster: Forecaster) -> bool:
        """Whether the scores of a forecaster lie there whole."""
        place = self._place(forecaster)
        return place is not None and blocks.read(place) is not None

    def walked(self, name: str, forecaster: Forecaster, *, progress: Progress | None = None) -> Results:
        """The walk of one forecaster, from the folder or made and put there.

        One that has no identity, such as a function from outside, is walked each time.
        """
        place = self._place(forecaster)
        kept = None if place is None else blocks.read(place)
        if kept is not None:
            return self._results(name, kept)
        found = walk(self.panel, self.source, {name: forecaster}, self.settings, truth=self.truth(), progress=progress)
        if place is None:
            return found
        scores = found.of(name)
        arrays = {field: np.asarray(getattr(found, field)) for field in ("origin", "fold", "level")}
        arrays |= {field: getattr(found, field) for field in ("drift", "scale", "breach", "increment")}
        arrays |= {f"score_{field}": array for field, array in scores.arrays().items()}
        facts = {"step_hours": found.step_hours, "members": scores.members, "dropped": dict(found.dropped)}
        blocks.write(place, arrays, {**facts, "books": list(found.books)})
        return found

    def _place(self, forecaster: Forecaster) -> Path | None:
        try:
            identity = identity_of(forecaster)
        except InputError:
            return None
        return self.cache / f"walk-{digest([self.base, identity])[:24]}"

    def _results(self, name: str, kept: blocks.Blocks) -> Results:
        arrays, facts = kept.arrays, kept.facts
        scores = {field.removeprefix("score_"): array for field, array in arrays.items() if field.startswith("score_")}
        return Results(
            settings=self.settings,
            step_hours=facts["step_hours"],
            underlyings=self.panel.underlyings,
            factors=self.panel.factors,
            books=tuple(facts["books"]),
            origin=blocks.instants(arrays["origin"]),
            fold=arrays["fold"],
            level=arrays["level"],
            drift=arrays["drift"],
            scale=arrays["scale"],
            breach=arrays["breach"],
            increment=arrays["increment"],
            scores={name: Scores(members=facts["members"], **scores)},
            dropped=facts["dropped"],
        )


def stored_walk(
    kept: Kept,
    forecasters: Mapping[str, Forecaster],
    *,
    progress: Progress | None = None,
    told: Callable[[str], Any] | None = None,
) -> Results:
    """`walk` of several forecasters, each kept as soon as it is done; the same numbers as in one walk.

    `progress` is told (rows done, all rows) over all that is to be made, `told` the name of each when it starts.
    """
    if not forecasters or NO_CHANGE in forecasters:
        raise InputError(f'evaluation: give at least one forecaster, and none of the name "{NO_CHANGE}".')
    kept.truth(progress=progress)
    found = []
    for name, forecaster in forecasters.items():
        if told is not None:
            told(name)
        found.append(kept.walked(name, forecaster, progress=progress))
    return together(found)


def together(found: list[Results]) -> Results:
    """Walks of single forecasters over the same origins as one.

    Walks of other origins or another truth are refused.
    """
    first = found[0]
    for other in found[1:]:
        same = ("origin", "fold", "drift", "scale", "breach")
        if any(
            not np.array_equal(getattr(first, name), getattr(other, name), equal_nan=_is_float(name)) for name in same
        ):
            raise InputError("these walks are not of the same origins and truth; walk the forecasters again.")
    return replace(first, scores={name: scores for one in found for name, scores in one.scores.items()})


def _is_float(name: str) -> bool:
    return name in {"drift", "scale", "breach"}


def identity_of(forecaster: Forecaster) -> str:
    """SHA-256 of a forecaster: its values, the text behind its class and behind every forecaster that it names.

    One whose values have no canonical form (a function, a connection) is refused: two of them might look the same.

    >>> from greekdrift.forecast.historical import Historical
    >>> identity_of(Historical()) == identity_of(Historical(mean_block=8.0))
    False
    """
    if isinstance(forecaster, Fixed):
        return digest([forecaster.digest, forecaster.learnt_until, text_of(Fixed), text_of(type(forecaster.predictor))])
    words = set(re.findall(r"[a-z_]+", repr(forecaster)))
    named = [f"greekdrift.{FORECASTERS[word].partition(':')[0]}" for word in sorted(words & set(FORECASTERS))]
    values: Any = forecaster
    if is_dataclass(forecaster):
        values = {field.name: _plain(getattr(forecaster, field.name)) for field in fields(forecaster)}
    return digest([text_of(type(forecaster)), values, [code(module) for module in named]])


def _plain(value: Any) -> Any:
    """A component of a configuration as its values, anything else as it is."""
    return value.model_dump() if isinstance(value, Component) else value


def content(source: Source) -> str:
    """SHA-256 of all chains of a source and of the program that makes them."""
    if isinstance(source, Digested):
        return digest([source.digest, text_of(type(source))])
    return digest([[quotes_digest(source.chain(moment)) for moment in source.snapshots()], text_of(type(source))])
