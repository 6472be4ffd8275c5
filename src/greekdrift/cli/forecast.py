"""`greekdrift forecast`: where the Greeks, the P&L and the margin of a book will be, and how likely a breach is."""

from pathlib import Path
from typing import Annotated

import typer

from greekdrift.cli import options

NO_RULES = "none"
"""The word for a forecast without margin."""

Samples = Annotated[int | None, typer.Option("--samples", min=2, help="Number of scenarios; else the experiment's.")]
Horizons = Annotated[
    str | None, typer.Option("--horizons", help="Hours from the snapshot, like 6,12,24; also the checks of a breach.")
]
Quantities = Annotated[
    str | None,
    typer.Option("--quantity", help="By underlying, comma separated: any delta, any Greek, value_usd; or all."),
]
Bands = Annotated[
    list[str] | None,
    typer.Option("--band", help='Further band, like "BTC delta -2..2" or "maker: BTC vega 0-30d -2000..2000 venue".'),
]
Oversample = Annotated[
    int,
    typer.Option("--oversample", min=1, help="Paths drawn for each kept, one a stratum of returns: less error."),
]
Intervals = Annotated[
    Path | None,
    typer.Option(
        "--intervals", help="Run (or its intervals.json) that taught the reported intervals; else the model's."
    ),
]
Split = Annotated[bool, typer.Option("--split", help="Also by cause: clock, spot, level, skew, curvature, cross.")]


def command(
    chain: options.PerhapsChain = None,
    book: options.Book = None,
    model: options.Model = "fhs",
    history: options.History = None,
    config: options.PerhapsConfig = None,
    at: options.At = None,
    venue: options.PerhapsVenue = None,
    rules: options.PerhapsRules = None,
    settings: options.Settings = None,
    chains: options.Chains = None,
    as_of: options.AsOf = None,
    samples: Samples = None,
    horizons: Horizons = None,
    quantity: Quantities = None,
    band: Bands = None,
    split: Split = False,
    oversample: Oversample = 1,
    intervals: Intervals = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed; else the experiment's, or 0.")] = None,
    plot: options.Plot = None,
    out: options.OutForecast = None,
    runs: options.Runs = Path("runs"),
) -> None:
    """Forecast every account over the horizons: quantiles of each Greek, P&L and margin, probability of a breach.

    A model is a trained folder or the name of a forecaster, which is fitted on
    the past alone. --out F.json keeps the summary in the venue's units (vega
    per point, theta per day), a Monte-Carlo error beside each figure. --out
    F.parquet keeps every scenario in internal units (USD, coins, vega per 1.00,
    theta per year): columns scenario, horizon_h, account, quantity, value.

    The interval that is reported is the forecast's own 80 % ("raw"), or, where
    the model was evaluated, one whose level is adapted to how often the last
    ones held ("conformal"): interval_low, interval_high. It claims long-run
    coverage and changes no scenario.

    With --as-of nothing is read that was known later: the latest snapshot known
    then is the origin, from which horizons count. --rules none leaves margin
    out, which is faster by far for large books.

    Example, the experiment's chains and book:
    greekdrift forecast --config configs/experiment/demo.yaml --model fhs
      --out forecast.json --plot forecast.html

    Example, scenarios of your own book to score:
    greekdrift forecast --chains chains --as-of 2026-02-05T08:05Z --book
      book.yaml --model fhs --samples 2000 --horizons 6,12,24 --out f.parquet

    Example, how likely is a band of my choice:
    greekdrift forecast --chains chains --book book.yaml
      --band "BTC delta -2..2" --split
    """
    from greekdrift.cli.bands import parse, with_bands
    from greekdrift.cli.console import escape, lead, progress, say, write_json
    from greekdrift.cli.decisions import show_forecast
    from greekdrift.cli.forecasts import (
        asked_names,
        drawn,
        hours,
        show_intervals,
        show_split,
        split_of,
        split_values,
        write_samples,
    )
    from greekdrift.cli.setting import Asked, setting
    from greekdrift.cli.shifts import show_now
    from greekdrift.errors import DataError
    from greekdrift.forecast.stratified import Stratified
    from greekdrift.serve.encode import forecast_values
    from greekdrift.serve.history import with_chain
    from greekdrift.serve.outlook import outlook
    from greekdrift.units import counted, stamp

    names, asked_hours = asked_names(quantity), hours(horizons)
    bands = [parse(one) for one in band or ()]
    options.keep_apart((plot, out), (chain, book, history, config, intervals))
    options.needs_matplotlib(plot)
    found = setting(
        Asked(
            chain=chain,
            chains=chains,
            at=at,
            as_of=as_of,
            book=book,
            model=model,
            history=history,
            config=config,
            settings=settings or (),
            venue=venue,
            rules=None if rules == NO_RULES else rules,
            runs=runs,
            intervals=intervals,
        )
    )
    if found.predictor is None or found.history is None:
        raise DataError("a forecast needs a history: give --chains FOLDER, --config FILE or --history FOLDER.")
    predictor = found.predictor if oversample == 1 else Stratified(predictor=found.predictor, oversample=oversample)
    say(f"origin {stamp(found.chain.as_of)}, known at {stamp(found.chain.known_at)}")
    used_seed = found.seed if seed is None else seed
    known = with_chain(found.history, found.chain, features=found.features)
    with progress(f"forecasting {counted(len(found.accounts), 'account')}"):
        seen = outlook(
            found.chain,
            with_bands(found.accounts, bands),
            predictor=predictor,
            history=known,
            rules=None if rules == NO_RULES else found.rules,
            horizons=asked_hours or found.horizons,
            n=samples or found.scenarios,
            seed=used_seed,
            names=names,
        )
    for account, problem in seen.problems.items():
        say(f"[yellow]{escape(account)}[/]: {escape(problem)}")
    for account, lines in seen.stand_ins.items():
        for line in lines:
            say(f"[yellow]{escape(account)}[/]: {escape(line)}")
    if not seen.forecasts:
        raise DataError("no account can be forecast; see the reasons above.")
    reported = None if found.intervals is None else found.intervals.at(found.chain.known_at)
    values = forecast_values(seen.forecasts, model=found.predictor.name, units="venue", intervals=reported)
    show_forecast(values)
    show_intervals(values, found.intervals, found.chain.known_at)
    if reported is not None:
        say(reported.note)
    if found.novelty is not None and (reason := found.novelty.judge(known).reason):
        say(f"[yellow]{escape(reason)}[/]: a decision would rest on the rule instead")
    elif reported is not None and reported.reason:
        say(f"[yellow]{escape(reported.reason)}[/]: a decision would rest on the rule instead")
    show_now(found.history.until(found.chain.known_at), Path(model) if model and Path(model).is_dir() else None)
    parts = split_of(found.chain, found.accounts, seen) if split else None
    if parts is not None:
        show_split(parts)
    if plot is not None:
        drawn(values, parts, plot)
    if out is not None and out.suffix == ".parquet":
        write_samples(
            seen,
            parts,
            out,
            model=found.predictor.name,
            seed=used_seed,
            known_at=found.chain.known_at,
            intervals=None if reported is None else values,
        )
    elif out is not None:
        write_json(values if parts is None else {**values, "split": split_values(parts)}, out)
    lead("greekdrift propose with the same options")
