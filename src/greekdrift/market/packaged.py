"""Real data that everybody has from PyPI: implied-volatility surfaces of five US stocks, and the S&P 500 with the VIX.

qmoms 0.1.3 (MIT): surfaces of IBM, CVX, AAPL, CAT, TSLA for each trading day of 2023 by delta (10..50) and tenor
(30, 60, 91 days), returns 2022-2023, zero curve. arch (NCSA): S&P 500 open, high, low, close 1999-2018, VIX close
2014-2018. The files are found without importing those packages, and their content is held against known digests.
Chains made from the surfaces are *modelled*: see `greekdrift.market.modelled` for what is real and what is not.
"""

import gzip
import hashlib
from datetime import datetime, timedelta
from functools import cached_property
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd

from greekdrift.book import Chain, Venue
from greekdrift.errors import DataError, nearest
from greekdrift.market import modelled
from greekdrift.market.modelled import TENORS, Stock
from greekdrift.market.source import position

TICKERS = {12490: "IBM", 14541: "CVX", 14593: "AAPL", 18542: "CAT", 93436: "TSLA"}
"""Ticker of each CRSP permno in the surfaces."""

DIGESTS = {
    "qmoms/data/surface.csv": "6bcdd5566760ff8ccca0d6ccffaea83c3829044ed092698efedf3f3ac9cdb58b",
    "qmoms/data/returns.csv": "f160e73181fcf7a52e89caa7eae0d97ff61c7bddb66e7ff80bf07d4ab9d849cc",
    "qmoms/data/zerocd.csv": "2ff9019c1a598bdc7e37a04a029ff53f41eb55503b328a12382606aa2b2fd1bb",
    "arch/data/sp500/sp500.csv.gz": "1c4d0aeed8db9284de8ad71e4063c97f645ad6dd13507f8e305338e96c396ba7",
    "arch/data/vix/vix.csv.gz": "6426bbfd29e017bf33d95e25e69cded4c9686b736466100b0fa4703814f78731",
}
"""SHA-256 of the content of each file, unpacked where it is packed (the packing may change, the data may not)."""

REMEDY = "install it with: pip install 'greekdrift[data]'"


def content(name: str) -> bytes:
    """The unpacked content of a packaged file such as "qmoms/data/surface.csv", held against its digest."""
    package, _, inside = name.partition("/")
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise DataError(f"the package {package}, which holds {inside}, is not installed; {REMEDY}.")
    path = Path(next(iter(spec.submodule_search_locations))) / inside
    if not path.is_file():
        raise DataError(f"{path} is not there; {REMEDY}, or the version that greekdrift was built against.")
    raw = path.read_bytes()
    return _same(gzip.decompress(raw) if path.suffix == ".gz" else raw, name)


def _same(data: bytes, name: str) -> bytes:
    found = hashlib.sha256(data).hexdigest()
    if found != DIGESTS[name]:
        raise DataError(
            f"{name} has other content than greekdrift was built against (SHA-256 {found[:12]}… instead of "
            f"{DIGESTS[name][:12]}…); {REMEDY}, in the version of the constraints file."
        )
    return data


def surfaces() -> pd.DataFrame:
    """Real implied volatilities: date, ticker, tenor_days, strike, volatility, delta, forward, spot.

    Volatility is a fraction; delta in [-0.5, 0.5], negative for puts; only out-of-the-money options.
    """
    raw = pd.read_csv(BytesIO(content("qmoms/data/surface.csv")))
    return pd.DataFrame(
        {
            "date": pd.to_datetime(raw["date"]).to_numpy(dtype="datetime64[us]"),
            "ticker": raw["id"].map(TICKERS),
            "tenor_days": raw["days"],
            "strike": raw["k"],
            "volatility": raw["impl_volatility"],
            "delta": raw["delta"] / 100.0,
            "forward": raw["f"],
            "spot": raw["s"],
        }
    )


def zero_curve() -> pd.DataFrame:
    """Continuous zero rates as fractions: one row a date, one column a tenor in days."""
    raw = pd.read_csv(BytesIO(content("qmoms/data/zerocd.csv")))
    table = raw.pivot_table(index="date", columns="days", values="rate") / 100.0
    table.index = pd.to_datetime(table.index)
    return table


def stock_returns() -> pd.DataFrame:
    """Daily simple total returns of the five stocks, market excess return and riskless rate, 2022-2023.

    Columns: date, the tickers, mktrf, rf, known_at (end of the day, UTC).
    """
    raw = pd.read_csv(BytesIO(content("qmoms/data/returns.csv")))
    table = raw.rename(columns={str(permno): ticker for permno, ticker in TICKERS.items()})
    table["date"] = pd.to_datetime(table["date"]).to_numpy(dtype="datetime64[us]")
    return table.assign(known_at=table["date"] + pd.Timedelta(days=1))


def spx_daily() -> pd.DataFrame:
    """S&P 500 by trading day, 1999-2018: date, open, high, low, close, vix (NaN where not recorded), known_at.

    `vix` is the close in points, from 2014 on. `known_at` is the end of the day in UTC (20:00 in New York in summer):
    both the close and the VIX are used only after it.

    >>> table = spx_daily()
    >>> len(table), float(table["close"].iloc[-1].round(2)), float(table["vix"].iloc[-1])
    (5031, 2506.85, 25.42)
    """
    index = pd.read_csv(BytesIO(content("arch/data/sp500/sp500.csv.gz")))
    fear = pd.read_csv(BytesIO(content("arch/data/vix/vix.csv.gz")))
    table = pd.DataFrame(
        {
            "date": pd.to_datetime(index["Date"], format="%m/%d/%Y").to_numpy(dtype="datetime64[us]"),
            **{name.lower(): index[name] for name in ("Open", "High", "Low", "Close")},
        }
    )
    dates = pd.to_datetime(fear["Date"], format="%m/%d/%Y").to_numpy(dtype="datetime64[us]")
    levels = pd.to_numeric(fear["vix"], errors="coerce").to_numpy(dtype=np.float64)
    table["vix"] = table["date"].map(pd.Series(levels, index=dates))
    return table.assign(known_at=table["date"] + pd.Timedelta(days=1))


class QmomsSource:
    """Listed chains of five US stocks in 2023, modelled from their real implied-volatility surfaces.

    One snapshot a trading day, at the New York close. `daily_contracts` is the assumed 24-hour volume of an option at
    the money (falling off as exp(-x²/2) with standardised moneyness x), `daily_shares` that of the stock; the surfaces
    record none. Bid and ask are the venue's half-spread around the mark.
    """

    name = "qmoms"
    clock = "sessions"
    step_hours = 24.0

    def __init__(
        self,
        *,
        venue: Venue,
        underlyings: tuple[str, ...] = (),
        daily_contracts: float = 1_000.0,
        daily_shares: float = 5_000_000.0,
        known_after_minutes: float = 15.0,
    ) -> None:
        known = sorted(TICKERS.values())
        for ticker in underlyings:
            if ticker not in known:
                raise DataError(f'the packaged surfaces have no "{ticker}"; {nearest(ticker, known)}.')
        self.underlyings = tuple(sorted(underlyings)) or tuple(known)
        self._venue = venue
        self._volumes = (daily_contracts, daily_shares)
        self._known_after = timedelta(minutes=known_after_minutes)

    def snapshots(self) -> tuple[datetime, ...]:
        """The closes of 2023, as UTC instants."""
        return self._closes

    def chain(self, as_of: datetime) -> Chain:
        """The modelled chain at the close of one day."""
        day = position(self._closes, as_of, name=self.name)
        return modelled.chain(
            self._stocks,
            day,
            venue=self._venue,
            as_of=self._closes[day],
            known_at=self._closes[day] + self._known_after,
            volumes=self._volumes,
        )

    @cached_property
    def _closes(self) -> tuple[datetime, ...]:
        return tuple(modelled.close_of(day) for day in self._stocks[0].dates)

    @cached_property
    def _stocks(self) -> tuple[Stock, ...]:
        table, rates = surfaces(), zero_curve()
        return tuple(_stock(table[table["ticker"] == ticker], rates, ticker) for ticker in self.underlyings)


def _stock(table: pd.DataFrame, rates: pd.DataFrame, ticker: str) -> Stock:
    """One stock's surfaces as arrays (day, tenor, strike), strikes increasing."""
    table = table.sort_values(["date", "tenor_days", "strike"], kind="stable")
    dates = table["date"].drop_duplicates()
    shape = (len(dates), len(TENORS), -1)
    nodes = {name: table[name].to_numpy().reshape(shape) for name in ("strike", "volatility", "delta", "forward")}
    of_day = rates.reindex(pd.DatetimeIndex(dates))
    return Stock(
        ticker=ticker,
        dates=tuple(moment.date() for moment in dates),
        spot=table["spot"].to_numpy().reshape(len(dates), -1)[:, 0],
        forward=nodes["forward"][:, :, 0],
        strike=nodes["strike"],
        volatility=nodes["volatility"],
        curve_days=np.asarray(of_day.columns, dtype=np.float64),
        curve=of_day.to_numpy(),
    )
