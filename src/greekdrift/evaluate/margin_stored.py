"""Walks of margin that are kept, beside those of the Greeks: what came, and the scores of each forecaster.

The key holds all that the kept walks of the Greeks are keyed by, and the rule set, the margin settings, and the text of
all that the walk of margin imports.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from greekdrift.book import RuleSet, digest
from greekdrift.errors import InputError
from greekdrift.evaluate.margin_results import MarginResults, MarginScores, MarginSettings, MarginTruth
from greekdrift.evaluate.margin_walk import margin_truth, margin_walk
from greekdrift.evaluate.stored import Kept, identity_of
from greekdrift.evaluate.walk import Progress
from greekdrift.features.provenance import code
from greekdrift.forecast.forecaster import Forecaster
from greekdrift.market import blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptMargin:
    """The folder of kept walks of margin of one panel, source, protocol and rule set."""

    kept: Kept
    margin: MarginSettings
    rules: RuleSet
    base: str

    @classmethod
    def of(cls, kept: Kept, margin: MarginSettings, rules: RuleSet) -> "KeptMargin":
        """The folder beside that of the walks of the Greeks."""
        program = code("greekdrift.evaluate.margin_walk", without=("greekdrift.evaluate",))
        base = digest([kept.base, margin.digest, rules.sha256, program])
        return cls(kept=kept, margin=margin, rules=rules, base=base)

    def truth(self, *, progress: Progress | None = None) -> MarginTruth:
        """What came after every origin, from the folder or made and put there."""
        place = self.kept.cache / f"margin-truth-{self.base[:24]}"
        held = blocks.read(place)
        if held is not None:
            return MarginTruth(**held.arrays)
        kept = self.kept
        made = margin_truth(
            kept.panel, kept.source, kept.settings, margin=self.margin, rules=self.rules, progress=progress
        )
        arrays = {name: getattr(made, name) for name in ("initial_margin", "fall", "peak")}
        blocks.write(place, arrays, {})
        return made

    def is_kept(self, forecaster: Forecaster) -> bool:
        """Whether the margin scores of a forecaster lie there whole."""
        place = self._place(forecaster)
        return place is not None and blocks.read(place) is not None

    def scores(self, name: str, forecaster: Forecaster, *, progress: Progress | None = None) -> MarginScores:
        """The scores of one forecaster, from the folder or made and put there."""
        place = self._place(forecaster)
        held = None if place is None else blocks.read(place)
        if held is not None:
            return MarginScores(members=held.facts["members"], **held.arrays)
        made = self._walk({name: forecaster}, self.truth(progress=progress), progress).of(name)
        if place is not None:
            blocks.write(place, made.arrays(), {"members": made.members})
        return made

    def results(self, scores: Mapping[str, MarginScores]) -> MarginResults:
        """What came with the scores of several forecasters."""
        return replace(self._walk({}, self.truth(), None), scores=dict(scores))

    def _walk(
        self, forecasters: Mapping[str, Forecaster], truth: MarginTruth, progress: Progress | None
    ) -> MarginResults:
        kept = self.kept
        return margin_walk(
            kept.panel,
            kept.source,
            forecasters,
            kept.settings,
            margin=self.margin,
            rules=self.rules,
            truth=truth,
            progress=progress,
        )

    def _place(self, forecaster: Forecaster) -> Path | None:
        try:
            identity = identity_of(forecaster)
        except InputError:
            return None
        return self.kept.cache / f"margin-{digest([self.base, identity])[:24]}"


def stored_margin_walk(
    kept: KeptMargin,
    forecasters: Mapping[str, Forecaster],
    *,
    progress: Progress | None = None,
    told: Callable[[str], Any] | None = None,
) -> MarginResults:
    """The walk of margin of several forecasters, each kept as soon as it is done.

    `progress` is told (rows done, all rows) of each walk, `told` the name of each when it starts.
    """
    if not forecasters:
        raise InputError("evaluation of margin: give at least one forecaster.")
    kept.truth(progress=progress)
    found = {}
    for name, forecaster in forecasters.items():
        if told is not None:
            told(name)
        found[name] = kept.scores(name, forecaster, progress=progress)
    return kept.results(found)
