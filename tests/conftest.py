"""Shared fixtures: where the development data lie, and quiet, offline libraries."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import log, nan
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from greekdrift.book import Chain, Instrument
from greekdrift.book.instrument import deribit_name, parse
from greekdrift.greeks import compute

settings.register_profile("greekdrift", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "nightly", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=2_000, derandomize=True
)
settings.load_profile("greekdrift")

SHARED = Path(os.environ.get("GREEKDRIFT_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if SHARED.is_dir():
        return
    absent = pytest.mark.skip(reason=f"development data are not at {SHARED}; set GREEKDRIFT_SHARED")
    for item in items:
        if item.get_closest_marker("shared"):
            item.add_marker(absent)


@pytest.fixture(scope="session")
def shared() -> Path:
    return SHARED


@pytest.fixture(scope="session")
def golden(shared: Path) -> Path:
    return shared / "golden"


def listed_chain(
    *,
    underlying: str = "BTC",
    index: float = 100_000.0,
    currency: str = "",
    days: tuple[float, ...] = (2.0, 9.0, 30.0, 91.0),
    moneyness: tuple[float, ...] = (0.7, 0.85, 0.95, 1.0, 1.05, 1.15, 1.3),
    as_of: datetime = datetime(2026, 1, 1, 8, tzinfo=UTC),
    venue: str = "deribit",
    **columns: object,
) -> Chain:
    """A consistent chain made by hand: options on a smile with a basis, one future per expiry, a perpetual, spot.

    Coin-settled like Deribit's, or linear in `currency`; exact Black marks, quotes 2 % around them. Names give the day
    alone and expire at 08:00, so that `as_of` plus each of `days` must be 08:00.
    """
    rows: list[tuple[Instrument, float, float, float]] = []
    for day in days:
        expiry, forward = as_of + timedelta(days=day), index * (1.0 + 0.05 * day / 365.0)
        for ratio in moneyness:
            strike = round(index * ratio)
            k = log(strike / forward)
            at = {"forward": forward, "strike": strike, "volatility": 0.6 - 0.3 * k + 0.8 * k * k}
            for is_call in (True, False):
                price = float(compute(["price"], **at, time_to_expiry=day / 365.0, is_call=is_call)["price"])
                name = deribit_name(underlying, expiry, strike, is_call=is_call, currency=currency)
                rows.append((parse(name), forward, price if currency else price / forward, at["volatility"]))
        rows.append((parse(deribit_name(underlying, expiry, currency=currency)), forward, forward, nan))
    pair = f"{underlying}_{currency}" if currency else underlying
    rows.append((parse(f"{pair}-PERPETUAL"), index * 1.0001, index * 1.0001, nan))
    rows.append((parse(f"{underlying}_USDC"), index, index, nan))
    mark = np.array([row[2] for row in rows])
    in_usd = [row[0].is_inverse and not row[0].is_option for row in rows]
    given: dict[str, object] = {
        "contract_size": np.where(in_usd, 10.0, 1.0),
        "forward": [row[1] for row in rows],
        "bid": mark * 0.98,
        "ask": mark * 1.02,
        "mark": mark,
        "mark_iv": [row[3] for row in rows],
        "open_interest": np.full(len(rows), 500.0),
        "volume_24h": [200.0 if row[0].is_option else nan for row in rows],
        "index_price": {underlying: index},
    }
    names = tuple(row[0] for row in rows)
    return Chain(venue=venue, as_of=as_of, known_at=as_of, instruments=names, **{**given, **columns})


@pytest.fixture(scope="session")
def make_chain() -> Callable[..., Chain]:
    return listed_chain
