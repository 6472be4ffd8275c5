"""Chains for the tests of the surface: one made by hand with known smiles, and recorded ones."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from greekdrift.book import Chain, Scenarios
from greekdrift.book.instrument import deribit_name, parse
from greekdrift.greeks import compute
from greekdrift.surface import FACTORS, Parameters, Surface, svi
from greekdrift.surface.fit import fit

AS_OF = datetime(2026, 2, 5, 16, tzinfo=UTC)
DAYS = (1, 2, 8, 29, 64, 141, 230)
INDEX = {"BTC": 70_000.0, "ETH": 2_000.0}


def true_smile(underlying: str, years: float) -> Parameters:
    """A clean smile whose wings grow with the root of time."""
    level = (0.5 if underlying == "BTC" else 0.7) * (1.0 + 0.1 * np.exp(-years * 12.0))
    theta = level**2 * years
    root = np.sqrt(theta)
    beta, rho, mu, s = 0.35, -0.3, 0.1, 1.1
    alpha = 1.0 - beta * (-rho * mu + np.hypot(mu, s))
    return Parameters(a=theta * alpha, b=root * beta, rho=rho, m=root * mu, s=root * s)


def _options(underlying: str, days: int, rng: np.random.Generator) -> pd.DataFrame:
    expiry = datetime(2026, 2, 5, 8, tzinfo=UTC) + timedelta(days=days)
    years = (expiry - AS_OF).total_seconds() / (365 * 86_400)
    forward = INDEX[underlying] * np.exp(0.04 * years)
    parameters = true_smile(underlying, years)
    deviation = np.sqrt(svi.total_variance(np.zeros(1), **_named(parameters))[0])
    step = 100.0 if underlying == "BTC" else 5.0
    strikes = np.unique(np.round(forward * np.exp(np.linspace(-3.0, 3.0, 25) * deviation) / step) * step)
    k = np.log(strikes / forward)
    volatility = svi.volatility(k, years, parameters) * np.exp(0.002 * rng.standard_normal(strikes.size))
    rows = []
    for is_call in (True, False):
        frame = pd.DataFrame({"strike": strikes, "mark_iv": volatility})
        frame["name"] = [deribit_name(underlying, expiry, strike, is_call=is_call) for strike in strikes]
        values = compute(
            ["price", "vega"],
            forward=forward,
            strike=strikes,
            volatility=volatility,
            time_to_expiry=years,
            is_call=np.full(strikes.size, is_call),
        )
        half = np.maximum(0.004 * values["vega"] / forward, 0.00005)
        frame["mark"] = values["price"] / forward
        frame["bid"], frame["ask"] = np.maximum(frame["mark"] - half, 0.0), frame["mark"] + half
        rows.append(frame.assign(forward=forward))
    return pd.concat(rows)


def _named(parameters: Parameters) -> dict[str, float]:
    return {name: getattr(parameters, name) for name in ("a", "b", "rho", "m", "s")}


def linear_row(name: str, forward: float) -> dict[str, object]:
    return {"name": name, "mark_iv": np.nan, "mark": forward, "bid": forward, "ask": forward, "forward": forward}


def as_chain(frame: pd.DataFrame, **changes: object) -> Chain:
    instruments = tuple(parse(name) for name in frame["name"])
    sizes = [10.0 if not row.is_option and row.is_inverse else 1.0 for row in instruments]
    columns = {name: frame[name].to_numpy(float) for name in ("forward", "bid", "ask", "mark", "mark_iv")}
    given = {
        "venue": "deribit",
        "as_of": AS_OF,
        "known_at": AS_OF,
        "instruments": instruments,
        "contract_size": np.array(sizes),
        "open_interest": np.full(len(frame), np.nan),
        "volume_24h": np.full(len(frame), np.nan),
        "index_price": INDEX,
    }
    return Chain(**(given | columns | changes))


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    options = [_options(name, days, rng) for name in INDEX for days in DAYS]
    linear = [
        linear_row("BTC-PERPETUAL", 70_010.0),
        linear_row("ETH-PERPETUAL", 2_001.0),
        linear_row("BTC_USDC-PERPETUAL", 70_020.0),
        linear_row("BTC-26JUN26", 71_100.0),
        linear_row("BTC-6FEB26", 70_030.0),
        linear_row("ETH_USDC", 2_000.0),
    ]
    return pd.concat([*options, pd.DataFrame(linear)], ignore_index=True)


@pytest.fixture(scope="session")
def truth() -> Callable[[str, float], Parameters]:
    return true_smile


@pytest.fixture(scope="session")
def build() -> Callable[..., Chain]:
    return as_chain


@pytest.fixture(scope="session")
def chain(frame: pd.DataFrame) -> Chain:
    return as_chain(frame)


@pytest.fixture(scope="session")
def surface(chain: Chain) -> Surface:
    return fit(chain)


@pytest.fixture(scope="session")
def scenarios(chain: Chain) -> Callable[..., Scenarios]:
    def make(increments: np.ndarray, horizons: tuple[float, ...] = (24.0,), **changes: object) -> Scenarios:
        array = np.asarray(increments, dtype=float)
        given = {
            "underlyings": ("BTC", "ETH"),
            "factors": FACTORS,
            "horizons": np.array(horizons),
            "increments": array,
            "weights": np.full(len(array), 1.0 / len(array)),
            "as_of": chain.as_of,
            "known_at": chain.known_at,
            "provenance": "test",
        }
        return Scenarios(**(given | changes))

    return make


@pytest.fixture(scope="session")
def recorded(shared: Path) -> dict[str, list[Chain]]:
    """30 recorded chains of each coin, spread over the whole file."""
    found = {}
    for coin in ("btc", "eth"):
        rows = pd.read_parquet(shared / "data" / "deribit_option_chain_6h" / f"{coin}_chain.parquet")
        moments = np.sort(rows["snapshot_ts_utc"].unique())[10::23]
        rows = rows[rows["snapshot_ts_utc"].isin(moments)]
        found[coin] = [_recorded(snapshot) for _, snapshot in rows.groupby("snapshot_ts_utc")]
    return found


def _recorded(rows: pd.DataFrame) -> Chain:
    moment = rows["snapshot_ts_utc"].iloc[0].to_pydatetime()
    renamed = rows.rename(
        columns={
            "instrument_name": "name",
            "forward_price_usd": "forward",
            "bid_price_coin": "bid",
            "ask_price_coin": "ask",
            "mark_price_coin": "mark",
        }
    )
    index = {rows["underlying"].iloc[0]: float(rows["index_price_usd"].iloc[0])}
    return as_chain(renamed, as_of=moment, known_at=moment, index_price=index)
