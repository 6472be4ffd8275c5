"""Public HTTP calls of a venue: bounded in time and size, retried with back-off, obedient to rate limits.

Only GET on public methods, no redirect is followed, and nothing that arrives is used before it was read whole.
"""

import asyncio
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx

from greekdrift.errors import InputError, VenueError
from greekdrift.market.collect.clock import Clock
from greekdrift.market.collect.payload import LATEST_STAMP

DERIBIT = "https://www.deribit.com"
PATH = "/api/v2/"
TOO_MANY_REQUESTS = 10028
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a call answered, and when: by the venue's own clock where it says (`usOut`), and by ours."""

    method: str
    result: Any
    sent_at: datetime
    received_at: datetime
    venue_time: datetime | None


class Failed(VenueError):  # noqa: N818 - reads as what it is
    """A call that did not succeed: why, in one word, and whether and when to try again."""

    def __init__(self, method: str, reason: str, fact: str, *, is_final: bool = False, wait: float = 0.0) -> None:
        super().__init__(f"{method}: {reason}: {fact}")
        self.reason = reason
        self.is_final = is_final
        self.wait = wait


class Calls(Protocol):
    """Something that answers public methods: the client below, or a replay of recorded answers."""

    async def call(self, method: str, parameters: Mapping[str, Any], *, until: float) -> Reply:
        """The reply, or `VenueError`; no retry begins after `until` on the clock's stopwatch."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How patient a client is: seconds for one attempt, attempts, back-off in seconds, bytes, calls per second.

    After a pause `burst` calls may go out at once (Deribit allows 20 a second without an account, and 100 at once).
    """

    timeout: float = 10.0
    attempts: int = 5
    first_wait: float = 0.5
    longest_wait: float = 30.0
    largest_body: int = 32 << 20
    per_second: float = 10.0
    burst: int = 20
    at_once: int = 8


class Client:
    """Calls the public methods of one host.

    A reply is used only whole: a cut, oversized, redirected or malformed one is a failed call. Failed calls are
    repeated with capped exponential back-off and jitter; 429 and error 10028 wait as long as the venue asks.
    """

    def __init__(
        self,
        base_url: str = DERIBIT,
        *,
        clock: Clock,
        limits: Limits | None = None,
        seed: int = 0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._url, is_local = checked_url(base_url)
        self._clock = clock
        self._limits = limits or Limits()
        self._random = random.Random(seed)  # noqa: S311 - jitter
        self._slots = asyncio.Semaphore(self._limits.at_once)
        self._free_at = clock.monotonic()
        self.retries = 0
        self._http = httpx.AsyncClient(
            transport=transport,
            timeout=self._limits.timeout,
            follow_redirects=False,
            trust_env=not is_local,
            headers={"accept": "application/json", "user-agent": "greekdrift"},
        )

    async def close(self) -> None:
        """Gives the connections back."""
        await self._http.aclose()

    async def call(self, method: str, parameters: Mapping[str, Any], *, until: float) -> Reply:
        """The reply of a public method; raises `Failed` once no attempt is left or `until` would be passed."""
        attempt = 0
        while True:
            attempt += 1
            try:
                async with self._slots:
                    await self._turn()
                    return await self._attempt(method, parameters)
            except Failed as problem:
                wait = self._wait(attempt, problem)
                if problem.is_final or attempt >= self._limits.attempts or self._clock.monotonic() + wait > until:
                    raise
            self.retries += 1
            await self._clock.sleep(wait)

    def _wait(self, attempt: int, problem: Failed) -> float:
        limits = self._limits
        longest = min(limits.longest_wait, limits.first_wait * 2.0 ** (attempt - 1))
        return max(problem.wait, longest * self._random.uniform(0.5, 1.0))

    async def _turn(self) -> None:
        """Waits until the rate allows one more call."""
        now, spacing = self._clock.monotonic(), 1.0 / self._limits.per_second
        start = max(now, self._free_at - (self._limits.burst - 1) * spacing)
        self._free_at = max(now, self._free_at) + spacing
        if start > now:
            await self._clock.sleep(start - now)

    async def _attempt(self, method: str, parameters: Mapping[str, Any]) -> Reply:
        sent_at = self._clock.now()
        try:
            async with asyncio.timeout(self._limits.timeout):
                status, headers, body = await self._read(method, parameters)
        except TimeoutError:
            raise Failed(method, "slow", f"no whole answer in {self._limits.timeout:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as problem:
            raise Failed(method, "connection", type(problem).__name__) from None
        received_at = self._clock.now()
        answer = _parsed(method, status, headers, body)
        if answer.get("testnet") is True and self._url == DERIBIT:
            raise Failed(method, "test_network", f"{self._url} answers for its test network", is_final=True)
        return Reply(
            method=method,
            result=answer["result"],
            sent_at=sent_at,
            received_at=received_at,
            venue_time=_venue_time(answer.get("usOut")),
        )

    async def _read(self, method: str, parameters: Mapping[str, Any]) -> tuple[int, httpx.Headers, bytes]:
        async with self._http.stream("GET", f"{self._url}{PATH}{method}", params=dict(parameters)) as response:
            body = bytearray()
            async for part in response.aiter_bytes():
                body += part
                if len(body) > self._limits.largest_body:
                    raise Failed(method, "too_large", f"over {self._limits.largest_body} bytes", is_final=True)
            return response.status_code, response.headers, bytes(body)


def checked_url(base_url: str) -> tuple[str, bool]:
    """The address without a path, and whether it is this machine; plain HTTP is for this machine alone.

    >>> checked_url("http://127.0.0.1:8000/")
    ('http://127.0.0.1:8000', True)
    """
    try:
        parts = urlsplit(base_url)
        is_local = parts.hostname in LOOPBACK
        is_odd = parts.port == 0 or parts.username is not None or parts.path.strip("/") or parts.query
    except ValueError:
        raise InputError("the base URL cannot be read; write it like https://www.deribit.com.") from None
    if not parts.hostname or is_odd or parts.scheme not in ("https", "http"):
        raise InputError("the base URL is a scheme and a host, no user, path or query: like https://www.deribit.com.")
    if parts.scheme == "http" and not is_local:
        raise InputError(f"http://{parts.hostname}: plain HTTP is allowed to this machine only; write https.")
    return f"{parts.scheme}://{parts.netloc}", is_local


def _parsed(method: str, status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    if 300 <= status < 400:
        raise Failed(method, "redirect", f"status {status}; redirects are not followed", is_final=True)
    answer = _json(body)
    error = answer.get("error") if isinstance(answer, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    if status == 429 or code == TOO_MANY_REQUESTS:
        raise Failed(method, "rate_limit", f"status {status}", wait=_retry_after(headers, error))
    if status >= 500:
        raise Failed(method, "server", f"status {status}", wait=_retry_after(headers, None))
    if error is not None:
        message = error.get("message") if isinstance(error, dict) else error
        raise Failed(
            method, "refused", f"status {status}, {ascii(code)[:40]}: {ascii(str(message)[:100])[1:-1]}", is_final=True
        )
    if status != 200:
        raise Failed(method, "status", f"status {status}", is_final=True)
    if not isinstance(answer, dict) or "result" not in answer:
        raise Failed(method, "malformed", f"{len(body)} bytes that are no JSON-RPC result")
    return answer


def _json(body: bytes) -> Any:
    """The JSON of a body; None where it is none, however it fails."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _retry_after(headers: Mapping[str, str], error: Any) -> float:
    """Seconds that the venue asks to wait: the header, or `data.wait` of the error; at most a day."""
    data = error.get("data") if isinstance(error, dict) else None
    asked = headers.get("retry-after", data.get("wait") if isinstance(data, dict) else None)
    try:
        seconds = float(asked) if asked is not None else 0.0
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), 86_400.0) if isfinite(seconds) else 0.0


def _venue_time(micros: Any) -> datetime | None:
    if type(micros) is not int or not 0 < micros < LATEST_STAMP * 1000:
        return None
    return datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000)
