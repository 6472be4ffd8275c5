"""What a book is like, free of its size: for conditioning forecasts and for tables by kind of book."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Account, Chain
from greekdrift.features.realised import ratio
from greekdrift.greeks.exposure import line_quantities, weights
from greekdrift.units import DAYS_PER_YEAR, days

NEAR_DAYS = 7.0
EXPOSURES = ("delta", "gamma_per_percent", "vega_per_point", "theta_per_day", "near_gamma_share", "long_share")


def exposures(chain: Chain, accounts: Sequence[Account]) -> Float[ndarray, "account exposure"]:
    """`EXPOSURES` of each account, per coin of the gross number of coins under option.

    delta: net, coins a coin; gamma_per_percent: its change for a 1 % move; vega_per_point and theta_per_day:
    share of the notional a point and a day; near_gamma_share: |gamma| under 7 days over all |gamma|;
    long_share: coins under long options over gross. NaN for a book without options.
    Timing: known with the chain.
    """
    held = weights(chain, accounts)
    rows = np.flatnonzero(np.any(held != 0.0, axis=0))
    contracts = held[:, rows]
    line = line_quantities(chain, ("delta_net", "gamma", "vega", "theta"), rows)
    forward, size = chain.forward[rows], chain.contract_size[rows] * chain.is_option[rows]
    gross = np.abs(contracts) @ size
    notional = np.abs(contracts) @ (size * forward)
    gamma = np.abs(contracts) @ line["gamma"]
    near = np.abs(contracts) @ (line["gamma"] * (days(chain.time_to_expiry[rows]) < NEAR_DAYS))
    columns = (
        ratio(contracts @ line["delta_net"], gross),
        ratio(contracts @ (line["gamma"] * 0.01 * forward), gross),
        ratio(contracts @ line["vega"] / 100.0, notional),
        ratio(contracts @ line["theta"] / DAYS_PER_YEAR, notional),
        ratio(near, gamma),
        ratio(np.maximum(contracts, 0.0) @ size, gross),
    )
    return np.stack(columns, axis=1)
