from pathlib import Path

import numpy as np
import pytest

from greekdrift.config import FEATURE_KINDS, Component, build
from greekdrift.errors import ConfigError, DataError, InputError
from greekdrift.features.events import EventNear, EventPast, EventsAhead, Schedule, read_schedules
from greekdrift.features.history import Panel, example

# Rows of the panel: every six hours from 2026-01-01 on, known five minutes later.
SCHEDULE = Schedule(
    name="fomc",
    events={
        "2026-01-02T00:00Z": "2025-06-01T00:00Z",
        "2026-01-03T12:00Z": "2025-06-01T00:00Z",
        "2026-01-05T00:00Z": "2026-01-01T12:03Z",
    },
)


def _panel(rows: int = 20) -> Panel:
    return example(rows=rows, underlyings=("BTC", "ETH"))


def test_events_are_counted_within_the_announced_schedule() -> None:
    column = EventsAhead(schedule=SCHEDULE, hours=48.0).compute(_panel())[:, 0]
    # at row 0 the schedule reaches to 3 January 12:00, 60 hours ahead; one of its two events is within 48 hours
    assert column[0] == 1.0
    assert column[1] == 1.0
    # at row 2 (1 January 12:05) the third event has just been announced: 48 hours ahead holds two
    assert column[2] == 2.0
    # at row 8 (3 January 00:00) one is 12 and the last exactly 48 hours ahead; after that the schedule ends too soon
    assert column[8] == 2.0
    assert np.isnan(column[9:]).all()


def test_an_event_counts_from_its_announcement_on() -> None:
    later = Schedule(name="fomc", events=dict.fromkeys(SCHEDULE.events, "2027-01-01T00:00Z"))
    for feature in (EventsAhead(schedule=later, hours=24.0), EventNear(schedule=later), EventPast(schedule=later)):
        assert np.isnan(feature.compute(_panel())).all(), feature.name
    near = EventNear(schedule=SCHEDULE).compute(_panel())[:, 0]
    assert near[0] == pytest.approx(1.0 / 2.0)
    assert near[4] == 1.0
    assert near[5] == pytest.approx(1.0 / (1.0 + 30.0 / 24.0))
    assert near[11] == pytest.approx(1.0 / (1.0 + 30.0 / 24.0))
    assert np.isnan(near[17:]).all()


def test_the_last_event_fades() -> None:
    past = EventPast(schedule=SCHEDULE).compute(_panel())[:, 1]
    assert np.isnan(past[:4]).all()
    assert past[4] == 1.0
    assert past[8] == pytest.approx(0.5)
    assert past[10] == 1.0


def test_an_empty_schedule_is_missing() -> None:
    empty = Schedule(name="fomc", events={})
    for feature in (EventsAhead(schedule=empty, hours=24.0), EventNear(schedule=empty), EventPast(schedule=empty)):
        assert np.isnan(feature.compute(_panel(3))).all()
        assert feature.name.startswith("fomc_")


def test_schedules_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    rows = ["name,at,announced_at", "fomc,2026-01-28T19:00Z,2025-06-01T00:00Z"]
    file.write_text("\n".join([*rows, "cpi,2026-02-11T13:30Z,2025-12-01T00:00Z"]))
    found = read_schedules(file)
    assert sorted(found) == ["cpi", "fomc"]
    assert found["cpi"].at[0] == np.datetime64("2026-02-11T13:30", "us")
    for text, message in (
        ("name,at\nfomc,2026-01-28T19:00Z", "name them name, at, announced_at"),
        ("\n".join([*rows, "cpi,2026-02-11T13:30,2025-12-01T00:00Z"]), "line 3.*no time zone"),
        ("\n".join([*rows, "cpi,2026-02-11T13:30Z"]), "line 3"),
        ("\n".join([*rows, "cpi,soon,2025-12-01T00:00Z"]), "line 3.*not an ISO 8601"),
        ("\n".join([*rows, rows[1]]), "line 3.*stands twice"),
    ):
        file.write_text(text)
        with pytest.raises(DataError, match=message):
            read_schedules(file)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(InputError, match="no time zone"):
        Schedule(name="fomc", events={"2026-01-28T19:00": "2025-06-01T00:00Z"})
    with pytest.raises(InputError, match="not an ISO 8601"):
        Schedule(name="fomc", events={"2026-01-28T19:00Z": "long ago"})


def test_a_configuration_lists_the_events() -> None:
    component = Component(use="events_ahead", hours=48.0, schedule={"name": "fomc", "events": dict(SCHEDULE.events)})
    feature = build(component, FEATURE_KINDS)
    expected = EventsAhead(schedule=SCHEDULE, hours=48.0).compute(_panel())
    np.testing.assert_array_equal(feature.compute(_panel()), expected)
    with pytest.raises(ConfigError, match="schedule"):
        build(Component(use="event_near", schedule={"name": "fomc", "events": [1]}), FEATURE_KINDS)
