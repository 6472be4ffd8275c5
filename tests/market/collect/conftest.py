"""A venue made by hand: answers of the public methods for a chain of two coins, on a clock that the test moves."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pytest

from greekdrift.book import Chain
from greekdrift.config import load_venue
from greekdrift.market.simulate import SimulatedSource

START = datetime(2026, 2, 5, 10, 0, 0, tzinfo=UTC)


@dataclass
class Moved:
    """A clock that moves when it is slept on, and by a little with each look."""

    at: datetime = START
    slept: list[float] = field(default_factory=list)
    tick: float = 0.001

    def now(self) -> datetime:
        self.at += timedelta(seconds=self.tick)
        return self.at

    def monotonic(self) -> float:
        return (self.at - START).total_seconds()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += timedelta(seconds=seconds)


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def summary_rows(chain: Chain, currency: str, kind: str, moment: datetime) -> list[dict[str, Any]]:
    """The rows of a chain as the venue writes them."""
    rows = []
    for at, one in enumerate(chain.instruments):
        if one.underlying != currency or one.is_option != (kind == "option"):
            continue

        def price(name: str, at: int = at) -> float | None:
            value = float(getattr(chain, name)[at])
            return None if np.isnan(value) else value

        row: dict[str, Any] = {
            "instrument_name": one.name,
            "creation_timestamp": milliseconds(moment),
            "bid_price": price("bid"),
            "ask_price": price("ask"),
            "mark_price": price("mark"),
            "open_interest": 12.5,
            "volume": 3.0,
            "volume_usd": 210_000.0,
            "base_currency": currency,
            "unknown_field": {"of": ["a", "later", "version"]},
        }
        if one.is_option:
            row |= {
                "mark_iv": 100.0 * float(chain.mark_iv[at]),
                "underlying_price": float(chain.forward[at]),
                "underlying_index": f"SYN.{one.name[:11]}",
                "interest_rate": 0.0,
            }
        rows.append(row)
    return rows


class Venue:
    """Answers calls; `spoil` may change what one answers: it gets method, parameters, number of the call, answer."""

    def __init__(self, chain: Chain, clock: Moved) -> None:
        self.chain, self.clock = chain, clock
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.spoil: Callable[[str, dict[str, str], int, Any], Any] = lambda method, parameters, number, answer: answer

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.method == "GET"
        method = request.url.path.removeprefix("/api/v2/")
        parameters = dict(request.url.params)
        self.calls.append((method, parameters))
        now = self.clock.at
        answer: Any = {
            "jsonrpc": "2.0",
            "result": self.result(method, parameters, now),
            "usIn": milliseconds(now) * 1000,
            "usOut": milliseconds(now) * 1000,
            "usDiff": 0,
            "testnet": False,
        }
        answer = self.spoil(method, parameters, len(self.calls), answer)
        if isinstance(answer, httpx.Response):
            return answer
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(200, content=json.dumps(answer).encode())

    def result(self, method: str, parameters: dict[str, str], now: datetime) -> Any:
        name = method.removeprefix("public/")
        if name == "get_book_summary_by_currency":
            return summary_rows(self.chain, parameters["currency"], parameters["kind"], now)
        if name == "get_instruments":
            return [
                {
                    "instrument_name": one.name,
                    "contract_size": float(self.chain.contract_size[at]),
                    "tick_size": 0.0001 if one.is_option else 0.5,
                    "is_active": True,
                }
                for at, one in enumerate(self.chain.instruments)
                if one.underlying == parameters["currency"]
            ]
        if name == "get_index_price":
            coin = parameters["index_name"].split("_")[0].upper()
            return {"index_price": self.chain.index_price[coin], "estimated_delivery_price": 1.0}
        if name == "ticker":
            return {"instrument_name": parameters["instrument_name"], "current_funding": 0.0, "funding_8h": 2.2e-5}
        if name == "get_volatility_index_data":
            start = milliseconds(now) // 60_000 * 60_000
            return {"data": [[start - 60_000, 55.0, 56.0, 54.0, 55.5], [start, 55.5, 56.0, 55.0, 55.9]]}
        if name == "get_order_book":
            return {"timestamp": milliseconds(now), "bids": [[0.05, 10.0], [0.049, 5.0]], "asks": [[0.051, 3.0]]}
        raise AssertionError(method)


@pytest.fixture(scope="session")
def simulated() -> Chain:
    source = SimulatedSource(venue=load_venue("deribit"), seed=3, days=1.0, start=START)
    return source.chain(source.snapshots()[0])


@pytest.fixture
def clock(simulated: Chain) -> Moved:
    return Moved(at=max(START, simulated.as_of))


@pytest.fixture
def venue(simulated: Chain, clock: Moved) -> Venue:
    return Venue(simulated, clock)
