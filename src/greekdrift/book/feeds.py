"""How far the prices behind a chain can be trusted, where oracles stand between the market and the venue."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from greekdrift.errors import ChainError, nearest

if TYPE_CHECKING:
    from greekdrift.book.chain import Chain

OF_EXPIRY = ("forward", "rate", "volatility")
"""What an expiry's options are priced from: a feed each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feeds:
    """Confidence in each price feed, and the price of the stablecoin that the venue counts in.

    `confidence` is in [0, 1] by feed: a coin (its spot price, also as collateral), the name of a perpetual or future,
    and "<expiry> forward", "<expiry> rate", "<expiry> volatility" with the expiry as in the options' names,
    like "BTC-27FEB26 forward"; "*" speaks for every feed that is not named. None says that the venue has no such feed,
    and that it casts no doubt. `stable_price` is USD per stablecoin, None where none is used.
    `prices` are index prices, USD, of collateral that the chain has none of.
    """

    confidence: Mapping[str, float | None]
    stable_price: float | None
    prices: Mapping[str, float]

    def __post_init__(self) -> None:
        for name, value in self.confidence.items():
            if value is not None and not 0.0 <= value <= 1.0:
                raise ChainError(f"feed {name}: confidence {value} does not lie between 0 and 1; correct it.")
        for name, price in self.prices.items():
            if not 0.0 < price < float("inf"):
                raise ChainError(f"feed {name}: price {price} is not a positive number; correct it.")
        stable = self.stable_price
        if stable is not None and not 0.0 < stable < float("inf"):
            raise ChainError(f"feeds: stable_price {stable} is not a positive number; correct it.")
        for name in ("confidence", "prices"):
            object.__setattr__(self, name, MappingProxyType(dict(sorted(getattr(self, name).items()))))

    def confidence_in(self, name: str) -> float:
        """Confidence in a feed; one that is not named, nor declared absent, is refused: unknown is not safe.

        >>> feeds = Feeds(confidence={"BTC": 0.9, "BTC-PERPETUAL": None}, stable_price=None, prices={})
        >>> feeds.confidence_in("BTC"), feeds.confidence_in("BTC-PERPETUAL")
        (0.9, 1.0)
        """
        for wanted in (name, "*"):
            if wanted in self.confidence:
                value = self.confidence[wanted]
                return 1.0 if value is None else value
        raise ChainError(
            f'there is no confidence for the feed "{name}", which the margin needs; '
            f"{nearest(name, self.confidence) if self.confidence else 'none is given'}; give it, or null where the "
            "venue has no such feed."
        )


def expiry_name(option: str) -> str:
    """The expiry of an option as its name has it: without strike and side.

    >>> expiry_name("BTC-27FEB26-100000-C"), expiry_name("AAPL.USD-20230616T2000-150-C")
    ('BTC-27FEB26', 'AAPL.USD-20230616T2000')
    """
    return option.rsplit("-", 2)[0]


def with_feeds(chain: "Chain", feeds: Feeds) -> "Chain":
    """The chain with its feeds, and with the index prices that they add; a price that it has already is refused."""
    twice = sorted(set(feeds.prices) & set(chain.index_price))
    if twice:
        raise ChainError(f"{twice[0]} has an index price on the chain; leave it out of the feeds' prices.")
    return replace(chain, feeds=feeds, index_price={**chain.index_price, **feeds.prices})


def strangers(chain: "Chain", feeds: Feeds) -> tuple[str, ...]:
    """Feeds with a name that no coin, expiry or linear instrument of the chain has: expired, elsewhere, or misspelt."""
    known = {"*", *chain.index_price, *feeds.prices}
    for instrument, is_option in zip(chain.instruments, chain.is_option.tolist(), strict=True):
        name = instrument.name
        known |= {f"{expiry_name(name)} {part}" for part in OF_EXPIRY} if is_option else {name}
    return tuple(name for name in feeds.confidence if name not in known)
