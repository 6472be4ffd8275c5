import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greekdrift.config.problem import Section
from greekdrift.serve.guard import DEEPEST, Refusal, _depth, answer, parsed


class Ask(Section):
    size: float
    names: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b'{"size": NaN}', "not_a_number"),
        (b'{"size": -Infinity}', "not_a_number"),
        (b'{"size": 1e999}', "not_a_number"),
        (b'{"size": 1, "size": 2}', "key_twice"),
        (b'{"size": true}', "invalid"),
        (b'{"size": "2"}', "invalid"),
        (b'{"size": 1, "side": 2}', "invalid"),
        (b'{"size": 1' + b"0" * 400 + b"}", "invalid"),
        (b'{"size": ' + b"1" * 5000 + b"}", "not_json"),
        (b"{}", "invalid"),
        (b"[]", "invalid"),
        (b"", "not_json"),
        (b"\xff\xfe", "not_json"),
        (b'{"size": 1', "not_json"),
        (b"[" * 100_000, "too_deep"),
        (b'{"size": 1, "names": ["\\ud800"]}', "invalid"),
    ],
)
def test_what_says_no_one_thing_is_refused(text: bytes, code: str) -> None:
    with pytest.raises(Refusal) as caught:
        parsed(Ask, text)
    assert caught.value.code == code
    assert 400 <= caught.value.status < 500
    assert json.loads(bytes(caught.value.response().body))["error"]["code"] == code


def test_a_sound_body_is_read() -> None:
    assert parsed(Ask, b'{"size": 1, "names": ["[[[[[[[[[[[[[[[[[["]}').size == 1.0


def test_problems_name_the_place_and_the_right_key() -> None:
    with pytest.raises(Refusal) as caught:
        parsed(Ask, b'{"sizes": 1, "names": [3]}')
    places = {problem["place"]: problem["message"] for problem in caught.value.problems}
    assert places["size"] == "is missing"
    assert 'did you mean "size"?' in places["sizes"]
    assert "names.0" in places


@given(st.binary(max_size=200))
def test_no_bytes_are_a_fault(text: bytes) -> None:
    with suppress(Refusal):
        parsed(Ask, text)


@given(st.recursive(st.none() | st.text(max_size=4), lambda inner: st.lists(inner, max_size=3), max_leaves=20))
def test_depth_counts_brackets_outside_text(value: object) -> None:
    def depth(item: object) -> int:
        return 1 + max((depth(part) for part in item), default=0) if isinstance(item, list) else 0

    assert _depth(json.dumps(value).encode()) == depth(value)


def test_the_deepest_allowed_is_allowed() -> None:
    text = b"[" * DEEPEST + b"]" * DEEPEST
    with pytest.raises(Refusal) as caught:
        parsed(Ask, text)
    assert caught.value.code == "invalid"


def test_an_answer_never_holds_nan() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        answer({"a": float("nan")})
