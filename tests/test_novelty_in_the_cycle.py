"""A market unlike what the model learnt from: the deterministic rule decides, and the reason is in the journal."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from greekdrift.book import Account, Band, Mandate, Outcome, Position, View
from greekdrift.config import load_rules, load_venue
from greekdrift.features.history import HOUR
from greekdrift.features.panel import assemble
from greekdrift.forecast.historical import Historical
from greekdrift.forecast.novelty import Judgement, Novelty
from greekdrift.journal import Journal
from greekdrift.market.simulate import SimulatedSource
from greekdrift.rebalance import rebalance
from greekdrift.serve.engine import Engine
from greekdrift.surface.state import FACTORS
from greekdrift.units import datetime64

VENUE, RULES = load_venue("deribit"), load_rules("derive_pm2")


@pytest.fixture(scope="module")
def market():
    """A chain, the true states of the 80 snapshots up to it, a desk, and a law that learnt from the first 79."""
    source = SimulatedSource(venue=VENUE, seed=3, days=21.0, underlyings=("BTC",))
    moments = source.snapshots()[:80]
    chain = source.chain(moments[-1])
    as_of = np.array([datetime64(moment) for moment in moments])
    history = assemble(
        source.underlyings,
        FACTORS,
        as_of=as_of,
        known_at=as_of + HOUR // 12,
        state=np.array([source.true_state(moment).values for moment in moments]),
        step_hours=6.0,
        features=(),
    )
    call = next(one for one in chain.instruments if one.is_option and one.is_call)
    mandate = Mandate(
        rule_set=RULES.name,
        bands=(Band(greek="delta", underlying="BTC", lower=-1.0, upper=1.0, view=View.NET),),
        liquidity_buffer_usd=1_000.0,
        venues=("deribit",),
        max_order_notional_usd=1e7,
        max_cost_usd=1e5,
    )
    desk = Account(
        account_id="desk", collateral={"BTC": 20.0}, positions=(Position.of(call.name, -5.0),), mandate=mandate
    )
    known = history.until(history.known_at[-2])
    return chain, history, desk, Historical().fit(known), Novelty.fit(known)


def _cycle(market, *, history=None, novelty=None, journal=None):
    chain, usual, desk, predictor, own = market
    return rebalance(
        chain,
        [desk],
        rules=RULES,
        venue=VENUE,
        now=chain.known_at + timedelta(seconds=1),
        predictor=predictor,
        novelty=own if novelty is None else novelty,
        history=usual if history is None else history,
        horizons=(24.0,),
        n=32,
        journal=journal,
    )[0]


def _changed(history, change):
    state = history.state.copy()
    change(state)
    return replace(history, state=state)


def test_a_usual_market_is_forecast(market):
    assert _cycle(market).outcome is Outcome.VERIFIED_ML


def _crash(state):
    state[-1, :, 0] -= 0.3
    state[-1, :, 1:9] += 0.8


def _crash_before(state):
    """The state of the last chain is fitted anew by a server; from the row before, it is a step away."""
    state[-2, :, 0] -= 0.3
    state[-2, :, 1:9] += 0.8


def _frozen(state):
    state[-5:] = state[-6]


@pytest.mark.parametrize("change", [_crash, _frozen])
def test_an_unlike_market_is_left_to_the_rule_and_the_journal_says_why(market, change, tmp_path):
    history = _changed(market[1], change)
    path = tmp_path / "decisions.log"
    with Journal(path) as journal:
        decision = _cycle(market, history=history, journal=journal)
    assert decision.outcome is Outcome.BASELINE
    assert decision.forecast is None
    assert decision.certificate is not None
    assert decision.reasons[0].startswith("the market is unlike what the model learnt from")
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert decision.reasons[0].encode() in written


class Broken:
    """A score that cannot be taken."""

    def judge(self, history):
        raise ZeroDivisionError("0")


class NoNumber:
    """A score that is no number."""

    def judge(self, history):
        return Judgement(score=float("nan"), limit=1.0, measure="level", detail="something")


@pytest.mark.parametrize("novelty", [Broken(), NoNumber()])
def test_what_cannot_be_judged_is_not_usual(market, novelty):
    assert _cycle(market, novelty=novelty).outcome is Outcome.BASELINE


def test_the_server_forecasts_nothing_where_the_rule_decides(market):
    chain, history, desk, predictor, novelty = market
    engine = Engine(
        accounts=(desk,),
        rules=RULES,
        venue=VENUE,
        horizons=(24.0,),
        scenarios=32,
        seed=0,
        now=lambda chain: chain.known_at,
        predictor=predictor,
        novelty=novelty,
        history=_changed(history, _crash_before),
        features=(),
    )
    found = engine.keep(chain)
    assert found.outcomes == {"desk": "BASELINE"}
    seen = json.loads(found.forecast_bytes)
    assert seen["forecast"] is None
    assert "unlike" in seen["note"]


def test_usual_is_kept_in_the_artefact(market, tmp_path):
    from greekdrift.forecast.artefact import load, load_guarded, save

    _, history, _, predictor, novelty = market
    save(predictor, tmp_path, novelty=novelty)
    again = load_guarded(tmp_path)[1]
    assert again is not None
    assert again.judge(history) == novelty.judge(history)
    assert load(tmp_path).name == predictor.name
    save(predictor, tmp_path)
    assert load_guarded(tmp_path)[1] is None
    assert not (tmp_path / "novelty.json").exists()
