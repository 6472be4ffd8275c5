"""The judge: what is right is verified, and each thing that is wrong is refused by the check that it concerns."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from math import inf, nan

import pytest

from greekdrift.book import (
    Adjustment,
    Band,
    Claim,
    Kind,
    Order,
    Outcome,
    Position,
    Product,
    Settlement,
    View,
    digest,
)
from greekdrift.book.instrument import parse
from greekdrift.config import load_rules
from greekdrift.verify import Refused, Verified, numbers
from greekdrift.verify.greeks import Value

Worlds = Callable[..., "object"]
CALL, PUT, SHORT_LIVED = "BTC-31JAN26-100000-C", "BTC-31JAN26-95000-P", "BTC-3JAN26-100000-P"
MONEY = ("initial_margin_usd", "maintenance_margin_usd", "equity_usd", "cost_usd")


def hedge(world) -> tuple[Order, Order]:
    """Buys back some of the short calls, then brings delta into its band with the perpetual."""
    return world.order(CALL, 0.3, leg=0, worse=2.0), world.order("BTC-PERPETUAL", -8_500.0, leg=1)


def failed(verdict: Verified | Refused) -> set[str]:
    return set() if isinstance(verdict, Verified) else {one.check for one in verdict.failed}


def test_an_honest_hedge_is_verified(world) -> None:
    adjustment = world.propose(*hedge(world))
    verdict = world.judge(adjustment)
    assert isinstance(verdict, Verified)
    certificate = verdict.certificate
    assert verdict.adjustment is adjustment
    assert certificate.outcome is Outcome.BASELINE
    assert certificate.digests["account"] == digest(world.account)
    assert certificate.digests["adjustment"] == digest(adjustment)
    assert certificate.cost_usd == pytest.approx(adjustment.claim.cost_usd, rel=1e-9)
    compared = {label: (before, after) for label, before, after in certificate.compared}
    assert compared["BTC delta (net)"][0] == pytest.approx(0.8009, abs=1e-4)
    assert abs(compared["BTC delta (net)"][1]) < 0.2
    assert compared["initial margin, USD"][1] == pytest.approx(adjustment.claim.initial_margin_usd, rel=1e-8)
    assert len(certificate.stressed) == 23 * len(world.account.mandate.bands)
    assert len(certificate.scenarios) == 31
    assert all(finding.passed for finding in certificate.findings)


def test_a_forecasts_proposal_is_marked_as_such(world) -> None:
    verdict = world.judge(world.propose(*hedge(world), is_forecast_based=True))
    assert isinstance(verdict, Verified)
    assert verdict.certificate.outcome is Outcome.VERIFIED_ML


def test_doing_nothing_is_a_proposal_like_any_other(world) -> None:
    verdict = world.judge(world.propose())
    assert isinstance(verdict, Verified)
    assert verdict.certificate.cost_usd == 0.0
    assert all(before == after for _, before, after in verdict.certificate.compared)


def test_no_mandate_no_verdict_but_refusal(world) -> None:
    bare = replace(world.account, mandate=None)
    assert failed(world.judge(world.propose(), mandate=None)) == {"mandate"}
    assert "mandate" in failed(world.judge(world.propose(), account=bare))
    other = replace(world.account.mandate, max_cost_usd=1e9)
    assert failed(world.judge(world.propose(), mandate=other)) == {"mandate"}


def claims(claim: Claim, factor: float) -> dict[str, Claim]:
    """The claim with each of its numbers off by a factor, one at a time, by the check that must catch it."""
    names = {
        "initial_margin_usd": "claimed initial margin",
        "maintenance_margin_usd": "claimed maintenance margin",
        "equity_usd": "claimed equity",
        "cost_usd": "claimed cost",
    }
    found = {names[name]: replace(claim, **{name: getattr(claim, name) * factor}) for name in MONEY}
    for label, value in claim.greeks.items():
        found[f"claimed greek {label}"] = replace(claim, greeks={**claim.greeks, label: value * factor})
    for currency, value in claim.cash.items():
        found[f"claimed cash {currency}"] = replace(claim, cash={**claim.cash, currency: value * factor})
    return found


@pytest.mark.parametrize("factor", [1.0 + 1e-6, 1.0 - 1e-6, -1.0, nan, inf])
def test_every_claimed_number_is_caught(world, factor: float) -> None:
    honest = world.propose(*hedge(world))
    assert isinstance(world.judge(honest), Verified)
    wrong = claims(honest.claim, factor)
    assert len(wrong) == 4 + 5 + 2
    for check, claim in wrong.items():
        assert failed(world.judge(replace(honest, claim=claim))) == {check}


def test_a_claim_with_more_or_less_than_there_is(world) -> None:
    honest = world.propose(*hedge(world))
    greeks, cash = dict(honest.claim.greeks), dict(honest.claim.cash)
    for claim, check in (
        (replace(honest.claim, greeks={**greeks, "BTC rho": 0.0}), "claimed greeks"),
        (
            replace(honest.claim, greeks={key: value for key, value in greeks.items() if key != "BTC gamma"}),
            "claimed greeks",
        ),
        (replace(honest.claim, cash={**cash, "ETH": 0.0}), "claimed currencies"),
        (replace(honest.claim, cash={"BTC": cash["BTC"]}), "claimed currencies"),
    ):
        assert failed(world.judge(replace(honest, claim=claim))) == {check}


class Unread:
    """A claim that must not be looked at."""

    def __getattribute__(self, name: str) -> object:
        raise AssertionError(f"the judge read {name} of the claim")


def test_the_claim_is_read_last(world) -> None:
    """Whatever is wrong without the claim is found without it; then, and only then, it is read."""
    for adjustment in (
        world.propose(*hedge(world), chain_digest="0" * 64, claim=Unread()),
        world.propose(world.order("BTC-PERPETUAL", -0.5), claim=Unread()),
    ):
        assert isinstance(world.judge(adjustment), Refused)
    with pytest.raises(AssertionError, match="the judge read"):
        world.judge(world.propose(*hedge(world), claim=Unread()))


def changed(world, **changes: object) -> Adjustment:
    """A proposal whose second order, the perpetual's, is another than the claim was made for."""
    option, perpetual = hedge(world)
    honest = world.propose(option, perpetual)
    return replace(honest, orders=(option, replace(perpetual, **changes)))


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"quantity": -8_499.5}, "lots"),
        ({"limit_price": 100_010.25}, "ticks"),
        ({"limit_price": 94_000.0}, "price collar"),
        ({"quantity": -200_000.0}, "order notional"),
        ({"leg": -1}, "legs"),
        ({"leg": 0}, "legs"),
        ({"instrument": parse("BTC_USDC-PERPETUAL")}, "instruments"),
        ({"instrument": parse("BTC-26JUN26")}, "instruments"),
        ({"instrument": parse("BTC-31JAN26"), "limit_price": 100_500.0}, "kinds"),
        ({"instrument": parse(CALL), "quantity": 0.1, "limit_price": 0.07}, "legs"),
    ],
)
def test_mutated_orders(world, changes: dict, check: str) -> None:
    assert check in failed(world.judge(changed(world, **changes)))


@pytest.mark.parametrize("quantity", [1e-12, 5e-11, -1e-300])
def test_a_trace_of_a_lot_is_no_whole_lot(world, quantity: float) -> None:
    assert failed(world.judge(world.propose(replace(world.order(CALL, 0.1), quantity=quantity)))) == {"lots"}


def test_a_trace_of_a_tick_is_no_whole_tick(world) -> None:
    assert "ticks" in failed(world.judge(world.propose(replace(world.order(CALL, 0.1), limit_price=1e-14))))


def test_many_lots_are_whole_ones_too(world) -> None:
    """What is forgiven is a share of a lot, not of the order."""
    rich = world.having(max_order_notional_usd=1e15)
    found = failed(rich.judge(rich.propose(replace(rich.order("BTC-PERPETUAL", -1.0), quantity=-(1e9 + 0.4)))))
    assert "lots" in found
    assert "lots" not in failed(rich.judge(rich.propose(rich.order("BTC-PERPETUAL", -1e9))))
    assert "lots" not in failed(rich.judge(rich.propose(rich.order(CALL, 123_456.7))))


def test_mutated_orders_that_keep_to_the_terms_are_caught_by_the_claim(world) -> None:
    found = failed(world.judge(changed(world, quantity=-8_400.0)))
    assert {"claimed greek BTC delta (net)", "claimed cash BTC", "claimed cost"} <= found
    assert failed(world.judge(changed(world, reason="another reason"))) == set()


def test_an_instrument_of_other_terms_under_a_listed_name(world) -> None:
    forged = replace(parse(CALL), strike=90_000.0)
    order = replace(world.order(CALL, 0.3), instrument=forged)
    honest = world.propose()
    assert "instruments" in failed(world.judge(replace(honest, orders=(order,))))
    positions = (Position(instrument=forged, quantity=1.0),)
    account = replace(world.account, positions=positions)
    adjustment = replace(honest, account_digest=digest(account))
    assert "positions" in failed(world.judge(adjustment, account=account))


def test_digests(world) -> None:
    for change, check in (
        ({"account_digest": digest("another")}, "account digest"),
        ({"chain_digest": digest("another")}, "chain digest"),
        ({"account_id": "another"}, "account"),
    ):
        assert failed(world.judge(world.propose(*hedge(world), **change))) == {check}
    richer = replace(world.account, collateral={**world.account.collateral, "USDC": 1e9})
    assert failed(world.judge(world.propose(*hedge(world)), account=richer)) == {"account digest"}


def test_a_chain_of_which_one_price_is_another(world, make_world: Worlds) -> None:
    marks = world.chain.mark.copy()
    marks[0] += 1e-9
    assert failed(world.judge(world.propose(), chain=make_world(mark=marks).chain)) == {"chain digest"}


def test_time(world) -> None:
    honest, chain = world.propose(), world.chain
    late = world.now + timedelta(seconds=901)
    assert {"freshness", "validity"} <= failed(world.judge(honest, now=late))
    assert "freshness" in failed(world.judge(world.propose(valid_until=late + timedelta(seconds=1)), now=late))
    assert "clock" in failed(world.judge(honest, now=chain.as_of - timedelta(seconds=1)))
    assert failed(world.judge(world.propose(as_of=world.now + timedelta(seconds=1)))) == {"clock"}
    assert failed(world.judge(world.propose(as_of=chain.as_of - timedelta(seconds=1)))) == {"clock"}
    assert failed(world.judge(world.propose(valid_until=world.now))) == {"validity"}
    assert failed(world.judge(world.propose(valid_until=world.now + timedelta(seconds=901)))) == {"validity"}


def test_prices_that_became_known_days_late_are_stale_on_arrival(world) -> None:
    delayed = replace(world, chain=replace(world.chain, known_at=world.chain.as_of + timedelta(days=8)))
    arrival = delayed.chain.known_at
    adjustment = delayed.propose(as_of=arrival, valid_until=arrival + timedelta(seconds=60))
    assert "freshness" in failed(delayed.judge(adjustment, now=arrival))


def test_what_expires_between_the_chain_and_now_is_not_alive(make_world: Worlds) -> None:
    world = make_world()
    soon = world.having(valid_for_seconds=1e6)
    after_expiry = world.chain.as_of + timedelta(days=2, minutes=1)
    adjustment = soon.propose(valid_until=after_expiry + timedelta(minutes=1))
    found = failed(soon.judge(adjustment, now=after_expiry))
    assert found == {"positions", "expiry"}


def test_a_proposal_does_not_outlive_what_it_is_about(world) -> None:
    """Its numbers are those of the lines as they are; once one has expired they are another account's."""
    end = next(one.instrument.expiry for one in world.account.positions if one.instrument.name == SHORT_LIVED)
    long = world.having(valid_for_seconds=1e6)
    assert isinstance(long.judge(long.propose(valid_until=end)), Verified)
    assert failed(long.judge(long.propose(valid_until=end + timedelta(microseconds=1)))) == {"expiry"}
    without = tuple(one for one in world.account.positions if one.instrument.name != SHORT_LIVED)
    trading = world.having(valid_for_seconds=1e6, min_hedge_days=0.0, positions=without)
    opening = trading.propose(trading.order(SHORT_LIVED, 0.1), valid_until=end + timedelta(microseconds=1))
    assert failed(trading.judge(opening)) == {"expiry"}


def test_a_position_that_is_not_listed(world) -> None:
    account = replace(world.account, positions=(*world.account.positions, Position.of("BTC-26JUN26-100000-C", 1.0)))
    adjustment = world.propose(account_digest=digest(account))
    assert failed(world.judge(adjustment, account=account)) == {"positions"}


def test_collateral_without_a_price(world) -> None:
    account = replace(world.account, collateral={**world.account.collateral, "SOL": 1.0})
    adjustment = world.propose(account_digest=digest(account))
    assert failed(world.judge(adjustment, account=account)) == {"collateral"}


def test_a_band_on_what_the_chain_does_not_have(world) -> None:
    mandate = replace(world.account.mandate, bands=(Band(greek="vega", underlying="ETH", lower=-1.0, upper=1.0),))
    account = replace(world.account, mandate=mandate)
    adjustment = world.propose(account_digest=digest(account))
    assert failed(world.judge(adjustment, account=account, mandate=mandate)) == {"bands"}


def test_venue_and_rule_set_are_the_mandates(world) -> None:
    honest = world.propose()
    assert failed(world.judge(honest, venue=replace(world.venue, name="another"))) == {"venue"}
    assert failed(world.having(venues=("another",)).judge(world.having(venues=("another",)).propose())) == {"venue"}
    assert failed(world.judge(honest, rules=replace(load_rules("derive_pm2"), name="another"))) == {"mandate"}


def test_products(world) -> None:
    honest = world.propose(*hedge(world))
    only_options = tuple(one for one in world.venue.products if one.kind is Kind.OPTION)
    assert failed(world.judge(honest, venue=replace(world.venue, products=only_options))) == {"products"}
    resized = tuple(replace(one, contract_size=2.0 * one.contract_size) for one in world.venue.products)
    assert failed(world.judge(honest, venue=replace(world.venue, products=resized))) == {"products"}


def test_hedges_that_die_too_soon_and_kinds_may_be_reduced_only(world) -> None:
    opening = world.propose(world.order(SHORT_LIVED, 0.1))
    assert failed(world.judge(opening)) == {"hedge life"}
    closing = world.propose(world.order(SHORT_LIVED, -0.5), world.order("BTC-PERPETUAL", -8_000.0, leg=1))
    assert "hedge life" not in failed(world.judge(closing))
    beyond = world.propose(world.order(SHORT_LIVED, -0.6))
    assert "hedge life" in failed(world.judge(beyond))
    linear = world.having(hedge_kinds=(Kind.PERPETUAL,))
    assert failed(linear.judge(linear.propose(linear.order(CALL, -0.1)))) == {"kinds"}
    assert "kinds" not in failed(linear.judge(linear.propose(linear.order(CALL, 0.1))))


def test_participation(make_world: Worlds, world) -> None:
    small = world.having(max_participation=0.001)
    assert failed(small.judge(small.propose(*hedge(small)))) == {"participation"}
    for volume, is_refused in ((nan, True), (0.0, True), (3.0, False)):
        columns = [volume if one.is_option else nan for one in world.chain.instruments]
        thin = make_world(volume_24h=columns)
        assert (failed(thin.judge(thin.propose(*hedge(thin)))) == {"participation"}) is is_refused
    modelled = make_world(volume_24h=[nan] * len(world.chain), origin="modelled")
    assert isinstance(modelled.judge(modelled.propose(*hedge(modelled))), Verified)


def test_cost(world) -> None:
    cheap = world.having(max_cost_usd=60.0)
    assert failed(cheap.judge(cheap.propose(*hedge(cheap)))) == {"cost"}


def test_no_greek_leaves_its_band_or_goes_further(world) -> None:
    assert "band BTC delta (net)" in failed(world.judge(world.propose(world.order("BTC-PERPETUAL", 100.0))))
    beyond = world.propose(world.order("BTC-PERPETUAL", -20_000.0))
    found = failed(world.judge(beyond))
    assert {"band BTC delta (net)", "band BTC delta (collateral)"} & found
    selling = world.propose(world.order(PUT, -2.0), world.order("BTC-PERPETUAL", -16_000.0, leg=1))
    assert "band BTC vega 0-60d" in failed(world.judge(selling))


def test_no_greek_gets_worse_under_stress(world) -> None:
    """Selling gamma that stays in its band now, but not at the strike when the market gets there."""
    found = failed(world.judge(world.propose(world.order(CALL, -0.1), world.order("BTC-PERPETUAL", -100.0, leg=1))))
    assert found == {"stressed BTC gamma"}


def test_a_stressed_greek_that_is_no_number_refuses(world, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever among the states it stands: `max` alone passes over a NaN that does not come first."""
    honest = world.propose(*hedge(world))
    real = numbers.band_values
    for place in (1, 7, 23):

        def spoilt(*given: object, place: int = place) -> tuple:
            found = real(*given)
            changed = {**found[place], "BTC gamma": Value(value=nan, gross=1.0)}
            return (*found[:place], changed, *found[place + 1 :])

        monkeypatch.setattr(numbers, "band_values", spoilt)
        assert "stressed BTC gamma" in failed(world.judge(honest))


def test_what_cannot_be_computed_is_refused_whatever_the_error(world, monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (OverflowError("too large"), ZeroDivisionError("zero"), ValueError("math domain")):

        def fails(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(numbers, "band_values", fails)
        assert failed(world.judge(world.propose())) == {"numbers"}


def excess(adjustment: Adjustment) -> float:
    return adjustment.claim.equity_usd - adjustment.claim.initial_margin_usd


def test_the_liquidity_buffer_stays(world) -> None:
    before = excess(world.propose())
    tight = world.having(liquidity_buffer_usd=before - 10.0)
    assert isinstance(tight.judge(tight.propose()), Verified)
    better, worse = tight.propose(*hedge(tight)), tight.propose(tight.order("BTC-PERPETUAL", 3_000.0))
    assert excess(worse) < before - 10.0 < excess(better)
    assert isinstance(tight.judge(better), Verified)
    assert "initial margin" in failed(tight.judge(worse))


def test_where_the_buffer_is_missing_the_excess_does_not_fall(world) -> None:
    before = excess(world.propose())
    over = world.having(liquidity_buffer_usd=before + 50_000.0)
    idle = over.judge(over.propose())
    assert isinstance(idle, Verified)
    assert idle.certificate.call_usd == pytest.approx(50_000.0, abs=1e-2)
    better, worse = over.propose(*hedge(over)), over.propose(over.order("BTC-PERPETUAL", 3_000.0))
    assert excess(worse) < before < excess(better)
    verdict = over.judge(better)
    assert isinstance(verdict, Verified)
    assert verdict.certificate.call_usd < idle.certificate.call_usd
    assert {"initial margin", "maintenance margin"} <= failed(over.judge(worse))


def test_a_call_is_no_reason_to_refuse_but_an_absurd_one_is(world) -> None:
    verdict = world.judge(world.propose(margin_addon_usd=400_000.0))
    assert isinstance(verdict, Verified)
    assert verdict.certificate.call_usd > 0.0
    assert failed(world.judge(world.propose(margin_addon_usd=1e12))) == {"margin add-on"}


def test_cash_is_not_overdrawn(world) -> None:
    poor = world.having(collateral={"BTC": 0.01, "USDC": 3e5})
    buying = poor.propose(poor.order(CALL, 0.3), poor.order("BTC-PERPETUAL", -8_500.0, leg=1))
    assert "cash BTC" in failed(poor.judge(buying))
    owing = world.having(collateral={"BTC": 2.0, "USDC": 1e5, "USD": -10.0})
    assert "cash USD" not in failed(owing.judge(owing.propose(*hedge(owing))))


def test_the_same_inputs_give_the_same_bytes(world) -> None:
    one, other = (world.judge(world.propose(*hedge(world))) for _ in range(2))
    assert one.certificate.bytes() == other.certificate.bytes()
    refusals = [world.judge(world.propose(*hedge(world), account_digest="x")) for _ in range(2)]
    assert refusals[0] == refusals[1]


def test_linear_books_in_several_currencies(make_world: Worlds) -> None:
    linear = make_world(currency="USDC")
    products = tuple(
        Product(
            kind=kind, settlement=Settlement.LINEAR, underlying="*", tick=0.5, lot=0.01, contract_size=1.0,
            taker_fee=0.0003, maker_fee=0.0, fee_cap=0.125,
        )
        for kind in (Kind.OPTION, Kind.PERPETUAL, Kind.SPOT)
    )  # fmt: skip
    positions = (
        Position.of("BTC_USDC-31JAN26-100000-C", -2.0),
        Position.of("BTC_USDC-PERPETUAL", 2.0),
        Position.of("BTC_USDC", 1.0),
    )
    bands = (
        Band(greek="delta", underlying="BTC", lower=-0.5, upper=0.5, view=View.USD),
        Band(greek="vega", underlying="BTC", lower=-1e5, upper=1e5),
    )
    world = replace(linear, venue=replace(linear.venue, products=products)).having(
        bands=bands, positions=positions, collateral={"USDC": 2e5}
    )
    orders = (world.order("BTC_USDC-31JAN26-100000-C", 0.1), world.order("BTC_USDC-PERPETUAL", -1.9, leg=1))
    honest = world.propose(*orders)
    assert isinstance(world.judge(honest), Verified)
    for check, claim in claims(honest.claim, 1.0 + 1e-6).items():
        assert failed(world.judge(replace(honest, claim=claim))) == {check}


def test_the_judge_loads_neither_engine_nor_surface_nor_policy() -> None:
    code = (
        "import sys, greekdrift.verify; print(sorted(m for m in sys.modules if m.startswith(("
        "'greekdrift.margin.engine', 'greekdrift.margin.grid', 'greekdrift.margin.shocks', "
        "'greekdrift.margin.assess', 'greekdrift.surface', "
        "'greekdrift.policy', 'greekdrift.forecast', 'greekdrift.features', 'greekdrift.market', "
        "'greekdrift.greeks.kernel', 'numba', 'torch', 'pandas', 'mlflow', 'sklearn'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
