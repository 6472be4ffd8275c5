"""Where the accounts of a book stand against their bands on one chain: inside, outside or not known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import isfinite
from typing import TYPE_CHECKING, Any

from greekdrift.book import Account, Band, View
from greekdrift.book.instrument import Kind

if TYPE_CHECKING:
    from greekdrift.book import Chain


class State(StrEnum):
    """Whether a band holds; UNKNOWN is never inside, ALARM is inside and likely to be left."""

    INSIDE = "inside"
    ALARM = "alarm"
    BREACH = "breach"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """Probability that a band is left at a check within some hours; None and a reason where there is no forecast."""

    value: float | None
    hours: float
    alarm: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One band of one account: value in internal units (None where not known), how far outside, and why not known.

    `chance` is there where a model looks ahead.
    """

    account_id: str
    band: Band
    state: State
    value: float | None
    outside: float
    reason: str
    chance: Chance | None = None

    def foreseen(self, chance: Chance) -> "Standing":
        """The standing with a chance of a breach: what is inside becomes ALARM, or UNKNOWN where there is no chance."""
        if self.state is not State.INSIDE:
            return replace(self, chance=chance)
        if chance.value is None or not isfinite(chance.value):
            return replace(self, chance=chance, state=State.UNKNOWN, reason=f"no forecast: {chance.reason}")
        state = State.ALARM if chance.value >= chance.alarm else State.INSIDE
        return replace(self, chance=chance, state=state)

    def facts(self) -> dict[str, Any]:
        """The same for machines, in internal units; the chance only where a model looks ahead."""
        ahead = {} if self.chance is None else {"chance": self.chance.value, "within_hours": self.chance.hours}
        return {
            **ahead,
            "account": self.account_id,
            "band": self.band.label,
            "greek": self.band.greek,
            "underlying": self.band.underlying,
            "view": str(self.band.view) if self.band.greek == "delta" else None,
            "tenor_days": None if self.band.tenor_days is None else list(self.band.tenor_days),
            "lower": self.band.lower,
            "upper": self.band.upper,
            "value": self.value,
            "outside": self.outside,
            "state": str(self.state),
            "reason": self.reason,
        }


def standings(chain: "Chain", accounts: Sequence[Account]) -> tuple[Standing, ...]:
    """Every band of every mandate, in the order of the book.

    A held contract that the chain does not list leaves unknown the bands that it enters: those of its underlying and,
    where they have tenors, of its time to expiry. One that has expired by then enters none, but its settlement is cash
    that the book file does not know of, so that the collateral delta is unknown too.
    """
    return tuple(one for account in accounts if account.mandate is not None for one in _of(chain, account))


def all_unknown(accounts: Sequence[Account], reason: str) -> tuple[Standing, ...]:
    """Every band of every mandate where there is no chain."""
    return tuple(
        _unknown(account, band, reason)
        for account in accounts
        if account.mandate is not None
        for band in account.mandate.bands
    )


def worst(found: Sequence[Standing]) -> State:
    """The worst state of any band: BREACH, then ALARM, then UNKNOWN, then INSIDE."""
    states = {one.state for one in found}
    return next((state for state in (State.BREACH, State.ALARM, State.UNKNOWN) if state in states), State.INSIDE)


def _of(chain: "Chain", account: Account) -> list[Standing]:
    from greekdrift.greeks.bands import band_values

    if account.mandate is None:
        return []
    missing = _missing(chain, account)
    reasons = {band.label: _reason(chain, band, missing) for band in account.mandate.bands}
    known = tuple(band for band in account.mandate.bands if not reasons[band.label])
    values: Mapping[str, float] = {}
    if known:
        listed = tuple(one for one in account.positions if one.instrument.name in chain.row_of)
        values = band_values(chain, replace(account, positions=listed, mandate=replace(account.mandate, bands=known)))
    return [
        _standing(account, band, values[band.label]) if band.label in values else _unknown(account, band, reason)
        for band, reason in ((band, reasons[band.label]) for band in account.mandate.bands)
    ]


def _missing(chain: "Chain", account: Account) -> dict[str, tuple[str, float | None]]:
    """Held contracts without a row: underlying and days to expiry (negative once expired, None where none)."""
    found: dict[str, tuple[str, float | None]] = {}
    for position in account.positions:
        one = position.instrument
        if position.quantity != 0.0 and one.name not in chain.row_of:
            life = None if one.expiry is None else (one.expiry - chain.as_of).total_seconds() / 86_400.0
            found[one.name] = (one.underlying, life)
    return found


def _reason(chain: "Chain", band: Band, missing: Mapping[str, tuple[str, float | None]]) -> str:
    """Why a band's value cannot be known; empty where it can."""
    if band.underlying not in chain.underlyings:
        return f"the chain has no {band.underlying}"
    is_of_equity = band.greek == "delta" and band.view is View.COLLATERAL
    absent, settled = [], []
    for name, (underlying, life) in missing.items():
        if underlying != band.underlying:
            continue
        if life is not None and life <= 0.0:
            settled.append(name)
        elif band.tenor_days is None or (life is not None and band.tenor_days[0] <= life < band.tenor_days[1]):
            absent.append(name)
    if absent:
        return f"no quote of {_listed(absent)}"
    if settled and is_of_equity:
        return f"{_listed(settled)} has settled; update the collateral of the book"
    return ""


def _listed(names: Sequence[str]) -> str:
    more = len(names) - 1
    return f"{names[0]} and {more} more" if more else names[0]


def _standing(account: Account, band: Band, value: float) -> Standing:
    if not isfinite(value):
        return _unknown(account, band, "its value is not a number")
    outside = band.distance_outside(value)
    state = State.BREACH if outside > 0.0 else State.INSIDE
    return Standing(account_id=account.account_id, band=band, state=state, value=value, outside=outside, reason="")


def _unknown(account: Account, band: Band, reason: str) -> Standing:
    return Standing(
        account_id=account.account_id, band=band, state=State.UNKNOWN, value=None, outside=0.0, reason=reason
    )


def unquoted(chain: "Chain", accounts: Sequence[Account]) -> tuple[str, ...]:
    """Held options that have a mark but neither bid nor ask: their worth is the venue's opinion."""
    held = {one.instrument.name for account in accounts for one in account.positions if one.quantity != 0.0}
    return tuple(
        row.name
        for at, row in enumerate(chain.instruments)
        if row.name in held
        and row.kind is Kind.OPTION
        and chain.bid[at] != chain.bid[at]
        and chain.ask[at] != chain.ask[at]
    )
