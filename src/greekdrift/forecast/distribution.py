"""The forecast of accounts: what their Greeks, their P&L and their margin will be, jointly, and when a band breaks.

Every number here is a sum over scenarios of exact revaluations; nothing is fitted. A breach within h hours means:
outside at one of the checks (the horizons) up to h. It is never observed between checks, so the time to breach is
an interval (the last check inside, the first check outside].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from greekdrift.book import Account, Band, Chain
from greekdrift.errors import InputError, nearest
from greekdrift.forecast import monte_carlo
from greekdrift.forecast.banded import band_paths
from greekdrift.greeks.exposure import coin_equity
from greekdrift.greeks.exposure import weights as contracts_of
from greekdrift.score import quantile
from greekdrift.surface.collateral import collateral_cube, collateral_now
from greekdrift.surface.revalue import Revaluation

Samples = Float[ndarray, "scenario horizon account quantity"]

BOOK = ("value_usd", "delta_usd", "delta_net", "gamma", "vega", "theta")
PNL = "pnl_usd"
COLLATERAL = "delta_collateral"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TimeToBreach:
    """Probability that the first breach falls into (checks[k−1], checks[k]], hours from the origin; `never` the rest.

    The first interval starts at 0, and also holds what is outside already and stays there until the first check.
    `weights` are those of the scenarios, from which the standard errors follow.
    """

    checks: Float[ndarray, " check"]
    probability: Float[ndarray, " check"]
    weights: Float[ndarray, " scenario"]

    @property
    def never(self) -> float:
        """Probability of being inside at every check."""
        return float(max(0.0, 1.0 - self.probability.sum()))

    def by(self, hours: float) -> float:
        """Probability of a breach at a check up to `hours`."""
        return float(min(1.0, self.probability[self.checks <= hours + 1e-9].sum()))

    @property
    def within(self) -> Float[ndarray, " check"]:
        """Probability of a breach at a check up to each of the checks."""
        return np.clip(np.cumsum(self.probability), 0.0, 1.0)

    @property
    def within_error(self) -> Float[ndarray, " check"]:
        """Monte-Carlo standard error of `within`."""
        return monte_carlo.probability_error(self.within, self.weights)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forecast:
    """Joint distribution of quantities of accounts at horizons, as weighted samples.

    `samples[s, h, a, q]`: scenario, horizon (hours), account, quantity; NaN over all scenarios where an account has
    no such quantity (another account's band). `now[a, q]` is the value at the origin. `bands` are the bands of each
    account's mandate; their values are quantities under the band's label. Units inside, as everywhere.
    """

    account_ids: tuple[str, ...]
    quantities: tuple[str, ...]
    horizons: Float[ndarray, " horizon"]
    samples: Samples
    weights: Float[ndarray, " scenario"]
    now: Float[ndarray, "account quantity"]
    as_of: datetime
    bands: Mapping[str, tuple[Band, ...]] = field(default_factory=dict)
    provenance: str = ""

    def __post_init__(self) -> None:
        shape = (len(self.weights), len(self.horizons), len(self.account_ids), len(self.quantities))
        if self.samples.shape != shape:
            raise InputError(f"forecast: samples have shape {self.samples.shape}, expected {shape}.")
        if self.now.shape != shape[2:]:
            raise InputError(f"forecast: values now have shape {self.now.shape}, expected {shape[2:]}.")
        if not np.all(np.isfinite(self.samples)):
            absent = np.isnan(self.samples)
            if np.any(np.isinf(self.samples)) or not np.array_equal(absent.any(axis=(0, 1)), absent.all(axis=(0, 1))):
                raise InputError("forecast: a quantity of an account is a number in some scenarios only.")
        object.__setattr__(self, "bands", MappingProxyType(dict(self.bands)))

    def of(self, account_id: str, quantity: str) -> Float[ndarray, "scenario horizon"]:
        """Samples of one quantity of one account."""
        account = _position(account_id, self.account_ids, "account")
        samples = self.samples[:, :, account, _position(quantity, self.quantities, "quantity")]
        if np.isnan(samples[0, 0]):
            raise InputError(f'{account_id} has no "{quantity}"; it has {", ".join(self.quantities_of(account_id))}.')
        return samples

    def quantities_of(self, account_id: str) -> tuple[str, ...]:
        """Names of the quantities that an account has."""
        account = _position(account_id, self.account_ids, "account")
        has = ~np.isnan(self.samples[0, 0, account])
        return tuple(name for name, here in zip(self.quantities, has, strict=True) if here)

    def joint(self, account_id: str) -> Float[ndarray, "scenario horizon quantity"]:
        """All quantities of an account together, in the order of `quantities_of`."""
        account = _position(account_id, self.account_ids, "account")
        return self.samples[:, :, account, ~np.isnan(self.samples[0, 0, account])]

    def value_now(self, account_id: str, quantity: str) -> float:
        """The quantity at the origin."""
        self.of(account_id, quantity)
        return float(self.now[self.account_ids.index(account_id), self.quantities.index(quantity)])

    def quantile(self, account_id: str, quantity: str, levels: Sequence[float]) -> Float[ndarray, "level horizon"]:
        """Quantiles at every horizon."""
        return quantile(self.of(account_id, quantity), levels, weights=self.weights)

    def mean(self, account_id: str, quantity: str) -> Float[ndarray, " horizon"]:
        """Expected value at every horizon."""
        return self.weights @ self.of(account_id, quantity)

    def mean_error(self, account_id: str, quantity: str) -> Float[ndarray, " horizon"]:
        """Monte-Carlo standard error of the expected value."""
        return monte_carlo.mean_error(self.of(account_id, quantity), self.weights)

    def quantile_error(
        self, account_id: str, quantity: str, levels: Sequence[float]
    ) -> Float[ndarray, "level horizon"]:
        """Monte-Carlo standard error of each quantile."""
        return monte_carlo.quantile_errors(self.of(account_id, quantity), self.weights, levels)

    def expected_shortfall(
        self, account_id: str, quantity: str, *, level: float = 0.95, is_high_bad: bool = False
    ) -> tuple[Float[ndarray, " horizon"], Float[ndarray, " horizon"]]:
        """Mean of the worst 1 − `level` of the scenarios at every horizon, and its Monte-Carlo standard error.

        The worst are the lowest, or with `is_high_bad` the highest (a margin requirement).
        """
        sign = -1.0 if is_high_bad else 1.0
        samples = sign * self.of(account_id, quantity)
        found = monte_carlo.expected_shortfall(samples, self.weights, level=level)
        return sign * found, monte_carlo.shortfall_error(samples, self.weights, level=level)

    def cdf(self, account_id: str, quantity: str, value: float) -> Float[ndarray, " horizon"]:
        """Probability of at most `value` at every horizon."""
        return self.weights @ (self.of(account_id, quantity) <= value)

    def sample(
        self, account_id: str, quantity: str, *, n: int, random: np.random.Generator
    ) -> Float[ndarray, "draw horizon"]:
        """Paths of a quantity drawn by weight."""
        return self.of(account_id, quantity)[random.choice(self.weights.size, n, p=self.weights)]

    def band(self, account_id: str, label: str) -> Band:
        """The band of an account that has this label."""
        known = {band.label: band for band in self.bands.get(account_id, ())}
        if label not in known:
            hint = nearest(label, known) if known else "it has no bands"
            raise InputError(f'{account_id} has no band "{label}"; {hint}')
        return known[label]

    def with_bands(self, account_id: str, bands: Sequence[Band]) -> "Forecast":
        """The forecast with other bands for an account, on quantities that it has under their labels."""
        for band in bands:
            self.of(account_id, band.label)
        return replace(self, bands={**self.bands, account_id: tuple(bands)})

    def is_outside(self, account_id: str, label: str) -> Bool[ndarray, "scenario check"]:
        """Whether a banded quantity is outside its band, by scenario and check."""
        band, values = self.band(account_id, label), self.of(account_id, label)
        return (values < band.lower) | (values > band.upper)

    def breach_probability(self, account_id: str, label: str, *, within: float | None = None) -> float:
        """Probability that a band is broken at a check up to `within` hours (the last horizon if not given)."""
        hours = float(self.horizons[-1]) if within is None else within
        if hours < self.horizons[0]:
            raise InputError(f"there is no check within {hours:g} h; the first is at {self.horizons[0]:g} h.")
        return self.time_to_breach(account_id, label).by(hours)

    def time_to_breach(self, account_id: str, label: str) -> TimeToBreach:
        """When a band is first broken, by interval between checks."""
        return self._first(self.is_outside(account_id, label))

    def time_outside(self, account_id: str, quantity: str, *, lower: float, upper: float) -> TimeToBreach:
        """When any quantity is first outside an interval, whether or not the mandate knows of it."""
        if not lower < upper:
            raise InputError(f'{account_id}, "{quantity}": lower {lower:g} must be below upper {upper:g}.')
        values = self.of(account_id, quantity)
        return self._first((values < lower) | (values > upper))

    def time_below(self, account_id: str, quantity: str, level: float) -> TimeToBreach:
        """When a quantity, such as the excess margin, first falls below a level."""
        return self._first(self.of(account_id, quantity) < level)

    def _first(self, outside: Bool[ndarray, "scenario check"]) -> TimeToBreach:
        is_first = outside & (np.cumsum(outside, axis=1) == 1)
        return TimeToBreach(checks=self.horizons, probability=self.weights @ is_first, weights=self.weights)


def forecast(
    chain: Chain,
    accounts: Sequence[Account],
    revaluation: Revaluation,
    *,
    names: Sequence[str] = BOOK,
    extra: Mapping[str, Float[ndarray, "scenario horizon account"]] | None = None,
    extra_now: Mapping[str, Float[ndarray, " account"]] | None = None,
    provenance: str = "",
) -> Forecast:
    """The forecast of unchanged accounts from one revaluation of the rows they hold.

    Quantities: `pnl_usd`; each revalued name among `names` by underlying, as in "delta_net of BTC"; each band by its
    label, as in "BTC gamma" (which fades with the mandate, unlike "gamma of BTC"); and the caller's `extra` samples,
    such as the initial margin, with their values now. "delta_collateral" among the names needs `collateral.NEEDED`
    revalued.
    """
    held = contracts_of(chain, accounts)
    _covered(chain, accounts, held, revaluation)
    mine = held[:, revaluation.rows]
    columns: dict[str, tuple[ndarray, ndarray]] = {
        PNL: (revaluation.book(PNL, mine), np.zeros(len(accounts))),
        **_by_underlying(chain, accounts, revaluation, mine, names),
    }
    for at, account in enumerate(accounts):
        for label, (moved, now) in band_paths(chain, account, revaluation, mine[at]).items():
            samples, values = columns.setdefault(label, _nothing(revaluation, len(accounts)))
            samples[:, :, at], values[at] = moved, now
    for name, samples in (extra or {}).items():
        columns[name] = (samples, np.asarray((extra_now or {}).get(name, np.full(len(accounts), np.nan))))
    return Forecast(
        account_ids=tuple(account.account_id for account in accounts),
        quantities=tuple(columns),
        horizons=revaluation.horizons,
        samples=np.stack([samples for samples, _ in columns.values()], axis=-1),
        weights=revaluation.weights,
        now=np.stack([now for _, now in columns.values()], axis=-1),
        as_of=revaluation.as_of,
        bands={account.account_id: account.mandate.bands for account in accounts if account.mandate is not None},
        provenance=provenance,
    )


def _nothing(revaluation: Revaluation, accounts: int) -> tuple[ndarray, ndarray]:
    shape = (revaluation.weights.size, revaluation.horizons.size, accounts)
    return np.full(shape, np.nan), np.full(accounts, np.nan)


def _covered(chain: Chain, accounts: Sequence[Account], held: ndarray, revaluation: Revaluation) -> None:
    left_out = np.setdiff1d(np.flatnonzero(np.any(held != 0.0, axis=0)), revaluation.rows)
    if left_out.size:
        who = accounts[int(np.flatnonzero(held[:, left_out[0]])[0])].account_id
        name = chain.instruments[int(left_out[0])].name
        raise InputError(f"{who} holds {name}, which was not revalued; add its row to revalue(rows=…).")


def _by_underlying(
    chain: Chain, accounts: Sequence[Account], revaluation: Revaluation, mine: ndarray, names: Sequence[str]
) -> dict[str, tuple[ndarray, ndarray]]:
    columns = {}
    belongs = chain.underlying[revaluation.rows]
    for name in names:
        for underlying in chain.underlyings:
            part = mine * (belongs == underlying)
            if name == COLLATERAL:
                equity = np.array([coin_equity(chain, account)[underlying] for account in accounts])
                moved = equity + collateral_cube(chain, revaluation) @ part.T
                columns[f"{name} of {underlying}"] = (moved, equity + part @ collateral_now(chain, revaluation))
            elif name in revaluation.values:
                columns[f"{name} of {underlying}"] = (revaluation.book(name, part), revaluation.book_now(name, part))
    return columns


def _position(word: str, known: tuple[str, ...], what: str) -> int:
    if word not in known:
        raise InputError(f'the forecast has no {what} "{word}"; {nearest(word, known)}')
    return known.index(word)
