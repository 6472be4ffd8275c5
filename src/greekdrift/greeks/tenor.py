"""A quantity of accounts by underlying and time to expiry: vega of one tenor does not hedge that of another."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Account, Chain
from greekdrift.errors import InputError
from greekdrift.greeks.exposure import line_quantities, weights
from greekdrift.units import days

EDGES = (0.0, 7.0, 30.0, 90.0, 180.0, float("inf"))
"""Days that bound the buckets, the first of each included."""


def by_tenor(
    chain: Chain, accounts: Sequence[Account], name: str = "vega", *, edges: Sequence[float] = EDGES
) -> Float[ndarray, "account underlying bucket"]:
    """Sums of a quantity over the options that expire in [from, to) days, by account and underlying of the chain.

    The buckets add up to the account's quantity where the edges reach from 0 to infinity.
    """
    bounds = [float(edge) for edge in edges]
    if len(bounds) < 2 or not all(low < high for low, high in pairwise(bounds)):
        raise InputError(f"tenor edges {list(edges)} do not increase; give days like 0, 30, 90, inf.")
    held = weights(chain, accounts)
    rows = np.flatnonzero(np.any(held != 0.0, axis=0) & chain.is_option)
    line = line_quantities(chain, (name,), rows)[name]
    life = days(chain.time_to_expiry[rows])
    found = np.zeros((len(accounts), len(chain.underlyings), len(bounds) - 1))
    for at, underlying in enumerate(chain.underlyings):
        for bucket, (low, high) in enumerate(pairwise(bounds)):
            belongs = (chain.underlying[rows] == underlying) & (life >= low) & (life < high)
            found[:, at, bucket] = held[:, rows] @ (line * belongs)
    return found


def labels(edges: Sequence[float] = EDGES) -> tuple[str, ...]:
    """Names of the buckets.

    >>> labels((0.0, 7.0, float("inf")))
    ('0-7d', '7d+')
    """
    return tuple(f"{low:g}d+" if np.isinf(high) else f"{low:g}-{high:g}d" for low, high in pairwise(edges))
