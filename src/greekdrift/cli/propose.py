"""`greekdrift propose`: the verified adjustment of each account, or HOLD with reasons."""

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
    clock: options.Clock = "chain",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", callback=options.folder_to_write, help="Folder for decisions.json, which verify replays."
        ),
    ] = None,
    runs: options.Runs = Path("runs"),
) -> None:
    """Decide about every account: orders and a margin add-on that the deterministic calculator verified, or HOLD.

    Without a model the deterministic rule decides (BASELINE). Nothing unverified is printed.

    Example: greekdrift propose --config configs/experiment/demo.yaml --model fhs --out runs/today
    """
    from greekdrift.cli.console import escape, folder, lead, progress, say
    from greekdrift.cli.decisions import bundle, show
    from greekdrift.cli.experiments import keep
    from greekdrift.cli.setting import Asked, setting
    from greekdrift.rebalance import rebalance
    from greekdrift.serve.history import with_chain

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
    now = options.moment(clock, found.chain)
    past = None if found.history is None else with_chain(found.history, found.chain, features=found.features)
    with progress(f"deciding about {len(found.accounts)} accounts"):
        decisions = rebalance(
            found.chain,
            found.accounts,
            predictor=found.predictor,
            novelty=found.novelty,
            intervals=found.intervals,
            history=past,
            rules=found.rules,
            venue=found.venue,
            now=now,
            horizons=found.horizons,
            n=found.scenarios,
            seed=found.seed,
        )
    show(decisions, as_of=found.chain.as_of)
    if out is not None:
        keep(folder(out), "decisions", bundle(found, decisions, now=now))
        say(f"\nwrote [bold]{escape(str(out / 'decisions.json'))}[/]")
        lead(f"greekdrift verify {out / 'decisions.json'}")
    else:
        lead("add --out FOLDER to keep decisions and certificates")
