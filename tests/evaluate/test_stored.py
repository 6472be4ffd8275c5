"""Kept walks: the same numbers, nothing walked twice, nothing stale."""

from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pytest

from greekdrift.book import Scenarios
from greekdrift.errors import InputError, LeakError
from greekdrift.evaluate import Results, walk
from greekdrift.evaluate.fixed import Fixed
from greekdrift.evaluate.stored import Kept, identity_of, stored_walk, together
from greekdrift.features.panel import Panel
from greekdrift.forecast.clock import Clock
from greekdrift.forecast.econometric import FilteredHistorical
from greekdrift.forecast.historical import Historical
from greekdrift.market.simulate import SimulatedSource
from greekdrift.units import from_datetime64


@dataclass(frozen=True)
class Counted:
    """A clock that counts its fits; the counter is no part of what it is."""

    name: str = "counted"

    def fit(self, panel: Panel) -> object:
        FITS.append(len(panel))
        return Clock().fit(panel)


FITS: list[int] = []


@pytest.fixture(scope="module")
def kept(source: SimulatedSource, panel: Panel, results: Results, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    settings = replace(results.settings, every=6)
    return Kept.of(panel, source, settings, cache=tmp_path_factory.mktemp("cache"))


def same(one: Results, other: Results) -> None:
    for name in ("drift", "scale", "breach", "increment", "origin", "fold", "level"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert list(one.scores) == list(other.scores)
    assert (one.books, one.dropped, one.step_hours) == (other.books, other.dropped, other.step_hours)
    for name, scores in one.scores.items():
        for field in fields(scores):
            np.testing.assert_array_equal(getattr(scores, field.name), getattr(other.of(name), field.name))


def test_kept_walks_are_those_of_one_walk_and_are_read_back(kept: Kept, source: SimulatedSource, panel: Panel) -> None:
    forecasters = {"clock": Clock(), "historical": Historical()}
    expected = walk(panel, source, forecasters, kept.settings)
    first, again = stored_walk(kept, forecasters), stored_walk(kept, forecasters)
    same(expected, first)
    same(expected, again)


def test_a_walk_that_is_kept_is_not_walked_again(kept: Kept) -> None:
    FITS.clear()
    assert not kept.is_kept(Counted())
    told: list[str] = []
    stored_walk(kept, {"clock": Clock(), "counted": Counted()}, told=told.append)
    fits = len(FITS)
    assert fits > 0
    assert kept.is_kept(Counted())
    stored_walk(kept, {"counted": Counted(), "clock": Clock()})
    assert len(FITS) == fits
    assert told == ["clock", "counted"]


def test_a_damaged_walk_is_made_again(kept: Kept) -> None:
    before = kept.walked("historical", Historical(mean_block=6.0))
    place = next(folder for folder in kept.cache.glob("walk-*") if _holds(folder, before))
    array = np.load(place / "score_crps.npy")
    array[np.isfinite(array)] += 1.0
    np.save(place / "score_crps.npy", array)
    same(before, kept.walked("historical", Historical(mean_block=6.0)))


def _holds(folder: Path, results: Results) -> bool:
    return np.array_equal(np.load(folder / "score_crps.npy"), results.of("historical").crps, equal_nan=True)


@dataclass(frozen=True)
class Told:
    """A source that knows the digest of its chains."""

    digest: str


def test_other_settings_data_or_values_are_another_key(kept: Kept, panel: Panel) -> None:
    state = panel.state.copy()
    state[-1, 0, 0] += 1e-9
    changed = replace(kept.settings, scenarios=121)
    asked = [
        (panel, Told("a"), kept.settings),
        (panel, Told("a"), changed),
        (panel, Told("b"), kept.settings),
        (replace(panel, state=state), Told("a"), kept.settings),
        (panel, Told("a"), kept.settings),
    ]
    bases = [Kept.of(one, source, settings, cache=kept.cache).base for one, source, settings in asked]  # type: ignore[arg-type]
    assert bases[0] == bases[-1]
    assert len(set(bases)) == 4
    assert identity_of(Historical()) != identity_of(Historical(mean_block=5.0)) != identity_of(Clock())
    assert identity_of(FilteredHistorical()) != identity_of(FilteredHistorical(flat=True))


def test_walks_of_other_origins_are_not_put_together(results: Results) -> None:
    one = replace(results, scores={"clock": results.of("clock")})
    assert list(together([one, replace(one, scores={"again": results.of("again")})]).scores) == ["clock", "again"]
    with pytest.raises(InputError, match="same origins"):
        together([one, replace(one, drift=one.drift + 1.0)])


def test_refusals(kept: Kept) -> None:
    with pytest.raises(InputError, match="at least one forecaster"):
        stored_walk(kept, {})


def test_a_trained_predictor_is_asked_about_later_time_only(kept: Kept, panel: Panel) -> None:
    until = panel.known_at[40]
    predictor = Historical().fit(panel.until(until))
    fixed = Fixed(predictor=predictor, learnt_until=from_datetime64(until), digest="d")
    assert fixed.fit(panel) is fixed
    with pytest.raises(LeakError, match="start the evaluation later"):
        fixed.predict(panel.until(until), horizons=[6.0], n=20, seed=1)
    found = fixed.predict(panel.until(panel.known_at[41]), horizons=[6.0], n=20, seed=1)
    assert isinstance(found, Scenarios)
    assert identity_of(fixed) != identity_of(replace(fixed, digest="e"))
    assert kept.walked("fixed", fixed).of("fixed").crps.shape[0] > 5
