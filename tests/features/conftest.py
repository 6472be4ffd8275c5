from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pytest

from greekdrift.book import Chain
from greekdrift.book.instrument import Instrument, deribit_name, generic_name, parse
from greekdrift.greeks import compute
from greekdrift.units import instant, years_between

START = instant("2026-03-02T10:00Z")
EXPIRIES = tuple(instant(f"2026-{day}T08:00Z") for day in ("03-03", "03-05", "03-13", "03-27", "05-01", "08-28"))
STRIKES = tuple(float(strike) for strike in range(50, 156, 5))

ChainOf = Callable[..., Chain]


@pytest.fixture
def chain_of() -> ChainOf:
    """Makes a small listed chain: one smile for all expiries, coin-settled (BTC) or in USD (AAPL)."""
    return _chain


def _chain(
    *,
    hours: float = 0.0,
    index: float = 100.0,
    level: float = 0.6,
    underlying: str = "BTC",
    is_inverse: bool = True,
    expiries: tuple[datetime, ...] = EXPIRIES,
    strikes: tuple[float, ...] = STRIKES,
    hedge: str | None = "perpetual",
    drop: tuple[str, ...] = (),
    carry: float = 0.0,
) -> Chain:
    as_of = START + timedelta(hours=hours)
    name_of = deribit_name if is_inverse else generic_name
    alive = [expiry for expiry in expiries if expiry > as_of]
    names = [
        name_of(underlying, expiry, strike, is_call=is_call)
        for expiry in alive
        for strike in strikes
        for is_call in (True, False)
    ]
    if hedge is not None:
        names.append(f"{underlying}-PERPETUAL" if is_inverse else f"{underlying}.USD-{hedge.upper()}")
    instruments = [parse(name) for name in names if name not in drop]
    return _priced(instruments, as_of=as_of, index=index, level=level, carry=carry)


def _priced(instruments: list[Instrument], *, as_of: datetime, index: float, level: float, carry: float) -> Chain:
    is_option = np.array([row.is_option for row in instruments])
    is_inverse = np.array([row.is_inverse for row in instruments])
    years = np.array([years_between(as_of, row.expiry) if row.expiry else 0.0 for row in instruments])
    forward = index * np.exp(carry * years)
    strike = np.array([row.strike or index for row in instruments])
    moneyness = np.log(strike / forward)
    iv = level + 0.3 * moneyness**2 - 0.1 * moneyness
    price = compute(
        ["price"],
        forward=forward,
        strike=strike,
        volatility=iv,
        time_to_expiry=np.where(is_option, years, 1.0),
        is_call=np.array([bool(row.is_call) for row in instruments]),
    )["price"]
    mark = np.where(is_option, np.where(is_inverse, price / forward, price), forward)
    blank = np.full(len(instruments), np.nan)
    return Chain(
        venue="test",
        as_of=as_of,
        known_at=as_of + timedelta(minutes=5),
        instruments=tuple(instruments),
        contract_size=np.where(is_inverse & ~is_option, 10.0, 1.0),
        forward=forward,
        bid=mark * 0.99,
        ask=mark * 1.01,
        mark=mark,
        mark_iv=np.where(is_option, iv, np.nan),
        open_interest=blank,
        volume_24h=blank,
        index_price={instruments[0].underlying: index},
        origin="simulated",
    )
