"""Published numbers of the risk-matrix form, by both engines: Deribit's documented futures sample, Paradex's scenarios.

Deribit: response sample of private/pme/simulate (docs.deribit.com), coins of BTC. Paradex: docs.paradex.trade, and
`golden/paradex_pm_scenarios.csv`.
"""

from collections.abc import Callable
from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from greekdrift.book.matrix_rules import (
    FeeTerms,
    LeastDeltaTerms,
    MatrixBook,
    MatrixLinear,
    MatrixOption,
    MatrixParameters,
    MatrixPortfolio,
)
from greekdrift.book.scenario_terms import VolatilityMove
from greekdrift.config import load_rules
from greekdrift.margin import matrix, matrix_naive
from greekdrift.margin.matrix_books import charged, counted
from greekdrift.margin.naive import shocked_volatility

Engine = Callable[[MatrixPortfolio, MatrixParameters], tuple[float, float]]
ENGINES = pytest.mark.parametrize("engine", [matrix.matrix_margin, matrix_naive.matrix_margin], ids=["fast", "naive"])
DERIBIT = load_rules("deribit_pm").parameters
PARADEX = load_rules("paradex_pm").parameters
SPOT = 65_000.0

PERPETUAL, FUTURE = 0.314538364, -0.001187534
"""Coins of delta of the sample's two lines; the second one follows from the roll shock, 0.01 of the gross."""

PUBLISHED = (
    -0.05991206933333334,
    -0.04289159509090909,
    -0.027351162086956524,
    -0.013105765166666668,
    0.0,
    0.012097629384615385,
)
"""Entries of the perpetual's standard vector from -16 % to +4 %, one of three equal ones each."""


def sample(*lines: MatrixLinear, **held: float) -> MatrixPortfolio:
    return MatrixPortfolio(
        books=(MatrixBook(underlying="BTC", currency="BTC", spot_price=SPOT, linears=lines),), **held
    )


def line(coins: float, years: float = inf) -> MatrixLinear:
    return MatrixLinear(amount=coins, forward=SPOT, time_to_expiry=years)


def test_deribit_every_entry_of_the_perpetual() -> None:
    """27 entries pos x/(1+x), and 8 at the edge of the range, as the sample's; the dampener acts on the sum only."""
    undamped = replace(DERIBIT, settlements=tuple(replace(one, dampener_usd=0.0) for one in DERIBIT.settlements))
    book = sample(line(PERPETUAL)).books[0]
    pnl = np.array(list(matrix_naive.scenario_pnl(book, undamped).values())) / SPOT
    standard = pnl[:27].reshape(9, 3)
    assert standard[:6] == pytest.approx(np.repeat(np.array(PUBLISHED)[:, None], 3, axis=1), rel=1e-14, abs=1e-16)
    moves = np.linspace(-0.16, 0.16, 9)
    assert standard == pytest.approx(np.repeat((PERPETUAL * moves / (1.0 + moves))[:, None], 3, axis=1), abs=1e-16)
    assert pnl[27:] == pytest.approx([PUBLISHED[0]] * 2 + [PERPETUAL * 0.16 / 1.16] * 6, rel=1e-14)
    fast = charged(matrix.states_of(book), undamped).pnl[0, :, 0] / SPOT
    assert fast == pytest.approx(pnl, rel=1e-13, abs=1e-16)


def test_deribit_aggregated_vector_counts_no_gain_and_no_damped_tail() -> None:
    found = charged(matrix.states_of(sample(line(PERPETUAL), line(FUTURE, 0.05)).books[0]), DERIBIT)
    vector = counted(found.pnl, DERIBIT.settlement("BTC"))[0, :, 0] / SPOT
    losses = [-0.05968587238095239, -0.04272965863636364, -0.02724789826086957, -0.013056284583333334]
    assert vector[:12] == pytest.approx(np.repeat(losses, 3), rel=1e-8)
    assert vector[12:] == pytest.approx(np.zeros(23), abs=0.0)


@ENGINES
def test_deribit_documented_sample(engine: Engine) -> None:
    """Worst 0.05968587 + roll 0.00315726; with 0.06 for market makers and 0.000018212 for orders."""
    held = {"makers_usd": 0.06 * SPOT, "orders_usd": 0.000018212 * SPOT}
    initial, maintenance = engine(sample(line(PERPETUAL), line(FUTURE, 0.05), **held), DERIBIT)
    assert initial / SPOT == pytest.approx(0.122861343, abs=2e-9)
    assert maintenance / SPOT == pytest.approx(0.050274505, abs=1e-9)
    found = charged(matrix.states_of(sample(line(PERPETUAL), line(FUTURE, 0.05)).books[0]), DERIBIT)
    assert found.roll[0, 0] / SPOT == pytest.approx(0.00315726, abs=1e-8)
    assert -found.pnl.min() / SPOT == pytest.approx(0.05968587, abs=1e-8)


@pytest.mark.parametrize(
    ("days", "up", "down"),
    [
        (30.0, 1.5 * 0.8, 0.75 * 0.8),
        (1.0, 0.8 * (1.0 + 0.5 * 30.0**0.3), 0.8 * (1.0 - 0.25 * 30.0**0.3)),
        (90.0, 0.8 * (1.0 + 0.5 / 3.0**0.13), 0.8 * (1.0 - 0.25 / 3.0**0.13)),
    ],
)
def test_deribit_shocked_volatilities(days: float, up: float, down: float) -> None:
    terms = DERIBIT.pair("BTC").volatility
    assert shocked_volatility(0.8, days / 365.0, VolatilityMove.UP, terms) == pytest.approx(up, rel=1e-12)
    assert shocked_volatility(0.8, days / 365.0, VolatilityMove.DOWN, terms) == pytest.approx(down, rel=1e-12)
    assert shocked_volatility(0.1, days / 365.0, VolatilityMove.UP, terms) == 0.5


@pytest.mark.shared
def test_paradex_every_scenario(golden: Path) -> None:
    table = pd.read_csv(golden / "paradex_pm_scenarios.csv")
    pair = PARADEX.pair("BTC")
    assert len(table) == len(PARADEX.matrix_scenarios)
    for row, one in zip(table.itertuples(), PARADEX.matrix_scenarios, strict=True):
        assert one.move(pair.price_range) == pytest.approx(row.spot_shock, abs=1e-15)
        assert {"up": pair.volatility.up, "down": -pair.volatility.down}[one.volatility] == row.vol_shock
        assert PARADEX.damping(one, pair) == row.weight_docs_page
        by_law = PARADEX.damping(replace(one, damping=None), pair)
        assert by_law == pytest.approx(row.weight_docs_page, abs=5e-3)  # published in whole percents
        sdk = PARADEX.damping(replace(one, damping=None), replace(pair, tail_factor=0.75))
        assert sdk == pytest.approx(row.weight_sdk_snapshot_2026_04_22, abs=5e-3)


def deep_call(coins: float) -> MatrixOption:
    """A call of delta 0.3: d₁ is that quantile of the normal."""
    years, volatility, quantile = 30.0 / 365.0, 0.6, -0.5244005127080407
    deviation = volatility * years**0.5
    strike = 70_000.0 * np.exp(0.5 * deviation**2 - quantile * deviation)
    return MatrixOption(
        strike=float(strike), is_call=True, forward=70_000.0, volatility=volatility, time_to_expiry=years, amount=coins
    )


@ENGINES
def test_paradex_least_delta_charge(engine: Engine) -> None:
    """+1 perpetual, -5 calls of delta 0.3 at 70,000: net -0.5, gross 2.5, hedged 1.0, 1,400 USD."""
    calm = replace(
        PARADEX,
        matrix_scenarios=tuple(one for one in PARADEX.matrix_scenarios if one.price == 0.0),
        pairs=tuple(replace(one, volatility=replace(one.volatility, up=0.0, down=0.0)) for one in PARADEX.pairs),
        settlements=tuple(
            replace(one, fees=FeeTerms(linear=0.0, option=0.0, funding=0.0)) for one in PARADEX.settlements
        ),
    )
    book = MatrixBook(
        underlying="BTC",
        currency="USD",
        spot_price=70_000.0,
        options=(deep_call(-5.0),),
        linears=(MatrixLinear(amount=1.0, forward=70_000.0, time_to_expiry=inf),),
    )
    initial, maintenance = engine(MatrixPortfolio(books=(book,)), calm)
    assert initial == pytest.approx(1_400.0, rel=1e-12)
    assert maintenance == pytest.approx(700.0, rel=1e-12)


@ENGINES
def test_paradex_provisions_come_whole_in_both_margins(engine: Engine) -> None:
    """A long perpetual of 2 coins at 70,000: scan 16 %, funding 0.01 % and fees 0.03 % of 140,000."""
    two = MatrixLinear(amount=2.0, forward=70_000.0, time_to_expiry=inf)
    book = MatrixBook(underlying="BTC", currency="USD", spot_price=70_000.0, linears=(two,))
    initial, maintenance = engine(MatrixPortfolio(books=(book,)), PARADEX)
    assert initial == pytest.approx(0.16 * 140_000.0 + 56.0)
    assert maintenance == pytest.approx(0.5 * 0.16 * 140_000.0 + 56.0)
    dearer = replace(
        PARADEX, pairs=tuple(replace(one, least_delta=LeastDeltaTerms(net=0.5, hedged=0.0)) for one in PARADEX.pairs)
    )
    assert engine(MatrixPortfolio(books=(book,)), dearer)[0] == pytest.approx(70_000.0 + 56.0)
