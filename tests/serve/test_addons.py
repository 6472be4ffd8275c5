"""The margin add-on goes on from the last one: the server's own from snapshot to snapshot, others by what is sent."""

import httpx
import pytest

from greekdrift.margin.dressing import Dressing
from greekdrift.serve.client import Client
from greekdrift.serve.engine import Engine
from greekdrift.serve.wire import account_values, chain_values

SLOW = Dressing(rise_per_day=0.01)


@pytest.fixture
def sent(market) -> dict:
    return {"chain": chain_values(market.chain), "accounts": account_values(market.accounts)}


def _hedged(decisions) -> dict:
    return next(one for one in decisions if one["account_id"] == "hedged")


def test_an_addon_that_was_sent_limits_the_next(web: httpx.Client, engine: Engine, sent: dict) -> None:
    engine.dressing = SLOW
    free = _hedged(web.post("/v1/propose", json=sent).json()["decisions"])["addon"]
    assert (free["previous"], free["overrides"]) == ("unknown", [])
    none = {**free["state"], "held_usd": 0.0}
    held = _hedged(web.post("/v1/propose", json={**sent, "previous_addons": {"hedged": none}}).json()["decisions"])
    assert held["addon"]["previous"] == "known"
    assert held["addon"]["addon_usd"] == held["adjustment"]["margin_addon_usd"] < free["addon_usd"]
    assert held["addon"]["overrides"][0]["device"] == "budget"
    assert held["addon"]["uncovered_usd"] == pytest.approx(held["addon"]["need_usd"] - held["addon"]["addon_usd"])


def test_the_servers_own_book_goes_on_from_its_last_snapshot(web: httpx.Client, engine: Engine, market) -> None:
    engine.dressing = SLOW
    web.post("/v1/snapshot", json={"chain": chain_values(market.earlier)})
    first = dict(engine.addons)
    assert set(first) == {"hedged", "idle"}
    web.post("/v1/snapshot", json={"chain": chain_values(market.chain)})
    assert engine.latest is not None
    steps = {one.account_id: one.addon for one in engine.latest.decisions if one.addon is not None}
    assert all(not one.is_first for one in steps.values())
    for name, one in steps.items():
        hours = (one.state.as_of - first[name].as_of).total_seconds() / 3600.0
        requirement = one.raw_usd / one.state.days[-1].raw
        assert one.addon_usd - first[name].held_usd <= 0.01 * requirement * hours / 24.0 * 1.01


def test_the_client_sends_what_it_got(web: httpx.Client, market) -> None:
    with Client(str(web.base_url)) as client:
        first = client.propose(market.chain, market.accounts)["decisions"]
        states = {one["account_id"]: one["addon"]["state"] for one in first if one.get("addon")}
        second = client.propose(market.chain, market.accounts, previous_addons=states)["decisions"]
    assert _hedged(second)["addon"]["previous"] == "known"
    assert _hedged(second)["addon"]["addon_usd"] == _hedged(first)["addon"]["addon_usd"]


@pytest.mark.parametrize("state", [{}, {"held_usd": -1.0}, {"as_of": "yesterday"}])
def test_a_state_that_is_none_is_refused(web: httpx.Client, sent: dict, state: dict) -> None:
    answer = web.post("/v1/propose", json={**sent, "previous_addons": {"hedged": state}})
    assert answer.status_code == 422
    assert "add-on" in answer.text


def test_a_snapshot_takes_no_states(web: httpx.Client, sent: dict) -> None:
    answer = web.post("/v1/snapshot", json={"chain": sent["chain"], "previous_addons": {}})
    assert answer.status_code == 422
    assert "leave previous_addons out" in answer.text
