import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from greekdrift.book import Chain
from greekdrift.config import load_venue
from greekdrift.errors import DataError, InputError
from greekdrift.greeks import compute
from greekdrift.market import parquet
from greekdrift.market.collect import manifest
from greekdrift.market.collect.rest import Client, Limits
from greekdrift.market.collect.snapshot import Bounds, Refusal, RestSnapshots
from greekdrift.market.collect.store import Batch, Store
from greekdrift.market.collect.table import Tolerance
from greekdrift.market.parquet import ParquetSource, read_chain


def take(
    venue: Any, clock: Any, *, currencies: tuple[str, ...] = ("BTC", "ETH"), times: int = 1, **given: Any
) -> Batch:
    async def go() -> Batch:
        client = Client(
            "http://127.0.0.1",
            clock=clock,
            limits=Limits(per_second=1e6, attempts=2),
            transport=httpx.MockTransport(venue),
        )
        try:
            taken = RestSnapshots(client, currencies, clock=clock, **given)
            for _ in range(times):
                batch = await taken.take(until=clock.monotonic() + 60.0)
            return batch
        finally:
            await client.close()

    return asyncio.run(go())


def spoiling(method: str, change: Any, **only: str) -> Any:
    """Changes the result of one method."""

    def spoil(asked: str, parameters: dict[str, str], number: int, answer: Any) -> Any:
        if asked.endswith(method) and all(parameters.get(key) == value for key, value in only.items()):
            return answer | {"result": change(answer["result"])}
        return answer

    return spoil


def test_a_snapshot_reads_back_as_the_chain_that_the_venue_published(
    venue: Any, clock: Any, simulated: Chain, tmp_path: Path
) -> None:
    batch = take(venue, clock)
    with Store(tmp_path) as store:
        entry = store.append(batch)
    chain = read_chain(tmp_path, venue=load_venue("deribit"))
    assert chain.as_of == entry.as_of
    assert chain.known_at == entry.known_at
    assert chain.known_at >= chain.as_of
    rows = chain.rows([one.name for one in simulated.instruments])
    assert len(chain) == len(simulated)
    for column in ("bid", "ask", "mark", "mark_iv", "forward", "contract_size"):
        if column == "forward":
            is_on = simulated.is_option
            np.testing.assert_allclose(getattr(chain, column)[rows][is_on], getattr(simulated, column)[is_on])
        else:
            np.testing.assert_allclose(getattr(chain, column)[rows], getattr(simulated, column), rtol=1e-12)
    assert dict(chain.index_price) == dict(simulated.index_price)


def test_the_file_alone_and_the_folder_say_the_same(venue: Any, clock: Any, tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        entry = store.append(take(venue, clock))
        clock.at += timedelta(minutes=10)
        store.append(take(venue, clock))
    (tmp_path / "chain" / "date=2026-02-05" / "chain-orphan.parquet").write_bytes(b"not acknowledged")
    source = ParquetSource(str(tmp_path), venue=load_venue("deribit"))
    assert len(source.snapshots()) == 2
    day = ParquetSource(str(tmp_path / "chain" / "date=2026-02-05"), venue=load_venue("deribit"))
    assert day.snapshots() == source.snapshots()
    alone = read_chain(entry.files[0], venue=load_venue("deribit"))
    np.testing.assert_array_equal(alone.mark, source.chain(source.snapshots()[0]).mark)


def test_what_a_footer_says_is_what_reading_finds(
    venue: Any, clock: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(tmp_path) as store:
        for _ in range(3):
            entry = store.append(take(venue, clock))
            clock.at += timedelta(minutes=10)
    quick = ParquetSource(str(tmp_path), venue=load_venue("deribit"))
    last = quick.snapshots()[-1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest, "difference", lambda path, facts: "" if path == entry.files[0] else "was looked at")
        assert ParquetSource(str(tmp_path), venue=load_venue("deribit"), since=last).snapshots() == (last,)
        with pytest.raises(DataError, match="stretch"):
            ParquetSource(str(tmp_path), venue=load_venue("deribit"), since=last + timedelta(seconds=1))
    monkeypatch.setattr(parquet, "_collected", lambda members, number: [])
    slow = ParquetSource(str(tmp_path), venue=load_venue("deribit"))
    assert quick._joint == slow._joint
    assert len(quick.snapshots()) == 3
    monkeypatch.undo()
    table = pq.read_table(entry.files[0])
    for said in (b"{", b"[]", b'{"as_of": "x", "underlyings": ["BTC"]}', b'{"as_of": "2026-01-01T00:00Z"}'):
        pq.write_table(table.replace_schema_metadata({manifest.METADATA: said}), tmp_path / "chain.parquet")
        assert len(read_chain(tmp_path / "chain.parquet", venue=load_venue("deribit"))) == table.num_rows
    twice = pa.concat_tables([table, pq.read_table(manifest.files(tmp_path)[0])])
    pq.write_table(twice.replace_schema_metadata(table.schema.metadata), tmp_path / "chain.parquet")
    assert len(ParquetSource(str(tmp_path / "chain.parquet"), venue=load_venue("deribit")).snapshots()) == 2


def test_volatilities_of_quotes_and_greeks_are_those_of_the_calculator(venue: Any, clock: Any) -> None:
    table = take(venue, clock).tables["chain"].to_pandas()
    options = table[table["option_type"].notna()]
    at = {
        "forward": options["forward_price_usd"],
        "strike": options["strike_usd"],
        "time_to_expiry": options["time_to_expiry_years_act365"],
        "is_call": options["option_type"] == "call",
    }
    greeks = compute(["delta", "gamma", "vega", "theta"], volatility=options["mark_iv"], **at)
    np.testing.assert_allclose(options["delta_bs"], greeks["delta"])
    np.testing.assert_allclose(options["gamma_bs"], greeks["gamma"])
    np.testing.assert_allclose(options["vega_usd_per_volpoint"], greeks["vega"] / 100.0)
    np.testing.assert_allclose(options["theta_usd_per_day"], greeks["theta"] / 365.0)
    for side in ("bid", "ask"):
        has = options[f"{side}_iv"].notna().to_numpy()
        assert has.mean() > 0.5
        given = {name: np.asarray(column)[has] for name, column in at.items()}
        price = compute(["price"], volatility=options[f"{side}_iv"][has], **given)["price"] / given["forward"]
        np.testing.assert_allclose(price, options[f"{side}_price_coin"][has], atol=1e-9)
    assert not (options["bid_iv"] > options["ask_iv"]).any()


def test_index_funding_and_volatility_index_stand_in_the_series(venue: Any, clock: Any) -> None:
    batch = take(venue, clock)
    series = batch.tables["series"].to_pandas()
    assert set(series["name"]) == {"index", "current_funding", "funding_8h", "dvol"}
    assert len(series) == 8
    assert (series["event_time_utc"] <= series["known_at_utc"]).all()
    assert series.loc[series["name"] == "dvol", "value"].tolist() == [pytest.approx(0.559)] * 2


@pytest.mark.parametrize("method", ["ticker", "get_volatility_index_data"])
def test_what_no_chain_needs_may_be_missing_and_is_said_to_be(venue: Any, clock: Any, method: str) -> None:
    venue.spoil = spoiling(method, lambda result: None)
    batch = take(venue, clock)
    assert len(batch.facts["missing"]) == 2
    assert batch.tables["chain"].num_rows > 0


@pytest.mark.parametrize("method", ["get_book_summary_by_currency", "get_index_price", "get_instruments"])
@pytest.mark.parametrize("result", [None, [], "x"])
def test_without_what_a_chain_needs_there_is_none(venue: Any, clock: Any, method: str, result: Any) -> None:
    venue.spoil = spoiling(method, lambda given: result)
    with pytest.raises(Refusal) as refusal:
        take(venue, clock)
    assert refusal.value.reason in {"malformed", "rejected"}


def test_replies_too_far_apart_are_no_synchronous_chain(venue: Any, clock: Any) -> None:
    venue.spoil = lambda method, parameters, number, answer: (
        answer | {"usOut": answer["usOut"] - 6_000_000} if method.endswith("get_index_price") else answer
    )
    with pytest.raises(Refusal) as refusal:
        take(venue, clock)
    assert refusal.value.reason == "skew"
    assert take(venue, clock, bounds=Bounds(skew=7.0)).facts["skew_seconds"] > 5.9


@pytest.mark.parametrize("seconds", [-40, 40])
def test_a_venue_whose_clock_is_not_ours_is_refused(venue: Any, clock: Any, seconds: int) -> None:
    venue.spoil = lambda method, parameters, number, answer: answer | {"usOut": answer["usOut"] + seconds * 1_000_000}
    with pytest.raises(Refusal) as refusal:
        take(venue, clock)
    assert refusal.value.reason == "clock_skew"


def test_a_venue_a_little_ahead_is_known_no_earlier_than_it_says(venue: Any, clock: Any) -> None:
    venue.spoil = lambda method, parameters, number, answer: answer | {"usOut": answer["usOut"] + 10_000_000}
    batch = take(venue, clock)
    assert batch.known_at >= batch.as_of


def changed(change: dict[str, Any], count: int = 3) -> Any:
    return lambda rows: [row | change if at < count else row for at, row in enumerate(rows)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"bid_price": 0.03, "ask_price": 0.02}, "crossed"),
        ({"mark_price": float("nan")}, "not_finite"),
        ({"mark_price": 3.0, "bid_price": None, "ask_price": None}, "price_beyond_bound"),
        ({"ask_price": 1.78e198}, "price_beyond_bound"),
        ({"underlying_price": 5_000.0}, "forward_off_index"),
        ({"underlying_price": 120_000.0}, "forward_off_expiry"),
        ({"mark_iv": 5_001.0}, "bad_volatility"),
        ({"mark_iv": 4_000.0, "bid_price": None}, "mark_off_volatility"),
        ({"creation_timestamp": 1_770_000_000_000}, "stale"),
        ({"creation_timestamp": 1_790_000_000_000}, "ahead_of_time"),
    ],
)
def test_rows_that_contradict_the_others_are_left_out_with_their_reason(
    venue: Any, clock: Any, change: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    whole = take(venue, clock).tables["chain"].num_rows
    venue.spoil = spoiling("get_book_summary_by_currency", changed(change), currency="BTC", kind="option")
    batch = take(venue, clock)
    assert batch.facts["rejected"] == {reason: 3}
    assert batch.tables["chain"].num_rows == whole - 3
    assert batch.details["examples"][0]["reason"] == reason
    with Store(tmp_path) as store:
        store.append(batch)
    assert len(read_chain(tmp_path, venue=load_venue("deribit"))) == whole - 3


def test_too_many_rejected_rows_refuse_the_snapshot(venue: Any, clock: Any) -> None:
    venue.spoil = spoiling("get_book_summary_by_currency", changed({"mark_price": "0.1"}, 10_000), currency="BTC")
    with pytest.raises(Refusal) as refusal:
        take(venue, clock)
    assert refusal.value.reason == "rejected"
    venue.spoil = spoiling("get_book_summary_by_currency", changed({"mark_price": "0.1"}, 100), currency="BTC")
    assert take(venue, clock, tolerance=Tolerance(most_rejected=0.9)).facts["rejected"]["wrong_type"] > 100


def test_a_chain_that_lacks_many_listed_contracts_is_refused(venue: Any, clock: Any) -> None:
    venue.spoil = spoiling("get_book_summary_by_currency", lambda rows: rows[5:], kind="option")
    assert take(venue, clock).facts["absent"] == 10
    venue.spoil = spoiling("get_book_summary_by_currency", lambda rows: rows[: len(rows) // 2], kind="option")
    with pytest.raises(Refusal, match="listed contracts"):
        take(venue, clock)


def test_everything_in_a_snapshot_had_happened_by_then(venue: Any, clock: Any) -> None:
    batch = take(venue, clock)
    chain = batch.tables["chain"].to_pandas()
    assert (chain["event_time_utc"] <= chain["snapshot_ts_utc"]).all()
    assert (chain["snapshot_ts_utc"] <= chain["known_at_utc"]).all()


def test_volatilities_in_fractions_are_a_change_of_unit(venue: Any, clock: Any) -> None:
    venue.spoil = spoiling(
        "get_book_summary_by_currency",
        lambda rows: [row | {"mark_iv": row["mark_iv"] / 100.0} for row in rows],
        kind="option",
    )
    with pytest.raises(Refusal) as refusal:
        take(venue, clock, tolerance=Tolerance(most_rejected=1.0))
    assert refusal.value.reason == "rejected"


def test_the_listing_is_asked_for_once_and_again_for_a_new_contract(venue: Any, clock: Any) -> None:
    take(venue, clock, times=3)
    assert sum(method.endswith("get_instruments") for method, _ in venue.calls) == 2
    venue.calls.clear()
    venue.spoil = spoiling("get_instruments", lambda rows: rows[1:], currency="BTC")
    batch = take(venue, clock)
    assert batch.facts["rejected"] == {"not_listed": 1}
    assert sum(method.endswith("get_instruments") for method, _ in venue.calls) == 4


def test_an_old_listing_serves_where_a_new_one_cannot_be_had(venue: Any, clock: Any) -> None:
    venue.spoil = lambda method, parameters, number, answer: (
        httpx.Response(500) if method.endswith("get_instruments") and number > 5 else answer
    )
    assert take(venue, clock, times=2, bounds=Bounds(listing_age=-1.0)).facts["rejected"] == {}


def test_other_currencies_are_refused(venue: Any, clock: Any) -> None:
    for wrong in (("DOGE",), ()):
        with pytest.raises(InputError, match="BTC"):
            take(venue, clock, currencies=wrong)


def test_nothing_but_public_questions_is_asked(venue: Any, clock: Any) -> None:
    take(venue, clock)
    assert {method.split("/")[0] for method, _ in venue.calls} == {"public"}
    assert all(part not in method for method, _ in venue.calls for part in ("buy", "sell", "private", "auth"))


def test_same_answers_same_bytes(simulated: Chain, venue: Any, clock: Any) -> None:
    at = datetime(2026, 2, 5, 11, tzinfo=UTC)
    found = []
    for _ in range(2):
        clock.at = at
        found.append(take(venue, clock).tables["chain"])
    assert found[0].equals(found[1])
