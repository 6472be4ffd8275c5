from pathlib import Path

import pytest

from greekdrift.config.data_set import load_data_set
from greekdrift.config.regime import is_markets, load_markets
from greekdrift.errors import ConfigError
from greekdrift.forecast.events import EVENTS

FOLDER = Path(__file__).resolve().parents[2] / "configs" / "regime"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_file_names_series_and_events_that_there_are(path: Path) -> None:
    found = load_markets(path)
    assert is_markets(path)
    assert set(found.events) <= set(EVENTS)
    sets = [load_data_set(one) for one in found.sets]
    there = {f"{one.name}/{key}" for one in sets for key in one.keys}
    named = {one.price for one in found.markets.values()} | {one.implied for one in found.markets.values()}
    assert named - {None} <= there


def test_a_wrong_key_is_answered_with_the_right_one(tmp_path: Path) -> None:
    text = (FOLDER / "coins.yaml").read_text().replace("clock:", "clcok:")
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(ConfigError, match='did you mean "clock"'):
        load_markets(tmp_path / "x.yaml")
    assert not is_markets(FOLDER.parent / "experiment" / "demo.yaml")
