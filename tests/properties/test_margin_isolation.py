"""No term of an account's margin reads another account: bit for bit, by every form, alone and in company."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy import ndarray

from greekdrift.book import Account, Chain, Position
from greekdrift.config import load_rules
from greekdrift.margin import engine

RULES = ("derive_pm2", "deribit_pm", "deribit_standard")
FORMS = pytest.mark.parametrize("rules", RULES)
some = settings(max_examples=25, deadline=None)


@pytest.fixture(scope="module")
def chain(make_chain: Callable[..., Chain]) -> Chain:
    return make_chain(days=(1.0, 9.0, 91.0))


def book(chain: Chain, seed: int, name: str) -> Account:
    """Anything: nothing, a few lines, or many of any size, with or without coins."""
    dice = np.random.default_rng(seed)
    rows = dice.choice(len(chain), size=int(dice.integers(0, 20)), replace=False)
    quantities = dice.normal(size=len(rows)) * 10.0 ** dice.uniform(-3.0, 6.0, size=len(rows))
    positions = tuple(
        Position(instrument=chain.instruments[row], quantity=float(n)) for row, n in zip(rows, quantities, strict=True)
    )
    return Account(account_id=name, collateral={"BTC": float(dice.normal() * 100.0)}, positions=positions)


@FORMS
@given(own=st.integers(0, 2**32), others=st.tuples(st.integers(0, 2**32), st.integers(0, 2**32)))
@some
def test_many_at_once(chain: Chain, rules: str, own: int, others: tuple[int, int]) -> None:
    """The requirements of many books: the others changed at will, an account's are the same bits."""
    rule_set, rows = load_rules(rules), np.arange(len(chain))

    def margins(other: int) -> tuple[ndarray, ndarray]:
        accounts = [book(chain, other, "a"), book(chain, own, "own"), book(chain, other + 1, "b")]
        weights = np.zeros((3, len(chain)))
        for at, account in enumerate(accounts):
            for name, quantity in account.quantities().items():
                weights[at, chain.row_of[name]] = quantity
        coins = {"BTC": np.array([account.collateral["BTC"] for account in accounts])}
        return engine.requirements(chain, weights, rule_set, rows=rows, coins=coins)

    first, second = margins(others[0]), margins(others[1])
    assert [one[1].tobytes() for one in first] == [one[1].tobytes() for one in second]


@FORMS
@given(own=st.integers(0, 2**32), others=st.tuples(st.integers(0, 2**32), st.integers(0, 2**32)))
@some
def test_forecasts(chain: Chain, rules: str, own: int, others: tuple[int, int]) -> None:
    """The same for requirements in scenarios."""
    rule_set, rows = load_rules(rules), np.arange(len(chain))
    jump = np.exp(np.random.default_rng(own).normal(scale=0.1, size=(6, 2, 1)))
    given_ = {
        "rows": rows,
        "underlyings": ("BTC",),
        "forward": chain.forward * jump,
        "volatility": np.broadcast_to(np.where(chain.is_option, chain.mark_iv, 1.0), (6, 2, len(chain))),
        "time_to_expiry": chain.time_to_expiry - np.array([[6.0], [30.0]]) / 8760.0,
        "index": 100_000.0 * jump,
    }

    def margins(other: int) -> tuple[ndarray, ndarray]:
        accounts = [book(chain, other, "a"), book(chain, own, "own"), book(chain, other + 1, "b")]
        return engine.forecast_requirements(chain, accounts, rule_set, **given_)

    first, second = margins(others[0]), margins(others[1])
    assert [one[..., 1].tobytes() for one in first] == [one[..., 1].tobytes() for one in second]


@FORMS
def test_alone_and_in_company(chain: Chain, rules: str) -> None:
    """The number of accounts beside may move the last bit of a sum, and no more."""
    rule_set, rows = load_rules(rules), np.arange(len(chain))
    accounts = [book(chain, seed, f"a{seed}") for seed in range(7)]
    weights = np.zeros((7, len(chain)))
    for at, account in enumerate(accounts):
        for name, quantity in account.quantities().items():
            weights[at, chain.row_of[name]] = quantity
    coins = np.array([account.collateral["BTC"] for account in accounts])
    together = engine.requirements(chain, weights, rule_set, rows=rows, coins={"BTC": coins})
    for at, account in enumerate(accounts):
        alone = engine.requirement(chain, account, rule_set)
        assert together[0][at] == pytest.approx(alone.initial_margin_usd, rel=1e-12, abs=1e-6)
        assert together[1][at] == pytest.approx(alone.maintenance_margin_usd, rel=1e-12, abs=1e-6)
