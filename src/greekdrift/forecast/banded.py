"""Bands in scenarios: which share of each contract a band counts at each horizon, and the band's value there.

A contract moves through tenor buckets and gamma fades as its life runs out, so that the shares hang on the horizon
alone and not on the scenario. A collateral delta counts the coin equity, which moves with the coin profit.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.book import Account, Band, Chain, Mandate, View
from greekdrift.greeks.bands import band_offsets, band_quantity, band_selection
from greekdrift.surface.collateral import collateral_cube, collateral_now
from greekdrift.surface.revalue import Revaluation

Shares = Float[ndarray, "instant row"]
Key = tuple[object, ...]


def is_collateral(band: Band) -> bool:
    """Whether a band is of d(equity in USD)/dS, which is no sum of what contracts have at the horizon alone."""
    return band.greek == "delta" and band.view is View.COLLATERAL


def key_of(band: Band, mandate: Mandate) -> Key:
    """What the shares of a band hang on: two bands with the same key count the same share of every contract."""
    return band.greek == "gamma" and mandate.gamma_fade_days, band.underlying, band.tenor_days


def shares(
    chain: Chain,
    band: Band,
    mandate: Mandate,
    *,
    rows: Int[ndarray, " row"],
    time_to_expiry: Float[ndarray, "horizon row"],
) -> Shares:
    """Share of some chain rows that enters a band now (first) and at each horizon, with so many years left then."""
    alone = replace(mandate, bands=(band,))
    found = [band_selection(chain, alone)[1][0, rows]]
    for left in time_to_expiry:
        later = np.full(len(chain), np.inf)
        later[rows] = left
        found.append(band_selection(chain, alone, time_to_expiry=later)[1][0, rows])
    return np.array(found)


def band_paths(
    chain: Chain, account: Account, revaluation: Revaluation, mine: Float[ndarray, " row"]
) -> Mapping[str, tuple[Float[ndarray, "scenario horizon"], float]]:
    """Value of each band of an account in every scenario, and now, from contracts of the rows revalued; by label."""
    mandate = account.mandate
    if mandate is None or not mandate.bands:
        return {}
    band_selection(chain, mandate)
    offsets, values = band_offsets(chain, account), {}
    for offset, band in zip(offsets, mandate.bands, strict=True):
        share = shares(chain, band, mandate, rows=revaluation.rows, time_to_expiry=revaluation.time_to_expiry)
        cube, now = line(chain, revaluation, band)
        moved = offset + np.einsum("shr,hr->sh", cube, share[1:] * mine)
        values[band.label] = (moved, float(offset + (share[0] * now) @ mine))
    return values


def line(
    chain: Chain, revaluation: Revaluation, band: Band
) -> tuple[Float[ndarray, "scenario horizon row"], Float[ndarray, " row"]]:
    """What one contract of each row adds to a band's quantity in every scenario, and now."""
    if is_collateral(band):
        return collateral_cube(chain, revaluation), collateral_now(chain, revaluation)
    name = band_quantity(band)
    return revaluation.cube(name), revaluation.now[name]
