"""`greekdrift regime`: events of the volatility regime, how good their forecasts were, and where the market stands."""

from pathlib import Path
from typing import Annotated, Any

import typer

from greekdrift.cli import options

Data = Annotated[Path | None, typer.Option("--data", help="Folder of the data; else the one that the file names.")]
Prior = Annotated[
    Path | None, typer.Option("--prior", help="Folder of a regime learnt on longer histories; else the shipped one.")
]
Alone = Annotated[bool, typer.Option("--alone", help="Learn from these data alone, without a longer history.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", callback=options.folder_to_write, help="Folder: model/, regime.json and regime.md."),
]


def command(
    config: options.Config,
    data: Data = None,
    settings: options.Settings = None,
    as_of: options.AsOf = None,
    prior: Prior = None,
    alone: Alone = False,
    plot: options.Plot = None,
    out: Out = None,
    runs: options.Runs = Path("runs"),
) -> None:
    """Forecast regime events, with baselines and their walk-forward beside, and the filtered hidden state.

    A configuration of markets (configs/regime) learns from long histories; an
    experiment learns from its chains, shrunk to the shipped long history of its
    clock. Each table is out of sample: AUC and Brier skill over climatology with
    95 % block-bootstrap intervals, and the calibration error.

    Example, three coins since 2017:
    greekdrift regime --config configs/regime/coins.yaml --data SETS --plot regime.png

    Example, the chains of an experiment:
    greekdrift regime --config configs/experiment/deribit.yaml --data CHAINS
    """
    from greekdrift.cli.console import escape, lead, say, write_json, writing
    from greekdrift.cli.shifts import show, values
    from greekdrift.config.regime import is_markets
    from greekdrift.forecast.artefact import save
    from greekdrift.forecast.events import EVENTS

    options.keep_apart((plot,), (config,))
    options.needs_matplotlib(plot)
    if is_markets(config):
        regime, found, markets = _of_markets(config, data, as_of, prior, alone=alone, runs=runs)
    else:
        regime, found, markets = _of_chains(config, data, settings, as_of, prior, alone=alone, runs=runs)
    tables = [(EVENTS[one.event].says, one.table()) for one in found]
    for says, table in tables:
        print(f"\n{table.text()}" if table is not None else f"\n{says}: too rare here to be judged", flush=True)
    show(regime, markets)
    pages = [
        (
            values(
                regime,
                one,
                market,
                place=place,
                says=f"{market.symbol}: {EVENTS[one.event].says}",
                description=f"Learnt from {regime.learnt_from}, until {regime.learnt_until}.",
            ),
            one.event,
        )
        for one in found
        if one.judged
        for place, market in enumerate(markets)
    ]
    if plot is not None:
        _draw(pages, plot)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        say(f"artefact {save(regime, out / 'model')[:12]} in [bold]{escape(str(out / 'model'))}[/]")
        write_json({"events": [one for one, _ in pages]}, out / "regime.json")
        with writing(out / "regime.md"):
            text = "\n\n".join(table.markdown() for _, table in tables if table is not None)
            (out / "regime.md").write_text(text + "\n", encoding="utf-8")
    lead("greekdrift train keeps such a model beside the forecaster, greekdrift forecast prints it; docs/regimes.md")


def _of_markets(
    config: Path, data: Path | None, as_of: str | None, prior: Path | None, *, alone: bool, runs: Path
) -> tuple[Any, Any, Any]:
    import numpy as np

    from greekdrift.cli.console import progress
    from greekdrift.cli.shifts import days_of
    from greekdrift.config.regime import load_markets
    from greekdrift.evaluate.events import examined
    from greekdrift.forecast.artefact import load_regime
    from greekdrift.units import datetime64, instant

    asked = load_markets(config)
    markets = days_of(asked, root=data, cache=runs / "cache")
    if as_of is not None:
        markets = tuple(one.until(datetime64(instant(as_of))) for one in markets)
    place = None if alone else prior or asked.prior
    with progress(f"walk-forward of {len(asked.events)} events") as advance:
        regime, found = examined(
            markets,
            events=asked.events,
            first=int(np.datetime64(asked.first, "D").astype(np.int64)),
            prior=None if place is None else load_regime(place),
            refit=asked.refit_days,
            block=asked.block_days,
            seed=asked.seed,
            progress=advance,
        )
    return regime, found, markets


def _of_chains(
    config: Path, data: Path | None, settings: Any, as_of: str | None, prior: Path | None, *, alone: bool, runs: Path
) -> tuple[Any, Any, Any]:
    from greekdrift.cli.console import say
    from greekdrift.cli.experiments import panel_of, source_of
    from greekdrift.cli.shifts import learn, prior_of
    from greekdrift.config import load_experiment
    from greekdrift.units import instant

    root = () if data is None else (f"data.root={data}",)
    experiment = load_experiment(config, (*(settings or ()), *root))
    panel = panel_of(source_of(experiment), runs, experiment=experiment)
    if as_of is not None:
        panel = panel.until(instant(as_of))
    longer = None if alone else prior_of(panel.clock, prior)
    if longer is not None:
        say(f"shrunk to a regime of {longer.learnt_from}, learnt until {longer.learnt_until}")
    return learn(panel, seed=experiment.seed, prior=longer)


def _draw(pages: Any, plot: Path) -> None:
    """All markets and events in one picture, or each in its own section of a page."""
    from greekdrift.cli.console import writing
    from greekdrift.errors import DataError
    from greekdrift.report.picture import PAGES, Table, write
    from greekdrift.report.regimes import pooled, regimes

    if not pages:
        raise DataError(f"{plot}: no event could be judged, so that there is nothing to draw; give a longer history.")
    shown = [one for one, _ in pages]
    with writing(plot):
        if plot.suffix not in PAGES:
            write(plot, [(regimes(shown), "events of the regime")], title="Regime")
            return
        tables = [
            Table(
                title=", ".join(filter(None, (one["event"], pooled(one["history"])))),
                columns=one["scores"]["columns"],
                rows=one["scores"]["rows"],
            )
            for one in shown
        ]
        write(plot, [(regimes([one]), one["event"]) for one in shown], title="Regime", tables=tables)
