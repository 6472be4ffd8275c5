"""What then happened to the bands of an account: its collateral delta counts the coins that were paid on the way."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from greekdrift.book import Account, Band, Chain, Mandate, Position, View
from greekdrift.cli.realised import realised
from greekdrift.greeks.exposure import deltas

BANDS = tuple(Band(greek="delta", underlying="BTC", lower=-1.0, upper=1.0, view=view) for view in View)


class TwoChains:
    """A source of two snapshots, six hours apart."""

    clock = "elapsed"
    step_hours = 6.0

    def __init__(self, chain: Chain) -> None:
        later = chain.as_of + timedelta(hours=6.0)
        moved = replace(
            chain, as_of=later, known_at=later, forward=1.05 * chain.forward, index_price={"BTC": 105_000.0}
        )
        self.chains = {chain.as_of: chain, later: moved}

    def snapshots(self) -> tuple[datetime, ...]:
        return tuple(self.chains)

    def chain(self, as_of: datetime) -> Chain:
        return self.chains[as_of]


def test_the_coins_paid_by_a_perpetual_are_in_the_collateral_delta(make_chain: Callable[..., Chain]) -> None:
    chain = make_chain()
    limits = {"liquidity_buffer_usd": 0.0, "max_order_notional_usd": 1e6, "max_cost_usd": 1e4}
    account = Account(
        account_id="a",
        collateral={"BTC": 2.0},
        positions=(Position.of("BTC-PERPETUAL", 20_000.0), Position(instrument=chain.instruments[0], quantity=3.0)),
        mandate=Mandate(rule_set="any", bands=BANDS, venues=("deribit",), **limits),
    )
    source = TwoChains(chain)
    found = realised(source, chain, [account], [6.0, 48.0])["a"]
    row, later = chain.row_of["BTC-PERPETUAL"], source.chain(source.snapshots()[1])
    paid = 20_000.0 * 10.0 * (1.0 / chain.forward[row] - 1.0 / later.forward[row])
    three = deltas(later, (replace(account, collateral={"BTC": 2.0 + paid}),))
    assert paid > 0.09
    for label, value in (
        ("BTC delta (usd)", three.usd),
        ("BTC delta (net)", three.net),
        ("BTC delta (collateral)", three.collateral),
    ):
        assert found[label][0] == pytest.approx(value[0, 0], rel=1e-12), label
        assert found[label][1] is None
