"""Packaged real data: digests, absence, and the chains modelled from the surfaces."""

import hashlib
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from greekdrift.book import Kind, Venue
from greekdrift.errors import DataError
from greekdrift.market import packaged
from greekdrift.market.packaged import DIGESTS, QmomsSource, content, spx_daily, stock_returns, surfaces, zero_curve


@pytest.fixture(scope="module")
def source(equity: Venue) -> QmomsSource:
    return QmomsSource(venue=equity)


@pytest.mark.parametrize("name", sorted(DIGESTS))
def test_content_has_the_known_digest(name: str):
    assert hashlib.sha256(content(name)).hexdigest() == DIGESTS[name]


def test_other_content_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(DIGESTS, "qmoms/data/returns.csv", "0" * 64)
    with pytest.raises(
        DataError, match=r"qmoms/data/returns.csv has other content .* pip install 'greekdrift\[data\]'"
    ):
        stock_returns()


def test_an_absent_package_is_answered_with_the_command(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packaged, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"package arch, .* not installed; .*pip install 'greekdrift\[data\]'"):
        spx_daily()


def test_an_absent_file_is_named():
    with pytest.raises(DataError, match=r"nothing\.csv is not there"):
        content("qmoms/data/nothing.csv")


def test_the_packages_themselves_are_not_imported():
    sys.modules.pop("qmoms", None)
    surfaces()
    assert "qmoms" not in sys.modules


def test_surfaces_are_those_of_five_stocks():
    table = surfaces()
    assert len(table) == 67_500
    assert table["ticker"].value_counts().to_dict() == dict.fromkeys(["AAPL", "CAT", "CVX", "IBM", "TSLA"], 13_500)
    assert table.isna().sum().sum() == 0
    assert table["volatility"].between(0.1, 1.1).all()
    assert table["delta"].abs().max() == 0.5
    assert zero_curve().loc["2023-03-01", 30.0] == pytest.approx(0.04162168)


def test_returns_cover_two_years_and_are_known_after_their_day():
    table = stock_returns()
    assert len(table) == 501
    assert {"IBM", "CVX", "AAPL", "CAT", "TSLA", "mktrf", "rf"} <= set(table)
    assert (table["known_at"] - table["date"] == pd.Timedelta(days=1)).all()


def test_spx_daily_has_vix_where_it_is_known_and_nothing_where_not():
    table = spx_daily()
    assert list(table) == ["date", "open", "high", "low", "close", "vix", "known_at"]
    assert table["date"].is_monotonic_increasing
    assert table.loc[table["date"] < "2014-01-01", "vix"].isna().all()
    after = table.loc[table["date"] >= "2014-01-03"]
    assert after["vix"].notna().mean() > 0.99
    row = table.set_index("date").loc["2018-02-05"]
    assert (row["close"], row["vix"]) == (pytest.approx(2648.94), 37.32)
    assert (table["high"] >= table[["open", "close", "low"]].max(axis=1) - 1e-6).all()
    assert (table["known_at"] - table["date"] == pd.Timedelta(days=1)).all()


class TestChains:
    """Modelled listed chains."""

    def test_one_snapshot_a_trading_day_at_the_close(self, source: QmomsSource):
        closes = source.snapshots()
        assert len(closes) == 250
        assert (closes[0].isoformat(), closes[-1].isoformat()) == (
            "2023-01-03T21:00:00+00:00",
            "2023-12-29T21:00:00+00:00",
        )
        assert {close.hour for close in closes} == {17, 18, 20, 21}
        assert [close.date() for close in closes if close.hour in {17, 18}] == [date(2023, 7, 3), date(2023, 11, 24)]
        assert (source.clock, source.step_hours) == ("sessions", 24.0)

    def test_chain_says_that_it_is_modelled_and_when_it_is_known(self, source: QmomsSource):
        chain = source.chain(source.snapshots()[10])
        assert chain.origin == "modelled"
        assert chain.known_at - chain.as_of == timedelta(minutes=15)
        assert chain.underlyings == ("AAPL", "CAT", "CVX", "IBM", "TSLA")
        assert [row.name for row in chain.instruments if row.kind is Kind.SPOT] == [
            f"{name}.USD-SPOT" for name in chain.underlyings
        ]
        assert np.all(np.isnan(chain.open_interest))

    def test_expiries_lie_between_a_week_and_98_days(self, source: QmomsSource):
        for moment in source.snapshots()[::10]:
            chain = source.chain(moment)
            days = chain.time_to_expiry[chain.is_option] * 365.0
            assert np.min(days) > 6.8
            assert np.max(days) < 98.2
            for name in chain.underlyings:
                assert len(np.unique(chain.expiry[chain.is_option & (chain.underlying == name)])) >= 3

    def test_what_is_listed_stays_listed_until_a_week_before_expiry(self, source: QmomsSource):
        before = None
        for moment in source.snapshots():
            chain = source.chain(moment)
            if before is not None:
                gone = set(before.row_of) - set(chain.row_of)
                for name in gone:
                    expiry = before.instruments[before.row_of[name]].expiry
                    assert expiry.date() - moment.date() < timedelta(days=7)
            before = chain

    def test_quotes_bracket_the_mark_on_ticks(self, source: QmomsSource, equity: Venue):
        chain = source.chain(source.snapshots()[99])
        assert np.all(chain.ask >= chain.mark)
        assert np.all(np.isnan(chain.bid) | (chain.bid <= chain.mark))
        for at in range(len(chain)):
            tick = equity.product(chain.instruments[at]).tick_at(chain.ask[at])
            assert chain.ask[at] / tick == pytest.approx(round(chain.ask[at] / tick), abs=1e-6)

    def test_parity_holds_exactly(self, source: QmomsSource):
        chain = source.chain(source.snapshots()[60])
        calls = np.flatnonzero(chain.is_option & chain.is_call)
        puts = chain.rows([chain.instruments[at].name[:-1] + "P" for at in calls])
        expected = chain.forward[calls] - chain.strike[calls]
        np.testing.assert_allclose(chain.mark[calls] - chain.mark[puts], expected, rtol=0, atol=1e-9)

    def test_calls_are_convex_in_strike_within_the_spread(self, source: QmomsSource):
        triples = violations = 0
        for moment in source.snapshots()[::25]:
            chain = source.chain(moment)
            calls = chain.is_option & chain.is_call
            for name in chain.underlyings:
                for expiry in np.unique(chain.expiry[calls & (chain.underlying == name)]):
                    rows = np.flatnonzero(calls & (chain.underlying == name) & (chain.expiry == expiry))
                    rows = rows[np.argsort(chain.strike[rows])]
                    slopes = np.diff(chain.mark[rows]) / np.diff(chain.strike[rows])
                    assert np.all(slopes < 1e-9)
                    triples += max(len(slopes) - 1, 0)
                    violations += int(np.sum(np.diff(slopes) < -1e-9))
        assert triples > 2_000
        assert violations / triples < 0.005

    def test_same_bytes_whatever_was_asked_before(self, source: QmomsSource, equity: Venue):
        from greekdrift.book import digest

        fresh = QmomsSource(venue=equity)
        moment = fresh.snapshots()[123]
        assert digest(fresh.chain(moment)) == digest(source.chain(moment))

    def test_some_stocks_only(self, equity: Venue):
        two = QmomsSource(venue=equity, underlyings=("TSLA", "IBM"))
        assert two.chain(two.snapshots()[0]).underlyings == ("IBM", "TSLA")
        with pytest.raises(DataError, match=r'no "TESLA"; did you mean "TSLA"'):
            QmomsSource(venue=equity, underlyings=("TESLA",))


@pytest.mark.shared
def test_packaged_surfaces_are_the_development_copy(shared: Path):
    copy = pd.read_parquet(shared / "data" / "equity_iv_surfaces_2023" / "surface_qmoms.parquet")
    table = surfaces()
    np.testing.assert_array_equal(copy["impl_volatility"].to_numpy(), table["volatility"].to_numpy())
    np.testing.assert_array_equal(copy["ticker"].astype(str).to_numpy(), table["ticker"].astype(str).to_numpy())
