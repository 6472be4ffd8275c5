"""Synthetic panels with a known law, for every test of a forecaster."""

from collections.abc import Callable

import numpy as np
import pytest

from greekdrift.features.history import HOUR, Panel

FACTORS = ("forward", "atm_7", "atm_30", "skew_30", "curvature_30", "basis")

MakePanel = Callable[..., Panel]


def synthetic(
    *,
    rows: int = 400,
    seed: int = 0,
    underlyings: tuple[str, ...] = ("BTC", "ETH"),
    clock: str = "elapsed",
    volatility_of_volatility: float = 0.12,
) -> Panel:
    """Log volatility of each return an AR(1) with a common part; implied follows it; 0.7 correlation of returns.

    Steps of 6 h (jittered by up to half an hour) on "elapsed", of a day on "sessions".
    """
    rng = np.random.default_rng(seed)
    step = 6.0 if clock == "elapsed" else 24.0
    year = 8760.0 if clock == "elapsed" else 252.0 * 24.0
    count, n = len(underlyings), rows
    jitter = rng.uniform(-0.5, 0.5, n) if clock == "elapsed" else np.zeros(n)
    hours = step * np.arange(n) + jitter
    level = np.zeros((n, count))
    for row in range(1, n):
        shock = 0.8 * rng.standard_normal() + 0.6 * rng.standard_normal(count)
        level[row] = 0.97 * level[row - 1] + volatility_of_volatility * shock
    volatility = 0.5 * np.exp(level)
    length = np.diff(hours, prepend=hours[0] - step)
    common, own = rng.standard_normal((n, 1)), rng.standard_normal((n, count))
    size = np.sqrt(np.clip(length, 0.1, None) / year)[:, None]
    returns = np.concatenate([np.zeros((1, count)), volatility[:-1]]) * size * (0.84 * common + 0.54 * own)
    state = np.stack(
        [
            10.0 + np.cumsum(returns, axis=0),
            np.log(volatility) + 0.02 * rng.standard_normal((n, count)),
            np.log(0.5) + 0.6 * level + 0.01 * rng.standard_normal((n, count)),
            -0.05 + 0.01 * np.cumsum(rng.standard_normal((n, count)), axis=0) * 0.3,
            0.02 + 0.002 * rng.standard_normal((n, count)),
            0.0001 * rng.standard_normal((n, count)),
        ],
        axis=-1,
    )
    as_of = np.datetime64("2026-01-01", "us") + np.round(hours * 3600e6).astype("timedelta64[us]")
    return Panel(
        underlyings=underlyings,
        factors=FACTORS,
        feature_names=(),
        as_of=as_of,
        known_at=as_of + HOUR // 12,
        state=state,
        features=np.empty((n, count, 0)),
        step_hours=step,
        clock=clock,
    )


@pytest.fixture(scope="session")
def make_panel() -> MakePanel:
    return synthetic
