"""`greekdrift forecast`: where the Greeks, the P&L and the margin of a book will be, and how likely a breach is."""

from pathlib import Path

from greekdrift.cli import options


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
    out: options.OutJson = None,
    runs: options.Runs = Path("runs"),
) -> None:
    """Forecast every account over the horizons: quantiles of each Greek, P&L and margin, probability of a breach.

    A model is a trained folder or the name of a forecaster, which is fitted on the history. Units on the screen and in
    the file are the venue's (vega per point, theta per day).

    Example: greekdrift forecast --config configs/experiment/demo.yaml --model fhs --out forecast.json
    """
    from greekdrift.cli.console import escape, lead, progress, say, write_json
    from greekdrift.cli.decisions import show_forecast
    from greekdrift.cli.setting import Asked, setting
    from greekdrift.errors import DataError
    from greekdrift.serve.encode import forecast_values
    from greekdrift.serve.history import with_chain
    from greekdrift.serve.outlook import outlook

    found = setting(
        Asked(
            chain=chain,
            at=at,
            book=book,
            model=model,
            history=history,
            config=config,
            settings=settings or (),
            venue=venue,
            rules=rules,
            runs=runs,
        )
    )
    if found.predictor is None or found.history is None:
        raise DataError("a forecast needs a history: give --config FILE or --history FOLDER.")
    with progress(f"forecasting {len(found.accounts)} accounts"):
        seen = outlook(
            found.chain,
            found.accounts,
            predictor=found.predictor,
            history=with_chain(found.history, found.chain, features=found.features),
            rules=found.rules,
            horizons=found.horizons,
            n=found.scenarios,
            seed=found.seed,
        )
    for account, problem in seen.problems.items():
        say(f"[yellow]{escape(account)}[/]: {escape(problem)}")
    if not seen.forecasts:
        raise DataError("no account can be forecast; see the reasons above.")
    values = forecast_values(seen.forecasts, model=found.predictor.name, units="venue")
    show_forecast(values)
    if out is not None:
        write_json(values, out)
    lead("greekdrift propose with the same options")
