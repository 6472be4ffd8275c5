"""Bands given on the command line: "BTC delta -2..2", "maker: BTC vega 0-30d -2000..2000 venue"."""

import re
from collections.abc import Sequence
from dataclasses import replace

from greekdrift.book import Account, Band, Mandate, View
from greekdrift.errors import BookError, nearest
from greekdrift.units import VENUE_FACTOR

EXAMPLE = '"BTC delta -2..2" or "maker: BTC vega 0-30d -2000..2000 venue"'
_BAND = re.compile(
    r"(?:(?P<account>[^:]+):)?\s*(?P<underlying>\S+)\s+(?P<greek>[a-z]+)(?:\s+\((?P<view>\w+)\))?"
    r"(?:\s+(?P<start>\d+(?:\.\d+)?)-(?P<end>\d+(?:\.\d+)?)d)?"
    r"\s+(?P<lower>[-+]?[\d.]+(?:e[-+]?\d+)?)\s*\.\.\s*(?P<upper>[-+]?[\d.]+(?:e[-+]?\d+)?)(?:\s+(?P<unit>\w+))?"
)
UNITS = ("internal", "venue")


def parse(text: str) -> tuple[str | None, Band]:
    """The account that a band is of (None: every one) and the band: the label of a band, then its two limits.

    Units as in a book file: internal (vega per 1.00, theta per year), or the venue's with the word at the end.

    >>> parse("maker: BTC vega 0-30d -2000..2000 venue")[1].upper
    200000.0
    >>> parse("BTC delta (collateral) 10..30")[1].label
    'BTC delta (collateral)'
    """
    found = _BAND.fullmatch(text.strip())
    if found is None:
        raise BookError(f'--band "{text}": write underlying, Greek and two limits, like {EXAMPLE}.')
    try:
        lower, upper = float(found["lower"]), float(found["upper"])
    except ValueError:
        raise BookError(f'--band "{text}": the limits are no numbers; write them like {EXAMPLE}.') from None
    unit = found["unit"] or "internal"
    if unit not in UNITS:
        raise BookError(f'--band "{text}": "{unit}" is no unit; {nearest(unit, UNITS)}')
    view = found["view"] or "net"
    if view not in tuple(View):
        raise BookError(f'--band "{text}": "{view}" is no view of delta; {nearest(view, tuple(View))}')
    factor = VENUE_FACTOR.get(found["greek"], 1.0) if unit == "venue" else 1.0
    tenor = None if found["start"] is None else (float(found["start"]), float(found["end"]))
    band = Band(
        greek=found["greek"],
        underlying=found["underlying"],
        lower=lower / factor,
        upper=upper / factor,
        view=View(view),
        tenor_days=tenor,
    )
    return (found["account"] or "").strip() or None, band


def with_bands(accounts: Sequence[Account], given: Sequence[tuple[str | None, Band]]) -> tuple[Account, ...]:
    """The accounts with further bands to forecast, as `parse` gives them, each in place of one of its label.

    An account without a mandate gets one that lets nothing be done and gamma count in full to the end.
    """
    names = [account.account_id for account in accounts]
    for name, _ in given:
        if name is not None and name not in names:
            raise BookError(f'--band: no account "{name}" in the book; {nearest(name, names)}')
    return tuple(
        _with(account, [band for name, band in given if name in (None, account.account_id)]) for account in accounts
    )


def _with(account: Account, bands: Sequence[Band]) -> Account:
    if not bands:
        return account
    mandate = account.mandate or Mandate(
        rule_set="none",
        bands=(),
        liquidity_buffer_usd=0.0,
        venues=(),
        max_order_notional_usd=0.0,
        max_cost_usd=0.0,
        gamma_fade_days=0.0,
    )
    by_label = {band.label: band for band in (*mandate.bands, *bands)}
    return replace(account, mandate=replace(mandate, bands=tuple(by_label.values())))
