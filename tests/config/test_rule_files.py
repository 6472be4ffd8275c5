"""Rule files of every form: no field may be missing or unknown, and nothing that cannot be gets through."""

import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from greekdrift.book.matrix_rules import MatrixParameters
from greekdrift.book.rules import NetPortfolioParameters, RuleSet
from greekdrift.config import load_rules
from greekdrift.config.facts import names
from greekdrift.errors import ConfigError, GreekdriftError
from greekdrift.journal.inputs import record, text


def content(name: str) -> dict[str, Any]:
    source = files("greekdrift.config") / "data" / "rules" / f"{name}.yaml"
    return json.loads(_plain(source.read_text(encoding="utf-8")))  # type: ignore[no-any-return]


@cache
def _plain(source: str) -> str:
    return json.dumps(yaml.safe_load(source), default=str)


def written(folder: Path, plain: dict[str, Any]) -> Path:
    path = folder / "rules.json"
    path.write_text(json.dumps(plain))
    return path


def keys(plain: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Places of all keys of mappings; of a list its first member stands for all."""
    if isinstance(plain, dict):
        for key, value in plain.items():
            yield (*place, key)
            yield from keys(value, (*place, key))
    elif isinstance(plain, list) and plain:
        yield from keys(plain[0], (*place, 0))


def at(plain: Any, place: tuple[str | int, ...]) -> Any:
    for part in place:
        plain = plain[part]
    return plain


@pytest.mark.parametrize("name", names("rules"))
def test_a_missing_field_is_an_error_with_its_file_and_place(tmp_path: Path, name: str) -> None:
    places = list(keys(content(name)))
    assert len(places) > 20
    for place in places:
        plain = content(name)
        del at(plain, place[:-1])[place[-1]]
        with pytest.raises(ConfigError, match=r"rules\.json.*" + str(place[-1])) as caught:
            load_rules(written(tmp_path, plain))
        assert "is missing" in str(caught.value), place


@pytest.mark.parametrize("name", names("rules"))
def test_an_unknown_field_is_an_error_with_the_nearest_right_word(tmp_path: Path, name: str) -> None:
    for place in keys(content(name)):
        plain = content(name)
        holder = at(plain, place[:-1])
        wrong = f"{place[-1]}x"
        holder[wrong] = holder[place[-1]]
        with pytest.raises(ConfigError, match=f"{wrong}: is no key here; did you mean"):
            load_rules(written(tmp_path, plain))


@pytest.mark.parametrize("name", names("rules"))
@pytest.mark.parametrize("value", [float("nan"), float("inf"), "much"])
def test_a_number_that_is_none_is_an_error(tmp_path: Path, name: str, value: object) -> None:
    for place in list(keys(content(name)))[::3]:
        plain = content(name)
        if not isinstance(at(plain, place), float):
            continue
        at(plain, place[:-1])[place[-1]] = value
        with pytest.raises(GreekdriftError):
            load_rules(written(tmp_path, plain))


@pytest.mark.parametrize("name", names("rules"))
def test_a_rule_set_is_stored_and_comes_back_in_its_form(name: str) -> None:
    rules = load_rules(name)
    again = record(RuleSet, text(rules))
    assert again == rules
    assert type(again.parameters) is type(rules.parameters)


def test_the_form_is_read_off_the_keys() -> None:
    assert isinstance(load_rules("derive_pm2").parameters, NetPortfolioParameters)
    for name in ("deribit_pm", "paradex_pm"):
        assert isinstance(load_rules(name).parameters, MatrixParameters)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("matrix_scenarios",), [], "at least one scenario"),
        (("matrix_scenarios", 1, "label"), "price -100 % of range, volatility up", "is used twice"),
        (("matrix_scenarios", 27, "price"), -1.5, "falls to zero or below"),
        (("matrix_scenarios", 27, "price"), 0.0, "put it into regular"),
        (("matrix_scenarios", 27, "damping"), 0.2, "must be null"),
        (("matrix_scenarios", 0, "damping"), -1.0, "damping at least 0"),
        (("pairs", 0, "price_range"), 0.0, "between 0 and 1"),
        (("pairs", 0, "underlying"), "ETH", "is used twice"),
        (("settlements", 0, "gain_share"), 1.5, "must not be above 1"),
        (("settlements", 0, "roll", "floor"), -0.1, "no number of at least 0"),
        (("separate",), 1.5, "between 0 and 1"),
        (("factors", "maintenance"), 1.5, "must not be above initial"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, place: tuple[str | int, ...], value: object, said: str) -> None:
    plain = content("deribit_pm")
    at(plain, ("parameters", *place[:-1]))[place[-1]] = value
    with pytest.raises(ConfigError, match=said):
        load_rules(written(tmp_path, plain))
