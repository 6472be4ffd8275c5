"""A file of reserves, and what is refused by line."""

from pathlib import Path

import pytest

from greekdrift.config.reserves import load_reserves
from greekdrift.errors import ConfigError

GOOD = """
currencies:
  USDC: {haircut: 0.0, delay_hours: 0}
  BTC: {haircut: 0.05, delay_hours: 2, usd_per_hour: 250000}
holdings:
  maker: {USDC: 20000, BTC: 1.5}
"""


def test_terms_and_holdings_are_read(tmp_path: Path) -> None:
    path = tmp_path / "reserves.yaml"
    path.write_text(GOOD)
    found = load_reserves(path)
    assert found.currencies["BTC"].usd_per_hour == 250_000.0
    assert found.currencies["USDC"].usd_per_hour is None
    assert found.holdings["maker"] == {"USDC": 20_000.0, "BTC": 1.5}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("haircut: 0.05", "haircut: 1.5", "haircut"),
        ("delay_hours: 2", "delay_hour: 2", "delay_hours"),
        ("usd_per_hour: 250000", "usd_per_hour: 0", "usd_per_hour"),
        ("holdings:", "holding:", "holdings"),
        ("BTC: 1.5", "BTC: .nan", "NaN|number"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = tmp_path / "reserves.yaml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(ConfigError, match=words):
        load_reserves(path)
