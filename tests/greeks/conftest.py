"""An independent truth in 60 digits, and a small chain of every kind of row."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import mpmath as mp
import numpy as np
import pytest

from greekdrift.book import Chain
from greekdrift.book.instrument import parse

AS_OF = datetime(2025, 6, 1, 8, tzinfo=UTC)
ORDER = {  # how often to differentiate to forward, volatility and calendar time
    "price": (0, 0, 0), "delta": (1, 0, 0), "gamma": (2, 0, 0), "speed": (3, 0, 0), "vega": (0, 1, 0),
    "volga": (0, 2, 0), "vanna": (1, 1, 0), "zomma": (2, 1, 0), "theta": (0, 0, 1), "charm": (1, 0, 1),
    "veta": (0, 1, 1), "color": (2, 0, 1),
}  # fmt: skip


def exact_price(F: mp.mpf, K: mp.mpf, sigma: mp.mpf, tau: mp.mpf, rate: mp.mpf, is_call: bool) -> mp.mpf:
    s = sigma * mp.sqrt(tau)
    d1 = mp.log(F / K) / s + s / 2
    side = 1 if is_call else -1
    return side * mp.exp(-rate * tau) * (F * mp.ncdf(side * d1) - K * mp.ncdf(side * (d1 - s)))


def exact(name: str, F: float, K: float, sigma: float, tau: float, rate: mp.mpf, is_call: bool) -> mp.mpf:
    """Quantity by numerical differentiation of the 60-digit price: no Greek formula enters."""
    F, K, sigma, tau = mp.mpf(F), mp.mpf(K), mp.mpf(sigma), mp.mpf(tau)
    if name == "rho":
        return mp.diff(lambda r: exact_price(F * mp.exp((r - rate) * tau), K, sigma, tau, r, is_call), rate)
    if name == "price":
        return exact_price(F, K, sigma, tau, rate, is_call)
    moved = lambda forward, vol, t: exact_price(forward, K, vol, tau - t, rate, is_call)  # noqa: E731
    return mp.diff(moved, (F, sigma, mp.mpf(0)), ORDER[name])


@pytest.fixture
def truth() -> Callable[..., mp.mpf]:
    mp.mp.dps = 60
    return exact


def build(names: Sequence[str], forward: Sequence[float], index: dict[str, float], **columns: object) -> Chain:
    blank = np.full(len(names), np.nan)
    instruments = tuple(parse(name) for name in names)
    given = {
        "contract_size": np.ones(len(names)),
        "bid": blank,
        "ask": blank,
        "mark": np.full(len(names), 0.01),
        "mark_iv": np.where([row.is_option for row in instruments], 0.6, np.nan),
        "open_interest": blank,
        "volume_24h": blank,
        "as_of": AS_OF,
        "known_at": AS_OF,
    } | columns
    return Chain(venue="deribit", instruments=instruments, forward=np.array(forward), index_price=index, **given)


@pytest.fixture
def make_chain() -> Callable[..., Chain]:
    return build


NAMES = (
    "BTC-27JUN25-100000-C", "BTC-27JUN25-90000-P", "BTC-26SEP25-120000-C", "BTC-PERPETUAL", "BTC-27JUN25",
    "BTC_USDC-27JUN25-100000-C", "BTC_USDC-PERPETUAL", "BTC_USDC", "ETH-2JUN25-2600-P", "ETH-PERPETUAL",
)  # fmt: skip


@pytest.fixture
def every_kind() -> Chain:
    return build(
        NAMES,
        [101_000.0, 101_000.0, 103_000.0, 100_100.0, 101_000.0, 100_000.0, 100_000.0, 100_000.0, 2500.0, 2501.0],
        {"BTC": 100_000.0, "ETH": 2500.0},
        contract_size=[1.0, 1.0, 1.0, 10.0, 10.0, 0.01, 0.001, 1.0, 1.0, 1.0],
        mark_iv=[0.5, 0.55, 0.52, np.nan, np.nan, 0.5, np.nan, np.nan, 0.8, np.nan],
    )
