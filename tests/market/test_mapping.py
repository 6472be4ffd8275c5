"""Tables of others in our columns: one truth in many forms is read as the same rows; what cannot be told is refused."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from greekdrift.book import Venue
from greekdrift.errors import DataError, InputError
from greekdrift.greeks import compute
from greekdrift.market import foreign, mapping, parity, price_unit

MOMENT = pd.Timestamp("2026-02-05T08:00", tz="UTC")
EXPIRIES = (pd.Timestamp("2026-02-20T08:00", tz="UTC"), pd.Timestamp("2026-03-27T08:00", tz="UTC"))
SPOT = 70_000.0


def truth(spot: float = SPOT, *, low: float = 0.8, high: float = 1.25) -> pd.DataFrame:
    """Calls and puts on a smile with a basis, prices in USD and in coins."""
    rows = [
        (expiry, spot * (1.002 + 0.004 * number), round(spot * ratio, 4), is_call)
        for number, expiry in enumerate(EXPIRIES)
        for ratio in np.linspace(low, high, 7)
        for is_call in (True, False)
    ]
    table = pd.DataFrame(rows, columns=["expiry", "forward", "strike", "is_call"])
    table["years"] = (table["expiry"] - MOMENT).dt.total_seconds() / 31_536_000.0
    table["iv"] = 0.6 - 0.1 * np.log(table["strike"] / table["forward"])
    table["usd"] = compute(
        ["price"],
        forward=table["forward"].to_numpy(),
        strike=table["strike"].to_numpy(),
        volatility=table["iv"].to_numpy(),
        time_to_expiry=table["years"].to_numpy(),
        is_call=table["is_call"].to_numpy(),
    )["price"]
    table["coin"] = table["usd"] / table["forward"]
    table["name"] = [
        f"BTC-{one.expiry.day}{one.expiry:%b%y}-{one.strike:.0f}-{'C' if one.is_call else 'P'}".upper()
        for one in table.itertuples()
    ]
    return table


def translate(table: pd.DataFrame, venue: Venue, **given: str) -> mapping.Translated:
    return mapping.translate(table, venue=venue, given={k: [v] for k, v in given.items()}, where="t.csv")


def how(found: mapping.Translated) -> dict[str, str]:
    return {one.ours: one.how for one in found.readings}


@pytest.mark.parametrize("stamp", ["text", "s", "ms", "us", "ns"])
@pytest.mark.parametrize("points", [False, True])
@pytest.mark.parametrize(("paid", "named"), [("coin", True), ("usd", True), ("coin", False)])
def test_one_truth_in_many_forms(deribit: Venue, stamp: str, points: bool, paid: str, named: bool) -> None:
    table = truth()
    micros = int(MOMENT.timestamp()) * 1_000_000
    stamps = {
        "text": MOMENT.isoformat(),
        "s": micros // 10**6,
        "ms": micros // 10**3,
        "us": micros,
        "ns": micros * 1000,
    }
    theirs = pd.DataFrame(
        {
            "Time": stamps[stamp],
            "IV": table["iv"] * (100.0 if points else 1.0),
            "Bid": table[paid] * 0.98,
            "Ask": table[paid] * 1.02,
            "Mark Price": table[paid],
            "Forward": table["forward"],
            "Spot": SPOT,
        },
        index=table.index,
    )
    if named:
        theirs["Symbol"] = table["name"]
    else:
        theirs = theirs.assign(
            Coin="btc", Strike=table["strike"], Expiry=table["expiry"], Right=np.where(table["is_call"], "C", "P")
        )
    found = translate(theirs, deribit)
    rows = found.rows
    assert rows["instrument_name"].tolist() == table["name"].tolist()
    assert (rows["snapshot_ts_utc"] == MOMENT.tz_localize(None)).all()
    for ours, right in (
        ("mark_iv", table["iv"]),
        ("mark_price_coin", table["coin"]),
        ("bid_price_coin", table["coin"] * 0.98),
        ("ask_price_coin", table["coin"] * 1.02),
        ("forward_price_usd", table["forward"]),
    ):
        np.testing.assert_allclose(rows[ours], right, rtol=1e-12, err_msg=ours)
    assert found.unread == ()
    if paid == "usd":
        assert "/ forward" in how(found)["mark_price_coin"]


def test_what_the_others_determine_is_made(deribit: Venue) -> None:
    table = truth()
    theirs = pd.DataFrame(
        {
            "time": MOMENT,
            "symbol": table["name"],
            "mark_price_coin": table["coin"],
            "spot": SPOT,
            "bid": np.nan,
            "ask": 0.0,
        }
    )
    found = translate(theirs, deribit)
    np.testing.assert_allclose(found.rows["forward_price_usd"], table["forward"], rtol=1e-9)
    np.testing.assert_allclose(found.rows["mark_iv"], table["iv"], rtol=1e-6)
    assert found.rows["bid_price_coin"].isna().all()
    assert found.rows["ask_price_coin"].isna().all()
    assert how(found)["mark_iv"] == "implied by the mark"
    bare = translate(theirs.drop(columns="spot"), deribit)
    np.testing.assert_allclose(bare.rows["index_price_usd"], table["forward"].iloc[0], rtol=1e-9)


def test_a_mark_is_made_of_its_volatility_or_of_bid_and_ask(deribit: Venue) -> None:
    table = truth()
    theirs = pd.DataFrame({"time": MOMENT, "symbol": table["name"], "iv": table["iv"], "forward": table["forward"]})
    np.testing.assert_allclose(translate(theirs, deribit).rows["mark_price_coin"], table["coin"], rtol=1e-12)
    quoted = pd.DataFrame(
        {
            "time": MOMENT,
            "symbol": table["name"],
            "bid_price_coin": table["coin"] - 0.001,
            "ask_price_coin": table["coin"] + 0.001,
        }
    )
    found = translate(quoted, deribit)
    np.testing.assert_allclose(found.rows["mark_price_coin"], table["coin"], rtol=1e-9)
    assert how(found)["mark_price_coin"] == "middle of bid and ask"


def test_cells_that_lack_are_made_alone_and_counted(deribit: Venue) -> None:
    table = truth()
    theirs = pd.DataFrame(
        {
            "time": MOMENT, "symbol": table["name"], "iv": table["iv"], "mark": table["coin"],
            "forward": table["forward"], "spot": SPOT,
        }
    )  # fmt: skip
    theirs.loc[2, "iv"], theirs.loc[4, "mark"], theirs.loc[6, "forward"] = 0.0, np.nan, 0.0
    theirs.loc[0, "mark"] = 0.0  # a call far in the money
    theirs.loc[8, ["iv", "mark"]] = np.nan
    found = translate(theirs, deribit)
    rows = found.rows
    made = np.arange(len(table)) != 8
    np.testing.assert_allclose(rows["mark_iv"][made], table["iv"][made], rtol=1e-6)
    np.testing.assert_allclose(rows["mark_price_coin"][made], table["coin"][made], rtol=1e-9)
    np.testing.assert_allclose(rows["forward_price_usd"], table["forward"], rtol=1e-12)
    assert rows.loc[8, ["mark_iv", "mark_price_coin"]].isna().all()
    said = how(found)
    assert said["mark_iv"].endswith("implied by the mark where it was missing (1 row)")
    assert said["mark_price_coin"].endswith("Black price at mark_iv where it was missing (2 rows)")
    assert said["forward_price_usd"].endswith("that of the expiry where it was missing (1 row)")


def test_a_mark_of_zero_far_out_of_the_money_stays(deribit: Venue) -> None:
    table = truth()
    theirs = pd.DataFrame(
        {"time": MOMENT, "symbol": table["name"], "iv": table["iv"], "mark": table["coin"], "forward": table["forward"]}
    )
    theirs.loc[1, "mark"] = 0.0
    assert translate(theirs, deribit).rows.loc[1, "mark_price_coin"] == 0.0


def test_forwards_are_read_off_deltas_where_nothing_else_tells_them(deribit: Venue) -> None:
    table = truth()
    delta = compute(
        ["delta"],
        forward=table["forward"].to_numpy(), strike=table["strike"].to_numpy(), volatility=table["iv"].to_numpy(),
        time_to_expiry=table["years"].to_numpy(), is_call=table["is_call"].to_numpy(),
    )["delta"]  # fmt: skip
    theirs = pd.DataFrame({"time": MOMENT, "symbol": table["name"], "iv": table["iv"], "delta": delta.round(5)})
    found = translate(theirs, deribit)
    np.testing.assert_allclose(found.rows["forward_price_usd"], table["forward"], rtol=1e-5)
    np.testing.assert_allclose(found.rows["mark_price_coin"], table["coin"], atol=1e-5)
    assert found.rows["bid_price_coin"].isna().all()
    assert how(found)["forward_price_usd"].startswith("deltas")
    assert found.unread == ()
    other = theirs.assign(delta=theirs["delta"] * np.where(np.arange(len(table)) % 3, 0.7, 1.0), spot=SPOT)
    with pytest.raises(
        DataError, match=r"no forward can be read off delta.*--map spot=forward_price_usd --map spot=index"
    ):
        translate(other, deribit)


def test_two_rows_on_one_contract_are_refused_with_what_differs(deribit: Venue) -> None:
    table = truth()
    theirs = pd.DataFrame({"time": MOMENT, "symbol": table["name"], "mark": table["coin"], "forward": table["forward"]})
    twice = pd.concat([theirs, theirs.iloc[[3]].assign(mark=0.9)], ignore_index=True)
    with pytest.raises(DataError, match=r"rows 3 and 28 both quote .* and differ in mark"):
        translate(twice, deribit)
    assert len(mapping.translate(twice, venue=deribit, given={}, where="t.csv", is_gathered=True).rows) == 29


@pytest.mark.parametrize(
    ("call", "put"), [("Call", "Put"), ("CALLS", "puts"), (1, -1), (1, 0), (True, False), ("CE", "PE"), (1.0, 0.0)]
)
def test_sides_in_every_spelling(equity: Venue, call: object, put: object) -> None:
    table = truth(180.0)
    theirs = pd.DataFrame(
        {
            "quote_date": "2026-02-05", "root": "^SPX", "strike": table["strike"], "expiration": table["expiry"],
            "right": pd.Series([call if one else put for one in table["is_call"]]), "iv": table["iv"],
            "mark": table["usd"], "forward": table["forward"],
        }
    )  # fmt: skip
    found = translate(theirs, equity)
    assert found.rows["instrument_name"].str.endswith("C").tolist() == table["is_call"].tolist()
    assert found.rows["instrument_name"].str.startswith("SPX.USD").all()


def test_a_venue_serves_the_contracts_that_it_lists(deribit: Venue, equity: Venue) -> None:
    for table, right in (
        (pd.DataFrame({"symbol": ["AAPL230616C00152500"]}), (False, True)),
        (pd.DataFrame({"symbol": ["BTC-27JUN25-100000-C"]}), (True, False)),
        (pd.DataFrame({"root": ["SPX"], "strike": [1.0]}), (False, True)),
        (pd.DataFrame({"root": ["BTC", "eth"], "strike": [1.0, 2.0]}), (True, True)),
        (pd.DataFrame({"strike": [1.0]}), (True, True)),
    ):
        assert tuple(mapping.serves(table, one, given={}, where="t.csv") for one in (deribit, equity)) == right


def test_an_underlying_price_that_is_one_for_all_expiries_is_the_index(deribit: Venue) -> None:
    table = truth()
    theirs = pd.DataFrame(
        {"time": MOMENT, "symbol": table["name"], "iv": table["iv"], "mark": table["coin"], "underlying_price": SPOT}
    )
    found = translate(theirs, deribit)
    np.testing.assert_allclose(found.rows["forward_price_usd"], table["forward"], rtol=1e-9)
    assert (found.rows["index_price_usd"] == SPOT).all()
    decreed = translate(theirs, deribit, underlying_price="forward_price_usd")
    assert (decreed.rows["forward_price_usd"] == SPOT).all()


def test_a_price_that_could_be_either_is_asked_for(deribit: Venue) -> None:
    """Near a price of 1 USD, coins and USD are much the same, and columns do not say what the contract is paid in."""
    table = truth(1.0)
    theirs = pd.DataFrame(
        {
            "time": MOMENT, "coin": "BTC", "strike": table["strike"], "expiry": table["expiry"],
            "type": np.where(table["is_call"], "call", "put"), "iv": table["iv"], "mark": table["usd"],
            "forward": table["forward"],
        }
    )  # fmt: skip
    with pytest.raises(DataError, match="--map mark=mark_price_coin or --map mark=mark_price_usd"):
        translate(theirs, deribit)


def test_linear_contracts_are_made_of_columns(equity: Venue) -> None:
    table = truth(180.0)
    theirs = pd.DataFrame(
        {
            "quote_date": "2026-02-05", "root": "AAPL", "strike": table["strike"],
            "expiration": table["expiry"].dt.strftime("%Y-%m-%d"), "cp": np.where(table["is_call"], "C", "P"),
            "bid": table["usd"] * 0.99, "ask": table["usd"] * 1.01, "iv": table["iv"], "oi": 3,
            "forward": table["forward"], "underlying_last": 180.0,
        }
    )  # fmt: skip
    found = translate(theirs, equity)
    assert found.rows["instrument_name"].iloc[0] == "AAPL.USD-20260220T2100-144-C"
    assert (found.rows["open_interest_coin"] == 300.0).all()
    np.testing.assert_allclose(found.rows["bid_price_usd"], table["usd"] * 0.99)
    assert "settlement hour 21:00" in how(found)["snapshot_ts_utc"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"time": None}, "row 0 has no time"),
        ({"mark": "dear"}, '"dear" in row 0 of mark is no number'),
        ({"symbol": None}, "no column can be read as strike_usd"),
        ({"time": "soon"}, "is no time"),
    ],
)
def test_cells_that_cannot_be_read_are_named(deribit: Venue, change: dict[str, object], said: str) -> None:
    table = truth()
    theirs = pd.DataFrame(
        {"time": MOMENT, "symbol": table["name"], "mark": table["coin"], "forward": table["forward"]}
    ).assign(**change)
    with pytest.raises(DataError, match=said):
        translate(theirs, deribit)


def test_a_unit_is_judged_by_what_it_would_mean() -> None:
    table = truth()
    given = {
        "forward": table["forward"].to_numpy(), "strike": table["strike"].to_numpy(),
        "is_call": table["is_call"].to_numpy(), "years": table["years"].to_numpy(),
    }  # fmt: skip
    volatility = table["iv"].to_numpy()
    for unit in ("coin", "usd"):
        price = table[unit].to_numpy()
        assert price_unit.judged(price, **given).unit == unit
        assert price_unit.judged(price, **given, volatility=volatility).unit == unit
    assert price_unit.judged(np.full(len(table), np.nan), **given).unit is None
    far = {name: values[[0]] for name, values in given.items()} | {"strike": np.array([3e5])}
    assert price_unit.judged(np.array([0.5]), **far).unit is None


def test_parity_needs_both_sides_of_a_strike() -> None:
    mark, group = np.array([5.0, 4.0]), np.array([["a"], ["a"]])
    found = parity.forwards(
        mark, group=group, strike=np.array([90.0, 110.0]), is_call=np.array([True, False]), is_coin=np.zeros(2, bool)
    )
    assert np.isnan(found).all()


@pytest.mark.shared
def test_recorded_tables_are_read(equity: Venue, deribit: Venue, shared: Path) -> None:
    path = shared / "data" / "option_chains_eod" / "spx_ivolatility_sample_2011.parquet"
    found = mapping.translate(foreign.read(path, foreign.form(path)), venue=equity, given={}, where=path.name)
    assert how(found)["mark_price_usd"].startswith("USD by the Black price, as they are")
    assert len(found.rows) == 7826
    path = shared / "data" / "api_payloads" / "recorded" / "tardis_deribit_options_chain_sample.csv"
    found = mapping.translate(foreign.read(path, foreign.form(path)), venue=deribit, given={}, where=path.name)
    assert how(found)["mark_iv"] == "per cent / 100"
    assert how(found)["mark_price_coin"].startswith("coins")


JUNK = ("", "nan", "inf", "-1", "1e999", "1e-320", "0", "9" * 30, "-", "call", "2024-13-45", "∞", "True", '"')


@pytest.mark.parametrize("seed", range(4))
def test_whatever_a_cell_holds_it_is_read_or_refused_by_name(deribit: Venue, tmp_path: Path, seed: int) -> None:
    """Some cells, or a whole column, become nonsense: rows or one of our errors, never a warning or a crash."""
    draw = np.random.default_rng(seed)
    table = truth()
    theirs = pd.DataFrame(
        {
            "time": MOMENT, "symbol": table["name"], "iv": table["iv"], "bid": table["coin"] * 0.98,
            "ask": table["coin"] * 1.02, "forward": table["forward"], "spot": SPOT, "oi": 5,
        }
    ).astype(str)  # fmt: skip
    path, read = tmp_path / "t.csv", 0
    for _ in range(25):
        broken = theirs.copy()
        column = draw.integers(broken.shape[1])
        rows = draw.random(len(broken)) < draw.choice([0.05, 1.0])
        broken.iloc[rows, column] = str(draw.choice(JUNK))
        broken.to_csv(path, index=False)
        with suppress(InputError):
            found = mapping.translate(foreign.read(path, foreign.form(path)), venue=deribit, given={}, where=path.name)
            assert len(found.rows) == len(theirs)
            read += 1
    assert 0 < read < 25
