"""A simulated market whose law is known: full chains on a jittered 6-hour grid, and the truth about what comes next.

Two laws: "ssvi", the process and the surface of `greekdrift.market.law`, and "bates", those of `market.bates_world`.
Chains carry origin "simulated"; marks lie on the exact smiles; bids and asks widen in the wings and under stress; bids
under a tick and some wing quotes are missing. What own trades would change is in `market.footprint`.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Chain, Instrument, Kind, Scenarios, Settlement, Venue
from greekdrift.book.instrument import deribit_name, parse
from greekdrift.errors import ConfigError, InputError, nearest
from greekdrift.market.bates_world import BatesLaw, BatesWorld
from greekdrift.market.law import STEP_HOURS, Law
from greekdrift.market.listing import coin_expiries, ladder
from greekdrift.market.schema import perpetuals
from greekdrift.market.source import position
from greekdrift.market.ticks import outward, prices
from greekdrift.market.world import DEFAULT_PRICE, PRICES, Smile, SsviWorld, World
from greekdrift.surface.fit import fit
from greekdrift.surface.slices import Slice, Surface
from greekdrift.surface.state import FACTORS, State
from greekdrift.units import aware, stamp

LONGEST_DAYS = 3650.0
DEFAULT_START = datetime(2025, 1, 1, 4, tzinfo=UTC)
HALF_SPREAD = (0.006, 0.012)
"""Half-spread in volatility at the money, (calm, stressed); (1 + z²/2) times that at z standard deviations."""
FURTHEST_ASIDE = 0.9
"""Half spreads by which the middle of bid and ask may lie from the mark, so that the mark stays between them."""
MISSING = (0.02, 0.35)
"""Share of bids that are missing near the money and beyond two standard deviations; half as many asks."""
CONTRACTS = 100.0
"""Mean 24-hour volume at the money, in lots; exp(−z²/2) times that elsewhere. Open interest is ten times it."""


class SimulatedSource:
    """Chains of coin-settled options with a known law, deterministic in `seed`.

    `model` chooses the law, `law` the values of "ssvi" and `bates` those of "bates". Snapshots are `step_hours` apart
    give or take one step of half an hour; `start` and `days` bound them. Contract sizes, ticks and the perpetual come
    from the venue, which must list coin-settled options on the underlyings.
    """

    name = "simulated"
    clock = "elapsed"
    step_hours = 6.0

    def __init__(
        self,
        *,
        venue: Venue,
        seed: int,
        underlyings: tuple[str, ...] = ("BTC", "ETH"),
        days: float = 180.0,
        start: datetime = DEFAULT_START,
        model: Literal["ssvi", "bates"] = "ssvi",
        law: Law | None = None,
        bates: BatesLaw | None = None,
        known_after_minutes: float = 5.0,
    ) -> None:
        if not underlyings:
            raise ConfigError("a simulation needs an underlying, such as BTC.")
        if not self.step_hours <= days * 24.0 <= LONGEST_DAYS * 24.0:
            raise ConfigError(
                f"a simulation lasts from {self.step_hours:g} hours to {LONGEST_DAYS:g} days, got {days} days."
            )
        if seed < 0:
            raise ConfigError(f"a simulation's seed {seed} must be at least 0.")
        self.underlyings = tuple(sorted(set(underlyings)))
        if len(self.underlyings) < len(underlyings):
            twice = next(name for name in self.underlyings if underlyings.count(name) > 1)
            raise ConfigError(f"the simulation names {twice} twice; name each underlying once.")
        if (law if model == "bates" else bates) is not None:
            raise ConfigError(f"model {model} takes its values in {'bates' if model == 'bates' else 'law'} alone.")
        if model not in ("ssvi", "bates"):
            raise ConfigError(f'no model "{model}"; {nearest(model, ("ssvi", "bates"))}')
        self.law: Law | BatesLaw = (law or Law()) if model == "ssvi" else (bates or BatesLaw())
        for name in self.underlyings:
            if not _lists(venue, name):
                raise ConfigError(f"{venue.name} lists no coin-settled options on {name}; add them or choose others.")
        self._venue = venue
        self._seed = seed
        self._start = aware(start)
        self._steps = int(days * 24.0 / STEP_HOURS)
        self._known_after = timedelta(minutes=known_after_minutes)
        self._world: World[Any] = (
            SsviWorld(self.law, self.underlyings)
            if isinstance(self.law, Law)
            else BatesWorld(self.law, self.underlyings, start=self._start, days=days)
        )

    @property
    def events(self) -> Mapping[str, str]:
        """Scheduled events up to the last expiry: when each happens → since when it is public, as `features.events`."""
        return {stamp(one): stamp(min(one, self._start)) for one in self._world.events}

    def snapshots(self) -> tuple[datetime, ...]:
        """Instants of the chains, increasing."""
        return self._snapshots

    def chain(self, as_of: datetime) -> Chain:
        """The chain of one of `snapshots()`; the same bytes whatever was asked for before."""
        at = position(self._snapshots, as_of, name=self.name)
        rng = np.random.default_rng([self._seed, 1, at])
        parts = [
            self._options(name, at, expiry, rng)
            for name in self.underlyings
            for expiry in coin_expiries(self._snapshots[at])
        ]
        instruments = tuple(instrument for part in parts for instrument in part[0])
        index = dict(zip(self.underlyings, self._world.index(self._path[at])[0].tolist(), strict=True))
        linear, extra = perpetuals(self._venue, index)
        columns: dict[str, Any] = {
            name: np.concatenate([*(part[1][name] for part in parts), extra[name]]) for name in extra
        }
        return Chain(
            venue=self._venue.name,
            as_of=self._snapshots[at],
            known_at=self._snapshots[at] + self._known_after,
            instruments=(*instruments, *linear),
            index_price=index,
            origin="simulated",
            settlement_average_minutes=self._venue.settlement_average_minutes,
            allow_crossed=False,
            **columns,
        )

    def surface(self, as_of: datetime) -> Surface:
        """The surface behind a chain, one raw SVI slice an expiry: exact for "ssvi".

        For "bates", whose smiles are not raw SVI, the fit through its exact marks, checked for arbitrage.
        """
        at = position(self._snapshots, as_of, name=self.name)
        moment = self._snapshots[at]
        slices = []
        for name in self.underlyings:
            for expiry in coin_expiries(moment):
                smile = self._smile(name, at, expiry)
                if not isinstance(smile, Slice):
                    return fit(self.chain(moment))
                strikes = self._listed(name, at, expiry)
                quoted = np.log(strikes[[0, -1]] / smile.forward)
                ends = (float(quoted[0]), float(quoted[1]))
                slices.append(replace(smile, n_quotes=len(strikes), quoted=ends))
        return Surface(as_of=moment, slices=tuple(slices))

    def regime(self, as_of: datetime) -> int:
        """The hidden regime at a snapshot: 0 calm, 1 stressed."""
        return int(self._path[position(self._snapshots, as_of, name=self.name)].regime[0])

    def true_state(self, as_of: datetime) -> State:
        """The state of the exact smiles at a snapshot."""
        at = position(self._snapshots, as_of, name=self.name)
        values = self._world.values(self._path[at], self._snapshots[at])[0]
        return State(as_of=self._snapshots[at], underlyings=self.underlyings, values=values)

    def true_scenarios(self, as_of: datetime, *, horizons: tuple[float, ...], n: int, seed: int) -> Scenarios:
        """Joint scenarios drawn from the law itself, given the hidden state at a snapshot.

        `horizons` in hours, multiples of half an hour (the step of the law), increasing.
        """
        if n < 1 or seed < 0:
            raise InputError(f"n {n} must be at least 1 and the seed {seed} at least 0.")
        at = position(self._snapshots, as_of, name=self.name)
        rng = np.random.default_rng([self._seed, 2, at, seed])
        origin = self._snapshots[at]
        before = self._world.values(self._path[at], origin)
        hidden, done = self._path[at].repeated(n), 0
        made: list[Float[ndarray, "path underlying factor"]] = []
        for ahead in _steps(horizons):
            hidden = self._world.later(hidden, origin + timedelta(hours=done * STEP_HOURS), ahead - done, rng)
            done = ahead
            made.append(self._world.values(hidden, origin + timedelta(hours=ahead * STEP_HOURS)) - before)
        return Scenarios(
            underlyings=self.underlyings,
            factors=FACTORS,
            horizons=np.array(horizons, dtype=np.float64),
            increments=np.stack(made, axis=1),
            weights=np.full(n, 1.0 / n),
            as_of=origin,
            known_at=origin + self._known_after,
            provenance=f"law of the simulator, seed {self._seed}/{seed}",
        )

    @cached_property
    def _grid(self) -> tuple[int, ...]:
        """Steps from the start to each snapshot."""
        every = int(self.step_hours / STEP_HOURS)
        count = self._steps // every
        jitter = np.random.default_rng([self._seed, 0]).integers(-1, 2, size=count + 1)
        jitter[0] = 0
        return tuple(int(at) for at in np.arange(count + 1) * every + jitter)

    @cached_property
    def _snapshots(self) -> tuple[datetime, ...]:
        return tuple(self._start + timedelta(hours=at * STEP_HOURS) for at in self._grid)

    @cached_property
    def _path(self) -> tuple[Any, ...]:
        """The hidden state at each snapshot."""
        rng = np.random.default_rng([self._seed, 3])
        hidden = self._world.start()
        path, done = [], 0
        for at in self._grid:
            hidden = self._world.later(hidden, self._start + timedelta(hours=done * STEP_HOURS), at - done, rng)
            done = at
            path.append(hidden)
        return tuple(path)

    @cached_property
    def _strikes(self) -> dict[tuple[str, datetime], tuple[ndarray, ndarray]]:
        """Strikes of each expiry and the snapshot since which each is listed."""
        listed: dict[datetime, list[int]] = {}
        for at, moment in enumerate(self._snapshots):
            for expiry in coin_expiries(moment):
                listed.setdefault(expiry, []).append(at)
        made = {}
        for u, name in enumerate(self.underlyings):
            base = _nice(0.005 * PRICES.get(name, DEFAULT_PRICE))
            for expiry, rows in listed.items():
                path, moments = [self._path[one] for one in rows], [self._snapshots[one] for one in rows]
                forward, deviation = self._world.outlook(path, u, moments, expiry)
                strikes, since = ladder(forward, deviation, base=base, spacing=0.5)
                made[name, expiry] = (strikes, np.array(rows)[since])
        return made

    def _smile(self, name: str, at: int, expiry: datetime) -> Smile:
        return self._world.smile(self._path[at], self.underlyings.index(name), self._snapshots[at], expiry)

    def _listed(self, name: str, at: int, expiry: datetime) -> Float[ndarray, " strike"]:
        strikes, since = self._strikes[name, expiry]
        return strikes[since <= at]

    def _options(
        self, name: str, at: int, expiry: datetime, rng: np.random.Generator
    ) -> tuple[list[Instrument], dict[str, Float[ndarray, " row"]]]:
        exact = self._smile(name, at, expiry)
        strike = np.repeat(self._listed(name, at, expiry), 2)
        is_call = np.tile([True, False], len(strike) // 2)
        instruments = [
            parse(deribit_name(name, expiry, float(price), is_call=bool(side)))
            for price, side in zip(strike, is_call, strict=True)
        ]
        k = np.log(strike / exact.forward)
        z = np.abs(k) / exact.deviation
        volatility = exact.volatility(k)
        half = HALF_SPREAD[int(self._path[at].regime[0])] * (1.0 + 0.5 * z**2)
        shape = {
            "forward": np.full(len(strike), exact.forward),
            "strike": strike,
            "time_to_expiry": np.full(len(strike), exact.time_to_expiry),
            "is_call": is_call,
            "is_inverse": np.ones(len(strike), dtype=np.bool_),
        }
        mark = prices(volatility=volatility, **shape)
        aside = np.zeros(len(strike))
        if self._world.quote_noise > 0.0:
            noise = self._world.quote_noise * np.repeat(rng.standard_normal(len(strike) // 2), 2)
            aside = np.clip(noise, -FURTHEST_ASIDE, FURTHEST_ASIDE) * half
        low = prices(volatility=np.maximum(volatility - half + aside, 0.5 * volatility), **shape)
        high = prices(volatility=volatility + half + aside, **shape)
        product = self._venue.product(instruments[0])
        bid, ask = outward(low, high, product)
        is_wing = z > 2.0
        gone = rng.random((2, len(strike))) < np.where(is_wing, MISSING[1], MISSING[0]) * np.array([[1.0], [0.5]])
        lots = np.round(
            CONTRACTS * np.exp(-0.5 * z**2) * np.stack([rng.exponential(size=len(strike)), np.full(len(strike), 10.0)])
        )
        volume, open_interest = np.round(lots * product.lot, 10)
        return instruments, {
            "forward": shape["forward"],
            "bid": np.where(gone[0], np.nan, bid),
            "ask": np.where(gone[1], np.nan, ask),
            "mark": mark,
            "mark_iv": volatility,
            "contract_size": np.full(len(strike), product.contract_size),
            "volume_24h": volume,
            "open_interest": open_interest,
        }


def _nice(value: float) -> float:
    """The number of the form 1, 2 or 5 × 10ⁿ nearest in logarithm.

    >>> _nice(450.0), _nice(15.0)
    (500.0, 20.0)
    """
    power = 10.0 ** np.floor(np.log10(value))
    return float(min((one * power for one in (1.0, 2.0, 5.0, 10.0)), key=lambda nice: abs(np.log(nice / value))))


def _steps(horizons: tuple[float, ...]) -> list[int]:
    steps = [hours / STEP_HOURS for hours in horizons]
    if not steps or any(not step >= 0.0 or step % 1.0 != 0.0 for step in steps):
        raise InputError(f"horizons {list(horizons)} must be multiples of {STEP_HOURS:g} hours, the step of the law.")
    return [int(step) for step in steps]


def _lists(venue: Venue, underlying: str) -> bool:
    return any(
        (one.kind, one.settlement) == (Kind.OPTION, Settlement.INVERSE) and one.underlying in (underlying, "*")
        for one in venue.products
    )
