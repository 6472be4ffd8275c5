"""Accounts are isolated: a decision is the same to the bit whatever other accounts hold, and how many they are."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greekdrift.book import Account, Band, Kind, Mandate, Position, View, canonical
from greekdrift.config import load_rules, load_venue
from greekdrift.features.panel import assemble
from greekdrift.market.simulate import SimulatedSource
from greekdrift.rebalance import rebalance
from greekdrift.surface.state import FACTORS
from greekdrift.units import datetime64

VENUE, RULES = load_venue("deribit"), load_rules("derive_pm2")
SOURCE = SimulatedSource(venue=VENUE, seed=11, days=3.0)
CHAIN = SOURCE.chain(SOURCE.snapshots()[3])
LISTED = [
    CHAIN.instruments[row].name
    for row in np.flatnonzero(CHAIN.is_option & (CHAIN.time_to_expiry > 0.01) & (CHAIN.bid > 0.0))
]


class TrueLaw:
    """The simulator's own law as a predictor."""

    name = "true law"

    def predict(self, history, *, horizons, n, seed):
        return SOURCE.true_scenarios(CHAIN.as_of, horizons=tuple(horizons), n=n, seed=seed)


def history():
    moments = SOURCE.snapshots()[:4]
    as_of = np.array([datetime64(moment) for moment in moments])
    return assemble(
        SOURCE.underlyings,
        FACTORS,
        as_of=as_of,
        known_at=as_of + np.timedelta64(5, "m"),
        state=np.array([SOURCE.true_state(moment).values for moment in moments]),
        step_hours=6.0,
        features=(),
    )


HISTORY = history()


def an_account(seed, name):
    """Any account: BTC, ETH or both, any bands, rich or poor, with or without a mandate or an unlisted line."""
    draw = np.random.default_rng(seed)
    names = draw.choice(LISTED, int(draw.integers(0, 7)), replace=False)
    positions = [Position.of(str(one), float(np.round(draw.normal() * 20, 1)) or 1.0) for one in names]
    positions += [Position.of("BTC-PERPETUAL", float(draw.integers(-90_000, 90_000)))] if draw.random() < 0.5 else []
    positions += [Position.of("BTC-27JUN25-100000-C", 1.0)] if draw.random() < 0.1 else []
    width = float(draw.uniform(0.2, 5.0))
    bands = (
        Band(greek="delta", underlying="BTC", lower=-width, upper=width, view=list(View)[draw.integers(3)]),
        Band(greek="vega", underlying="BTC", lower=-2e4 * width, upper=2e4 * width, tenor_days=(0.0, 40.0)),
        Band(greek="gamma", underlying="ETH", lower=-0.1 * width, upper=0.1 * width),
    )
    mandate = Mandate(
        rule_set="derive_pm2",
        bands=bands[: int(draw.integers(1, 4))],
        liquidity_buffer_usd=float(draw.uniform(0, 1e5)),
        venues=("deribit",),
        max_order_notional_usd=2e6,
        max_cost_usd=3e4,
        hedge_kinds=(Kind.PERPETUAL, Kind.OPTION),
        risk_aversion=1e-5 if draw.random() < 0.3 else None,
    )
    return Account(
        account_id=name,
        collateral={"BTC": float(draw.uniform(1, 40)), "ETH": float(draw.uniform(0, 100))},
        positions=tuple(positions),
        mandate=None if draw.random() < 0.1 else mandate,
    )


def decided(accounts):
    return rebalance(
        CHAIN,
        accounts,
        rules=RULES,
        venue=VENUE,
        now=CHAIN.known_at + timedelta(seconds=1),
        predictor=TrueLaw(),
        history=HISTORY,
        horizons=(12.0, 24.0),
        n=40,
    )


def trace(decision):
    """Everything in a decision, as bytes."""
    seen = decision.forecast
    return (
        str(decision.outcome),
        decision.reasons,
        None if decision.adjustment is None else canonical(decision.adjustment),
        None if decision.certificate is None else canonical(decision.certificate),
        tuple(decision.objective.items()),
        None if seen is None else (seen.quantities, seen.samples.tobytes(), seen.now.tobytes()),
    )


@pytest.mark.parametrize("mine", [1, 2, 5])
@settings(max_examples=6)
@given(others=st.lists(st.integers(0, 10**6), max_size=4), place=st.integers(0, 4))
def test_a_decision_does_not_depend_on_other_accounts(mine, others, place):
    own = an_account(mine, "mine")
    alone = trace(decided([own])[0])
    accounts = [an_account(seed, f"other {number}") for number, seed in enumerate(others)]
    accounts.insert(min(place, len(accounts)), own)
    together = decided(accounts)
    assert trace(together[accounts.index(own)]) == alone
