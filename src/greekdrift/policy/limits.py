"""What a trade may not do: the hard rows of the programme, so that what is proposed can pass the judge.

No banded Greek may end further outside its band than it is, now or in a stressed state of the rule set; the cost
stays within the mandate; no currency is overdrawn by the trade. The margin after is held by cuts: value and slope
of the exact engine at a trade, again and again until the exact engine agrees.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Account, Band, Chain, Kind, Mandate
from greekdrift.policy.candidates import Universe
from greekdrift.policy.solver import Limits

Matrix = Float[ndarray, "band row"]
Values = Float[ndarray, " band"]

CLEARANCE = 1e-7
"""Share of a band's width that a proposal stays clear of its edge, against the rounding of two calculators."""


def no_further_outside(bands: Sequence[Band], values: Values, matrix: Matrix) -> Limits:
    """Rows that keep each band value inside, or no further outside than it is."""
    lower, upper = np.array([band.lower for band in bands]), np.array([band.upper for band in bands])
    clear = CLEARANCE * (upper - lower)
    above = np.maximum(upper - clear, values) - values
    below = values - np.minimum(lower + clear, values)
    return Limits.signed(np.concatenate([matrix, -matrix]), np.concatenate([above, below]))


def cost_limit(universe: Universe, mandate: Mandate) -> Limits:
    """Fees and the distance of the limits from the marks, together within the mandate."""
    costs = universe.costs
    return Limits(
        bought=np.nan_to_num(costs.buy_cost)[None],
        sold=np.nan_to_num(costs.sell_cost)[None],
        bound=np.array([mandate.max_cost_usd]),
    )


def cash_limits(chain: Chain, account: Account, universe: Universe) -> Limits:
    """No currency below zero by the trade; one that is below already may not fall."""
    rows, costs = universe.rows, universe.costs
    index, size = chain.index[rows], chain.contract_size[rows]
    instruments = [chain.instruments[row] for row in rows]
    is_paid = np.array([one.kind in (Kind.OPTION, Kind.SPOT) for one in instruments])
    in_coin = np.array([one.is_inverse for one in instruments])
    per_fee = np.where(in_coin, 1.0 / index, 1.0)
    buys = np.nan_to_num(is_paid * size * costs.buy_limit + costs.buy_fee * per_fee)
    sells = np.nan_to_num(costs.sell_fee * per_fee - is_paid * size * costs.sell_limit)
    currencies = sorted({one.currency for one in instruments})
    paid_in = np.array([[one.currency == name for one in instruments] for name in currencies])
    paid_in = paid_in.reshape(len(currencies), rows.size)
    held = np.array([account.collateral.get(name, 0.0) for name in currencies])
    return Limits(bought=paid_in * buys, sold=paid_in * sells, bound=np.maximum(held, 0.0))
