"""Laws of the judge: what it verifies lies within the limits by another calculator, whatever was proposed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from greekdrift.book import (
    Account,
    Adjustment,
    Band,
    Chain,
    Claim,
    Kind,
    Mandate,
    Order,
    Position,
    View,
    after_orders,
    digest,
    order_cost_usd,
)
from greekdrift.config import load_rules, load_venue
from greekdrift.greeks.bands import band_values
from greekdrift.margin import grid
from greekdrift.verify import Refused, Verified, verify

RULES, VENUE = load_rules("derive_pm2"), load_venue("deribit")


def mandate(width: float) -> Mandate:
    return Mandate(
        rule_set="derive_pm2",
        bands=(
            Band(greek="delta", underlying="BTC", lower=-width, upper=width),
            Band(greek="delta", underlying="BTC", lower=0.0, upper=10.0 * width, view=View.COLLATERAL),
            Band(greek="gamma", underlying="BTC", lower=-1e-4 * width, upper=1e-4 * width),
            Band(greek="vega", underlying="BTC", lower=-1e5 * width, upper=1e5 * width, tenor_days=(0.0, 60.0)),
        ),
        liquidity_buffer_usd=1_000.0,
        venues=("deribit",),
        max_order_notional_usd=1e6,
        max_cost_usd=1_000.0,
        hedge_kinds=(Kind.PERPETUAL, Kind.OPTION),
    )


@st.composite
def books(draw: st.DrawFn) -> tuple[dict[str, float], float, float]:
    strikes = st.sampled_from(("31JAN26-85000-P", "31JAN26-100000-C", "31JAN26-115000-C", "2APR26-100000-P"))
    lines = draw(st.dictionaries(strikes, st.integers(-30, 30).filter(bool), max_size=3))
    held = {f"BTC-{strike}": contracts / 10.0 for strike, contracts in lines.items()}
    perpetual = draw(st.integers(-3_000, 3_000))
    return (
        held | ({"BTC-PERPETUAL": float(perpetual)} if perpetual else {}),
        draw(st.floats(0.5, 5.0)),
        draw(st.floats(0.05, 2.0)),
    )


@st.composite
def trades(draw: st.DrawFn) -> dict[str, float]:
    options = st.sampled_from(("BTC-31JAN26-100000-C", "BTC-2APR26-100000-P", "BTC-31JAN26-85000-P"))
    found = {name: n / 10.0 for name, n in draw(st.dictionaries(options, st.integers(-10, 10), max_size=2)).items()}
    found["BTC-PERPETUAL"] = float(draw(st.integers(-3_000, 3_000)))
    return {name: quantity for name, quantity in found.items() if quantity}


def proposal(chain: Chain, account: Account, trade: dict[str, float]) -> Adjustment:
    orders = []
    for leg, (name, quantity) in enumerate(trade.items()):
        row = chain.row_of[name]
        tick = VENUE.product(chain.instruments[row]).tick_at(float(chain.mark[row]))
        limit = round((np.floor(chain.mark[row] / tick) + (quantity > 0.0)) * tick, 9)
        orders.append(
            Order(instrument=chain.instruments[row], quantity=quantity, limit_price=limit, leg=leg, reason="")
        )
    after = after_orders(account, orders, chain, VENUE)
    margin = grid.requirement(chain, after, RULES)
    return Adjustment(
        account_id=account.account_id,
        as_of=chain.as_of,
        valid_until=chain.as_of + timedelta(minutes=10),
        orders=tuple(orders),
        margin_addon_usd=0.0,
        claim=Claim(
            greeks=band_values(chain, after),
            initial_margin_usd=margin.initial_margin_usd,
            maintenance_margin_usd=margin.maintenance_margin_usd,
            equity_usd=margin.equity_usd,
            cash=after.collateral,
            cost_usd=sum(order_cost_usd(order, chain, VENUE) for order in orders),
        ),
        chain_digest=digest(chain),
        account_digest=digest(account),
        is_forecast_based=False,
        provenance="generated",
    )


def judged(
    make_chain: Callable[..., Chain], book: tuple[dict[str, float], float, float], trade: dict[str, float]
) -> tuple[Chain, Account, Adjustment, Verified | Refused]:
    chain, (lines, coins, width) = make_chain(), book
    positions = tuple(Position.of(name, quantity) for name, quantity in lines.items())
    account = Account(account_id="a", collateral={"BTC": coins}, positions=positions, mandate=mandate(width))
    adjustment = proposal(chain, account, trade)
    return (
        chain,
        account,
        adjustment,
        verify(account, chain, adjustment, account.mandate, RULES, chain.as_of, venue=VENUE),
    )


@settings(max_examples=150)
@given(book=books(), trade=trades())
def test_a_verified_adjustment_lies_within_the_limits(
    make_chain: Callable[..., Chain], book: tuple[dict[str, float], float, float], trade: dict[str, float]
) -> None:
    chain, account, adjustment, verdict = judged(make_chain, book, trade)
    after = after_orders(account, adjustment.orders, chain, VENUE)
    before_values, after_values = band_values(chain, account), band_values(chain, after)
    further = [
        band.label
        for band in account.mandate.bands
        if band.distance_outside(after_values[band.label])
        > band.distance_outside(before_values[band.label]) + 1e-6 * (band.upper - band.lower)
    ]
    was, is_now = (grid.requirement(chain, one, RULES).excess_usd for one in (account, after))
    is_short = is_now < min(was, account.mandate.liquidity_buffer_usd) - 1e-3
    overdrawn = after.collateral["BTC"] < -1e-9
    if isinstance(verdict, Verified):
        assert not further
        assert not is_short
        assert not overdrawn
        assert adjustment.claim.cost_usd <= account.mandate.max_cost_usd * (1.0 + 1e-9)
    else:
        # an honest claim is never the reason: the two calculators agree on every generated book
        checks = {finding.check for finding in verdict.failed}
        assert not {check for check in checks if check.startswith("claimed")}
        assert checks


@settings(max_examples=80)
@given(book=books())
def test_doing_nothing_is_always_right(
    make_chain: Callable[..., Chain], book: tuple[dict[str, float], float, float]
) -> None:
    assert isinstance(judged(make_chain, book, {})[3], Verified)


@settings(max_examples=80)
@given(book=books(), trade=trades(), where=st.integers(0, 100), size=st.sampled_from((1e-6, -1e-6, 1e-3)))
def test_no_corrupt_claim_passes(
    make_chain: Callable[..., Chain],
    book: tuple[dict[str, float], float, float],
    trade: dict[str, float],
    where: int,
    size: float,
) -> None:
    chain, account, adjustment, verdict = judged(make_chain, book, trade)
    if isinstance(verdict, Refused):
        return
    claim = adjustment.claim
    scales = {band.label: band.upper - band.lower for band in account.mandate.bands}
    scales |= dict.fromkeys(("initial_margin_usd", "maintenance_margin_usd", "equity_usd", "cost_usd"), 1e4)
    name = list(scales)[where % len(scales)]
    if name in claim.greeks:
        wrong = claim.greeks[name] + size * max(abs(claim.greeks[name]), scales[name])
        corrupt = replace(claim, greeks={**claim.greeks, name: wrong})
    else:
        value = getattr(claim, name)
        corrupt = replace(claim, **{name: value + size * max(abs(value), scales[name])})
    changed = replace(adjustment, claim=corrupt)
    again = verify(account, chain, changed, account.mandate, RULES, chain.as_of, venue=VENUE)
    assert isinstance(again, Refused)
    assert len(again.failed) == 1
