"""Which parts of a Parquet file must be read for a stretch of time: those whose own statistics reach into it."""

from datetime import UTC, datetime

import pyarrow.parquet as pq

from greekdrift.units import aware


def row_groups(
    metadata: pq.FileMetaData, column: str, *, since: datetime | None = None, until: datetime | None = None
) -> tuple[int, ...]:
    """Row groups that may hold a time within [since, until]; one without statistics is kept.

    Timing: compares the column as it stands; the caller shifts the instants where a stamp is not the event.
    """
    names = [metadata.schema.column(at).path for at in range(metadata.num_columns)]
    at = names.index(column)
    return tuple(
        number
        for number in range(metadata.num_row_groups)
        if _reaches(metadata.row_group(number).column(at).statistics, since, until)
    )


def _reaches(statistics: pq.Statistics | None, since: datetime | None, until: datetime | None) -> bool:
    if statistics is None or not statistics.has_min_max:
        return True
    first, last = _utc(statistics.min), _utc(statistics.max)
    if first is None or last is None:
        return True
    return (since is None or last >= aware(since)) and (until is None or first <= aware(until))


def _utc(moment: object) -> datetime | None:
    """A statistic as an instant; a stamp without a zone counts as UTC, text and numbers as unknown."""
    if not isinstance(moment, datetime):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
