"""Revaluation of contracts under scenarios: each requested row once per scenario and horizon, exactly.

A book is then a weight per row: its quantity under every scenario is one matrix product, and a change of holdings one
of a few columns. Formulas per contract stand in `cells`, how a chain moves in `scenario`. `books` gives the quantities
of whole accounts without holding any contract's.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.book import Chain, Scenarios
from greekdrift.errors import InputError, nearest
from greekdrift.greeks import QUANTITIES, black
from greekdrift.greeks.exposure import line_quantities
from greekdrift.surface import cells, revalue_kernel
from greekdrift.surface.cells import MONEY, Cube, Terms
from greekdrift.surface.moved_kernel import FADING, STATE
from greekdrift.surface.moved_slice import Kept
from greekdrift.surface.scenario import (
    Increments,
    Moved,
    Plan,
    index_of,
    linear_forward,
    plan,
    run,
    time_to_expiry,
    today,
)
from greekdrift.surface.slices import Surface
from greekdrift.surface.state import FACTORS

Rows = Int[ndarray, " row"]
Books = Float[ndarray, "scenario horizon account"]

BOOK = ("value_usd", "delta_usd", "delta_net", "gamma", "vega", "theta")

BLOCK = 65_536
"""Scenario × horizon × row cells that are worked on at a time outside the compiled loops."""

SLOTS: Mapping[str, int] = MappingProxyType(
    {
        "forward": revalue_kernel.MOVED_FORWARD,
        "volatility": revalue_kernel.MOVED_VOLATILITY,
        "price": revalue_kernel.PRICE,
        "value_usd": revalue_kernel.VALUE_USD,
        "value_coin": revalue_kernel.VALUE_COIN,
        "delta": revalue_kernel.DELTA_USD,
        "delta_usd": revalue_kernel.DELTA_USD,
        "delta_net": revalue_kernel.DELTA_NET,
        "gamma": revalue_kernel.GAMMA,
        "vega": revalue_kernel.VEGA,
        "theta": revalue_kernel.THETA,
        "pnl_usd": revalue_kernel.PNL_USD,
        "pnl_coin": revalue_kernel.PNL_COIN,
    }
)
"""What the compiled loop writes per contract; all else follows from the moved forwards and volatilities."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Revaluation:
    """Quantities per contract of some chain rows, now and under every scenario and horizon.

    `rows` are row numbers of the chain; `now[name]` (row) and `values[name]` (scenario, horizon, row) hold what was
    asked for; `pnl_usd` is the profit per contract since now. Futures and perpetuals are marked to market: their
    `value_usd` is 0, what they earned stands in `pnl_usd` and, in coins, in `pnl_coin`.
    """

    as_of: datetime
    rows: Rows
    underlyings: tuple[str, ...]
    horizons: Float[ndarray, " horizon"]
    weights: Float[ndarray, " scenario"]
    now: Mapping[str, Float[ndarray, " row"]]
    values: Mapping[str, Cube]
    pnl_usd: Cube
    forward: Cube
    volatility: Cube
    time_to_expiry: Float[ndarray, "horizon row"]
    index: Float[ndarray, "scenario horizon underlying"]

    def book(self, name: str, weights: Float[ndarray, "account row"]) -> Books:
        """A quantity (or "pnl_usd") of books that hold `weights` contracts of each row."""
        return self.cube(name) @ np.atleast_2d(weights).T

    def book_now(self, name: str, weights: Float[ndarray, "account row"]) -> Float[ndarray, " account"]:
        """The same quantity before the move."""
        self.cube(name)
        return np.atleast_2d(weights) @ self.now[name]

    def book_change(self, name: str, contracts: Mapping[int, float]) -> Float[ndarray, "scenario horizon"]:
        """What a change of holdings adds to a quantity (or "pnl_usd") of a book: contracts by row number of the chain.

        A product of as few columns as rows are changed; a row that was not revalued is refused.
        """
        cube, place = self.cube(name), {int(row): at for at, row in enumerate(self.rows)}
        change = np.zeros(cube.shape[:2])
        for row, amount in contracts.items():
            if row not in place:
                raise InputError(f"row {row} was not revalued; add it to revalue(rows=…).")
            change += amount * cube[:, :, place[row]]
        return change

    def cube(self, name: str) -> Cube:
        """A quantity (or "pnl_usd") per contract, axes (scenario, horizon, row)."""
        if name == "pnl_usd":
            return self.pnl_usd
        if name not in self.values:
            raise InputError(f'"{name}" was not revalued; {nearest(name, [*self.values, "pnl_usd"])}')
        return self.values[name]


def revalue(
    chain: Chain,
    surface: Surface,
    scenarios: Scenarios,
    *,
    rows: Rows,
    names: Sequence[str] = BOOK,
    kept: Kept = "log_moneyness",
    deterministic: bool = True,
) -> Revaluation:
    """Exact quantities of some chain rows under every scenario and horizon (see `scenario` for the moved chain).

    Names: those of `greeks.compute` and `MONEY`. `deterministic` gives the same bits on every machine; without it
    multiply-adds are fused, which is faster.
    """
    check_names(names)
    at = chain.numbers(rows)
    once, back = np.unique(at, return_inverse=True)
    if once.size < at.size:
        found = revalue(chain, surface, scenarios, rows=once, names=names, kept=kept, deterministic=deterministic)
        return _repeated(found, at, back)
    prepared = plan(chain, surface, scenarios, at, kept=kept)
    terms = start(prepared, cells.terms_of(chain, at, scenarios.underlyings), deterministic=deterministic)
    moves, values = _cubes(prepared, scenarios.increments, terms, names, deterministic=deterministic)
    for array in (at, moves.time_to_expiry, *values.values()):
        array.setflags(write=False)
    return Revaluation(
        as_of=chain.as_of,
        rows=at,
        underlyings=scenarios.underlyings,
        horizons=scenarios.horizons,
        weights=scenarios.weights,
        now=MappingProxyType(now_of(chain, at, names)),
        values=MappingProxyType({name: values[name] for name in names}),
        pnl_usd=values["pnl_usd"],
        forward=moves.forward,
        volatility=moves.volatility,
        time_to_expiry=moves.time_to_expiry,
        index=moves.index,
    )


def part(
    revaluation: Revaluation,
    *,
    rows: Rows | None = None,
    scenarios: Int[ndarray, " scenario"] | None = None,
    weights_of: Float[ndarray, " scenario"] | None = None,
) -> Revaluation:
    """The revaluation of some of its rows and scenarios, as arrays of its own; `weights_of` replaces the weights."""
    at = slice(None) if rows is None else np.searchsorted(revaluation.rows, rows)
    some = slice(None) if scenarios is None else scenarios

    def cut(cube: ndarray) -> ndarray:
        return np.ascontiguousarray(cube[some][:, :, at])

    return replace(
        revaluation,
        rows=revaluation.rows[at],
        weights=revaluation.weights[some] if weights_of is None else weights_of,
        now={name: column[at] for name, column in revaluation.now.items()},
        values={name: cut(cube) for name, cube in revaluation.values.items()},
        pnl_usd=cut(revaluation.pnl_usd),
        forward=cut(revaluation.forward),
        volatility=cut(revaluation.volatility),
        time_to_expiry=np.ascontiguousarray(revaluation.time_to_expiry[:, at]),
        index=np.ascontiguousarray(revaluation.index[some]),
    )


def now_of(chain: Chain, at: Rows, names: Sequence[str]) -> dict[str, Float[ndarray, " row"]]:
    """Quantities per contract before the move; there is no profit yet."""
    found = line_quantities(chain, [name for name in names if name != "pnl_coin"], at)
    return {name: found[name] if name in found else np.zeros(at.size) for name in names}


def start(prepared: Plan, terms: Terms, *, deterministic: bool = True) -> Terms:
    """The terms with what options are worth after a move of nothing, from which P&L is counted."""
    nothing = np.zeros((1, 1, prepared.index.size, len(FACTORS)))
    names = ("value_usd", "value_coin")
    _, values = _cubes(today(prepared), nothing, terms, names, deterministic=deterministic)
    usd, coin = (np.where(terms.is_option, values[name][0, 0], 0.0) for name in names)
    return replace(terms, start_usd=usd, start_coin=coin)


def check_names(names: Sequence[str]) -> None:
    """Refuses a name that no contract is revalued for, with the nearest right one."""
    for name in names:
        if name not in QUANTITIES and name not in MONEY:
            raise InputError(f'unknown quantity "{name}"; {nearest(name, [*QUANTITIES, *MONEY])}')


def _cubes(
    prepared: Plan, increments: Increments, terms: Terms, names: Sequence[str], *, deterministic: bool
) -> tuple[Moved, dict[str, Cube]]:
    """The moved rows, and the cubes asked for with "pnl_usd": first what is compiled, then the rest over it."""
    wanted = tuple(dict.fromkeys((*names, "pnl_usd")))
    codes = list(dict.fromkeys(SLOTS[name] for name in ("forward", "volatility", *wanted) if name in SLOTS))
    slots = np.full(revalue_kernel.N_SLOTS, -1)
    slots[codes] = np.arange(len(codes))
    out = np.zeros((len(codes), *increments.shape[:2], prepared.n_rows))
    index = index_of(prepared, increments)
    loop = revalue_kernel.cubes if deterministic else revalue_kernel.cubes_contracted
    run(loop, prepared, increments, terms.size, index, terms.start_usd, terms.start_coin, slots, out)
    found = Moved(
        forward=out[slots[SLOTS["forward"]]],
        volatility=out[slots[SLOTS["volatility"]]],
        time_to_expiry=time_to_expiry(prepared),
        index=index,
    )
    positions, forward = linear_forward(prepared, increments)
    found.forward[..., positions] = forward
    found.volatility[..., ~terms.is_option] = np.nan
    _check(found, terms.is_option)
    values = {name: out[slots[SLOTS[name]]] for name in wanted if name in SLOTS}
    others = tuple(name for name in wanted if name not in SLOTS)
    values |= {name: np.empty(found.forward.shape) for name in others}
    _fill(cells.linear, found, terms, np.flatnonzero(~terms.is_option), wanted, values)
    _fill(cells.options, found, terms, np.flatnonzero(terms.is_option), others, values)
    for strip, states in zip(prepared.options, prepared.terms[..., STATE] == FADING, strict=True):
        for horizon in np.flatnonzero(states):
            _fill(cells.options, found, terms, strip.at(), wanted, values, horizons=[int(horizon)])
    return found, values


def _check(found: Moved, is_option: ndarray) -> None:
    """Refuses moves that lead out of the range of the calculator."""
    for name, cube in (("forward", found.forward), ("volatility", found.volatility)):
        is_good = (cube <= black.LARGEST) | ~is_option
        if not np.all(is_good):
            black.refuse(f"moved {name}", cube, is_good, f"a number from 0 to {black.LARGEST:g}")


def _fill(
    formula: cells.Formula,
    found: Moved,
    terms: Terms,
    at: Rows,
    names: Sequence[str],
    values: Mapping[str, Cube],
    *,
    horizons: Sequence[int] | None = None,
) -> None:
    """Writes the quantities of some rows (at some horizons) over what stands there, block by block."""
    if at.size == 0 or not names:
        return
    own = terms.take(at)
    hours = np.arange(found.index.shape[1]) if horizons is None else np.array(horizons)
    for block in blocks(len(found.forward), hours.size * at.size):
        part = cells.select(found, own, at, scenarios=block, horizons=hours)
        for name, cube in formula(own, names, part).items():
            values[name][block][:, hours[:, None], at] = cube


def blocks(scenarios: int, cells_each: int) -> Iterator[slice]:
    """Ranges of scenarios of at most `BLOCK` cells."""
    step = max(1, BLOCK // max(1, cells_each))
    for start in range(0, scenarios, step):
        yield slice(start, min(start + step, scenarios))


def _repeated(found: Revaluation, rows: Rows, back: Rows) -> Revaluation:
    """A revaluation in which rows that were asked for repeatedly stand repeatedly."""
    return replace(
        found,
        rows=rows,
        now=MappingProxyType({name: column[back] for name, column in found.now.items()}),
        values=MappingProxyType({name: cube[..., back] for name, cube in found.values.items()}),
        pnl_usd=found.pnl_usd[..., back],
        forward=found.forward[..., back],
        volatility=found.volatility[..., back],
        time_to_expiry=found.time_to_expiry[..., back],
    )
