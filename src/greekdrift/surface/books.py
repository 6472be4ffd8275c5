"""Revaluation of books: quantities of whole accounts under scenarios, without holding those of any contract.

Scenarios stream through in blocks that stay in cache. Each strike of an expiry is priced once for its call and its put
(where both have the same forward and volatility) and added to all accounts at once, so that nothing of the size of
positions × scenarios, or contracts × scenarios, is ever stored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.typing import ArrayLike

from greekdrift.book import Chain, Scenarios
from greekdrift.errors import InputError
from greekdrift.surface import cells, revalue_kernel
from greekdrift.surface.cells import Rows, Terms
from greekdrift.surface.moved_kernel import EXPIRED, FADING, STATE
from greekdrift.surface.moved_slice import Kept
from greekdrift.surface.revalue import BOOK, blocks, check_names, now_of, start
from greekdrift.surface.scenario import Moved, Plan, apply, index_of, linear_forward, plan, run, time_to_expiry
from greekdrift.surface.slices import Surface
from greekdrift.surface.strips import NO_ROW

Weights = Float[ndarray, "account row"]
Books = Float[ndarray, "scenario horizon account"]
Found = dict[str, Books]

SUMS = ("delta", "gamma", "vega", "theta")
"""Greeks that the compiled loop adds up; values, net deltas and P&L follow from what it sums besides."""
COMPILED = (*SUMS, "value_usd", "value_coin", "delta_usd", "delta_net", "pnl_usd", "pnl_coin")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BookRevaluation:
    """Quantities of books now and under every scenario and horizon; each book is one row of weights.

    `now[name]` (account) and `values[name]` (scenario, horizon, account) hold what was asked for, `pnl_usd` the profit
    since now. A book adds up all its rows: where its Greeks are wanted by underlying, give one row of weights for each.
    """

    as_of: datetime
    underlyings: tuple[str, ...]
    horizons: Float[ndarray, " horizon"]
    weights: Float[ndarray, " scenario"]
    now: Mapping[str, Float[ndarray, " account"]]
    values: Mapping[str, Books]
    pnl_usd: Books

    def plus(self, change: "BookRevaluation") -> "BookRevaluation":
        """The books after a change of holdings: `change` is `books` of the contracts that come and go, and no others.

        Everything is linear in contracts, so that nothing that stays is priced again.
        """
        is_same = self.as_of == change.as_of and self.pnl_usd.shape == change.pnl_usd.shape
        if not is_same or self.values.keys() != change.values.keys():
            raise InputError(
                "the change is of other books, scenarios or names; revalue it with the arguments of the first, but for "
                "weights and rows."
            )
        return replace(
            self,
            now=MappingProxyType({name: column + change.now[name] for name, column in self.now.items()}),
            values=MappingProxyType({name: cube + change.values[name] for name, cube in self.values.items()}),
            pnl_usd=self.pnl_usd + change.pnl_usd,
        )


def books(
    chain: Chain,
    surface: Surface,
    scenarios: Scenarios,
    *,
    weights: ArrayLike,
    rows: ArrayLike | None = None,
    names: Sequence[str] = BOOK,
    kept: Kept = "log_moneyness",
    deterministic: bool = True,
) -> BookRevaluation:
    """Exact quantities of books under every scenario and horizon; `pnl_usd` is always among them.

    `weights` are signed contracts (account, row) of `rows` of the chain, of all where none are given
    (`greeks.exposure.weights` makes them of accounts). Names, `kept` and `deterministic` as in `revalue.revalue`; the
    results are equal to the product of its cubes with the weights, to rounding. Memory beyond the results does not
    grow with the number of scenarios. A book's numbers are the same bits whatever other books are revalued with it.
    """
    check_names(names)
    at, held = _merged(chain.numbers(rows), weights)
    prepared = plan(chain, surface, scenarios, at, kept=kept)
    terms = start(prepared, cells.terms_of(chain, at, scenarios.underlyings))
    wanted = tuple(dict.fromkeys((*names, "pnl_usd")))
    compiled = tuple(name for name in wanted if name in COMPILED)
    found = _compiled(prepared, scenarios, terms, held, compiled, deterministic=deterministic)
    for name in wanted:
        if name not in found:
            found[name] = np.zeros(found["pnl_usd"].shape)
    _add_linear(prepared, scenarios.increments, terms, held, found)
    others = tuple(name for name in wanted if name not in COMPILED)
    _add_options(prepared, scenarios.increments, terms, held, others, found)
    for array in found.values():
        array.setflags(write=False)
    return BookRevaluation(
        as_of=chain.as_of,
        underlyings=scenarios.underlyings,
        horizons=scenarios.horizons,
        weights=scenarios.weights,
        now=MappingProxyType({name: held @ column for name, column in now_of(chain, at, names).items()}),
        values=MappingProxyType({name: found[name] for name in names}),
        pnl_usd=found["pnl_usd"],
    )


def _merged(rows: Rows, weights: ArrayLike) -> tuple[Rows, Weights]:
    """Rows that any book holds, each once, and their weights."""
    given = np.atleast_2d(np.asarray(weights, dtype=np.float64))
    if given.ndim != 2 or given.shape[1] != rows.size:
        raise InputError(f"weights have shape {given.shape}; give (account, row) with {rows.size} rows.")
    if not np.all(np.isfinite(given)):
        account, row = np.argwhere(~np.isfinite(given))[0]
        raise InputError(f"weights[{account}, {row}] = {given[account, row]} is no number of contracts; correct it.")
    once, back = np.unique(rows, return_inverse=True)
    if once.size < rows.size:
        total = np.zeros((given.shape[0], once.size))
        np.add.at(total.T, back, given.T)
        rows, given = once, total
    is_held = np.any(given != 0.0, axis=0)
    return rows[is_held], given[:, is_held]


def _compiled(
    prepared: Plan, scenarios: Scenarios, terms: Terms, held: Weights, names: Sequence[str], *, deterministic: bool
) -> Found:
    """Sums over the options, but for those that are within the settlement window by then."""
    increments, pack, accounts = scenarios.increments, prepared.pack, held.shape[0]
    owners, value_slot, settled_slot = _slots(prepared)
    sums = [one for one in SUMS if any(name.startswith(one) for name in names)]
    sized = np.zeros((accounts + accounts % 2, held.shape[1] + 1))
    sized[:accounts, :NO_ROW] = held * terms.size
    out = np.empty((len(owners) + len(sums), increments.shape[1], len(sized), increments.shape[0]))
    loop = revalue_kernel.books if deterministic else revalue_kernel.books_contracted
    run(
        loop, prepared, increments, *(np.ascontiguousarray(sized[:, at]) for at in (pack.call, pack.put)), value_slot,
        settled_slot,
        np.int64(len(owners)), _runs(sums, first=len(owners)), out,
    )  # fmt: skip
    totals = list(out.transpose(0, 3, 1, 2)[..., :accounts])
    known: Found = dict(zip(sums, totals[len(owners) :], strict=True))
    coins = [total for (_, kind), total in zip(owners, totals, strict=False) if kind != "usd"]
    living = [total for (_, kind), total in zip(owners, totals, strict=False) if kind == "living"]
    index = index_of(prepared, increments)
    worth = _sum(
        [
            total if kind == "usd" else total * index[..., underlying, None]
            for (underlying, kind), total in zip(owners, totals, strict=False)
        ],
        totals[0],
    )
    for name in names:
        if name == "value_usd":
            known[name] = worth.copy(order="K")
        if name == "pnl_usd":
            known[name] = worth
        if name in ("value_coin", "pnl_coin"):
            known[name] = _sum(coins, totals[0])
        if name == "delta_usd":
            known[name] = known["delta"].copy(order="K") if "delta" in names else known["delta"]
        if name == "delta_net":
            known[name] = known["delta"] - _sum(living, totals[0])
        if name.startswith("pnl"):
            known[name] -= _in_order(held * (terms.start_usd if name == "pnl_usd" else terms.start_coin))
    return {name: known[name] for name in names}


def _runs(sums: Sequence[str], *, first: int) -> ndarray:
    """Neighbouring columns of `revalue_kernel.books` that are asked for: from, to and the slot of the first."""
    found: list[list[int]] = []
    for slot, name in enumerate(sums, start=first):
        column = 1 + SUMS.index(name)
        if found and found[-1][1] == column:
            found[-1][1] = column + 1
        else:
            found.append([column, column + 1, slot])
    return np.array(found, dtype=np.int64).reshape(-1, 3)


def _sum(parts: Sequence[Books], like: Books) -> Books:
    """The sum of some arrays as an array of its own; 0 in the shape of `like` where there are none."""
    total = np.array(parts[0] if parts else np.zeros_like(like), order="K", copy=True)
    for part in parts[1:]:
        total += part
    return total


def _slots(prepared: Plan) -> tuple[list[tuple[int, str]], Rows, Rows]:
    """The sums of values that strips add to, as (underlying, kind), and which one each adds to, living and settled."""
    strips, is_settled = prepared.options, np.any(prepared.terms[..., STATE] == EXPIRED, axis=1)
    owners: dict[tuple[int, str], int] = {}
    if not strips or any(not one.is_inverse for one in strips):
        owners[0, "usd"] = 0
    for one, settles in zip(strips, is_settled, strict=True):
        if one.is_inverse and settles:
            owners.setdefault((one.underlying, "settled"), len(owners))
    for one in strips:
        if one.is_inverse:
            owners.setdefault((one.underlying, "living"), len(owners))
    living = [owners[one.underlying, "living"] if one.is_inverse else 0 for one in strips]
    settled = [owners.get((one.underlying, "settled"), 0) if one.is_inverse else 0 for one in strips]
    return list(owners), np.array(living, dtype=np.int64), np.array(settled, dtype=np.int64)


def _add_linear(prepared: Plan, increments: ndarray, terms: Terms, held: Weights, found: Found) -> None:
    """Adds futures, perpetuals and spot."""
    at, _ = linear_forward(prepared, increments[:0])
    own, hours = terms.take(at), np.arange(increments.shape[1])
    left = time_to_expiry(prepared)[:, at]
    for block in blocks(len(increments), hours.size * at.size) if at.size else ():
        _, forward = linear_forward(prepared, increments[block])
        index = index_of(prepared, increments[block])[..., own.underlying]
        moved = Moved(forward=forward, volatility=forward, time_to_expiry=left, index=index)
        _add(cells.linear(own, tuple(found), moved), held[:, at], found, block, hours)


def _add_options(
    prepared: Plan, increments: ndarray, terms: Terms, held: Weights, names: Sequence[str], found: Found
) -> None:
    """Adds what the compiled loop does not sum: other names, and options within the settlement window."""
    everything = np.flatnonzero(terms.is_option), np.arange(increments.shape[1]), names
    parts = [everything] if names else []
    for strip, states in zip(prepared.options, prepared.terms[..., STATE] == FADING, strict=True):
        if np.any(states):
            parts.append((strip.at(), np.flatnonzero(states), tuple(found.keys() - set(names))))
    if not parts:
        return
    nothing = np.zeros(prepared.n_rows)
    for block in blocks(len(increments), increments.shape[1] * prepared.n_rows):
        moved = apply(prepared, increments[block])
        whole = slice(0, block.stop - block.start)
        for at, hours, asked in parts:
            own = replace(terms, start_usd=nothing, start_coin=nothing).take(at)
            part = cells.select(moved, own, at, scenarios=whole, horizons=hours)
            _add(cells.options(own, asked, part), held[:, at], found, block, hours)


def _add(cubes: Found, weights: Weights, found: Found, block: slice, hours: Rows) -> None:
    """Adds weights times cells, in the order of the rows, so that a book's bits do not hang on its company."""
    by_row = np.ascontiguousarray(weights.T)
    for name, cube in cubes.items():
        if np.any(cube):
            total = np.zeros((cube.shape[0] * cube.shape[1], weights.shape[0]))
            revalue_kernel.weighted(np.ascontiguousarray(cube).reshape(len(total), -1), by_row, total)
            to = found[name][block]
            part = total.reshape(*cube.shape[:2], -1)
            if hours.size == to.shape[1]:
                to += part
            else:
                to[:, hours] += part


def _in_order(terms: Weights) -> Float[ndarray, " account"]:
    """Sums over rows, one after the other."""
    return np.add.accumulate(terms, axis=1)[:, -1] if terms.shape[1] else np.zeros(terms.shape[0])
