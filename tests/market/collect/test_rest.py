import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from greekdrift.errors import InputError
from greekdrift.market.collect.rest import Client, Failed, Limits, Reply, checked_url

GOOD = {"jsonrpc": "2.0", "result": 7, "usOut": 1_770_285_600_123_456}
Answer = Callable[[httpx.Request], httpx.Response]


def ask(answer: Answer, clock: Any, *, until: float = 1e9, **limits: Any) -> tuple[Reply, Client]:
    async def go() -> tuple[Reply, Client]:
        client = Client(
            "http://127.0.0.1", clock=clock, limits=Limits(**limits), transport=httpx.MockTransport(answer), seed=1
        )
        try:
            return await client.call("public/test", {"a": 1}, until=clock.monotonic() + until), client
        finally:
            await client.close()

    return asyncio.run(go())


def after(failures: list[httpx.Response], clock: Any, **limits: Any) -> tuple[Reply, Client]:
    left = list(failures)
    return ask(lambda request: left.pop(0) if left else httpx.Response(200, json=GOOD), clock, **limits)


def test_a_reply_says_when_it_was_by_both_clocks(clock: Any) -> None:
    reply, client = after([], clock)
    assert reply.result == 7
    assert reply.venue_time is not None
    assert reply.venue_time.isoformat() == "2026-02-05T10:00:00.123456+00:00"
    assert reply.sent_at < reply.received_at
    assert client.retries == 0


@pytest.mark.parametrize("stamp", [None, "1770285600123456", 1.5, -1, 10**30, True])
def test_a_stamp_that_is_none_is_not_believed(stamp: Any, clock: Any) -> None:
    reply, _ = ask(lambda request: httpx.Response(200, json=GOOD | {"usOut": stamp}), clock)
    assert reply.venue_time is None


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(500),
        httpx.Response(502, text="<html>"),
        httpx.Response(503, headers={"retry-after": "3"}),
        httpx.Response(200, content=json.dumps(GOOD).encode()[:-5]),
        httpx.Response(200, content=b""),
        httpx.Response(200, content=b"[" * 100_000),
        httpx.Response(200, content=b'{"result": ' + b"9" * 10_000 + b"}"),
        httpx.Response(200, content=b"\xff\xfe\x00"),
        httpx.Response(200, json=[1]),
        httpx.Response(200, json={"jsonrpc": "2.0"}),
        httpx.Response(429),
        httpx.Response(400, json={"error": {"code": 10028, "message": "too_many_requests"}}),
        httpx.Response(200, json={"error": {"code": 10028, "message": "too_many_requests"}}),
    ],
)
def test_what_may_pass_is_tried_again(response: httpx.Response, clock: Any) -> None:
    reply, client = after([response], clock)
    assert reply.result == 7
    assert client.retries == 1


def test_a_failing_venue_is_given_up_after_so_many_attempts_with_growing_waits(clock: Any) -> None:
    with pytest.raises(Failed) as failed:
        ask(lambda request: httpx.Response(500), clock, attempts=4, per_second=1e9)
    assert failed.value.reason == "server"
    waits = [one for one in clock.slept if one > 0.01]
    assert len(waits) == 3
    assert all(0.5 * 0.5 * 2.0**n <= wait <= 0.5 * 2.0**n for n, wait in enumerate(waits))


@pytest.mark.parametrize(
    ("response", "asked"),
    [
        (httpx.Response(429, headers={"retry-after": "7"}), 7.0),
        (httpx.Response(429, json={"error": {"code": 10028, "data": {"wait": 4}}}), 4.0),
        (httpx.Response(503, headers={"retry-after": "5"}), 5.0),
        (httpx.Response(429, headers={"retry-after": "soon"}), 0.0),
        (httpx.Response(429, headers={"retry-after": "nan"}), 0.0),
    ],
)
def test_the_venue_says_how_long_to_wait(response: httpx.Response, asked: float, clock: Any) -> None:
    after([response], clock)
    assert max(clock.slept) >= asked


def test_no_wait_goes_past_the_end_of_the_cadence(clock: Any) -> None:
    with pytest.raises(Failed) as failed:
        after([httpx.Response(429, headers={"retry-after": "600"})], clock, until=30.0)
    assert failed.value.reason == "rate_limit"
    assert sum(clock.slept) < 1.0


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (httpx.Response(302, headers={"location": "https://elsewhere.example/api"}), "redirect"),
        (httpx.Response(307, headers={"location": "/other"}), "redirect"),
        (httpx.Response(400, json={"error": {"code": -32602, "message": "Invalid params"}}), "refused"),
        (httpx.Response(404), "status"),
    ],
)
def test_what_will_not_pass_is_not_tried_again(response: httpx.Response, reason: str, clock: Any) -> None:
    with pytest.raises(Failed) as failed:
        after([response], clock)
    assert failed.value.reason == reason
    assert clock.slept == []


def test_a_body_over_the_limit_is_cut_off_while_it_arrives(clock: Any) -> None:
    sent = 0

    async def parts() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 1000
            yield b" " * 1000

    with pytest.raises(Failed) as failed:
        ask(lambda request: httpx.Response(200, content=parts()), clock, largest_body=10_000)
    assert failed.value.reason == "too_large"
    assert sent < 20_000


def test_an_answer_that_trickles_is_ended_by_the_deadline(clock: Any) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(100):
            await asyncio.sleep(0.02)
            yield b" "

    with pytest.raises(Failed) as failed:
        ask(lambda request: httpx.Response(200, content=parts()), clock, timeout=0.05, attempts=1)
    assert failed.value.reason == "slow"


def test_a_lost_connection_is_tried_again(clock: Any) -> None:
    left = [httpx.ConnectError("x"), httpx.ReadError("x"), httpx.RemoteProtocolError("x")]

    def answer(request: httpx.Request) -> httpx.Response:
        if left:
            raise left.pop()
        return httpx.Response(200, json=GOOD)

    assert ask(answer, clock)[1].retries == 3


@pytest.mark.parametrize("burst", [1, 4])
def test_calls_keep_the_rate(burst: int, clock: Any) -> None:
    async def go() -> None:
        client = Client(
            "http://127.0.0.1",
            clock=clock,
            limits=Limits(per_second=5.0, burst=burst),
            transport=httpx.MockTransport(lambda request: httpx.Response(200, json=GOOD)),
        )
        for _ in range(11):
            await client.call("public/test", {}, until=1e9)
        await client.close()

    start = clock.monotonic()
    asyncio.run(go())
    assert 2.2 > clock.monotonic() - start >= (11 - burst) / 5.0


@pytest.mark.parametrize(
    "url",
    [
        "http://www.deribit.com",
        "ftp://127.0.0.1",
        "https://user:secret@www.deribit.com",
        "https://www.deribit.com/api",
        "https://www.deribit.com?x=1",
        "www.deribit.com",
        "",
        "http://[::1",
        "http://127.0.0.1.evil.example",
    ],
)
def test_other_addresses_are_refused_and_no_secret_is_repeated(url: str) -> None:
    with pytest.raises(InputError) as refused:
        checked_url(url)
    assert "secret" not in str(refused.value)
