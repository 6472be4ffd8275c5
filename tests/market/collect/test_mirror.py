from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greekdrift.market.collect.mirror import Mirror, Outcome

NAME = "BTC-PERPETUAL"


def made() -> Mirror:
    mirror = Mirror()
    mirror.list({NAME: "BTC", "BTC-27MAR26-70000-C": "BTC"})
    return mirror


def ticker(stamp: int, mark: float = 70_000.0, **change: Any) -> dict[str, Any]:
    return {
        "instrument_name": NAME,
        "timestamp": stamp,
        "best_bid_price": mark - 0.5,
        "best_ask_price": mark + 0.5,
        "best_bid_amount": 10.0,
        "best_ask_amount": 20.0,
        "mark_price": mark,
        "index_price": mark - 1.0,
        "open_interest": 1e9,
        "stats": {"volume": 1.0, "volume_usd": 7e4},
        "current_funding": 1e-5,
        "funding_8h": 2e-5,
    } | change


def book(change_id: int, previous: int | None, bids: Any = (), asks: Any = (), kind: str = "change") -> dict[str, Any]:
    return {
        "type": kind,
        "instrument_name": NAME,
        "timestamp": 1_770_285_600_000 + change_id,
        "change_id": change_id,
        "prev_change_id": previous,
        "bids": [list(one) for one in bids],
        "asks": [list(one) for one in asks],
    }


SNAPSHOT = book(10, None, [("new", 100.0, 1.0), ("new", 99.0, 2.0)], [("new", 101.0, 3.0)], kind="snapshot")


def test_the_last_ticker_counts_and_brings_index_and_funding() -> None:
    mirror = made()
    assert mirror.ticker(ticker(1000)) is Outcome.APPLIED
    assert mirror.ticker(ticker(1000, 71_000.0)) is Outcome.DUPLICATE
    assert mirror.ticker(ticker(999, 71_000.0)) is Outcome.LATE
    assert mirror.ticker(ticker(2000, 72_000.0)) is Outcome.APPLIED
    assert mirror.tickers[NAME].event_ms == 2000
    assert mirror.series[("BTC", "index")] == (71_999.0, 2000)
    assert mirror.series[("BTC", "current_funding")] == (1e-5, 2000)


@pytest.mark.parametrize(
    "change",
    [
        {"mark_price": "70000"},
        {"mark_price": float("nan")},
        {"best_bid_price": -1.0},
        {"timestamp": None},
        {"timestamp": "1000"},
        {"index_price": 0.0},
        {"index_price": float("inf")},
    ],
)
def test_a_bad_ticker_changes_nothing_and_is_counted(change: dict[str, Any]) -> None:
    mirror = made()
    mirror.ticker(ticker(1000))
    before = dict(mirror.tickers), dict(mirror.series)
    assert mirror.ticker(ticker(2000) | change) is Outcome.REJECTED
    assert (mirror.tickers, mirror.series) == before
    assert mirror.take_rejects().total == 1
    assert mirror.take_rejects().total == 0


def test_a_message_from_the_future_is_rejected_and_hides_no_true_one() -> None:
    mirror = Mirror(latest=lambda: 1_770_285_600_500.0)
    mirror.list({NAME: "BTC"})
    now = 1_770_285_600_000
    assert mirror.ticker(ticker(now + 120_000)) is Outcome.REJECTED
    assert mirror.ticker(ticker(now)) is Outcome.APPLIED
    assert mirror.book(SNAPSHOT) is Outcome.APPLIED
    assert mirror.book(book(11, 10) | {"timestamp": now + 120_000}) is Outcome.REJECTED
    assert mirror.books[NAME].change_id is None
    ahead = {"index_name": "btc_usd", "volatility": 50.0, "timestamp": now + 120_000}
    assert mirror.volatility_index(ahead) is Outcome.REJECTED
    assert mirror.take_rejects().counts() == {"ahead_of_time": 3}
    assert mirror.volatility_index(ahead | {"timestamp": now}) is Outcome.APPLIED


@given(order=st.permutations([*range(8), *range(8)]))
def test_any_order_and_repetition_of_tickers_ends_in_the_latest(order: list[int]) -> None:
    mirror = made()
    for number in order:
        mirror.ticker(ticker(1000 + number, 70_000.0 + number))
    assert mirror.tickers[NAME].numbers[3] == 70_007.0
    assert sum(mirror.outcomes.values()) == 16


def test_a_book_follows_its_changes() -> None:
    mirror = made()
    assert mirror.book(book(11, 10)) is Outcome.WAITING
    assert mirror.book(SNAPSHOT) is Outcome.APPLIED
    assert mirror.book(book(12, 10, [("delete", 100.0, 0.0), ("change", 99.0, 5.0)], [("new", 100.5, 1.0)])) is (
        Outcome.APPLIED
    )
    assert mirror.books[NAME].best(5) == ([(99.0, 5.0)], [(100.5, 1.0), (101.0, 3.0)])
    assert mirror.book(book(12, 10)) is Outcome.DUPLICATE
    assert mirror.book(book(11, 10)) is Outcome.LATE
    assert mirror.book(SNAPSHOT) is Outcome.LATE


def test_a_gap_voids_the_book_until_a_snapshot() -> None:
    mirror = made()
    mirror.book(SNAPSHOT)
    assert mirror.book(book(15, 14, [("new", 98.0, 1.0)])) is Outcome.GAP
    assert mirror.books[NAME].change_id is None
    assert mirror.books[NAME].best(5) == ([], [])
    assert mirror.book(book(16, 15)) is Outcome.WAITING
    assert mirror.book(book(20, None, [("new", 98.0, 1.0)], kind="snapshot")) is Outcome.APPLIED
    assert mirror.books[NAME].best(5) == ([(98.0, 1.0)], [])


@pytest.mark.parametrize(
    "bids",
    [
        [("new", 102.0, 1.0)],
        [("new", "98", 1.0)],
        [("new", 98.0, -1.0)],
        [("new", 98.0, float("nan"))],
        [("remove", 98.0, 1.0)],
        [("new", 98.0)],
        [5],
        "x",
        None,
    ],
)
def test_a_change_that_cannot_be_voids_the_book(bids: Any) -> None:
    mirror = made()
    mirror.book(SNAPSHOT)
    message = book(11, 10) | {"bids": bids if isinstance(bids, str | None) else [*bids]}
    if isinstance(message["bids"], list):
        message["bids"] = [list(one) if isinstance(one, tuple) else one for one in message["bids"]]
    assert mirror.book(message) is Outcome.REJECTED
    assert mirror.books[NAME].change_id is None


CHANGES = [book(10 + n, 9 + n, [("new", 90.0 + n % 5, 1.0 + n)]) for n in range(1, 12)]


@given(data=st.data())
def test_a_disturbed_stream_gives_the_right_book_or_none(data: st.DataObject) -> None:
    truth = made()
    truth.book(SNAPSHOT)
    right = [truth.books[NAME].best(50)]
    for change in CHANGES:
        truth.book(change)
        right.append(truth.books[NAME].best(50))
    mirror = made()
    mirror.book(SNAPSHOT)
    numbers = data.draw(st.lists(st.integers(0, len(CHANGES) - 1), max_size=30))
    for number in numbers:
        mirror.book(CHANGES[number])
        seen = mirror.books[NAME]
        if seen.change_id is not None:
            assert seen.best(50) == right[seen.change_id - 10]


def test_what_is_not_listed_is_not_kept() -> None:
    mirror = made()
    assert mirror.ticker(ticker(1000) | {"instrument_name": "BTC-27MAR26-1-C"}) is Outcome.UNKNOWN
    assert mirror.book(SNAPSHOT | {"instrument_name": "x"}) is Outcome.UNKNOWN
    mirror.ticker(ticker(1000))
    mirror.book(SNAPSHOT)
    mirror.list({"BTC-27MAR26-70000-C": "BTC"})
    assert not mirror.tickers
    assert not mirror.books


def test_a_lost_connection_voids_every_book() -> None:
    mirror = made()
    mirror.book(SNAPSHOT)
    mirror.void_books()
    assert mirror.book(book(11, 10)) is Outcome.WAITING


def test_the_volatility_index_is_in_per_cent_and_in_order() -> None:
    mirror = made()
    message = {"index_name": "btc_usd", "volatility": 55.0, "timestamp": 1000}
    assert mirror.volatility_index(message) is Outcome.APPLIED
    assert mirror.series[("BTC", "dvol")] == (pytest.approx(0.55), 1000)
    assert mirror.volatility_index(message) is Outcome.DUPLICATE
    assert mirror.volatility_index(message | {"timestamp": 999}) is Outcome.LATE
    assert mirror.volatility_index(message | {"volatility": "55"}) is Outcome.REJECTED
    assert mirror.volatility_index(message | {"index_name": "sol_usd"}) is Outcome.UNKNOWN
    assert mirror.volatility_index(None) is Outcome.UNKNOWN


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(change=st.dictionaries(st.sampled_from(sorted({*ticker(1), *SNAPSHOT})), ANYTHING), whole=ANYTHING)
def test_whatever_arrives_has_an_outcome(change: dict[str, Any], whole: Any) -> None:
    mirror = made()
    mirror.book(SNAPSHOT)
    for message in (ticker(1000) | change, book(11, 10) | change, SNAPSHOT | change, whole):
        mirror.ticker(message)
        mirror.book(message)
        mirror.volatility_index(message)
    assert sum(mirror.outcomes.values()) == 13
