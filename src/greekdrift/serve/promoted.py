"""Models in production: copies of artefacts by their digest, and the name "production" that is swapped in one step.

    promoted/<digest>/        the artefact, byte for byte as its manifest says, card and reported intervals
    promoted/production.json  who is in production: promotions, oldest first, and those that were withdrawn

A reader reads the one file once and takes an artefact of exactly that digest, or none: what a later training writes
into its run's folder does not reach production, and a promotion that breaks off leaves the one before. Two
promotions at a time: one of them is refused.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from greekdrift.book import canonical, digest
from greekdrift.durable import write_durably
from greekdrift.errors import ArtefactError, JournalError
from greekdrift.forecast import artefact
from greekdrift.forecast.artefact import load_guarded
from greekdrift.forecast.forecaster import Predictor
from greekdrift.forecast.intervals import FILE as INTERVALS
from greekdrift.forecast.novelty import Novelty
from greekdrift.journal.lock import Lock

PRODUCTION = "production"
"""The word for the model in production, wherever a model is asked for."""
FOLDER = "promoted"
CARD = "CARD.md"
FORMAT = "greekdrift-promotions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """A model that came into production: artefact, run, instant, the lines of the gate, its version in the registry."""

    artefact: str
    name: str
    run: str
    promoted_at: str
    gate: tuple[str, ...]
    registered: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotions:
    """Promotions, oldest first; the last is in production. `withdrawn` are those that were rolled back."""

    made: tuple[Promotion, ...] = ()
    withdrawn: tuple[Promotion, ...] = ()

    @property
    def current(self) -> Promotion | None:
        """The model in production; None where there is none."""
        return self.made[-1] if self.made else None


def promotions(runs: Path) -> Promotions:
    """What was promoted in a folder of runs; a file that was changed by hand is refused."""
    path = runs / FOLDER / f"{PRODUCTION}.json"
    if not path.is_file():
        return Promotions()
    try:
        told = json.loads(path.read_bytes())
        values, sealed = told["values"], told["sha256"]
        found = TypeAdapter(Promotions).validate_json(json.dumps(values), strict=True)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, ValidationError) as problem:
        raise ArtefactError(
            f"{path} cannot be read ({type(problem).__name__}); promote a run again, in an empty {FOLDER} folder."
        ) from None
    if told.get("format") != FORMAT or digest(values) != sealed:
        raise ArtefactError(f"{path} was changed by another hand; promote a run again, in an empty {FOLDER} folder.")
    return found


def in_production(runs: Path) -> Promotion:
    """The promotion that is in production; none is refused."""
    found = promotions(runs).current
    if found is None:
        raise ArtefactError(
            f"no model of {runs} is in production; promote one with greekdrift promote RUN, or name another folder "
            "with --runs."
        )
    return found


def load_production(runs: Path) -> tuple[Predictor, Novelty | None, Promotion]:
    """The model in production, what was usual where it learnt, and its promotion; any other artefact is refused."""
    found = in_production(runs)
    predictor, novelty = load_guarded(place_of(runs, found.artefact), digest=found.artefact)
    return predictor, novelty, found


def place_of(runs: Path, address: str) -> Path:
    """The folder of a promoted artefact."""
    return runs / FOLDER / address[:24]


def promote(
    runs: Path, model: Path, promotion: Promotion, *, before: Promotion | None, intervals: Path | None = None
) -> None:
    """Copies an artefact and puts it in production in place of `before`; refused where another came meanwhile.

    `intervals` is what its evaluation taught of the reported ones, copied beside it.
    """
    load_guarded(model, digest=promotion.artefact)
    with _alone(runs):
        found = promotions(runs)
        if found.current != before:
            other = "none" if found.current is None else found.current.run
            raise ArtefactError(f"another promotion came meanwhile, {other} is in production now; look and try again.")
        _copy(model, place_of(runs, promotion.artefact), promotion.artefact, intervals)
        _write(runs, Promotions(made=(*found.made, promotion), withdrawn=found.withdrawn))


def roll_back(runs: Path) -> tuple[Promotion, Promotion]:
    """Withdraws the model in production; it, and the one before, which is in production again."""
    with _alone(runs):
        found = promotions(runs)
        if found.current is None or len(found.made) < 2:
            state = "nothing is in production" if found.current is None else f"{found.current.run} is the first one"
            raise ArtefactError(f"there is nothing to go back to in {runs}: {state}; promote another run.")
        left, again = found.made[-1], found.made[-2]
        load_guarded(place_of(runs, again.artefact), digest=again.artefact)
        _write(runs, Promotions(made=found.made[:-1], withdrawn=(*found.withdrawn, left)))
    return left, again


@contextmanager
def _alone(runs: Path) -> Iterator[None]:
    folder = runs / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = Lock(folder / PRODUCTION)
    except JournalError:
        raise ArtefactError(f"another promotion is under way in {folder}; try again when it is done.") from None
    try:
        yield
    finally:
        lock.release()


def _copy(model: Path, place: Path, address: str, intervals: Path | None) -> None:
    """The files that the manifest names, the manifest last, card and intervals; held against the digest once there."""
    content = (model / artefact.MANIFEST).read_bytes()
    names: Sequence[str] = sorted(json.loads(content)["files"])
    for name in (*names, *([CARD] if (model / CARD).is_file() else [])):
        write_durably(place / name, (model / name).read_bytes())
    if intervals is not None:
        write_durably(place / INTERVALS, intervals.read_bytes())
    write_durably(place / artefact.MANIFEST, content)
    load_guarded(place, digest=address)


def _write(runs: Path, values: Promotions) -> None:
    plain = asdict(values)
    write_durably(
        runs / FOLDER / f"{PRODUCTION}.json", canonical({"format": FORMAT, "values": plain, "sha256": digest(plain)})
    )
