"""Doubt about prices in the net-portfolio form: what a chain's feeds cost, vectorised. Model: `book.rules`.

Of each leg with confidence c, the least of what prices it, below the threshold: (1 − c) charge × its notional at the
index. An expiry is priced by the spot, its forward, rate and volatility, and by the perpetuals that are held beside.
A chain without feeds has the venue's own prices: no doubt, and dollars.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Chain
from greekdrift.book.feeds import OF_EXPIRY, expiry_name
from greekdrift.book.rules import NetPortfolioParameters
from greekdrift.margin.lines import Lines, Moved, Weights

PerAccount = Float[ndarray, "state account"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trust:
    """Confidence in the legs of one underlying, and the price of the stablecoin."""

    spot: float
    linears: Float[ndarray, " linear"]
    expiries: Float[ndarray, " expiry"]
    stable_price: float

    @property
    def is_full(self) -> bool:
        """Whether nothing is in doubt."""
        return min(self.spot, self.linears.min(initial=1.0), self.expiries.min(initial=1.0)) >= 1.0


def trust_of(chain: Chain, rows: ndarray, line: Lines) -> Trust:
    """The trust in the legs of some rows of a chain; a feed that is missing is refused."""
    feeds = chain.feeds
    if feeds is None:
        return Trust(
            spot=1.0, linears=np.ones(len(line.linears)), expiries=np.ones(len(line.first_of_expiry)), stable_price=1.0
        )
    names = [chain.instruments[int(row)].name for row in rows]
    linears = [feeds.confidence_in(names[place]) for place in line.linears]
    firsts = [expiry_name(names[line.options[first]]) for first in line.first_of_expiry]
    return Trust(
        spot=feeds.confidence_in(line.underlying),
        linears=np.array(linears, dtype=float),
        expiries=np.array(
            [min(feeds.confidence_in(f"{one} {part}") for part in OF_EXPIRY) for one in firsts], dtype=float
        ),
        stable_price=1.0 if feeds.stable_price is None else feeds.stable_price,
    )


def doubt_usd(
    trust: Trust, line: Lines, moved: Moved, weights: Weights, value: PerAccount, p: NetPortfolioParameters
) -> PerAccount:
    """Charge for legs of doubtful prices, of each account in each state; `value` is that of its coins."""
    if trust.is_full:
        return np.zeros_like(value)
    of_linears, of_options, of_coin = _shares(trust, line, weights, p)
    coins = np.abs(line.linear_units(moved)[1])
    linear = coins @ (of_linears * np.abs(weights[:, line.linears])).T
    options = np.sum(of_options * np.abs(weights[:, line.options] * line.option_size), axis=1)
    found: PerAccount = moved.index[:, None] * (linear + options) + of_coin * np.abs(value)
    return found


def doubt_slopes(
    trust: Trust, line: Lines, moved: Moved, quantities: Weights, p: NetPortfolioParameters
) -> tuple[Float[ndarray, " option"], Float[ndarray, " linear"], float]:
    """Change of one account's charge per coin of each option, per contract of each linear row and per USD of coin."""
    of_linears, of_options, of_coin = _shares(trust, line, quantities, p)
    spot, coins = float(moved.index[0]), np.abs(line.linear_units(moved)[1][0])
    options = spot * of_options[0] * np.sign(quantities[0, line.options])
    return options, spot * coins * of_linears[0] * np.sign(quantities[0, line.linears]), of_coin


def _shares(
    trust: Trust, line: Lines, weights: Weights, p: NetPortfolioParameters
) -> tuple[Float[ndarray, "account linear"], Float[ndarray, "account option"], float]:
    """Charge per USD of notional of each leg, by account, and of coin collateral."""
    threshold, charge = p.contingency.confidence_threshold, p.contingency.confidence_charge
    linears = np.minimum(trust.linears, trust.spot)
    held = np.where(weights[:, line.linears] != 0.0, trust.linears, 1.0)
    least = held.min(axis=1, initial=1.0)
    expiries = np.minimum(np.minimum(trust.expiries, trust.spot), least[:, None])
    of_expiries = np.where(expiries < threshold, (1.0 - expiries) * charge, 0.0)
    of_linears = np.where(linears < threshold, (1.0 - linears) * charge, 0.0)
    of_coin = 0.0
    if trust.spot < 1.0:
        of_coin = (1.0 - trust.spot) * charge if trust.spot < p.terms_of(line.underlying).confidence_threshold else 0.0
    return np.broadcast_to(of_linears, held.shape), of_expiries[:, line.expiry_of], of_coin
