"""Finished features of a panel, kept as mapped arrays under a key of everything that they were made of."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from greekdrift.book import digest
from greekdrift.features.feature import Feature
from greekdrift.features.history import Panel
from greekdrift.features.provenance import code, identity
from greekdrift.features.table import with_features
from greekdrift.market import blocks


def stored_features(panel: Panel, features: Sequence[Feature], *, cache: Path) -> Panel:
    """The panel with these features, from the cache folder where they are, else computed and put there.

    The key holds the states and histories value by value, the features, and the program's text. State and features
    of the panel are float64 arrays mapped into memory: a process that trains reads what it uses.
    """
    folder = cache / f"panel-{_key(panel, features)[:24]}"
    kept = blocks.read(folder)
    if kept is None:
        made = with_features(panel, features)
        blocks.write(folder, {"state": made.state, "features": made.features}, {"names": made.feature_names})
        kept = blocks.read(folder)
        if kept is None:
            return made
    return replace(
        panel,
        feature_names=tuple(kept.facts["names"]),
        state=kept.arrays["state"],
        features=kept.arrays["features"],
    )


def _key(panel: Panel, features: Sequence[Feature]) -> str:
    rows = {name: getattr(panel, name) for name in ("as_of", "known_at", "state", "underlyings", "factors")}
    facts = {name: getattr(panel, name) for name in ("step_hours", "clock", "gap_steps")}
    read = {name: digest(one) for name, one in sorted(panel.histories.items())}
    return digest([rows, facts, read, identity(features), code("greekdrift.features.history")])
