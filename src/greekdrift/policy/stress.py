"""The banded Greeks in the rule set's stressed states, linear in the trade, and the judge's rule on them as rows.

The rule (see `margin.stress`): with W the largest distance outside the band over the states and c = |v − m| the
distance of today's value from the band's centre,

    W_after ≤ W_before + max(0, c_before − c_after) + tolerance

is a union of two convex sets. For a Greek that the trade is to bring back, v_k + |v − m| ≤ U + W + c is kept (two rows
a state and side); for the others v_k ≤ U + W. The exact rule has the last word. Without states nothing is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from greekdrift.book import Account, Band, Chain, Mandate
from greekdrift.book.rules import RuleSet
from greekdrift.greeks.bands import band_offsets, band_quantity, band_selection
from greekdrift.greeks.exposure import line_quantities
from greekdrift.margin.stress import STRESS_TOLERANCE, stressed_chains
from greekdrift.policy.band import Target
from greekdrift.policy.breach import columns, is_collateral
from greekdrift.policy.candidates import Universe
from greekdrift.policy.solver import Limits

Bands = Float[ndarray, " band"]
KEPT_CLEAR = 0.1
"""Share of the judge's tolerance that a proposal leaves unused, against the rounding of two calculators."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stressed:
    """Band values of an account in each stressed state before a trade, and their change per contract traded."""

    lower: Bands
    upper: Bands
    now: Bands
    now_slope: Float[ndarray, "band row"]
    start: Float[ndarray, "state band"]
    slope: Float[ndarray, "state band row"]
    is_answered: Bool[ndarray, " band"]

    @property
    def slack(self) -> Bands:
        """What a stressed distance may grow for nothing."""
        clear: Bands = (1.0 - KEPT_CLEAR) * STRESS_TOLERANCE * (self.upper - self.lower)
        return clear

    def worst(self, trade: Float[ndarray, " row"]) -> Bands:
        """Largest distance outside each band over the states, after a trade."""
        value = self.start + self.slope @ trade
        outside: Bands = np.maximum(np.maximum(self.lower - value, value - self.upper), 0.0).max(axis=0, initial=0.0)
        return outside

    def is_broken(self, trade: Float[ndarray, " row"]) -> Bool[ndarray, " band"]:
        """Which bands a trade makes worse under stress than the rule allows."""
        nothing = np.zeros_like(trade)
        gained = np.maximum(self._off_centre(nothing) - self._off_centre(trade), 0.0)
        broken: Bool[ndarray, " band"] = self.worst(trade) > self.worst(nothing) + gained + self.slack
        return broken if np.any(trade) else np.zeros_like(broken)

    def limits(self, bands: Bool[ndarray, " band"]) -> Limits:
        """Rows that keep some bands to the rule in every state."""
        nothing = np.zeros(self.slope.shape[2])
        room = self.worst(nothing) + self.slack
        centre = 0.5 * (self.lower + self.upper)
        matrix, bound = [], []
        for band in np.flatnonzero(bands):
            slope, start = self.slope[:, band], self.start[:, band]
            signs = (1.0, -1.0) if self.is_answered[band] else (0.0,)
            extra = abs(self.now[band] - centre[band]) if self.is_answered[band] else 0.0
            for sign in signs:
                beside = sign * self.now_slope[band]
                off = sign * (self.now[band] - centre[band])
                matrix += [slope + beside, beside - slope]
                bound += [
                    self.upper[band] + room[band] + extra - off - start,
                    start - self.lower[band] + room[band] + extra - off,
                ]
        return Limits.signed(np.concatenate(matrix), np.maximum(np.concatenate(bound), 0.0))

    def _off_centre(self, trade: Float[ndarray, " row"]) -> Bands:
        off: Bands = np.abs(self.now + self.now_slope @ trade - 0.5 * (self.lower + self.upper))
        return off


def stressed(
    chain: Chain,
    account: Account,
    mandate: Mandate,
    rules: RuleSet,
    universe: Universe,
    *,
    targets: Sequence[Target],
    now: Bands,
    now_slope: Float[ndarray, "band row"],
) -> Stressed:
    """The stressed band values of an account; a band counts as answered where its value is outside its target."""
    rows = universe.rows
    slope = _slopes(chain, mandate, rules, rows) if rows.size else np.zeros((1, len(mandate.bands), 0))
    start = band_offsets(chain, account) + slope @ universe.held
    return Stressed(
        lower=np.array([band.lower for band in mandate.bands]),
        upper=np.array([band.upper for band in mandate.bands]),
        now=now,
        now_slope=now_slope,
        start=start,
        slope=slope,
        is_answered=np.array(
            [not target.lower <= value <= target.upper for target, value in zip(targets, now, strict=True)]
        ),
    )


def _slopes(chain: Chain, mandate: Mandate, rules: RuleSet, rows: ndarray) -> Float[ndarray, "state band row"]:
    few = chain.take(rows)
    share = band_selection(chain, mandate)[1][:, rows]
    before = line_quantities(few, ("value_coin",))["value_coin"]
    moved = stressed_chains(few, rules).values()
    found = [share * _stressed_columns(few, one, mandate, before) for one in moved]
    return np.array(found).reshape(len(found), len(mandate.bands), rows.size)


def _stressed_columns(
    chain: Chain, moved: Chain, mandate: Mandate, before: Float[ndarray, " row"]
) -> Float[ndarray, "band row"]:
    names = sorted({*map(band_quantity, mandate.bands), "value_coin"})
    line = line_quantities(moved, names)
    found = columns(mandate, line, len(chain))
    pays = np.where(
        chain.is_inverse & ~chain.is_option, chain.contract_size * (1.0 / chain.forward - 1.0 / moved.forward), 0.0
    )
    paid = pays + line["value_coin"] - before
    return found + np.outer([_is_paid(band) for band in mandate.bands], paid)


def _is_paid(band: Band) -> float:
    return 1.0 if is_collateral(band) else 0.0
