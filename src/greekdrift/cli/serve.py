"""`greekdrift serve`: forecasts and verified adjustments over HTTP."""

from pathlib import Path
from typing import Annotated

import typer

from greekdrift.cli import options


def command(
    chain: options.PerhapsChain = None,
    book: options.Book = None,
    model: options.Model = None,
    history: options.History = None,
    config: options.PerhapsConfig = None,
    at: options.At = None,
    venue: options.PerhapsVenue = None,
    rules: options.PerhapsRules = None,
    settings: options.Settings = None,
    clock: options.Clock = "system",
    host: Annotated[
        str, typer.Option(help="Address to listen on; there is no authentication, keep it local.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8765,
    journal: Annotated[Path | None, typer.Option(help="Journal file: decisions count once they are on disk.")] = None,
    runs: options.Runs = Path("runs"),
) -> None:
    """Serve /v1/forecast, /v1/propose, /v1/snapshot, /healthz, /readyz and /openapi.json until stopped.

    The chain given (or the latest of the data) is decided before the server says that it is ready. It never trains: a
    model is production, a trained folder, or a law that is fitted in closed form once before the start. Stops
    gracefully on SIGTERM.

    Example: greekdrift serve --config configs/experiment/demo.yaml --model models/demo --clock chain
    """
    from contextlib import ExitStack

    from greekdrift.cli.console import escape, lead, progress, say
    from greekdrift.cli.setting import Asked, setting
    from greekdrift.journal import Journal
    from greekdrift.serve.app import application
    from greekdrift.serve.engine import Engine
    from greekdrift.serve.running import address, bound, run

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
            may_train=False,
        )
    )
    with ExitStack() as stack:
        listening = stack.enter_context(bound(host, port))
        engine = Engine(
            accounts=found.accounts,
            rules=found.rules,
            venue=found.venue,
            horizons=found.horizons,
            scenarios=found.scenarios,
            seed=found.seed,
            now=lambda quotes: options.moment(clock, quotes),
            predictor=found.predictor,
            novelty=found.novelty,
            intervals=found.intervals,
            history=found.history,
            features=found.features,
            journal=None if journal is None else stack.enter_context(Journal(journal)),
        )
        with progress("deciding about the first chain"):
            first = engine.keep(found.chain)
        for account, outcome in first.outcomes.items():
            say(f"  {escape(account)}: {outcome}")
        say(f"serving on [bold]{address(listening)}[/], model {engine.model}; stop with Ctrl+C")
        lead(f"curl {address(listening)}/v1/propose")
        run(application(engine), listening)
    say("stopped.")
