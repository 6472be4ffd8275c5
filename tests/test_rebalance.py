"""The whole cycle on simulated chains: outcomes and their reasons, and what happens when something is missing."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from greekdrift.book import (
    Account,
    Band,
    Kind,
    Mandate,
    Outcome,
    Position,
    Scenarios,
    after_orders,
    canonical,
)
from greekdrift.config import load_rules, load_venue
from greekdrift.errors import DataError, InputError
from greekdrift.features.panel import assemble
from greekdrift.journal import Journal, read, replay
from greekdrift.margin.dressing import Dressing, State
from greekdrift.market.simulate import SimulatedSource
from greekdrift.rebalance import rebalance
from greekdrift.surface.state import FACTORS
from greekdrift.units import datetime64
from greekdrift.verify import Certificate

VENUE, RULES = load_venue("deribit"), load_rules("derive_pm2")


class TrueLaw:
    """The simulator's own law as a predictor."""

    name = "true law"

    def __init__(self, source):
        self.source = source

    def predict(self, history, *, horizons, n, seed):
        moment = history.as_of[-1].item().replace(tzinfo=self.source.snapshots()[0].tzinfo)
        return self.source.true_scenarios(moment, horizons=tuple(horizons), n=n, seed=seed)


class Broken:
    """A predictor that fails."""

    name = "broken"

    def __init__(self, error):
        self.error = error

    def predict(self, history, *, horizons, n, seed):
        raise self.error


class OnlyEther:
    """A predictor that knows one underlying."""

    name = "ether"

    def __init__(self, source):
        self.inner = TrueLaw(source)

    def predict(self, history, *, horizons, n, seed):
        whole = self.inner.predict(history, horizons=horizons, n=n, seed=seed)
        at = [whole.underlyings.index("ETH")]
        return Scenarios(
            underlyings=("ETH",),
            factors=whole.factors,
            horizons=whole.horizons,
            increments=whole.increments[:, :, at],
            weights=whole.weights,
            as_of=whole.as_of,
            known_at=whole.known_at,
            provenance="ether",
        )


@pytest.fixture(scope="module")
def source():
    return SimulatedSource(venue=VENUE, seed=3, days=10.0)


@pytest.fixture(scope="module")
def chain(source):
    return source.chain(source.snapshots()[8])


@pytest.fixture(scope="module")
def history(source, chain):
    moments = [moment for moment in source.snapshots() if moment <= chain.as_of]
    state = np.array([source.true_state(moment).values for moment in moments])
    as_of = np.array([datetime64(moment) for moment in moments])
    return assemble(
        source.underlyings,
        FACTORS,
        as_of=as_of,
        known_at=as_of + np.timedelta64(5, "m"),
        state=state,
        step_hours=6.0,
        features=(),
    )


def options_of(chain, underlying, *, from_days):
    life = chain.time_to_expiry * 365.0
    rows = np.flatnonzero(chain.is_option & (chain.underlying == underlying) & (life > from_days) & chain.is_call)
    first = rows[life[rows] == life[rows].min()]
    return [
        chain.instruments[row].name for row in first[np.argsort(np.abs(chain.strike[first] - chain.forward[first]))]
    ]


def mandate(underlying="BTC", **changes):
    size = {"BTC": 1.0, "ETH": 20.0}[underlying]
    plain = {
        "rule_set": "derive_pm2",
        "bands": (
            Band(greek="delta", underlying=underlying, lower=-size, upper=size),
            Band(greek="vega", underlying=underlying, lower=-30_000.0, upper=30_000.0),
        ),
        "liquidity_buffer_usd": 1_000.0,
        "venues": ("deribit",),
        "max_order_notional_usd": 5e6,
        "max_cost_usd": 50_000.0,
        "hedge_kinds": (Kind.PERPETUAL, Kind.OPTION),
    }
    return Mandate(**(plain | changes))


@pytest.fixture(scope="module")
def accounts(chain):
    """A desk far outside, one that may rest, one on ETH, one without a mandate, one with an unlisted line."""
    near = options_of(chain, "BTC", from_days=10.0)
    ether = options_of(chain, "ETH", from_days=10.0)
    return (
        Account(
            account_id="desk",
            collateral={"BTC": 30.0},
            positions=(Position.of(near[0], -20.0), Position.of(near[1], -10.0)),
            mandate=mandate(),
        ),
        Account(account_id="vault", collateral={"BTC": 5.0}, positions=(Position.of(near[0], 0.3),), mandate=mandate()),
        Account(
            account_id="ether",
            collateral={"ETH": 900.0},
            positions=(Position.of(ether[0], -300.0),),
            mandate=mandate("ETH"),
        ),
        Account(account_id="free", collateral={"BTC": 1.0}, positions=(Position.of(near[0], 1.0),)),
        Account(
            account_id="lost",
            collateral={"BTC": 1.0},
            positions=(Position.of("BTC-27JUN25-100000-C", 1.0),),
            mandate=mandate(),
        ),
    )


@pytest.fixture(scope="module")
def now(chain):
    return chain.known_at + timedelta(seconds=30)


@pytest.fixture(scope="module")
def run(source, chain, history, now):
    def cycle(accounts, **changes):
        given = {
            "rules": RULES,
            "venue": VENUE,
            "now": now,
            "predictor": TrueLaw(source),
            "history": history,
            "n": 64,
            "horizons": (12.0, 24.0),
        }
        return rebalance(changes.pop("chain", chain), accounts, **(given | changes))

    return cycle


@pytest.fixture(scope="module")
def decisions(run, accounts):
    return run(accounts)


def test_each_account_gets_its_outcome(decisions):
    assert [decision.account_id for decision in decisions] == ["desk", "vault", "ether", "free", "lost"]
    desk, vault, ether, free, lost = decisions
    assert desk.outcome is Outcome.VERIFIED_ML
    assert desk.adjustment.orders
    assert "saves" in desk.reasons[-1]
    assert vault.outcome is Outcome.VERIFIED_ML
    assert not vault.adjustment.orders
    assert vault.reasons == ("doing nothing costs least",)
    assert ether.outcome is Outcome.VERIFIED_ML
    assert free.outcome is lost.outcome is Outcome.HOLD
    assert "no mandate" in free.reasons[0]
    assert "not listed" in lost.reasons[0]


def test_a_position_forecast_along_a_stand_in_says_so(run, chain, accounts):
    desk, ether = accounts[0], accounts[2]
    held = chain.rows(desk.quantities())
    own = np.flatnonzero((chain.expiry == chain.expiry[held[0]]) & (chain.underlying == "BTC") & chain.is_option)
    volatility = chain.mark_iv.copy()
    volatility[own] *= np.where(np.searchsorted(np.unique(chain.strike[own]), chain.strike[own]) % 2, 1.5, 0.7)
    first, second = run((desk, ether), chain=replace(chain, mark_iv=volatility))
    assert any("stand-in" in reason and "exceeds 3" in reason for reason in first.reasons)
    assert not any("stand-in" in reason for reason in second.reasons)


def test_nothing_unverified_leaves(decisions):
    for decision in decisions:
        is_hold = decision.outcome is Outcome.HOLD
        assert (decision.adjustment is None) == is_hold
        assert isinstance(decision.certificate, Certificate) != is_hold


def test_the_objective_of_doing_nothing_stands_beside(decisions):
    desk, vault = decisions[:2]
    assert sum(desk.objective.values()) < sum(desk.idle.values())
    assert dict(vault.objective) == dict(vault.idle)


def test_the_forecast_carries_greeks_margin_and_equity(decisions, chain, accounts):
    desk = decisions[0]
    assert desk.forecast.horizons.tolist() == [12.0, 24.0]
    assert {"initial_margin_usd", "equity_usd", "excess_usd", "pnl_usd", "BTC vega"} <= set(desk.forecast.quantities)
    assert desk.forecast.breach_probability("desk", "BTC vega") > 0.5
    excess = desk.forecast.value_now("desk", "excess_usd")
    assert excess == desk.forecast.value_now("desk", "equity_usd") - desk.forecast.value_now(
        "desk", "initial_margin_usd"
    )
    after = after_orders(accounts[0], desk.adjustment.orders, chain, VENUE)
    assert dict(after.collateral) == dict(desk.adjustment.claim.cash)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"predictor": None}, "no model"),
        ({"history": None}, "cold start: no history"),
        ({"predictor": Broken(DataError("no data today"))}, "the forecast failed: no data today"),
        ({"predictor": Broken(ZeroDivisionError())}, "the forecast failed: ZeroDivisionError"),
    ],
)
def test_without_a_forecast_the_deterministic_rule_decides(run, accounts, changes, reason):
    for decision in run(accounts[:2], **changes):
        assert decision.outcome is Outcome.BASELINE
        assert reason in decision.reasons[0]
        assert decision.forecast is None
        assert not decision.adjustment.is_forecast_based


def test_one_snapshot_only_is_a_cold_start(run, accounts, history):
    (decision,) = run(accounts[:1], history=_last(history, 1))
    assert decision.outcome is Outcome.BASELINE
    assert "one snapshot only" in decision.reasons[0]


def test_a_history_of_another_moment_is_not_used(run, accounts, history):
    shorter = replace(
        history,
        as_of=history.as_of[:-1],
        known_at=history.known_at[:-1],
        state=history.state[:-1],
        features=history.features[:-1],
    )
    (decision,) = run(accounts[:1], history=shorter)
    assert decision.outcome is Outcome.BASELINE
    assert "the history ends at" in decision.reasons[0]


def _last(history, count):
    return replace(
        history,
        as_of=history.as_of[-count:],
        known_at=history.known_at[-count:],
        state=history.state[-count:],
        features=history.features[-count:],
    )


def test_a_missing_underlying_sends_only_its_accounts_to_the_rule(run, accounts, source):
    desk, _, ether = run(accounts[:3], predictor=OnlyEther(source))
    assert desk.outcome is Outcome.BASELINE
    assert "does not know BTC" in desk.reasons[0]
    assert ether.outcome is Outcome.VERIFIED_ML


def test_a_stale_chain_gives_the_rule_and_a_very_stale_one_holds(run, accounts, chain):
    (late,) = run(accounts[:1], now=chain.known_at + timedelta(minutes=12))
    assert late.outcome is Outcome.BASELINE
    assert "stale" in late.reasons[0]
    (dead,) = run(accounts[:1], now=chain.known_at + timedelta(hours=2))
    assert dead.outcome is Outcome.HOLD
    assert any("freshness" in reason for reason in dead.reasons)
    assert dead.findings


def test_a_chain_from_the_future_holds(run, accounts, chain):
    (early,) = run(accounts[:1], now=chain.known_at - timedelta(seconds=1))
    assert early.outcome is Outcome.HOLD
    assert "is known at" in early.reasons[0]


def test_a_rule_set_that_is_not_at_hand_holds(run, accounts):
    other = replace(accounts[0], mandate=mandate(rule_set="deribit_pm"))
    (decision,) = run((other,))
    assert decision.outcome is Outcome.HOLD
    assert "deribit_pm is not at hand" in decision.reasons[0]


def test_a_refused_forecast_falls_back_to_the_rule(run, accounts, monkeypatch):
    """A proposer that lies by one dollar is refused; the deterministic rule decides, with the findings kept."""
    from greekdrift import policy

    honest = policy.propose

    def lying(*given, **options):
        found = honest(*given, **options)
        claim = replace(found.adjustment.claim, cost_usd=found.adjustment.claim.cost_usd - 1.0)
        return replace(found, adjustment=replace(found.adjustment, claim=claim))

    monkeypatch.setattr(policy, "propose", lying)
    (decision,) = run(accounts[:1])
    assert decision.outcome is Outcome.BASELINE
    assert "the forecast's proposal was refused" in decision.reasons[0]
    assert any(not finding.passed for finding in decision.findings)
    assert decision.forecast is not None


def test_where_everything_is_refused_the_account_holds(run, accounts, monkeypatch):
    from greekdrift import policy

    for name in ("propose", "baseline"):
        honest = getattr(policy, name)

        def lying(*given, honest=honest, **options):
            found = honest(*given, **options)
            return replace(found, adjustment=replace(found.adjustment, chain_digest="0" * 64))

        monkeypatch.setattr(policy, name, lying)
    (decision,) = run(accounts[:1])
    assert decision.outcome is Outcome.HOLD
    assert "the deterministic rule was refused" in decision.reasons[-1]
    assert decision.adjustment is None


def test_a_surface_that_does_not_fit_leaves_the_rule(run, accounts, chain):
    """Only linear contracts are listed: no surface, but a delta can still be hedged."""
    linear = chain.take(~chain.is_option)
    delta = Band(greek="delta", underlying="BTC", lower=-1.0, upper=1.0)
    account = Account(
        account_id="basis",
        collateral={"BTC": 30.0},
        positions=(Position.of("BTC-PERPETUAL", 300_000.0),),
        mandate=mandate(bands=(delta,), price_of_breach={"delta": 100.0}),
    )
    (decision,) = run((account,), chain=linear)
    assert decision.outcome is Outcome.BASELINE
    assert "the surface does not fit" in decision.reasons[0]
    assert decision.adjustment.orders


def test_a_history_that_is_not_known_yet_is_not_used(run, accounts, history, chain):
    late = history.known_at.copy()
    late[-1] += np.timedelta64(1, "h")
    (decision,) = run(accounts[:1], history=replace(history, known_at=late))
    assert decision.outcome is Outcome.BASELINE
    assert "the history is known at" in decision.reasons[0]


@pytest.mark.parametrize("name", ["case", "propose", "baseline"])
@pytest.mark.parametrize("error", [DataError("no number"), ZeroDivisionError("by zero")])
def test_what_breaks_in_one_account_stays_in_it(run, accounts, monkeypatch, name, error):
    """Any error, expected or not, in the decision of one account: that one falls back or holds, the other decides."""
    from greekdrift import policy

    honest = getattr(policy, name)

    def breaking(given, *rest, **options):
        account = rest[0] if name == "case" else given.account
        if account.account_id == "desk":
            raise error
        return honest(given, *rest, **options)

    monkeypatch.setattr(policy, name, breaking)
    desk, vault = run(accounts[:2], predictor=None) if name == "baseline" else run(accounts[:2])
    assert str(error) in " ".join(desk.reasons)
    assert desk.outcome is (Outcome.BASELINE if name == "propose" else Outcome.HOLD)
    assert vault.outcome is (Outcome.BASELINE if name == "baseline" else Outcome.VERIFIED_ML)


def _held(run_at, held_usd, *, hours, account="desk"):
    return {account: State(as_of=run_at - timedelta(hours=hours), held_usd=held_usd)}


def test_the_last_addon_limits_the_next(run, accounts, decisions, now):
    free = decisions[0].adjustment.margin_addon_usd
    assert decisions[0].addon.is_first
    (held,) = run(accounts[:1], previous_addons=_held(now, 0.0, hours=0.01))
    assert 0.0 < held.adjustment.margin_addon_usd < free
    assert not held.addon.is_first
    assert held.addon.findings
    assert held.addon.state.held_usd == held.adjustment.margin_addon_usd
    (same,) = run(accounts[:1], previous_addons=_held(now, 0.0, hours=0.01, account="vault"))
    assert same.adjustment.margin_addon_usd == free


def test_the_dressing_is_the_callers(run, accounts, decisions):
    (padded,) = run(accounts[:1], dressing=Dressing(buffer=0.25))
    free = decisions[0].adjustment.margin_addon_usd
    assert padded.adjustment.margin_addon_usd == pytest.approx(1.25 * free)
    assert padded.certificate.margin_addon_usd == padded.adjustment.margin_addon_usd


def test_a_missing_forecast_frees_no_margin(run, accounts, now):
    """The rule releases a held add-on as slowly as a forecast would; the first decision asks for none."""
    (first,) = run(accounts[:1], predictor=None)
    assert first.adjustment.margin_addon_usd == 0.0
    assert first.addon.raw_usd is None
    (held,) = run(accounts[:1], predictor=None, previous_addons=_held(now, 5_000.0, hours=6.0))
    assert held.outcome is Outcome.BASELINE
    assert held.adjustment.margin_addon_usd == pytest.approx(5_000.0 * 0.5 ** (6.0 / 120.0))
    assert held.certificate.margin_addon_usd == held.adjustment.margin_addon_usd
    assert held.addon.state.days == ()


def test_a_clock_that_went_back_counts_as_no_time(run, accounts, now):
    for changes in ({}, {"predictor": None}):
        still, back = (
            run(accounts[:1], previous_addons=_held(now, 5_000.0, hours=hours), **changes)[0] for hours in (0.0, -3.0)
        )
        assert canonical(back.adjustment) == canonical(still.adjustment)


@pytest.mark.parametrize("horizons", [(), (0.0,), (-6.0, 6.0), (12.0, 6.0), (6.0, 6.0), (np.nan,), (np.inf,)])
def test_horizons_that_are_none_are_refused(run, accounts, horizons):
    with pytest.raises(InputError, match="horizons"):
        run(accounts[:1], predictor=None, horizons=horizons)


def test_accounts_of_one_name_hold_and_others_do_not_care(run, accounts):
    desk, vault = accounts[:2]
    twin = replace(vault, account_id=desk.account_id)
    alone, first, second = run((vault, desk, twin), predictor=None)
    assert first.outcome is second.outcome is Outcome.HOLD
    assert "2 accounts are called desk" in first.reasons[0]
    assert first.adjustment is None
    assert canonical(alone.adjustment) == canonical(run((vault,), predictor=None)[0].adjustment)


def test_the_same_inputs_and_seed_give_the_same_certificate_bytes(run, accounts, decisions):
    again = run(accounts)
    for one, two in zip(decisions, again, strict=True):
        assert one.reasons == two.reasons
        if one.certificate is not None:
            assert canonical(one.certificate) == canonical(two.certificate)
            assert canonical(one.adjustment) == canonical(two.adjustment)
    other = run(accounts[:1], seed=1)[0]
    assert canonical(other.adjustment) != canonical(decisions[0].adjustment)


def test_the_journal_replays_every_certificate(run, accounts, tmp_path):
    path = tmp_path / "journal"
    with Journal(path) as journal:
        run(accounts, journal=journal)
        run(accounts, journal=journal)
        run(accounts, journal=journal, predictor=None)
    report = replay(path)
    assert report.is_sound, report.problems
    assert report.outcomes == {"VERIFIED_ML": 3, "BASELINE": 3, "HOLD": 2}, "repeated decisions are recorded once"
    assert report.replayed == 6
    assert "6 certificates replayed: all as recorded" in report.describe()


def test_a_journal_that_cannot_be_written_holds_everything(run, accounts, tmp_path):
    journal = Journal(tmp_path / "journal")
    journal.append(b'{"kind":"note"}')
    journal.close()
    for decision in run(accounts[:2], journal=journal):
        assert decision.outcome is Outcome.HOLD
        assert "could not be recorded" in decision.reasons[0]
    assert len(read(tmp_path / "journal")) == 1
