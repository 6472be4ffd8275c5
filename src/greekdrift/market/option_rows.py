"""Option rows that make no chain, as a set describes them: columns of one name each, for comparing calculators."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from greekdrift.config.data_set import OptionTable
from greekdrift.errors import DataError, nearest
from greekdrift.market.parquet import readable
from greekdrift.units import DAYS_PER_YEAR

CALLS, PUTS = ("c", "call"), ("p", "put")


def option_rows(table: OptionTable, root: str | Path) -> pd.DataFrame:
    """Stamp, years, strike, is_call, volatility, and forward, price and stated_… where the table has them.

    Rows that `where`, `unlike` and `solved` leave; those that have expired are left out. A column, side, strike or
    volatility that cannot be is refused with its place.
    """
    path = Path(root) / table.path
    if not path.is_file():
        raise DataError(f"{path}: there is no such file; name the folder of the data as root.")
    with readable(path), pq.ParquetFile(path) as file:
        present = file.schema_arrow.names
        for name in _needed(table):
            if name not in present:
                raise DataError(f'{path.name}: has no column "{name}"; {nearest(name, present)}')
        raw = file.read(columns=_needed(table)).to_pandas()
    keep = np.ones(len(raw), dtype=np.bool_)
    for column, value in table.where.items():
        keep &= (raw[column] == value).to_numpy()
    for column, value in table.unlike.items():
        keep &= (raw[column] != value).to_numpy()
    for column in table.solved:
        keep &= (raw[column] > 0.0).to_numpy()
    raw = raw.loc[keep]
    if raw.empty:
        raise DataError(f"{path.name}: no row is left of {len(keep)}; check where, unlike and solved.")
    return _named(raw, table, path.name)


def _needed(table: OptionTable) -> list[str]:
    names = [table.stamp, table.expiry, table.strike, table.side, table.volatility, table.forward, table.price]
    names += [*table.where, *table.unlike, *table.solved, *(measure.of for measure in table.stated.values())]
    return list(dict.fromkeys(name for name in names if name is not None))


def _named(raw: pd.DataFrame, table: OptionTable, file: str) -> pd.DataFrame:
    stamp, expiry = (pd.to_datetime(raw[name], utc=True) for name in (table.stamp, table.expiry))
    side = raw[table.side].astype(str).str.lower()
    made: dict[str, Any] = {
        "stamp": stamp.dt.tz_localize(None),
        "years": (expiry - stamp).dt.total_seconds() / (86_400.0 * DAYS_PER_YEAR),
        "strike": raw[table.strike].astype(np.float64),
        "is_call": side.isin(CALLS),
        "volatility": raw[table.volatility].astype(np.float64),
    }
    for name, column in (("forward", table.forward), ("price", table.price)):
        if column is not None:
            made[name] = raw[column].astype(np.float64)
    for name, measure in table.stated.items():
        made[f"stated_{name}"] = raw[measure.of].astype(np.float64) * measure.scale
    found = pd.DataFrame(made)
    for is_bad, fact in (
        (~side.isin((*CALLS, *PUTS)), f"{table.side} is neither call nor put"),
        (~(found["strike"] > 0.0), f"{table.strike} is not positive"),
        (~(found["volatility"] > 0.0), f"{table.volatility} is not positive"),
        (found["years"].isna(), f"{table.stamp} or {table.expiry} is no time"),
    ):
        if is_bad.any():
            raise DataError(f"{file}: row {is_bad.idxmax()}: {fact}; leave the row out by where, unlike or solved.")
    return found.loc[found["years"] > 0.0]
