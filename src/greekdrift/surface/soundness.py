"""Static arbitrage of the moved surface at the listed strikes, under the forwards of each scenario.

Checked are the strikes listed on each expiry as far as ±5 σ_atm√τ′ from the scenario's forward: butterflies by
Gatheral's g, calendars against the next expiry at the same ln(K/F′). The residuals of single quotes are no part of
the surface.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from greekdrift.book import Chain, Scenarios
from greekdrift.surface.arbitrage import RANGE, TOLERANCE
from greekdrift.surface.moved_slice import Kept, Points, moved_slice, remaining
from greekdrift.surface.scenario import index_return, plan
from greekdrift.surface.slices import Slice, Surface
from greekdrift.surface.state import BASIS, FORWARD
from greekdrift.units import datetime64

Cells = Bool[ndarray, "scenario horizon expiry"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Soundness:
    """Where the moved surface holds arbitrage: one column per listed (underlying, expiry).

    `calendar` marks an expiry against the next of the same underlying. `weights` are the scenarios'.
    """

    expiries: tuple[tuple[str, datetime], ...]
    butterfly: Cells
    calendar: Cells
    weights: Float[ndarray, " scenario"]

    @property
    def share_butterfly(self) -> float:
        """Weighted share of scenarios with a butterfly violation at any horizon and expiry."""
        return float(self.weights @ np.any(self.butterfly, axis=(1, 2)))

    @property
    def share_calendar(self) -> float:
        """Weighted share of scenarios with a calendar violation at any horizon and expiry."""
        return float(self.weights @ np.any(self.calendar, axis=(1, 2)))

    @property
    def share_of_cells(self) -> tuple[float, float]:
        """Share of (scenario, horizon, expiry) cells with a butterfly and with a calendar violation."""
        return float(np.mean(self.butterfly)), float(np.mean(self.calendar))

    def scenarios(self) -> ndarray:
        """Numbers of the scenarios that violate anything."""
        return np.flatnonzero(np.any(self.butterfly | self.calendar, axis=(1, 2)))

    def describe(self) -> str:
        """One line for logs and reports."""
        return (
            f"moved surface at the listed strikes within {RANGE:g} deviations: butterfly arbitrage in "
            f"{self.share_butterfly:.1%}, calendar arbitrage in {self.share_calendar:.1%} of scenarios."
        )


def check(chain: Chain, surface: Surface, scenarios: Scenarios, *, kept: Kept = "log_moneyness") -> Soundness:
    """Butterfly and calendar arbitrage of the moved surface at the listed strikes, in every scenario and horizon.

    With all increments and the first horizon zero it says what the fitted surface itself holds.
    """
    plan(chain, surface, scenarios, np.flatnonzero(chain.is_option), kept=kept)
    labels: list[tuple[str, datetime]] = []
    butterfly, calendar = [], []
    for at, name in enumerate(scenarios.underlyings):
        own = scenarios.increments[:, :, at, :]
        slices = surface.of(name)
        moved = [moved_slice(one, own, scenarios.horizons, kept=kept) for one in slices]
        strikes = list(_log_moneyness(chain, slices, own, scenarios.horizons))
        for here, (one, k) in enumerate(zip(moved, strikes, strict=True)):
            is_checked = one.is_alive & (np.abs(k) <= RANGE * one.deviation)
            gap = np.zeros_like(k)
            if here + 1 < len(moved):
                gap = (moved[here + 1].total_variance(k) - one.total_variance(k)) / one.deviation**2
            labels.append((name, slices[here].expiry))
            butterfly.append(np.any(is_checked & (one.butterfly_g(k) < -TOLERANCE), axis=2))
            calendar.append(np.any(is_checked & (gap < -TOLERANCE), axis=2))
    return Soundness(
        expiries=tuple(labels),
        butterfly=np.stack(butterfly, axis=2),
        calendar=np.stack(calendar, axis=2),
        weights=scenarios.weights,
    )


def _log_moneyness(
    chain: Chain,
    slices: tuple[Slice, ...],
    increments: Float[ndarray, "scenario horizon factor"],
    horizons: Float[ndarray, " horizon"],
) -> Iterator[Points]:
    """ln(K/F′) of the strikes listed on each expiry."""
    for one in slices:
        tau = remaining(one.time_to_expiry, horizons)
        own = chain.is_option & (chain.underlying == one.underlying) & (chain.expiry == datetime64(one.expiry))
        move = index_return(increments[..., FORWARD], one.time_to_expiry, horizons) + increments[..., BASIS] * tau
        yield np.log(np.unique(chain.strike[own]) / one.forward) - move[..., None]
