import numpy as np
import pytest

from greekdrift.errors import DataError
from greekdrift.features.funding import Funding, FundingRecord
from greekdrift.features.history import HOUR, example


def _record(hours: list[float], rates: list[float]) -> FundingRecord:
    start = np.datetime64("2026-01-01", "us")
    known = start + (np.array(hours) * 3.6e9).astype("timedelta64[us]")
    return FundingRecord(known_at=known, rate=np.array(rates), interval_hours=8.0)


def test_the_mean_of_the_payments_known_in_the_window() -> None:
    panel = example(rows=10, underlyings=("BTC", "ETH"))
    feature = Funding(records={"BTC": _record([0.0, 8.0, 16.0, 24.0], [1e-4, 2e-4, 3e-4, 4e-4])}, hours=24.0)
    column = feature.compute(panel)
    year = 365.0 * 3.0
    assert column[0, 0] == pytest.approx(1e-4 * year)
    assert column[2, 0] == pytest.approx(1.5e-4 * year)
    assert column[4, 0] == pytest.approx(3e-4 * year)
    assert np.isnan(column[-1, 0])
    assert np.isnan(column[:, 1]).all()


def test_a_payment_known_later_is_not_seen() -> None:
    panel = example(rows=4)
    late = FundingRecord(known_at=panel.known_at[1:2] + HOUR, rate=np.array([1e-4]), interval_hours=8.0)
    column = Funding(records={"BTC": late}).compute(panel)[:, 0]
    assert np.isnan(column[:2]).all()
    assert np.isfinite(column[2:]).all()


def test_refusals() -> None:
    with pytest.raises(DataError, match="decrease"):
        _record([8.0, 0.0], [1e-4, 1e-4])
    with pytest.raises(DataError, match="must be numbers"):
        _record([0.0], [np.nan])
