from dataclasses import replace

import numpy as np
import pytest

from greekdrift.errors import InputError
from greekdrift.features.funding import Funding, FundingShift, Premium
from greekdrift.features.history import HOUR, Panel, example
from greekdrift.market.series import Series

START = np.datetime64("2026-01-01", "us")
YEAR = 8760.0


def _payments(hours: list[float], rates: list[float], *, lag_minutes: int = 0, interval: float = 8.0) -> Series:
    event = START + (np.array(hours) * 3.6e9).astype("timedelta64[us]")
    return Series(
        name="funding/BTC",
        event_time=event,
        known_at=event + np.timedelta64(lag_minutes, "m"),
        columns=("rate", "interval"),
        units=("per interval", "hour"),
        values=np.stack([np.array(rates), np.full(len(rates), interval)], axis=1),
        hole_hours=24.0,
    )


def _closes(name: str, closes: list[float], *, first_hour: float = 0.0) -> Series:
    event = START + ((first_hour + np.arange(len(closes))) * 3.6e9).astype("timedelta64[us]")
    values = np.array(closes)[:, None]
    return Series(
        name=name, event_time=event, known_at=event, columns=("close",), units=("USD",), values=values, hole_hours=3.0
    )


def _panel(rows: int = 10, **histories: Series) -> Panel:
    named = {name.replace("_", "/"): one for name, one in histories.items()}
    return replace(example(rows=rows, underlyings=("BTC", "ETH")), histories=named)


FUNDING = Funding(history="funding/{underlying}")


def test_the_mean_of_the_payments_known_in_the_window() -> None:
    record = _payments([0.0, 8.0, 16.0, 24.0, 32.0], [1e-4, 2e-4, 3e-4, 4e-4, 5e-4])
    column = FUNDING.compute(_panel(funding_BTC=record))
    assert np.isnan(column[:4, 0]).all()
    assert column[4, 0] == pytest.approx(3e-4 * YEAR / 8.0)
    assert column[5, 0] == pytest.approx(3e-4 * YEAR / 8.0)
    assert column[6, 0] == pytest.approx(4e-4 * YEAR / 8.0)
    assert np.isnan(column[:, 1]).all()


def test_a_mean_is_missing_once_payments_have_stopped() -> None:
    record = _payments([0.0, 8.0, 16.0, 24.0], [1e-4] * 4)
    column = FUNDING.compute(_panel(rows=20, funding_BTC=record))[:, 0]
    assert np.isfinite(column[4:8]).all()
    assert np.isnan(column[9:]).all()


def test_hourly_payments_are_annualised_by_their_own_interval() -> None:
    record = _payments([float(hour) for hour in range(40)], [1e-5] * 40, interval=1.0)
    assert FUNDING.compute(_panel(funding_BTC=record))[5, 0] == pytest.approx(1e-5 * YEAR)


def test_a_payment_known_later_is_not_seen() -> None:
    on_time = _payments([0.0, 8.0, 16.0, 24.0], [1e-4, 2e-4, 3e-4, 4e-4])
    late = _payments([0.0, 8.0, 16.0, 24.0], [1e-4, 2e-4, 3e-4, 4e-4], lag_minutes=6)
    first, second = (FUNDING.compute(_panel(funding_BTC=record))[4, 0] for record in (on_time, late))
    assert np.isfinite(first)
    assert np.isnan(second)


def test_the_shift_is_the_newest_minus_the_mean() -> None:
    record = _payments([0.0, 8.0, 16.0, 24.0], [1e-4, 2e-4, 3e-4, 7e-4])
    column = FundingShift(history="funding/{underlying}", hours=24.0).compute(_panel(funding_BTC=record))
    assert column[4, 0] == pytest.approx((7e-4 - 4e-4) * YEAR / 8.0)


def test_a_premium_counts_instants_that_both_have() -> None:
    spot, perpetual = [100.0] * 40, [101.0] * 40
    perpetual[20:] = [102.0] * 20
    feature = Premium(history="perp/{underlying}", over="spot/{underlying}", hours=4.0)
    panel = _panel(perp_BTC=_closes("perp/BTC", perpetual), spot_BTC=_closes("spot/BTC", spot))
    column = feature.compute(panel)[:, 0]
    assert column[2] == pytest.approx(np.log(1.01))
    assert column[5] == pytest.approx(np.log(1.02))
    shifted = _closes("spot/BTC", spot, first_hour=0.5)
    assert np.isnan(feature.compute(_panel(perp_BTC=_closes("perp/BTC", perpetual), spot_BTC=shifted))).all()
    alone = feature.compute(_panel(perp_BTC=_closes("perp/BTC", perpetual), spot_ETH=_closes("spot/ETH", spot)))
    assert np.isnan(alone).all()


def test_a_premium_is_known_when_the_later_price_was() -> None:
    spot, perpetual = _closes("spot/BTC", [100.0] * 40), _closes("perp/BTC", [101.0] * 40)
    late = replace(spot, known_at=spot.known_at + HOUR)
    feature = Premium(history="perp/{underlying}", over="spot/{underlying}", hours=4.0)
    row = replace(example(rows=1), as_of=np.array([START]), known_at=np.array([START + 4 * HOUR]))
    values = [
        feature.compute(replace(row, histories={"perp/BTC": perpetual, "spot/BTC": one}))[0, 0] for one in (spot, late)
    ]
    assert np.isfinite(values[0])
    assert np.isnan(values[1])


def test_a_panel_without_the_record_is_refused() -> None:
    with pytest.raises(InputError, match='no history "funding/BTC"'):
        FUNDING.compute(example(rows=3))
    with pytest.raises(InputError, match="did you mean"):
        FUNDING.compute(_panel(funding_BTX=_payments([0.0], [1e-4])))
