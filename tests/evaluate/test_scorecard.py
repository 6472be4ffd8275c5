import json
from pathlib import Path

import numpy as np
import pytest

from greekdrift.errors import InputError
from greekdrift.evaluate import Results, Scorecard, scorecard
from greekdrift.evaluate.measures import breach_losses, breach_pairs, regime
from greekdrift.evaluate.plot import save
from greekdrift.evaluate.tables import aligned


@pytest.fixture(scope="module")
def card(results: Results) -> Scorecard:
    return scorecard(results, draws=300)


def test_a_forecaster_against_itself_is_exactly_one(card: Scorecard) -> None:
    for name in ("historical", "again"):
        for hours in card.horizons:
            for metric in ("loss", "energy", "brier", "loss vega", "log score"):
                one = card.find(name, hours, metric, "historical")
                assert one is not None
                assert (one.value, one.lower, one.upper, one.statistic) == (1.0, 1.0, 1.0, 0.0), metric


def test_ratios_are_ratios_of_mean_losses_on_common_origins(card: Scorecard, results: Results) -> None:
    one = card.find("truth", 24.0, "loss", "historical")
    assert one is not None
    first, second = results.losses("truth", 24.0), results.losses("historical", 24.0)
    both = np.isfinite(first) & np.isfinite(second)
    assert one.value == pytest.approx(first[both].mean() / second[both].mean())
    assert one.n == both.sum()
    assert one.lower is not None
    assert one.upper is not None
    assert one.lower < one.value < one.upper


def test_better_is_below_one_with_a_negative_statistic(card: Scorecard) -> None:
    worse, better = card.find("clock", 24.0, "loss", "historical"), card.find("foresight", 24.0, "energy", "historical")
    assert worse is not None
    assert better is not None
    assert worse.value > 1.1
    assert worse.statistic is not None
    assert worse.statistic > 2.0
    assert better.value < 0.01
    assert better.statistic is not None
    assert better.statistic < -2.0


def test_the_bar_is_the_best_known_one_that_was_run(card: Scorecard, results: Results) -> None:
    assert card.bar == "historical"
    assert scorecard(results, against=("clock",), draws=50).bar == "clock"
    assert scorecard(results, against=(), draws=50).bar == "clock"


def test_the_text_holds_every_forecaster_and_is_aligned(card: Scorecard) -> None:
    text = card.text()
    for name in (*card.forecasters, "no change"):
        assert name in text
    assert card.settings_digest[:12] in text
    assert "Primary endpoint" in text
    table = text.split("\n\n")[1].splitlines()[1:]
    assert len({line.index("n") for line in table[:1]}) == 1
    assert "1.000 [1.000, 1.000]" in text


def test_the_json_is_strict_and_holds_what_a_report_shows(card: Scorecard) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    values = json.loads(card.json(), parse_constant=refuse)
    assert {"note", "chart", "columns", "rows", "headline", "bar", "measures", "dropped"} <= set(values)
    assert [row["name"] for row in values["chart"]] == list(card.forecasters)
    assert all(len(row) == len(values["columns"]) for row in values["rows"])
    assert values["headline"]["label"].startswith("loss of foresight / historical")
    assert not values["headline"]["detail"].startswith(values["headline"]["value"])
    assert any(one["metric"] == "crps BTC atm_30" for one in values["measures"])


def test_breach_scores_are_those_of_the_observed_cells(results: Results) -> None:
    losses = breach_losses(results, "foresight", 24.0)
    other = breach_losses(results, "clock", 24.0)
    assert losses is not None
    assert other is not None
    assert np.nanmean(losses[0]) < 0.2 * np.nanmean(other[0])
    chance, outcome = breach_pairs(results, "truth", 24.0)
    assert chance.shape == outcome.shape
    assert chance.size == np.isfinite(results.breach[:, 1]).sum()
    assert breach_losses(results, "no change", 24.0) is None


def test_the_tenths_add_up_and_the_truth_is_flat(card: Scorecard) -> None:
    for shares in card.tenths.values():
        assert sum(shares) == pytest.approx(1.0)
    assert max(card.tenths["truth"]) < 0.25
    assert card.tenths["clock"][0] == pytest.approx(card.tenths["clock"][4])


def test_regimes_are_thirds() -> None:
    thirds = regime(np.random.default_rng(0).normal(size=99))
    assert np.bincount(thirds).tolist() == [33, 33, 33]


def test_few_origins_have_no_interval(results: Results) -> None:
    card = scorecard(results, draws=50)
    found = card.find("truth", 24.0, "coverage 80 wild")
    assert found is not None
    assert found.n < 16 or found.lower is not None
    assert "nan" not in card.text()


def test_an_unknown_forecaster_is_answered_with_the_nearest(card: Scorecard) -> None:
    with pytest.raises(InputError, match='did you mean "truth"'):
        card.find("thruth", 24.0, "loss")
    assert card.find("truth", 24.0, "nothing") is None


def test_the_picture_is_written(card: Scorecard, tmp_path: Path) -> None:
    path = save(card, tmp_path / "scorecard.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_aligned_pads_every_column() -> None:
    lines = aligned(["a", "b"], [["long", "1"], ["x", "22"]]).splitlines()
    assert lines == ["a      b", "long   1", "x     22"]
