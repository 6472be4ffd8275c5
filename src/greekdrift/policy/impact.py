"""What a trade costs: the price that is certain to fill, the fee, the half spread, and the impact of its own size.

Impact is a cost, never a gain on own marks: a trade that moves the market is charged for it and the marks of the
book stay where they were.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Chain, Kind, Product, Venue
from greekdrift.greeks.exposure import line_quantities
from greekdrift.policy.band import VOLATILITY_OF_VOLATILITY, near_volatility
from greekdrift.units import DAYS_PER_YEAR

Rows = Float[ndarray, " row"]

TICK_TOLERANCE = 1e-6
"""Share of a tick within which a quote counts as lying on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SquareRoot:
    """The square-root law: a trade of Q against a daily volume V moves the price by Y s √(Q/V), s its daily deviation.

    The mean cost of the schedule is 2/3 of that. Source: Donier & Bonart (2015), Bitcoin, over a million orders:
    Y about 0.9; calibrate it on own fills. Where no volume is recorded no impact is charged, only the half spread.
    """

    coefficient: float = 0.9
    cost_share: float = 2.0 / 3.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Costs:
    """Terms of trading some chain rows, per contract; NaN where that side cannot be traded.

    `buy_limit` and `sell_limit` in the price currency, on the tick, marketable. `*_cost` in USD: fee plus how much
    worse than the mark. `*_fee` in USD is the fee alone. `impact` in USD per contract^1.5.
    """

    rows: ndarray
    buy_limit: Rows
    sell_limit: Rows
    buy_fee: Rows
    sell_fee: Rows
    buy_cost: Rows
    sell_cost: Rows
    impact: Rows
    lot: Rows


def costs(
    chain: Chain, rows: ndarray, venue: Venue, *, price_collar: float = 1.0, law: SquareRoot | None = None
) -> Costs:
    """Costs of trading some chain rows at a venue; a side whose limit lies beyond the collar is closed."""
    products = [venue.product(chain.instruments[row]) for row in rows]
    buy = np.array([_limit(chain, row, product, side=1) for row, product in zip(rows, products, strict=True)])
    sell = np.array([_limit(chain, row, product, side=-1) for row, product in zip(rows, products, strict=True)])
    buy = np.where(_is_within(chain, rows, buy, price_collar), buy, np.nan)
    sell = np.where(_is_within(chain, rows, sell, price_collar), sell, np.nan)
    buy_fee, sell_fee = _fees(chain, rows, products, buy), _fees(chain, rows, products, sell)
    return Costs(
        rows=rows,
        buy_limit=buy,
        sell_limit=sell,
        buy_fee=buy_fee,
        sell_fee=sell_fee,
        buy_cost=buy_fee + np.maximum(_distance_usd(chain, rows, buy), 0.0),
        sell_cost=sell_fee + np.maximum(-_distance_usd(chain, rows, sell), 0.0),
        impact=_impact(chain, rows, law or SquareRoot()),
        lot=np.array([product.lot for product in products]),
    )


def on_tick(price: float, tick: float, *, side: int) -> float:
    """A price moved to the tick in the direction that still fills: up to buy (+1), down to sell (−1).

    >>> on_tick(0.01234, 0.0005, side=1), on_tick(0.0125, 0.0005, side=-1)
    (0.0125, 0.0125)
    """
    steps = price / tick
    nearest = np.round(steps)
    if abs(steps - nearest) > TICK_TOLERANCE:
        nearest = np.ceil(steps) if side > 0 else np.floor(steps)
    return float(np.round(nearest * tick, 10))


def _limit(chain: Chain, row: int, product: Product, *, side: int) -> float:
    """The recorded quote; where neither side is recorded the mark and the venue's half spread; else NaN."""
    price = float(chain.ask[row] if side > 0 else chain.bid[row])
    is_recorded = not (np.isnan(chain.bid[row]) and np.isnan(chain.ask[row]))
    if not is_recorded and product.half_spread is not None:
        price = float(chain.mark[row]) * (1.0 + side * product.half_spread)
    if np.isnan(price) or price <= 0.0:
        return np.nan
    price = on_tick(price, product.tick_at(price), side=side)
    return price if price > 0.0 else np.nan


def _is_within(chain: Chain, rows: ndarray, limit: Rows, collar: float) -> ndarray:
    """Linear instruments: |limit/mark − 1| ≤ collar. Options: |limit − mark| in USD ≤ collar × index."""
    mark = chain.mark[rows]
    index_share = np.abs(limit - mark) / np.where(chain.is_inverse[rows], 1.0, chain.index[rows])
    price_share = np.abs(limit / np.where(mark > 0.0, mark, np.nan) - 1.0)
    is_within: ndarray = np.where(chain.is_option[rows], index_share, price_share) <= collar
    return is_within


def _distance_usd(chain: Chain, rows: ndarray, limit: Rows) -> Rows:
    """USD per contract by which a limit lies above the mark; an inverse future's size is in USD already."""
    size, mark, index = chain.contract_size[rows], chain.mark[rows], chain.index[rows]
    money = size * (limit - mark)
    is_inverse, is_option = chain.is_inverse[rows], chain.is_option[rows]
    per_price = np.where(mark > 0.0, size / np.where(mark > 0.0, mark, 1.0), 0.0) * (limit - mark)
    distance: ndarray = np.where(is_option & is_inverse, money * index, np.where(is_inverse, per_price, money))
    return distance


def _fees(chain: Chain, rows: ndarray, products: list[Product], limit: Rows) -> Rows:
    index = chain.index[rows]
    price_usd = np.where(chain.is_option[rows] & chain.is_inverse[rows], limit * index, limit)
    return np.array(
        [
            product.fee_usd(1.0, price_usd=float(price), index_usd=float(at)) if price > 0.0 else np.nan
            for product, price, at in zip(products, price_usd, index, strict=True)
        ]
    )


def _impact(chain: Chain, rows: ndarray, law: SquareRoot) -> Rows:
    """Coefficient of contracts^1.5: cost_share Y s / √V; s from delta and vega over a day."""
    line = line_quantities(chain, ("delta_usd", "vega"), rows)
    index = chain.index[rows]
    by_underlying = {
        str(name): near_volatility(chain, str(name))
        for name in np.unique(chain.underlying[rows])
        if np.any(chain.is_option & (chain.underlying == name) & (chain.time_to_expiry > 0.0))
    }
    volatility = np.array([by_underlying.get(str(name), 0.0) for name in chain.underlying[rows]])
    day = np.sqrt(1.0 / DAYS_PER_YEAR)
    deviation = day * volatility * np.hypot(line["delta_usd"] * index, line["vega"] * VOLATILITY_OF_VOLATILITY)
    volume = chain.volume_24h[rows]
    share = np.where(volume > 0.0, 1.0 / np.sqrt(np.where(volume > 0.0, volume, 1.0)), 0.0)
    coefficient: ndarray = law.cost_share * law.coefficient * deviation * share
    return coefficient


def delta_cost_share(chain: Chain, costs_of: Costs, underlying: str) -> float | None:
    """Cheapest one-way cost of trading delta, as a share of the value traded; None where it cannot be traded."""
    kinds = np.array([chain.instruments[row].kind for row in costs_of.rows])
    is_delta = (kinds != Kind.OPTION) & (chain.underlying[costs_of.rows] == underlying)
    if not np.any(is_delta):
        return None
    rows = costs_of.rows[is_delta]
    notional = line_quantities(chain, ("delta_usd",), rows)["delta_usd"] * chain.index[rows]
    share = 0.5 * (costs_of.buy_cost + costs_of.sell_cost)[is_delta] / notional
    return float(np.nanmin(share)) if np.any(np.isfinite(share)) else None
