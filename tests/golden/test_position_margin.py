"""Worked numbers of position margin that venues publish, by the engine and by the slow loop.

Bybit: help centre, "Comparison of Spread Strategies in Cross Margin and Portfolio Margin" (the put); announcement-info/
margin-parameters (leverage, shares and deductions of BTCUSDT by tier). Deribit: support pages "Linear Perpetual" and
"11 January 2022"; of short options doc.tslab.pro, "Deribit margin requirements calculation".
"""

from collections.abc import Callable
from typing import Any

import pytest

from greekdrift.book import Settlement
from greekdrift.book.position_rules import LinearTerms, PositionParameters, ShortOptionTerms
from greekdrift.book.rules import NetOption
from greekdrift.config import load_rules
from greekdrift.margin import position, position_naive


def numbers(name: str) -> PositionParameters:
    p = load_rules(name).parameters
    assert isinstance(p, PositionParameters)
    return p


DERIBIT, LINEAR = numbers("deribit_standard"), numbers("linear_standard")


def _fast(terms: ShortOptionTerms, option: NetOption, *, index: float, price: float) -> tuple[float, float]:
    given = {"is_call": option.is_call, "strike": option.strike, "forward": option.forward}
    initial, maintenance = position.short_option(terms, **given, index=index, price=price)
    return float(initial), float(maintenance)


def _fast_linear(terms: LinearTerms, *, coins: float, price: float) -> tuple[float, float]:
    initial, maintenance = position.linear_margin(terms, coins=coins, price=price)
    return float(initial), float(maintenance)


SHORT = pytest.mark.parametrize("short_option", [_fast, position_naive.short_option], ids=["engine", "naive"])
LINEARS = pytest.mark.parametrize(
    "linear_margin", [_fast_linear, position_naive.linear_margin], ids=["engine", "naive"]
)


@SHORT
def test_bybit_short_put(short_option: Callable) -> None:
    """MM = max(0.03 × 20250, 0.03 × 290) + 290 + 0.002 × 20250; IM = max(0.15 × 20250 − 1750, 0.10 × 20250) + 290."""
    terms = LINEAR.option_terms("BTC", Settlement.LINEAR)
    option = NetOption(strike=18_500.0, is_call=False, forward=20_300.0, volatility=0.5, amount=-1.0)
    assert short_option(terms, option, index=20_250.0, price=290.0) == pytest.approx((2315.0, 938.0), rel=1e-14)


@pytest.mark.parametrize(
    ("is_call", "strike", "price_coin", "initial", "maintenance"),
    [
        (True, 100_000.0, 0.03, 0.15 + 0.03, 0.075 + 0.03),
        (True, 90_000.0, 0.12, 0.15 + 0.12, 0.075 + 0.12),
        (True, 103_000.0, 0.02, 0.12 + 0.02, 0.075 + 0.02),
        (True, 120_000.0, 0.001, 0.10 + 0.001, 0.075 + 0.001),
        (False, 97_000.0, 0.02, 0.12 + 0.02, 0.075 + 0.02),
        (False, 50_000.0, 0.001, 0.10 + 0.001, 0.075 + 0.001),
        (False, 150_000.0, 0.5, 0.15 + 0.5, 0.075 + 0.5),
        (False, 250_000.0, 1.5, 0.15 + 1.5, 0.075 * 1.5 + 1.5),
        (False, 1_000_000.0, 9.0, 0.075 * 9.0 + 9.0, 0.075 * 9.0 + 9.0),
    ],
)
@SHORT
def test_deribit_short_options_in_coin(
    short_option: Callable, is_call: bool, strike: float, price_coin: float, initial: float, maintenance: float
) -> None:
    """Per coin: call max(0.15 − OTM/F, 0.10) + P and 0.075 + P; put at least max(0.075, 0.075 P) + P."""
    index, forward = 99_500.0, 100_000.0
    option = NetOption(strike=strike, is_call=is_call, forward=forward, volatility=0.5, amount=-1.0)
    for underlying in ("BTC", "ETH"):
        terms = DERIBIT.option_terms(underlying, Settlement.INVERSE)
        found = short_option(terms, option, index=index, price=price_coin * index)
        assert [figure / index for figure in found] == pytest.approx([initial, maintenance], rel=1e-13)


@pytest.mark.parametrize(
    ("underlying", "coins", "price", "initial", "maintenance"),
    [
        ("BTC", 25.0, 100_000.0, 53_125.0, 28_125.0),
        ("BTC", -350.0, 100_000.0, 1_312_500.0, 350.0 * (0.01 + 350.0 * 5e-5) * 100_000.0),
        ("SOL", 25.0, 200.0, 200.625, 100.625),
        ("SOL", 6000.0, 200.0, 84_000.0, 6000.0 * (0.02 + 6000.0 * 5e-6) * 200.0),
        ("BTC", 0.0, 100_000.0, 0.0, 0.0),
    ],
)
@LINEARS
def test_deribit_linear_perpetuals(
    linear_margin: Callable, underlying: str, coins: float, price: float, initial: float, maintenance: float
) -> None:
    terms = DERIBIT.linear_terms(underlying, Settlement.LINEAR)
    assert linear_margin(terms, coins=coins, price=price) == pytest.approx((initial, maintenance), rel=1e-13)


@LINEARS
def test_deribit_inverse_shares_grow_with_the_coins(linear_margin: Callable) -> None:
    """BTC: 2 % + size × 0.005 % and 1 % + size × 0.005 %; ETH: 2 % + size × 0.0004 % and 1 % + size × 0.0004 %."""
    for underlying, growth in (("BTC", 5e-5), ("ETH", 4e-6)):
        terms = DERIBIT.linear_terms(underlying, Settlement.INVERSE)
        for size in (1.0, 100.0, 5000.0):
            expected = [size * (0.02 + growth * size), size * (0.01 + growth * size)]
            assert linear_margin(terms, coins=-size, price=1.0) == pytest.approx(expected, rel=1e-13)


BYBIT_TIERS = [
    (2_000_000, 100, 0.005, 0), (2_600_000, 90, 0.0056, 1_200), (3_200_000, 80, 0.0063, 3_020),
    (3_800_000, 75, 0.0067, 4_300), (4_400_000, 70, 0.0071, 5_820), (5_000_000, 65, 0.0077, 8_460),
    (5_600_000, 55, 0.0091, 15_460), (8_500_000, 50, 0.01, 20_500), (10_000_000, 45, 0.013, 46_000),
    (14_000_000, 40, 0.015, 66_000), (20_000_000, 35, 0.016, 80_000), (28_000_000, 30, 0.02, 160_000),
    (38_000_000, 25, 0.025, 300_000), (50_000_000, 20, 0.029, 452_000), (55_000_000, 19, 0.03, 502_000),
    (60_000_000, 18, 0.035, 777_000), (65_000_000, 17, 0.036, 837_000), (70_000_000, 16, 0.038, 967_000),
    (75_000_000, 15, 0.04, 1_107_000), (80_000_000, 14, 0.045, 1_482_000),
]  # fmt: skip
"""Value up to, largest leverage, maintenance share, deduction."""


@pytest.mark.parametrize("tier", BYBIT_TIERS, ids=lambda tier: f"{tier[0]:,}")
@LINEARS
def test_bybit_tiers(linear_margin: Callable, tier: tuple[float, float, float, float]) -> None:
    """IM = value / leverage of the tier, MM = value × share − deduction, at the top of a tier and just below it."""
    top, leverage, share, deduction = tier
    terms: Any = LINEAR.linear_terms("BTC", Settlement.LINEAR)
    for value in (float(top), top - 1_000.0):
        found = linear_margin(terms, coins=-value / 50_000.0, price=50_000.0)
        assert found == pytest.approx((value / leverage, value * share - deduction), rel=1e-12)
