"""The collateral delta of contracts under scenarios, from a revaluation: how d(equity in USD)/dS moves per contract."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Chain
from greekdrift.greeks.exposure import own_parts
from greekdrift.surface.revalue import Revaluation

NEEDED = ("delta_net", "pnl_coin")
"""Names that a revaluation must hold for it."""


def collateral_cube(chain: Chain, revaluation: Revaluation) -> Float[ndarray, "scenario horizon row"]:
    """Collateral delta per contract, in coins, less what the contract adds to the coin equity of now.

    own part of the net delta (times F′/S′ where the contract is linear) + coin profit since now

    With the coin equity of now (`greeks.exposure.coin_equity`) the sum over a book is its d(equity in USD)/dS.
    """
    own = own_parts(
        chain,
        revaluation.cube("delta_net"),
        rows=revaluation.rows,
        forward=revaluation.forward,
        index=revaluation.index[..., _columns(chain, revaluation)],
        time_to_expiry=revaluation.time_to_expiry,
    )
    return own + revaluation.cube("pnl_coin")


def collateral_now(chain: Chain, revaluation: Revaluation) -> Float[ndarray, " row"]:
    """The same now: the own part of each contract's net delta."""
    rows = revaluation.rows
    return own_parts(
        chain,
        revaluation.now["delta_net"],
        rows=rows,
        forward=chain.forward[rows],
        index=chain.index[rows],
        time_to_expiry=chain.time_to_expiry[rows],
    )


def _columns(chain: Chain, revaluation: Revaluation) -> ndarray:
    place = {name: at for at, name in enumerate(revaluation.underlyings)}
    return np.array([place[str(name)] for name in chain.underlying[revaluation.rows]], dtype=np.int64)
