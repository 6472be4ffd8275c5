"""Forecasts and decisions as JSON-ready values. An adjustment is written only from a `Verified`.

Numbers that do not exist are null. Units are internal (vega per 1.00, theta per year) or, for people, the venue's.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from greekdrift.book import Band
from greekdrift.forecast.distribution import Forecast
from greekdrift.units import VENUE_FACTOR, stamp, to_venue

Units = Literal["internal", "venue"]

LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
UNITS = {
    "internal": {"delta": "coins", "gamma": "coins per USD", "vega": "USD per 1.00", "theta": "USD per year"},
    "venue": {"delta": "coins", "gamma": "coins per USD", "vega": "USD per point", "theta": "USD per day"},
}
"""Words for the units of banded Greeks; others are named by their symbol alone."""


def forecast_values(
    forecast: Forecast, *, model: str, account_ids: Sequence[str] | None = None, units: Units = "internal"
) -> dict[str, Any]:
    """Quantiles of each quantity by account, with bands and breach probabilities by horizon."""
    return {
        "as_of": stamp(forecast.as_of),
        "model": model,
        "provenance": forecast.provenance,
        "scenarios": len(forecast.weights),
        "horizons_hours": forecast.horizons.tolist(),
        "units": units,
        "accounts": [
            {"account_id": name, "quantities": _quantities(forecast, name, units)}
            for name in account_ids or forecast.account_ids
        ],
    }


def _quantities(forecast: Forecast, account_id: str, units: Units) -> list[dict[str, Any]]:
    """Bands first, then money, then everything else."""
    bands = {band.label: band for band in forecast.bands.get(account_id, ())}
    there = forecast.quantities_of(account_id)
    money = [name for name in there if name.endswith("_usd")]
    others = [name for name in there if name not in bands and name not in money]
    ordered = [*(label for label in bands if label in there), *money, *others]
    return [_quantity(forecast, account_id, name, bands.get(name), units) for name in ordered]


def _quantity(forecast: Forecast, account_id: str, name: str, band: Band | None, units: Units) -> dict[str, Any]:
    greek = name.split(" of ", maxsplit=1)[0] if band is None else band.greek
    factor = float(to_venue(greek, 1.0)) if units == "venue" and greek in VENUE_FACTOR else 1.0
    quantiles = factor * forecast.quantile(account_id, name, LEVELS)
    values: dict[str, Any] = {
        "label": name,
        "unit": "USD" if name.endswith("_usd") else UNITS[units].get(greek.split("_")[0], ""),
        "now": finite(factor * forecast.value_now(account_id, name)),
        "lower": None,
        "upper": None,
        "mean": (factor * forecast.mean(account_id, name)).tolist(),
        "quantiles": {str(level): row.tolist() for level, row in zip(LEVELS, quantiles, strict=True)},
        "breach_probability": None,
    }
    if band is not None:
        first = forecast.time_to_breach(account_id, name)
        values["lower"], values["upper"] = factor * band.lower, factor * band.upper
        values["breach_probability"] = np.minimum(1.0, np.cumsum(first.probability)).tolist()
    return values


def finite(value: float) -> float | None:
    """A number that exists, else None."""
    return float(value) if np.isfinite(value) else None
