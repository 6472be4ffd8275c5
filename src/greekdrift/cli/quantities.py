"""Quantities at the door: their units in words, and numbers in the units that are asked for."""

from typing import Any, Literal

from greekdrift.errors import InputError

Units = Literal["venue", "internal"]

_WORDS = {
    "delta": ("coins", "coins"),
    "gamma": ("coins per USD", "coins per USD"),
    "vega": ("USD per point", "USD per 1.00"),
    "theta": ("USD per day", "USD per year"),
    "rho": ("USD per point", "USD per 1.00"),
    "vanna": ("coins per point", "coins per 1.00"),
    "volga": ("USD per point²", "USD per 1.00²"),
    "charm": ("coins per day", "coins per year"),
    "veta": ("USD per point and day", "USD per 1.00 and year"),
    "speed": ("coins per USD²", "coins per USD²"),
    "zomma": ("coins per USD and point", "coins per USD and 1.00"),
    "color": ("coins per USD and day", "coins per USD and year"),
    "strike_delta": ("coins", "coins"),
    "strike_gamma": ("coins per USD", "coins per USD"),
}
"""Unit of each Greek: as venues print it, and inside."""


def unit(name: str, units: Units) -> str:
    """The unit of a quantity in words.

    >>> unit("vega", "venue"), unit("theta", "internal"), unit("delta_net", "venue"), unit("pnl_usd", "venue")
    ('USD per point', 'USD per year', 'coins', 'USD')
    """
    if name in _WORDS:
        return _WORDS[name][units == "internal"]
    return "coins" if name.startswith("delta") or name.endswith("_coin") else "USD"


_IN_COINS = {
    "value": ("coins", "coins"),
    "delta": ("coins", "coins"),
    "gamma": ("coins per USD²", "coins per USD²"),
    "vanna": ("coins per USD and point", "coins per USD and 1.00"),
    "charm": ("coins per USD and day", "coins per USD and year"),
    "speed": ("coins per USD³", "coins per USD³"),
    "zomma": ("coins per USD² and point", "coins per USD² and 1.00"),
    "color": ("coins per USD² and day", "coins per USD² and year"),
    "strike_delta": ("coins per USD", "coins per USD"),
    "strike_gamma": ("coins per USD²", "coins per USD²"),
}
"""Unit in the coin view of what is not the USD view's with coins in place of USD."""


def coin_unit(name: str, units: Units) -> str:
    """The unit of a quantity of the coin view in words.

    >>> coin_unit("vega", "venue"), coin_unit("gamma", "venue")
    ('coins per point', 'coins per USD²')
    """
    known = _IN_COINS.get(name)
    return unit(name, units).replace("USD", "coins") if known is None else known[units == "internal"]


def shown(name: str, values: Any, units: Units) -> Any:
    """Internal values in the units asked for."""
    from greekdrift.units import VENUE_FACTOR, to_venue

    return to_venue(name, values) if units == "venue" and name in VENUE_FACTOR else values


def words(text: str, *, option: str, example: str) -> list[str]:
    """Comma-separated words, each once; none at all is refused.

    >>> words("vega, theta,vega", option="--names", example="vega")
    ['vega', 'theta']
    """
    found = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if not found:
        raise InputError(f"{option} is empty; name at least one, like {example}.")
    return found
