"""Own trades on a market: what they move, how that fades, and that no sequence of them earns."""

from datetime import timedelta

import numpy as np
import pytest

from greekdrift.book import Chain, Venue, digest
from greekdrift.errors import ConfigError, InputError
from greekdrift.greeks.exposure import line_quantities
from greekdrift.market.footprint import Depth, TradedSource
from greekdrift.market.simulate import SimulatedSource


@pytest.fixture(scope="module")
def source(deribit: Venue) -> SimulatedSource:
    return SimulatedSource(venue=deribit, seed=6, days=3.0)


@pytest.fixture
def market(source: SimulatedSource, deribit: Venue) -> TradedSource:
    return TradedSource(source, venue=deribit)


def near_money(chain: Chain, *, days: float = 20.0) -> str:
    """A call on BTC near the money that both sides quote."""
    rows = np.flatnonzero(
        chain.is_option & chain.is_call & (chain.underlying == "BTC") & np.isfinite(chain.bid) & np.isfinite(chain.ask)
    )
    distance = np.abs(np.log(chain.strike[rows] / chain.forward[rows])) + np.abs(
        np.log(chain.time_to_expiry[rows] * 365.0 / days)
    )
    return chain.instruments[rows[np.argmin(distance)]].name


def test_without_trades_it_is_the_source(market: TradedSource, source: SimulatedSource) -> None:
    moment = source.snapshots()[3]
    assert market.chain(moment) is not None
    assert digest(market.chain(moment)) == digest(source.chain(moment))
    assert (market.snapshots(), market.name, market.underlyings) == (
        source.snapshots(),
        source.name,
        source.underlyings,
    )


def test_one_trade_costs_two_thirds_of_the_square_root(source: SimulatedSource, deribit: Venue) -> None:
    depth = Depth(permanent=0.0)
    market = TradedSource(source, venue=deribit, depth=depth)
    moment = source.snapshots()[0]
    costs = [
        TradedSource(source, venue=deribit, depth=depth).trade(moment, "BTC-PERPETUAL", usd).impact_usd
        for usd in (1e6, 4e6)
    ]
    assert costs[1] / costs[0] == pytest.approx(8.0, rel=1e-9)
    fill = market.trade(moment, "BTC-PERPETUAL", 5e5)
    chain = source.chain(moment)
    row = int(chain.rows(["BTC-PERPETUAL"])[0])
    flow = 5e5 * line_quantities(chain, ("delta_usd",), [row])["delta_usd"][0] * chain.index[row]
    assert fill.impact_usd == pytest.approx(2.0 / 3.0 * 0.9 * 0.025 * np.sqrt(flow / 5e9) * flow, rel=1e-9)
    assert market.displacement("BTC", moment)[0] == pytest.approx(0.9 * 0.025 * np.sqrt(flow / 5e9), rel=1e-9)
    paid = (fill.price - chain.ask[row]) / chain.mark[row] * flow
    assert paid == pytest.approx(fill.impact_usd, rel=1e-6)


def test_buying_a_call_lifts_price_and_volatility_and_both_come_back(
    market: TradedSource, source: SimulatedSource
) -> None:
    first, later = source.snapshots()[1], source.snapshots()[4]
    plain = source.chain(first)
    name = near_money(plain)
    fill = market.trade(first, name, 300.0)
    moved = market.chain(first)
    row = int(plain.rows([name])[0])
    assert fill.price > plain.ask[row]
    assert moved.index_price["BTC"] > plain.index_price["BTC"]
    assert moved.index_price["ETH"] == plain.index_price["ETH"]
    assert moved.mark[row] > plain.mark[row]
    options = plain.is_option & (plain.underlying == "BTC")
    assert np.all(moved.mark_iv[options] > plain.mark_iv[options])
    assert moved.ask[row] >= plain.ask[row]
    now, then = market.displacement("BTC", first), market.displacement("BTC", later)
    hours = (later - first).total_seconds() / 3600.0
    depth = market.depth
    line = line_quantities(plain, ("delta_usd", "vega"), [row])
    flow = 300.0 * np.array(
        [line["delta_usd"][0] * source.chain(source.snapshots()[0]).index_price["BTC"], line["vega"][0]]
    )
    kept = depth.move * depth.permanent * flow / depth.turnover
    np.testing.assert_allclose((then - kept) / (now - kept), 0.5 ** (0.5 * hours / 4.0), rtol=1e-9)
    assert np.all(then > kept)


def test_moved_chains_keep_parity_and_their_spreads(market: TradedSource, source: SimulatedSource) -> None:
    moment = source.snapshots()[1]
    market.trade(moment, near_money(source.chain(moment)), -200.0)
    chain = market.chain(moment)
    calls = np.flatnonzero(chain.is_option & chain.is_call)
    puts = chain.rows([f"{chain.instruments[row].name[:-1]}P" for row in calls])
    parity = chain.mark[calls] - chain.mark[puts] - (1.0 - chain.strike[calls] / chain.forward[calls])
    np.testing.assert_allclose(parity, 0.0, atol=1e-12)
    both = np.isfinite(chain.bid) & np.isfinite(chain.ask)
    assert np.all(chain.bid[both] <= chain.ask[both])


def test_buy_then_sell_loses_the_decay(market: TradedSource, source: SimulatedSource) -> None:
    first, later = source.snapshots()[1], source.snapshots()[2]
    name = near_money(source.chain(first))
    total = market.trade(first, name, 200.0).impact_usd + market.trade(later, name, -200.0).impact_usd
    assert total > 0.0


def test_quotes_before_a_trade_do_not_know_it(market: TradedSource, source: SimulatedSource) -> None:
    market.trade(source.snapshots()[2], "BTC-PERPETUAL", 1e7)
    before = source.snapshots()[1]
    assert digest(market.chain(before)) == digest(source.chain(before))


def test_refusals(market: TradedSource, source: SimulatedSource) -> None:
    moment = source.snapshots()[2]
    for size in (0.0, np.nan, np.inf):
        with pytest.raises(InputError, match="are no trade"):
            market.trade(moment, "BTC-PERPETUAL", size)
    with pytest.raises(InputError, match="trade less, or give the market more depth"):
        market.trade(moment, "BTC-PERPETUAL", 1e13)
    assert market.fills == ()
    chain = source.chain(moment)
    missing = chain.instruments[int(np.flatnonzero(chain.is_option & np.isnan(chain.bid))[0])].name
    with pytest.raises(InputError, match="has no bid"):
        market.trade(moment, missing, -1.0)
    market.trade(moment, "BTC-PERPETUAL", 1e5)
    with pytest.raises(InputError, match="trade in order"):
        market.trade(moment - timedelta(hours=1), "BTC-PERPETUAL", 1e5)
    for wrong in ({"delta_usd": 0.0}, {"half_life_hours": np.nan}, {"permanent": -0.1}):
        with pytest.raises(ConfigError, match="depth: "):
            Depth(**wrong)
