"""What a book is made of: dollar gamma, vanna, and how far its risk is gathered near spot, in a strike or an expiry.

Per account over all its underlyings, free of its size, so that it conditions forecasts of books of any size. With
n contracts, γ their gamma, c coins a contract, F the forward of the row; ∑ over the account's option rows. NaN for a
book without options. Timing of all: known with the chain.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from greekdrift.book import Account, Chain
from greekdrift.errors import InputError
from greekdrift.features.realised import ratio
from greekdrift.greeks.exposure import line_quantities, weights
from greekdrift.units import days

TIMING = "known with the chain"
PERCENT = 0.01

PerAccount = Float[ndarray, " account"]
PerRow = Float[ndarray, " option"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Held:
    """The options that some accounts hold, priced once: contracts (account, option) and quantities per contract."""

    contracts: Float[ndarray, "account option"]
    underlying: ndarray
    strike: PerRow
    forward: PerRow
    life_days: PerRow
    deviation: PerRow
    size: PerRow
    gamma: PerRow
    vega: PerRow
    vanna: PerRow

    @classmethod
    def of(cls, chain: Chain, accounts: Sequence[Account]) -> Self:
        """The option rows of a chain that at least one of the accounts holds."""
        held = weights(chain, accounts)
        rows = np.flatnonzero(np.any(held != 0.0, axis=0) & chain.is_option)
        line = line_quantities(chain, ("gamma", "vega", "vanna"), rows)
        return cls(
            contracts=held[:, rows],
            underlying=chain.underlying[rows],
            strike=chain.strike[rows],
            forward=chain.forward[rows],
            life_days=days(chain.time_to_expiry[rows]),
            deviation=chain.mark_iv[rows] * np.sqrt(chain.time_to_expiry[rows]),
            size=chain.contract_size[rows],
            **line,
        )

    @property
    def gross_gamma(self) -> Float[ndarray, "account option"]:
        """|n γ| F² for 1 %, USD: what each row adds to the book's gross dollar gamma."""
        return np.abs(self.contracts) * (np.abs(self.gamma) * self.forward**2 * PERCENT)

    @property
    def notional(self) -> PerAccount:
        """Gross coins under option in USD, Σ |n| c F."""
        return np.abs(self.contracts) @ (self.size * self.forward)


class BookFeature(Protocol):
    """One number per account, made from the options that it holds."""

    @property
    def name(self) -> str:
        """Name of the column."""
        ...

    @property
    def timing(self) -> str:
        """What is known when."""
        ...

    @property
    def source(self) -> str:
        """Publication or data that the feature comes from."""
        ...

    @property
    def unit(self) -> str:
        """Unit of the number."""
        ...

    def compute(self, held: Held) -> PerAccount:
        """Values by account."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DollarGamma:
    """Change of the dollar delta for a 1 % move over the gross notional: Σ n γ F² 0.01 / Σ |n| c F."""

    name: str = "dollar_gamma"
    timing: str = TIMING
    source: str = "Hull, Options, Futures, and Other Derivatives"
    unit: str = "share of gross notional per 1 %"

    def compute(self, held: Held) -> PerAccount:
        """Values by account."""
        return ratio(held.contracts @ (held.gamma * held.forward**2 * PERCENT), held.notional)


@dataclass(frozen=True, slots=True, kw_only=True)
class DollarVanna:
    """Change of the dollar delta for a point of volatility over the gross notional: Σ n vanna F 0.01 / Σ |n| c F."""

    name: str = "dollar_vanna"
    timing: str = TIMING
    source: str = "Haug, The Complete Guide to Option Pricing Formulas"
    unit: str = "share of gross notional per point"

    def compute(self, held: Held) -> PerAccount:
        """Values by account."""
        return ratio(held.contracts @ (held.vanna * held.forward * PERCENT), held.notional)


@dataclass(frozen=True, slots=True, kw_only=True)
class NearSpotShare:
    """Share of the gross dollar gamma at strikes within `deviations` of the forward: |ln(K/F)| ≤ x σ√τ."""

    deviations: float = 0.5
    timing: str = TIMING
    source: str = "Avellaneda & Lipkin (2003): gamma near a strike at expiry pins or repels the price"
    unit: str = "share"

    @property
    def name(self) -> str:
        """Such as `near_spot_share_0.5`."""
        return f"near_spot_share_{self.deviations:g}"

    def compute(self, held: Held) -> PerAccount:
        """Values by account."""
        is_near = np.abs(np.log(held.strike / held.forward)) <= self.deviations * held.deviation
        return _share(held.gross_gamma, is_near)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiringShare:
    """Share of the gross dollar gamma that expires within `hours`: what the clock alone will take away."""

    hours: float = 24.0
    timing: str = TIMING
    source: str = "chain"
    unit: str = "share"

    @property
    def name(self) -> str:
        """Such as `expiring_share_24h`."""
        return f"expiring_share_{self.hours:g}h"

    def compute(self, held: Held) -> PerAccount:
        """Values by account."""
        return _share(held.gross_gamma, held.life_days * 24.0 <= self.hours)


@dataclass(frozen=True, slots=True, kw_only=True)
class StrikeConcentration:
    """Herfindahl index of the gross dollar gamma by underlying and strike, Σ sₖ²: 1 where one strike holds all."""

    name: str = "strike_concentration"
    timing: str = TIMING
    source: str = "Hirschman (1945); Herfindahl (1950)"
    unit: str = "0 to 1"

    def compute(self, held: Held) -> PerAccount:
        """Values by account."""
        return _herfindahl(held.gross_gamma, held.underlying, held.strike)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryConcentration:
    """Herfindahl index of the gross vega by underlying and expiry, Σ sₑ²: 1 where one expiry holds all."""

    name: str = "expiry_concentration"
    timing: str = TIMING
    source: str = "Hirschman (1945); Herfindahl (1950)"
    unit: str = "0 to 1"

    def compute(self, held: Held) -> PerAccount:
        """Values by account."""
        return _herfindahl(np.abs(held.contracts) * np.abs(held.vega), held.underlying, held.life_days)


BOOK_FEATURES: tuple[BookFeature, ...] = (
    DollarGamma(),
    DollarVanna(),
    NearSpotShare(),
    ExpiringShare(),
    StrikeConcentration(),
    ExpiryConcentration(),
)


def book_features(
    chain: Chain, accounts: Sequence[Account], features: Sequence[BookFeature] = BOOK_FEATURES
) -> Float[ndarray, "account feature"]:
    """The features of each account, one column each; every option is priced once."""
    names = [feature.name for feature in features]
    if len(set(names)) != len(names):
        raise InputError(f"book features: a name stands twice in {', '.join(names)}.")
    held = Held.of(chain, accounts)
    columns = [feature.compute(held) for feature in features]
    return np.stack(columns, axis=1) if columns else np.empty((len(accounts), 0))


def _share(amount: Float[ndarray, "account option"], is_meant: Bool[ndarray, " option"]) -> PerAccount:
    return ratio(amount[:, is_meant].sum(axis=1), amount.sum(axis=1))


def _herfindahl(amount: Float[ndarray, "account option"], *keys: ndarray) -> PerAccount:
    """Sum of squared shares of an amount by group of equal keys."""
    numbered = [np.unique(key, return_inverse=True)[1] for key in keys]
    group = np.unique(np.stack(numbered, axis=1), axis=0, return_inverse=True)[1].reshape(-1)
    totals = np.zeros((amount.shape[0], int(group.max(initial=-1)) + 1))
    np.add.at(totals.T, group, amount.T)
    return ratio((totals**2).sum(axis=1), amount.sum(axis=1) ** 2)
