"""A forecast in full: the scenarios as a Parquet file, the split of the drift by cause, and the picture."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy import ndarray

from greekdrift.book import Account, Chain
from greekdrift.cli.console import number, say, table, writing
from greekdrift.cli.decisions import is_shown
from greekdrift.cli.quantities import unit, words
from greekdrift.errors import InputError, nearest
from greekdrift.forecast.attribution import PARTS, DriftForecast, attributed
from greekdrift.forecast.distribution import BOOK, COLLATERAL, Forecast
from greekdrift.forecast.forecaster import checked_horizons
from greekdrift.forecast.intervals import Learnt
from greekdrift.greeks.exposure import MONEY
from greekdrift.greeks.table import QUANTITIES
from greekdrift.serve.outlook import Outlook
from greekdrift.units import from_datetime64, stamp

EVERY = tuple(
    dict.fromkeys(
        (
            *BOOK,
            COLLATERAL,
            *(one for one in QUANTITIES if one not in ("price", "delta", "strike_delta", "strike_gamma")),
        )
    )
)
KNOWN = tuple(dict.fromkeys((*EVERY, *MONEY, *QUANTITIES)))
SPLIT_LEVELS = (0.1, 0.5, 0.9)
SHAPE = pa.schema(
    [
        ("scenario", pa.int32()),
        ("horizon_h", pa.float64()),
        ("account", pa.string()),
        ("quantity", pa.string()),
        ("value", pa.float64()),
    ]
)


def asked_names(text: str | None) -> tuple[str, ...]:
    """Quantities by underlying: those of a book where none are named, every one for "all".

    >>> asked_names("gamma,vanna")
    ('gamma', 'vanna')
    """
    if text is None:
        return BOOK
    found = words(text, option="--quantity", example="delta_net,gamma")
    if found == ["all"]:
        return EVERY
    for name in found:
        if name not in KNOWN:
            raise InputError(f'--quantity: no "{name}"; {nearest(name, KNOWN)}')
    return tuple(found)


def hours(text: str | None) -> tuple[float, ...] | None:
    """Horizons in hours; they must rise.

    >>> hours("6, 12,24")
    (6.0, 12.0, 24.0)
    """
    if text is None:
        return None
    found = words(text, option="--horizons", example="6,12,24")
    try:
        numbers = [float(one) for one in found]
    except ValueError:
        raise InputError(f"--horizons {text}: hours are numbers, like 6,12,24.") from None
    return tuple(checked_horizons(numbers).tolist())


def write_samples(
    seen: Outlook,
    parts: DriftForecast | None,
    out: Path,
    *,
    model: str,
    seed: int,
    known_at: datetime,
    intervals: Mapping[str, Any] | None = None,
) -> None:
    """Every scenario of every quantity, one row each, in internal units; what it is stands in the file's metadata.

    Rows go by account, quantity, scenario and horizon. The metadata entry "greekdrift" is JSON: `as_of` (the origin of
    the horizons), `known_at`, `model`, `provenance`, `seed`, `scenarios`, `horizons_h`, `units` by quantity, `now` by
    account and quantity, `left_out` (accounts that could not be forecast, with the reason), and `weights` where the
    scenarios do not count alike. `intervals`, the values of the forecast as they are reported, add the adapted interval
    of each quantity, in the units of these values.
    """
    first = seen.forecasts[0]
    columns = dict(_columns(seen.forecasts, parts))
    facts = {
        "as_of": stamp(first.as_of),
        "known_at": stamp(known_at),
        "model": model,
        "provenance": first.provenance,
        "seed": seed,
        "scenarios": len(first.weights),
        "horizons_h": first.horizons.tolist(),
        "units": {name: _unit(name, seen.forecasts) for _, name in columns},
        "now": _now(seen.forecasts),
        "left_out": dict(seen.problems),
        "weights": None if np.ptp(first.weights) == 0.0 else first.weights.tolist(),
        **({} if intervals is None else {"intervals": _reported(intervals)}),
    }
    shape = SHAPE.with_metadata({"greekdrift": json.dumps(facts, sort_keys=True, allow_nan=False)})
    rows = len(columns) * first.weights.size * first.horizons.size
    scenario = np.repeat(np.arange(first.weights.size, dtype=np.int32), first.horizons.size)
    horizon = np.tile(first.horizons, first.weights.size)
    with writing(out, f"{rows:,} rows"), pq.ParquetWriter(out, shape, compression="zstd") as writer:
        for account in dict.fromkeys(name for name, _ in columns):
            mine = {name: values for (owner, name), values in columns.items() if owner == account}
            count = len(mine)
            names = np.repeat(np.arange(count, dtype=np.int32), scenario.size)
            writer.write_table(
                pa.Table.from_arrays(
                    [
                        np.tile(scenario, count),
                        np.tile(horizon, count),
                        pa.DictionaryArray.from_arrays(np.zeros(names.size, dtype=np.int32), [account]).cast(
                            pa.string()
                        ),
                        pa.DictionaryArray.from_arrays(names, list(mine)).cast(pa.string()),
                        np.concatenate([np.ascontiguousarray(values).reshape(-1) for values in mine.values()]),
                    ],
                    schema=shape,
                )
            )


def show_intervals(values: Mapping[str, Any], learnt: Learnt | None, known_at: datetime) -> None:
    """The adapted intervals by account, quantity and horizon, what they rest on; or why there is none."""
    if values["intervals"] is None:
        say(_no_intervals(learnt, known_at))
        return
    hours = values["horizons_hours"]
    spoken = [
        (f"{one:g} h", at)
        for at, one in enumerate(hours)
        if any(q["interval_kind"][at] == "conformal" for account in values["accounts"] for q in account["quantities"])
    ]
    rows = [
        (account["account_id"], quantity["label"], *(_shown(quantity, at) for _, at in spoken))
        for account in values["accounts"]
        for quantity in account["quantities"]
        if is_shown(account, quantity) and "conformal" in quantity["interval_kind"]
    ]
    level = f"{values['intervals']['level']:.0%}"
    table(f"Reported {level} intervals", ("account", "quantity", *(name for name, _ in spoken)), rows)


def _shown(quantity: Mapping[str, Any], at: int) -> str | None:
    return interval_words(quantity, at)[0] if quantity["interval_kind"][at] == "conformal" else None


def _no_intervals(learnt: Learnt | None, known_at: datetime) -> str:
    """Why the reported intervals are the forecast's own."""
    if learnt is None:
        return "intervals are the forecast's own: no evaluation of this model lies beside it (greekdrift evaluate)"
    first = stamp(from_datetime64(learnt.known_at[0]))
    return f"intervals are the forecast's own: nothing was known of them at {stamp(known_at)}, the first is of {first}"


def _reported(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the reported intervals rest on, and both ends and the kind of each, by account and quantity."""
    keys = ("interval_low", "interval_high", "interval_kind")
    return {
        **values["intervals"],
        "units": values["units"],
        "accounts": {
            account["account_id"]: {one["label"]: {key: one[key] for key in keys} for one in account["quantities"]}
            for account in values["accounts"]
        },
    }


def _columns(forecasts: Sequence[Forecast], parts: DriftForecast | None) -> Iterator[tuple[tuple[str, str], ndarray]]:
    """Samples (scenario, horizon) by account and quantity; parts of the drift of a quantity as "quantity: part"."""
    for forecast in forecasts:
        for account in forecast.account_ids:
            for name in forecast.quantities_of(account):
                yield (account, name), forecast.of(account, name)
            if parts is None:
                continue
            for name in parts.total.quantities:
                for part, samples in zip(PARTS, parts.of(account, name), strict=True):
                    yield (account, f"{name}: {part}"), samples


def _now(forecasts: Sequence[Forecast]) -> dict[str, dict[str, float]]:
    return {
        account: {name: forecast.value_now(account, name) for name in forecast.quantities_of(account)}
        for forecast in forecasts
        for account in forecast.account_ids
    }


def _unit(name: str, forecasts: Sequence[Forecast]) -> str:
    """The unit of a column: of its Greek, whether by underlying, of a band, or a part of its drift."""
    base = name.split(": ", maxsplit=1)[0]
    bands = {band.label: band.greek for one in forecasts for own in one.bands.values() for band in own}
    return unit(bands.get(base, base.split(" of ", maxsplit=1)[0]), "internal")


def split_of(chain: Chain, accounts: Sequence[Account], seen: Outlook) -> DriftForecast:
    """The drift of the accounts that are forecast, by cause, on the same scenarios."""
    there = {name for one in seen.forecasts for name in one.account_ids}
    if seen.surface is None or seen.scenarios is None:
        raise InputError("nothing was forecast, so that there is no drift to split.")
    alive = [account for account in accounts if account.account_id in there]
    return attributed(chain, alive, surface=seen.surface, scenarios=seen.scenarios)


def split_values(parts: DriftForecast) -> dict[str, Any]:
    """Mean, its error and quantiles of each part at each horizon, by account and quantity; internal units."""
    return {
        account: {
            name: {
                part: {
                    "mean": mean.tolist(),
                    "mean_error": error.tolist(),
                    "quantiles": {str(level): row.tolist() for level, row in zip(SPLIT_LEVELS, rows, strict=True)},
                }
                for part, mean, error, rows in zip(
                    PARTS,
                    parts.mean(account, name),
                    parts.mean_error(account, name),
                    np.moveaxis(parts.quantile(account, name, SPLIT_LEVELS), 1, 0),
                    strict=True,
                )
            }
            for name in parts.total.quantities
            if _moves(parts, account, name)
        }
        for account in parts.total.account_ids
    }


def show_split(parts: DriftForecast) -> None:
    """Mean parts at the last horizon with the middle 80 % below, in internal units."""
    rows = []
    for account in parts.total.account_ids:
        for name in parts.total.quantities:
            if not _moves(parts, account, name):
                continue
            mean = parts.mean(account, name)[:, -1]
            low, high = parts.quantile(account, name, (SPLIT_LEVELS[0], SPLIT_LEVELS[-1]))[:, :, -1]
            rows.append((account, name, "mean", *mean.tolist(), float(mean.sum())))
            rows.append(
                (
                    "",
                    "",
                    "80 %",
                    *(f"{number(a)} … {number(b)}" for a, b in zip(low.tolist(), high.tolist(), strict=True)),
                    "",
                )
            )
    last = parts.total.horizons[-1]
    table(f"Drift in {last:g} h by cause, internal units", ("account", "quantity", "", *PARTS, "sum"), rows)


def _moves(parts: DriftForecast, account: str, name: str) -> bool:
    return bool(np.any(parts.of(account, name) != 0.0))


def drawn(values: Mapping[str, Any], parts: DriftForecast | None, plot: Path) -> None:
    """Fans of all quantities that the screen shows, and the drift by cause: a page, or one image of all fans."""
    from greekdrift.report.forecasts import causes, grid
    from greekdrift.report.picture import PAGES, Table, write

    shown = [
        (account["account_id"], [one for one in account["quantities"] if is_shown(account, one)])
        for account in values["accounts"]
    ]
    title = f"Forecast at {values['as_of']}"
    what = f"{values['model']}, {values['scenarios']} scenarios; {values['units']} units"
    if plot.suffix not in PAGES:
        everything = [{**one, "label": f"{name}: {one['label']}"} for name, rows in shown for one in rows]
        with writing(plot):
            write(plot, [(grid(everything, values["horizons_hours"]), title)], title=title, lead=what)
        return
    pictures = [
        (grid(rows, values["horizons_hours"], title=name), f"Forecast of {name}") for name, rows in shown if rows
    ]
    if parts is not None:
        pictures += [
            (figure, f"Drift of {name} by cause") for name in parts.total.account_ids if (figure := causes(parts, name))
        ]
    columns = ("account", "quantity", "hours", "10 %", "± ", "median", "±", "90 %", "±", "interval", "", "breach", "±")
    rows = [
        row for name, quantities in shown for one in quantities for row in _rows(name, one, values["horizons_hours"])
    ]
    with writing(plot):
        write(
            plot, pictures, title=title, lead=f"{what}. ± is one Monte-Carlo standard error. {_bars(values)}",
            tables=[Table(title="Quantiles and breach probabilities", columns=columns, rows=rows)],
        )  # fmt: skip


def _bars(values: Mapping[str, Any]) -> str:
    """What the reported intervals are, for a page."""
    found = values["intervals"]
    if found is None:
        return "The interval is the forecast's own."
    return (
        f"Bars: the {found['level']:.0%} interval at the level that held often enough at outcomes known at "
        f"{found['known_at']}; it claims long-run coverage."
    )


def interval_words(quantity: Mapping[str, Any], at: int) -> tuple[str, str]:
    """The reported interval at a horizon, and its level and kind."""
    low, high = quantity["interval_low"][at], quantity["interval_high"][at]
    text = f"{'−∞' if low is None else number(low)} … {'∞' if high is None else number(high)}"
    return text, f"{quantity['interval_level']:.0%} {quantity['interval_kind'][at]}"


def _rows(account: str, quantity: Mapping[str, Any], horizons: Sequence[float]) -> Iterator[tuple[Any, ...]]:
    for at, hours_ahead in enumerate(horizons):
        pairs = [
            number(float(quantity[kind][level][at]))
            for level in ("0.1", "0.5", "0.9")
            for kind in ("quantiles", "quantile_errors")
        ]
        chance, error = quantity["breach_probability"], quantity["breach_error"]
        breach = ("", "") if chance is None else (f"{chance[at]:.1%}", f"{error[at]:.1%}")
        yield (account, quantity["label"], f"{hours_ahead:g}", *pairs, *interval_words(quantity, at), *breach)
