"""Checks of snapshots against their neighbours: gaps, holes, repeats, quotes that stand still, when it was known.

A `Past` takes blocks of whole snapshots in order of time and keeps of them what the next ones are held against: the
last row of every contract, and counts by snapshot. What only the end can tell is told by `close`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Int, Shaped
from numpy import ndarray

from greekdrift.book.chain import LARGEST_VOLATILITY
from greekdrift.market.validation import spacing
from greekdrift.market.validation.finding import Hits, at_moments, at_rows
from greekdrift.market.validation.quotes import delta
from greekdrift.market.validation.rows import Column, Mask, Rows

REPEATED = 0.99
"""Share of a snapshot's rows that must equal the last one's for it to be a repeat, of at least `FEWEST` rows; where the
venue stamped a row since, the market stood still, and nothing is repeated."""
FEWEST = 20
STALE_STEPS = 3
"""Snapshots in a row over which a quote may stand still."""
STALE_MOVE = 0.005
"""Move of the index, since the quote last changed, without which it has no reason to."""
STALE_DELTA = 0.05
"""|delta| of the quotes that must answer a move: from here to one minus this."""
LATEST_MINUTES = 15.0
"""Minutes after its stamp until which a snapshot is usually known."""

Codes = Int[ndarray, " row"]
QUOTED = ("bid", "ask", "mark", "mark_iv")
LATEST = (*QUOTED, "forward", "steps", "index")
"""What is kept of the last row of a contract: its numbers, for how many snapshots its quotes had stood still, and the
index when they last changed."""


@dataclass(slots=True, kw_only=True)
class Past:
    """What the snapshots so far leave behind; contracts, underlyings and expiries are numbered as they come."""

    holes: tuple[spacing.Hole, ...] = ()
    moments: list[ndarray] = field(default_factory=list)
    count: int = 0
    newest_event: ndarray = field(default_factory=lambda: np.empty(0, dtype="datetime64[us]"))
    """The venue's latest own stamp so far, by underlying."""
    newest_known: np.datetime64 = field(default_factory=lambda: np.datetime64("NaT", "us"))
    names: dict[str, int] = field(default_factory=dict)
    underlyings: dict[str, int] = field(default_factory=dict)
    expiries: dict[tuple[int, object], int] = field(default_factory=dict)
    sizes: list[pd.DataFrame] = field(default_factory=list)
    turns: Codes = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    contract_turn: Codes = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    expiry_turn: Codes = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    latest: ndarray = field(default_factory=lambda: np.empty((0, len(LATEST))))
    contracts: list[pd.DataFrame] = field(default_factory=list)
    whole: list[pd.DataFrame] = field(default_factory=list)

    def add(self, rows: Rows) -> Iterator[Hits]:
        """What the next block's rows break; the block is part of the past afterwards."""
        if not len(rows):
            return
        yield from self._known(rows)
        contract, underlying = self._codes(rows)
        turn = self._counted(rows, underlying)
        self._absent(rows, contract, underlying, turn)
        yield from self._standing_still(rows, contract, spoken=self._spoken(rows, underlying))
        self.moments.append(_moments(rows))
        self.count += self.moments[-1].size

    def close(self) -> Iterator[Hits]:
        """What the whole of the snapshots breaks."""
        if not self.count:
            return
        seen = self.seen()
        yield from spacing.check(seen, self.holes)
        yield from _missing(_absences(self.contracts, seen), _absences(self.whole, seen))

    def seen(self) -> spacing.Seen:
        """Instants of the snapshots and their rows by underlying, in order of the underlyings' names."""
        table = np.zeros((len(self.underlyings), self.count), dtype=np.int64)
        for counted in self.sizes:
            table[counted["underlying"], counted["number"]] = counted["count"]
        order = sorted(self.underlyings)
        return spacing.Seen(
            moments=np.concatenate([np.empty(0, dtype="datetime64[us]"), *self.moments]),
            underlyings=tuple(order),
            counts=table[np.array([self.underlyings[name] for name in order], dtype=np.int64)],
        )

    def _known(self, rows: Rows) -> Iterator[Hits]:
        """Known before it happened, long after, or before an earlier snapshot."""
        minutes = (rows.known_at - rows.moment) / np.timedelta64(1, "m")
        yield at_rows("known_early", rows, minutes < 0.0, figure=minutes, limit=0.0)
        yield at_rows("known_late", rows, minutes > LATEST_MINUTES, figure=minutes, limit=LATEST_MINUTES)
        last = pd.Series(rows.known_at).groupby(rows.number).max().to_numpy(dtype="datetime64[us]")
        newest = np.fmax.accumulate(np.append(self.newest_known, last))
        back = (newest[:-1] - last) / np.timedelta64(1, "m")
        is_back = back > 0.0
        self.newest_known = newest[-1]
        where = np.full(int(is_back.sum()), "whole snapshot", dtype=object)
        yield at_moments("known_backwards", _moments(rows)[is_back], where, figure=back[is_back], limit=0.0)

    def _codes(self, rows: Rows) -> tuple[Codes, Codes]:
        """Numbers of each row's contract and underlying."""
        names = np.array([self.names.setdefault(str(name), len(self.names)) for name in rows.names], dtype=np.int64)
        of = [self.underlyings.setdefault(name, len(self.underlyings)) for name in rows.underlyings]
        self.contract_turn = _longer(self.contract_turn, len(self.names), -1)
        self.turns = _longer(self.turns, len(self.underlyings), 0)
        more = np.full((len(self.names) - len(self.latest), len(LATEST)), np.nan)
        self.latest = np.concatenate([self.latest, more])
        return names[rows.name], np.array(of, dtype=np.int64)[rows.underlying]

    def _counted(self, rows: Rows, underlying: Codes) -> Codes:
        """Number of each row's snapshot among those of its underlying; counts of rows are kept."""
        cells = pd.DataFrame({"underlying": underlying, "number": self.count + rows.number})
        self.sizes.append(cells.value_counts(sort=False).rename("count").reset_index())
        turn = (
            cells.groupby("underlying")["number"].rank("dense").to_numpy().astype(np.int64) - 1 + self.turns[underlying]
        )
        np.maximum.at(self.turns, underlying, turn + 1)
        return turn

    def _absent(self, rows: Rows, contract: Codes, underlying: Codes, turn: Codes) -> None:
        """Contracts and whole expiries that are there again after an absence: kept until the end."""
        lines = pd.DataFrame(
            {
                "underlying": np.array(rows.underlyings, dtype=object)[rows.underlying],
                "expiry": rows.expiry,
                "name": rows.name_of(np.arange(len(rows))),
            }
        )
        at, before, gap = _holes(contract, turn, self.contract_turn)
        self.contracts.append(lines.iloc[at].assign(before=before, gap=gap))
        each = np.unique(rows.group, return_index=True)[1]
        dated = each[~np.isnat(rows.expiry[each])]
        keys = zip(underlying[dated].tolist(), rows.expiry[dated].tolist(), strict=True)
        expiry = np.array([self.expiries.setdefault(key, len(self.expiries)) for key in keys], dtype=np.int64)
        self.expiry_turn = _longer(self.expiry_turn, len(self.expiries), -1)
        at, before, gap = _holes(expiry, turn[dated], self.expiry_turn)
        self.whole.append(lines.iloc[dated[at]].assign(before=before, gap=gap))

    def _spoken(self, rows: Rows, underlying: Codes) -> Mask:
        """Whether the venue stamped a row of the same snapshot and underlying after all that it had stamped before."""
        self.newest_event = np.append(
            self.newest_event,
            np.full(len(self.underlyings) - self.newest_event.size, np.datetime64("NaT", "us")),
        )
        cells = pd.DataFrame({"of": underlying, "number": rows.number, "event": rows.event}).groupby(["of", "number"])
        last = cells["event"].max()
        of, stamps = last.index.get_level_values("of").to_numpy(), last.to_numpy(dtype="datetime64[us]")
        is_new = np.zeros(len(last), dtype=np.bool_)
        for code in np.unique(of):
            newest = np.fmax.accumulate(np.append(self.newest_event[code], stamps[of == code]))
            is_new[of == code] = newest[1:] > newest[:-1]
            self.newest_event[code] = newest[-1]
        spoken: Mask = is_new[cells.ngroup().to_numpy()]
        return spoken

    def _standing_still(self, rows: Rows, contract: Codes, *, spoken: Mask) -> Iterator[Hits]:
        """Snapshots that repeat the last one, and quotes that do not answer a move of the index."""
        order = np.lexsort((rows.number, contract))
        own = contract[order]
        is_first = np.diff(own, prepend=-1) != 0
        kept = self.latest[own]
        index = pd.Series(rows.index).groupby([rows.number, rows.underlying]).transform("median").to_numpy()[order]
        same = ~is_first | np.isfinite(kept[:, LATEST.index("steps")])
        alike = {}
        for name in (*QUOTED, "forward"):
            now = getattr(rows, name)[order]
            last = np.where(is_first, kept[:, LATEST.index(name)], np.append(np.nan, now[:-1]))
            alike[name] = now == last
            if name in QUOTED:
                same &= alike[name] | (np.isnan(now) & np.isnan(last))
        start = np.maximum.accumulate(np.where(same & ~is_first, 0, np.arange(order.size)))
        goes_on = same & is_first
        steps = np.arange(order.size) - start + np.where(goes_on, kept[:, LATEST.index("steps")] + 1.0, 0.0)[start]
        begun = np.where(goes_on, kept[:, LATEST.index("index")], index)[start]
        is_last = np.append(is_first[1:], True)
        columns = [getattr(rows, name)[order] for name in (*QUOTED, "forward")]
        self.latest[own[is_last]] = np.stack([*columns, steps, begun], axis=1)[is_last]
        yield from _repeated(rows, _put((same & alike["forward"]).astype(np.float64), order), spoken)
        is_stale = _put((steps >= STALE_STEPS) & (np.abs(np.log(index / begun)) > STALE_MOVE), order)
        yield at_rows("stale", rows, is_stale & _is_live(rows), figure=_put(steps, order), limit=STALE_STEPS)


def _moments(rows: Rows) -> Shaped[ndarray, " snapshot"]:
    """Instants of the snapshots by number."""
    return rows.moment[np.flatnonzero(np.r_[True, np.diff(rows.number) > 0])]


def _longer(codes: Codes, size: int, blank: int) -> Codes:
    return np.append(codes, np.full(size - codes.size, blank))


def _put(values: ndarray, order: Codes) -> ndarray:
    """Sorted values at the rows that they were sorted from."""
    made = np.empty_like(values)
    made[order] = values
    return made


def _holes(of: Codes, turn: Codes, latest: Codes) -> tuple[Codes, Codes, Codes]:
    """Rows at which something is there again, its last turn before, and for how many turns it was not.

    `latest` is the last turn of each before these rows, −1 for none; it is brought up to date.
    """
    order = np.lexsort((turn, of))
    own, now = of[order], turn[order]
    is_first = np.diff(own, prepend=-1) != 0
    before = np.where(is_first, latest[own], np.append(-1, now[:-1]))
    is_hole = (before >= 0) & (now - before > 1)
    np.maximum.at(latest, own, now)
    return order[is_hole], before[is_hole], (now - before - 1)[is_hole]


def _absences(parts: Sequence[pd.DataFrame], seen: spacing.Seen) -> pd.DataFrame:
    """One line a snapshot from which something is absent: moment, underlying, expiry, name, length of the absence."""
    lines = pd.concat(parts, ignore_index=True)
    gap = lines["gap"].to_numpy(dtype=np.int64)
    each = lines.loc[np.repeat(np.arange(len(lines)), gap)].reset_index(drop=True)
    turn = each["before"].to_numpy() + 1 + np.arange(len(each)) - np.repeat(np.cumsum(gap) - gap, gap)
    moment = np.full(len(each), np.datetime64("NaT", "us"))
    for name in seen.underlyings:
        is_own = (each["underlying"] == name).to_numpy()
        moment[is_own] = seen.own(name)[turn[is_own]]
    return each.assign(moment=moment)


def _missing(contract: pd.DataFrame, whole: pd.DataFrame) -> Iterator[Hits]:
    """Contracts, and whole expiries, that are absent from snapshots of their underlying between two that have them."""
    key = ["moment", "underlying", "expiry"]
    lost = set(whole[key].itertuples(index=False, name=None))
    is_of_expiry = np.array([one in lost for one in contract[key].itertuples(index=False, name=None)], dtype=np.bool_)
    single = contract[~is_of_expiry]
    yield at_moments("missing_contract", single["moment"], single["name"].to_numpy(), figure=single["gap"], limit=0.0)
    if len(whole):
        lines = contract[is_of_expiry].groupby(key).size()
        keys = whole.set_index(key).index
        named = np.array([f"{u} {pd.Timestamp(e):%d%b%y}".upper() for _, u, e in keys], dtype=object)
        figure = lines.reindex(keys).fillna(0.0).to_numpy()
        yield at_moments("missing_expiry", whole["moment"], named, figure=figure, limit=0.0)


def _is_live(rows: Rows) -> Mask:
    """Options whose delta says that they must answer a move of the index."""
    on = rows.is_option & (rows.mark_iv > 0.0) & (rows.mark_iv < LARGEST_VOLATILITY)
    is_live = np.zeros(len(rows), dtype=np.bool_)
    size = np.abs(delta(rows, on))
    is_live[on] = (size > STALE_DELTA) & (size < 1.0 - STALE_DELTA)
    return is_live


def _repeated(rows: Rows, copied: Column, spoken: Mask) -> Iterator[Hits]:
    """The rows of snapshots that repeat the last one and hold nothing that the venue stamped since."""
    groups = pd.Series(copied).groupby([rows.number, rows.underlying])
    share, count = groups.transform("mean").to_numpy(), groups.transform("size").to_numpy()
    is_repeat = (share >= REPEATED) & (count >= FEWEST) & ~spoken
    yield at_rows("repeated_snapshot", rows, is_repeat, figure=share, limit=REPEATED)
