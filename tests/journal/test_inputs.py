"""Inputs come back exactly, and a damaged or exchanged file is refused."""

from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greekdrift.book import (
    Account,
    Adjustment,
    Band,
    Chain,
    Claim,
    Instrument,
    Kind,
    Mandate,
    Order,
    Position,
    Product,
    Settlement,
    Venue,
    View,
    digest,
)
from greekdrift.book.instrument import parse
from greekdrift.errors import JournalError
from greekdrift.journal import Store
from greekdrift.journal.inputs import record, text

NOW = datetime(2026, 2, 5, 10, 30, 1, 250, tzinfo=UTC)


def chain():
    names = ["BTC-27MAR26-70000-C", "BTC-27MAR26-70000-P", "BTC-PERPETUAL", "XRP_USDC-27MAR26-2d05-C"]
    odd = Instrument(
        name="a name of its own", kind=Kind.SPOT, underlying="BTC", settlement=Settlement.LINEAR, currency="USD"
    )
    n = len(names) + 1
    return Chain(
        venue="deribit",
        as_of=NOW,
        known_at=NOW,
        instruments=(*map(parse, names), odd),
        contract_size=np.array([1.0, 1.0, 10.0, 1000.0, 1.0]),
        forward=np.array([70000.1, 70000.1, 70010.0, 2.2, 1 / 3 * 1e5]),
        bid=np.array([0.01, np.nan, 70009.5, 0.1, np.nan]),
        ask=np.array([0.011, 0.02, 70010.0, np.nan, np.nan]),
        mark=np.array([0.0105, 0.019, 70010.0, 0.11, 7e4]),
        mark_iv=np.array([0.5, 0.5, np.nan, 0.9, np.nan]),
        open_interest=np.full(n, np.nan),
        volume_24h=np.array([0.0, 1.5, np.nan, np.nan, np.nan]),
        index_price={"BTC": 70000.0, "XRP": 2.2},
    )


MANDATE = Mandate(
    rule_set="derive_pm2",
    bands=(
        Band(greek="delta", underlying="BTC", lower=-1, upper=1.0, view=View.COLLATERAL),
        Band(greek="vega", underlying="BTC", lower=-1e5, upper=1e5, tenor_days=(0.0, 30.0)),
    ),
    liquidity_buffer_usd=0,
    venues=("deribit",),
    max_order_notional_usd=1e6,
    max_cost_usd=1e4,
    price_of_breach={"vega": 1e-6},
)
ACCOUNT = Account(
    account_id="desk",
    collateral={"BTC": 1, "USDC": -0.1},
    positions=(Position.of("BTC-27MAR26-70000-C", -3), Position.of("BTC-PERPETUAL", 1500.0)),
    mandate=MANDATE,
)
VENUE = Venue(
    name="deribit",
    dated=date(2026, 6, 22),
    source="here",
    sha256="0" * 64,
    settlement_hour_utc=8,
    settlement_average_minutes=30.0,
    products=(
        Product(
            kind=Kind.SPOT,
            settlement=Settlement.LINEAR,
            underlying="*",
            tick=0.01,
            lot=1.0,
            contract_size=1.0,
            taker_fee=1e-4,
            maker_fee=0.0,
            tick_steps=((3.0, 0.05),),
        ),
    ),
)
ADJUSTMENT = Adjustment(
    account_id="desk",
    as_of=NOW,
    valid_until=NOW,
    orders=(
        Order(instrument=parse("BTC-PERPETUAL"), quantity=-7.0, limit_price=70009.5, leg=1, reason="BTC delta (net)"),
    ),
    margin_addon_usd=0.1 + 0.2,
    claim=Claim(
        greeks={"BTC delta (net)": -0.3},
        initial_margin_usd=1.0,
        maintenance_margin_usd=0.5,
        equity_usd=1e5,
        cash={"BTC": 1.0},
        cost_usd=3.3,
    ),
    chain_digest="a" * 64,
    account_digest="b" * 64,
    is_forecast_based=True,
    provenance="test",
)


@pytest.mark.parametrize("item", [ACCOUNT, MANDATE, ADJUSTMENT], ids=lambda item: type(item).__name__)
def test_records_come_back_equal_with_the_same_digest(item):
    again = record(type(item), text(item))
    assert again == item
    assert digest(again) == digest(item)
    assert text(again) == text(item)


def test_a_venue_keeps_its_missing_cap():
    again = record(Venue, text(VENUE))
    assert again == VENUE
    assert again.products[0].fee_cap is None
    assert again.products[0].half_spread is None


def test_a_chain_comes_back_bit_for_bit():
    whole = chain()
    again = record(Chain, text(whole))
    assert digest(again) == digest(whole)
    assert again.instruments == whole.instruments
    for name in ("forward", "bid", "ask", "mark", "mark_iv", "volume_24h"):
        assert getattr(again, name).tobytes() == getattr(whole, name).tobytes()
    assert again.as_of == whole.as_of


def test_a_digest_survives_the_store():
    """Records make floats of their numbers, so that 1 and 1.0 are one account with one digest."""
    assert digest(record(Account, text(ACCOUNT))) == digest(ACCOUNT)
    assert isinstance(record(Account, text(ACCOUNT)).positions[0].quantity, float)


@given(st.floats(-1e17, 1e17), st.integers(0, 10**7))
def test_every_number_and_instant_survives(number, micros):
    moment = datetime.fromtimestamp(1.7e9 + micros / 7, tz=UTC)
    made = Account(account_id="x", collateral={"BTC": number}, positions=())
    assert text(record(Account, text(made))) == text(made)
    assert record(Account, text(made)).collateral["BTC"].hex() == float(number).hex()
    assert record(datetime, text(moment)) == moment


def test_what_is_no_record_is_refused():
    with pytest.raises(JournalError, match="cannot be stored"):
        text({1: object()})
    with pytest.raises(JournalError, match="another version"):
        record(Position, b'{"instrument":"BTC-PERPETUAL","amount":1}')
    with pytest.raises(JournalError, match="another version"):
        record(Position, b"not json")


def test_the_store_files_by_content(tmp_path):
    store = Store(tmp_path / "inputs")
    address = store.put(ACCOUNT)
    assert store.put(ACCOUNT) == address
    assert store.put(chain()) == store.put(chain())
    assert len(list(tmp_path.rglob("*.json.z"))) == 2
    assert not list(tmp_path.rglob("*.part"))
    assert store.get(Account, address) == ACCOUNT


def test_a_damaged_store_is_refused(tmp_path):
    store = Store(tmp_path)
    one, two = store.put(ACCOUNT), store.put(MANDATE)
    paths = {address: store._path(address) for address in (one, two)}
    content = paths[one].read_bytes()
    for place in range(0, len(content), 7):
        for mutated in (
            content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :],
            content[:place],
        ):
            paths[one].write_bytes(mutated)
            with pytest.raises(JournalError, match="restore it from a copy"):
                store.get(Account, one)
    paths[one].write_bytes(paths[two].read_bytes())
    with pytest.raises(JournalError, match="does not hold what its name says"):
        store.get(Account, one)
    paths[one].unlink()
    with pytest.raises(JournalError, match="is not in"):
        store.get(Account, one)
    with pytest.raises(JournalError, match="is no address"):
        store.get(Account, "../../etc/passwd")
