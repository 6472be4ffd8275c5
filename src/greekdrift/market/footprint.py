"""The footprint of own trades on a source of chains: quotes that have moved, and fills at which no sequence earns.

Each underlying has two flows: delta in USD (coins times the reference price) and vega in USD per 1.00 of volatility.
With E the flow that is still felt and X the whole flow, both signed, against a daily turnover V,

    D = s (Y sign(E) √(|E|/V) + p X/V),     E decays by half in `half_life_hours`,   X never

is the displacement of the index (s a share of the reference price) and of volatility (s in points). The transient part
is the square-root law, so that a trade of Q on an untouched market costs 2/3 Y s √(Q/V) Q, a 3/2 power; the permanent
part is linear, as it must be. Filling x contracts of delta Δ and vega ν a contract moves E and X by xΔ and xν, and is
charged the integral of D along that way,

    cost = s V (2/3 Y |E/V|^{3/2} + p/2 (X/V)²) afterwards − the same before,   for both flows

The cost is the change of a potential that is at least 0, begins at 0 and falls only while a flow decays. Therefore the
sum of the costs of any sequence of trades, round trips among them, is at least 0: whoever buys and then sells loses the
decay. That holds because s, Y, p, V and the reference price do not change and the fill is linear in the displacement
with the Greeks of the undisturbed chain. `chain` shows the market repriced at the displaced index and volatility, which
differs from fills by gamma and volga of the displacement.

Source: Alfonsi & Schied (2010), volume that recovers behind a limit-order book of general shape; Huberman & Stanzl
(2004) for the permanent part; Donier & Bonart (2015) for Y.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Chain, Kind, Venue
from greekdrift.errors import ConfigError, InputError
from greekdrift.greeks.exposure import line_quantities
from greekdrift.market.source import Source
from greekdrift.market.ticks import outward, prices
from greekdrift.units import SECONDS_PER_HOUR, aware, stamp

MOST = 0.25
"""Displacement, as a share of the reference price and in points of volatility, beyond which a trade is refused."""
LEAST_SHARE = 0.25
"""Share of its volatility that a quote keeps, however far own trades push it."""

Flows = Float[ndarray, "2"]


@dataclass(frozen=True, kw_only=True)
class Depth:
    """What a market bears: daily turnover of delta (USD) and vega (USD per 1.00), the move of a day, and its memory.

    `coefficient` is Y, `permanent` is p. `daily_move` is s of the price (a share), `daily_volatility_move` s of
    volatility (points, 0.03 = 3).
    """

    delta_usd: float = 5e9
    vega_usd: float = 2e8
    daily_move: float = 0.025
    daily_volatility_move: float = 0.03
    coefficient: float = 0.9
    permanent: float = 0.1
    half_life_hours: float = 4.0

    def __post_init__(self) -> None:
        for name in ("delta_usd", "vega_usd", "daily_move", "daily_volatility_move", "half_life_hours"):
            if not 0.0 < getattr(self, name) < np.inf:
                raise ConfigError(f"depth: {name} {getattr(self, name)} must be positive and finite.")
        for name in ("coefficient", "permanent"):
            if not 0.0 <= getattr(self, name) < np.inf:
                raise ConfigError(f"depth: {name} {getattr(self, name)} must be at least 0 and finite.")

    @property
    def turnover(self) -> Flows:
        """V of delta and of vega."""
        return np.array([self.delta_usd, self.vega_usd])

    @property
    def move(self) -> Flows:
        """The displacement s of price and of volatility."""
        return np.array([self.daily_move, self.daily_volatility_move])

    def displacement(self, felt: Flows, whole: Flows) -> Flows:
        """D of price (a share) and of volatility (points), of the flows felt and whole.

        >>> Depth(coefficient=1.0).displacement(np.array([5e7, 0.0]), np.array([5e7, 0.0])).round(6)
        array([0.002525, 0.      ])
        """
        share = np.abs(felt) / self.turnover
        return self.move * (self.coefficient * np.sign(felt) * np.sqrt(share) + self.permanent * whole / self.turnover)

    def potential(self, felt: Flows, whole: Flows) -> Flows:
        """What the flows have cost at the least, USD, by flow."""
        share = np.abs(felt) / self.turnover
        recovering = 2.0 / 3.0 * self.coefficient * share**1.5
        return self.move * self.turnover * (recovering + 0.5 * self.permanent * (whole / self.turnover) ** 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One own trade: signed contracts at an average price in the contract's price currency.

    `impact_usd` is what the footprint adds to the quoted side: negative where the trade takes back what an earlier one
    had moved.
    """

    as_of: datetime
    name: str
    contracts: float
    price: float
    impact_usd: float


class TradedSource:
    """A source of chains as own trades would have left it; with no trades it is the source itself.

    >>> from greekdrift.config import load_venue
    >>> from greekdrift.market.simulate import SimulatedSource
    >>> venue = load_venue("deribit")
    >>> market = TradedSource(SimulatedSource(venue=venue, seed=1, days=1.0, underlyings=("BTC",)), venue=venue)
    >>> now = market.snapshots()[0]
    >>> there, back = market.trade(now, "BTC-PERPETUAL", 4e6), market.trade(now, "BTC-PERPETUAL", -4e6)
    >>> there.impact_usd > 0.0, round(there.impact_usd + back.impact_usd, 6), there.price > back.price
    (True, 0.0, True)
    """

    def __init__(self, source: Source, *, venue: Venue, depth: Depth | None = None) -> None:
        self.depth = depth or Depth()
        self.name, self.underlyings = source.name, source.underlyings
        self.step_hours, self.clock = source.step_hours, source.clock
        self.fills: tuple[Fill, ...] = ()
        self._source, self._venue = source, venue
        self._flows: list[tuple[datetime, str, Flows]] = []
        self._reference: Mapping[str, float] = source.chain(source.snapshots()[0]).index_price

    def snapshots(self) -> tuple[datetime, ...]:
        """Instants of the chains, increasing."""
        return self._source.snapshots()

    def chain(self, as_of: datetime) -> Chain:
        """The chain of an instant, moved by the trades up to then."""
        plain = self._source.chain(as_of)
        moved = {name: self.displacement(name, as_of) for name in plain.index_price}
        if not any(np.any(one != 0.0) for one in moved.values()):
            return plain
        return self._displaced(plain, moved)

    def displacement(self, underlying: str, as_of: datetime) -> Flows:
        """How far own trades hold price (share of the reference price) and volatility (points) aside at an instant."""
        return self.depth.displacement(*self._state(underlying, as_of))

    def trade(self, as_of: datetime, name: str, contracts: float) -> Fill:
        """Buy (positive) or sell contracts of a listed instrument at an instant not before the last trade.

        Raises InputError for an unknown instrument, no quote on that side, a size that is no number but 0, or one that
        would move the market by more than a quarter.
        """
        moment = aware(as_of)
        if not (np.isfinite(contracts) and contracts != 0.0):
            raise InputError(f"{name}: {contracts} contracts are no trade; give a number other than 0.")
        if self._flows and moment < self._flows[-1][0]:
            last = stamp(self._flows[-1][0])
            raise InputError(f"{name}: a trade at {stamp(moment)} comes before the last one at {last}; trade in order.")
        chain = self._source.chain(moment)
        row = int(chain.rows([name])[0])
        quoted = float(chain.ask[row] if contracts > 0.0 else chain.bid[row])
        if np.isnan(quoted):
            raise InputError(f"{name} has no {'ask' if contracts > 0.0 else 'bid'} at {stamp(moment)}; trade another.")
        line = line_quantities(chain, ("delta_usd", "vega"), [row])
        underlying = str(chain.underlying[row])
        reference = self._reference[underlying]
        flow = contracts * np.array([line["delta_usd"][0] * reference, line["vega"][0]])
        felt, whole = self._state(underlying, moment)
        after = self.depth.displacement(felt + flow, whole + flow)
        if np.any(np.abs(after) > MOST):
            raise InputError(
                f"{name}: {contracts:g} contracts would move the price by {after[0]:.1%} and volatility by "
                f"{after[1]:.2f}; trade less, or give the market more depth."
            )
        cost = self.depth.potential(felt + flow, whole + flow) - self.depth.potential(felt, whole)
        self._flows.append((moment, underlying, flow))
        fill = Fill(
            as_of=moment,
            name=name,
            contracts=float(contracts),
            price=quoted + _aside(chain, row, float(cost.sum()) / contracts),
            impact_usd=float(cost.sum()),
        )
        self.fills = (*self.fills, fill)
        return fill

    def _state(self, underlying: str, as_of: datetime) -> tuple[Flows, Flows]:
        """Flows still felt and whole, at an instant."""
        felt, whole, moment = np.zeros(2), np.zeros(2), aware(as_of)
        for at, name, flow in self._flows:
            if name == underlying and at <= moment:
                hours = (moment - at).total_seconds() / SECONDS_PER_HOUR
                felt, whole = felt + flow * 0.5 ** (hours / self.depth.half_life_hours), whole + flow
        return felt, whole

    def _displaced(self, plain: Chain, moved: Mapping[str, Flows]) -> Chain:
        index = {
            name: price + self._reference[name] * float(moved[name][0]) for name, price in plain.index_price.items()
        }
        ratio = np.array([index[str(name)] / plain.index_price[str(name)] for name in plain.underlying])
        points = np.array([moved[str(name)][1] for name in plain.underlying])
        volatility = np.maximum(plain.mark_iv + points, LEAST_SHARE * plain.mark_iv)
        forward, mark, option = plain.forward * ratio, plain.mark * ratio, plain.is_option
        change = _values(plain, forward, volatility) - _values(plain, plain.forward, plain.mark_iv)
        mark[option] = np.maximum(plain.mark[option] + change, 0.0)
        bid, ask = plain.bid.copy(), plain.ask.copy()
        kinds = np.array([f"{row.underlying} {row.kind} {row.settlement}" for row in plain.instruments])
        for kind in np.unique(kinds):
            rows = np.flatnonzero(kinds == kind)
            product = self._venue.product(plain.instruments[rows[0]])
            shift = mark[rows] - plain.mark[rows]
            bid[rows], ask[rows] = outward(plain.bid[rows] + shift, plain.ask[rows] + shift, product)
        return replace(
            plain,
            index_price=index,
            forward=forward,
            mark=mark,
            mark_iv=volatility,
            bid=bid,
            ask=ask,
            origin="simulated",
        )


def _values(chain: Chain, forward: ndarray, volatility: ndarray) -> Float[ndarray, " option"]:
    """Values of the options of a chain in their price currency, at other forwards and volatilities."""
    option = chain.is_option
    return prices(
        forward=forward[option],
        strike=chain.strike[option],
        volatility=volatility[option],
        time_to_expiry=chain.time_to_expiry[option],
        is_call=chain.is_call[option],
        is_inverse=chain.is_inverse[option],
    )


def _aside(chain: Chain, row: int, usd: float) -> float:
    """USD a contract in the contract's price currency."""
    size, index = float(chain.contract_size[row]), float(chain.index[row])
    if chain.instruments[row].kind is Kind.OPTION:
        return usd / size / (index if chain.is_inverse[row] else 1.0)
    return usd / size * (float(chain.mark[row]) if chain.is_inverse[row] else 1.0)
