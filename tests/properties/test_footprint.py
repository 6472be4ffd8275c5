"""No sequence of own trades is paid for its footprint, whatever is traded, when and in which order."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from greekdrift.config import load_venue
from greekdrift.market.footprint import Depth, TradedSource
from greekdrift.market.simulate import SimulatedSource

VENUE = load_venue("deribit")
SOURCE = SimulatedSource(venue=VENUE, seed=9, days=2.0, underlyings=("BTC",))
MOMENTS = SOURCE.snapshots()[:4]
CHAINS = {moment: SOURCE.chain(moment) for moment in MOMENTS}


def names() -> list[str]:
    """The perpetual, and options that both sides quote all along."""
    quoted = []
    for chain in CHAINS.values():
        both = np.isfinite(chain.bid) & np.isfinite(chain.ask)
        quoted.append({chain.instruments[row].name for row in np.flatnonzero(both)})
    shared = sorted(set.intersection(*quoted))
    return ["BTC-PERPETUAL", *shared[:: max(len(shared) // 8, 1)]]


NAMES = names()
TRADES = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(NAMES), st.floats(-50.0, 50.0).filter(lambda x: abs(x) > 1e-3)),
    min_size=1,
    max_size=10,
)
DEPTHS = st.builds(
    Depth,
    coefficient=st.floats(0.0, 2.0),
    permanent=st.floats(0.0, 1.0),
    half_life_hours=st.floats(0.2, 50.0),
    vega_usd=st.floats(1e8, 1e9),
)


@given(trades=TRADES, depth=DEPTHS, closes=st.booleans())
@settings(max_examples=60, deadline=None)
def test_no_sequence_of_trades_earns(trades: list[tuple[int, str, float]], depth: Depth, *, closes: bool) -> None:
    """The sum of all impacts is at least 0, and of round trips too: each one is closed at the last instant."""
    market = TradedSource(SOURCE, venue=VENUE, depth=depth)
    held: dict[str, float] = {}
    for at, name, lots in sorted(trades, key=lambda one: one[0]):
        contracts = lots * (1e4 if name.endswith("PERPETUAL") else 1.0)
        market.trade(MOMENTS[at], name, contracts)
        held[name] = held.get(name, 0.0) + contracts
    if closes:
        for name, contracts in held.items():
            if contracts != 0.0:
                market.trade(MOMENTS[-1], name, -contracts)
    costs = [fill.impact_usd for fill in market.fills]
    assert sum(costs) >= -1e-9 * sum(abs(cost) for cost in costs)


def test_a_price_that_jumps_back_at_once_would_be_found() -> None:
    """The law above has power: with impact that fills do not pay, a buyer sells to their own footprint and earns."""
    depth = Depth(permanent=0.0, half_life_hours=50.0)
    market = TradedSource(SOURCE, venue=VENUE, depth=depth)
    fills = [market.trade(MOMENTS[0], "BTC-PERPETUAL", 1e6), market.trade(MOMENTS[1], "BTC-PERPETUAL", -1e6)]
    unpaid = fills[1].impact_usd
    assert unpaid < 0.0 < fills[0].impact_usd + unpaid
