import json
from math import isinf, isnan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greekdrift.errors import VenueError
from greekdrift.market.collect import payload
from greekdrift.market.collect.rejects import Reason, Rejected, Rejects

OPTION: dict[str, Any] = {
    "instrument_name": "BTC-27MAR26-70000-C",
    "creation_timestamp": 1_770_285_600_000,
    "bid_price": 0.05,
    "ask_price": 0.0515,
    "mark_price": 0.0507,
    "mark_iv": 55.2,
    "underlying_price": 70_400.0,
    "underlying_index": "BTC-27MAR26",
    "open_interest": 12.5,
    "volume": 3.1,
    "volume_usd": 11_000.0,
}
PERPETUAL: dict[str, Any] = {
    "instrument_name": "BTC-PERPETUAL",
    "creation_timestamp": 1_770_285_600_000,
    "bid_price": 70_000.0,
    "ask_price": 70_000.5,
    "mark_price": 70_000.2,
    "open_interest": 1e9,
    "volume": 10.0,
    "volume_usd": 7e5,
}


def read(row: Any, kind: str = "option") -> tuple[payload.Quotes, Rejects]:
    rejects = Rejects()
    return payload.summary([row], currency="BTC", kind=kind, rejects=rejects), rejects


def test_an_option_row_is_read_in_fractions_and_coins() -> None:
    found, rejects = read(OPTION)
    assert rejects.total == 0
    assert found.instruments[0].name == "BTC-27MAR26-70000-C"
    values = dict(zip(payload.NUMBERS, found.rows[0], strict=True))
    assert values["mark_iv"] == pytest.approx(0.552)
    assert (values["bid"], values["ask"], values["mark"], values["forward"]) == (0.05, 0.0515, 0.0507, 70_400.0)
    assert found.forward_names == ["BTC-27MAR26"]


@pytest.mark.parametrize("name", ["\ud800", "BTC-é", 5, None])
def test_a_forward_name_that_is_no_plain_text_is_left_empty(name: Any) -> None:
    found, rejects = read(OPTION | {"underlying_index": name})
    assert found.forward_names == [""]
    assert rejects.total == 0


def test_a_perpetual_has_its_mark_as_forward_and_no_volatility() -> None:
    found, _ = read(PERPETUAL, "future")
    values = dict(zip(payload.NUMBERS, found.rows[0], strict=True))
    assert values["forward"] == values["mark"] == 70_000.2
    assert isnan(values["mark_iv"])


@pytest.mark.parametrize("absent", [None, 0, 0.0])
@pytest.mark.parametrize("side", ["bid", "ask"])
def test_what_is_not_quoted_is_missing_and_never_zero(absent: float | None, side: str) -> None:
    found, _ = read(OPTION | {f"{side}_price": absent})
    value = dict(zip(payload.NUMBERS, found.rows[0], strict=True))[side]
    assert isnan(value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"mark_price": "0.05"}, Reason.WRONG_TYPE),
        ({"mark_price": True}, Reason.WRONG_TYPE),
        ({"mark_price": [0.05]}, Reason.WRONG_TYPE),
        ({"mark_price": None}, Reason.MISSING),
        ({"mark_price": float("nan")}, Reason.NOT_FINITE),
        ({"mark_price": float("inf")}, Reason.NOT_FINITE),
        ({"mark_price": 10**400}, Reason.NOT_FINITE),
        ({"mark_price": -0.01}, Reason.NEGATIVE),
        ({"bid_price": -0.01}, Reason.NEGATIVE),
        ({"bid_price": "0.01"}, Reason.WRONG_TYPE),
        ({"ask_price": float("nan")}, Reason.NOT_FINITE),
        ({"mark_iv": 0.0}, Reason.ZERO),
        ({"mark_iv": -5.0}, Reason.NEGATIVE),
        ({"underlying_price": 0.0}, Reason.ZERO),
        ({"open_interest": -1.0}, Reason.NEGATIVE),
        ({"creation_timestamp": None}, Reason.MISSING),
        ({"creation_timestamp": 1.77e12}, Reason.WRONG_TYPE),
        ({"creation_timestamp": 1_770_285_600_000_000}, Reason.BAD_TIME),
        ({"instrument_name": 5}, Reason.BAD_NAME),
        ({"instrument_name": "BTC-27XXX26-70000-C"}, Reason.BAD_NAME),
        ({"instrument_name": "ETH-27MAR26-2000-C"}, Reason.OTHER_PRODUCT),
        ({"instrument_name": "BTC_USDC-27MAR26-70000-C"}, Reason.OTHER_PRODUCT),
        ({"instrument_name": "BTC-PERPETUAL"}, Reason.OTHER_PRODUCT),
    ],
)
def test_a_row_that_cannot_be_right_is_rejected_with_its_reason(change: dict[str, Any], reason: Reason) -> None:
    found, rejects = read(OPTION | change)
    assert not found.rows
    assert rejects.counts() == {reason.value: 1}


def test_rows_that_are_no_records_and_repetitions_are_counted() -> None:
    rejects = Rejects()
    found = payload.summary([OPTION, None, 7, OPTION, []], currency="BTC", kind="option", rejects=rejects)
    assert len(found.rows) == 1
    assert rejects.counts() == {"not_a_record": 3, "twice": 1}


def test_examples_are_few_and_short() -> None:
    rejects = Rejects()
    for _ in range(1000):
        rejects.add(Reason.BAD_NAME, "x" * 10_000, "y" * 10_000)
    assert rejects.total == 1000
    assert len(json.dumps(rejects.examples)) < 10_000


@pytest.mark.parametrize("result", [None, {}, "x", 5, True])
def test_a_reply_of_another_shape_is_an_error(result: Any) -> None:
    with pytest.raises(VenueError):
        payload.summary(result, currency="BTC", kind="option", rejects=Rejects())
    with pytest.raises(VenueError):
        payload.listing(result, currency="BTC", rejects=Rejects())


@pytest.mark.parametrize("result", [None, [], {}, {"index_price": "1"}, {"index_price": 0.0}, {"index_price": True}])
def test_an_index_that_is_no_positive_number_is_an_error(result: Any) -> None:
    with pytest.raises(VenueError):
        payload.index_price(result)


def test_the_volatility_index_is_per_cent_and_a_fraction_is_a_change_of_unit() -> None:
    assert payload.volatility_index({"data": [[1, 50.0, 51.0, 49.0, 50.5]]}) == (1, pytest.approx(0.505))
    with pytest.raises(VenueError, match="unit"):
        payload.volatility_index({"data": [[1, 0.5, 0.51, 0.49, 0.505]]})
    for bad in ({"data": []}, {"data": [[1, 2]]}, {"data": [["1", 50.0, 50.0, 50.0, 50.0]]}, {"data": None}, []):
        with pytest.raises(VenueError):
            payload.volatility_index(bad)


def test_funding_may_be_negative_but_no_text() -> None:
    assert payload.funding({"current_funding": -0.001, "funding_8h": 0.0}) == {
        "current_funding": -0.001,
        "funding_8h": 0.0,
    }
    with pytest.raises(VenueError):
        payload.funding({"current_funding": "0.1", "funding_8h": 0.0})


@pytest.mark.parametrize(
    ("bids", "asks"),
    [
        ([[1.0, 2.0], [1.1, 2.0]], []),
        ([], [[1.1, 2.0], [1.0, 2.0]]),
        ([[1.2, 2.0]], [[1.1, 2.0]]),
        ([[1.0, -2.0]], []),
        ([[1.0]], []),
        ([["1.0", 2.0]], []),
        (None, []),
        ({}, []),
    ],
)
def test_books_that_are_no_books_are_left_out(bids: Any, asks: Any) -> None:
    with pytest.raises(VenueError):
        payload.levels({"timestamp": 1, "bids": bids, "asks": asks}, deepest=10)


def test_tickers_carry_sizes() -> None:
    row = {
        "instrument_name": "BTC-27MAR26-70000-C",
        "timestamp": 1_770_285_600_000,
        "best_bid_price": 0.05,
        "best_bid_amount": 7.0,
        "best_ask_price": 0.0,
        "best_ask_amount": 0.0,
        "mark_price": 0.0507,
        "mark_iv": 55.2,
        "underlying_price": 70_400.0,
        "stats": {"volume": None},
    }
    _, _, values = payload.ticker(row, currency="BTC")
    named = dict(zip(payload.NUMBERS, values, strict=True))
    assert named["bid_size"] == 7.0
    assert isnan(named["ask"])
    with pytest.raises(Rejected):
        payload.ticker(row | {"mark_iv": "55"}, currency="BTC")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300)
@given(row=st.dictionaries(st.sampled_from(sorted(OPTION)), ANYTHING), rest=ANYTHING)
def test_whatever_arrives_is_a_row_a_reason_or_a_typed_error(row: dict[str, Any], rest: Any) -> None:
    rejects = Rejects()
    found = payload.summary([OPTION | row, rest], currency="BTC", kind="option", rejects=rejects)
    assert len(found.rows) + rejects.total == 2
    assert not any(isinf(value) for values in found.rows for value in values)
    for method in (payload.index_price, payload.funding, payload.volatility_index):
        try:
            method(rest)
        except VenueError:
            continue
