"""Which rows of files make one snapshot: stamps of rows that belong together, and of underlyings that coincide."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np


class Run(NamedTuple):
    """Rows of one snapshot in one group, after sorting by snapshot."""

    group: int
    start: int
    stop: int


class Piece(NamedTuple):
    """Rows of one underlying in a run."""

    moment: datetime
    underlying: str
    run: Run


def together(times: np.ndarray, minutes: float) -> np.ndarray:
    """The last stamp of the snapshot of each row.

    >>> together(np.array(["2026-01-01T00:03", "2026-01-01T00:00"], dtype="datetime64[m]"), 5.0).astype(str).tolist()
    ['2026-01-01T00:03', '2026-01-01T00:03']
    """
    stamps = np.unique(times)
    is_last = np.append(np.diff(stamps) > np.timedelta64(round(minutes * 6e7), "us"), True)
    return stamps[is_last][np.searchsorted(stamps[is_last], times)]


def joined(
    pieces: Sequence[Piece], underlyings: Sequence[str], tolerance: timedelta, *, with_partial: bool = False
) -> tuple[dict[datetime, dict[Run, set[str]]], tuple[datetime, ...]]:
    """Runs, and which underlyings of each, by joint snapshot (its latest stamp); and the snapshots that lack one.

    These are among the joint ones only `with_partial`.
    """
    joint: dict[datetime, dict[Run, set[str]]] = {}
    partial: list[datetime] = []
    for cluster in _clusters([piece for piece in pieces if piece.underlying in underlyings], tolerance):
        latest = cluster[-1].moment
        if {piece.underlying for piece in cluster} != set(underlyings):
            partial.append(latest)
            if not with_partial:
                continue
        joint[latest] = {}
        for piece in cluster:
            joint[latest].setdefault(piece.run, set()).add(piece.underlying)
    return joint, tuple(partial)


def _clusters(pieces: Sequence[Piece], tolerance: timedelta) -> Iterator[list[Piece]]:
    """Neighbours in time within the tolerance; a second stamp of one underlying begins a new cluster."""
    cluster: list[Piece] = []
    seen: dict[str, datetime] = {}
    for piece in pieces:
        is_late = bool(cluster) and piece.moment - cluster[0].moment > tolerance
        if is_late or seen.get(piece.underlying, piece.moment) != piece.moment:
            yield cluster
            cluster, seen = [], {}
        cluster.append(piece)
        seen[piece.underlying] = piece.moment
    if cluster:
        yield cluster
