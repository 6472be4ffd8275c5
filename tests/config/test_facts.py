from pathlib import Path

import pytest

from greekdrift.config import load_rules, load_venue
from greekdrift.config.facts import names
from greekdrift.errors import ConfigError

VENUE = """
name: toy
dated: 2026-01-01
source: made for a test
settlement_hour_utc: 8
settlement_average_minutes: 30
products:
  - {kind: option, settlement: inverse, underlying: BTC, tick: 0.0001, lot: 0.1, contract_size: 1,
     taker_fee: 0.0003, maker_fee: 0.0003, fee_cap: 0.125, tick_steps: [[0.005, 0.0005]], half_spread: null}
  - {kind: perpetual, settlement: inverse, underlying: BTC, tick: 0.5, lot: 1, contract_size: 10,
     taker_fee: 0.0005, maker_fee: -0.0001, fee_cap: null, tick_steps: [], half_spread: 0.0001}
"""


def _venue(folder: Path, text: str) -> Path:
    path = folder / "toy.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", names("venues"))
def test_every_packaged_venue_is_complete(name: str) -> None:
    venue = load_venue(name)
    assert venue.name == name
    assert venue.products
    assert len(venue.sha256) == 64


@pytest.mark.parametrize("name", names("rules"))
def test_every_packaged_rule_set_is_complete(name: str) -> None:
    rules = load_rules(name)
    assert rules.name == name
    assert rules.source
    assert len(rules.sha256) == 64


def test_facts_become_records(tmp_path: Path) -> None:
    venue = load_venue(_venue(tmp_path, VENUE))
    option, perpetual = venue.products
    assert option.tick_at(0.01) == 0.0005
    assert perpetual.fee_cap is None
    assert venue.dated.isoformat() == "2026-01-01"


def test_the_digest_sees_values_and_not_layout(tmp_path: Path) -> None:
    plain = load_venue(_venue(tmp_path, VENUE)).sha256
    assert load_venue(_venue(tmp_path, "# a remark\n" + VENUE.replace("tick: 0.5", "tick:   0.5"))).sha256 == plain
    assert load_venue(_venue(tmp_path, VENUE.replace("tick: 0.5", "tick: 0.6"))).sha256 != plain


@pytest.mark.parametrize(
    "field",
    [
        "dated: 2026-01-01\n",
        "source: made for a test\n",
        "fee_cap: null, ",
        "tick_steps: [], ",
        "lot: 1, ",
        "settlement_average_minutes: 30\n",
    ],
)
def test_a_missing_fact_is_an_error_and_never_a_default(tmp_path: Path, field: str) -> None:
    assert field in VENUE
    with pytest.raises(ConfigError, match="is missing"):
        load_venue(_venue(tmp_path, VENUE.replace(field, "")))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tick: 0.5", "tick: 0"),
        ("lot: 1,", 'lot: "1",'),
        ("settlement_hour_utc: 8", "settlement_hour_utc: 24"),
        ("average_minutes: 30", "average_minutes: -1"),
    ],
)
def test_a_wrong_fact_is_refused(tmp_path: Path, old: str, new: str) -> None:
    with pytest.raises(ConfigError, match=r"toy\.yaml:"):
        load_venue(_venue(tmp_path, VENUE.replace(old, new)))


def test_a_wrong_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match='did you mean "deribit"'):
        load_venue("deribt")
    with pytest.raises(ConfigError, match='did you mean "derive_pm2"'):
        load_rules("derive_pm")
