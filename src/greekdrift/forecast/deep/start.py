"""What a fitted drift net hands on to a fit elsewhere: networks, means and shares, nothing of the market itself.

A start is an artefact like a predictor's (`forecast.artefact`), but it cannot forecast: base law, residuals and scales
come from the panel that it is adapted to, `DriftNet(start=FOLDER).fit(panel)`. What it trusts is trusted there unless
later origins gainsay it. Imports torch, never lightning.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Self

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from greekdrift.errors import InputError
from greekdrift.features.history import Panel
from greekdrift.forecast import packed
from greekdrift.forecast.deep.mixture import MixtureNetwork
from greekdrift.forecast.deep.network import DriftNetwork
from greekdrift.forecast.deep.predictor import DriftNetPredictor, read_networks, write_networks
from greekdrift.forecast.mean_regression import MeanStart
from greekdrift.units import from_datetime64, instant, stamp


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Start:
    """Networks and means of a fitted drift net, how far they were trusted, and where they fit.

    `factors` in order and the `has_calendar` of their clock (false: sessions) must be those of a panel that it is
    adapted to, `horizons` (hours) those of the net that starts from it.
    Timing: everything in it was known at `learnt_until`; a panel that ends before is refused, or its forecasts would
    know the future.
    """

    kind: ClassVar[str] = "drift_net_start"

    learnt_until: datetime
    factors: tuple[str, ...]
    has_calendar: bool
    horizons: Float[ndarray, " horizon"]
    networks: tuple[DriftNetwork, ...]
    mixtures: tuple[MixtureNetwork, ...]
    shares: Float[ndarray, "head horizon kind"]
    means: MeanStart | None

    @classmethod
    def of(cls, predictor: DriftNetPredictor, panel: Panel) -> Self:
        """What a drift net that was fitted on a panel hands on."""
        lead = predictor.base.lead
        return cls(
            learnt_until=from_datetime64(panel.known_at[-1]),
            factors=lead.factors,
            has_calendar=lead.scale.clock.has_calendar,
            horizons=predictor.horizons,
            networks=predictor.networks,
            mixtures=predictor.mixtures,
            shares=predictor.shares,
            means=None if predictor.means is None else MeanStart.of(predictor.means),
        )

    def check(self, panel: Panel, *, has_calendar: bool, horizons: tuple[float, ...]) -> None:
        """Refuses a panel of other factors, of another clock or of earlier time, and a net of other horizons."""
        if panel.factors != self.factors:
            raise InputError(
                f"the start knows {len(self.factors)} factors, the panel has {len(panel.factors)} or other ones; "
                "train without a start."
            )
        if has_calendar != self.has_calendar:
            clocks = {True: "a clock that never stops", False: "sessions"}
            raise InputError(
                f"the start learnt from {clocks[self.has_calendar]}, the panel runs on {clocks[has_calendar]}; "
                "train without a start, or from one of the same clock."
            )
        end = from_datetime64(panel.known_at[-1])
        if end < self.learnt_until:
            raise InputError(
                f"the start learnt until {stamp(self.learnt_until)}, the panel ends {stamp(end)}: its forecasts would "
                "know the future; take a later panel, a start that was learnt earlier, or none."
            )
        if horizons != tuple(self.horizons.tolist()):
            raise InputError(
                f"the start was trained on horizons {self.horizons.tolist()}, the net on {list(horizons)}; "
                "give the net the horizons of its start."
            )

    def pack(self) -> tuple[dict[str, Any], dict[str, ndarray]]:
        """Plain values and arrays."""
        config, arrays = write_networks(self.networks, self.mixtures)
        arrays |= {"shares": self.shares, "horizons": self.horizons}
        means = None
        if self.means is not None:
            means, mean_arrays = packed.pack(self.means, path="means.")
            arrays |= mean_arrays
        where = {
            "learnt_until": stamp(self.learnt_until),
            "factors": list(self.factors),
            "has_calendar": self.has_calendar,
        }
        return {**config, **where, "means": means}, arrays

    @classmethod
    def unpack(cls, config: Mapping[str, Any], arrays: Mapping[str, ndarray]) -> Self:
        """The start of these values and arrays; one of other inputs is refused."""
        networks, mixtures = read_networks(config, arrays)
        means = config["means"]
        return cls(
            learnt_until=instant(config["learnt_until"]),
            factors=tuple(str(name) for name in config["factors"]),
            has_calendar=bool(config["has_calendar"]),
            horizons=arrays["horizons"],
            networks=networks,
            mixtures=mixtures,
            shares=arrays["shares"],
            means=None if means is None else packed.unpack(MeanStart, means, arrays, path="means."),
        )

    @property
    def known(self) -> torch.Tensor:
        """The shares as a tensor."""
        return torch.as_tensor(np.array(self.shares), dtype=torch.float32)
