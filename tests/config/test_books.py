import json
from pathlib import Path

import pytest

from greekdrift.book import Band, Mandate, View
from greekdrift.config import load_accounts
from greekdrift.errors import BookError

BOOK = """
accounts:
  - account_id: maker
    collateral: {BTC: 2.5, USDC: 1e4}
    positions: {BTC-27MAR26-90000-C: -3, BTC-PERPETUAL: 150000}
    mandate:
      rule_set: derive_pm2
      bands:
        - {greek: delta, underlying: BTC, lower: -1, upper: 1, view: collateral}
        - {greek: vega, underlying: BTC, lower: -50, upper: 50, tenor_days: [0, 30], unit: venue}
        - {greek: theta, underlying: BTC, lower: -10, upper: 10, unit: venue}
      liquidity_buffer_usd: 5000
      venues: [deribit]
      max_order_notional_usd: 1000000
      max_cost_usd: 500
      hedge_kinds: [perpetual, option]
  - account_id: silent
    collateral: {USD: 10}
    positions: {}
"""


def _write(folder: Path, text: str, name: str = "book.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_book_is_read_into_records(tmp_path: Path) -> None:
    maker, silent = load_accounts(_write(tmp_path, BOOK))
    assert maker.quantities() == {"BTC-27MAR26-90000-C": -3.0, "BTC-PERPETUAL": 150000.0}
    assert dict(maker.collateral) == {"BTC": 2.5, "USDC": 10_000.0}
    assert silent.mandate is None
    assert maker.mandate is not None
    delta, vega, theta = maker.mandate.bands
    assert delta.view is View.COLLATERAL
    assert (vega.lower, vega.upper, vega.tenor_days) == (-5000.0, 5000.0, (0.0, 30.0))
    assert (theta.lower, theta.upper) == (-3650.0, 3650.0)


def test_what_the_file_leaves_out_is_the_records_own_default(tmp_path: Path) -> None:
    mandate = load_accounts(_write(tmp_path, BOOK))[0].mandate
    assert mandate is not None
    plain = Mandate(
        rule_set="x",
        bands=(Band(greek="delta", underlying="BTC", lower=-1.0, upper=1.0),),
        liquidity_buffer_usd=0.0,
        venues=("deribit",),
        max_order_notional_usd=1.0,
        max_cost_usd=1.0,
    )
    for name in ("max_participation", "price_collar", "min_hedge_days", "gamma_fade_days", "inner_band"):
        assert getattr(mandate, name) == getattr(plain, name)


def test_json_gives_the_same_accounts(tmp_path: Path) -> None:
    plain = {"accounts": [{"account_id": "a", "collateral": {"USD": 1}, "positions": {"AAPL.USD-SPOT": -5}}]}
    as_json = load_accounts(_write(tmp_path, json.dumps(plain), "book.json"))
    assert as_json == load_accounts(_write(tmp_path, json.dumps(plain), "book.yaml"))


def test_all_problems_come_at_once_with_line_path_and_remedy(tmp_path: Path) -> None:
    text = (
        BOOK.replace("BTC: 2.5", 'BTC: "2.5"')
        .replace("BTC-PERPETUAL", "BTC-PERP")
        .replace("greek: theta", "greek: thea")
        .replace("max_cost_usd", "max_cost")
        .replace("lower: -1, upper: 1", "lower: 1, upper: -1")
    )
    with pytest.raises(BookError) as caught:
        load_accounts(_write(tmp_path, text))
    message = str(caught.value)
    for wanted in (
        ":4: accounts.0.collateral.BTC: should be a valid number, got '2.5'",
        ':5: accounts.0.positions: "BTC-PERP" is not an instrument name',
        ":9: accounts.0.mandate.bands.0: BTC delta (net)",
        ':11: accounts.0.mandate.bands.2: a band on "thea": unknown Greek; did you mean "theta"?',
        "accounts.0.mandate.max_cost_usd: is missing",
        ':15: accounts.0.mandate.max_cost: is no key here; did you mean "max_cost_usd"?',
    ):
        assert wanted in message.replace(" (collateral)", " (net)"), (wanted, message)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("account_id: silent", "account_id: maker", '"maker" stands twice'),
        ("collateral: {USD: 10}", "collateral: {USD: .nan}", "NaN"),
        ("collateral: {USD: 10}", "collateral: {USD: .inf}", "finite number"),
        ("collateral: {USD: 10}", "collateral: {USD: true}", "valid number"),
        ("[0, 30]", "[30, 0]", "not an interval"),
        ("view: collateral", "view: cash", "'usd', 'net' or 'collateral'"),
        ("unit: venue}\n        - {greek: theta", "unit: points}\n        - {greek: theta", "'internal' or 'venue'"),
        ("greek: theta, underlying: BTC", "greek: vega, tenor_days: [0, 30], underlying: BTC", "stands twice"),
        ("[perpetual, option]", "[perpetual, swap]", "hedge_kinds.1"),
    ],
)
def test_a_wrong_value_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in BOOK
    with pytest.raises(ValueError) as caught:
        load_accounts(_write(tmp_path, BOOK.replace(old, new)))
    assert message in str(caught.value)


def test_an_empty_book_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BookError, match="accounts: has 0 elements; give at least 1"):
        load_accounts(_write(tmp_path, "accounts: []"))
