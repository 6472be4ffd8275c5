"""The quotes of one expiry that a slice is fitted to, and what each of them weighs."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from greekdrift.book import Chain
from greekdrift.greeks import compute
from greekdrift.surface.arbitrage import RANGE
from greekdrift.surface.slices import SHORTEST

Quotes = Float[ndarray, " quote"]
Rows = Int[ndarray, " row"]

LEAST_SPREAD = 0.05
"""Added to every spread (per 1.00 of volatility), so that a tick-wide quote does not outweigh all others."""
WIDEST_SPREAD = 1.0
ENOUGH = 10
"""With fewer two-sided quotes than this, marks without them help out at the weight of the widest spread."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Smile:
    """Log-moneyness, marked volatility and weight of the quotes used, sorted by log-moneyness.

    `weight` multiplies an error of volatility before it is squared; weights are scaled so that their squares sum to 1.
    `n_two_sided` of them have both a bid and an ask.
    """

    log_moneyness: Quotes
    volatility: Quotes
    weight: Quotes
    n_two_sided: int

    def at_the_money(self) -> float:
        """Marked volatility at the forward, linear between the nearest quotes and flat outside."""
        return float(np.interp(0.0, self.log_moneyness, self.volatility))


def select(chain: Chain, rows: Rows) -> Smile:
    """The quotes of one expiry that count: out of the money, two-sided where there are enough of those.

    A row is used for its `mark_iv` where it is out of the money (or the only row of its strike), lies within ±5
    deviations, has a bid above zero, an ask not below it, and its mark within one spread of them. Its weight is
    1/√(spread + 0.05), the spread in volatility, (ask − bid)/vega: vega and spread in one figure. Where fewer than ten
    rows qualify, marks without good quotes are added with the weight of a spread of 1.00; without any two-sided
    quote all weigh √(0.05 + vega/largest vega).
    """
    at = rows[_one_side(chain, rows)]
    k = np.log(chain.strike[at] / chain.forward[at])
    order = np.argsort(k, kind="stable")
    at, k = at[order], k[order]
    tau = max(float(chain.time_to_expiry[at[0]]), SHORTEST)
    marked = chain.mark_iv[at]
    vega = compute(
        ["vega"],
        forward=chain.forward[at],
        strike=chain.strike[at],
        volatility=marked,
        time_to_expiry=tau,
        is_call=chain.is_call[at],
    )["vega"]
    is_near = np.abs(k) <= RANGE * float(np.interp(0.0, k, marked)) * sqrt(tau)
    is_good = is_near & two_sided(chain, at)
    n_good = int(np.sum(is_good))
    is_used = is_good if n_good >= ENOUGH else is_near
    if not np.any(is_used):
        is_used = np.ones_like(is_good)
    spread = np.where(is_good, chain.ask[at] - chain.bid[at], 0.0) * np.where(
        chain.is_inverse[at], chain.forward[at], 1.0
    )
    width = np.full_like(k, WIDEST_SPREAD)
    np.divide(spread, vega, out=width, where=is_good & (vega * WIDEST_SPREAD > spread))
    weight = 1.0 / np.sqrt(width + LEAST_SPREAD)
    if n_good == 0:
        weight = np.sqrt(0.05 + vega / max(float(vega.max()), 1e-300))
    weight = weight[is_used]
    return Smile(
        log_moneyness=k[is_used],
        volatility=marked[is_used],
        weight=weight / sqrt(float(np.sum(weight**2))),
        n_two_sided=n_good,
    )


def two_sided(chain: Chain, rows: Rows) -> Bool[ndarray, " row"]:
    """Whether a row has a bid above zero, an ask not below it, and a mark within one spread of them.

    A missing, one-sided or crossed quote is not two-sided.
    """
    bid, ask, mark = chain.bid[rows], chain.ask[rows], chain.mark[rows]
    is_quoted = (bid > 0.0) & (ask >= bid)
    spread = np.where(is_quoted, ask - bid, 0.0)
    is_near = (mark >= np.where(is_quoted, bid, 0.0) - spread) & (mark <= np.where(is_quoted, ask, 0.0) + spread)
    return is_quoted & is_near


def _one_side(chain: Chain, rows: Rows) -> Bool[ndarray, " row"]:
    is_out = chain.is_call[rows] == (chain.strike[rows] >= chain.forward[rows])
    covered = np.unique(chain.strike[rows[is_out]])
    return is_out | ~np.isin(chain.strike[rows], covered)
