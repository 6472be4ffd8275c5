"""What all targets share: the form of a try, what a defect is, and sound inputs to begin with."""

import random
from collections.abc import Callable

import numpy as np
from campaigns.collect import market_of

from campaigns import mutations
from greekdrift.book import Chain
from greekdrift.units import aware

Try = Callable[[random.Random], str]
"""Reads one mutated input; what became of it: "taken", "part" or "refused"."""


class Defect(Exception):  # noqa: N818 - what the campaign looks for
    """Something was taken that should not have been, or was left behind."""


def chain_of(seed: int) -> Chain:
    """A chain of the market's first minute."""
    market = market_of(seed)
    quotes = market.at(market.start)
    keep = [at for at, one in enumerate(quotes.instruments) if one.expiry is None or one.expiry > market.start]
    return Chain(
        venue="deribit",
        as_of=market.start,
        known_at=aware(market.start),
        instruments=tuple(quotes.instruments[at] for at in keep),
        contract_size=quotes.contract_size[keep],
        forward=quotes.forward[keep],
        bid=quotes.bid[keep],
        ask=quotes.ask[keep],
        mark=quotes.mark[keep],
        mark_iv=quotes.mark_iv[keep],
        open_interest=np.full(len(keep), 5.0),
        volume_24h=np.full(len(keep), 2.0),
        index_price=quotes.index,
        origin="simulated",
    )


def check_chain(chain: Chain) -> None:
    """What `Chain` promises holds."""
    for name in ("forward", "mark"):
        if not np.all(np.isfinite(getattr(chain, name))):
            raise Defect(f"{name} of a chain holds no number")
    if np.any(chain.bid > chain.ask) and not chain.allow_crossed:
        raise Defect("a crossed quote was taken")


def struck(data: bytes, rng: random.Random) -> bytes:
    """Bytes changed anywhere, or in the last part, where Parquet says what the rest means."""
    if rng.random() < 0.5:
        return mutations.content(data, rng)
    cut = len(data) - rng.randrange(8, min(len(data), 3000))
    tail = bytearray(data[cut:])
    for _ in range(rng.randint(1, 3)):
        tail[rng.randrange(len(tail))] = rng.randrange(256)
    return data[:cut] + bytes(tail)
