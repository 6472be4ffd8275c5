"""The web application: forecasts and verified adjustments, health that means something, errors with reasons.

POST /v1/snapshot   a chain arrived: the decision and the forecast of it are computed now and kept
GET  /v1/forecast   the forecast of the latest snapshot        POST: of the chain and accounts sent
GET  /v1/propose    the decisions of the latest snapshot       POST: of the chain and accounts sent
                    (a decision past its `valid_until` is a HOLD with `"expired": true` and no orders)
GET  /healthz       the process answers
GET  /readyz        the real path ran once and the server is not draining
GET  /openapi.json  the schema
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from greekdrift import __version__
from greekdrift.book import Account, Chain
from greekdrift.errors import GreekdriftError
from greekdrift.margin.dressing import State
from greekdrift.serve.engine import Answer, Engine
from greekdrift.serve.guard import Refusal, answer, body, parsed, record
from greekdrift.serve.schema import Snapshot
from greekdrift.units import stamp

Found = TypeVar("Found")

MOST_WAITING = 8
"""Snapshots that may wait for the one that is being computed; more are told to come back."""

REFUSALS: dict[int | str, dict[str, Any]] = {
    408: {"description": "The body did not arrive in time."},
    413: {"description": "The body is too large."},
    422: {"description": "The request says nothing that can be used; every problem is named."},
    503: {"description": "Not ready, draining, or too many requests wait."},
}
SENT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Snapshot"}}},
    }
}


def application(engine: Engine) -> FastAPI:
    """The application around an engine."""
    app = FastAPI(title="greekdrift", version=__version__, docs_url=None, redoc_url=None)
    app.state.engine = engine
    app.state.turn = asyncio.Lock()
    app.state.waiting = 0
    _errors(app)
    _health(app, engine)
    _latest(app, engine)
    _computed(app, engine)
    app.openapi = _schema(app)  # type: ignore[method-assign]
    return app


def _errors(app: FastAPI) -> None:
    async def refusal(_: Request, problem: Exception) -> Response:
        assert isinstance(problem, Refusal)  # noqa: S101  (registered for it)
        return problem.response()

    async def http(_: Request, problem: Exception) -> Response:
        assert isinstance(problem, HTTPException)  # noqa: S101  (registered for it)
        return Refusal(problem.status_code, "http", str(problem.detail)).response()

    app.add_exception_handler(Refusal, refusal)
    app.add_exception_handler(HTTPException, http)


def _health(app: FastAPI, engine: Engine) -> None:
    @app.get("/healthz", summary="The process answers")
    async def healthz() -> Response:
        return answer({"status": "ok", "version": __version__})

    @app.get("/readyz", summary="The real path ran once", responses={503: REFUSALS[503]})
    async def readyz() -> Response:
        state = engine.readiness()
        return answer(state, status=200 if state["ready"] else 503)


def _latest(app: FastAPI, engine: Engine) -> None:
    @app.get("/v1/forecast", summary="Forecast of the latest snapshot", responses={503: REFUSALS[503]})
    async def latest_forecast() -> Response:
        return _kept(_newest(engine).forecast_bytes)

    @app.get(
        "/v1/propose", summary="Decisions of the latest snapshot; HOLD once expired", responses={503: REFUSALS[503]}
    )
    async def latest_decisions() -> Response:
        return _kept(engine.proposed(_newest(engine)))


def _computed(app: FastAPI, engine: Engine) -> None:
    @app.post("/v1/snapshot", summary="Compute and keep a snapshot", responses=REFUSALS, openapi_extra=SENT)
    async def snapshot(request: Request) -> Response:
        chain, accounts, addons = await _asked(request, engine)
        if accounts is not None or addons is not None:
            word = "accounts" if accounts is not None else "previous_addons"
            raise Refusal(422, "invalid", f"a snapshot is decided for the server's own book; leave {word} out")
        found = await _in_turn(app, lambda: engine.keep(chain))
        return answer({"as_of": stamp(found.as_of), "chain_digest": found.chain_digest, "decisions": found.outcomes})

    @app.post("/v1/forecast", summary="Forecast of what is sent", responses=REFUSALS, openapi_extra=SENT)
    async def forecast(request: Request) -> Response:
        chain, accounts, _ = await _asked(request, engine)
        return _kept(await _in_turn(app, lambda: engine.forecast(chain, accounts)))

    @app.post("/v1/propose", summary="Decisions about what is sent", responses=REFUSALS, openapi_extra=SENT)
    async def propose(request: Request) -> Response:
        chain, accounts, addons = await _asked(request, engine)
        found = await _in_turn(app, lambda: engine.decide(chain, accounts, previous_addons=addons))
        return _kept(found.decision_bytes)


async def _asked(request: Request, engine: Engine) -> tuple[Chain, tuple[Account, ...] | None, dict[str, State] | None]:
    sent = parsed(Snapshot, await body(request))
    return record(lambda: sent.chain.record(engine.venue)), record(sent.account_records), record(sent.addon_records)


async def _in_turn(app: FastAPI, compute: Callable[[], Found]) -> Found:
    """One computation at a time, in a thread of its own; a bounded number waits."""
    engine: Engine = app.state.engine
    if engine.is_draining:
        raise Refusal(503, "draining", "the server is shutting down")
    if app.state.waiting >= MOST_WAITING:
        raise Refusal(503, "busy", f"{MOST_WAITING} requests wait already")
    app.state.waiting += 1
    try:
        async with app.state.turn:
            return await asyncio.to_thread(compute)
    except GreekdriftError as problem:
        raise Refusal(422, "refused", str(problem)) from None
    finally:
        app.state.waiting -= 1


def _newest(engine: Engine) -> Answer:
    if engine.latest is None:
        raise Refusal(503, "no_snapshot", "no snapshot has arrived; post one to /v1/snapshot")
    return engine.latest


def _kept(content: bytes) -> Response:
    return Response(content, media_type="application/json")


def _schema(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """The OpenAPI document with the request model, which the routes parse themselves."""
    plain = app.openapi

    def document() -> dict[str, Any]:
        found = plain()
        schemas = found.setdefault("components", {}).setdefault("schemas", {})
        if "Snapshot" not in schemas:
            model = Snapshot.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(model.pop("$defs", {}))
            schemas["Snapshot"] = model
        return found

    return document
