"""The files of a small run, as the commands write them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

LEVELS = ("0.025", "0.1", "0.25", "0.5", "0.75", "0.9", "0.975")
HORIZONS = (24.0, 48.0, 72.0)


def _quantity(label: str, now: float, size: float, lower: float | None, upper: float | None) -> dict[str, Any]:
    random = np.random.default_rng(len(label))
    drawn = now + size * np.cumsum(random.normal(size=(2000, len(HORIZONS))), axis=1)
    outside = (drawn < (-np.inf if lower is None else lower)) | (drawn > (np.inf if upper is None else upper))
    has_band = lower is not None or upper is not None
    return {
        "label": label,
        "unit": "shares",
        "now": now,
        "lower": lower,
        "upper": upper,
        "quantiles": {level: np.quantile(drawn, float(level), axis=0).tolist() for level in LEVELS},
        "breach_probability": np.maximum.accumulate(outside.mean(axis=0)).tolist() if has_band else None,
    }


def parts() -> dict[str, dict[str, Any]]:
    days = np.arange("2017-01-01", "2018-12-31", dtype="datetime64[D]")
    probability = 0.12 + 0.08 * np.sin(np.arange(days.size) / 40.0)
    finding = {
        "check": "orders listed",
        "passed": True,
        "value": 2.0,
        "limit": None,
        "detail": "both are listed <alive>",
    }
    certificate = {
        "digest": "ab" * 32,
        "findings": [finding],
        "compared": [["initial margin, USD", 41_000.0, 36_500.0]],
    }
    order = {"leg": 1, "instrument": "AAPL.USD-SPOT", "quantity": -310.0, "limit_price": 189.9, "reason": "AAPL delta"}
    adjustment = {"orders": [order], "margin_addon_usd": 1200.0, "valid_until": "2023-12-15T21:15:00Z"}
    decisions = [
        {
            "account_id": "maker",
            "outcome": "VERIFIED_ML",
            "reasons": [],
            "adjustment": adjustment,
            "certificate": certificate,
        },
        {
            "account_id": "quiet",
            "outcome": "BASELINE",
            "reasons": ["no history"],
            "adjustment": {**adjustment, "orders": []},
        },
        {
            "account_id": "silent",
            "outcome": "HOLD",
            "reasons": ["no mandate <script>alert(1)</script>"],
            "adjustment": None,
        },
    ]
    return {
        "run": {
            "name": "small",
            "title": "A small run",
            "subtitle": "Five stocks, modelled chains from real surfaces.",
            "version": "0.1.0",
            "facts": {"seed": 7, "data": "modelled"},
            "limits": ["No volumes are recorded."],
        },
        "decisions": {"decisions": decisions},
        "forecast": {
            "as_of": "2023-12-15T21:00:00Z",
            "model": "drift_net",
            "scenarios": 2000,
            "horizons_hours": list(HORIZONS),
            "accounts": [
                {
                    "account_id": "maker",
                    "quantities": [
                        _quantity("AAPL delta (net)", 310.0, 120.0, -400.0, 400.0),
                        _quantity("AAPL vega", -9000.0, 300.0, -12000.0, 12000.0),
                        _quantity("P&L, USD", 0.0, 900.0, None, None),
                    ],
                },
                {"account_id": "quiet", "quantities": [_quantity("AMZN delta (net)", 3.0, 10.0, -50.0, 50.0)]},
            ],
        },
        "regime": {
            "event": "variance doubles within 5 days",
            "probability": 0.17,
            "climatology": 0.12,
            "description": "The mean variance of the next five days above twice that of the last 22.",
            "history": {
                "days": [str(day) for day in days],
                "probability": probability.tolist(),
                "happened": [int(at % 97 < 9) for at in range(days.size)],
                "climatology": 0.12,
            },
            "scores": {"columns": ["model", "AUC", "Brier skill"], "rows": [["level only", 0.7, 0.05]]},
        },
        "scorecard": {
            "bar": "fhs",
            "note": "Walk-forward; loss is the mean scaled CRPS of delta, gamma and vega drift.",
            "chart": [
                {"name": "clock", "ratio": 1.41, "lower": 1.3, "upper": 1.52},
                {"name": "historical", "ratio": 1.02, "lower": 0.99, "upper": 1.05},
                {"name": "drift_net", "ratio": 0.97, "lower": 0.95, "upper": 0.99},
            ],
            "columns": ["forecaster", "loss", "ratio", "interval"],
            "rows": [["clock", 0.7, 1.41, "[1.30, 1.52]"], ["fhs", 0.5, 1.0, "–"]],
            "headline": {"value": "0.97", "label": "loss of drift_net / fhs", "detail": "[0.95, 0.99]"},
        },
    }


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    for name, values in parts().items():
        (tmp_path / f"{name}.json").write_text(json.dumps(values))
    return tmp_path
