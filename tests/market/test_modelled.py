"""The model between the surfaces and a listed chain: smiles, forwards, dividends."""

from datetime import date

import numpy as np
import pytest

from greekdrift.book import Venue
from greekdrift.market.modelled import TENORS, Stock, close_of, quoted
from greekdrift.market.packaged import QmomsSource
from greekdrift.units import instant


@pytest.fixture(scope="module")
def stocks(equity: Venue) -> dict[str, Stock]:
    return {stock.ticker: stock for stock in QmomsSource(venue=equity)._stocks}


def test_the_close_follows_the_clocks_of_new_york():
    assert close_of(date(2023, 3, 10)) == instant("2023-03-10T21:00Z")
    assert close_of(date(2023, 3, 13)) == instant("2023-03-13T20:00Z")
    assert close_of(date(2023, 11, 24)) == instant("2023-11-24T18:00Z")


def test_at_its_tenors_the_model_gives_the_surface_back(stocks: dict[str, Stock]):
    for stock in stocks.values():
        for day in (0, 100, 249):
            for at, tenor in enumerate(TENORS):
                years = tenor / 365.0
                assert stock.forward_at(day, tenor) == pytest.approx(stock.forward[day, at], rel=1e-12)
                k = np.log(stock.strike[day, at] / stock.forward[day, at])
                x = k / (stock.atm_at(day, years) * np.sqrt(years))
                outer = np.abs(stock.volatility_at(day, x, years) - stock.volatility[day, at])
                middle = np.isin(np.arange(len(k)), [len(k) // 2 - 1, len(k) // 2])
                assert np.max(outer[~middle]) < 1e-12
                assert np.max(outer[middle]) < 0.02


def test_total_variance_at_the_money_is_linear_between_tenors(stocks: dict[str, Stock]):
    stock = stocks["AAPL"]
    total = [stock.atm_at(50, days / 365.0) ** 2 * days for days in (30.0, 45.0, 60.0)]
    assert total[1] == pytest.approx(0.5 * (total[0] + total[2]), rel=1e-12)


def test_below_thirty_days_the_smile_keeps_its_shape(stocks: dict[str, Stock]):
    stock = stocks["AAPL"]
    x = np.linspace(-3.0, 3.0, 13)
    np.testing.assert_allclose(
        stock.volatility_at(50, x, 10.0 / 365.0), stock.volatility_at(50, x, 30.0 / 365.0), rtol=1e-12
    )


def test_wings_never_fall_and_have_no_kink(stocks: dict[str, Stock]):
    for stock in stocks.values():
        x = np.linspace(-6.0, 6.0, 241)
        variance = stock.volatility_at(120, x, 30.0 / 365.0) ** 2
        left, right = variance[x < -2.5], variance[x > 2.5]
        assert np.all(np.diff(left) <= 1e-12)
        assert np.all(np.diff(right) >= -1e-12)
        np.testing.assert_allclose(np.diff(left, 2), 0.0, atol=1e-9)


def test_ex_dates_are_those_of_the_companies(stocks: dict[str, Stock]):
    assert stocks["TSLA"].ex_dates == ()
    assert stocks["IBM"].ex_dates[:4] == (date(2023, 2, 9), date(2023, 5, 9), date(2023, 8, 9), date(2023, 11, 9))
    assert stocks["AAPL"].ex_dates[-1] == date(2024, 2, 9)


def test_a_dividend_counts_for_the_expiries_after_its_ex_date(stocks: dict[str, Stock]):
    stock = stocks["IBM"]
    day = stock.dates.index(date(2023, 4, 20))
    ahead = (date(2023, 5, 9) - stock.dates[day]).days
    assert stock.dividend(day, ahead - 1.0) == pytest.approx(0.0, abs=0.02)
    assert stock.dividend(day, float(ahead)) == pytest.approx(1.66, abs=0.02)
    assert stock.dividend(day, 25.0) == pytest.approx(stock.dividends[day, 0], abs=0.02)


def test_forwards_of_an_expiry_jump_on_ex_dates_only(stocks: dict[str, Stock]):
    """A listed expiry knows its dividends beforehand: ln F/S moves by more than 0.4 % only when the stock goes ex."""
    for stock in stocks.values():
        for expiry, (_, _, first) in stock.listed.items():
            days = [at for at, day in enumerate(stock.dates) if at >= first and 7 <= (expiry - day).days <= 98]
            basis = [
                np.log(stock.forward_at(at, float((expiry - stock.dates[at]).days)) / stock.spot[at]) for at in days
            ]
            jumps = [days[at + 1] for at in np.flatnonzero(np.abs(np.diff(basis)) > 4e-3)]
            assert [stock.dates[at] for at in jumps if stock.dates[at] not in stock.ex_dates] == []


def test_quotes_are_at_least_a_tick_from_the_mark(equity: Venue):
    from greekdrift.book.instrument import parse

    option = equity.product(parse("AAPL.USD-20230616T2000-150-C"))
    bid, ask = quoted(np.array([0.004, 0.50, 10.0]), option)
    np.testing.assert_allclose(bid, [np.nan, 0.49, 9.85])
    np.testing.assert_allclose(ask, [0.02, 0.51, 10.15])
