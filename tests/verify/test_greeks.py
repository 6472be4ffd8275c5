"""The judge's own band values, against the exposure that policies use, now and in stressed states."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, timedelta

import numpy as np
import pytest

from greekdrift.book import Account, Band, Chain, Mandate, Position, View
from greekdrift.book.mandate import BANDED
from greekdrift.config import load_rules
from greekdrift.greeks import bands, exposure
from greekdrift.margin.stress import stressed_chains
from greekdrift.verify.greeks import band_values, stressed_states

RULES = load_rules("derive_pm2")
VIEWS = tuple(Band(greek="delta", underlying="BTC", lower=-1.0, upper=1.0, view=view) for view in View)
ALL = tuple(Band(greek=greek, underlying="BTC", lower=-1.0, upper=1.0) for greek in BANDED if greek != "delta")
TENORS = (
    Band(greek="vega", underlying="BTC", lower=-1.0, upper=1.0, tenor_days=(0.0, 30.0)),
    Band(greek="vega", underlying="BTC", lower=-1.0, upper=1.0, tenor_days=(30.0, 1e4)),
    Band(greek="gamma", underlying="BTC", lower=-1.0, upper=1.0, tenor_days=(0.0, 5.0)),
    Band(greek="delta", underlying="BTC", lower=-1.0, upper=1.0, tenor_days=(0.0, 60.0)),
)
MANDATE = Mandate(
    rule_set="derive_pm2",
    bands=(*VIEWS, *ALL, *TENORS),
    liquidity_buffer_usd=0.0,
    venues=("deribit",),
    max_order_notional_usd=1.0,
    max_cost_usd=1.0,
    gamma_fade_days=10.0,
)


def book(chain: Chain, seed: int) -> Account:
    random = np.random.default_rng(seed)
    rows = random.choice(len(chain), size=12, replace=False)
    positions = tuple(
        Position(instrument=chain.instruments[row], quantity=float(random.normal(scale=chain.contract_size[row] * 5.0)))
        for row in rows
    )
    return Account(account_id="a", collateral={"BTC": 2.5, "USDC": 7.0}, positions=positions, mandate=MANDATE)


def seen(chain: Chain, moment: str) -> Chain:
    """The chain as it is, or 17 minutes before its first expiry, settled on a half-hour average, index off forward."""
    if moment == "now":
        return chain
    first = np.min(chain.expiry[~np.isnat(chain.expiry)])
    as_of = first.astype("datetime64[us]").item().replace(tzinfo=UTC) - timedelta(minutes=17)
    return replace(chain, as_of=as_of, known_at=as_of, settlement_average_minutes=30.0, index_price={"BTC": 99_900.0})


MOMENTS = pytest.mark.parametrize("moment", ["now", "in the settlement window"])


@MOMENTS
@pytest.mark.parametrize("currency", ["", "USDC"])
@pytest.mark.parametrize("seed", range(4))
def test_now_as_the_exposure(make_chain: Callable[..., Chain], currency: str, seed: int, moment: str) -> None:
    chain = seen(make_chain(currency=currency), moment)
    account = book(chain, seed)
    own, other = band_values(chain, account, MANDATE, RULES)[0], bands.band_values(chain, account)
    assert own.keys() == other.keys()
    for label, value in own.items():
        assert value.value == pytest.approx(other[label], rel=1e-12, abs=1e-14 * value.gross), label
        assert value.gross >= abs(value.value) * (1.0 - 1e-12)


@MOMENTS
@pytest.mark.parametrize("currency", ["", "USDC"])
def test_under_stress_as_the_exposure_of_the_moved_chain(
    make_chain: Callable[..., Chain], currency: str, moment: str
) -> None:
    chain = seen(make_chain(currency=currency), moment)
    account = book(chain, 1)
    found = band_values(chain, account, MANDATE, RULES, stressed_states(RULES))
    for own, moved in zip(found, stressed_chains(chain, RULES).values(), strict=True):
        paid = sum(
            position.quantity * 10.0 * (1.0 / chain.forward[row] - 1.0 / moved.forward[row])
            for position in account.positions
            if position.instrument.is_inverse and not position.instrument.is_option
            for row in (chain.row_of[position.instrument.name],)
        )
        richer = replace(account, collateral={**account.collateral, "BTC": account.collateral["BTC"] + paid})
        other = bands.band_values(moved, richer)
        for label, value in own.items():
            assert value.value == pytest.approx(other[label], rel=1e-11, abs=1e-13 * value.gross), label


@MOMENTS
@pytest.mark.parametrize("currency", ["", "USDC"])
def test_the_collateral_view_is_the_slope_of_the_equity(
    make_chain: Callable[..., Chain], currency: str, moment: str
) -> None:
    """d(equity in USD)/dS by bumping index and forwards together, gains of futures and perpetuals counted."""
    chain = seen(make_chain(currency=currency), moment)
    account = book(chain, 3)
    label = VIEWS[2].label
    value = band_values(chain, account, MANDATE, RULES)[0][label].value
    window = chain.settlement_window
    share = np.minimum(chain.time_to_expiry / window, 1.0) if window else np.ones(len(chain))
    slope_of = np.where(share < 1.0, share, chain.forward / chain.index)
    step = 1.0

    def equity(change: float) -> float:
        index = chain.index_price["BTC"] + change
        moved = replace(chain, forward=chain.forward + slope_of * change, index_price={"BTC": index})
        coins, usd = account.collateral["BTC"], 0.0
        for position in account.positions:
            row = chain.row_of[position.instrument.name]
            amount = position.quantity * chain.contract_size[row]
            if position.instrument.is_option:
                name = "value_coin" if position.instrument.is_inverse else "value_usd"
                line = exposure.line_quantities(moved, [name], [row])[name][0]
                coins += position.quantity * line * position.instrument.is_inverse
                usd += position.quantity * line * (not position.instrument.is_inverse)
            elif position.instrument.is_inverse:
                coins += amount * (1.0 / chain.forward[row] - 1.0 / moved.forward[row])
            elif chain.is_spot[row]:
                usd += amount * index
            else:
                usd += amount * (moved.forward[row] - chain.forward[row])
        return coins * index + usd

    slope = (equity(step) - equity(-step)) / (2.0 * step)
    assert slope == pytest.approx(value, rel=1e-6, abs=1e-6)


def test_an_account_without_lines(make_chain: Callable[..., Chain]) -> None:
    account = Account(account_id="a", collateral={"BTC": 1.5}, positions=(), mandate=MANDATE)
    found = band_values(make_chain(), account, MANDATE, RULES)[0]
    assert found[VIEWS[2].label].value == 1.5
    assert all(value.value == 0.0 for label, value in found.items() if label != VIEWS[2].label)
