"""What the fake venue trades: a chain carried on by a random walk, the same numbers for the same minute and seed.

Prices change once a minute. Everything that the venue answers is a function of the minute, so that whatever was
collected can be held against the truth later: `Market.at(event_time)`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy import ndarray

from greekdrift.book import Chain, Instrument, Kind, Product
from greekdrift.book.chain import years_to
from greekdrift.book.instrument import deribit_name, parse
from greekdrift.config import load_venue
from greekdrift.market.ticks import outward, prices

MINUTE = timedelta(minutes=1)
VENUE = load_venue("deribit")
OPTION = VENUE.product(parse("BTC-27FEB26-70000-C"))
LONGEST = 4 * 1440
"""Minutes of the walk; after them the market stands still."""
MINUTES_PER_YEAR = 525_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotes:
    """The market of one minute: one row a listed contract, prices as the venue quotes them, volatility per 1.00."""

    minute: datetime
    instruments: tuple[Instrument, ...]
    row_of: dict[str, int]
    contract_size: ndarray
    forward: ndarray
    bid: ndarray
    ask: ndarray
    mark: ndarray
    mark_iv: ndarray
    index: dict[str, float]
    funding: dict[str, float]
    dvol: dict[str, float]

    def rows(self, currency: str, *, is_option: bool) -> list[int]:
        """Rows of a coin's options, or of its futures and perpetual."""
        return [
            at
            for at, one in enumerate(self.instruments)
            if one.underlying == currency and one.is_option == is_option and one.kind is not Kind.SPOT
        ]


class Market:
    """The walk from a chain of coin-settled contracts; `seed` names it.

    Forwards and the index of a coin move together, 60 % a year; volatilities move together by a mean-reverting factor.
    A future is added for each expiry that has none. `late` days after the start the last expiry of each coin is listed;
    contracts leave at their expiry.
    """

    def __init__(self, chain: Chain, *, seed: int = 0, late: float = 0.25) -> None:
        self.start = chain.as_of.astimezone(UTC).replace(second=0, microsecond=0)
        self.currencies = chain.underlyings
        self._base = _with_futures(chain)
        rng = np.random.default_rng([seed, 7])
        steps = rng.standard_normal((LONGEST, len(self.currencies) + 1))
        self._moves = np.cumsum(0.6 / np.sqrt(MINUTES_PER_YEAR) * steps[:, :-1], axis=0)
        self._level = 0.2 * np.tanh(np.cumsum(0.01 * steps[:, -1]))
        self._late = self.start + timedelta(days=late)
        self._last = {
            coin: max(one.expiry for one in self._base.instruments if one.underlying == coin and one.expiry is not None)
            for coin in self.currencies
        }
        self._kept: dict[int, Quotes] = {}

    def at(self, moment: datetime) -> Quotes:
        """The market of the minute that an instant lies in."""
        number = max(0, min((moment - self.start) // MINUTE, LONGEST - 1))
        if number not in self._kept:
            if len(self._kept) > 8:
                self._kept.clear()
            self._kept[number] = self._quotes(number)
        return self._kept[number]

    def _quotes(self, number: int) -> Quotes:
        minute = self.start + number * MINUTE
        base = self._base
        move = dict(zip(self.currencies, np.exp(self._moves[number]), strict=True))
        keep = np.array([self._is_listed(one, minute) for one in base.instruments])
        at = np.flatnonzero(keep)
        instruments = tuple(base.instruments[i] for i in at)
        factor = np.array([move[one.underlying] for one in instruments])
        forward = np.round(base.forward[at] * factor, 2)
        option = np.flatnonzero(base.is_option[at])
        volatility = np.full(len(at), np.nan)
        volatility[option] = np.round(base.mark_iv[at][option] * np.exp(self._level[number]), 4)
        mark = forward.copy()
        mark[option] = prices(
            forward=forward[option],
            strike=base.strike[at][option],
            volatility=volatility[option],
            time_to_expiry=years_to(base.expiry[at][option], minute),
            is_call=base.is_call[at][option],
            is_inverse=np.ones(option.size, dtype=np.bool_),
        )
        mark = np.round(mark, 6)
        low, high = mark - 0.5, mark + 0.5
        low[option], high[option] = mark[option] * 0.97, mark[option] * 1.03 + OPTION.tick
        bid, ask = np.empty(len(at)), np.empty(len(at))
        for rows, product in self._products(instruments):
            bid[rows], ask[rows] = outward(low[rows], high[rows], product)
        return Quotes(
            minute=minute,
            instruments=instruments,
            row_of={one.name: row for row, one in enumerate(instruments)},
            contract_size=base.contract_size[at],
            forward=forward,
            bid=bid,
            ask=ask,
            mark=mark,
            mark_iv=volatility,
            index={coin: round(base.index_price[coin] * float(move[coin]), 2) for coin in self.currencies},
            funding={coin: round(1e-5 * (number % 7 - 3), 8) for coin in self.currencies},
            dvol={coin: round(55.0 * float(np.exp(self._level[number])), 2) for coin in self.currencies},
        )

    def _products(self, instruments: tuple[Instrument, ...]) -> Iterator[tuple[ndarray, Product]]:
        """Rows that share what the venue says of ticks."""
        products = [VENUE.product(one) for one in instruments]
        for product in dict.fromkeys(products):
            yield np.flatnonzero([one == product for one in products]), product

    def _is_listed(self, one: Instrument, minute: datetime) -> bool:
        if one.expiry is None:
            return True
        return minute < one.expiry and (minute >= self._late or one.expiry < self._last[one.underlying])


def thinned(chain: Chain, *, expiries: int = 4, strikes: int = 5) -> Chain:
    """A small chain of the same kind: the first expiries and the last, and the strikes nearest to each forward."""
    keep = ~chain.is_option & ~chain.is_spot
    for coin in chain.underlyings:
        own = chain.is_option & (chain.underlying == coin)
        moments = np.unique(chain.expiry[own])
        for moment in {*moments[: expiries - 1], moments[-1]}:
            at = own & (chain.expiry == moment)
            away = np.abs(np.log(chain.strike / chain.forward))
            nearest = np.unique(chain.strike[at][np.argsort(away[at], kind="stable")][: 2 * strikes])[:strikes]
            keep |= at & np.isin(chain.strike, nearest)
    return chain.take(np.flatnonzero(keep))


def _with_futures(chain: Chain) -> Chain:
    """The coin-settled contracts of a chain, and a future for each expiry of its options."""
    chain = chain.take(np.flatnonzero(chain.is_inverse & ~chain.is_spot))
    options = np.flatnonzero(chain.is_option)
    first = {(str(chain.underlying[at]), chain.instruments[at].expiry): int(at) for at in reversed(options)}
    known = {one.name for one in chain.instruments}
    made = {
        deribit_name(coin, expiry): at
        for (coin, expiry), at in first.items()
        if expiry is not None and deribit_name(coin, expiry) not in known
    }
    rows = np.array([*range(len(chain)), *made.values()])
    instruments = (*chain.instruments, *(parse(name) for name in made))
    is_made = np.arange(len(rows)) >= len(chain)
    size = {"BTC": 10.0, "ETH": 1.0}
    columns = {name: getattr(chain, name)[rows] for name in ("open_interest", "volume_24h", "forward")}
    return Chain(
        venue=chain.venue,
        as_of=chain.as_of,
        known_at=chain.known_at,
        instruments=instruments,
        contract_size=np.where(
            is_made, [size.get(one.underlying, 1.0) for one in instruments], chain.contract_size[rows]
        ),
        bid=np.where(is_made, np.nan, chain.bid[rows]),
        ask=np.where(is_made, np.nan, chain.ask[rows]),
        mark=np.where(is_made, chain.forward[rows], chain.mark[rows]),
        mark_iv=np.where(is_made, np.nan, chain.mark_iv[rows]),
        index_price=dict(chain.index_price),
        origin=chain.origin,
        **columns,
    )
