"""The steps of the main job; each says what it does, leaves its part in the run's folder and notes its time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from greekdrift import __version__
from greekdrift.cli.bundles import copied
from greekdrift.cli.console import progress, say
from greekdrift.cli.decisions import bundle, decisions_for_report, forecast_for_report, show, show_forecast
from greekdrift.cli.evaluate import score
from greekdrift.cli.experiments import carried, keep, panel_of, run_folder, source_of
from greekdrift.cli.realised import realised
from greekdrift.cli.setting import Setting
from greekdrift.cli.shifts import packaged_values
from greekdrift.cli.train import fitted
from greekdrift.cli.verify import replay
from greekdrift.config import Experiment, load_accounts, load_rules, load_venue
from greekdrift.config.document import read
from greekdrift.errors import ConfigError, GreekdriftError
from greekdrift.evaluate.tables import primary
from greekdrift.features.panel import Panel
from greekdrift.forecast.artefact import load_guarded
from greekdrift.journal import Journal
from greekdrift.market.source import closest
from greekdrift.serve.app import application
from greekdrift.serve.client import Client
from greekdrift.serve.encode import forecast_values
from greekdrift.serve.engine import Answer, Engine
from greekdrift.serve.history import with_chain
from greekdrift.serve.outlook import outlook
from greekdrift.serve.running import background
from greekdrift.units import stamp

STEPS = 8


@dataclass(slots=True, kw_only=True)
class Job:
    """What the steps hand on."""

    experiment: Experiment
    runs: Path
    path: Path
    source: Any
    panel: Panel
    setting: Setting
    answer: Answer | None = None
    seconds: dict[str, float] = field(default_factory=dict)


@contextmanager
def step(number: int, title: str, seconds: dict[str, float]) -> Iterator[None]:
    """A numbered step: its title before, its time kept after."""
    say(f"\n[bold blue][{number}/{STEPS}][/] [bold]{title}[/]")
    start = perf_counter()
    yield
    seconds[title] = perf_counter() - start


def begin(experiment: Experiment, runs: Path, out: Path | None) -> Job:
    """Data, panel and what every later step rests on: the latest chain, the book, rules and venue."""
    seconds: dict[str, float] = {}
    with step(1, "Real data, surfaces, features", seconds):
        if experiment.book is None:
            raise ConfigError(f"experiment {experiment.name} has no book; name one with --set book=FILE.")
        source = source_of(experiment)
        panel = panel_of(source, runs, experiment=experiment)
        snapshots = source.snapshots()
        origin = experiment.origin
        chain = source.chain(snapshots[-1] if origin is None else closest(snapshots, origin, name=source.name))
        say(f"chain to decide about: {len(chain)} contracts at {stamp(chain.as_of)}, origin: {chain.origin}")
        made = Setting(
            chain=chain,
            accounts=load_accounts(experiment.book),
            venue=load_venue(experiment.venue),
            rules=load_rules(experiment.rules),
            predictor=None,
            novelty=None,
            intervals=None,
            history=panel,
            features=carried(experiment),
            horizons=experiment.horizons,
            scenarios=experiment.scenarios,
            seed=experiment.seed,
        )
    path = run_folder(experiment, runs, out)
    return Job(experiment=experiment, runs=runs, path=path, source=source, panel=panel, setting=made, seconds=seconds)


def judge(job: Job) -> None:
    """The walk-forward scorecard."""
    with step(2, "Scorecard on time that no forecaster had seen", job.seconds):
        card = score(job.experiment, job.source, job.panel, job.path, job.runs)
        for hours in card.horizons:
            print(f"\n{primary(card, hours).text()}", flush=True)
        print(f"\n{card.note}", flush=True)


def learn(job: Job, model: Path | None) -> None:
    """The predictor: trained on everything known at the latest chain, or read from its artefact."""
    with step(3, "Train the drift net" if model is None else "Load the drift net", job.seconds):
        if model is None:
            known = job.panel.until(job.setting.chain.known_at)
            fitted(job.experiment, job.source, known, job.path, job.runs)
        folder = job.path / "model" if model is None else model
        predictor, novelty = load_guarded(folder)
        job.setting = replace(job.setting, predictor=predictor, novelty=novelty)
        say(f"artefact, read back without any code of its own: [bold]{folder}[/]")


def regime(job: Job) -> None:
    """The probability of a shift of the volatility regime."""
    with step(4, "Is the volatility regime about to shift? (S&P 500)", job.seconds):
        with progress("walk-forward of four models") as advance:
            values = packaged_values(seed=job.experiment.seed, progress=advance)
        keep(job.path, "regime", values)
        say(f"{values['event']}: {values['probability']:.1%} at {values['as_of']}")
        for row in values["scores"]["rows"]:
            say(f"  {row[0]:<20} AUC {row[2]:.3f} {row[3]}   Brier skill {row[4]:+.3f} {row[5]}")


def decide(job: Job) -> None:
    """Forecast of the accounts, decisions about them, each on disk in the journal before it counts."""
    found = job.setting
    with step(5, "Forecast, hedge, margin: decide about every account", job.seconds):
        if found.predictor is None or found.history is None:
            raise ConfigError("a decision needs a predictor and its history; run the steps in their order.")
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
        values = forecast_values(seen.forecasts, model=found.predictor.name, units="venue")
        show_forecast(values)
        happened = realised(job.source, found.chain, found.accounts, found.horizons)
        keep(job.path, "forecast", forecast_for_report(values, happened))
        with Journal(job.path / "journal" / "decisions.log") as journal:
            job.answer = engine_of(found, journal=journal).keep(found.chain)
        show(job.answer.decisions, as_of=found.chain.as_of)
        made = bundle(found, job.answer.decisions, now=found.chain.known_at)
        keep(job.path, "decisions", {**made, "decisions": decisions_for_report(job.answer.decisions)})


def check(job: Job) -> None:
    """Every decision judged again from the file alone."""
    with step(6, "Verify offline, from chain, book and rules alone", job.seconds):
        for one in replay(dict(read(job.path / "decisions.json").values)):
            say(f"  {one.account_id:<12} {one.outcome:<12} {one.verdict:<10} {one.detail}")
            if one.is_wrong:
                raise GreekdriftError(f"{one.account_id}: the decision does not hold: {one.detail}.")


def serve(job: Job) -> None:
    """A server in this process, asked over HTTP by the client: it must answer what was decided."""
    with step(7, "Serve, and ask as a rebalancer would", job.seconds):
        engine = engine_of(job.setting)
        with background(application(engine)) as address, Client(address) as client:
            client.snapshot(job.setting.chain)
            answer = client.propose()
            say(f"{address}/v1/propose, ready: {client.is_ready()}, schema: {address}/openapi.json")
        served = [(one["account_id"], one["outcome"], one["adjustment"]) for one in answer["decisions"]]
        decided = [
            (one["account_id"], one["outcome"], one["adjustment"])
            for one in copied(decisions_for_report(job.answer.decisions if job.answer else ()))
        ]
        if served != decided:
            raise GreekdriftError("the server answered other decisions than were made; nothing of this may be used.")
        say(f"{len(served)} decisions served, the same as those verified")


def engine_of(found: Setting, *, journal: Journal | None = None) -> Engine:
    """The engine of a setting, with the chain's own time (a recorded market is replayed)."""
    return Engine(
        accounts=found.accounts,
        rules=found.rules,
        venue=found.venue,
        horizons=found.horizons,
        scenarios=found.scenarios,
        seed=found.seed,
        now=lambda chain: chain.known_at,
        predictor=found.predictor,
        novelty=found.novelty,
        intervals=found.intervals,
        history=found.history,
        features=found.features,
        journal=journal,
    )


def facts(job: Job, *, seconds: float, limits: Sequence[str]) -> dict[str, Any]:
    """What the page says of the run."""
    found = job.setting
    return {
        "name": job.experiment.name,
        "title": "Where will the Greeks be, and what should be done now?",
        "subtitle": (
            f"{', '.join(job.panel.underlyings)} at {stamp(found.chain.as_of)}: "
            f"{found.chain.origin} chains. {len(found.accounts)} isolated accounts, each decided on its own."
        ),
        "version": __version__,
        "limits": list(limits),
        "facts": {
            "chain": "" if job.answer is None else job.answer.chain_digest,
            "rule set": f"{found.rules.name} of {found.rules.dated}, {found.rules.sha256[:16]}",
            "venue": f"{found.venue.name} of {found.venue.dated}, {found.venue.sha256[:16]}",
            "seed": found.seed,
            "took": f"{seconds:.0f} s: " + ", ".join(f"{name} {taken:.0f}" for name, taken in job.seconds.items()),
            "verify": f"greekdrift verify {job.path.name}/decisions.json",
        },
    }


def report(job: Job) -> Path:
    """The page."""
    with step(8, "Report", job.seconds):
        from greekdrift.report.page import build

        return build(job.path)
