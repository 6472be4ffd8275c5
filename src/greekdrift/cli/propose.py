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
    chains: options.Chains = None,
    as_of: options.AsOf = None,
    clock: options.Clock = "chain",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", callback=options.folder_to_write, help="Folder for decisions.json, which verify replays."
        ),
    ] = None,
    previous: Annotated[
        Path | None, typer.Option("--previous", help="decisions.json of last time: the add-ons go on from there.")
    ] = None,
    dressing: Annotated[
        Path | None, typer.Option("--dressing", help="YAML or JSON: how the margin add-on is held.")
    ] = None,
    runs: options.Runs = Path("runs"),
) -> None:
    """Decide about every account: orders and a margin add-on that the deterministic calculator verified, or HOLD.

    Without a model the deterministic rule decides (BASELINE). Nothing unverified is printed. With --previous the margin
    add-on rises and falls from the last one within its limits; without, it is taken at once. With --as-of nothing is
    read that was known later, as in greekdrift forecast.

    Example: greekdrift propose --config configs/experiment/demo.yaml --model fhs --out runs/today
    """
    from greekdrift.cli.console import escape, folder, lead, progress, say
    from greekdrift.cli.decisions import bundle, previous_addons, show
    from greekdrift.cli.experiments import keep
    from greekdrift.cli.setting import Asked, setting
    from greekdrift.config.document import read
    from greekdrift.margin.dressing import PLAIN, Dressing
    from greekdrift.rebalance import rebalance
    from greekdrift.serve.history import with_chain
    from greekdrift.units import counted

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
            rules=rules,
            runs=runs,
        )
    )
    now = options.moment(clock, found.chain)
    earlier = {} if previous is None else previous_addons(previous, now=now)
    held = PLAIN if dressing is None else Dressing.from_values(read(dressing).values, name=str(dressing))
    if previous is not None and (new := [one.account_id for one in found.accounts if one.account_id not in earlier]):
        say(f"no earlier add-on is known of {escape(', '.join(new))}: it is taken at once")
    past = None if found.history is None else with_chain(found.history, found.chain, features=found.features)
    with progress(f"deciding about {counted(len(found.accounts), 'account')}"):
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
            dressing=held,
            previous_addons=earlier,
        )
    show(decisions, as_of=found.chain.as_of)
    if out is not None:
        keep(folder(out), "decisions", bundle(found, decisions, now=now, addons=earlier))
        say(f"\nwrote [bold]{escape(str(out / 'decisions.json'))}[/]")
        lead(f"greekdrift verify {out / 'decisions.json'}")
    else:
        lead("add --out FOLDER to keep decisions and certificates")
