from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from greekdrift.errors import DataError
from greekdrift.features.history import Panel
from greekdrift.forecast.historical import Historical
from greekdrift.score import crps


def test_windows_are_increments_that_happened(make_panel):
    panel = make_panel(rows=60)
    made = Historical().fit(panel).predict(panel, horizons=(6.0, 24.0), n=30, seed=0)
    past = panel.increments(24.0).values
    for scenario in made.increments[:, 1]:
        assert np.any(np.all(np.isclose(past, scenario, atol=1e-14), axis=(1, 2)))


def test_a_window_is_joint_over_horizons(make_panel):
    panel = make_panel(rows=40, clock="sessions")
    made = Historical().fit(panel).predict(panel, horizons=(24.0, 48.0), n=200, seed=0)
    one, two = panel.increments(24.0), panel.increments(48.0)
    pairs = {tuple(np.round(np.r_[one.values[at, 0], two.values[at, 0]], 12)) for at in range(len(two))}
    assert {tuple(np.round(np.r_[s[0, 0], s[1, 0]], 12)) for s in made.increments} == pairs


def test_chained_variance_grows_with_the_horizon(make_panel):
    panel = make_panel(rows=500, volatility_of_volatility=0.0)
    made = Historical(chained=True).fit(panel).predict(panel, horizons=(6.0, 24.0, 25.5), n=4000, seed=0)
    deviation = made.increments[:, :, 0, 0].std(axis=0)
    assert deviation[1] / deviation[0] == pytest.approx(2.0, rel=0.1)
    assert deviation[2] / deviation[0] == pytest.approx(np.sqrt(25.5 / 6.0), rel=0.1)


def test_a_history_shorter_than_the_horizon_says_so(make_panel):
    panel = make_panel(rows=10)
    with pytest.raises(DataError, match="past windows of 72 h"):
        Historical().fit(panel).predict(panel, horizons=(72.0,), n=10, seed=0)


@pytest.mark.shared
def test_crps_of_thirty_day_volatility_on_deribit(shared: Path):
    """Fair CRPS of log 30-day ATM, 24 h ahead after 33 days, as measured for this project, ± 2 %.

    Historical 0.0232 (BTC), 0.0177 (ETH); clock 0.0310, 0.0236.
    """
    frame = pq.read_table(shared / "data" / "deribit_iv_factors_6h" / "constant_maturity.parquet").to_pandas()
    frame = frame[frame.tenor_days == 30]
    atm = np.log(frame.pivot_table(index="snapshot_ts_utc", columns="underlying", values="atm_iv"))
    index = np.log(frame.pivot_table(index="snapshot_ts_utc", columns="underlying", values="index_price_usd"))
    as_of = atm.index.tz_convert(None).to_numpy().astype("datetime64[us]")
    panel = Panel(
        underlyings=("BTC", "ETH"),
        factors=("forward", "atm_30"),
        feature_names=(),
        as_of=as_of,
        known_at=as_of + np.timedelta64(5, "m"),
        state=np.stack([index.to_numpy(), atm.to_numpy()], axis=-1),
        features=np.empty((len(as_of), 2, 0)),
        step_hours=6.0,
    )
    day = panel.increments(24.0)
    scored = panel.hours[day.origin] >= 33 * 24
    losses, clock = [], np.abs(day.values[scored][:, :, 1]).mean(axis=0)
    for origin, elapsed, moved in zip(day.origin[scored], day.elapsed_hours[scored], day.values[scored], strict=True):
        history = panel.until(panel.known_at[origin])
        made = Historical().fit(history).predict(history, horizons=(elapsed,), n=400, seed=int(origin))
        losses.append(crps(made.increments[:, 0, :, 1], moved[:, 1]))
    np.testing.assert_allclose(np.mean(losses, axis=0), (0.0232, 0.0177), rtol=0.02)
    np.testing.assert_allclose(clock, (0.0310, 0.0236), rtol=0.02)
