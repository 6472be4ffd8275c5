"""Published prices and Greeks: Haug, QuantLib, tf-quant-finance, py_vollib.

The books quote Black-Scholes-Merton on the spot. With F = S exp((r − q)τ) and D = exp(−rτ), by the chain rule:
delta_S = delta F/S,  gamma_S = gamma (F/S)²,  vanna_S = vanna F/S,  theta_S = theta − (r − q) F delta.
"""

import csv
from pathlib import Path

import numpy as np
import pytest

from greekdrift.greeks import compute

FIRST = ("price", "delta", "gamma", "vega", "theta", "rho")


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def column(rows: list[dict[str, str]], name: str) -> np.ndarray:
    return np.array([float(row[name]) for row in rows])


def on_the_spot(S, K, r, q, tau, sigma, is_call) -> dict[str, np.ndarray]:
    """Black-Scholes-Merton values from ours by the chain rule."""
    F = S * np.exp((r - q) * tau)
    value = compute((*FIRST, "vanna", "volga"), forward=F, strike=K, volatility=sigma, time_to_expiry=tau,
                    is_call=is_call, discount=np.exp(-r * tau))  # fmt: skip
    delta, gamma = value["delta"] * F / S, value["gamma"] * (F / S) ** 2
    theta = value["theta"] - (r - q) * F * value["delta"]
    return value | {
        "delta": delta,
        "gamma": gamma,
        "theta": theta,
        "vanna": value["vanna"] * F / S,
        "elasticity": delta * S / value["price"],
        "dividendRho": -tau * S * delta,
        "thetaPerDay": theta / 365.0,
    }


@pytest.mark.shared
def test_haug_values(golden):
    """Haug, Option Pricing Formulas (1998), pages 2-8, four printed decimals."""
    rows = read(golden / "haug_bsm_values.csv")
    S, K, r, q, t, v = (column(rows, name) for name in ("spot", "strike", "r", "q", "t", "vol"))
    got = on_the_spot(S, K, r, q, t, v, np.array([row["type"] == "Call" for row in rows]))["price"]
    assert len(rows) == 43
    assert np.all(np.abs(got - column(rows, "value")) <= column(rows, "tol"))


@pytest.mark.shared
def test_haug_greeks(golden):
    """Haug (1998), pages 11-16, four printed decimals."""
    rows = read(golden / "haug_bsm_greeks.csv")
    for row in rows:
        S, K, r, q, t, v = (np.float64(row[name]) for name in ("spot", "strike", "r", "q", "t", "vol"))
        got = on_the_spot(S, K, r, q, t, v, row["type"] == "Call")[row["greek"]]
        assert float(got) == pytest.approx(float(row["value"]), abs=float(row["tol"])), row
    assert len(rows) == 11


@pytest.mark.shared
def test_quantlib_values(golden):
    rows = read(golden / "quantlib_black76_values.csv")
    for row in rows:
        got = compute(("price",), forward=float(row["forward"]), strike=float(row["strike"]),
                      volatility=float(row["std_dev"]), time_to_expiry=1.0, is_call=row["type"] == "Call",
                      discount=float(row["discount"]))["price"]  # fmt: skip
        assert float(got) == pytest.approx(float(row["value"]), abs=float(row["tol"])), row
    assert len(rows) == 8


@pytest.mark.shared
def test_quantlib_greeks(golden):
    """blackcalculator.cpp: F = 100, S = 98, K = 105, D = 0.95, s = 0.2, one year.

    Both rows called Value belong to other options whose inputs the file does not hold.
    """
    rows = {row["greek"]: row for row in read(golden / "quantlib_black76_greeks_call.csv")}
    F, S, K, D = 100.0, 98.0, 105.0, 0.95
    names = (*FIRST, "vanna", "volga", "strike_delta", "strike_gamma")
    v = compute(names, forward=F, strike=K, volatility=0.2, time_to_expiry=1.0, is_call=True, discount=D)
    got = {
        "Delta": v["delta"] * F / S,
        "DeltaFwd": v["delta"],
        "Gamma": v["gamma"] * (F / S) ** 2,
        "GammaFwd": v["gamma"],
        "Theta": v["theta"] - np.log(F / S) * F * v["delta"],
        "Vega": v["vega"],
        "Rho": v["rho"],
        "Elasticity": v["delta"] * F / v["price"],
        "ElasticityFwd": v["delta"] * F / v["price"],
        "ItmCashProb": v["rho"] / (D * K),
        "ItmAssetProb": v["delta"] / D,
        "DividendRho": -F * v["delta"],
        "StrikeSensitivity": v["strike_delta"],
        "StrikeGamma": v["strike_gamma"],
        "Vanna": v["vanna"] * F / S,
        "Volga": v["volga"],
    }
    assert got.keys() == rows.keys() - {"Value"}
    for name, value in got.items():
        assert float(value) == pytest.approx(float(rows[name]["value"]), rel=1e-12), name


@pytest.mark.shared
def test_tf_quant_finance_values(golden):
    """Calls, and the digital calls that are their parts: Φ(d₂) = −∂V/∂K, F Φ(d₁) = F delta.

    Five more rows are Bachelier's, whose forward is normal: no model of ours.
    """
    part = {
        "black_call": lambda v, row: v["price"],
        "cash_or_nothing_call": lambda v, row: -v["strike_delta"],
        "asset_or_nothing_call": lambda v, row: v["delta"] * float(row["forward"]),
    }
    rows = [row for row in read(golden / "tfquant_black_values.csv") if row["payoff"] in part]
    for row in rows:
        v = compute(("price", "delta", "strike_delta"), forward=float(row["forward"]), strike=float(row["strike"]),
                    volatility=float(row["vol"]), time_to_expiry=float(row["t"]), is_call=True)  # fmt: skip
        assert float(part[row["payoff"]](v, row)) == pytest.approx(float(row["value"]), abs=5e-9), row
    assert len(rows) == 15


@pytest.mark.shared
def test_py_vollib_values_and_greeks(golden):
    rows = read(golden / "pyvollib_bs_values_greeks.csv")
    S, K, r, t, v = (column(rows, name) for name in ("S", "K", "R", "t", "v"))
    for side, is_call in (("C", True), ("P", False)):
        got = on_the_spot(S, K, r, np.zeros_like(r), t, v, is_call)
        names = {"price": "bs_call" if is_call else "bs_put", "delta": "D", "gamma": "G", "theta": "T", "vega": "V"}
        for name, head in (names | {"rho": "R"}).items():
            right = column(rows, head if name == "price" else side + head)
            assert got[name] == pytest.approx(right, abs=5e-7, rel=5e-9), (name, side)
    assert len(rows) == 101
