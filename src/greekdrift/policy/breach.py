"""The priced distance of every banded quantity from its target, now and in each scenario, as hinges of the programme.

A banded quantity is linear in the contracts held, with coefficients that depend on the scenario: v = a + B (w + x).
So the loss of any trade is exact: each row was repriced once per scenario, no Greek is extended by a Taylor series.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.book import Account, Band, Chain, Mandate, View
from greekdrift.greeks.bands import band_offsets, band_quantity, band_selection
from greekdrift.greeks.exposure import line_quantities
from greekdrift.policy.band import Target
from greekdrift.policy.candidates import Universe
from greekdrift.policy.solver import Hinges
from greekdrift.surface.collateral import NEEDED, collateral_cube
from greekdrift.surface.revalue import Revaluation

Matrix = Float[ndarray, "band row"]


def quantities(mandate: Mandate) -> tuple[str, ...]:
    """Names of line quantities that the bands of a mandate are made of, in scenarios.

    A collateral delta is made of net deltas and, for the coin equity, of the coin profit.
    """
    names = {band_quantity(band) for band in mandate.bands}
    if "delta_collateral" in names:
        names = names - {"delta_collateral"} | {*NEEDED}
    return tuple(sorted(names))


def now_matrix(chain: Chain, mandate: Mandate, rows: Int[ndarray, " row"]) -> Matrix:
    """Change of each band value per contract traded at the mark.

    An inverse option is paid for in the coin, so that a trade leaves the coin equity as it was: in the collateral
    view, too, it counts with its own delta alone.
    """
    _, share = band_selection(chain, mandate)
    line = line_quantities(chain, sorted({band_quantity(band) for band in mandate.bands}), rows)
    return share[:, rows] * columns(mandate, line, rows.size)


def now_values(chain: Chain, account: Account, universe: Universe, matrix: Matrix) -> Float[ndarray, " band"]:
    """Value of each band at the account before the trade."""
    start: ndarray = band_offsets(chain, account) + matrix @ universe.held
    return start


def now_hinges(targets: Sequence[Target], values: Float[ndarray, " band"], matrix: Matrix, *, hours: float) -> Hinges:
    """Distance of today's Greeks from their targets, each priced for some hours."""
    return Hinges(
        slope=matrix,
        start=values,
        floor=np.array([target.lower for target in targets]),
        ceiling=np.array([target.upper for target in targets]),
        price=hours * np.array([target.price for target in targets]),
    )


def scenario_hinges(
    chain: Chain,
    account: Account,
    mandate: Mandate,
    targets: Sequence[Target],
    universe: Universe,
    revaluation: Revaluation,
    *,
    hours: float,
    scenarios: Int[ndarray, " scenario"],
    weights: Float[ndarray, " scenario"],
) -> Hinges:
    """Mean distance over some scenarios and all horizons, priced for some hours; `weights` sum to 1.

    Tenor buckets and the fading of gamma follow each row's own clock: at a horizon a row belongs to the bucket of
    the time that it has left then.
    """
    at = np.searchsorted(revaluation.rows, universe.rows)
    offset = band_offsets(chain, account)
    floor, ceiling = (np.array([getattr(target, side) for target in targets]) for side in ("lower", "upper"))
    price = hours / revaluation.horizons.size * np.array([target.price for target in targets])
    cubes = _cubes(chain, mandate, revaluation, at, scenarios)
    count, bands, rows = scenarios.size, len(cubes), universe.rows.size
    left = np.full(len(chain), np.inf)
    parts = []
    for horizon in range(revaluation.horizons.size):
        left[universe.rows] = revaluation.time_to_expiry[horizon, at]
        _, share = band_selection(chain, mandate, time_to_expiry=left)
        slope = np.empty((count, bands, rows))
        for number, cube in enumerate(cubes):
            slope[:, number] = cube[:, horizon] * share[number, universe.rows]
        start = offset + slope @ universe.held
        parts.append(
            Hinges(
                slope=slope.reshape(count * bands, rows),
                start=start.reshape(-1),
                floor=np.tile(floor, count),
                ceiling=np.tile(ceiling, count),
                price=np.outer(weights, price).reshape(-1),
            )
        )
    return Hinges.together(parts)


def _cubes(
    chain: Chain,
    mandate: Mandate,
    revaluation: Revaluation,
    at: Int[ndarray, " row"],
    scenarios: Int[ndarray, " scenario"],
) -> list[Float[ndarray, "scenario horizon row"]]:
    """Per contract of some rows, what each band sums in some scenarios."""
    found = {}
    for band in mandate.bands:
        name = band_quantity(band)
        if name not in found:
            cube = collateral_cube(chain, revaluation) if is_collateral(band) else revaluation.cube(name)
            found[name] = cube[scenarios][..., at]
    return [found[band_quantity(band)] for band in mandate.bands]


def columns(mandate: Mandate, line: Mapping[str, ndarray], size: int) -> Matrix:
    """The quantity that each band sums, per contract of each row."""
    return np.array([line[band_quantity(band)] for band in mandate.bands]).reshape(len(mandate.bands), size)


def is_collateral(band: Band) -> bool:
    """True for the delta that counts the coin equity."""
    return band.greek == "delta" and band.view is View.COLLATERAL
