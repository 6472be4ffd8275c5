import numpy as np
import pytest

from greekdrift.errors import DataError, InputError
from greekdrift.features.history import example
from greekdrift.forecast.days import Days, ahead_mean, of_panel, of_path, of_sessions, so_far, trailing

HOUR = np.timedelta64(3_600_000_000, "us")
START = np.datetime64("2026-01-01", "us")


def path(hours: np.ndarray, *, seed: int = 0, until: int | None = None) -> Days:
    """Hourly prices; those of `hours` alone are seen, a minute later."""
    price = 100.0 * np.exp(np.cumsum(0.01 * np.random.default_rng(seed).normal(size=2000)))
    at = START + hours * HOUR
    seen = slice(None) if until is None else slice(0, until)
    return of_path("X", event_time=at[seen], known_at=(at + HOUR / 60)[seen], price=price[hours][seen], hole_hours=18.0)


def test_a_day_adds_its_squared_steps_and_its_return() -> None:
    hours = np.arange(24 * 10 + 1)
    days = path(hours)
    price = 100.0 * np.exp(np.cumsum(0.01 * np.random.default_rng(0).normal(size=2000)))[hours]
    steps = np.diff(np.log(price)).reshape(10, 24)
    np.testing.assert_allclose(days.variance, (steps**2).sum(axis=1))
    np.testing.assert_allclose(days.returns, steps.sum(axis=1))
    np.testing.assert_allclose(days.close, price[24::24])
    assert days.date(0) == "2026-01-01"


def test_a_day_is_known_when_a_price_at_its_end_is_and_later_prices_change_nothing() -> None:
    hours = np.sort(np.random.default_rng(1).choice(1900, 320, replace=False))
    whole = path(hours)
    for cut in (40, 100, 200, 317):
        part = path(hours, until=cut)
        assert len(part) == len(whole.until(START + hours[cut - 1] * HOUR + HOUR / 60))
        for name in ("day", "known_at", "variance", "returns", "close"):
            np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[: len(part)])


def test_a_hole_and_a_price_that_does_not_move_are_missing_not_zero() -> None:
    hours = np.concatenate([np.arange(0, 60), np.arange(90, 241)])
    days = path(hours)
    np.testing.assert_array_equal(np.isnan(days.variance), [at in (2, 3) for at in range(10)])
    np.testing.assert_array_equal(np.isnan(days.returns), np.isnan(days.variance))
    flat = of_path(
        "X", event_time=START + hours * HOUR, known_at=START + hours * HOUR, price=np.ones(len(hours)), hole_hours=18.0
    )
    assert np.isnan(flat.variance).all()
    with pytest.raises(DataError, match="0 whole days are too few"):
        flat.described()


def test_short_and_constant_histories_are_refused() -> None:
    with pytest.raises(DataError, match="too few to tell its regime, 60 are needed"):
        path(np.arange(24 * 20)).described()
    with pytest.raises(DataError, match="no days"):
        path(np.arange(1))
    with pytest.raises(DataError, match="no whole day"):
        path(np.arange(3, 9))
    day = np.arange(100)
    constant = of_sessions("X", day=day, known_at=START + day * 24 * HOUR, close=np.ones(100), variance=np.ones(100))
    with pytest.raises(DataError, match="the same on every day"):
        constant.described()


def test_no_window_spans_a_hole_of_sessions() -> None:
    day = np.concatenate([np.arange(40), np.arange(100, 140)])
    days = of_sessions("X", day=day, known_at=START + day * 24 * HOUR, close=np.ones(80), variance=np.full(80, 1e-4))
    mean = trailing(days.variance, 22)
    np.testing.assert_array_equal(np.isfinite(mean), np.isin(days.day, np.r_[17:44, 117:140]))
    assert np.isnan(ahead_mean(days.variance, 5)[days.day == 37]).all()
    assert np.isnan(days.returns[days.day == 100]).all()


def test_values_that_cannot_be_are_refused_with_their_day() -> None:
    day = np.arange(3)
    given = {"day": day, "known_at": START + day * 24 * HOUR, "close": np.ones(3)}
    with pytest.raises(DataError, match=r"variance 0.0 of 1970-01-02 is not positive"):
        of_sessions("X", variance=np.array([1.0, 0.0, 1.0]), **given)
    with pytest.raises(DataError, match="do not increase"):
        of_sessions("X", variance=np.ones(3), **(given | {"day": np.array([0, 2, 2])}))


def test_the_mean_so_far_is_that_of_what_was_there() -> None:
    values = np.array([np.nan, 2.0, 4.0, np.nan, 9.0])
    np.testing.assert_array_equal(so_far(values), [np.nan, 2.0, 3.0, 3.0, 5.0])
    np.testing.assert_array_equal(so_far(values, least=2), [np.nan, np.nan, 3.0, 3.0, 5.0])


def test_a_panel_gives_its_days_and_no_other_market() -> None:
    panel = example(rows=200)
    days = of_panel(panel, "BTC")
    assert len(days) == 49
    assert np.isfinite(days.implied).all()
    with pytest.raises(InputError, match="did you mean"):
        of_panel(panel, "BTX")
