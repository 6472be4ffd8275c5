"""What a walk teaches of the reported intervals: from what was known alone, at the level that they say."""

from dataclasses import replace

import numpy as np
import pytest

from greekdrift.errors import InputError
from greekdrift.evaluate.intervals import cells_of, learnt, levels
from greekdrift.forecast.conformal import adapt
from greekdrift.units import from_datetime64


def changed(results, name, change):
    """The results with other PITs of a forecaster."""
    scores = results.of(name)
    pit = scores.pit.copy()
    change(pit)
    return replace(results, scores={**results.scores, name: replace(scores, pit=pit)})


def test_a_forecast_without_spread_has_none(results, panel):
    assert learnt(results, panel, "clock") is None


def test_each_cell_is_adapted_as_it_would_be_alone(results, panel):
    found = learnt(results, panel, "historical")
    cells = cells_of(results)
    assert found.cells == tuple(cells)
    assert found.cells[-1] == "all pnl_usd"
    observed = levels(results, "historical", 1, cells)
    books, quantity = cells["BTC vega"]
    at = found.cells.index("BTC vega")
    assert np.isfinite(observed[:, books, at]).any()
    assert (
        np.isfinite(observed[..., at]).sum()
        == np.isfinite(results.of("historical").pit[:, 1, books, quantity, 0]).sum()
    )
    rows = np.searchsorted(panel.as_of, results.origin)
    target = np.argmin(np.abs(panel.hours[rows][:, None] + 24.0 - panel.hours), axis=1)
    known = panel.known_at[target]
    lower = np.full((len(rows), len(results.books), 1), 0.1)
    alone = adapt(
        lower, 1.0 - lower, observed[..., at : at + 1],
        made_at=panel.known_at[rows], known_at=known, level=0.8, window=100_000,
    )  # fmt: skip
    np.testing.assert_allclose(found.tail[:-1, 1, at], 0.1 - 0.8 * alone.stretch[:, 0])


def test_a_row_rests_on_outcomes_known_by_then(results, panel):
    whole = learnt(results, panel, "historical")
    middle = len(results.origin) // 2

    def later(pit):
        pit[middle:] = 0.999

    other = learnt(changed(results, "historical", later), panel, "historical")
    known = whole.known_at <= panel.known_at[np.searchsorted(panel.as_of, results.origin[middle])]
    assert whole.tail[known].tobytes() == other.tail[known].tobytes()
    assert whole.held[known].tobytes() == other.held[known].tobytes()
    assert whole.tail.tobytes() != other.tail.tobytes()
    assert learnt(results, panel, "historical").tail.tobytes() == whole.tail.tobytes()


def test_what_failed_always_is_widened_until_nothing_bounded_is_promised(results, panel):
    def missed(pit):
        pit[np.isfinite(pit)] = 1.0

    found = learnt(changed(results, "historical", missed), panel, "historical")
    assert found.tail[0, 0, 0] == pytest.approx(0.1)
    assert np.all(found.tail[-1] <= 0.0)
    within = learnt(
        changed(results, "historical", lambda pit: pit.__setitem__(np.isfinite(pit), 0.5)), panel, "historical"
    )
    assert np.all(within.tail[-1] > 0.3)


def test_the_panel_must_be_the_one_that_was_walked(results, panel):
    with pytest.raises(InputError, match="walked"):
        learnt(results, panel.until(panel.known_at[-12]), "historical")


def test_what_is_reported_of_the_end_rests_on_all_of_it(results, panel):
    found = learnt(results, panel, "historical")
    last = found.at(from_datetime64(panel.known_at[-1]))
    per_horizon = [np.isfinite(results.of("historical").pit[:, at]).any(axis=(1, 2, 3)).sum() for at in (0, 1)]
    assert last.outcomes.tolist() == per_horizon
