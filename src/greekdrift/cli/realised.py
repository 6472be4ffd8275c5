"""What then happened: values of the bands and the P&L at the horizons, where the source reaches that far."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from greekdrift.book import Account, Chain
from greekdrift.errors import GreekdriftError
from greekdrift.features.target import realised_drift
from greekdrift.greeks.bands import band_values
from greekdrift.greeks.inverse import linear_pnl
from greekdrift.market.source import Source
from greekdrift.units import to_venue

TOLERANCE = timedelta(hours=1.5)


def realised(
    source: Source, chain: Chain, accounts: Sequence[Account], horizons: Sequence[float]
) -> dict[str, dict[str, list[float | None]]]:
    """By account and quantity, one value a horizon, venue units; None where no snapshot or no quote is there.

    Shown beside a forecast only: nothing that decides may see it.
    """
    later = [_later(source, chain, hours) for hours in horizons]
    return {account.account_id: _of(chain, later, account) for account in accounts}


def _later(source: Source, chain: Chain, hours: float) -> Chain | None:
    """The snapshot a horizon later: so many sessions on, or the nearest to the hour."""
    moments = source.snapshots()
    if source.clock == "sessions":
        at = moments.index(chain.as_of) + round(hours / source.step_hours)
        return source.chain(moments[at]) if at < len(moments) else None
    wanted = chain.as_of + timedelta(hours=hours)
    best = min(moments, key=lambda moment: abs(moment - wanted))
    return source.chain(best) if abs(best - wanted) <= TOLERANCE and best > chain.as_of else None


def _of(chain: Chain, later: Sequence[Chain | None], account: Account) -> dict[str, list[float | None]]:
    found: dict[str, list[float | None]] = {}
    bands = {band.label: band for band in account.mandate.bands} if account.mandate else {}
    for at, one in enumerate(later):
        for name, value in _values(chain, one, account).items():
            factor = float(to_venue(bands[name].greek, 1.0)) if name in bands else 1.0
            found.setdefault(name, [None] * len(later))[at] = factor * value
    return found


def _paid(chain: Chain, later: Chain, account: Account) -> Account:
    """The account with the coins that its inverse futures and perpetuals have paid on the way."""
    collateral = dict(account.collateral)
    for position in account.positions:
        instrument = position.instrument
        if instrument.is_inverse and not instrument.is_option:
            (now,), (then,) = chain.rows([instrument.name]), later.rows([instrument.name])
            _, coins = linear_pnl(
                position.quantity * chain.contract_size[now],
                forwards=(chain.forward[now], later.forward[then]),
                indices=(chain.index[now], later.index[then]),
                is_inverse=True,
            )
            collateral[instrument.currency] = collateral.get(instrument.currency, 0.0) + float(coins)
    return replace(account, collateral=collateral)


def _values(chain: Chain, later: Chain | None, account: Account) -> dict[str, float]:
    if later is None:
        return {}
    try:
        pnl = float(realised_drift(chain, later, [account], ("pnl_usd",))["pnl_usd"][0])
        banded = band_values(later, _paid(chain, later, account)) if account.mandate else {}
    except GreekdriftError:
        return {}
    return {name: value for name, value in {**banded, "pnl_usd": pnl}.items() if value == value}  # noqa: PLR0124
