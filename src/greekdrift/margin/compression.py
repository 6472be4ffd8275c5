"""Compression of a network of trades: the same net positions with least gross notional, as a linear programme.

With w_ij ≥ 0 the contracts of an instrument that i is long against j,

    minimise Σ w′_ij     subject to     Σ_j w′_ij − Σ_j w′_ji = Σ_j w_ij − Σ_j w_ji   for every i

and 0 ≤ w′ ≤ w where it is conservative (no trade grows and none is new), w′ ≥ 0 where it is not. Each instrument is a
programme of its own; its corners are whole numbers where the trades are. Source: D'Errico & Roukny (2021), Compressing
over-the-counter markets. Solved by HiGHS.
"""

from collections.abc import Collection, Sequence

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.optimize import linprog
from scipy.sparse import coo_array

from greekdrift.errors import BookError, CalculationError

Gross = Float[ndarray, "instrument participant participant"]
Nets = Float[ndarray, "instrument participant"]


def nets(gross: Gross) -> Nets:
    """Net contracts of each participant in each instrument.

    >>> nets(np.array([[[0.0, 5.0], [3.0, 0.0]]]))
    array([[ 2., -2.]])
    """
    return gross.sum(axis=2) - gross.sum(axis=1)


def compressed(
    gross: Gross, *, is_conservative: bool = True, fixed: Bool[ndarray, " participant"] | None = None
) -> Gross:
    """The network of least gross contracts with the same nets; trades of `fixed` participants stay as they are.

    A ring of three owes itself nothing:

    >>> ring = np.array([[[0.0, 4.0, 0.0], [0.0, 0.0, 4.0], [5.0, 0.0, 0.0]]])
    >>> compressed(ring)
    array([[[0., 0., 0.],
            [0., 0., 0.],
            [1., 0., 0.]]])
    """
    _refuse_unless_trades(gross)
    stays = np.zeros(gross.shape[1], dtype=np.bool_) if fixed is None else fixed
    return np.stack([_one(network, is_conservative, stays) for network in gross]) if len(gross) else gross.copy()


def network_of(
    trades: Sequence[tuple[str, str, str, float]], participants: Sequence[str], instruments: Sequence[str]
) -> Gross:
    """Gross contracts from trades (buyer, seller, instrument, quantity); quantities are positive."""
    found = np.zeros((len(instruments), len(participants), len(participants)))
    place = {name: at for at, name in enumerate(participants)}
    row = {name: at for at, name in enumerate(instruments)}
    for number, (buyer, seller, instrument, quantity) in enumerate(trades, start=1):
        if buyer == seller:
            raise BookError(f"trade {number}: {buyer} trades {instrument} with itself; name two participants.")
        if not (np.isfinite(quantity) and quantity > 0.0):
            raise BookError(f"trade {number}: quantity {quantity} of {instrument} must be a positive number.")
        found[row[instrument], place[buyer], place[seller]] += quantity
    return found


def _one(network: Float[ndarray, "participant participant"], is_conservative: bool, stays: ndarray) -> ndarray:
    count = len(network)
    off = ~np.eye(count, dtype=np.bool_)
    buyer, seller = np.nonzero(off & (network > 0.0) if is_conservative else off)
    if buyer.size == 0:
        return network.copy()
    held = network[buyer, seller]
    is_kept = stays[buyer] | stays[seller]
    lower = np.where(is_kept, held, 0.0)
    upper = np.where(is_kept | is_conservative, held, np.inf)
    column = np.arange(buyer.size)
    balance = coo_array(
        (np.r_[np.ones(buyer.size), -np.ones(buyer.size)], (np.r_[buyer, seller], np.r_[column, column])),
        shape=(count, buyer.size),
    )
    wanted = network.sum(axis=1) - network.sum(axis=0)
    found = linprog(
        np.ones(buyer.size),
        A_eq=balance.tocsr(),
        b_eq=wanted,
        bounds=np.column_stack([lower, upper]),
        method="highs-ds",
    )
    if found.status != 0:
        raise CalculationError(f"the compression of {buyer.size} trades was not solved: {found.message}")
    made = np.zeros_like(network)
    made[buyer, seller] = np.clip(found.x, lower, upper)
    apart = float(np.abs(made.sum(axis=1) - made.sum(axis=0) - wanted).max())
    if apart > 1e-7 * (1.0 + float(network.max())):
        raise CalculationError(f"the compression moved a net position by {apart:g} contracts; the trades stay.")
    return made


def _refuse_unless_trades(gross: Gross) -> None:
    if not (np.all(np.isfinite(gross)) and np.all(gross >= 0.0)):
        raise BookError("gross positions must be numbers of at least 0; a short is the long of the other side.")
    if np.any(np.diagonal(gross, axis1=1, axis2=2) != 0.0):
        raise BookError("a participant is long against itself; drop the trade.")


def fixed_of(participants: Sequence[str], names: Collection[str]) -> Bool[ndarray, " participant"]:
    """A mask of named participants."""
    return np.array([name in names for name in participants], dtype=np.bool_)
