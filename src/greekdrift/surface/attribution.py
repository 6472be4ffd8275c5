"""Where realised drift and P&L came from: clock, spot, level, skew, curvature, cross, residual, adding up exactly.

An unchanged book is held from a chain at t to a later one at t + h. With M(x) the quantity of a contract h later on
the chain moved by the increment x of the state (`scenario`, `revalue`), Q₀ the quantity now and Q₁ that of the later
chain's own marks (`realised`):

    clock      M(0) − Q₀                          the market frozen, h hours older
    spot       M(x_spot) − M(0)                   index, forward and basis alone
    level      M(x_level) − M(0)                  at-the-money volatility alone; skew and curvature likewise
    cross      M(x) − M(0) − Σ of the four        what they do together beyond that
    residual   (Q₁ − Q₀) − (M(x) − Q₀)            what the factors cannot express
    sum        Q₁ − Q₀                            to rounding

The increment is x = state(t + h) − state(t aged by h): the later state less the one that the frozen market would have
had by then, each expiry with its own forward and smile but less time. So the clock alone makes no increment, although
the pillars are read at fixed tenors. Both states are read on the expiries that both chains list.

An expiry within h settles at a price on the path of the index: at the delivery price where one is given, else linear in
ln S between the snapshots on either side. Coins of settled options and of inverse futures stay in the account, so that
the collateral delta of a line drifts by its own part (`greeks.inverse`) plus its coin profit. Coin collateral is a line
of its own: it earns the change of the index in `equity_usd`, and nothing in `pnl_usd`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from greekdrift.book import Account, Chain, Instrument, Scenarios
from greekdrift.errors import InputError, nearest
from greekdrift.greeks.exposure import MONEY, weights
from greekdrift.greeks.table import QUANTITIES
from greekdrift.surface import collateral
from greekdrift.surface.increment import Increment, increment
from greekdrift.surface.moved_slice import Kept
from greekdrift.surface.path import Path, Settled, path
from greekdrift.surface.realised import PROFITS, changes, find
from greekdrift.surface.revalue import Revaluation, revalue
from greekdrift.surface.slices import Surface
from greekdrift.surface.state import BASIS, CURVATURE, FACTORS, FORWARD, LEVEL, SKEW
from greekdrift.units import SECONDS_PER_HOUR, stamp

Rows = Int[ndarray, " row"]
PerPart = Float[ndarray, "part line"]
By = Literal["account", "underlying", "expiry", "instrument"]

PARTS = ("clock", "spot", "level", "skew", "curvature", "cross", "residual")
BOOK = ("pnl_usd", "equity_usd", "delta_usd", "delta_net", "delta_collateral", "gamma", "vega", "theta")
USD = ("pnl_usd", "equity_usd", "value_usd", "price", "vega", "theta", "rho", "volga", "veta")
"""Quantities in USD, which add up across underlyings."""
_WITH_COLLATERAL = ("equity_usd", "delta_collateral")
CASH = ("USD", "USDC", "USDT")
"""Collateral that is worth its amount in USD."""
NAMES = tuple(dict.fromkeys((*BOOK, "pnl_coin", *MONEY, *QUANTITIES)))

GROUPS: tuple[tuple[slice, ...], ...] = (
    (),
    (slice(FORWARD, FORWARD + 1), slice(BASIS, BASIS + 1)),
    (LEVEL,),
    (SKEW,),
    (CURVATURE,),
    (slice(None),),
)
"""Factors that move in each scenario: none (clock), spot, level, skew, curvature, all."""

_SPOT, _ALL = 1, len(GROUPS) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Something that is held: an instrument, or the coin collateral of an underlying (`instrument` is None)."""

    label: str
    underlying: str
    expiry: datetime | None
    instrument: Instrument | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attributed:
    """Realised change of one quantity of a group of lines, and its parts in the order of `PARTS`; they sum to it.

    `now` is the quantity before (0 for profits). A group with `unknown` lines speaks of the others; where it has no
    others, `now` and what a model can say of the parts are there, realised and residual are NaN.
    """

    account_id: str
    underlying: str | None
    label: str | None
    quantity: str
    now: float
    realised: float
    parts: Float[ndarray, " part"]
    n_lines: int
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attribution:
    """Parts of every quantity per contract and line; `contracts` says who holds how much of each line.

    `parts[name]` has axes (part, line), parts in the order of `PARTS`. `unknown` gives the reason by label of the lines
    whose later value or model value is not known (NaN). `settled` are the expiries that settled on the way, and at
    what. `increments` are those of the state, by underlying in the order of `state.FACTORS`.
    """

    start: datetime
    end: datetime
    account_ids: tuple[str, ...]
    lines: tuple[Line, ...]
    contracts: Float[ndarray, "account line"]
    now: Mapping[str, Float[ndarray, " line"]]
    parts: Mapping[str, PerPart]
    unknown: Mapping[str, str]
    settled: tuple[Settled, ...]
    increments: Mapping[str, Float[ndarray, " factor"]]

    @property
    def hours(self) -> float:
        """Hours from the one chain to the other."""
        return (self.end - self.start).total_seconds() / SECONDS_PER_HOUR

    def of(self, name: str, *, by: By = "underlying") -> tuple[Attributed, ...]:
        """One quantity by account and "account", "underlying", "expiry" or "instrument", in that order of lines.

        `by="account"` is for quantities in USD alone: coins of different underlyings have no sum.
        """
        if name not in self.parts:
            raise InputError(f'no quantity "{name}" in this attribution; {nearest(name, self.parts)}')
        if by not in get_args(By):
            raise InputError(f'by="{by}" is no way to group; {nearest(by, get_args(By))}')
        if by == "account" and name not in USD:
            raise InputError(f'{name} is counted in coins of each underlying; ask for by="underlying".')
        found = []
        for account, held in enumerate(self.contracts):
            groups: dict[tuple[str | None, str | None], list[int]] = {}
            for at in np.flatnonzero(held != 0.0):
                if name in _WITH_COLLATERAL or self.lines[at].instrument is not None:
                    groups.setdefault(_key(self.lines[at], by), []).append(int(at))
            found += [self._sum(name, account, key, np.array(lines)) for key, lines in groups.items()]
        return tuple(found)

    def _sum(self, name: str, account: int, key: tuple[str | None, str | None], lines: Rows) -> Attributed:
        is_known = np.array([self.lines[at].label not in self.unknown for at in lines])
        used = lines[is_known] if np.any(is_known) else lines
        held = self.contracts[account, used]
        parts = self.parts[name][:, used] @ held
        return Attributed(
            account_id=self.account_ids[account],
            underlying=key[0],
            label=key[1],
            quantity=name,
            now=float(self.now[name][used] @ held),
            realised=float(parts.sum()),
            parts=parts,
            n_lines=lines.size,
            unknown=tuple(self.lines[at].label for at in lines[~is_known]),
        )


def attribute(
    chain: Chain,
    later: Chain,
    accounts: Sequence[Account],
    *,
    surface: Surface,
    later_surface: Surface,
    names: Sequence[str] = BOOK,
    between: Sequence[Chain] = (),
    deliveries: Mapping[tuple[str, datetime], float] | None = None,
    kept: Kept = "log_moneyness",
) -> Attribution:
    """Parts of the realised changes of unchanged accounts from a chain to a later one (module docstring).

    `names`: quantities of `greeks.compute`, `value_usd`, `value_coin`, the deltas `delta_usd`, `delta_net` and
    `delta_collateral`, and the profits `pnl_usd`, `pnl_coin` and `equity_usd` (with coin collateral). Units as in
    `greeks.exposure`. `between` are chains on the way, read for their index prices at expiries; `deliveries` are
    settlement prices by underlying and expiry, where they are known.
    """
    _check(chain, later, names)
    held = weights(chain, accounts)
    rows = np.flatnonzero(np.any(held != 0.0, axis=0))
    route = path(chain, later, rows, between=between, deliveries=deliveries or {})
    moves = tuple(increment(chain, later, surface, later_surface, name, kept=kept) for name in route.underlyings)
    model = _model(chain, rows, surface, route, _increments(route, moves), names, kept)
    realised = _realised(chain, later, rows, names, route)
    now = {name: np.nan_to_num(values[0]) for name, values in model.items()}
    parts = {name: _parts(model[name], realised[name]) for name in names}
    reasons = _reasons(chain, later, rows, surface, route, moves)
    for at, row in enumerate(rows):
        move = moves[route.underlyings.index(str(chain.underlying[row]))]
        first = 1 if not move.has_index else 2 if _lacks_smile(chain, later, int(row), move) else len(PARTS)
        for values in parts.values():
            values[first:, at] = np.nan
    lines = tuple(_line(chain.instruments[row]) for row in rows)
    coins = tuple(sorted({name for one in accounts for name, amount in one.collateral.items() if amount} - {*CASH}))
    return Attribution(
        start=chain.as_of,
        end=later.as_of,
        account_ids=tuple(account.account_id for account in accounts),
        lines=(*lines, *(_coin_line(name) for name in coins)),
        contracts=_frozen(np.hstack([held[:, rows], _coins(accounts, coins)])),
        now=MappingProxyType({name: _frozen(np.r_[now[name], _coins_now(name, coins)]) for name in names}),
        parts=MappingProxyType(
            {name: _frozen(np.hstack([parts[name], _coin_parts(name, chain, later, coins)])) for name in names}
        ),
        unknown=MappingProxyType(reasons | _without_index(chain, later, coins)),
        settled=route.settled,
        increments=MappingProxyType(dict(zip(route.underlyings, (one.values for one in moves), strict=True))),
    )


def _check(chain: Chain, later: Chain, names: Sequence[str]) -> None:
    for name in names:
        if name not in NAMES:
            raise InputError(f'no attribution of "{name}"; {nearest(name, NAMES)}')
    if later.as_of < chain.as_of:
        raise InputError(f"from {stamp(chain.as_of)} to {stamp(later.as_of)}: the later chain is earlier; swap them.")
    if later.venue != chain.venue:
        raise InputError(f"one chain is of {chain.venue}, the other of {later.venue}; take two of one venue.")


def _realised(chain: Chain, later: Chain, rows: Rows, names: Sequence[str], route: Path) -> dict[str, ndarray]:
    """Realised changes; that of a collateral delta is of the line's own part, and its coin profit."""
    base = dict.fromkeys("pnl_usd" if name == "equity_usd" else name for name in (*names, *_also(names)))
    found = changes(chain, later, rows, tuple(base), settlement=route.settlement)
    if "equity_usd" in names:
        found["equity_usd"] = found["pnl_usd"]
    if "delta_collateral" in names:
        found["delta_collateral"] = found["delta_collateral"] + found["pnl_coin"]
    return {name: found[name] for name in names}


def _also(names: Sequence[str]) -> tuple[str, ...]:
    return ("pnl_coin",) if "delta_collateral" in names else ()


def _increments(route: Path, moves: Sequence[Increment]) -> Float[ndarray, "scenario horizon underlying factor"]:
    """One scenario each for clock, spot, level, skew, curvature and all; the index takes its way, the rest its end."""
    found = np.zeros((len(GROUPS), route.hours.size, len(moves), len(FACTORS)))
    for at, one in enumerate(moves):
        for scenario, group in enumerate(GROUPS):
            for part in group:
                found[scenario, -1, at, part] = one.values[part]
        for scenario in (_SPOT, _ALL):
            found[scenario, :-1, at, FORWARD] = route.log_return[at, :-1]
    return found


def _model(
    chain: Chain,
    rows: Rows,
    surface: Surface,
    route: Path,
    increments: Float[ndarray, "scenario horizon underlying factor"],
    names: Sequence[str],
    kept: Kept,
) -> dict[str, Float[ndarray, "state line"]]:
    """Quantities per contract now and in each scenario at the later instant; NaN for options without a slice."""
    has_model = _has_slice(chain, rows, surface)
    found = {name: np.full((1 + len(GROUPS), rows.size), np.nan) for name in names}
    if not np.any(has_model):
        return found
    scenarios = Scenarios(
        underlyings=route.underlyings,
        factors=FACTORS,
        horizons=route.hours,
        increments=increments,
        weights=np.full(len(GROUPS), 1.0 / len(GROUPS)),
        as_of=chain.as_of,
        known_at=chain.known_at,
        provenance="attribution",
    )
    made = ("pnl_usd", "equity_usd", "delta_collateral")
    asked = dict.fromkeys((*(name for name in names if name not in made), *collateral.NEEDED, "value_coin"))
    valued = revalue(chain, surface, scenarios, rows=rows[has_model], names=tuple(asked), kept=kept)
    for name, values in found.items():
        values[:, has_model] = _states(chain, valued, name)
    return found


def _states(chain: Chain, valued: Revaluation, name: str) -> Float[ndarray, "state line"]:
    """One quantity now and in each scenario at the later instant."""
    if name == "delta_collateral":
        coins = valued.now["value_coin"]
        now, later = collateral.collateral_now(chain, valued), collateral.collateral_cube(chain, valued)[:, -1]
        return np.vstack([now + coins, later + coins])
    if name in (*PROFITS, "equity_usd"):
        later = valued.cube("pnl_coin" if name == "pnl_coin" else "pnl_usd")[:, -1]
        return np.vstack([np.zeros(later.shape[1]), later])
    return np.vstack([valued.now[name], valued.cube(name)[:, -1]])


def _has_slice(chain: Chain, rows: Rows, surface: Surface) -> Bool[ndarray, " row"]:
    fitted = {(one.underlying, one.expiry) for one in surface.slices}
    of = [chain.instruments[row] for row in rows]
    return np.array([not one.is_option or (one.underlying, one.expiry) in fitted for one in of], dtype=np.bool_)


def _parts(model: Float[ndarray, "state line"], realised: Float[ndarray, " line"]) -> PerPart:
    """Parts by line from the quantity now and in the six scenarios, and its realised change."""
    now, clock, together = model[0], model[1], model[-1]
    alone = model[2:-1] - clock
    cross = together - clock - alone.sum(axis=0)
    return np.vstack([clock - now, alone, cross, realised - (together - now)])


def _reasons(
    chain: Chain, later: Chain, rows: Rows, surface: Surface, route: Path, moves: Sequence[Increment]
) -> dict[str, str]:
    """Why a line is not known, by its label."""
    there = find(chain, later, rows)
    has_slice = _has_slice(chain, rows, surface)
    found = {}
    for at, row in enumerate(rows):
        one, name = chain.instruments[row], chain.instruments[row].name
        move = moves[route.underlyings.index(one.underlying)]
        if not move.has_index:
            found[name] = f"the later chain has no index price of {one.underlying}"
        elif not (there.is_listed[at] or there.is_settled[at]):
            found[name] = f"neither listed nor expired at {stamp(later.as_of)}"
        elif there.is_settled[at] and np.isnan(route.settlement[at]):
            found[name] = "no settlement price is known"
        elif not has_slice[at]:
            found[name] = "its expiry has no fitted slice in the first chain"
        elif _lacks_smile(chain, later, int(row), move):
            found[name] = f"no expiry of {one.underlying} is fitted in both chains"
    return found


def _lacks_smile(chain: Chain, later: Chain, row: int, move: Increment) -> bool:
    """Whether an option lives on while nothing is known of how its smile moved."""
    one = chain.instruments[row]
    return one.is_option and one.name in later.row_of and not move.has_smile


def _line(instrument: Instrument) -> Line:
    return Line(
        label=instrument.name, underlying=instrument.underlying, expiry=instrument.expiry, instrument=instrument
    )


def _coin_line(name: str) -> Line:
    return Line(label=_label(name), underlying=name, expiry=None, instrument=None)


def _label(coin: str) -> str:
    return f"{coin} collateral"


def _coins(accounts: Sequence[Account], coins: Sequence[str]) -> Float[ndarray, "account coin"]:
    amounts = [[account.collateral.get(name, 0.0) for name in coins] for account in accounts]
    return np.array(amounts, dtype=np.float64).reshape(len(accounts), len(coins))


def _coins_now(name: str, coins: Sequence[str]) -> Float[ndarray, " coin"]:
    return np.full(len(coins), float(name == "delta_collateral"))


def _coin_parts(name: str, chain: Chain, later: Chain, coins: Sequence[str]) -> PerPart:
    """A coin of collateral earns the change of its index: spot, and nothing else."""
    found = np.zeros((len(PARTS), len(coins)))
    if name == "equity_usd":
        found[_SPOT] = [later.index_price.get(one, np.nan) - chain.index_price.get(one, np.nan) for one in coins]
    return found


def _without_index(chain: Chain, later: Chain, coins: Sequence[str]) -> dict[str, str]:
    absent = [one for one in coins if one not in chain.index_price or one not in later.index_price]
    return {_label(one): f"no index price of {one} in both chains" for one in absent}


def _key(line: Line, by: By) -> tuple[str | None, str | None]:
    """Underlying and label of the group that a line belongs to."""
    if by == "account":
        return None, None
    if by == "underlying":
        return line.underlying, None
    if by == "instrument":
        return line.underlying, line.label
    if line.instrument is None:
        return line.underlying, line.label
    return line.underlying, f"{line.expiry:%Y-%m-%d %H:%M}" if line.expiry else "no expiry"


def _frozen(values: ndarray) -> ndarray:
    values.setflags(write=False)
    return values
