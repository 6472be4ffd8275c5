"""OKX collected: the folder, the columns and the checks are those of any venue."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.market.collect.conftest import Moved
from tests.venue.okx import AS_OF, STRIKES, Answers, milliseconds

from greekdrift.config import load_venue
from greekdrift.errors import DataError
from greekdrift.market.collect import manifest
from greekdrift.market.collect.deribit import collector as of_deribit
from greekdrift.market.collect.okx import collector
from greekdrift.market.parquet import ParquetSource


def collected(exchange: Answers, folder: Path, *, count: int = 1, **given: Any) -> tuple[Any, list[Any]]:
    events: list[Any] = []

    async def go() -> Any:
        made = collector(
            folder,
            ("BTC",),
            exchange=exchange,
            report=lambda what, *rest: events.append(what),
            **{"clock": Moved(at=AS_OF + timedelta(seconds=1)), **given},
        )
        return await made.run(count=count)

    return asyncio.run(go()), events


def test_a_snapshot_has_the_columns_of_any_collected_chain(tmp_path: Path) -> None:
    tally, _ = collected(Answers(), tmp_path)
    assert (tally.snapshots, tally.rejected) == (1, 0)
    table = pq.read_table(manifest.files(tmp_path)[0]).to_pandas()
    assert len(table) == 2 * len(STRIKES) + 1
    assert set(table["venue"]) == {"okx"}
    options = table[table["option_type"].notna()]
    assert (options["gamma_bs"] > 0.0).all()
    assert (options["ask_iv"] > options["mark_iv"]).all()
    assert options["bid_iv"].isna().all()
    assert set(options["ask_size"]) == {12.0}
    assert (table["event_time_utc"] == AS_OF).all()
    series = pq.read_table(manifest.files(tmp_path, "series")[0]).to_pandas()
    assert dict(zip(series["name"], series["value"], strict=True)) == {"index": 70_000.0, "next_funding": 1.82e-5}


def test_the_folder_is_read_as_a_source_and_is_of_okx_alone(tmp_path: Path) -> None:
    collected(Answers(), tmp_path)
    chain = ParquetSource(str(tmp_path), venue=load_venue("okx")).chain(AS_OF)
    row = chain.row_of["BTC-31JUL26-70000-C"]
    assert (chain.contract_size[row], chain.open_interest[row], chain.volume_24h[row]) == (0.01, 300.0, 250.0)
    perpetual = chain.row_of["BTC-PERPETUAL"]
    assert (chain.contract_size[perpetual], chain.open_interest[perpetual]) == (100.0, 900_000.0)
    assert chain.volume_24h[perpetual] == 5_000_000.0
    assert np.isnan(chain.bid[row])
    with pytest.raises(DataError, match="holds snapshots of okx; collect those of deribit into another"):
        of_deribit(tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda one: setattr(one, "problem", type("X", (Exception,), {"__module__": "ccxt.base.errors"})("no")),
            "venue",
        ),
        (lambda one: one.data["summary"].clear(), "venue"),
        (lambda one: one.data["terms"][0].update(stk="61000"), "venue"),
        (lambda one: one.rate[0].update(fundingRate=""), "venue"),
        (lambda one: [row.update(markVol="53") for row in one.data["summary"]], "rejected"),
        (lambda one: [row.update(ts="") for row in one.data["summary"]], "venue"),
        (lambda one: one.index[0].update(idxPx="7"), "rejected"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(
    tmp_path: Path, change: Callable[[Answers], object], reason: str
) -> None:
    exchange = Answers()
    change(exchange)
    tally, events = collected(exchange, tmp_path)
    assert tally.refused == {reason: 1}, events
    assert manifest.files(tmp_path) == ()


def test_bad_rows_are_rejected_and_counted_and_a_moment_of_trouble_is_asked_again(tmp_path: Path) -> None:
    exchange = Answers()
    for strike in range(71_000, 79_000, 1000):
        exchange.list(strike, "C")
    exchange.data["ticker"][0].update(bidPx="0.1700", askPx="0.1600")
    exchange.data["summary"][1].update(ts=milliseconds(AS_OF - timedelta(minutes=5)))
    exchange.data["summary"][2].update(ts="")
    answer, asked = exchange.public_get_public_opt_summary, 0

    def first_fails(params: Any) -> Any:
        nonlocal asked
        asked += 1
        return {"code": "50011", "msg": "Too Many Requests"} if asked == 1 else answer(params)

    exchange.public_get_public_opt_summary = first_fails  # type: ignore[method-assign]
    tally, _ = collected(exchange, tmp_path)
    assert (tally.snapshots, tally.rejected, asked) == (1, 2, 2)
    (line,) = [line.body for line in manifest.Walk(tmp_path / manifest.NAME)]
    assert (line["rejected"], line["left_out"]) == ({"crossed": 1, "stale": 1}, {"no stamp": 1})


def test_a_clock_that_is_off_is_said(tmp_path: Path) -> None:
    tally, _ = collected(Answers(), tmp_path, clock=Moved(at=AS_OF + timedelta(hours=1)))
    assert tally.refused == {"clock_skew": 1}


def test_a_repetition_is_no_second_snapshot(tmp_path: Path) -> None:
    exchange = Answers()
    tally, _ = collected(exchange, tmp_path, count=2, every=timedelta(seconds=20))
    assert (tally.snapshots, tally.refused) == (1, {"repeated": 1})
    later = datetime(2026, 6, 20, 10, 1, tzinfo=UTC)
    for row in (*exchange.data["summary"], *exchange.data["ticker"]):
        row["ts"] = milliseconds(later)
    assert collected(exchange, tmp_path, clock=Moved(at=later))[0].snapshots == 1
