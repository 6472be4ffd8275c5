"""Margin under a stated shock: the market moved at once, the book left as it is.

A shock is written like "BTC:spot=-20%,vol=+15": spot by so many per cent, volatility of every tenor by so many points,
or by per cent where the number ends with one ("vol=+30%"). Several underlyings are parted by semicolons. The smile
keeps its place in log-moneyness and its shape.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, log

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Account, Chain
from greekdrift.book.rules import RuleSet
from greekdrift.errors import InputError, nearest
from greekdrift.margin.standing import Standing, standing
from greekdrift.surface.slices import Surface
from greekdrift.surface.state import FACTORS, FORWARD, LEVEL, state

KEYS = ("spot", "vol")


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What happens to one underlying: relative change of spot; of volatility, relative and in units of 1.00."""

    spot: float = 0.0
    vol_relative: float = 0.0
    vol_points: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shock:
    """A shock as it was written, and its moves by underlying."""

    text: str
    moves: Mapping[str, Move]


def parse(text: str) -> Shock:
    """The shock of a text.

    >>> parse("BTC:spot=-20%,vol=+15").moves["BTC"]
    Move(spot=-0.2, vol_relative=0.0, vol_points=0.15)
    >>> parse("BTC:spot=-20%; ETH:vol=+30%").moves["ETH"].vol_relative
    0.3
    """
    moves: dict[str, Move] = {}
    for piece in text.split(";"):
        name, parted, rest = piece.strip().partition(":")
        if not parted or not name or name in moves:
            raise InputError(f'shock "{text}": write it like BTC:spot=-20%,vol=+15, each underlying once.')
        moves[name] = _move(text, rest)
    return Shock(text=text, moves=moves)


def check_names(shock: Shock, underlyings: Sequence[str]) -> None:
    """Refuses a shock of an underlying that is not among the given ones."""
    for name in shock.moves:
        if name not in underlyings:
            raise InputError(f'shock "{shock.text}": the chain has no {name}; {nearest(name, underlyings)}')


def shocked(chain: Chain, account: Account, rules: RuleSet, shocks: tuple[Shock, ...], *, surface: Surface) -> Standing:
    """Where the account stands now (first state) and after each shock (the rest), by the exact engine."""
    there = tuple(one for one in surface.underlyings if one in chain.underlyings)
    increments = np.stack(
        [np.zeros((len(there), len(FACTORS))), *(_increments(one, surface, chain, there) for one in shocks)]
    )
    return standing(chain, account, rules, surface=surface, increments=increments, underlyings=there)


def _move(text: str, rest: str) -> Move:
    found: dict[str, float] = {}
    for part in rest.split(","):
        key, parted, number = (one.strip() for one in part.partition("="))
        if key not in KEYS:
            raise InputError(f'shock "{text}": unknown "{key}"; {nearest(key, KEYS)}')
        is_share = number.endswith("%")
        try:
            value = float(number.removesuffix("%")) / 100.0
        except ValueError:
            value = float("nan")
        if not parted or not isfinite(value):
            raise InputError(f'shock "{text}": {key} is "{number}"; a number, like -20% or +15.')
        if key == "spot" and not is_share:
            raise InputError(f'shock "{text}": spot moves by per cent; write spot={number}%.')
        if is_share and value <= -1.0:
            raise InputError(f'shock "{text}": {key} cannot fall by {-value:.0%}; less than 100 %.')
        name = "spot" if key == "spot" else "vol_relative" if is_share else "vol_points"
        if any(one.startswith(key) for one in found):
            raise InputError(f'shock "{text}": {key} stands twice.')
        found[name] = value
    return Move(**found)


def _increments(
    shock: Shock, surface: Surface, chain: Chain, underlyings: tuple[str, ...]
) -> Float[ndarray, "underlying factor"]:
    check_names(shock, underlyings)
    found = np.zeros((len(underlyings), len(FACTORS)))
    now = state(surface, chain)
    for name, move in shock.moves.items():
        place = underlyings.index(name)
        found[place, FORWARD] = log(1.0 + move.spot)
        level = np.exp(now.values[now.underlyings.index(name), LEVEL])
        moved = level * (1.0 + move.vol_relative) + move.vol_points
        if np.any(moved <= 0.0):
            raise InputError(
                f'shock "{shock.text}": leaves no volatility where it is {level.min():.0%}; take a smaller fall.'
            )
        found[place, LEVEL] = np.log(moved / level)
    return found
