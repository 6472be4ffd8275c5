"""The reported intervals in the cycle: out of their band the deterministic rule decides, else nothing is changed."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from greekdrift.book import Account, Band, Mandate, Outcome, Position, canonical
from greekdrift.config import load_rules, load_venue
from greekdrift.errors import CalculationError, DataError
from greekdrift.features.history import HOUR, Panel
from greekdrift.features.panel import assemble
from greekdrift.forecast.historical import Historical
from greekdrift.forecast.intervals import Learnt
from greekdrift.journal import Journal
from greekdrift.market.simulate import SimulatedSource
from greekdrift.rebalance import rebalance, stand_ins
from greekdrift.serve.encode import forecast_values
from greekdrift.serve.engine import Engine
from greekdrift.serve.outlook import outlook
from greekdrift.surface.fit import fit
from greekdrift.surface.slices import Refusal
from greekdrift.surface.state import FACTORS
from greekdrift.units import datetime64, from_datetime64

VENUE, RULES = load_venue("deribit"), load_rules("derive_pm2")
HOURS = (6.0, 24.0)


@pytest.fixture(scope="module")
def market():
    """A chain, the states of the 60 snapshots up to it and of 4 after it, a desk, a law that learnt from the first."""
    source = SimulatedSource(venue=VENUE, seed=3, days=17.0, underlyings=("BTC",))
    moments = source.snapshots()[:64]
    chain = source.chain(moments[59])
    as_of = np.array([datetime64(moment) for moment in moments])
    history = assemble(
        source.underlyings, FACTORS, as_of=as_of, known_at=as_of + HOUR // 12,
        state=np.array([source.true_state(moment).values for moment in moments]), step_hours=6.0, features=(),
    )  # fmt: skip
    call = next(one for one in chain.instruments if one.is_option and one.is_call)
    mandate = Mandate(
        rule_set=RULES.name, bands=(Band(greek="vega", underlying="BTC", lower=-1e7, upper=1e7),),
        liquidity_buffer_usd=1_000.0, venues=("deribit",), max_order_notional_usd=1e7, max_cost_usd=1e5,
    )  # fmt: skip
    position = Position.of(call.name, -5.0)
    desk = Account(account_id="desk", collateral={"BTC": 20.0}, positions=(position,), mandate=mandate)
    known = history.until(chain.known_at)
    return chain, history, known, desk, Historical().fit(known)


def learnt(chain, *, held: float, tail: float = 0.05) -> Learnt:
    """A hundred origins known before the chain, of which `held` held, and as many after it that all failed."""
    times = np.arange(200.0)
    count = (times + 1.0)[:, None].repeat(2, axis=1)
    return Learnt(
        forecaster="historical", level=0.8, horizons=HOURS, cells=("BTC vega", "all pnl_usd"),
        known_at=datetime64(chain.known_at) + ((times - 99.0) * 6.0).astype(int) * HOUR,
        tail=np.full((200, 2, 2), tail),
        held=np.minimum(held * count, held * 100.0), outcomes=count,
    )  # fmt: skip


def cycle(market, intervals, journal=None):
    chain, _, known, desk, predictor = market
    return rebalance(
        chain, [desk], rules=RULES, venue=VENUE, now=chain.known_at + timedelta(seconds=1), predictor=predictor,
        intervals=intervals, history=known, horizons=HOURS, n=32, journal=journal,
    )[0]  # fmt: skip


def seen(market, *, history: Panel | None = None, **more):
    chain, _, known, desk, predictor = market
    return outlook(
        chain, [desk], predictor=predictor, history=known if history is None else history, rules=None, horizons=HOURS,
        n=64, seed=1, **more,
    )  # fmt: skip


def test_out_of_the_band_the_rule_decides_and_the_journal_says_why(market, tmp_path):
    with Journal(tmp_path / "decisions.log") as journal:
        decision = cycle(market, learnt(market[0], held=0.5), journal)
    assert decision.outcome is Outcome.BASELINE
    assert decision.forecast is None
    assert decision.reasons[0].startswith("the reported intervals of historical held 50.0% of the time")
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert decision.reasons[0].encode() in written


def test_within_the_band_no_decision_and_no_scenario_is_changed(market):
    with_them, without = cycle(market, learnt(market[0], held=0.8)), cycle(market, None)
    assert with_them.outcome is Outcome.VERIFIED_ML
    assert canonical(with_them.adjustment) == canonical(without.adjustment)
    assert with_them.forecast.samples.tobytes() == without.forecast.samples.tobytes()


def test_outcomes_known_later_do_not_count(market):
    """After the chain every outcome fails: from a later instant the rule would decide."""
    intervals = learnt(market[0], held=0.8)
    assert intervals.at(market[0].known_at).reason == ""
    assert intervals.at(market[0].known_at + timedelta(days=20)).reason


class Broken:
    """Intervals that cannot be read."""

    def at(self, moment):
        raise ZeroDivisionError("0")


def test_what_cannot_be_judged_is_not_good_enough(market):
    decision = cycle(market, Broken())
    assert decision.outcome is Outcome.BASELINE
    assert "could not be told" in decision.reasons[0]


def served(market, intervals):
    chain, history, _, desk, predictor = market
    return Engine(
        accounts=(desk,), rules=RULES, venue=VENUE, horizons=HOURS, scenarios=64, seed=0,
        now=lambda chain: chain.known_at, predictor=predictor, intervals=intervals, history=history, features=(),
    ).keep(chain)  # fmt: skip


def test_the_server_reports_the_adapted_interval_and_its_kind(market):
    told = json.loads(served(market, learnt(market[0], held=0.8)).forecast_bytes)["forecast"]
    assert told["intervals"]["outcomes"] == [100, 100]
    by_label = {one["label"]: one for one in told["accounts"][0]["quantities"]}
    money, margin = by_label["pnl_usd"], by_label["initial_margin_usd"]
    assert money["interval_kind"] == ["conformal", "conformal"]
    assert margin["interval_kind"] == ["raw", "raw"]
    assert money["interval_low"][1] < money["quantiles"]["0.1"][1]
    assert money["interval_high"][1] > money["quantiles"]["0.9"][1]
    assert margin["interval_low"] == pytest.approx(margin["quantiles"]["0.1"])
    unbounded = json.loads(served(market, learnt(market[0], held=0.8, tail=-0.1)).forecast_bytes)["forecast"]
    assert [one["interval_low"] for one in unbounded["accounts"][0]["quantities"] if one["label"] == "pnl_usd"] == [
        [None, None]
    ]


def test_the_server_sends_no_forecast_where_the_rule_decides(market):
    found = served(market, learnt(market[0], held=0.5))
    assert found.outcomes == {"desk": "BASELINE"}
    told = json.loads(found.forecast_bytes)
    assert told["forecast"] is None
    assert "reported intervals" in told["note"]


def test_without_an_evaluation_the_interval_is_the_forecasts_own(market):
    values = forecast_values(seen(market).forecasts, model="historical")
    assert values["intervals"] is None
    for one in values["accounts"][0]["quantities"]:
        assert one["interval_kind"] == ["raw", "raw"]
        assert one["interval_low"] == pytest.approx(one["quantiles"]["0.1"])
        assert one["interval_high"] == pytest.approx(one["quantiles"]["0.9"])


def test_an_outlook_uses_what_is_known_as_of_its_instant(market):
    """Later rows of the history change no byte, and the surface is the one that is fitted at that instant."""
    chain, whole, known, _, _ = market
    assert len(whole) > len(known)
    for as_of in (None, chain.known_at, from_datetime64(whole.known_at[60]) - timedelta(seconds=1)):
        one, other = seen(market, history=whole, as_of=as_of), seen(market)
        assert one.forecasts[0].samples.tobytes() == other.forecasts[0].samples.tobytes()
        assert one.scenarios.known_at == other.scenarios.known_at
        at = chain.known_at if as_of is None else as_of
        assert repr(one.surface) == repr(fit(chain, as_of=at))


def test_a_chain_or_a_history_that_does_not_fit_the_instant_is_refused(market):
    chain, whole, known, _, _ = market
    late = from_datetime64(whole.known_at[61])
    with pytest.raises(DataError, match="the chain is of"):
        seen(market, history=whole, as_of=late)
    with pytest.raises(DataError, match="with it as its last row"):
        seen(market, history=known.until(known.known_at[-2]))
    early = replace(chain, known_at=chain.known_at + timedelta(hours=1))
    with pytest.raises(CalculationError, match="became known"):
        outlook(
            early, [market[3]], predictor=market[4], history=known, rules=None, horizons=HOURS, n=8, seed=1,
            as_of=chain.known_at,
        )  # fmt: skip


@pytest.mark.parametrize("rules", [None, RULES])
def test_an_outlook_names_the_stand_ins_of_what_is_held(market, monkeypatch, rules):
    chain, _, known, desk, predictor = market
    row = int(chain.rows(desk.quantities())[0])
    held = Refusal(
        underlying="BTC",
        expiry=from_datetime64(chain.expiry[row]),
        reason="its quotes are crossed",
        figure=3.0,
        limit=2.0,
    )
    other = replace(held, expiry=held.expiry + timedelta(days=1))

    def with_refusals(chain, **asked):
        return replace(fit(chain, **asked), refused=(held, other))

    monkeypatch.setattr("greekdrift.serve.outlook.fit", with_refusals)
    found = outlook(chain, [desk], predictor=predictor, history=known, rules=rules, horizons=HOURS, n=16, seed=1)
    assert found.stand_ins == {"desk": tuple(stand_ins(chain, desk, [held, other]))}
    assert len(found.stand_ins["desk"]) == 1
    assert "stand-in for its smile: its quotes are crossed" in found.stand_ins["desk"][0]
    told = json.loads(served(market, None).forecast_bytes)
    assert told["stand_ins"] == {"desk": list(found.stand_ins["desk"])}


def test_usual_expiries_have_no_stand_in(market):
    assert seen(market).stand_ins == {}
