"""Many series at once, kept as mapped arrays under a key of their files' content, description and the program."""

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from greekdrift import units
from greekdrift.book import digest
from greekdrift.config import data_set as described_sets
from greekdrift.config.data_set import DataSet
from greekdrift.errors import DataError
from greekdrift.market import blocks, parquet, pruning, series, series_files
from greekdrift.market.series import Series

PAGES = (blocks, described_sets, parquet, pruning, series, series_files, units)
"""The pages that read a set and turn its stamps and units into numbers."""
LIBRARIES = ("numpy", "pandas", "pyarrow")


def histories(data_sets: Sequence[DataSet], root: str | Path, *, cache: str | Path | None = None) -> dict[str, Series]:
    """The series of several sets by name ("set/key"), for `Panel.histories`.

    With a cache folder a set is read from its Parquet files once; then its arrays are mapped from there, until a
    file's bytes, the description or the program that reads it changes. Damaged arrays are made again.
    """
    found: dict[str, Series] = {}
    for data_set in data_sets:
        if not data_set.tables:
            raise DataError(f"{data_set.name} holds option chains; name it as the source of the panel, not as history.")
        found.update(_stored(data_set, Path(root), None if cache is None else Path(cache)))
    return found


def _stored(data_set: DataSet, root: Path, cache: Path | None) -> dict[str, Series]:
    if cache is None:
        return series_files.load(data_set, root)
    folder = cache / f"series-{data_set.name}-{_key(data_set, root)[:16]}"
    kept = read(folder)
    if kept is None:
        write(folder, series_files.load(data_set, root))
        kept = read(folder)
    return series_files.load(data_set, root) if kept is None else kept


def write(folder: Path, given: dict[str, Series]) -> None:
    """Writes series as arrays in one step."""
    arrays = {}
    facts = []
    for number, one in enumerate(given.values()):
        for block in ("event_time", "known_at", "values"):
            arrays[f"{block}_{number}"] = getattr(one, block)
        facts.append({name: getattr(one, name) for name in ("name", "columns", "units", "hole_hours", "lag_hours")})
    blocks.write(folder, arrays, {"series": facts})


def read(folder: Path) -> dict[str, Series] | None:
    """The series of a folder, mapped; none where there is no such folder or it is damaged."""
    stored = blocks.read(folder)
    if stored is None:
        return None
    found = {}
    for number, facts in enumerate(stored.facts["series"]):
        found[facts["name"]] = Series(
            **{**facts, "columns": tuple(facts["columns"]), "units": tuple(facts["units"])},
            event_time=blocks.instants(stored.arrays[f"event_time_{number}"]),
            known_at=blocks.instants(stored.arrays[f"known_at_{number}"]),
            values=stored.arrays[f"values_{number}"],
        )
    return found


def _key(described: DataSet, root: Path) -> str:
    """Digest of the files' bytes, the description and the pages that read them."""
    paths = dict.fromkeys(root / table.path for table in described.tables)
    lacking = [path for path in paths if not path.is_file()]
    if lacking:
        raise DataError(f"{lacking[0]}: there is no such file; name the folder of the data as root.")
    content = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    program = [hashlib.sha256(Path(page.__file__).read_bytes()).hexdigest() for page in PAGES if page.__file__]
    libraries = [version(name) for name in LIBRARIES]
    return digest([described.model_dump(mode="json"), content, program, libraries])
