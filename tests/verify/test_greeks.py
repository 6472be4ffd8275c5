"""The judge's own band values, against the exposure that policies use, now and in stressed states."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from greekdrift.book import Account, Band, Chain, Mandate, Position, View
from greekdrift.book.mandate import BANDED
from greekdrift.config import load_rules
from greekdrift.greeks import exposure
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


@pytest.mark.parametrize("currency", ["", "USDC"])
@pytest.mark.parametrize("seed", range(4))
def test_now_as_the_exposure(make_chain: Callable[..., Chain], currency: str, seed: int) -> None:
    chain = make_chain(currency=currency)
    account = book(chain, seed)
    own, other = band_values(chain, account, MANDATE, RULES)[0], exposure.band_values(chain, account)
    assert own.keys() == other.keys()
    for label, value in own.items():
        assert value.value == pytest.approx(other[label], rel=1e-12, abs=1e-14 * value.gross), label
        assert value.gross >= abs(value.value) * (1.0 - 1e-12)


@pytest.mark.parametrize("currency", ["", "USDC"])
def test_under_stress_as_the_exposure_of_the_moved_chain(make_chain: Callable[..., Chain], currency: str) -> None:
    chain = make_chain(currency=currency)
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
        other = exposure.band_values(moved, richer)
        for label, value in own.items():
            assert value.value == pytest.approx(other[label], rel=1e-11, abs=1e-13 * value.gross), label


def test_the_collateral_view_is_the_slope_of_the_equity(make_chain: Callable[..., Chain]) -> None:
    """d(equity in USD)/dS by bumping index and forwards together, coin gains of inverse lines counted."""
    chain = make_chain()
    account = book(chain, 3)
    label = VIEWS[2].label
    value = band_values(chain, account, MANDATE, RULES)[0][label].value
    step = 1e-5

    def equity(u: float) -> float:
        moved = replace(chain, forward=chain.forward * u, index_price={"BTC": 100_000.0 * u})
        coins = account.collateral["BTC"]
        usd = 0.0
        for position in account.positions:
            row = chain.row_of[position.instrument.name]
            amount = position.quantity * chain.contract_size[row]
            if position.instrument.is_option:
                line = exposure.line_quantities(moved, ["value_coin"], [row])["value_coin"][0]
                coins += position.quantity * line
            elif position.instrument.is_inverse:
                coins += amount * (1.0 / chain.forward[row] - 1.0 / moved.forward[row])
            else:
                usd += amount * moved.index_price["BTC"]
        return coins * moved.index_price["BTC"] + usd

    slope = (equity(1.0 + step) - equity(1.0 - step)) / (2.0 * step * 100_000.0)
    assert slope == pytest.approx(value, rel=1e-6)


def test_an_account_without_lines(make_chain: Callable[..., Chain]) -> None:
    account = Account(account_id="a", collateral={"BTC": 1.5}, positions=(), mandate=MANDATE)
    found = band_values(make_chain(), account, MANDATE, RULES)[0]
    assert found[VIEWS[2].label].value == 1.5
    assert all(value.value == 0.0 for label, value in found.items() if label != VIEWS[2].label)
