"""What really happened to the reference books after an origin, from the chains of origin and targets."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.book import Account, Chain
from greekdrift.evaluate.settings import QUANTITIES
from greekdrift.features.books import reference_books
from greekdrift.features.panel import Panel
from greekdrift.features.target import realised_drift
from greekdrift.greeks.exposure import weights
from greekdrift.market.source import Source
from greekdrift.units import from_datetime64

KEPT_CHAINS = 24


class Chains:
    """Chains of a source by row of its panel; the last few are kept, so that a walk reads each once."""

    def __init__(self, source: Source, panel: Panel) -> None:
        self._source = source
        self._as_of = panel.as_of
        self._kept: OrderedDict[int, Chain] = OrderedDict()

    def at(self, row: int) -> Chain:
        """The chain of a row."""
        if row not in self._kept:
            self._kept[row] = self._source.chain(from_datetime64(self._as_of[row]))
            if len(self._kept) > KEPT_CHAINS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(row)
        return self._kept[row]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Origin:
    """The reference books of one snapshot and their realised drifts.

    `place` says which of the evaluation's books each account is; `rows` are the chain rows held and `contracts` the
    signed numbers of each. `drift` spans the whole grid and all books, NaN where unknown.
    """

    row: int
    chain: Chain
    accounts: tuple[Account, ...]
    place: Int[ndarray, " account"]
    rows: Int[ndarray, " held"]
    contracts: Float[ndarray, "account held"]
    drift: Float[ndarray, "horizon book quantity"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """Realised drifts of the reference books by row of a panel, over the whole grid; NaN where unknown."""

    drift: Float[ndarray, "row horizon book quantity"]


def origin_at(
    row: int,
    targets: Int[ndarray, " horizon"],
    *,
    chains: Chains,
    books: Sequence[str],
    seed: int,
    drift: Float[ndarray, "horizon book quantity"] | None = None,
) -> Origin:
    """The origin of a panel row whose targets are these rows (−1: none); a drift that is known is not made again."""
    chain = chains.at(row)
    known = {name: at for at, name in enumerate(books)}
    accounts = tuple(account for account in reference_books(chain, seed=seed) if account.account_id in known)
    held = weights(chain, accounts)
    rows = np.flatnonzero(np.any(held != 0.0, axis=0))
    place = np.array([known[account.account_id] for account in accounts], dtype=np.int64)
    if drift is None:
        drift = np.full((len(targets), len(books), len(QUANTITIES)), np.nan)
        for at, target in enumerate(targets):
            if target >= 0:
                found = realised_drift(chain, chains.at(int(target)), accounts, QUANTITIES)
                drift[at, place] = np.stack([found[name] for name in QUANTITIES], axis=-1)
    return Origin(row=row, chain=chain, accounts=accounts, place=place, rows=rows, contracts=held[:, rows], drift=drift)


def climatology(drifts: Float[ndarray, "origin *cell"]) -> Float[ndarray, "*cell"]:
    """Mean CRPS of the drifts' own sample as a forecast of each of them: ½ E|X − X′|; NaN under two drifts.

    For a normal drift it is 0.56 standard deviations.

    >>> climatology(np.array([[0.0], [2.0], [np.nan]]))
    array([1.])
    """
    flat = drifts.reshape(len(drifts), -1)
    scale = np.full(flat.shape[1], np.nan)
    for at in range(flat.shape[1]):
        values = np.sort(flat[np.isfinite(flat[:, at]), at])
        n = len(values)
        if n >= 2:
            scale[at] = (2.0 * np.arange(1, n + 1) - n - 1.0) @ values / (n * (n - 1.0))
    return scale.reshape(drifts.shape[1:])
