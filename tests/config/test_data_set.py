"""Descriptions of data sets: all of the repository are sound, and what cannot be is refused with its place."""

from pathlib import Path
from textwrap import dedent

import pytest

from greekdrift.config.data_set import load_data_set
from greekdrift.errors import ConfigError

FOLDER = Path(__file__).resolve().parents[2] / "configs" / "data"
FILES = sorted(FOLDER.glob("*.yaml"))

SOUND = """
    name: prices
    source: somebody
    licence: MIT
    tables:
      - path: prices/daily.parquet
        stamps: {column: date, zone: America/New_York, event_after_hours: 16, lag_minutes: 15}
        hole_hours: 180
        keys:
          SPX: {where: {symbol: SPX}}
        columns:
          close: {of: close, unit: index point, above: 0}
"""


def _write(folder: Path, text: str) -> Path:
    path = folder / "prices.yaml"
    path.write_text(dedent(text))
    return path


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_description_is_sound(path: Path) -> None:
    found = load_data_set(path)
    assert found.licence
    assert found.source
    for table in found.tables:
        assert table.path.parts[0] == found.name
        assert table.stamps.lag_minutes > 0.0


def test_a_sound_one_has_keys_and_a_clock(tmp_path: Path) -> None:
    found = load_data_set(_write(tmp_path, SOUND))
    assert found.keys == ("SPX",)
    assert found.tables[0].stamps.clock.key == "America/New_York"


@pytest.mark.parametrize(
    ("old", "new", "fact"),
    [
        (
            "America/New_York",
            "America/NewYork",
            r"prices.yaml:7: .*zone: there is no time zone .* \"America/New_York\"",
        ),
        ("lag_minutes: 15", "lag_minutes: -1", "lag_minutes: .*greater than or equal to 0"),
        ("lag_minutes: 15", "lag_minuts: 15", 'did you mean "lag_minutes"'),
        ("hole_hours: 180", "hole_hours: 0", "hole_hours: .*greater than 0"),
        ("prices/daily.parquet", "../daily.parquet", "must lie within the folder of the data"),
        ("prices/daily.parquet", "/etc/daily.parquet", "must lie within the folder of the data"),
        ("name: prices", "name: quotes", 'the set is called "quotes"'),
        ("above: 0}", "above: 0}\n    chains: {path: x, venue: deribit, known_after_minutes: 5}", "one of the three"),
        ("above: 0}", "above: 0}\n        spread: {column: tenor, at: [7, 7]}", "must increase"),
        (
            "above: 0}",
            "above: 0}\n        spread: {column: t, at: [7]}\n        pillars: {column: t, at: [7]}",
            "spread or pillars, not both",
        ),
        (
            "above: 0}",
            "above: 0}\n        defects:\n          - {says: bad, becomes: dropped}",
            "needs weekdays, repeats, or a column",
        ),
        (
            "above: 0}",
            "above: 0}\n        defects:\n          - {says: bad, becomes: missing, weekdays: [6]}",
            "needs its column",
        ),
        ("{symbol: SPX}}", "{symbol: SPX}, event_shift_hours: 8}", "less than or equal to 0"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, old: str, new: str, fact: str) -> None:
    assert old in SOUND
    with pytest.raises(ConfigError, match=fact):
        load_data_set(_write(tmp_path, SOUND.replace(old, new)))


def test_a_key_of_two_tables_is_refused(tmp_path: Path) -> None:
    table = SOUND[SOUND.index("      - path") :]
    with pytest.raises(ConfigError, match='"SPX" stands in two tables'):
        load_data_set(_write(tmp_path, SOUND + table.lstrip("\n")))
