"""A chain and accounts as JSON-ready values: what a client sends. Light: no web framework, no validation library."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import numpy as np

from greekdrift.book import Account, Band, Chain, Mandate
from greekdrift.book.feeds import Feeds
from greekdrift.units import stamp

COLUMNS = ("contract_size", "forward", "bid", "ask", "mark", "mark_iv", "open_interest", "volume_24h")


def chain_values(chain: Chain) -> dict[str, Any]:
    """The chain as columns; a number that is missing is null."""
    feeds = chain.feeds
    priced = {} if feeds is None else feeds.prices
    return {
        "venue": chain.venue,
        "as_of": stamp(chain.as_of),
        "known_at": stamp(chain.known_at),
        "origin": chain.origin,
        "settlement_average_minutes": chain.settlement_average_minutes,
        "index_price": {name: price for name, price in chain.index_price.items() if name not in priced},
        "instruments": [instrument.name for instrument in chain.instruments],
        **{name: [_or_null(value) for value in getattr(chain, name)] for name in COLUMNS},
        **({} if feeds is None else {"feeds": _feeds(feeds)}),
    }


def _feeds(feeds: Feeds) -> dict[str, Any]:
    return {
        "stable_price": feeds.stable_price,
        "prices": dict(feeds.prices),
        "confidence": dict(feeds.confidence),
    }


def account_values(accounts: Iterable[Account]) -> list[dict[str, Any]]:
    """The accounts as a book file has them, numbers in internal units."""
    return [
        {
            "account_id": account.account_id,
            "collateral": dict(account.collateral),
            "positions": account.quantities(),
            "mandate": None if account.mandate is None else _mandate(account.mandate),
        }
        for account in accounts
    ]


def _mandate(mandate: Mandate) -> dict[str, Any]:
    values = {field.name: getattr(mandate, field.name) for field in fields(mandate)}
    return {
        **values,
        "bands": [_band(band) for band in mandate.bands],
        "venues": list(mandate.venues),
        "price_of_breach": dict(mandate.price_of_breach),
        "hedge_kinds": [str(kind) for kind in mandate.hedge_kinds],
    }


def _band(band: Band) -> dict[str, Any]:
    return {
        "greek": band.greek,
        "underlying": band.underlying,
        "lower": band.lower,
        "upper": band.upper,
        "view": str(band.view),
        "tenor_days": None if band.tenor_days is None else list(band.tenor_days),
    }


def _or_null(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
