"""Canonical books by which drift is judged, chosen from the listed contracts by delta and tenor.

Each is hedged to zero net delta with the perpetual or spot at the instant it is made, and then left alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from zlib import crc32

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.book import Account, Chain, Kind, Position
from greekdrift.errors import ChainError
from greekdrift.greeks.exposure import line_quantities
from greekdrift.units import days, stamp

Side = Literal["call", "put"]

SIZE = 10.0
"""Option contracts per unit of a recipe."""
COLLATERAL_SHARE = 0.25
"""Collateral in coins (or USD) as a share of the gross number of coins under option."""
SHORTEST_DAYS = 1.25
"""Options that expire sooner are taken only where nothing else is listed."""
MARKET_MAKERS = 3
MARKET_MAKER_LEGS = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """Signed units of the listed option nearest to a tenor and then to an absolute delta.

    A delta of 0.5 stands for the strike nearest to the forward.
    """

    days: float
    side: Side
    delta: float
    units: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A kind of book: its name and legs. `is_spread` demands that no two legs are the same contract."""

    name: str
    legs: tuple[Leg, ...]
    is_spread: bool = True


def _leg(days: float, side: Side, delta: float, units: float) -> Leg:
    return Leg(days=days, side=side, delta=delta, units=units)


RECIPES: tuple[Recipe, ...] = (
    Recipe(name="straddle", legs=(_leg(30, "call", 0.5, -1), _leg(30, "put", 0.5, -1))),
    Recipe(name="strangle", legs=(_leg(30, "call", 0.25, -1), _leg(30, "put", 0.25, -1))),
    Recipe(name="risk reversal", legs=(_leg(30, "call", 0.25, 1), _leg(30, "put", 0.25, -1))),
    Recipe(
        name="butterfly",
        legs=(
            _leg(30, "put", 0.25, 1),
            _leg(30, "put", 0.5, -1),
            _leg(30, "call", 0.5, -1),
            _leg(30, "call", 0.25, 1),
        ),
    ),
    Recipe(name="calendar", legs=(_leg(14, "call", 0.5, -1), _leg(60, "call", 0.5, 1))),
    Recipe(name="diagonal", legs=(_leg(14, "call", 0.25, -1), _leg(60, "call", 0.4, 1))),
    Recipe(name="call spread", legs=(_leg(60, "call", 0.5, 1), _leg(60, "call", 0.25, -1))),
    Recipe(name="covered call", legs=(_leg(30, "call", 0.3, -1),)),
    Recipe(name="ratio", legs=(_leg(30, "put", 0.4, 1), _leg(30, "put", 0.15, -2))),
    Recipe(
        name="condor",
        legs=(
            _leg(30, "put", 0.1, 1),
            _leg(30, "put", 0.25, -1),
            _leg(30, "call", 0.25, -1),
            _leg(30, "call", 0.1, 1),
        ),
    ),
    Recipe(name="near gamma", legs=(_leg(2, "call", 0.5, -1), _leg(2, "put", 0.5, -1))),
    Recipe(name="long vega", legs=(_leg(180, "call", 0.5, 1), _leg(180, "put", 0.5, 1))),
)
"""The books that do not depend on a seed."""


def reference_books(chain: Chain, *, seed: int, makers: int = MARKET_MAKERS) -> tuple[Account, ...]:
    """The canonical books of every underlying of a chain, and some random ones (`makers`), hedged to zero net delta.

    A book that the listing cannot carry (two legs would be the same contract) is left out, so that accounts are
    known by `account_id`: underlying, space, name. The random books keep their tenors, deltas and sizes for a
    seed, whatever the chain. Timing: uses the chain alone.
    """
    books = []
    for underlying in chain.underlyings:
        menu = _Menu.of(chain, underlying)
        recipes = (*RECIPES, *market_makers(underlying, seed=seed, count=makers))
        made = [_book(chain, menu, recipe) for recipe in recipes]
        books += [book for book in made if book is not None]
    return tuple(books)


def book_names(underlyings: Sequence[str], *, seed: int, makers: int = MARKET_MAKERS) -> tuple[str, ...]:
    """Every `account_id` that `reference_books` can make, in its order.

    >>> book_names(["BTC"], seed=7)[:2]
    ('BTC straddle', 'BTC strangle')
    """
    return tuple(
        f"{name} {recipe.name}"
        for name in sorted(underlyings)
        for recipe in (*RECIPES, *market_makers(name, seed=seed, count=makers))
    )


def market_makers(underlying: str, *, seed: int, count: int = MARKET_MAKERS) -> tuple[Recipe, ...]:
    """Recipes of random two-sided books, a little short of options, as a market maker holds them.

    Tenors are log-uniform from 3 to 200 days, deltas uniform from 0.05 to 0.6, sizes normal with mean −0.2.

    >>> market_makers("BTC", seed=7) == market_makers("BTC", seed=7) != market_makers("ETH", seed=7)
    True
    """
    recipes = []
    for number in range(count):
        random = np.random.default_rng([seed, crc32(underlying.encode()), number])
        tenor = np.exp(random.uniform(np.log(3.0), np.log(200.0), size=MARKET_MAKER_LEGS))
        delta = random.uniform(0.05, 0.6, size=MARKET_MAKER_LEGS)
        is_call = random.uniform(size=MARKET_MAKER_LEGS) < 0.5
        units = random.normal(-0.2, 1.0, size=MARKET_MAKER_LEGS)
        legs = tuple(
            _leg(float(tenor[i]), "call" if is_call[i] else "put", float(delta[i]), round(float(units[i]), 2))
            for i in range(MARKET_MAKER_LEGS)
        )
        recipes.append(Recipe(name=f"market maker {number + 1}", legs=legs, is_spread=False))
    return tuple(recipes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Menu:
    """The options of one underlying and what it is hedged with."""

    underlying: str
    rows: Int[ndarray, " option"]
    delta: Float[ndarray, " option"]
    delta_net: Mapping[int, float]
    life: Float[ndarray, " option"]
    hedge: int
    expiries: Float[ndarray, " expiry"] = field(init=False)

    def __post_init__(self) -> None:
        usable = self.life >= SHORTEST_DAYS
        listed = self.life[usable] if np.any(usable) else self.life[self.life == self.life.max()]
        object.__setattr__(self, "expiries", np.unique(listed))

    @classmethod
    def of(cls, chain: Chain, underlying: str) -> "_Menu":
        own = np.flatnonzero(chain.underlying == underlying)
        rows = own[chain.is_option[own]]
        if rows.size == 0:
            raise ChainError(f"{underlying} at {stamp(chain.as_of)}: no option is listed, so no reference book exists.")
        hedge = _hedge_row(chain, own)
        held = np.append(rows, hedge)
        line = line_quantities(chain, ("delta_usd", "delta_net"), held)
        return cls(
            underlying=underlying,
            rows=rows,
            delta=line["delta_usd"][:-1] / chain.contract_size[rows],
            delta_net=dict(zip(held.tolist(), line["delta_net"].tolist(), strict=True)),
            life=days(chain.time_to_expiry[rows]),
            hedge=hedge,
        )

    def pick(self, chain: Chain, leg: Leg) -> int | None:
        """Row of the listed option nearest to the leg's tenor (in logarithms), then to its delta."""
        expiry = self.expiries[np.argmin(np.abs(np.log(self.expiries / leg.days)))]
        wanted = (self.life == expiry) & (chain.is_call[self.rows] == (leg.side == "call"))
        if not np.any(wanted):
            return None
        rows = self.rows[wanted]
        if leg.delta == 0.5:
            return int(rows[np.argmin(np.abs(np.log(chain.strike[rows] / chain.forward[rows])))])
        return int(rows[np.argmin(np.abs(np.abs(self.delta[wanted]) - leg.delta))])


def _hedge_row(chain: Chain, own: Int[ndarray, " row"]) -> int:
    """The perpetual, else spot, else the nearest future."""
    for kind in (Kind.PERPETUAL, Kind.SPOT, Kind.FUTURE):
        found = [row for row in own if chain.instruments[row].kind is kind]
        if found:
            return int(min(found, key=lambda row: float(chain.time_to_expiry[row])))
    raise ChainError(
        f"{chain.underlying[own[0]]} at {stamp(chain.as_of)}: no perpetual, spot or future is listed to hedge with; "
        "use a source that adds one."
    )


def _book(chain: Chain, menu: _Menu, recipe: Recipe) -> Account | None:
    contracts: dict[int, float] = {}
    picked = [(menu.pick(chain, leg), leg.units) for leg in recipe.legs]
    for row, units in picked:
        if row is None or (recipe.is_spread and row in contracts):
            return None
        contracts[row] = contracts.get(row, 0.0) + SIZE * units
    rows = np.array(list(contracts))
    quantity = np.array(list(contracts.values()))
    delta = np.array([menu.delta_net[row] for row in contracts])
    hedge = -float(delta @ quantity) / menu.delta_net[menu.hedge]
    positions = [*zip(rows, quantity, strict=True), (menu.hedge, hedge)]
    return Account(
        account_id=f"{menu.underlying} {recipe.name}",
        collateral=_collateral(chain, rows, quantity),
        positions=tuple(
            Position(instrument=chain.instruments[row], quantity=float(number)) for row, number in positions if number
        ),
    )


def _collateral(chain: Chain, rows: Sequence[int] | ndarray, quantity: ndarray) -> dict[str, float]:
    coins = COLLATERAL_SHARE * float(np.abs(quantity) @ chain.contract_size[rows])
    first = chain.instruments[rows[0]]
    return {first.currency: coins if first.is_inverse else coins * chain.index_price[first.underlying]}
