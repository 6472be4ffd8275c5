"""What stands between a socket and a request model: size, time, depth, and JSON that says one thing.

FastAPI alone answers NaN with 500, takes a key that stands twice, `true` and "2" as numbers, and a body of any
size at any pace. Here each of these is a 4xx with its reason.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Mapping
from math import isfinite
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel, ValidationError

from greekdrift.config.document import dotted
from greekdrift.config.problem import fact
from greekdrift.errors import InputError

MOST_BYTES = 1 << 20
DEEPEST = 16
RECEIVE_SECONDS = 5.0
MOST_PROBLEMS = 50

Model = TypeVar("Model", bound=BaseModel)


class Refusal(Exception):  # noqa: N818
    """A request that is answered with an error: its status, a code for programs and words for people."""

    def __init__(self, status: int, code: str, message: str, problems: list[dict[str, str]] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.problems = status, code, message, problems or []

    def response(self) -> Response:
        """The answer."""
        error = {"code": self.code, "message": self.message, "problems": self.problems}
        headers = {"Retry-After": "1"} if self.status == 503 else None
        return answer({"error": error}, status=self.status, headers=headers)


def answer(values: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON without NaN: a value that cannot be written is a fault here, never a number elsewhere."""
    text = json.dumps(values, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return Response(text.encode("utf-8", "replace"), status, headers, media_type="application/json")


async def body(request: Request) -> bytes:
    """The body within its limits of size and time."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > MOST_BYTES:
        raise _too_large()
    received = bytearray()
    try:
        async with asyncio.timeout(RECEIVE_SECONDS):
            async for part in request.stream():
                received += part
                if len(received) > MOST_BYTES:
                    raise _too_large()
    except TimeoutError:
        raise Refusal(408, "too_slow", f"the body did not arrive within {RECEIVE_SECONDS:g} s") from None
    return bytes(received)


def parsed(model: type[Model], text: bytes) -> Model:
    """The request model of a body; every problem is named with its place.

    >>> class Ask(BaseModel):
    ...     size: float
    >>> parsed(Ask, b'{"size": 1, "size": 2}')
    Traceback (most recent call last):
    ...
    greekdrift.serve.guard.Refusal: the key "size" stands twice
    """
    _one_meaning(text)
    try:
        return model.model_validate_json(text, strict=True)
    except ValidationError as found:
        problems = [
            {"place": dotted(problem["loc"]), "message": fact(model, dict(problem))}
            for problem in found.errors(include_url=False)[:MOST_PROBLEMS]
        ]
        raise Refusal(422, "invalid", f"the request has {found.error_count()} problems", problems) from None


def record(make: Any) -> Any:
    """What a validated body stands for; a contradiction in it is the sender's mistake."""
    try:
        return make()
    except InputError as problem:
        raise Refusal(422, "invalid", str(problem)) from None


def _one_meaning(text: bytes) -> None:
    if _depth(text) > DEEPEST:
        raise Refusal(422, "too_deep", f"the JSON is nested deeper than {DEEPEST} levels")
    try:
        json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_finite)
    except UnicodeDecodeError:
        raise Refusal(422, "not_json", "the body is not UTF-8 text") from None
    except (ValueError, RecursionError) as problem:
        raise Refusal(422, "not_json", f"the body is not JSON: {problem}") from None


_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")


def _depth(text: bytes) -> int:
    """Deepest nesting of brackets outside strings.

    >>> _depth(b'{"a": [[1], "[[["]}')
    3
    """
    deepest = level = 0
    for bracket in _BRACKET.findall(_TEXT.sub(b"", text)):
        level += 1 if bracket in b"[{" else -1
        deepest = max(deepest, level)
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise Refusal(422, "key_twice", f'the key "{twice[:80]}" stands twice')
    return found


def _no_number(constant: str) -> None:
    raise Refusal(422, "not_a_number", f"{constant} is not a number; send null where nothing is known")


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise Refusal(422, "not_a_number", f"{text[:40]} is not a finite number")
    return value


def _too_large() -> Refusal:
    return Refusal(413, "too_large", f"the body is larger than {MOST_BYTES} bytes")
