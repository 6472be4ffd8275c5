"""What binds, slopes on both sides of a kink, and shares of a requirement."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from greekdrift.book import Account, Chain, Position, RuleSet
from greekdrift.config import load_rules
from greekdrift.margin import naive
from greekdrift.margin.sensitivity import bindings, contributions, slopes

MakeChain = Callable[..., Chain]
CALL, PUT, BOX = "BTC-31JAN26-115000-C", "BTC-31JAN26-85000-P", "BTC-31JAN26-115000-P"


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rules("derive_pm2")


def book(chain: Chain, seed: int, *, lines: int = 10, **collateral: float) -> Account:
    random = np.random.default_rng(seed)
    quantities = {
        int(row): float(random.normal(scale=1e3 if chain.is_inverse[row] and not chain.is_option[row] else 5.0))
        for row in random.choice(len(chain), size=lines, replace=False)
    }
    positions = tuple(Position(instrument=chain.instruments[row], quantity=n) for row, n in quantities.items())
    return Account(account_id=f"a{seed}", collateral=collateral, positions=positions)


def naive_after(chain: Chain, account: Account, rules: RuleSet, name: str, bought: float) -> naive.MarginResult:
    """The slow truth after a trade at the Black value."""
    row = chain.row_of[name]
    instrument, collateral = chain.instruments[row], dict(account.collateral)
    if instrument.is_option:
        cost = bought * chain.mark[row] * chain.contract_size[row]
        collateral[instrument.currency] = collateral.get(instrument.currency, 0.0) - cost
    held = {one.instrument: one.quantity for one in account.positions}
    held[instrument] = held.get(instrument, 0.0) + bought
    positions = tuple(Position(instrument=one, quantity=n) for one, n in held.items())
    return naive.requirement(chain, replace(account, collateral=collateral, positions=positions), rules)


@pytest.mark.parametrize("currency", ["", "USDC"])
@pytest.mark.parametrize("seed", range(3))
def test_both_slopes_equal_bumps_of_the_naive_engine(
    make_chain: MakeChain, rules: RuleSet, currency: str, seed: int
) -> None:
    chain = make_chain(currency=currency)
    account = book(chain, seed, BTC=2.5, USDC=1e6)
    wanted = [*account.quantities(), *(chain.instruments[row].name for row in (0, 9, 33))]
    found = slopes(chain, account, rules, instruments=wanted)
    now = naive.requirement(chain, account, rules)
    for at, name in enumerate(found.instruments):
        lot = 1e-5 if chain.is_option[chain.row_of[name]] else 1e-2
        for sign, initial, maintenance in (
            (1.0, found.initial_bought, found.maintenance_bought),
            (-1.0, found.initial_sold, found.maintenance_sold),
        ):
            then = naive_after(chain, account, rules, name, sign * lot)
            for slope, after, before in (
                (initial[at], then.initial_margin_usd, now.initial_margin_usd),
                (maintenance[at], then.maintenance_margin_usd, now.maintenance_margin_usd),
            ):
                assert slope == pytest.approx((after - before) / lot, rel=1e-4, abs=1e-9 * before / lot + 1e-6), name


def test_a_flat_line_has_a_kink(make_chain: MakeChain, rules: RuleSet) -> None:
    chain = make_chain()
    account = Account(account_id="a", collateral={"USDC": 1e5}, positions=(Position.of("BTC-PERPETUAL", 0.0),))
    found = slopes(chain, account, rules, instruments=["BTC-PERPETUAL"])
    assert found.is_kink.all()
    # a contract of 10 USD: 18 % of the worst scenario and the contingency of a perpetual, whichever way it is held
    assert found.initial_bought[0] == pytest.approx(found.initial_sold[0], rel=1e-6)
    assert found.initial_bought[0] == pytest.approx(10.0 * (0.18 + 0.02), rel=1e-3)


def test_a_tie_of_two_scenarios_has_two_slopes(make_chain: MakeChain, rules: RuleSet) -> None:
    """Short a strangle with so many perpetuals that up and down hurt alike: from there either trade costs."""
    chain = make_chain(currency="USDC")
    call, put, perpetual = "BTC_USDC-31JAN26-115000-C", "BTC_USDC-31JAN26-85000-P", "BTC_USDC-PERPETUAL"

    def with_perpetuals(n: float) -> Account:
        legs = (Position.of(call, -10.0), Position.of(put, -10.0), Position.of(perpetual, n))
        return Account(account_id="a", collateral={"USDC": 1e6}, positions=legs)

    pnl = [
        dict(naive.requirement(chain, with_perpetuals(n), rules).parts[0].scenario_pnl) for n in (2.0, 3.0, -40.0, 40.0)
    ]
    down, up = min(pnl[3], key=lambda label: pnl[3][label]), min(pnl[2], key=lambda label: pnl[2][label])
    gaps = [one[up] - one[down] for one in pnl[:2]]
    tied = with_perpetuals(2.0 - gaps[0] / (gaps[1] - gaps[0]))
    (binds,) = bindings(naive.requirement(chain, tied, rules))
    assert {binds.scenario, binds.runner_up} == {up, down}
    assert binds.gap_usd < 1e-6
    found = slopes(chain, tied, rules, instruments=[perpetual, call])
    assert found.is_kink.all()
    assert found.initial_bought[0] > 0.0
    assert found.initial_sold[0] > 0.0
    shares = contributions(chain, tied, rules)
    assert shares.euler is not None
    assert shares.euler.sum() == pytest.approx(shares.requirement_usd, rel=1e-8)


@pytest.mark.parametrize("currency", ["", "USDC"])
@pytest.mark.parametrize("seed", range(4))
def test_shares_sum_to_the_requirement(make_chain: MakeChain, rules: RuleSet, currency: str, seed: int) -> None:
    chain = make_chain(currency=currency)
    account = book(chain, seed, BTC=1.5 - seed, USDC=1e6)
    found = contributions(chain, account, rules)
    assert rules.is_homogeneous
    assert found.euler is not None
    assert found.requirement_usd == pytest.approx(naive.requirement(chain, account, rules).initial_margin_usd)
    assert found.euler.sum() == pytest.approx(found.requirement_usd, rel=1e-8)


def test_shares_at_a_tie_of_many_scenarios_still_sum(make_chain: MakeChain, rules: RuleSet) -> None:
    chain = make_chain()
    legs = (Position.of(CALL, 1.0), Position.of(BOX, -1.0), Position.of("BTC-PERPETUAL", -10_000.0))
    for quantity in (0.0, -2.0, 2.0):
        positions = (*legs, Position.of(PUT, quantity))
        account = Account(account_id="a", collateral={"USDC": 1e6}, positions=positions)
        found = contributions(chain, account, rules)
        assert found.euler is not None
        assert found.euler.sum() == pytest.approx(found.requirement_usd, rel=1e-7, abs=1e-3)


def test_leaving_a_line_out_and_having_it_alone(make_chain: MakeChain, rules: RuleSet) -> None:
    chain = make_chain()
    account = book(chain, 5, lines=4, BTC=3.0)
    found = contributions(chain, account, rules)
    full = naive.requirement(chain, account, rules).initial_margin_usd
    for name, incremental, alone in zip(found.names, found.incremental, found.alone, strict=True):
        if name.startswith("collateral"):
            without = replace(account, collateral={})
            only = replace(account, positions=())
        else:
            without = replace(account, positions=tuple(p for p in account.positions if p.instrument.name != name))
            only = replace(
                account, positions=tuple(p for p in account.positions if p.instrument.name == name), collateral={}
            )
        assert full - naive.requirement(chain, without, rules).initial_margin_usd == pytest.approx(incremental)
        assert naive.requirement(chain, only, rules).initial_margin_usd == pytest.approx(alone)


def test_what_binds_and_what_comes_next(make_chain: MakeChain, rules: RuleSet) -> None:
    chain = make_chain()
    account = book(chain, 2, USDC=1e6)
    result = naive.requirement(chain, account, rules)
    (found,) = bindings(result)
    part = result.parts[0]
    ranked = sorted([*part.scenario_pnl.values(), part.basis_usd])
    assert found.scenario == part.worst_scenario
    assert found.pnl_usd == ranked[0]
    assert found.gap_usd == pytest.approx(ranked[1] - ranked[0])
    assert found.runner_up != found.scenario


def test_nothing_held_has_no_shares(make_chain: MakeChain, rules: RuleSet) -> None:
    account = Account(account_id="a", collateral={"USDC": 1e5}, positions=())
    found = contributions(make_chain(), account, rules)
    assert found.names == ()
    assert found.requirement_usd == 0.0
    assert bindings(naive.requirement(make_chain(), account, rules)) == ()
