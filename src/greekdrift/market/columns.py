"""What a column of others is called, and which of ours it stands for; a name that is not known is not guessed at."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from greekdrift.errors import DataError, nearest
from greekdrift.market.schema import PRICES

_PRICE_WORDS = {
    "bid": ("bid", "bidprice", "bestbid", "bestbidprice", "bid1price", "bidpx", "cbid"),
    "ask": ("ask", "askprice", "bestask", "bestaskprice", "ask1price", "askpx", "offer"),
    "mark": ("mark", "markprice", "markpx", "mid", "midprice", "meanprice", "theoreticalprice", "theo"),
}

WORDS: Mapping[str, tuple[str, ...]] = {
    "snapshot_ts_utc": (
        *("snapshottsutc", "snapshotts", "snapshottime", "snapshot", "asof", "timestamp", "ts", "time", "datetime"),
        *(
            "quotedatetime",
            "quoteunixtime",
            "quotetime",
            "quotedate",
            "eventtimeutc",
            "eventtime",
            "createdat",
            "creationtimestamp",
            "date",
        ),
    ),
    "known_at_utc": ("knownatutc", "knownat", "localtimestamp", "receivedat", "receivetime", "ingestedat"),
    "instrument_name": (
        *("instrumentname", "instrument", "instid", "contractsymbol", "optionsymbol", "contractname", "contract"),
        *("symbol", "name", "ticker"),
    ),
    "underlying": (
        *(
            "underlying",
            "root",
            "underlyingsymbol",
            "underlyingasset",
            "uly",
            "base",
            "basecurrency",
            "basecoin",
            "coin",
        ),
        *("asset", "currency", "ticker", "symbol"),
    ),
    "strike_usd": ("strikeusd", "strike", "strikeprice", "stk", "k"),
    "expiry_ts_utc": (
        *(
            "expirytsutc",
            "expireunix",
            "expiry",
            "expiration",
            "expirationdate",
            "expirydate",
            "expiredate",
            "maturity",
        ),
        *("maturitydate", "exptime", "expirationtimestamp", "optionexpiration", "exdate", "exp"),
    ),
    "option_type": ("optiontype", "opttype", "callput", "putcall", "cp", "cpflag", "right", "iscall", "type"),
    "mark_iv": (
        *("markiv", "iv", "impliedvolatility", "impliedvol", "implvolatility", "impvol", "markvol", "midiv"),
        "markimpliedvolatility",
    ),
    "bid_iv": ("bidiv", "bidvol", "bidimpliedvolatility", "bid1iv"),
    "ask_iv": ("askiv", "askvol", "askimpliedvolatility", "ask1iv"),
    "forward_price_usd": (
        *("forwardpriceusd", "forwardprice", "forward", "fwd", "fwdpx", "futureprice", "futuresprice", "f"),
        "underlyingprice",
    ),
    "index_price_usd": (
        *("indexpriceusd", "indexprice", "index", "indexpx", "spotprice", "spot", "underlyinglast", "stockprice"),
        *("underlyingclose", "stockpriceclose", "activeunderlyingprice", "estimateddeliveryprice", "s"),
    ),
    "open_interest_coin": ("openinterestcoin",),
    "open_interest": ("openinterest", "oi", "openint"),
    "volume_24h_coin": ("volume24hcoin",),
    "volume_24h": ("volume24h", "vol24h", "volume", "totalvolume", "tradevolume"),
    "contract_size": ("contractsize", "contractmultiplier", "multiplier"),
    "origin": ("origin",),
    "venue": ("venue", "exchange"),
    **{f"{price}_price_coin": (f"{price}pricecoin", f"{price}coin", f"{price}btc", f"{price}eth") for price in PRICES},
    **{f"{price}_price_usd": (f"{price}priceusd", f"{price}usd") for price in PRICES},
    **{f"{price}_price": words for price, words in _PRICE_WORDS.items()},
}
"""Words (lower case, letters and digits only) by what they stand for, the likeliest first.

`bid_price`, `ask_price`, `mark_price` are prices whose unit is still to be found out, `open_interest` and `volume_24h`
count contracts.
"""

AIDS: Mapping[str, tuple[str, ...]] = {"delta": ("delta", "deltabs", "optiondelta", "markdelta")}
"""What is looked for only where a column of ours must be made of it."""

SPARES: Mapping[str, str] = {
    **{f"{price}_price": f"{price}_price_coin" for price in PRICES},
    "open_interest": "open_interest_coin",
    "volume_24h": "volume_24h_coin",
}
"""What is not looked for where its second is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Their column for each of ours that was found, and theirs that nothing was found for."""

    theirs: Mapping[str, str]
    unread: tuple[str, ...]
    given: frozenset[str]


def find(columns: Sequence[str], *, given: Mapping[str, Sequence[str]], named: Iterable[str], where: str) -> Found:
    """Which of their columns stands for which of ours: as `given` (theirs → ours), else by its name.

    `named` are those of theirs whose cells can be read as instrument names, since "symbol" and "ticker" say either.

    >>> find(["time", "iv"], given={}, named=(), where="a.csv").theirs
    {'snapshot_ts_utc': 'time', 'mark_iv': 'iv'}
    """
    found = _given(columns, given, where=where)
    taken, instruments = set(given), set(named)
    for concept, words in WORDS.items():
        if concept in found or any(found.get(one) for one in (SPARES.get(concept),) if one):
            continue
        candidates = [
            column
            for word in words
            for column in columns
            if plain(column) == word and column not in taken and _suits(concept, column, instruments)
        ]
        if candidates:
            found[concept] = candidates[0]
            taken.add(candidates[0])
    order = {concept: found[concept] for concept in WORDS if concept in found}
    return Found(
        theirs=order,
        unread=tuple(column for column in columns if column not in set(order.values())),
        given=frozenset(ours for many in given.values() for ours in many),
    )


def aid(columns: Sequence[str], concept: str) -> str | None:
    """Their column for one of `AIDS`; None where there is none.

    >>> aid(["strike", "Delta_BS"], "delta")
    'Delta_BS'
    """
    words = AIDS[concept]
    return next((one for word in words for one in columns if plain(one) == word), None)


def plain(name: str) -> str:
    """A name in lower case, letters and digits only."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def pairs(texts: Sequence[str]) -> dict[str, list[str]]:
    """`yours=ours` texts as theirs → ours; a column of yours may stand for two of ours.

    >>> pairs(["spot=forward_price_usd", "spot=index_price_usd"])
    {'spot': ['forward_price_usd', 'index_price_usd']}
    """
    made: dict[str, list[str]] = {}
    for text in texts:
        theirs, sign, ours = (part.strip() for part in text.rpartition("="))
        if not (sign and theirs and ours):
            raise DataError(f'--map "{text}": write it as yours=ours, like time=snapshot_ts_utc.')
        made.setdefault(theirs, []).append(ours)
    return made


def _given(columns: Sequence[str], given: Mapping[str, Sequence[str]], *, where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for theirs, many in given.items():
        if theirs not in columns:
            raise DataError(f'{where} has no column "{theirs}"; {nearest(theirs, columns)}')
        for ours in many:
            if ours not in WORDS:
                raise DataError(f'--map {theirs}={ours}: "{ours}" is none of our columns; {nearest(ours, WORDS)}')
            if ours in found:
                raise DataError(f"--map: both {found[ours]} and {theirs} are to be {ours}; give one of them.")
            found[ours] = theirs
    return found


def _suits(concept: str, column: str, instruments: set[str]) -> bool:
    if concept == "instrument_name":
        return column in instruments
    return concept != "underlying" or column not in instruments
