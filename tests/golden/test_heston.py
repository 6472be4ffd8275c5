"""Published values of Heston's model (A. Lewis; the COS papers), and Bates' against QuantLib."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import QuantLib

from greekdrift.market.heston import Bates, option_values


@pytest.mark.shared
def test_published_values(golden: Path) -> None:
    table = pd.read_csv(golden / "heston_reference_prices.csv")
    assert len(table) == 14
    for row in table.itertuples():
        law = Bates(reversion=row.kappa, volatility=row.sigma_volvol, correlation=row.rho, mean=(row.theta,))
        value = option_values(
            law,
            forward=row.spot * np.exp((row.r - row.q) * row.t),
            strike=np.array([float(row.strike)]),
            years=row.t,
            variance=row.v0,
            is_call=np.array([row.type == "Call"]),
            discount=np.exp(-row.r * row.t),
        )[0]
        size, kind = row.tol.split()
        assert value == pytest.approx(row.price, **{kind: float(size), "rel" if kind == "abs" else "abs": 0.0})


def test_bates_agrees_with_quantlib() -> None:
    today = QuantLib.Date(1, 1, 2026)
    QuantLib.Settings.instance().evaluationDate = today
    flat = QuantLib.YieldTermStructureHandle(QuantLib.FlatForward(today, 0.0, QuantLib.Actual365Fixed()))
    spot = QuantLib.QuoteHandle(QuantLib.SimpleQuote(100.0))
    process = QuantLib.BatesProcess(flat, flat, spot, 0.36, 3.0, 0.42, 1.2, -0.4, 6.0, -0.03, 0.08)
    engine = QuantLib.BatesEngine(QuantLib.BatesModel(process), 1e-10, 100_000)
    law = Bates(
        reversion=3.0,
        volatility=1.2,
        correlation=-0.4,
        mean=(0.42,),
        jump_rate=(6.0,),
        jump_mean=-0.03,
        jump_deviation=0.08,
    )
    strikes = np.array([60.0, 85.0, 100.0, 115.0, 160.0])
    for days in (7, 30, 180):
        ours = option_values(
            law, forward=100.0, strike=strikes, years=days / 365.0, variance=0.36, is_call=strikes > 90.0
        )
        for strike, value in zip(strikes, ours, strict=True):
            payoff = QuantLib.PlainVanillaPayoff(QuantLib.Option.Call if strike > 90.0 else QuantLib.Option.Put, strike)
            option = QuantLib.VanillaOption(payoff, QuantLib.EuropeanExercise(today + days))
            option.setPricingEngine(engine)
            assert value == pytest.approx(option.NPV(), abs=2e-8)
