"""What `market.simulate` asks of a law: how the hidden state moves, and what prices, smiles and factors it shows."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol, Self, TypeVar

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.market import law as law_of
from greekdrift.market.law import Hidden, Law
from greekdrift.market.listing import coin_expiries
from greekdrift.surface.slices import Slice
from greekdrift.surface.state import Curve
from greekdrift.units import years_between

PRICES = {"BTC": 90_000.0, "ETH": 3_000.0}
DEFAULT_PRICE = 100.0


class State(Protocol):
    """Hidden states of many paths at one instant."""

    @property
    def regime(self) -> Int[ndarray, " path"]:
        """0 calm, 1 stressed."""
        ...

    def repeated(self, n: int) -> Self:
        """The first path, n times."""
        ...


class Smile(Protocol):
    """The exact smile of one expiry."""

    @property
    def forward(self) -> float:
        """Forward of the expiry, USD."""
        ...

    @property
    def time_to_expiry(self) -> float:
        """Years of 365 days."""
        ...

    @property
    def deviation(self) -> float:
        """σ_atm √τ."""
        ...

    def volatility(self, log_moneyness: Curve) -> Curve:
        """Volatility at ln(K/F), a year."""
        ...


Of = TypeVar("Of", bound=State)


class World(Protocol[Of]):
    """A law for some underlyings, in steps of half an hour; `events` are the instants of its scheduled days."""

    events: tuple[datetime, ...]
    quote_noise: float

    def start(self) -> Of:
        """One path at the beginning."""
        ...

    def later(self, hidden: Of, moment: datetime, steps: int, rng: np.random.Generator) -> Of:
        """The hidden state some steps after `moment`."""
        ...

    def index(self, hidden: Of) -> Float[ndarray, "path underlying"]:
        """Index prices, USD."""
        ...

    def smile(self, hidden: Of, u: int, moment: datetime, expiry: datetime) -> Smile:
        """Smile of the first path; a `Slice` where raw SVI says all of it."""
        ...

    def outlook(
        self, path: Sequence[Of], u: int, moments: Sequence[datetime], expiry: datetime
    ) -> tuple[Float[ndarray, " snapshot"], Float[ndarray, " snapshot"]]:
        """Forward and σ_atm √τ of one expiry along the first paths."""
        ...

    def values(self, hidden: Of, moment: datetime) -> Float[ndarray, "path underlying factor"]:
        """Factors of `surface.state`."""
        ...


class SsviWorld:
    """The law of `market.law`: no days of events, every hour alike."""

    events: tuple[datetime, ...] = ()
    quote_noise = 0.0

    def __init__(self, law: Law, underlyings: Sequence[str]) -> None:
        self.law = law
        self.underlyings = tuple(underlyings)

    def start(self) -> Hidden:
        """One calm path at its means."""
        return law_of.start(self.law, opening(self.underlyings))

    def later(self, hidden: Hidden, moment: datetime, steps: int, rng: np.random.Generator) -> Hidden:  # noqa: ARG002
        """The hidden state some steps later, whatever the moment."""
        for _ in range(steps):
            hidden = law_of.step(self.law, hidden, rng)
        return hidden

    def index(self, hidden: Hidden) -> Float[ndarray, "path underlying"]:
        """Index prices."""
        return np.exp(hidden.factors[..., law_of.SPOT])

    def smile(self, hidden: Hidden, u: int, moment: datetime, expiry: datetime) -> Slice:
        """The SSVI slice of the first path."""
        years = years_between(moment, expiry)
        x = hidden.factors[0, u]
        smile = law_of.smiles(self.law, x, np.array([years]))
        return Slice(
            underlying=self.underlyings[u],
            expiry=expiry,
            time_to_expiry=years,
            forward=float(np.exp(x[law_of.SPOT] + x[law_of.BASIS] * years)),
            parameters=smile.raw(0),
            atm_volatility=float(np.sqrt(smile.theta[0] / years)),
            rmse=0.0,
            n_quotes=0,
            method="svi",
            quoted=(0.0, 0.0),
        )

    def outlook(
        self, path: Sequence[Hidden], u: int, moments: Sequence[datetime], expiry: datetime
    ) -> tuple[Float[ndarray, " snapshot"], Float[ndarray, " snapshot"]]:
        """Forward and deviation of one expiry."""
        years = np.array([years_between(moment, expiry) for moment in moments])
        x = np.stack([one.factors[0, u] for one in path])
        theta = np.array([law_of.smiles(self.law, one, years[[i]]).theta[0] for i, one in enumerate(x)])
        return np.exp(x[:, law_of.SPOT] + x[:, law_of.BASIS] * years), np.sqrt(theta)

    def values(self, hidden: Hidden, moment: datetime) -> Float[ndarray, "path underlying factor"]:
        """Factors of the exact surface."""
        years = np.array([years_between(moment, expiry) for expiry in coin_expiries(moment)])
        return law_of.state_values(self.law, hidden.factors, years)


def opening(underlyings: Sequence[str], prices: Mapping[str, float] = PRICES) -> Float[ndarray, " underlying"]:
    """Prices at the beginning."""
    return np.array([prices.get(name, DEFAULT_PRICE) for name in underlyings])
