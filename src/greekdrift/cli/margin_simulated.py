"""The simulation of hypothetical books for the command: books, path, dressing, tables, values and the picture."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from greekdrift.book import Account, Chain
from greekdrift.book.rules import RuleSet
from greekdrift.cli.console import progress, table
from greekdrift.config import FORECASTERS, Component, build
from greekdrift.config.document import read
from greekdrift.errors import ConfigError, InputError, nearest
from greekdrift.features.books import book_names, reference_books
from greekdrift.features.panel import Panel
from greekdrift.margin.dressing import PLAIN, Dressing
from greekdrift.market.source import Source
from greekdrift.policy.margin_path import Asked, MarginPath, listed, margin_path
from greekdrift.policy.shock import Shock, shocked
from greekdrift.policy.simulated import Simulated, simulated, volatility_of
from greekdrift.score.exceptions import Backtest
from greekdrift.score.procyclicality import Procyclicality
from greekdrift.score.tradeoff import Goal, curve, fit, sweep
from greekdrift.surface import fit as surfaces
from greekdrift.units import from_datetime64, stamp

LAWS = ("fhs", "historical", "gaussian", "student", "clock")
"""Forecasters that are fitted in closed form, so that they can be refitted along the way."""
QUICK = Dressing(release_half_life_days=1.0, dead_band=0.0, rise_per_day=1.0)
"""What a sweep starts from: hardly slower than the need itself."""
SWEEPS: Mapping[str, tuple[float, ...]] = {
    "rise_per_day": (0.3, 0.2, 0.1, 0.07, 0.05, 0.035),
    "release_half_life_days": (1.0, 2.5, 5.0, 10.0, 20.0),
    "floor": (0.6, 0.8, 0.9, 1.0, 1.1, 1.2),
    "peak_to_trough": (6.0, 5.0, 4.0, 3.0, 2.5, 2.0),
    "buffer": (0.05, 0.1, 0.15, 0.25),
    "stressed_weight": (0.05, 0.1, 0.15, 0.25),
}
"""Values of each device in the trade-off."""
CALMER = {"peak_to_trough": 0.7, "call": 0.8}
"""Goal of a fit: shares of the undressed figures."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Setting:
    """What a simulation rests on; no accounts stand for the canonical books."""

    source: Source
    panel: Panel
    accounts: tuple[Account, ...]
    rules: RuleSet
    model: str
    level: float

    def made(self, chain: Chain) -> Sequence[Account]:
        """The books at a snapshot."""
        return listed(self.accounts)(chain) if self.accounts else reference_books(chain, seed=0)

    @property
    def account_ids(self) -> tuple[str, ...]:
        """The books that are followed."""
        return tuple(one.account_id for one in self.accounts) or book_names(self.panel.underlyings, seed=0)


def path_of(at: Setting, asked: Asked) -> MarginPath:
    """The margin path of the books, forecast along the way."""
    known = [name for name in LAWS if name in FORECASTERS]
    if at.model not in known:
        raise ConfigError(f'--model "{at.model}" cannot be fitted again along the way; {nearest(at.model, known)}')
    law = build(Component(use=at.model), FORECASTERS)
    with progress(f"margin of {len(at.account_ids)} books by {law.name}") as advance:
        return margin_path(
            at.source,
            at.panel,
            at.made,
            at.rules,
            forecaster=law,
            asked=asked,
            account_ids=at.account_ids,
            progress=advance,
        )


def dressing_of(
    at: Setting, path: MarginPath, file: Path | None, until: datetime | None
) -> tuple[Dressing, tuple[str, ...]]:
    """The dressing of a file, the one fitted on the path before an instant, or the plain one; and what to say of it."""
    if file is not None:
        return Dressing.from_values(read(file).values, name=str(file)), ()
    if until is None:
        return PLAIN, ()
    past = path.until(until).past(at.level)
    with progress("fitting the dressing"):
        goal = Goal.calmer(past, exceptions=1.0 - at.level, **CALMER)
        found = fit(past, goal)
    point = found.point
    text = (
        f"fitted before {stamp(until)}: reserve {point.cost:+.1%}, peak to trough {point.peak_to_trough:.2f} "
        f"(undressed {found.undressed.peak_to_trough:.2f}), five-day call {point.call:.1%} of the requirement "
        f"(undressed {found.undressed.call:.1%}), exceptions {point.exceptions:.2%}"
    )
    return found.dressing, (text, *([found.finding] if found.finding else []))


def followed(
    at: Setting, path: MarginPath, dressing: Dressing, *, seed: int
) -> tuple[tuple[Simulated, ...], tuple[str, ...]]:
    """Each book with its figures, and why others have none."""
    found, lost = [], []
    for name in path.account_ids:
        mine = [one for one in at.accounts if one.account_id == name]
        words = {held.instrument.underlying for one in mine for held in one.positions}
        underlyings = tuple(sorted(words)) or tuple(one for one in at.panel.underlyings if name.startswith(f"{one} "))
        volatility = volatility_of(at.panel, path, underlyings)
        try:
            found.append(simulated(path, name, dressing, level=at.level, volatility=volatility, seed=seed))
        except InputError as problem:
            lost.append(f"left out: {problem}")
    if not found:
        raise InputError("; ".join(lost))
    return tuple(found), tuple(lost)


def show(found: Sequence[Simulated], *, level: float) -> None:
    """A row a book: the dressed figure, and the undressed one behind it."""
    first, last = (stamp(from_datetime64(at)) for at in (found[0].as_of[0], found[0].as_of[-1]))
    rows = [
        (
            one.account_id,
            float(one.requirement_usd.mean()),
            one.dressed.average_usd,
            f"{one.dressed.cost.value:+.1%}",
            *(f"{dressed} ({raw})" for dressed, raw in zip(_words(one.dressed), _words(one.raw), strict=True)),
            f"{_share(one.dressed_coverage)} ({_share(one.raw_coverage)})",
            None if one.answer is None else f"{one.answer.elasticity.value:.2f}",
        )
        for one in found
    ]
    columns = (
        "book",
        "mean IM, USD",
        "mean add-on",
        "cost",
        "peak/trough",
        "1-day call",
        "5-day call",
        "20-day call",
        f"exceptions at {level:.0%}",
        "elasticity",
    )
    table(f"Margin add-on from {first} to {last}, dressed (undressed); calls in % of IM", columns, rows)


def shocks_of(at: Setting, path: MarginPath, shocks: tuple[Shock, ...]) -> dict[str, Any]:
    """Margin and equity at the last snapshot of the path, now and after each shock."""
    chain = at.source.chain(from_datetime64(path.as_of[-1]))
    if not shocks:
        return {"as_of": stamp(chain.as_of), "accounts": {}}
    surface = surfaces.fit(chain)
    found = {}
    for account in at.made(chain):
        standing = shocked(chain, account, at.rules, shocks, surface=surface)
        found[account.account_id] = {
            text: {
                "initial_margin_usd": float(standing.initial_margin[row]),
                "maintenance_margin_usd": float(standing.maintenance_margin[row]),
                "equity_usd": float(standing.equity[row]),
                "excess_usd": float(standing.initial_health[row]),
            }
            for row, text in enumerate(("now", *(one.text for one in shocks)))
        }
    if not found:
        raise InputError(
            f"no book can be held at {stamp(chain.as_of)}: what it names is not listed; ask for an earlier --until."
        )
    return {"as_of": stamp(chain.as_of), "accounts": found}


def show_shocks(hit: Mapping[str, Any]) -> None:
    """A row a book and shock."""
    rows = [
        (name, text, one["initial_margin_usd"], one["maintenance_margin_usd"], one["equity_usd"], one["excess_usd"])
        for name, states in hit["accounts"].items()
        for text, one in states.items()
    ]
    if rows:
        columns = ("book", "market", "initial margin", "maintenance margin", "equity", "excess")
        table(f"Under stated shocks at {hit['as_of']}, USD", columns, rows)


def draw(found: Sequence[Simulated], plot: Path, *, level: float, model: str) -> None:
    """The paths as a picture; a page holds all books, an image the first."""
    from greekdrift.cli.console import say, writing
    from greekdrift.report.picture import PAGES, write
    from greekdrift.report.procyclical import path_figure

    shown = found if plot.suffix in PAGES else found[:1]
    if len(shown) < len(found):
        say(f"{plot} shows {shown[0].account_id} alone; write an .html page for all {len(found)} books")
    pictures = [
        (path_figure(values(one)), f"margin, need and add-on of {one.account_id} by {model} at {level:.0%}")
        for one in shown
    ]
    with writing(plot):
        write(
            plot,
            pictures,
            title="Margin of hypothetical books",
            lead=f"Need by {model} at {level:.0%}, raw and dressed.",
        )


def draw_tradeoff(at: Setting, path: MarginPath, dressing: Dressing, picture: Path) -> dict[str, Any]:
    """What each device buys and costs on all books together, as a picture and as values; the star is the dressing."""
    from greekdrift.cli.console import writing
    from greekdrift.report.picture import write
    from greekdrift.report.procyclical import tradeoff_figure

    past = path.past(at.level)
    with progress("trying the devices"):
        lines = {
            device.replace("_", " "): [asdict(one) for one in curve(past, sweep(QUICK, device, tried))]
            for device, tried in SWEEPS.items()
        }
        raw, chosen = (asdict(one) for one in curve(past, (None, dressing)))
    figure = tradeoff_figure(lines, undressed=raw, chosen=chosen, nominal=1.0 - at.level)
    with writing(picture):
        write(
            picture,
            [(figure, "what calm costs")],
            title="What calm costs",
            lead=f"Need by {at.model} at {at.level:.0%}.",
        )
    return {"undressed": raw, "dressing": chosen, "devices": lines}


def values(one: Simulated) -> dict[str, Any]:
    """Everything of one book, JSON-ready: the path, each step's overrides, the figures, the answers by quarter."""
    return {
        "account_id": one.account_id,
        "as_of": [stamp(from_datetime64(at)) for at in one.as_of],
        "requirement_usd": one.requirement_usd.tolist(),
        "need_usd": one.raw_usd.tolist(),
        "addon_usd": one.addon_usd.tolist(),
        "realised_usd": [float(value) if np.isfinite(value) else None for value in one.realised_usd],
        "overrides": [[asdict(each) for each in step.overrides] for step in one.steps],
        "missing_snapshots": one.missing,
        "figures": {
            "undressed": _figures(one.raw, one.raw_coverage),
            "dressed": _figures(one.dressed, one.dressed_coverage),
        },
        "responsiveness": None if one.answer is None else asdict(one.answer),
        "state": one.steps[-1].state.values(),
    }


def plain(dressing: Dressing) -> dict[str, Any]:
    """The dressing as a file would have it."""
    return asdict(dressing)


def _figures(figures: Procyclicality, coverage: tuple[Backtest, Backtest] | None) -> dict[str, Any]:
    tested = None if coverage is None else {"every_origin": asdict(coverage[0]), "thinned": asdict(coverage[1])}
    return {**asdict(figures), "coverage": tested}


def _words(figures: Procyclicality) -> tuple[str, ...]:
    return (f"{figures.peak_to_trough:.2f}", *(f"{100.0 * one.share:.0f}" for one in figures.calls))


def _share(coverage: tuple[Backtest, Backtest] | None) -> str:
    return "?" if coverage is None else f"{coverage[0].share:.1%}"
