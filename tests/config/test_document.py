import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greekdrift.config.document import override, read, read_text
from greekdrift.errors import ConfigError

KEYS = st.text(st.characters(categories=["Ll", "Lu"], max_codepoint=127), min_size=1, max_size=5)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1000, 1000)
    | st.text(st.characters(min_codepoint=32, max_codepoint=0xD7FF, categories=["L", "N", "P", "S", "Zs"]), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=4))
def test_json_reads_the_same_through_both_readers(values: dict[str, object]) -> None:
    text = json.dumps(values, ensure_ascii=False)
    assert read_text(text, name="x.json", is_json=True).values == values
    assert read_text(text, name="x.yaml").values == values


def test_yaml_follows_version_1_2() -> None:
    values = read_text("a: 1e-3\nb: no\nc: 010\nd: 2026-02-05\ne: .inf\nf: ~\ng: 12:30\n", name="x.yaml").values
    assert values == {"a": 0.001, "b": "no", "c": 10, "d": "2026-02-05", "e": float("inf"), "f": None, "g": "12:30"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", 'x.yaml:2: the key "a" stands twice'),
        ("a:\n  b: 1\n  b: 2\n", 'x.yaml:3: the key "a.b" stands twice'),
        ("a: .nan\n", "x.yaml:1: a: NaN is not a number"),
        ("a: [1\n", "not valid YAML"),
        ("- 1\n", "the top must be a mapping of keys, found a list"),
        ("", "found nothing"),
        ("a: !!python/object/apply:os.system [x]\n", "has no meaning here"),
        ("a: !mine x\n", "has no meaning here"),
        ("a: " + "[" * 5000, "nested too deeply"),
        ("a: x\x00y\n", "a character that YAML has not"),
        ('a: "\\ud800"\n', "half a character"),
        ("a: " + "9" * 5000, "a number that cannot be read"),
    ],
)
def test_bad_yaml_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=r".*") as caught:
        read_text(text, name="x.yaml")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "a": 2}', 'the key "a" stands twice'),
        ('{"a": NaN}', "NaN is not a number"),
        ('{"a": 1', "x.json:1: not valid JSON"),
        ('{"a": ' + "[" * 100_000, "nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "a number that cannot be read"),
    ],
)
def test_bad_json_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_text(text, name="x.json", is_json=True)
    assert message in str(caught.value)


def test_references_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ConfigError, match="holds more than"):
        read_text("\n".join(lines), name="x.yaml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        read(tmp_path / "absent.yaml")


def test_overrides_replace_add_and_reach_into_lists() -> None:
    document = read_text("a: {b: 1}\nlist: [{use: x}, {use: y}]\n", name="x.yaml")
    changed = override(document, ["a.b=2", "a.c=[1, 2]", "list.1.use=z"])
    assert changed.values == {"a": {"b": 2, "c": [1, 2]}, "list": [{"use": "x"}, {"use": "z"}]}
    assert document.values["a"] == {"b": 1}
    assert changed.where(("a", "b")) == "--set a.b=2: a.b"
    assert changed.where(("list", 0, "use")) == "x.yaml:2: list.0.use"


@pytest.mark.parametrize("setting", ["a", "=1", "a.b.c=1", "list.9=1", "list.x=1"])
def test_an_override_that_fits_nowhere_is_refused(setting: str) -> None:
    document = read_text("a: {b: 1}\nlist: [1]\n", name="x.yaml")
    with pytest.raises(ConfigError, match="--set"):
        override(document, [setting])
