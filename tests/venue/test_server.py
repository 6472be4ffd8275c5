"""The fake venue answers as documented, and fails as it is told to: seen by a plain HTTP client."""

import json
from collections.abc import Callable
from datetime import timedelta
from math import isfinite
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.venue import documents
from tests.venue.faults import Fault
from tests.venue.market import Market
from tests.venue.server import Venue

SUMMARY = {"currency": "BTC", "kind": "option"}


def _get(url: str, method: str, **parameters: Any) -> httpx.Response:
    return httpx.get(f"{url}/api/v2/public/{method}", params=parameters, timeout=5.0, trust_env=False)


def test_methods_answer_the_market_of_the_minute(
    venue: Venue, market: Market, serve: Callable[[Venue], str], clock: Any
) -> None:
    url = serve(venue)
    rows = _get(url, "get_book_summary_by_currency", **SUMMARY).json()["result"]
    quotes = market.at(clock.now())
    assert [row["instrument_name"] for row in rows] == [
        quotes.instruments[at].name for at in quotes.rows("BTC", is_option=True)
    ]
    for row in rows:
        at = quotes.row_of[row["instrument_name"]]
        assert row["mark_price"] == quotes.mark[at]
        assert (row["bid_price"] is None) == np.isnan(quotes.bid[at])
        assert row["mark_iv"] == pytest.approx(100.0 * quotes.mark_iv[at])
        assert row["creation_timestamp"] == documents.milliseconds(clock.now())
    futures = _get(url, "get_book_summary_by_currency", currency="BTC", kind="future").json()["result"]
    assert {"BTC-PERPETUAL", "BTC-5FEB26"} <= {row["instrument_name"] for row in futures}
    assert _get(url, "get_index_price", index_name="eth_usd").json()["result"]["index_price"] == quotes.index["ETH"]
    assert len(_get(url, "get_instruments", currency="ETH").json()["result"]) > 10
    book = _get(url, "get_order_book", instrument_name="BTC-PERPETUAL", depth=5).json()["result"]
    assert book["bids"][0][0] == quotes.bid[quotes.row_of["BTC-PERPETUAL"]]
    assert venue.calls["get_book_summary_by_currency"] == 2
    assert not venue.plan.fired


def test_what_is_not_there_is_an_error_as_documented(venue: Venue, serve: Callable[[Venue], str]) -> None:
    url = serve(venue)
    for method, parameters in (
        ("get_book_summary_by_currency", {"currency": "DOGE", "kind": "option"}),
        ("ticker", {"instrument_name": "BTC-1JAN20"}),
        ("buy", {}),
    ):
        answer = _get(url, method, **parameters)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == -32602


def test_a_call_fails_as_it_is_told_to(venue: Venue, serve: Callable[[Venue], str], clock: Any) -> None:
    url = serve(venue)

    def struck(fault: Fault) -> httpx.Response:
        venue.plan.force(fault)
        return _get(url, "get_book_summary_by_currency", **SUMMARY)

    with pytest.raises(httpx.RemoteProtocolError):
        struck(Fault.DISCONNECT)
    assert struck(Fault.SERVER).status_code in {500, 502, 503}
    with pytest.raises(json.JSONDecodeError):
        struck(Fault.TRUNCATED).json()
    limited = [struck(Fault.RATE_LIMIT) for _ in range(12)]
    assert {one.status_code for one in limited} == {429, 400}
    assert {one.json()["error"]["code"] for one in limited} == {10028}
    now = documents.milliseconds(clock.now())
    assert abs(struck(Fault.CLOCK_SKEW).json()["usOut"] / 1000 - now) == 120_000
    assert now - struck(Fault.OUT_OF_ORDER).json()["usOut"] / 1000 == 180_000
    slow = struck(Fault.SLOW)
    assert slow.elapsed > timedelta(seconds=0.5)
    assert len(slow.json()["result"]) > 10
    assert venue.plan.fired[Fault.RATE_LIMIT] == 12


def test_rows_are_spoiled_as_it_is_told_to(venue: Venue, serve: Callable[[Venue], str], clock: Any) -> None:
    url = serve(venue)

    def rows(fault: Fault | None = None) -> list[dict[str, Any]]:
        if fault is not None:
            venue.plan.force(fault)
        found: list[dict[str, Any]] = _get(url, "get_book_summary_by_currency", **SUMMARY).json()["result"]
        return found

    sound = rows()
    assert 1 <= len(sound) - len(rows(Fault.GAP)) <= 5
    twice = [row["instrument_name"] for row in rows(Fault.DUPLICATE)]
    assert 1 <= len(twice) - len(set(twice)) <= 5
    crossed = [row for row in rows(Fault.CROSSED) if row["bid_price"] and row["bid_price"] > row["ask_price"]]
    assert crossed
    stale = [row for row in rows(Fault.STALE) if row["creation_timestamp"] < documents.milliseconds(clock.now())]
    assert stale
    bad = [
        row
        for _ in range(3)
        for row in rows(Fault.NAN)
        for value in (row["mark_price"], row["bid_price"], row["ask_price"], row["mark_iv"], row["underlying_price"])
        if isinstance(value, str) or (value is not None and not isfinite(value))
    ]
    assert bad


KINDS: dict[str, tuple[type, ...]] = {
    "number": (int, float),
    "integer": (int,),
    "string": (str,),
    "boolean": (bool,),
    "any": (object,),
}
LOOSE = {"underlying_index", "tick_size_steps"}
"""Documented as a number and as a record; live values are a text and a list of records."""


def _differences(schema: Any, value: Any, place: str = "") -> list[str]:
    """What of a document is not in the documented schema, or of another type there."""
    if place.rsplit(".", maxsplit=1)[-1] in LOOSE or value is None:
        return []
    if isinstance(schema, dict):
        if not isinstance(value, dict):
            return [f"{place}: {type(value).__name__} for a record"]
        return [
            one
            for key, inner in value.items()
            for one in (
                _differences(schema[key], inner, f"{place}.{key}") if key in schema else [f"{place}.{key}: unknown"]
            )
        ]
    if isinstance(schema, list):
        if not isinstance(value, list):
            return [f"{place}: {type(value).__name__} for a list"]
        return [one for inner in value for one in _differences(schema[0], inner, f"{place}[]")]
    if schema == "integer" and isinstance(value, float) and value.is_integer():
        return []
    is_right = isinstance(value, KINDS[schema]) and not (schema in {"number", "integer"} and isinstance(value, bool))
    return [] if is_right else [f"{place}: {type(value).__name__} for {schema}"]


DOCUMENTED: tuple[tuple[str, dict[str, str]], ...] = (
    ("get_book_summary_by_currency", {"currency": "BTC", "kind": "option"}),
    ("get_book_summary_by_currency", {"currency": "ETH", "kind": "future"}),
    ("get_instruments", {"currency": "BTC"}),
    ("get_index_price", {"index_name": "btc_usd"}),
    ("get_volatility_index_data", {"currency": "BTC"}),
    ("ticker", {"instrument_name": "BTC-PERPETUAL"}),
    ("get_order_book", {"instrument_name": "ETH-PERPETUAL"}),
    ("get_time", {}),
)


@pytest.mark.shared
@pytest.mark.parametrize(("method", "parameters"), DOCUMENTED)
def test_documents_have_the_documented_names_and_types(
    shared: Path, venue: Venue, method: str, parameters: dict[str, str], clock: Any
) -> None:
    documented = json.loads((shared / "data/api_payloads/deribit_docs_examples" / f"{method}.json").read_text())
    result = json.loads(json.dumps(venue.result(method, parameters, clock.now())))
    allowed = {"change_id"} if method == "get_order_book" else set()
    found = [one for one in _differences(documented["result_schema"], result) if one[1:].split(":")[0] not in allowed]
    assert not found


@pytest.mark.shared
def test_option_tickers_have_the_documented_names_and_types(shared: Path, venue: Venue, clock: Any) -> None:
    documented = json.loads((shared / "data/api_payloads/deribit_docs_examples/ticker.json").read_text())
    quotes = venue.market.at(clock.now())
    for at in quotes.rows("BTC", is_option=True):
        result = documents.ticker(quotes, at, clock.now())
        assert not _differences(documented["result_schema"], result)
        assert {"mark_iv", "underlying_price", "underlying_index", "greeks", "bid_iv"} <= set(result)


@pytest.mark.shared
def test_notices_have_the_fields_and_types_of_recorded_ones(shared: Path, venue: Venue, clock: Any) -> None:
    quotes, now = venue.market.at(clock.now()), clock.now()
    name = "BTC-PERPETUAL"
    first, second = documents.beat(quotes.minute), documents.beat(quotes.minute, 1)
    made = {
        "deribit_ws_book_snapshot": documents.book_snapshot(quotes, name, first, now),
        "deribit_ws_book_delta": documents.book_change((quotes, first), (quotes, second), name, now),
        "deribit_ws_ticker": documents.ticker(quotes, quotes.row_of[name], now),
        "deribit_ws_volatility_index": documents.volatility_notice(quotes, "btc_usd", now),
    }
    for file, data in made.items():
        recorded = json.loads((shared / "data/api_payloads/recorded" / f"{file}.json").read_text())
        ours = documents.notice(recorded["params"]["channel"], data)
        assert set(ours) == set(recorded)
        theirs = recorded["params"]["data"]
        assert set(theirs) >= set(data)
        for key, value in data.items():
            same = type(value) is type(theirs[key]) or {type(value), type(theirs[key])} <= {int, float}
            assert same or value is None, f"{file}: {key} is {type(value).__name__}"
        for change in (*data.get("bids", ()), *data.get("asks", ())):
            assert [type(one) for one in change] == [str, float, float]
