"""Finished features kept as mapped arrays: used only while everything that they were made of stays."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from greekdrift.errors import DataError
from greekdrift.features import provenance
from greekdrift.features.calendar import HourOfDay
from greekdrift.features.history import Panel, example
from greekdrift.features.stored import stored_features
from greekdrift.market import series

COMPUTED: list[str] = []


@dataclass(frozen=True, kw_only=True)
class Counted:
    """The close of a history, counted."""

    factor: float = 1.0
    note: Any = None
    name: str = "counted"
    lookback_hours: float = 0.0
    timing: str = "known by then"
    source: str = "test"

    def compute(self, panel: Panel) -> np.ndarray:
        COMPUTED.append(self.name)
        line = panel.history("example/BTC").as_of(panel.known_at, "close")
        return self.factor * np.repeat(line[:, None], len(panel.underlyings), axis=1)


@pytest.fixture
def panel() -> Panel:
    COMPUTED.clear()
    return replace(example(rows=12), histories={"example/BTC": series.example(rows=60)})


def test_features_are_computed_once_and_mapped(panel: Panel, tmp_path: Path) -> None:
    features = (Counted(), HourOfDay(wave="sin"))
    first = stored_features(panel, features, cache=tmp_path)
    again = stored_features(panel, features, cache=tmp_path)
    assert COMPUTED == ["counted"]
    assert again.feature_names == ("counted", "hour_sin")
    for made in (first, again):
        np.testing.assert_array_equal(
            made.feature("counted")[:, 0], panel.histories["example/BTC"].as_of(panel.known_at, "close")
        )
        np.testing.assert_array_equal(made.state, panel.state)
        assert isinstance(made.features.base, np.memmap)
        assert made.features.dtype == np.float64
        assert made.histories == panel.histories
    assert len(again.until(panel.known_at[3])) == 4


def test_anything_that_matters_makes_them_anew(panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(given: Panel, *features: Counted) -> None:
        stored_features(given, features, cache=tmp_path)

    made(panel, Counted())
    made(panel, Counted(factor=2.0))
    made(replace(panel, state=panel.state + 1e-12), Counted())
    made(replace(panel, known_at=panel.known_at + np.timedelta64(1, "us")), Counted())
    one = panel.histories["example/BTC"]
    late = replace(one, known_at=one.known_at + np.timedelta64(1, "us"))
    made(replace(panel, histories={"example/BTC": late}), Counted())
    assert len(COMPUTED) == 5
    made(panel, Counted())
    assert len(COMPUTED) == 5
    monkeypatch.setattr(provenance, "_sha256", lambda page: f"another {page}")
    made(panel, Counted())
    assert len(COMPUTED) == 6


def test_damaged_arrays_are_made_anew(panel: Panel, tmp_path: Path) -> None:
    stored_features(panel, (Counted(),), cache=tmp_path)
    (block,) = tmp_path.glob("panel-*/features.npy")
    block.write_bytes(block.read_bytes()[:-4])
    again = stored_features(panel, (Counted(),), cache=tmp_path)
    assert len(COMPUTED) == 2
    assert np.isfinite(again.feature("counted")).any()


def test_what_has_no_canonical_form_is_refused(panel: Panel, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no canonical form"):
        stored_features(panel, (Counted(note=object()),), cache=tmp_path)


def test_the_text_of_what_is_imported_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    page = provenance._page("greekdrift.units")
    before = provenance.code("greekdrift.features.calendar")
    honest = provenance._sha256
    monkeypatch.setattr(provenance, "_sha256", lambda one: "edited" if one == page else honest(one))
    assert provenance.code("greekdrift.features.calendar") != before
    monkeypatch.setattr(provenance, "_sha256", lambda one: "edited" if one and one.name == "app.py" else honest(one))
    assert provenance.code("greekdrift.features.calendar") == before
    with pytest.raises(DataError, match=r"greekdrift.nothing is no module"):
        provenance.code("greekdrift.units", "greekdrift.nothing")


def test_a_class_without_a_file_is_refused() -> None:
    homeless = type("Homeless", (), {"__module__": "nowhere"})
    with pytest.raises(DataError, match="stands in no file"):
        provenance.text_of(homeless)
