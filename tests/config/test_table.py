from collections.abc import Sequence
from pathlib import Path

import pytest

from greekdrift.config import FEATURE_KINDS, FORECASTERS, SOURCES, Component, build, resolve
from greekdrift.config.document import Document
from greekdrift.config.table import problems
from greekdrift.errors import ConfigError

TABLE = {"maker": "config.books:BandFile", "plain": "config.document:Document"}


@pytest.mark.parametrize("table", [FORECASTERS, SOURCES, FEATURE_KINDS], ids=["forecasters", "sources", "features"])
def test_every_row_resolves(table: dict[str, str]) -> None:
    for name in table:
        assert callable(resolve(table, name))


@pytest.mark.parametrize("name", ["../os", "os:system", "greekdrift.errors:InputError", "histrical"])
def test_a_name_outside_the_table_reaches_nothing(name: str) -> None:
    with pytest.raises(ConfigError, match="is not known"):
        resolve(FORECASTERS, name)


class Night:
    def __init__(self, root: Path, *, stars: int = 3, names: Sequence[str] = (), seed: int = 0) -> None:
        self.root, self.stars, self.names, self.seed = root, stars, names, seed


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setattr("greekdrift.config.books.Night", Night, raising=False)
    return {"night": "config.books:Night"}


def test_options_are_the_parameters_of_the_constructor(table: dict[str, str]) -> None:
    night = build(Component(use="night", root="sky", names=["a"]), table, seed=4, progress=None)
    assert (night.root, night.stars, list(night.names), night.seed) == (Path("sky"), 3, ["a"], 4)


def test_wrong_options_are_listed_together(table: dict[str, str]) -> None:
    component = Component(use="night", star=2, stars="2")
    document = Document(name="x.yaml", values={})
    found = problems(component, table, document=document, place=("data",), given=("seed",))
    assert found == [
        'x.yaml: data.star: is no option here; did you mean "stars"?',
        "x.yaml: data.stars: should be a valid integer, got '2'",
        "x.yaml: data.root: is missing",
    ]
    with pytest.raises(ConfigError, match="is missing"):
        build(component, table)


def test_a_component_within_a_component_is_checked_in_its_place() -> None:
    component = Component(use="calibrated", base={"use": "fhs", "scael": "hari"})
    document = Document(name="x.yaml", values={})
    found = problems(component, FORECASTERS, document=document, place=("forecaster",), given=("seed",))
    assert found == ['x.yaml: forecaster.base.scael: is no option here; did you mean "scale"?']
    assert not problems(Component(use="calibrated"), FORECASTERS, document=document, place=(), given=("seed",))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"law": {"premum": 0.8}}, 'data.law: has no "premum"; did you mean "premium"?'),
        ({"bates": {"weekent": 0.5}}, 'data.bates: has no "weekent"; did you mean "weekend"?'),
        ({"bates": {"laws": {"BTC": {"calm": {"kapa": 2.0}}}}}, 'data.bates: laws BTC has no "calm"'),
    ],
)
def test_unknown_keys_within_a_record_are_refused(options: dict[str, object], said: str) -> None:
    component = Component(use="simulated", **options)
    document = Document(name="x.yaml", values={})
    (found,) = problems(component, SOURCES, document=document, place=("data",), given=("venue", "seed"))
    assert found.startswith(f"x.yaml: {said}")
    honest = Component(use="simulated", law={"premium": 0.8}, bates={"weekend": 0.5})
    assert not problems(honest, SOURCES, document=document, place=("data",), given=("venue", "seed"))
