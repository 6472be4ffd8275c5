"""Regime events for the commands: days of markets, the shipped longer history, tables and the values of the page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from greekdrift.config.data_set import load_data_set
from greekdrift.config.regime import Market, Markets
from greekdrift.errors import DataError, InputError, nearest
from greekdrift.evaluate.events import Examined, Judged, examined
from greekdrift.forecast.artefact import load_regime
from greekdrift.forecast.days import Clock, Days, of_panel, of_path, of_sessions
from greekdrift.forecast.events import EVENTS
from greekdrift.forecast.regime import CLIMATOLOGY, OWN, Regime, range_variance
from greekdrift.market.series import Series
from greekdrift.market.series_store import histories
from greekdrift.market.spx_factors import LOWEST_VOLATILITY, volatility

SHIPPED: Mapping[Clock, str] = {"elapsed": "models/regime-coins", "sessions": "models/regime-sp500"}
"""The longer history of each clock, learnt and shipped."""
LENT = ("inversion",)
SESSIONS = 252.0
YEARS_SHOWN = 3
LONG_ENOUGH = 60
"""Days of one's own before the first forecast of a walk, where a longer history stands behind it."""


def shipped(clock: Clock) -> Path | None:
    """The folder of the regime learnt on long histories of a clock, of here or of the checkout; none where absent."""
    checkout = Path(__file__).resolve().parents[3]
    places = (Path(SHIPPED[clock]), checkout / SHIPPED[clock])
    return next((place for place in places if (place / "manifest.json").is_file()), None)


def days_of(markets: Markets, *, root: Path | None = None, cache: Path | None = None) -> tuple[Days, ...]:
    """The days of every market of a file."""
    series = histories([load_data_set(one) for one in markets.sets], root or markets.root, cache=cache)
    return tuple(_market(name, one, series, markets.clock) for name, one in markets.markets.items())


def _market(name: str, market: Market, series: Mapping[str, Series], clock: Clock) -> Days:
    price = _named(series, market.price).in_order()
    if clock == "elapsed":
        if market.variance or market.implied or market.surface:
            raise InputError(f"{name}: on the clock elapsed days follow from prices alone; leave the rest out.")
        return of_path(
            name,
            event_time=price.event_time,
            known_at=price.known_at,
            price=price.column(market.column),
            hole_hours=price.hole_hours,
        )
    if market.variance is None:
        raise InputError(f"{name}: sessions need a variance: a column of {price.name}, or range.")
    implied, slope = _implied(market, series, price)
    variance = (
        range_variance(*(price.column(one) for one in ("open", "high", "low", "close")))
        if market.variance == "range"
        else price.column(market.variance)
    )
    return of_sessions(
        name,
        day=price.event_time.astype("datetime64[D]").astype(np.int64),
        known_at=price.known_at,
        close=price.column(market.column),
        variance=np.where(variance > 0.0, variance, np.nan),
        implied=implied,
        slope=slope,
    )


def _implied(market: Market, series: Mapping[str, Series], price: Series) -> tuple[ndarray | None, ndarray | None]:
    """Implied variance a day and slope of the curve at each session, where the market has them."""
    if market.surface:
        beta = np.stack([price.column(f"beta_{at}") for at in range(1, 6)], axis=1)
        short, long = (
            np.array([max(float(volatility(one, np.zeros(1), days / 365.0)[0]), LOWEST_VOLATILITY) for one in beta])
            for days in (30.0, 90.0)
        )
        return short**2 / SESSIONS, np.log(short / long)
    if market.implied is None:
        return None, None
    return _named(series, market.implied).as_of(price.known_at, "close") ** 2 / SESSIONS, None


def _named(series: Mapping[str, Series], name: str) -> Series:
    if name not in series:
        raise InputError(f'the sets have no series "{name}"; {nearest(name, series)}')
    return series[name]


def panel_days(panel: Any) -> tuple[Days, ...]:
    """The days of every underlying of a panel of chains."""
    return tuple(of_panel(panel, name) for name in panel.underlyings)


def first_of(markets: Sequence[Days]) -> int:
    """The first day of a walk over a short history: sixty days of its own, or a third where that is more."""
    start, stop = min(int(one.day[0]) for one in markets), max(int(one.day[-1]) for one in markets)
    return start + max(LONG_ENOUGH, (stop - start) // 3)


def learn(panel: Any, *, seed: int, prior: Regime | None) -> tuple[Regime, tuple[Examined, ...], tuple[Days, ...]]:
    """Forecasts of events of a panel's underlyings, shrunk to a longer history where there is one, and their walk."""
    markets = panel_days(panel)
    names = list(EVENTS) if prior is None else [name for name in EVENTS if name in prior.events]
    is_whole = all(np.isfinite(one.slope).any() for one in markets)
    names = [name for name in names if is_whole or name not in ("inversion", "volatility_jump")]
    first = first_of(markets)
    block = max(10, min(44, (max(int(one.day[-1]) for one in markets) - first) // 5))
    regime, found = examined(markets, events=names, first=first, prior=prior, block=block, seed=seed)
    return regime, found, markets


def prior_of(clock: Clock, folder: Path | None) -> Regime | None:
    """The regime of a folder, or the shipped one of a clock; none where neither is there.

    An event that it lacks and that reads nothing of scale or calendar is taken from the other clock's shipped one,
    without its figures: how good it is in these markets nobody has measured.
    """
    place = folder or shipped(clock)
    if place is None:
        return None
    found, other = load_regime(place), shipped("sessions" if clock == "elapsed" else "elapsed")
    if other is None:
        return found
    lent = {
        name: replace(one, area=None, skill=None, level_skill=None, calibration_error=None, rows=0, happened=0)
        for name, one in load_regime(other).events.items()
        if name in LENT
    }
    return replace(found, events={**lent, **found.events})


def now(regime: Regime, markets: Sequence[Days]) -> list[tuple[Any, ...]]:
    """What each event's models say of each market after its last whole day, and what the forecast is worth."""
    rows: list[tuple[Any, ...]] = []
    for one in markets:
        chances = regime.chances(one)
        for name, event in regime.events.items():
            last = {model: float(values[-1]) for model, values in chances[name].items()}
            own = _chance(last.pop(OWN), is_bracketed=not event.has_skill)
            others = (_chance(value, is_bracketed=False) for value in last.values())
            rows.append((one.symbol, event.says, own, *others, event.verdict))
    return rows


def _chance(value: float, *, is_bracketed: bool) -> str:
    if not np.isfinite(value):
        return "unknown"
    return f"({value:.1%})" if is_bracketed else f"{value:.1%}"


def kept_beside(model: Path | None, clock: Clock) -> Regime | None:
    """The regime that was trained beside a model, else the shipped one."""
    own = None if model is None else model / "regime"
    return prior_of(clock, own if own is not None and own.is_dir() else None)


def keep_beside(panel: Any, model: Path, *, seed: int) -> None:
    """Learns the events of a panel's markets and keeps them in the model's folder; what stands against it is said.

    Nothing is done for a panel of closes: sessions need a range or a realised variance, which no panel holds.
    """
    from greekdrift.cli.console import escape, say
    from greekdrift.forecast.artefact import save

    if panel.clock != "elapsed":
        return
    try:
        regime, _, _ = learn(panel, seed=seed, prior=prior_of(panel.clock, None))
    except (DataError, InputError) as problem:
        say(f"no events of the regime: {escape(str(problem))}")
        return
    save(regime, model / "regime")
    say(f"events of the regime: {', '.join(regime.events)}, in {escape(str(model / 'regime'))}")


def show_now(panel: Any, model: Path | None) -> None:
    """Events of a panel's markets, on the screen; a history too short is said, closes have none (`keep_beside`)."""
    from greekdrift.cli.console import escape, say

    regime = kept_beside(model, panel.clock) if panel.clock == "elapsed" else None
    if regime is None:
        return
    try:
        show(regime, panel_days(panel))
    except (DataError, InputError) as problem:
        say(f"no events of the regime: {escape(str(problem))}")


NOW = ("market", "event", OWN, "climatology", "level only", "hidden state", "worth")


def show(regime: Regime, markets: Sequence[Days]) -> None:
    """The probabilities now and the filtered state, on the screen; in brackets what has no skill."""
    from greekdrift.cli.console import say, table

    table("Events: probability now, in brackets where it has no measured skill", NOW, now(regime, markets))
    for one in markets:
        wild = regime.wild(one)[-1]
        say(
            f"{one.symbol}: {wild:.0%} likely in the wild of two states after {one.date(len(one) - 1)} "
            "(filtered: a description, no forecast)"
        )


def values(
    regime: Regime, found: Examined, market: Days, *, place: int = 0, says: str, description: str
) -> dict[str, Any]:
    """What the page shows of one event of one market: now, its past in the walk-forward, its figures."""
    if not found.judged:
        raise DataError(f"{market.symbol}: the event was too rare to be judged; give a longer history.")
    of_market = found.of(place)
    chances = {name: one[of_market] for name, one in found.chances.items()}
    outcome = found.rows.outcome[of_market]
    days = market.day.astype("datetime64[D]")
    shown = (days >= days[-1] - np.timedelta64(round(365 * YEARS_SHOWN), "D")) & np.isfinite(chances[OWN])
    last = {name: float(one[-1]) for name, one in regime.chances(market)[found.event].items()}
    wild = regime.wild(market)
    return {
        "event": says,
        "as_of": market.date(len(market) - 1),
        "probability": last[OWN],
        "climatology": last[CLIMATOLOGY],
        "wild": float(wild[-1]),
        "description": description,
        "history": {
            "days": [str(day) for day in days[shown]],
            "probability": [float(one) for one in chances[OWN][shown]],
            "happened": [None if np.isnan(one) else int(one) for one in outcome[shown]],
            "climatology": last[CLIMATOLOGY],
            "wild": [float(one) for one in wild[shown]],
            "diagram": [list(one) for one in _own(found.judged).diagram],
            "pooled": len(found.lengths),
        },
        "scores": {
            "columns": ["model", "now", "AUC", "95 %", "Brier skill", "95 %", "calibration error", "days"],
            "rows": [_row(one, last) for one in found.judged],
        },
    }


def _own(judged: Sequence[Judged]) -> Judged:
    return next(one for one in judged if one.name == OWN)


def _row(one: Judged, last: Mapping[str, float]) -> list[Any]:
    current = f"{last[one.name]:.1%}" if one.name in last else ""
    area = f"[{one.area[1]:.3f}, {one.area[2]:.3f}]"
    skill = f"[{one.skill[1]:.3f}, {one.skill[2]:.3f}]"
    return [one.name, current, one.area[0], area, one.skill[0], skill, one.calibration_error, one.n]


def packaged_values(*, seed: int, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Variance doubling on the packaged S&P 500, for the demo's page: a walk-forward without a longer history."""
    from greekdrift.market.packaged import spx_daily

    table = spx_daily()
    market = of_sessions(
        "S&P 500",
        day=table["date"].to_numpy().astype("datetime64[D]").astype(np.int64),
        known_at=table["known_at"].to_numpy().astype("datetime64[us]"),
        close=table["close"].to_numpy(dtype=np.float64),
        variance=range_variance(*(table[name].to_numpy() for name in ("open", "high", "low", "close"))),
        implied=(table["vix"].to_numpy(dtype=np.float64) / 100.0) ** 2 / SESSIONS,
    )
    first = int(np.datetime64("2005-01-03").astype(np.int64))
    regime, (found,) = examined(
        (market,), events=("variance_doubling",), first=first, refit=96, seed=seed, progress=progress
    )
    event = regime.events["variance_doubling"]
    return values(
        regime,
        found,
        market,
        says=f"S&P 500: variance doubles within {event.ahead} days",
        description=(
            f"The event: {event.says}. Packaged S&P 500 of 1999 to 2018, walk-forward from 2005; the figure now is of "
            f"{market.date(len(market) - 1)}, the last day of these data. Beside the own model stand its "
            "baselines; the hidden state describes the present and is filtered, never smoothed."
        ),
    )
