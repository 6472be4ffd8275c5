"""Numbers of the position form of margin: each position by itself, without any offset ("standard" margin).

Of one coin of a short option with mark price P, index price S, strike K, and X the forward or the index:

OTM = max(K − X, 0) for a call, max(X − K, 0) for a put
MM  = max(maintenance S, maintenance_of_price P) + P + fee S
IM  = max( max(initial − OTM/X, initial_least) S + P, MM )

A long option costs its premium and is no collateral; at its settlement an option is worth what it pays, and costs
nothing more. A perpetual or future of value v = |coins| × price costs

v (share + share_per_coin |coins|)  with the share of its size tier: `LinearTerms`.

What is owed in a coin, the sum of the venue's figures of inverse positions, beyond the collateral in that coin, costs
the share of `MismatchTerms` on top.

P is in the venue's figures because its margin balance leaves options out. Here a requirement is set against an
equity that counts options at their mark: that of a short option is IM − P, that of a long one its P. The excess,
equity less requirement, is the same.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from itertools import pairwise
from math import isfinite
from typing import TypeVar

from greekdrift.book.collateral import CollateralTerms, terms_of
from greekdrift.book.instrument import Settlement
from greekdrift.errors import BookError, ConfigError


class Reference(StrEnum):
    """Which price of the underlying is meant: the row's own forward (a perpetual's mark), or the index."""

    FORWARD = "forward"
    INDEX = "index"


class TierLaw(StrEnum):
    """What the share of a size tier is charged on: the part of the position in the tier, or the whole position.

    With PART the requirement is continuous, and convex where shares grow; with WHOLE it jumps from tier to tier.
    """

    PART = "part"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortOptionTerms:
    """Shares of the index for one coin of a short option; those of the price for calls and for puts."""

    underlying: str
    settlement: Settlement
    moneyness: Reference
    initial: float
    initial_least: float
    maintenance: float
    maintenance_of_call_price: float
    maintenance_of_put_price: float
    fee: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeTier:
    """Shares from a value in USD on."""

    above_usd: float
    initial: float
    maintenance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearTerms:
    """Shares of the value of a perpetual or future, growing with its coins, or by tiers of its value.

    `price` says what a coin is worth. Tiers stand in order; below the first one `initial` and `maintenance` hold. The
    growth by coins comes on top of the share of the tier.
    """

    underlying: str
    settlement: Settlement
    price: Reference
    initial: float
    maintenance: float
    initial_per_coin: float
    maintenance_per_coin: float
    initial_tiers: TierLaw
    maintenance_tiers: TierLaw
    tiers: tuple[SizeTier, ...]

    def __post_init__(self) -> None:
        bounds = [0.0, *(tier.above_usd for tier in self.tiers)]
        if any(high <= low for low, high in pairwise(bounds)):
            raise ConfigError(f"{self.underlying} {self.settlement}: tiers must stand in order, from above 0 USD on.")


@dataclass(frozen=True, slots=True, kw_only=True)
class MismatchTerms:
    """Share of what is owed in a coin beyond the collateral in that coin, on top of the requirement."""

    initial: float
    maintenance: float


Terms = TypeVar("Terms", ShortOptionTerms, LinearTerms)


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionParameters:
    """All numbers of the position form; a data file gives each of them."""

    short_options: tuple[ShortOptionTerms, ...]
    linears: tuple[LinearTerms, ...]
    mismatch: MismatchTerms
    collateral: tuple[CollateralTerms, ...]

    def __post_init__(self) -> None:
        for kind, terms in (("short_options", self.short_options), ("linears", self.linears)):
            keys = Counter((one.underlying, one.settlement) for one in terms)
            twice = [f"{name} {settlement}" for (name, settlement), count in keys.items() if count > 1]
            if twice:
                raise ConfigError(f"{kind}: {twice[0]} stands twice; keep one.")
        tiers = [tier for one in self.linears for tier in one.tiers]
        for group in (*self.short_options, *self.linears, *tiers, self.mismatch, *self.collateral):
            _refuse_numbers_that_cannot_be(group)

    def terms_of(self, currency: str) -> CollateralTerms:
        """Haircuts of a currency, or of "*"; a currency without terms is refused."""
        return terms_of(self.collateral, currency)

    def option_terms(self, underlying: str, settlement: Settlement) -> ShortOptionTerms:
        """Terms of the options of an underlying; without any they are refused."""
        return _found(self.short_options, underlying, settlement, "options")

    def linear_terms(self, underlying: str, settlement: Settlement) -> LinearTerms:
        """Terms of the perpetuals and futures of an underlying; without any they are refused."""
        return _found(self.linears, underlying, settlement, "perpetuals or futures")


def _found(terms: Sequence[Terms], underlying: str, settlement: Settlement, kind: str) -> Terms:
    for one in terms:
        if (one.underlying, one.settlement) == (underlying, settlement):
            return one
    known = ", ".join(f"{one.underlying} {one.settlement}" for one in terms) or "none"
    raise BookError(
        f"the rule set has no terms for {settlement} {kind} of {underlying} (it has: {known}); add them to its file."
    )


def _refuse_numbers_that_cannot_be(group: object) -> None:
    for field in fields(group):  # type: ignore[arg-type]
        value = getattr(group, field.name)
        if isinstance(value, float) and not (isfinite(value) and value >= 0.0):
            raise ConfigError(
                f"rule set: {type(group).__name__} {field.name} {value} is not a number of at least 0; correct it."
            )
