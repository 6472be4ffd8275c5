"""Event forecasts beside level-only, climatology and the hidden state, on long histories that are not shipped.

    python benchmarks/events.py --root ../shared/data              every event, about five minutes
    python benchmarks/events.py --root ../shared/data --out FILE   the tables as Markdown in a file

Variance doubling within five days: BTC; BTC, ETH and SOL pooled; the S&P 500. On the S&P 500 also a fall of 5 % within
ten days, an inversion of the 30- over the 91-day volatility within five, and a jump of volatility by a fifth.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy import ndarray

from greekdrift.evaluate.events import CLIMATOLOGY, judged, table
from greekdrift.evaluate.tables import Table
from greekdrift.forecast.events import (
    Rows,
    calibrated,
    falls,
    hidden_odds,
    lumpiness,
    pooled,
    rises_above,
    walk_forward,
    weekend_share,
)
from greekdrift.forecast.har import Daily, target, trailing_mean
from greekdrift.forecast.regime import BAD_NEWS, IMPLIED, LOG_HAR, Event, design, range_variance
from greekdrift.market.spx_factors import read_surface

SEED = 7
BLOCK = 44
"""Days of a block: more than twice the longest horizon, and the memory of the trailing means."""
LEVEL, HIDDEN = ("level",), ("hidden",)
CALENDAR, SHAPE = ("weekend_ahead", "weekend_now"), ("lumpiness", "season")
YEAR_2022 = 18993
"""Days from 1970 to 2022-01-01: ETH and SOL begin in September 2020."""


def doubling(daily: Daily, day: ndarray, *, first: int, is_coin: bool) -> Rows:
    """Variance of the next five days above twice that of the last 22, with every column that these days allow."""
    event = Event()
    before, after = trailing_mean(daily.variance, event.behind), target(daily.variance, event.ahead)
    more = {"lumpiness": lumpiness(daily.variance), "season": np.log(before / trailing_mean(daily.variance, 90))}
    if is_coin:
        more |= {"weekend_ahead": weekend_share(day, event.ahead), "weekend_now": weekend_share(day - 1, 1)}
    rows = _rows(daily, day, outcome=event.outcome(daily.variance), ahead=event.ahead, first=first, **more)
    return replace(rows, ratio=np.log(after / (event.factor * before)))


def _rows(daily: Daily, day: ndarray, *, outcome: ndarray, ahead: int, first: int, **more: ndarray) -> Rows:
    names = LOG_HAR + BAD_NEWS + (IMPLIED if daily.implied is not None else ())
    model = "log-HAR + leverage" + (" + implied" if daily.implied is not None else "")
    known = design(daily, model)
    columns = {name: known[:, at] for at, name in enumerate(names)}
    columns |= {"hidden": hidden_odds(daily.returns, first=first), **more}
    complete = np.append(day[ahead:], np.full(min(ahead, len(day)), day[-1] + 10**6))
    return Rows(day=day, complete=complete, outcome=outcome, columns=columns)


def coins(root: Path) -> dict[str, tuple[Daily, ndarray]]:
    """Days of BTC, ETH and SOL: variance from hourly returns of days that have all 24."""
    frame = pd.read_parquet(root / "binance_spot_1h" / "spot_ohlcv.parquet")
    found = {}
    for symbol, part in frame.groupby("symbol"):
        bars = part.sort_values("open_ts_utc")
        returns = np.log(bars.close_usdt / bars.open_usdt).to_numpy()
        day = bars.open_ts_utc.dt.floor("D").dt.tz_localize(None).to_numpy().astype("datetime64[D]").astype(np.int64)
        days, start, count = np.unique(day, return_index=True, return_counts=True)
        is_whole = count == 24
        variance = np.maximum(np.add.reduceat(returns**2, start), 1e-8)[is_whole]
        daily = Daily(variance=variance, returns=np.add.reduceat(returns, start)[is_whole])
        found[str(symbol)] = daily, days[is_whole]
    return found


def library(root: Path) -> tuple[Daily, ndarray]:
    """Days of the S&P 500: ten-minute realised variance and the VIX."""
    frame = pd.read_parquet(root / "realized_variance" / "spx_oxford_man_full_2000_2019.parquet")
    indices = pd.read_parquet(root / "vol_indices_daily" / "vol_indices.parquet")
    vix = indices[indices.series == "VIX"].drop_duplicates("date").set_index("date").close
    days = frame[frame.rv10 > 0.0].set_index("date")
    implied = (vix.reindex(days.index).ffill() / 100.0) ** 2 / 252.0
    returns = np.log(days.close_price).diff().fillna(0.0)
    daily = Daily(variance=days.rv10.to_numpy(float), returns=returns.to_numpy(float), implied=implied.to_numpy(float))
    return daily, np.arange(len(days))


def surface(root: Path) -> dict[str, Rows]:
    """Events of the S&P 500 with its surface: a fall, an inversion, a jump of volatility."""
    frame = pd.read_parquet(root / "spx_ivs_factors" / "ivs_factors.parquet")
    spx = read_surface(root)
    short, long = (
        np.array([spx.atm_at(day, years) for day in range(len(spx.dates))]) for years in (30 / 365, 91 / 365)
    )
    variance = range_variance(*(frame[name].to_numpy(float) for name in ("open", "high", "low", "close")))
    returns = np.concatenate([[0.0], np.diff(np.log(spx.spot))])
    daily, day = Daily(variance=variance, returns=returns, implied=short**2 / 252.0), np.arange(len(short))
    slope = np.log(short / long)
    more = {"slope": slope, "slope_5": trailing_mean(slope, 5), "atm": np.log(short)}
    events = {
        "fall of 5 % within 10 days": (falls(spx.spot, ahead=10, share=0.05), 10),
        "inversion of 30 over 91 days within 5 days": (rises_above(slope, np.zeros(len(slope)), ahead=5), 5),
        "30-day volatility up by a fifth within 5 days": (rises_above(short, 1.2 * short, ahead=5), 5),
    }
    return {
        name: _rows(daily, day, outcome=outcome, ahead=ahead, first=500, **more)
        for name, (outcome, ahead) in events.items()
    }


def scored(title: str, rows: Rows, models: Mapping[str, Sequence[str]], *, first: int) -> Table:
    """Every model; of the last one also the lognormal link where a ratio is compared, and maps learnt on past folds."""
    chance = {name: walk_forward(rows, columns, first=first) for name, columns in models.items()}
    last = list(models)[-1]
    if rows.ratio is not None:
        chance["log-HAR, lognormal"] = walk_forward(rows, LOG_HAR, first=first, link="lognormal")
        chance[f"{last}, lognormal"] = walk_forward(rows, models[last], first=first, link="lognormal")
    for name in [one for one in chance if one.startswith(last)]:
        for by in ("beta", "isotonic"):
            chance[f"{name}, {by}"] = calibrated(rows, chance[name], first=first, by=by)
    return table(title, judged(rows, chance, block=BLOCK, seed=SEED))


def main() -> None:
    """Prints every table."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--root", type=Path, required=True)
    asked.add_argument("--out", type=Path)
    given = asked.parse_args()
    plain = {CLIMATOLOGY: (), "level only": LEVEL, "hidden state": HIDDEN, "log-HAR": LOG_HAR}
    plain["log-HAR + leverage"] = LOG_HAR + BAD_NEWS
    coin = {**plain, "+ calendar": LOG_HAR + CALENDAR, "+ calendar + shape": LOG_HAR + CALENDAR + SHAPE}
    implied = LOG_HAR + BAD_NEWS + IMPLIED
    full = {**plain, "log-HAR + leverage + implied": implied}
    made = []
    rows = {name: doubling(*one, first=400, is_coin=True) for name, one in coins(given.root).items()}
    bitcoin = rows["BTCUSDT"]
    made.append(scored("Variance doubling, BTC, from 2019", bitcoin, coin, first=int(bitcoin.day[0]) + 500))
    every = pooled(list(rows.values()))
    made.append(scored("Variance doubling, BTC, ETH and SOL pooled, from 2022", every, coin, first=YEAR_2022))
    spx = doubling(*library(given.root), first=500, is_coin=False)
    made.append(scored("Variance doubling, S&P 500, from 2005", spx, {**full, "+ shape": implied + SHAPE}, first=1254))
    shaped = {**full, "+ slope of the term structure": (*implied, "slope", "slope_5", "atm")}
    for title, one in surface(given.root).items():
        made.append(scored(f"S&P 500, {title}, from 2002", one, shaped, first=1500))
    for one in made:
        print(one.text(), end="\n\n")
    if given.out is not None:
        given.out.write_text("\n\n".join(one.markdown() for one in made) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
