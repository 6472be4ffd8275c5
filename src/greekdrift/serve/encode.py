"""Forecasts and decisions as JSON-ready values. An adjustment is written only from a `Verified`.

Numbers that do not exist are null. Units are internal (vega per 1.00, theta per year) or, for people, the venue's.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np

from greekdrift.book import Adjustment, Band, Outcome, canonical, digest
from greekdrift.errors import GreekdriftError
from greekdrift.forecast.distribution import Forecast, TimeToBreach
from greekdrift.forecast.intervals import LEVEL, Intervals, cell_of, ends
from greekdrift.margin.addon import Step
from greekdrift.rebalance import Decision
from greekdrift.units import VENUE_FACTOR, stamp, to_venue

Units = Literal["internal", "venue"]

LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
TAIL = 0.95
"""Level of expected shortfalls: the mean of the worst twentieth."""
BAD_SIDE = {
    "pnl_usd": "low",
    "equity_usd": "low",
    "excess_usd": "low",
    "initial_margin_usd": "high",
    "maintenance_margin_usd": "high",
}
"""Which tail of money is the bad one."""
UNITS = {
    "internal": {"delta": "units", "gamma": "units per USD", "vega": "USD per 1.00", "theta": "USD per year"},
    "venue": {"delta": "units", "gamma": "units per USD", "vega": "USD per point", "theta": "USD per day"},
}
"""Words for the units of Greeks: "units" are coins or shares; others are named by their symbol alone."""


def forecast_values(
    forecasts: Sequence[Forecast], *, model: str, units: Units = "internal", intervals: Intervals | None = None
) -> dict[str, Any]:
    """Quantiles of each quantity by account, with bands and breach probabilities by horizon.

    Beside each stands its Monte-Carlo standard error (`forecast.monte_carlo`). `interval_low` and `interval_high` are
    what is reported at `interval_level`: "conformal" where `intervals` learnt its tails for the quantity and horizon,
    else "raw", the forecast's own quantiles; null is an end that cannot be bounded.
    """
    first = forecasts[0]
    return {
        "as_of": stamp(first.as_of),
        "model": model,
        "provenance": first.provenance,
        "scenarios": len(first.weights),
        "horizons_hours": first.horizons.tolist(),
        "units": units,
        "intervals": None if intervals is None else intervals.plain(),
        "accounts": [
            {"account_id": name, "quantities": _quantities(forecast, name, units, intervals)}
            for forecast in forecasts
            for name in forecast.account_ids
        ],
    }


def _quantities(forecast: Forecast, account_id: str, units: Units, intervals: Intervals | None) -> list[dict[str, Any]]:
    """Bands first, then money, then everything else; what is and stays zero is left out."""
    bands = {band.label: band for band in forecast.bands.get(account_id, ())}
    there = [
        name
        for name in forecast.quantities_of(account_id)
        if name in bands or _is_something(forecast, account_id, name)
    ]
    money = [name for name in there if name.endswith("_usd")]
    others = [name for name in there if name not in bands and name not in money]
    ordered = [*(label for label in bands if label in there), *money, *others]
    return [_quantity(forecast, account_id, name, bands.get(name), units, intervals) for name in ordered]


def _is_something(forecast: Forecast, account_id: str, name: str) -> bool:
    return bool(np.any(forecast.of(account_id, name) != 0.0)) or forecast.value_now(account_id, name) != 0.0


def _quantity(
    forecast: Forecast, account_id: str, name: str, band: Band | None, units: Units, intervals: Intervals | None
) -> dict[str, Any]:
    greek = name.split(" of ", maxsplit=1)[0] if band is None else band.greek
    factor = float(to_venue(greek, 1.0)) if units == "venue" and greek in VENUE_FACTOR else 1.0
    quantiles = factor * forecast.quantile(account_id, name, LEVELS)
    errors = abs(factor) * forecast.quantile_error(account_id, name, LEVELS)
    values: dict[str, Any] = {
        "label": name,
        "unit": "USD" if greek.endswith("_usd") and greek != "delta_usd" else _unit(greek, units),
        "now": finite(factor * forecast.value_now(account_id, name)),
        "lower": None,
        "upper": None,
        "mean": (factor * forecast.mean(account_id, name)).tolist(),
        "mean_error": (abs(factor) * forecast.mean_error(account_id, name)).tolist(),
        "quantiles": {str(level): row.tolist() for level, row in zip(LEVELS, quantiles, strict=True)},
        "quantile_errors": {str(level): row.tolist() for level, row in zip(LEVELS, errors, strict=True)},
        **_interval(forecast, account_id, name, band, intervals, factor),
        "expected_shortfall": _shortfall(forecast, account_id, name) if name in BAD_SIDE else None,
        **_breach(None),
    }
    if band is not None:
        values["lower"], values["upper"] = factor * band.lower, factor * band.upper
        values |= _breach(forecast.time_to_breach(account_id, name))
    elif name == "excess_usd":
        values["lower"] = 0.0
        values |= _breach(forecast.time_below(account_id, name, 0.0))
    return values


def _interval(
    forecast: Forecast, account_id: str, name: str, band: Band | None, intervals: Intervals | None, factor: float
) -> dict[str, Any]:
    """The reported interval by horizon, its level, and where it is adapted to how often the last ones held."""
    level = LEVEL if intervals is None else intervals.level
    cell = cell_of(name, band)
    learnt = [None if intervals is None else intervals.tail_of(cell, hours) for hours in forecast.horizons.tolist()]
    tail = 0.5 * (1.0 - level)
    low, high = forecast.quantile(account_id, name, (tail, 1.0 - tail))
    at = [place for place, one in enumerate(learnt) if one is not None]
    if at:
        tails = np.array([one for one in learnt if one is not None])
        low[at], high[at] = ends(forecast.of(account_id, name)[:, at], forecast.weights, tails)
    return {
        "interval_level": level,
        "interval_low": [finite(factor * one) for one in low],
        "interval_high": [finite(factor * one) for one in high],
        "interval_kind": ["raw" if one is None else "conformal" for one in learnt],
    }


def _shortfall(forecast: Forecast, account_id: str, name: str) -> dict[str, Any]:
    """Mean of the worst scenarios of money at each horizon, its Monte-Carlo error, and which side is the bad one."""
    side = BAD_SIDE[name]
    value, error = forecast.expected_shortfall(account_id, name, level=TAIL, is_high_bad=side == "high")
    return {"level": TAIL, "side": side, "value": value.tolist(), "error": error.tolist()}


def _breach(first: TimeToBreach | None) -> dict[str, Any]:
    """Probability of a breach at a check up to each horizon, its Monte-Carlo error, and that of the first one there."""
    if first is None:
        return dict.fromkeys(("breach_probability", "breach_error", "first_breach_probability"))
    return {
        "breach_probability": first.within.tolist(),
        "breach_error": first.within_error.tolist(),
        "first_breach_probability": first.probability.tolist(),
    }


def _unit(greek: str, units: Units) -> str:
    return UNITS[units].get(greek.split("_", maxsplit=1)[0], "")


def decision_values(decision: Decision) -> dict[str, Any]:
    """One decision. Orders are written only where the certificate of a `Verified` stands beside them."""
    values: dict[str, Any] = {
        "account_id": decision.account_id,
        "outcome": str(decision.outcome),
        "reasons": list(decision.reasons),
        "adjustment": None,
        "certificate": None,
        "findings": [plain(finding) for finding in decision.findings],
    }
    if decision.outcome is Outcome.HOLD or decision.certificate is None or decision.adjustment is None:
        return values
    if decision.certificate.digests["adjustment"] != digest(decision.adjustment):
        raise GreekdriftError(
            f"{decision.account_id}: the certificate is of another adjustment; nothing of this decision may be used."
        )
    return {
        **values,
        "adjustment": adjustment_values(decision.adjustment),
        "certificate": plain(decision.certificate),
        "objective_usd": dict(decision.objective),
        "idle_usd": dict(decision.idle),
        "addon": None if decision.addon is None else addon_values(decision.addon),
    }


def addon_values(step: Step) -> dict[str, Any]:
    """How the margin add-on came about: need, devices with their reasons, what is left uncovered.

    `previous` says whether an earlier add-on was known; `state` is what the next decision needs as `previous`.
    """
    return {
        "addon_usd": step.addon_usd,
        "need_usd": step.raw_usd,
        "target_usd": step.target_usd,
        "uncovered_usd": step.uncovered_usd,
        "previous": "unknown" if step.is_first else "known",
        "overrides": [asdict(one) for one in step.overrides],
        "state": step.state.values(),
    }


def adjustment_values(adjustment: Adjustment) -> dict[str, Any]:
    """The adjustment as its canonical form has it, instruments by name."""
    values = plain(adjustment)
    orders = [
        {**one, "instrument": order.instrument.name}
        for one, order in zip(values["orders"], adjustment.orders, strict=True)
    ]
    return {**values, "orders": orders}


def plain(record: object) -> Any:
    """A record as JSON-ready values: exactly those of its canonical encoding."""
    return json.loads(canonical(record))


def finite(value: float) -> float | None:
    """A number that exists, else None."""
    return float(value) if np.isfinite(value) else None
