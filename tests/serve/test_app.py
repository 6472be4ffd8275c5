"""The server as its clients meet it: only verified adjustments leave, and no request is answered with a fault."""

import json
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greekdrift.book import digest
from greekdrift.config import load_venue
from greekdrift.errors import GreekdriftError, InputError
from greekdrift.rebalance import Decision
from greekdrift.serve.client import Client
from greekdrift.serve.encode import decision_values
from greekdrift.serve.engine import Engine
from greekdrift.serve.guard import MOST_BYTES
from greekdrift.serve.schema import Snapshot
from greekdrift.serve.wire import account_values, chain_values
from greekdrift.units import instant


@pytest.fixture
def sent(market) -> dict:
    return {"chain": chain_values(market.chain), "accounts": account_values(market.accounts)}


def test_ready_only_when_the_real_path_ran(web: httpx.Client, engine: Engine, sent: dict) -> None:
    assert web.get("/healthz").status_code == 200
    assert web.get("/readyz").status_code == 503
    assert web.get("/v1/propose").status_code == 503
    assert web.post("/v1/snapshot", json={"chain": sent["chain"]}).status_code == 200
    assert web.get("/readyz").json()["ready"] is True
    engine.is_draining = True
    assert web.get("/readyz").status_code == 503
    assert web.post("/v1/propose", json=sent).json()["error"]["code"] == "draining"


def test_a_snapshot_is_decided_once_and_read_many_times(web: httpx.Client, engine: Engine, sent: dict) -> None:
    web.post("/v1/snapshot", json={"chain": sent["chain"]})
    kept = engine.latest
    assert kept is not None
    assert web.get("/v1/propose").content == kept.decision_bytes
    assert web.get("/v1/propose").content == web.post("/v1/propose", json=sent).content
    assert web.get("/v1/forecast").content == web.post("/v1/forecast", json=sent).content
    assert engine.latest is kept


def test_decisions_are_one_of_three(web: httpx.Client, sent: dict) -> None:
    decisions = {one["account_id"]: one for one in web.post("/v1/propose", json=sent).json()["decisions"]}
    assert decisions["hedged"]["outcome"] == "VERIFIED_ML"
    assert decisions["hedged"]["adjustment"]["orders"]
    assert decisions["hedged"]["certificate"]
    assert decisions["idle"]["outcome"] == "VERIFIED_ML"
    assert decisions["idle"]["adjustment"]["orders"] == []
    silent = decisions["silent"]
    assert silent["outcome"] == "HOLD"
    assert silent["reasons"]
    assert silent["adjustment"] is None
    assert silent["certificate"] is None


def test_an_adjustment_without_a_certificate_is_never_written(market, engine: Engine) -> None:
    decision: Decision = engine.decide(market.chain).decisions[0]
    assert decision_values(decision)["adjustment"] is not None
    assert decision_values(replace(decision, certificate=None))["adjustment"] is None


def test_a_forecast_covers_accounts_without_a_mandate(web: httpx.Client, sent: dict) -> None:
    forecast = web.post("/v1/forecast", json=sent).json()["forecast"]
    assert [account["account_id"] for account in forecast["accounts"]] == ["hedged", "idle", "silent"]
    hedged = forecast["accounts"][0]["quantities"][0]
    assert hedged["label"] == "BTC delta (net)"
    assert (hedged["lower"], hedged["upper"]) == (-1.0, 1.0)
    chance = hedged["breach_probability"]
    assert all(0.0 <= one <= 1.0 for one in chance)
    assert chance == sorted(chance)
    levels = [hedged["quantiles"][level][-1] for level in hedged["quantiles"]]
    assert levels == sorted(levels)


def test_without_a_model_decisions_are_baseline_and_forecasts_are_null(
    web: httpx.Client, engine: Engine, sent: dict
) -> None:
    engine.predictor = None
    assert web.post("/v1/propose", json=sent).json()["decisions"][0]["outcome"] == "BASELINE"
    assert web.post("/v1/forecast", json=sent).json()["forecast"] is None


def test_an_account_is_decided_the_same_whatever_the_others_hold(web: httpx.Client, sent: dict) -> None:
    every = {one["account_id"]: one for one in web.post("/v1/propose", json=sent).json()["decisions"]}
    for account in sent["accounts"]:
        alone = web.post("/v1/propose", json={**sent, "accounts": [account]}).json()["decisions"]
        assert alone == [every[account["account_id"]]]


def test_chain_and_accounts_travel_unchanged(market) -> None:
    sent = {"chain": chain_values(market.chain), "accounts": account_values(market.accounts)}
    read = Snapshot.model_validate_json(json.dumps(sent), strict=True)
    assert digest(read.chain.record(load_venue("equity"))) == digest(market.chain)
    assert read.account_records() == market.accounts
    assert market.chain.settlement_average_minutes == 30.0


def test_a_chain_that_does_not_say_how_it_settles_settles_as_the_venue(market) -> None:
    sent = chain_values(market.chain)
    del sent["settlement_average_minutes"]
    read = Snapshot.model_validate_json(json.dumps({"chain": sent}), strict=True)
    assert digest(read.chain.record(load_venue("deribit"))) == digest(market.chain)
    assert read.chain.record(load_venue("equity")).settlement_average_minutes == 0.0


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        (lambda sent: sent["chain"].pop("forward"), 422, "is missing"),
        (lambda sent: sent["chain"]["forward"].pop(), 422, "forward has"),
        (lambda sent: sent["chain"]["forward"].__setitem__(0, None), 422, "number"),
        (lambda sent: sent["chain"]["mark_iv"].__setitem__(0, 65.0), 422, "convert points"),
        (lambda sent: sent["chain"]["bid"].__setitem__(0, 5.0), 422, "above ask"),
        (lambda sent: sent["chain"]["instruments"].__setitem__(0, "BTC-1"), 422, "not an instrument name"),
        (lambda sent: sent["chain"].__setitem__("venue", "cme"), 422, "decides on deribit"),
        (lambda sent: sent["chain"].__setitem__("as_of", "2026-01-01T00:00:00"), 422, "timezone"),
        (lambda sent: sent["accounts"][0].__setitem__("positions", {"BTC-PERP": 1}), 422, "not an instrument name"),
        (lambda sent: sent["accounts"].append(sent["accounts"][0]), 422, "stands twice"),
        (lambda sent: sent["accounts"][0]["mandate"].__setitem__("bnads", []), 422, "bands"),
        (lambda sent: sent.__setitem__("accounts", []), 422, "at least 1"),
    ],
)
def test_a_bad_request_is_refused_with_its_reason(
    web: httpx.Client, sent: dict, change, status: int, message: str
) -> None:
    change(sent)
    answer = web.post("/v1/propose", json=sent)
    assert answer.status_code == status
    assert message in answer.text


@pytest.mark.parametrize("text", ["NaN", "1e999", "-Infinity", '"3"', "true", "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]"])
def test_no_number_is_a_422_and_not_a_fault(web: httpx.Client, sent: dict, text: str) -> None:
    body = json.dumps(sent).replace(json.dumps(sent["chain"]["forward"][0]), text, 1)
    answer = web.post("/v1/propose", content=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["code"] in ("not_a_number", "invalid", "too_deep")


def test_a_large_body_is_refused_before_it_is_read(web: httpx.Client) -> None:
    assert web.post("/v1/propose", content=b" " * (MOST_BYTES + 1)).status_code == 413


def test_unknown_paths_and_methods_have_the_same_form(web: httpx.Client) -> None:
    assert web.get("/v1/nothing").json()["error"]["code"] == "http"
    assert web.delete("/v1/propose").status_code == 405


@given(
    st.binary(max_size=300)
    | st.recursive(st.none() | st.integers() | st.text(max_size=5), st.lists).map(lambda x: json.dumps(x).encode())
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_bytes_are_answered_with_a_fault(web: httpx.Client, content: bytes) -> None:
    assert web.post("/v1/propose", content=content).status_code == 422


def test_the_schema_names_every_route_and_the_request(web: httpx.Client) -> None:
    document = web.get("/openapi.json").json()
    paths = {"/v1/snapshot", "/v1/forecast", "/v1/propose", "/healthz", "/readyz"}
    assert paths <= set(document["paths"])
    assert {"Snapshot", "ChainBody", "AccountFile", "MandateFile", "BandFile"} <= set(document["components"]["schemas"])
    for reference in _references(document):
        assert reference.rsplit("/", 1)[-1] in document["components"]["schemas"], reference


def _references(values) -> list[str]:
    if isinstance(values, dict):
        found = [values["$ref"]] if isinstance(values.get("$ref"), str) else []
        return found + [one for inner in values.values() for one in _references(inner)]
    return [one for inner in values for one in _references(inner)] if isinstance(values, list) else []


def test_the_client_speaks_with_the_server(market, web: httpx.Client) -> None:
    with Client(str(web.base_url)) as client:
        assert not client.is_ready()
        client.snapshot(market.chain)
        assert client.is_ready()
        assert client.propose()["decisions"] == client.propose(market.chain, market.accounts)["decisions"]
        assert client.forecast()["forecast"] == client.forecast(market.chain)["forecast"]
        with pytest.raises(InputError, match="older"):
            client.snapshot(market.earlier)


def test_a_client_without_a_server_says_so() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(GreekdriftError, match="gave no answer"):
        client.propose()


def test_a_decision_past_its_validity_is_a_hold_without_orders(
    web: httpx.Client, engine: Engine, sent: dict, market
) -> None:
    web.post("/v1/snapshot", json={"chain": sent["chain"]})
    before = {one["account_id"]: one for one in web.get("/v1/propose").json()["decisions"]}
    until = instant(before["hedged"]["adjustment"]["valid_until"])
    engine.now = lambda _: until - timedelta(milliseconds=1)
    assert engine.latest is not None
    assert web.get("/v1/propose").content == engine.latest.decision_bytes
    engine.now = lambda _: until
    answer = web.get("/v1/propose").json()
    after = {one["account_id"]: one for one in answer["decisions"]}
    assert answer["chain_digest"] == engine.latest.chain_digest
    assert after["hedged"]["outcome"] == "HOLD"
    assert after["hedged"]["expired"] is True
    assert after["hedged"]["adjustment"] is None
    assert after["hedged"]["certificate"] is None
    assert after["hedged"]["reasons"][-1].startswith("expired: it was valid until")
    assert after["silent"] == before["silent"]
