"""Quantities per contract of moved rows, in arrays: linear contracts, and options where the compiled loops do not go.

Per contract, with c the contract size, V Black's value, S the index, primes for the scenario and 0 for now:

    inverse option            c (V/F)′ S′ − c (V/F)₀ S₀        linear option      c V′ − c V₀
    inverse future, perpetual c (1/F₀ − 1/F′) S′                linear future      c (F′ − F₀)
    spot                      c (S′ − S₀)

An option that has expired is worth its settlement value (coins at the index of that horizon) and has no Greeks; a
future that has expired keeps the profit it settled with. Within the settlement window Greeks fade as in
`greeks.settlement` with the moved forward as that of the settlement price.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.book import Chain
from greekdrift.greeks import QUANTITIES, compute, inverse, settlement
from greekdrift.surface.scenario import Moved

Rows = Int[ndarray, " row"]
Cube = Float[ndarray, "scenario horizon row"]

MONEY = ("value_usd", "value_coin", "delta_usd", "delta_net", "pnl_coin")
"""Names beyond the quantities of `greeks.compute`; `pnl_coin` is the coin profit of inverse contracts, else 0."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Terms:
    """Contract terms of some rows of a chain, where they stand now, and what options are worth before the move.

    `underlying` is the position of the row's among those of the scenarios. `start_usd` and `start_coin` are what P&L
    is counted from: the worth of options after a move of nothing, so that none has no P&L to the last bit.
    """

    size: Float[ndarray, " row"]
    strike: Float[ndarray, " row"]
    forward: Float[ndarray, " row"]
    index: Float[ndarray, " row"]
    is_call: ndarray
    is_inverse: ndarray
    is_spot: ndarray
    is_option: ndarray
    underlying: Rows
    start_usd: Float[ndarray, " row"]
    start_coin: Float[ndarray, " row"]
    window: float

    def take(self, at: Rows) -> "Terms":
        """The terms of some of the rows."""
        return Terms(**{name: getattr(self, name)[at] for name in _COLUMNS}, window=self.window)


_COLUMNS = tuple(name for name in Terms.__dataclass_fields__ if name != "window")
Formula = Callable[[Terms, Sequence[str], Moved], dict[str, Cube]]


def terms_of(chain: Chain, at: Rows, underlyings: Sequence[str]) -> Terms:
    """The terms of rows, with a worth before the move of 0."""
    names = chain.underlying[at]
    place = np.zeros(at.size, dtype=np.int64)
    for number, name in enumerate(underlyings):
        place[names == name] = number
    return Terms(
        size=chain.contract_size[at],
        strike=chain.strike[at],
        forward=chain.forward[at],
        index=chain.index[at],
        is_call=chain.is_call[at],
        is_inverse=chain.is_inverse[at],
        is_spot=chain.is_spot[at],
        is_option=chain.is_option[at],
        underlying=place,
        start_usd=np.zeros(at.size),
        start_coin=np.zeros(at.size),
        window=chain.settlement_window,
    )


def select(found: Moved, terms: Terms, at: Rows, *, scenarios: slice, horizons: Rows) -> Moved:
    """Moved rows of some scenarios and horizons, with the index of each row; `terms` are those of the rows alone."""
    hours = horizons[:, None]
    return Moved(
        forward=found.forward[scenarios][:, hours, at],
        volatility=found.volatility[scenarios][:, hours, at],
        time_to_expiry=found.time_to_expiry[hours, at],
        index=found.index[scenarios][:, hours, terms.underlying],
    )


def linear(terms: Terms, names: Sequence[str], at: Moved) -> dict[str, Cube]:
    """Quantities of futures, perpetuals and spot; what they do not have is 0. `at.index` is that of each row."""
    size, is_inverse, forward = terms.size, terms.is_inverse, at.forward
    is_alive = at.time_to_expiry > 0.0
    share = settlement.floating_share(at.time_to_expiry, window=terms.window)
    coins = np.where(is_alive, share * np.where(is_inverse, size / forward, size), 0.0)
    usd, profit = inverse.linear_pnl(
        size,
        forwards=(terms.forward, forward),
        indices=(terms.index, at.index),
        is_inverse=is_inverse,
        is_spot=terms.is_spot,
    )
    net = np.where(is_inverse, inverse.net(coins, 0.0, forward=forward, index=at.index, share=share), coins)
    known = {
        "charm": inverse.future_charm(coins, time_to_expiry=at.time_to_expiry, share=share),
        "price": is_alive * size * np.where(is_inverse, 1.0, forward),
        "value_usd": np.where(terms.is_spot, size * at.index, 0.0),
        "delta": coins,
        "delta_usd": coins,
        "delta_net": net,
        "pnl_usd": usd,
        "pnl_coin": profit,
    }
    return {name: known[name] if name in known else np.zeros(forward.shape) for name in names}


def options(terms: Terms, names: Sequence[str], at: Moved) -> dict[str, Cube]:
    """Quantities of options, within the settlement window to the index, of which the forward follows a share.

    `at.index` is that of each row.
    """
    inputs: dict[str, Any] = {
        "forward": at.forward,
        "strike": terms.strike,
        "volatility": at.volatility,
        "time_to_expiry": at.time_to_expiry,
        "is_call": terms.is_call,
    }
    asked = tuple(QUANTITIES.keys() & {*names, "price", "delta"})
    is_alive = at.time_to_expiry > 0.0
    share = settlement.floating_share(at.time_to_expiry, window=terms.window)
    is_fading = is_alive & (share < 1.0)
    found = compute(asked, **inputs)
    if np.any(is_fading):
        fading = settlement.fading(asked, **inputs, index=at.index, window=terms.window)
        found = {name: np.where(is_fading, fading[name], found[name]) for name in asked}
    price = terms.size * found["price"]
    known = {name: is_alive * (terms.size * values) for name, values in found.items()}
    coins = np.where(terms.is_inverse, price / at.forward, 0.0)
    usd = np.where(terms.is_inverse, coins * at.index, price)
    net = inverse.net(known["delta"], coins, forward=at.forward, index=at.index, share=share)
    known |= {
        "price": price,
        "value_usd": usd,
        "value_coin": coins,
        "delta_usd": known["delta"],
        "delta_net": np.where(terms.is_inverse, is_alive * net, known["delta"]),
        "pnl_usd": usd - terms.start_usd,
        "pnl_coin": coins - terms.start_coin,
    }
    return {name: known[name] for name in names}
