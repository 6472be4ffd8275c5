"""The ladder of realised-variance forecasts on the S&P 500, 2005-2019, as measured for this project.

QLIKE one day ahead: random walk 0.350, HAR 0.263, log-HAR 0.240, log-HAR + leverage + implied 0.206;
five days ahead: log-HAR 0.189, log-HAR + leverage + implied 0.163. Data: ten-minute realised variance of the
Oxford-Man library (column rv10) and the VIX.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from greekdrift.forecast.har import Daily, ladder

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def spx(shared: Path) -> tuple[Daily, int]:
    library = pd.read_parquet(shared / "data" / "realized_variance" / "spx_oxford_man_full_2000_2019.parquet")
    indices = pd.read_parquet(shared / "data" / "vol_indices_daily" / "vol_indices.parquet")
    vix = indices[indices.series == "VIX"].drop_duplicates("date").set_index("date").close
    days = library[library.rv10 > 0.0].set_index("date")
    implied = (vix.reindex(days.index).ffill() / 100.0) ** 2 / 252.0
    returns = np.log(days.close_price).diff().fillna(0.0)
    daily = Daily(
        variance=days.rv10.to_numpy(np.float64),
        returns=returns.to_numpy(np.float64),
        implied=implied.to_numpy(np.float64),
    )
    return daily, int(np.searchsorted(days.index, pd.Timestamp("2005-01-01")))


def test_one_day_ahead(spx):
    daily, first = spx
    losses = ladder(daily, first=first)
    assert losses["random walk"] == pytest.approx(0.350, abs=0.001)
    assert losses["HAR"] == pytest.approx(0.263, abs=0.002)
    assert losses["log-HAR"] == pytest.approx(0.240, abs=0.002)
    assert losses["log-HAR + leverage + implied"] == pytest.approx(0.206, abs=0.01)


def test_five_days_ahead(spx):
    daily, first = spx
    losses = ladder(daily, first=first, horizon=5, models=("log-HAR", "log-HAR + leverage + implied"))
    assert losses["log-HAR"] == pytest.approx(0.189, abs=0.004)
    assert losses["log-HAR + leverage + implied"] == pytest.approx(0.163, abs=0.004)
