"""The two chains that a drift is explained between, and the snapshots on the way that settlements are read from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from greekdrift.book import Account, Chain, Venue
from greekdrift.config import load_experiment, load_venue
from greekdrift.errors import DataError, InputError
from greekdrift.market.parquet import ParquetSource
from greekdrift.market.source import Source, available, closest
from greekdrift.units import from_datetime64, instant, stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One end as it was given: a chain file, an instant, or both (FILE@TIME)."""

    path: Path | None
    at: str | None


def end_of(text: str, *, option: str) -> End:
    """What a word stands for: a file or folder, an instant in ISO 8601, or FILE@TIME.

    >>> end_of("2026-02-05T04:30Z", option="--from")
    End(path=None, at='2026-02-05T04:30Z')
    """
    if Path(text).exists():
        return End(path=Path(text), at=None)
    head, mark, tail = text.rpartition("@")
    if mark and Path(head).exists():
        return End(path=Path(head), at=tail)
    try:
        instant(text)
    except InputError:
        raise InputError(
            f"{option} {text}: there is no such file, and it is no time; give a chain file, FILE@TIME, or a time like "
            "2026-02-05T08:00Z with --chain or --config."
        ) from None
    return End(path=None, at=text)


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoChains:
    """The earlier and the later chain, and the source of both where it is one."""

    chain: Chain
    later: Chain
    source: Source | None

    def between(self, accounts: Sequence[Account]) -> list[Chain]:
        """The snapshots on either side of each expiry that what is held reaches on the way."""
        if self.source is None:
            return []
        moments = [one for one in self.source.snapshots() if self.chain.as_of < one < self.later.as_of]
        held = [self.chain.row_of[name] for one in accounts for name in one.quantities() if name in self.chain.row_of]
        wanted = set()
        for expiry in {from_datetime64(one) for one in self.chain.expiry[held] if not np.isnat(one)}:
            if expiry <= self.later.as_of:
                wanted |= {max((one for one in moments if one <= expiry), default=None)}
                wanted |= {min((one for one in moments if one >= expiry), default=None)}
        return [self.source.chain(one) for one in sorted(one for one in wanted if one is not None)]


def two_chains(
    start: str, end: str, *, chain: Path | None = None, config: Path | None = None, venue: str | None = None
) -> TwoChains:
    """Both chains: from files of their own, or from the snapshots of one file, folder or experiment."""
    ends = (end_of(start, option="--from"), end_of(end, option="--to"))
    experiment = None if config is None else load_experiment(config, (), check_components=False)
    facts = load_venue(venue or (experiment.venue if experiment else "deribit"))
    given = [one.path for one in ends if one.path is not None]
    sources: dict[Path | None, Source] = {}
    if len(given) < len(ends):
        root = chain if chain is not None or config is not None or not given else given[0]
        sources[None] = _shared(root, config, facts)
        if root is not None and root not in sources:
            sources[root] = sources[None]
    for path in given:
        if path not in sources:
            sources[path] = ParquetSource(str(path), venue=facts)
    where = [str(one.path or chain or config or given[0]) for one in ends]
    found = [
        _chain(sources[one.path], one, place, option)
        for one, place, option in zip(ends, where, ("--from", "--to"), strict=True)
    ]
    if found[1].as_of < found[0].as_of:
        raise InputError(f"--to is {stamp(found[1].as_of)}, before --from at {stamp(found[0].as_of)}; swap them.")
    first, second = (sources[one.path] for one in ends)
    return TwoChains(chain=found[0], later=found[1], source=first if first is second else None)


def _shared(chain: Path | None, config: Path | None, facts: Venue) -> Source:
    if chain is not None:
        return ParquetSource(str(chain), venue=facts)
    if config is None:
        raise InputError("times need a source of chains: give --chain FILE (or a folder of them), or --config FILE.")
    from greekdrift.cli.experiments import source_of

    return source_of(load_experiment(config, (), check_components=False))


def _chain(source: Source, end: End, where: str, option: str) -> Chain:
    snapshots = source.snapshots()
    if end.at is not None:
        return source.chain(closest(snapshots, instant(end.at), name=where))
    if len(snapshots) > 1:
        raise DataError(
            f"{option} {where} has {available(snapshots)}; say which one, like {where}@{stamp(snapshots[-1])}."
        )
    return source.chain(snapshots[0])
