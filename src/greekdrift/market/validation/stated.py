"""Numbers that the source of a set states of its data, measured again: one function a figure, one table a kind of set.

Which figure is checked, of what and within which bounds stands in the set's description (`Check`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray

from greekdrift.config.data_set import Check
from greekdrift.errors import ConfigError, DataError, nearest
from greekdrift.greeks import compute
from greekdrift.market.series import HOUR, Series
from greekdrift.market.validation import quotes
from greekdrift.market.validation.validate import Block
from greekdrift.units import DAYS_PER_YEAR

NEAREST_HOURS = 3.0
"""Events of two series within this are compared, unless the check says otherwise."""
JOINED = pd.Timedelta(minutes=30)
"""Option rows of two tables within this are compared."""

Values = Float[ndarray, " value"]
SeriesOf = Callable[[str], Series]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """A check and what was measured; a figure that is no number does not hold."""

    check: Check
    value: float

    @property
    def holds(self) -> bool:
        """Whether the figure lies within its bounds."""
        low = -np.inf if self.check.at_least is None else self.check.at_least
        high = np.inf if self.check.at_most is None else self.check.at_most
        return bool(low <= self.value <= high)


def of_series(check: Check, series_of: SeriesOf) -> Stated:
    """A figure of series; `series_of` gives one by "key", or "set/key" of another set."""
    return Stated(check=check, value=check.scale * _named(SERIES, check)(check, series_of))


def of_options(check: Check, tables: Mapping[str, pd.DataFrame]) -> Stated:
    """A figure of option rows by the name of their table."""
    for name in (check.key, *([check.other] if check.other else [])):
        if name not in tables:
            raise ConfigError(f'a check names the table "{name}"; {nearest(name, tables)}')
    return Stated(check=check, value=check.scale * _named(OPTIONS, check)(check, tables))


@dataclass(slots=True, kw_only=True)
class OfChains:
    """Figures of chains, gathered block by block: give `see` to `validate` as observer."""

    parts: dict[str, list[ndarray]] = field(default_factory=dict)

    def see(self, block: Block) -> None:
        """What one block adds to every figure."""
        rows = block.rows
        call, put = quotes.pairs(rows)
        due = (rows.forward[call] - rows.strike[call]) * rows.worth[call]
        for name, values in {
            "repricing": quotes.repricing(rows, rows.is_option & (rows.mark_iv > 0.0)) * rows.unit,
            "parity": np.abs(rows.mark[call] - rows.mark[put] - due),
            "delta_gap": quotes.delta_gap(rows),
            "crossed": rows.bid > rows.ask,
            "mark_below_bid": rows.mark < rows.bid,
            "mark_above_ask": rows.mark > rows.ask,
            "no_bid": np.isnan(rows.bid),
            "no_ask": np.isnan(rows.ask),
        }.items():
            self.parts.setdefault(name, []).append(values)

    def measured(self, check: Check, *, snapshots: int) -> Stated:
        """A quantile of a gap, the share of rows of a claim, or the number of snapshots."""
        known = {*GAPS, *SHARES, "snapshots"}
        if check.figure not in known:
            raise ConfigError(f'"{check.figure}" is no figure of chains; {nearest(check.figure, known)}')
        if check.figure == "snapshots":
            return Stated(check=check, value=float(snapshots))
        values = np.concatenate(self.parts[check.figure])
        value = _quantile(values, check.quantile) if check.figure in GAPS else float(np.mean(values))
        return Stated(check=check, value=check.scale * value)


GAPS = ("repricing", "parity", "delta_gap")
SHARES = ("crossed", "mark_below_bid", "mark_above_ask", "no_bid", "no_ask")


def _named(figures: Mapping[str, Callable[..., float]], check: Check) -> Callable[..., float]:
    if check.figure not in figures:
        raise ConfigError(f'"{check.figure}" is no figure here; {nearest(check.figure, figures)}')
    return figures[check.figure]


def _quantile(values: Values, share: float) -> float:
    """NaN only where there is no number at all."""
    known = values[np.isfinite(values)]
    return float(np.quantile(known, share)) if known.size else float("nan")


def _column(check: Check, series_of: SeriesOf) -> Values:
    return series_of(check.key).column(check.column)


def _missing(check: Check, series_of: SeriesOf) -> float:
    """Events without a value."""
    return float(np.sum(np.isnan(_column(check, series_of))))


def _quantile_of(check: Check, series_of: SeriesOf) -> float:
    return _quantile(_column(check, series_of), check.quantile)


def _longest_step(check: Check, series_of: SeriesOf) -> float:
    """Hours of a quantile of the steps from event to event."""
    return _quantile(np.diff(series_of(check.key).event_time) / HOUR, check.quantile)


def _lacking(check: Check, series_of: SeriesOf) -> float:
    """Events that are missing of those that follow each other every `hours`."""
    steps = np.diff(series_of(check.key).event_time) / HOUR
    return float(np.sum(np.round(steps / _hours(check)) - 1.0))


def _hours(check: Check) -> float:
    if check.hours is None:
        raise ConfigError(f'"{check.figure}" needs hours')
    return check.hours


def _crossed(check: Check, series_of: SeriesOf) -> float:
    """Events at which one column is above another of the same series."""
    one = series_of(check.key)
    return float(np.sum(one.column(check.column) > one.column(check.other_column)))


def _common(check: Check, series_of: SeriesOf) -> tuple[Values, Values]:
    """Values of two series at the same events."""
    one, other = series_of(check.key), series_of(check.other)
    later = other.event_time + np.timedelta64(round(check.later_hours * 3.6e9), "us")
    _, left, right = np.intersect1d(one.event_time, later, return_indices=True)
    return one.column(check.column)[left], other.column(check.other_column)[right]


def _near(check: Check, series_of: SeriesOf) -> tuple[Values, Values]:
    """Values of one series and of the nearest event of another, where that is near and both are there."""
    one, other = series_of(check.key), series_of(check.other)
    after = np.searchsorted(other.event_time, one.event_time)
    places = np.clip(np.stack([after - 1, after]), 0, len(other) - 1)
    gap = np.abs(other.event_time[places] - one.event_time) / HOUR
    best = np.argmin(gap, axis=0)
    row = np.take_along_axis(places, best[None], axis=0)[0]
    left, right = one.column(check.column), other.column(check.other_column)[row]
    limit = NEAREST_HOURS if check.hours is None else check.hours
    keep = (np.min(gap, axis=0) <= limit) & np.isfinite(left) & np.isfinite(right)
    return left[keep], right[keep]


def _same(check: Check, series_of: SeriesOf) -> float:
    left, right = _common(check, series_of)
    return float(np.sum(np.isclose(left, right, rtol=1e-12, atol=1e-12)))


def _different(check: Check, series_of: SeriesOf) -> float:
    left, right = _common(check, series_of)
    return float(np.sum(~np.isclose(left, right, rtol=1e-12, atol=1e-12)))


def _ratio_apart(check: Check, series_of: SeriesOf) -> float:
    """Quantile of |ln a/b| of two series at events near each other."""
    left, right = _near(check, series_of)
    return _quantile(np.abs(np.log(left / right)), check.quantile)


def _correlation(check: Check, series_of: SeriesOf) -> float:
    left, right = _near(check, series_of)
    return float(np.corrcoef(left, right)[0, 1]) if left.size > 2 else float("nan")


def _correlation_of_changes(check: Check, series_of: SeriesOf) -> float:
    left, right = _near(check, series_of)
    return float(np.corrcoef(np.diff(left), np.diff(right))[0, 1]) if left.size > 3 else float("nan")


def _above(check: Check, series_of: SeriesOf) -> float:
    """Quantile of how far a series stands above another."""
    left, right = _near(check, series_of)
    return _quantile(left - right, check.quantile)


def _autocorrelation(check: Check, series_of: SeriesOf) -> float:
    """First autocorrelation of the changes."""
    change = np.diff(_column(check, series_of))
    known = np.isfinite(change[1:]) & np.isfinite(change[:-1])
    return float(np.corrcoef(change[1:][known], change[:-1][known])[0, 1])


def _ahead(check: Check, series_of: SeriesOf) -> Values:
    """Changes to the event nearest `hours` later, within an hour and a half."""
    one, hours = series_of(check.key), _hours(check)
    values = one.column(check.column)
    wanted = one.event_time + np.timedelta64(round(hours * 3.6e9), "us")
    after = np.searchsorted(one.event_time, wanted)
    places = np.clip(np.stack([after - 1, after]), 0, len(one) - 1)
    gap = np.abs(one.event_time[places] - wanted) / HOUR
    row = np.take_along_axis(places, np.argmin(gap, axis=0)[None], axis=0)[0]
    change = (values[row] - values)[np.min(gap, axis=0) <= 1.5]
    return change[np.isfinite(change)]


def _rmse(check: Check, series_of: SeriesOf) -> float:
    return float(np.sqrt(_mean(_ahead(check, series_of) ** 2)))


def _mae(check: Check, series_of: SeriesOf) -> float:
    return _mean(np.abs(_ahead(check, series_of)))


def _mean(values: Values) -> float:
    return float(np.mean(values)) if values.size else float("nan")


def _parity(check: Check, series_of: SeriesOf) -> float:
    """Quantile of |C − P − (1 − K/F)| in coins; `column` and `other_column` are call and put."""
    one = series_of(check.key)
    due = 1.0 - one.column("strike") / one.column("forward")
    return _quantile(np.abs(one.column(check.column) - one.column(check.other_column) - due), check.quantile)


SERIES: Mapping[str, Callable[[Check, SeriesOf], float]] = {
    "quantile": _quantile_of,
    "missing": _missing,
    "step": _longest_step,
    "lacking": _lacking,
    "crossed": _crossed,
    "same": _same,
    "different": _different,
    "ratio_apart": _ratio_apart,
    "correlation": _correlation,
    "correlation_of_changes": _correlation_of_changes,
    "above": _above,
    "autocorrelation": _autocorrelation,
    "rmse_ahead": _rmse,
    "mae_ahead": _mae,
    "parity": _parity,
}
"""Figures of series."""

Tables = Mapping[str, pd.DataFrame]


def _computed(check: Check, rows: pd.DataFrame, quantity: str) -> Values:
    if "forward" not in rows:
        raise DataError(f"{check.key}: {check.figure} needs a forward; name its column.")
    found: Values = compute(
        (quantity,),
        forward=rows["forward"],
        strike=rows["strike"],
        volatility=rows["volatility"],
        time_to_expiry=rows["years"],
        is_call=rows["is_call"].to_numpy(),
    )[quantity]
    return found


def _rows(check: Check, tables: Tables) -> pd.DataFrame:
    """The rows of a table, those with at least the vega asked for, as the source states it per point."""
    rows = tables[check.key]
    return rows if check.least_vega is None else rows.loc[rows["stated_vega"] / 100.0 > check.least_vega]


def _greek_gap(check: Check, tables: Tables) -> float:
    """Quantile of |computed − stated| of the Greek that `column` names, in its own unit."""
    rows = _rows(check, tables)
    return _quantile(
        np.abs(_computed(check, rows, check.column) - rows[f"stated_{check.column}"].to_numpy()), check.quantile
    )


def _greek_ratio(check: Check, tables: Tables) -> float:
    """Quantile of computed ÷ stated of the Greek that `column` names, where one is stated."""
    rows = _rows(check, tables)
    rows = rows.loc[rows[f"stated_{check.column}"] != 0.0]
    ratio = _computed(check, rows, check.column) / rows[f"stated_{check.column}"].to_numpy()
    return _quantile(ratio, check.quantile)


def _price_gap(check: Check, tables: Tables) -> float:
    """Quantile of |computed price ÷ price − 1|."""
    rows = _rows(check, tables)
    return _quantile(np.abs(_computed(check, rows, "price") / rows["price"].to_numpy() - 1.0), check.quantile)


def _apart(check: Check, tables: Tables) -> float:
    """Quantile of |column − column| of the same contracts in two tables at stamps near each other."""
    key = ["expiry", "strike", "is_call"]
    left, right = (
        one.assign(expiry=(one["stamp"] + pd.to_timedelta(one["years"] * DAYS_PER_YEAR, unit="D")).dt.round("min"))
        .loc[:, ["stamp", *key, check.column]]
        .sort_values("stamp")
        for one in (tables[check.key], tables[check.other])
    )
    joint = pd.merge_asof(left, right, on="stamp", by=key, direction="nearest", tolerance=JOINED)
    return _quantile((joint[f"{check.column}_x"] - joint[f"{check.column}_y"]).abs().to_numpy(), check.quantile)


OPTIONS: Mapping[str, Callable[[Check, Tables], float]] = {
    "greek_gap": _greek_gap,
    "greek_ratio": _greek_ratio,
    "price_gap": _price_gap,
    "apart": _apart,
}
"""Figures of option rows."""
