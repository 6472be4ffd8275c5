"""DESIGN section 3 on recorded chains, sampled over the whole files: no move, the clock alone, expiry on the way."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from greekdrift.book import Chain, Scenarios
from greekdrift.greeks import compute
from greekdrift.surface import FACTORS
from greekdrift.surface.fit import fit
from greekdrift.surface.revalue import revalue
from greekdrift.surface.scenario import index_return, moved
from greekdrift.surface.state import BASIS, FORWARD

pytestmark = pytest.mark.shared

EVERY = 9
HORIZONS = (6.0, 24.0, 72.0)


def snapshots(shared, build, coin: str) -> Iterator[Chain]:
    rows = pd.read_parquet(shared / "data" / "deribit_option_chain_6h" / f"{coin}_chain.parquet")
    moments = np.sort(rows["snapshot_ts_utc"].unique())[(0 if coin == "btc" else 4) :: EVERY]
    names = {"instrument_name": "name", "forward_price_usd": "forward", "bid_price_coin": "bid"}
    names |= {"ask_price_coin": "ask", "mark_price_coin": "mark"}
    for moment, own in rows[rows["snapshot_ts_utc"].isin(moments)].rename(columns=names).groupby("snapshot_ts_utc"):
        index = {coin.upper(): float(own["index_price_usd"].iloc[0])}
        yield build(own, as_of=moment.to_pydatetime(), known_at=moment.to_pydatetime(), index_price=index)


def under(chain: Chain, increments: np.ndarray, horizons: tuple[float, ...]) -> Scenarios:
    return Scenarios(
        underlyings=chain.underlyings,
        factors=FACTORS,
        horizons=np.array(horizons),
        increments=increments,
        weights=np.full(len(increments), 1.0 / len(increments)),
        as_of=chain.as_of,
        known_at=chain.known_at,
        provenance="law",
    )


@pytest.mark.parametrize("coin", ["btc", "eth"])
def test_no_move_the_clock_and_expiry_on_every_snapshot(shared, build, coin):
    count = 0
    for chain in snapshots(shared, build, coin):
        surface, rows = fit(chain), np.arange(len(chain))
        _no_move(chain, revalue(chain, surface, under(chain, np.zeros((1, 1, 1, 26)), (0.0,)), rows=rows, names=()))
        _clock(chain, revalue(chain, surface, under(chain, np.zeros((1, 3, 1, 26)), HORIZONS), rows=rows))
        path = np.zeros((2, 3, 1, 26))
        path[..., FORWARD] = np.array([[0.05, -0.1, 0.02], [-0.02, 0.03, 0.2]])[..., None]
        path[..., BASIS] = 0.1
        _expiry(chain, moved(chain, surface, under(chain, path, HORIZONS), rows), path)
        count += 1
    assert count >= 70


def _no_move(chain, found):
    np.testing.assert_array_equal(found.forward[0, 0], chain.forward)
    np.testing.assert_allclose(found.volatility[0, 0], chain.mark_iv, rtol=1e-12, atol=0.0)
    assert not found.pnl_usd.any()


def _clock(chain, found):
    """Forwards and volatilities stay, worth is Black's with the time left, and what is over is certain."""
    for at, hours in enumerate(HORIZONS):
        left = np.maximum(chain.time_to_expiry - hours / 8760.0, 0.0)
        left[left <= 1.0 / (8760.0 * 3600.0)] = 0.0
        np.testing.assert_array_equal(found.forward[0, at], chain.forward)
        np.testing.assert_allclose(found.volatility[0, at], chain.mark_iv, rtol=1e-12, atol=0.0)
        np.testing.assert_allclose(found.time_to_expiry[at], left, rtol=0.0, atol=1e-15)
        price = compute(
            ["price"], forward=chain.forward, strike=chain.strike, volatility=chain.mark_iv,
            time_to_expiry=found.time_to_expiry[at], is_call=chain.is_call,
        )["price"]  # fmt: skip
        coins = price / chain.forward
        np.testing.assert_allclose(found.cube("value_usd")[0, at], coins * chain.index, rtol=1e-9, atol=1e-12)
        gone = left == 0.0
        for name in ("delta_usd", "delta_net", "gamma", "vega", "theta"):
            assert not found.cube(name)[0, at, gone].any()
        assert np.all(found.pnl_usd[0, at] <= 1e-9)


def _expiry(chain, found, path):
    """What expires within the horizons has the forward of the path at that instant, and keeps it."""
    for scenario in range(2):
        for tau in np.unique(chain.time_to_expiry[chain.time_to_expiry < HORIZONS[-1] / 8760.0]):
            own = chain.time_to_expiry == tau
            way = index_return(path[:, :, 0, FORWARD], tau, np.array(HORIZONS))[scenario]
            over = found.time_to_expiry[:, own].max(axis=1) == 0.0
            settled = found.forward[scenario][:, own]
            expected = np.exp(way)[:, None] * chain.forward[own]
            np.testing.assert_allclose(settled[over], expected[over], rtol=1e-13)
            assert np.ptp(settled[over], axis=0).max(initial=0.0) == 0.0
