"""The state of an add-on as text: what comes back is what went, and what cannot be a state is refused."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greekdrift.errors import InputError
from greekdrift.margin.dressing import Day, State

SHARE = st.floats(0.0, 1e6)
DAYS = st.lists(st.builds(Day, date=st.dates().map(str), raw=SHARE, held=SHARE), max_size=5).map(tuple)
MOMENTS = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC))
STATES = st.builds(
    State, as_of=MOMENTS, held_usd=SHARE, is_drawn=st.booleans(), risen_at=st.none() | MOMENTS, days=DAYS
)
GOOD = State(as_of=datetime(2026, 2, 5, tzinfo=UTC), held_usd=5.0, days=(Day(date="2026-02-05", raw=0.1, held=0.2),))


@given(STATES)
def test_a_state_comes_back_from_its_text(state):
    assert State.from_json(state.to_json()) == state
    assert State.from_json(state.to_json()).to_json() == state.to_json()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"held": 1.0}, "held_usd"),
        ({"held_usd": -1.0}, "never held"),
        ({"held_usd": "much"}, "ValueError"),
        ({"as_of": "yesterday"}, "ISO 8601"),
        ({"as_of": "2026-02-05T08:00"}, "2026-02-05"),
        ({"days": [{"date": "2026-02-05", "raw": 0.1}]}, "held"),
        ({"days": [{"date": "tomorrow", "raw": 0.1, "held": 0.1}]}, "tomorrow"),
        ({"days": [{"date": "2026-02-05", "raw": -0.1, "held": 0.1}]}, "look-back"),
        ({"days": None}, "TypeError"),
    ],
)
def test_what_is_no_state_is_refused(changes, word):
    with pytest.raises(InputError, match=word):
        State.from_values({**GOOD.values(), **changes})


@pytest.mark.parametrize("text", ["", "[]", "{", json.dumps({"as_of": "2026-02-05T08:00Z"})])
def test_a_text_that_is_no_state_is_refused(text):
    with pytest.raises(InputError, match="state of an add-on"):
        State.from_json(text)
