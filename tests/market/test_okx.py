"""OKX through a stand-in for ccxt that answers hand-written payloads: chains, and what is refused."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.venue.okx import AS_OF, FORWARD, SPOT, STRIKES, Answers, milliseconds

from greekdrift.book import Venue
from greekdrift.book.instrument import parse
from greekdrift.config import load_venue
from greekdrift.errors import ChainError, ConfigError, VenueError
from greekdrift.greeks import compute
from greekdrift.market import okx


@pytest.fixture
def exchange() -> Answers:
    return Answers()


@pytest.fixture(scope="module")
def venue() -> Venue:
    return load_venue("okx")


def now() -> datetime:
    return AS_OF + timedelta(seconds=1)


def taken(exchange: Answers, venue: Venue, **options: Any) -> okx.Snapshot:
    return okx.snapshot(exchange, ["BTC"], venue=venue, **{"now": now, **options})


def test_a_chain_in_our_units(exchange: Answers, venue: Venue) -> None:
    found = taken(exchange, venue)
    chain = found.chain
    assert (chain.venue, chain.as_of, chain.known_at, chain.origin) == ("okx", AS_OF, now(), "recorded")
    assert len(chain) == 2 * len(STRIKES) + 1
    assert found.left_out == {}
    row = chain.row_of["BTC-31JUL26-70000-C"]
    assert (chain.contract_size[row], chain.open_interest[row], chain.volume_24h[row]) == (0.01, 300.0, 250.0)
    assert (chain.forward[row], chain.mark_iv[row], chain.index_price["BTC"]) == (FORWARD, 0.53, SPOT)
    assert np.isnan(chain.bid[row])
    assert chain.ask[row] > chain.mark[row]
    perpetual = chain.row_of["BTC-PERPETUAL"]
    assert (chain.contract_size[perpetual], chain.mark[perpetual]) == (100.0, 70_010.5)
    assert (chain.bid[perpetual], chain.open_interest[perpetual]) == (70_010.4, 900_000.0)
    assert chain.settlement_average_minutes == 30.0


def test_contracts_that_cannot_be_used_are_counted(exchange: Answers, venue: Venue) -> None:
    exchange.data["terms"][0]["state"] = "suspend"
    exchange.data["summary"][1]["markVol"] = ""
    exchange.data["mark"][2]["markPx"] = "NaN"
    exchange.data["summary"][3]["ts"] = milliseconds(AS_OF - timedelta(minutes=5))
    exchange.data["summary"][4]["ts"] = ""
    found = taken(exchange, venue)
    assert found.left_out == {"not listed": 1, "no mark, forward or volatility": 2, "no stamp": 1, "stale": 1}
    assert len(found.chain) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: one.data["terms"][0].update(stk="61000"), "which its name denies"),
        (lambda one: one.data["terms"][0].update(settleCcy="USDC"), "which its name denies"),
        (lambda one: one.data["terms"][0].update(ctMult=""), "with a size of nan"),
        (lambda one: one.data["summary"][0].update(markVol="high"), "is no number"),
        (lambda one: one.data["summary"][0].update(fwdPx="inf"), "is no number"),
        (lambda one: one.data["mark"][0].update(markPx=10**400), "is no number"),
        (lambda one: one.data["summary"][0].update(ts="1e300"), "counts no milliseconds"),
        (lambda one: one.data["terms"][0].update(expTime="-1"), "counts no milliseconds"),
        (lambda one: one.data["summary"].clear(), "no option of BTC"),
        (lambda one: one.data["mark"].pop(), "did not answer for BTC-USD-SWAP"),
        (lambda one: one.index[0].update(idxPx="0"), "no index price"),
        (lambda one: one.data["oi"].insert(0, {"oi": "1"}), "names no contract"),
        (lambda one: one.data["summary"][0].update(ts=milliseconds(AS_OF + timedelta(hours=1))), "set this clock"),
    ],
)
def test_answers_that_cannot_be_are_refused(
    exchange: Answers, venue: Venue, change: Callable[[Answers], object], said: str
) -> None:
    change(exchange)
    with pytest.raises(VenueError, match=said):
        taken(exchange, venue)


@pytest.mark.parametrize("reply", [None, [], {"code": "50011", "msg": "Too Many Requests"}, {"code": "0", "data": {}}])
def test_answers_of_another_form_are_refused(
    exchange: Answers, venue: Venue, reply: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "public_get_public_opt_summary", lambda params: reply)
    with pytest.raises(VenueError, match="holds no data"):
        taken(exchange, venue)


def test_errors_of_ccxt_become_ours_and_no_other(exchange: Answers, venue: Venue) -> None:
    exchange.problem = type("RequestTimeout", (Exception,), {"__module__": "ccxt.base.errors"})("no answer")
    with pytest.raises(VenueError, match="RequestTimeout: no answer"):
        taken(exchange, venue)
    exchange.problem = RuntimeError("a fault of ours")
    with pytest.raises(RuntimeError, match="a fault of ours"):
        taken(exchange, venue)


def test_a_crossed_quote_is_refused_or_dropped_and_counted(exchange: Answers, venue: Venue) -> None:
    exchange.data["ticker"][0].update(bidPx="0.1700", askPx="0.1600")
    with pytest.raises(ChainError, match="above ask"):
        taken(exchange, venue)
    assert taken(exchange, venue, drop=("uncrossed",)).left_out == {"uncrossed": 1}


def test_what_the_venue_file_does_not_know_is_an_error(venue: Venue) -> None:
    assert venue.product(parse("BTC-31JUL26-70000-C")).fee_cap == 0.07
    with pytest.raises(ConfigError, match="lists no inverse future"):
        venue.product(parse("BTC-31JUL26"))


@pytest.mark.shared
def test_a_recorded_summary_is_read(exchange: Answers, venue: Venue, shared: Path) -> None:
    path = shared / "data" / "api_payloads" / "recorded" / "okx_opt_summary.json"
    summary = json.loads(path.read_text())
    moment = datetime.fromtimestamp(int(summary[0]["ts"]) / 1000.0, UTC)
    names = [row["instId"] for row in summary]
    exchange.data["summary"] = summary
    exchange.index[0]["idxPx"] = "92000"
    for row in exchange.data["terms"][:2]:
        row.update(expTime=milliseconds(datetime(2025, 3, 28, 8, tzinfo=UTC)), stk="92000")
    for table in ("terms", "oi", "ticker", "mark"):
        for row, name in zip(exchange.data[table][:2], names, strict=True):
            row["instId"] = name
    years = (datetime(2025, 3, 28, 8, tzinfo=UTC) - moment).total_seconds() / 31_536_000.0
    for row, of in zip(exchange.data["mark"][:2], summary, strict=True):
        at = {"forward": float(of["fwdPx"]), "strike": 92_000.0, "volatility": float(of["markVol"])}
        price = compute(["price"], **at, time_to_expiry=years, is_call=row["instId"].endswith("C"))["price"]
        row["markPx"] = f"{float(price) / at['forward']:.10f}"
    for row in exchange.data["ticker"][:2]:
        row["askPx"] = ""
    for table in ("mark", "ticker"):
        exchange.data[table][-1].update(markPx="92010", bidPx="92009", askPx="92011")
    chain = taken(exchange, venue, now=lambda: moment).chain
    assert chain.as_of == moment
    call = chain.row_of["BTC-28MAR25-92000-C"]
    assert (chain.mark_iv[call], chain.forward[call]) == (0.53, 92_150.5)
