"""Described sets against their data: values, times, declared holes, and what the source states, measured again."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from greekdrift.config import load_venue
from greekdrift.config.data_set import load_data_set
from greekdrift.errors import ConfigError, DataError
from greekdrift.market.validation.data_sets import SetValidation, validate_set
from greekdrift.market.validation.rules import Severity

FOLDER = Path(__file__).resolve().parents[3] / "configs" / "data"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
UNCHECKED = {
    "atm_iv_snapshots_2026",
    "deribit_term_structure_6h",
    "equity_iv_surfaces_2023",
    "global_index_closes",
    "spx_option_flow_features",
    "vix_futures_term",
}
"""Sets whose README states no number that can be measured again, but that they load."""


@pytest.mark.shared
@pytest.mark.parametrize("name", NAMES)
def test_every_described_set_is_as_its_source_states(name: str, request: pytest.FixtureRequest, shared: Path) -> None:
    if name == "deribit_option_chain_6h":
        found, _ = request.getfixturevalue("six_hours")
    else:
        found = validate_set(FOLDER / f"{name}.yaml", shared / "data", venue_of=load_venue)
    assert [(one.check.says, one.value) for one in found.stated if not one.holds] == []
    assert bool(found.stated) != (name in UNCHECKED)
    assert all(one.rows > 10 for one in found.lines)
    rules = {one.rule.name: one for one in found.findings}
    assert "in_hole" not in rules
    assert all(one.severity < Severity.ERROR for one in found.findings)
    declared = [hole for table in load_data_set(FOLDER / f"{name}.yaml").tables for hole in table.holes]
    assert bool(declared) == ("declared_hole" in rules)


@pytest.fixture
def described(tmp_path: Path) -> dict[str, object]:
    """Hourly closes of ten days without the fifth, in two files, the second with one other close; as YAML has it."""
    hours = pd.date_range("2026-01-01", periods=240, freq="h", tz="UTC")
    close = 100.0 + np.arange(240.0)
    keep = (hours < "2026-01-05") | (hours >= "2026-01-06")
    frame = pd.DataFrame({"open_ts": hours, "name": "A", "close": close})[keep]
    frame.to_parquet(tmp_path / "bars.parquet")
    other = frame.assign(name="B")
    other.loc[10, "close"] += 1.0
    other.to_parquet(tmp_path / "other.parquet")

    def table(path: str, key: str) -> dict[str, object]:
        return {
            "path": path,
            "stamps": {"column": "open_ts", "zone": "UTC", "event_after_hours": 1, "lag_minutes": 1},
            "hole_hours": 3,
            "keys": {key: {"where": {"name": key}}},
            "columns": {"close": {"of": "close", "unit": "USD", "above": 0}},
        }

    return {
        "name": "bars",
        "source": "made",
        "licence": "none",
        "tables": [table("bars.parquet", "A"), table("other.parquet", "B")],
        "checks": [],
    }


def written(described: dict[str, object], folder: Path) -> SetValidation:
    path = folder / "bars.yaml"
    path.write_text(yaml.safe_dump(described), encoding="utf-8")
    return validate_set(path, folder, venue_of=load_venue)


def hole(after: str, before: str) -> dict[str, str]:
    return {"says": "withheld", "after": after, "before": before}


def test_a_declared_hole_is_a_note_and_another_a_gap(described: dict, tmp_path: Path) -> None:
    described["tables"][0]["holes"] = [hole("2026-01-05T00:00Z", "2026-01-06T00:00Z")]
    places = {one.rule.name: one.places for one in written(described, tmp_path).findings}
    assert places["declared_hole"]["name"].tolist() == ["A"]
    assert places["declared_hole"]["figure"].tolist() == [25.0]
    assert places["time_gap"]["name"].tolist() == ["B"]
    assert places["time_gap"]["snapshot_ts_utc"].tolist() == [pd.Timestamp("2026-01-06T01:00")]


def test_a_hole_that_covers_a_part_leaves_the_rest_a_gap(described: dict, tmp_path: Path) -> None:
    described["tables"][0]["holes"] = [hole("2026-01-05T00:00Z", "2026-01-05T18:00Z")]
    places = {one.rule.name: one.places for one in written(described, tmp_path).findings}["time_gap"]
    assert places.loc[places["name"] == "A", "figure"].tolist() == [7.0]


def test_events_in_a_declared_hole_are_told(described: dict, tmp_path: Path) -> None:
    described["tables"][1]["holes"] = [hole("2026-01-04T12:00Z", "2026-01-06T00:00Z")]
    places = {one.rule.name: one.places for one in written(described, tmp_path).findings}["in_hole"]
    assert (len(places), set(places["name"])) == (12, {"B"})


def test_a_hole_that_hole_hours_would_bridge_is_refused(described: dict, tmp_path: Path) -> None:
    described["tables"][0]["holes"] = [hole("2026-01-05T00:00Z", "2026-01-05T02:00Z")]
    with pytest.raises(ConfigError, match="which hole_hours 3 bridges; lower hole_hours"):
        written(described, tmp_path)
    described["tables"][0]["holes"] = [hole("2026-01-06T00:00Z", "2026-01-05T00:00Z")]
    with pytest.raises(ConfigError, match="write the earlier as after"):
        written(described, tmp_path)
    described["tables"][0]["holes"] = [{**hole("2026-01-05T00:00Z", "2026-01-06T00:00Z"), "keys": ["C"]}]
    with pytest.raises(ConfigError, match='a hole names the key "C"'):
        written(described, tmp_path)


@pytest.mark.parametrize(
    ("check", "value"),
    [
        ({"figure": "lacking", "hours": 1}, 24.0),
        ({"figure": "step", "quantile": 1}, 25.0),
        ({"figure": "quantile", "column": "close", "quantile": 0}, 100.0),
        ({"figure": "different", "column": "close", "other": "bars/B", "other_column": "close"}, 1.0),
        ({"figure": "same", "column": "close", "other": "bars/B", "other_column": "close"}, 215.0),
        ({"figure": "above", "column": "close", "other": "bars/B", "other_column": "close", "quantile": 0}, -1.0),
        ({"figure": "correlation", "column": "close", "other": "bars/A", "other_column": "close"}, 1.0),
        ({"figure": "crossed", "column": "close", "other_column": "close"}, 0.0),
        ({"figure": "mae_ahead", "column": "close", "hours": 6}, 6.0),
        ({"figure": "rmse_ahead", "column": "close", "hours": 6, "scale": 10}, 60.0),
    ],
    ids=lambda one: one["figure"] if isinstance(one, dict) else "",
)
def test_figures_are_what_they_say(described: dict, tmp_path: Path, check: dict, value: float) -> None:
    slack = 0.01 * max(1.0, abs(value)) if check["figure"].endswith("ahead") else 1e-9
    bounds = {"says": "x", "key": "A", "at_least": value - slack, "at_most": value + slack}
    described["checks"] = [{**bounds, **check}, {**bounds, **check, "at_most": value - 2.0 * slack}]
    first, second = written(described, tmp_path).stated
    assert first.value == pytest.approx(value, abs=slack)
    assert (first.holds, second.holds) == (True, False)


def test_a_figure_that_is_no_number_does_not_hold(described: dict, tmp_path: Path) -> None:
    check = {"says": "x", "key": "A", "at_least": -1e9, "figure": "mae_ahead", "column": "close", "hours": 1_000}
    described["checks"] = [check]
    (found,) = written(described, tmp_path).stated
    assert not found.holds


def test_wrong_words_are_answered_with_the_nearest(described: dict, tmp_path: Path) -> None:
    described["checks"] = [{"says": "x", "figure": "lackin", "key": "A", "hours": 1, "at_most": 0}]
    with pytest.raises(ConfigError, match='"lackin" is no figure here; did you mean "lacking"'):
        written(described, tmp_path)
    described["checks"] = [{"says": "x", "figure": "lacking", "key": "C", "hours": 1, "at_most": 0}]
    with pytest.raises(ConfigError, match='a check names "C"'):
        written(described, tmp_path)
    described["checks"] = [{"says": "x", "figure": "lacking", "key": "A", "hours": 1}]
    with pytest.raises(ConfigError, match="needs at_least, at_most or both"):
        written(described, tmp_path)


@pytest.fixture
def options(tmp_path: Path) -> dict[str, object]:
    """Four option rows with a forward and the delta that goes with them, as YAML has it."""
    pd.DataFrame(
        {
            "day": pd.to_datetime(["2026-01-01"] * 4),
            "end": pd.to_datetime(["2026-12-31", "2026-12-31", "2026-12-31", "2025-12-01"]),
            "strike": [100.0, 100.0, 120.0, 100.0],
            "right": ["C", "P", "C", "C"],
            "iv": [0.2, 0.2, 0.0, 0.2],
            "forward": 100.0,
            "delta": [0.54, -0.46, 0.1, 0.5],
        }
    ).to_parquet(tmp_path / "options.parquet")
    table = {name: name for name in ("strike", "forward")}
    table |= {"name": "made", "path": "options.parquet", "stamp": "day", "expiry": "end", "side": "right"}
    table |= {"volatility": "iv", "solved": ["iv"], "stated": {"delta": {"of": "delta", "unit": "share a share"}}}
    check = {"says": "x", "figure": "greek_gap", "key": "made", "column": "delta", "quantile": 1, "at_most": 0.001}
    return {"name": "bars", "source": "made", "licence": "none", "options": [table], "checks": [check]}


def test_option_rows_are_compared_with_the_calculator(options: dict, tmp_path: Path) -> None:
    found = written(options, tmp_path)
    assert [one.rows for one in found.lines] == [2]
    assert found.stated[0].holds
    assert 0.0 < found.stated[0].value < 0.001


def test_option_rows_that_cannot_be_are_refused(options: dict, tmp_path: Path) -> None:
    table = options["options"][0]
    table["solved"] = []
    with pytest.raises(DataError, match="iv is not positive"):
        written(options, tmp_path)
    table |= {"solved": ["iv"], "side": "delta"}
    with pytest.raises(DataError, match="delta is neither call nor put"):
        written(options, tmp_path)
    table |= {"side": "right", "where": {"right": "X"}}
    with pytest.raises(DataError, match="no row is left of 4"):
        written(options, tmp_path)
    table |= {"where": {}, "strike": "strke"}
    with pytest.raises(DataError, match='no column "strke"; did you mean "strike"'):
        written(options, tmp_path)


def test_what_is_missing_and_what_opens_at_once_is_counted(described: dict, tmp_path: Path) -> None:
    frame = pd.read_parquet(tmp_path / "bars.parquet")
    frame.loc[frame.index[:3], "close"] = np.nan
    frame.to_parquet(tmp_path / "bars.parquet")
    other = described["tables"][1]
    other["stamps"] = {**other["stamps"], "event_after_hours": 0.25}
    same = {"says": "y", "figure": "same", "key": "A", "column": "close", "other": "B", "other_column": "close"}
    described["checks"] = [
        {"says": "x", "figure": "missing", "key": "A", "column": "close", "at_most": 3, "because": "three were taken"},
        {**same, "later_hours": 0.75, "at_least": 212},
        {**same, "at_most": 0},
    ]
    found = written(described, tmp_path).stated
    assert [(one.value, one.holds) for one in found] == [(3.0, True), (212.0, True), (0.0, True)]
