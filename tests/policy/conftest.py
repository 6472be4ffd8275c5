"""Hand-made markets for the policy: a BTC and ETH chain with a smile, quotes and volumes, and accounts on it."""

from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest

from greekdrift import greeks, policy
from greekdrift.book import Account, Band, Chain, Kind, Mandate, Position, Scenarios, View
from greekdrift.book.instrument import deribit_name, parse
from greekdrift.config import load_rules, load_venue
from greekdrift.policy.breach import quantities
from greekdrift.surface import fit
from greekdrift.surface.revalue import revalue
from greekdrift.surface.state import FACTORS, LEVEL

AS_OF = datetime(2026, 3, 2, 10, tzinfo=UTC)
EXPIRIES = tuple(datetime(2026, *day, 8, tzinfo=UTC) for day in ((3, 6), (3, 13), (3, 27), (4, 24), (6, 26), (9, 25)))
PRICE = {"BTC": 70_000.0, "ETH": 2_500.0}
STEP = {"BTC": 5_000.0, "ETH": 200.0}


def smile(moneyness, years):
    """A smile with a skew, flatter with time."""
    return 0.55 - 0.08 * moneyness / np.sqrt(years + 0.02) + 0.15 * moneyness**2 / (years + 0.05)


def made_chain(*, as_of=AS_OF, price=None, level=0.0, underlyings=("BTC", "ETH"), quoted=True):
    """Options on every expiry at eleven strikes with ticks of 0.0005 between bid and ask, and a perpetual."""
    price = PRICE | (price or {})
    rows = []
    for coin in underlyings:
        for expiry in EXPIRIES:
            years = (expiry - as_of).total_seconds() / (365 * 86400)
            forward = price[coin] * (1.0 + 0.03 * years)
            for step in range(-5, 6):
                strike = round(PRICE[coin] / STEP[coin]) * STEP[coin] + step * STEP[coin]
                volatility = float(np.clip(smile(np.log(strike / forward), years) + level, 0.2, 3.0))
                for is_call in (True, False):
                    found = greeks.compute(
                        ("price",),
                        forward=np.array([forward]),
                        strike=np.array([strike]),
                        volatility=np.array([volatility]),
                        time_to_expiry=np.array([years]),
                        is_call=np.array([is_call]),
                    )
                    mark = float(found["price"][0] / forward)
                    name = deribit_name(coin, expiry, strike, is_call=is_call)
                    bid, ask = np.floor(mark / 0.0005 - 0.5) * 0.0005, np.ceil(mark / 0.0005 + 0.5) * 0.0005
                    bid = round(bid, 4) if bid > 0 else np.nan
                    rows.append((name, 1.0, forward, bid, round(ask, 4), mark, volatility, 200.0, 120.0))
        size = 10.0 if coin == "BTC" else 1.0
        tick = 0.5 if coin == "BTC" else 0.05
        half = max(round(price[coin] * 1e-4 / tick), 1) * tick
        rows.append(
            (
                f"{coin}-PERPETUAL",
                size,
                price[coin],
                price[coin] - half,
                price[coin] + half,
                price[coin],
                np.nan,
                np.nan,
                np.nan,
            )
        )
    columns = np.array([row[1:] for row in rows], dtype=float).T
    bid, ask = (columns[2], columns[3]) if quoted else (np.full(len(rows), np.nan),) * 2
    return Chain(
        venue="deribit",
        as_of=as_of,
        known_at=as_of,
        instruments=tuple(parse(row[0]) for row in rows),
        contract_size=columns[0],
        forward=columns[1],
        bid=bid,
        ask=ask,
        mark=columns[4],
        mark_iv=columns[5],
        open_interest=columns[6],
        volume_24h=columns[7],
        index_price={coin: price[coin] for coin in underlyings},
        origin="modelled",
    )


def made_mandate(**changes):
    """Bands on delta, gamma and vega in three tenors of BTC."""
    plain = {
        "rule_set": "derive_pm2",
        "bands": (
            Band(greek="delta", underlying="BTC", lower=-1.0, upper=1.0, view=View.NET),
            Band(greek="gamma", underlying="BTC", lower=-2e-4, upper=2e-4),
            Band(greek="vega", underlying="BTC", lower=-20_000.0, upper=20_000.0, tenor_days=(0.0, 30.0)),
            Band(greek="vega", underlying="BTC", lower=-30_000.0, upper=30_000.0, tenor_days=(30.0, 90.0)),
            Band(greek="vega", underlying="BTC", lower=-40_000.0, upper=40_000.0, tenor_days=(90.0, 1000.0)),
        ),
        "liquidity_buffer_usd": 10_000.0,
        "venues": ("deribit",),
        "max_order_notional_usd": 5e6,
        "max_cost_usd": 50_000.0,
        "hedge_kinds": (Kind.PERPETUAL, Kind.OPTION),
    }
    return Mandate(**(plain | changes))


def made_account(positions, *, account_id="desk", collateral=None, **mandate):
    """An account of named positions with 40 BTC of collateral and the usual mandate."""
    return Account(
        account_id=account_id,
        collateral=collateral or {"BTC": 40.0, "USDC": 500_000.0},
        positions=tuple(Position.of(name, quantity) for name, quantity in positions.items()),
        mandate=made_mandate(**mandate),
    )


SHORT_STRADDLES = {
    "BTC-27MAR26-70000-C": -12.0,
    "BTC-27MAR26-70000-P": -12.0,
    "BTC-24APR26-75000-C": -8.0,
    "BTC-26JUN26-60000-P": 6.0,
    "BTC-PERPETUAL": 21_000.0,
}


@pytest.fixture(scope="session")
def made():
    """The makers of this page."""
    return SimpleNamespace(
        chain=made_chain, mandate=made_mandate, account=made_account, straddles=SHORT_STRADDLES, as_of=AS_OF
    )


@pytest.fixture(scope="session")
def chain():
    return made_chain()


@pytest.fixture(scope="session")
def venue():
    return load_venue("deribit")


@pytest.fixture(scope="session")
def rules():
    return load_rules("derive_pm2")


@pytest.fixture
def desk():
    """Short straddles with a gamma and vega far outside their bands."""
    return made_account(SHORT_STRADDLES)


@pytest.fixture(scope="session")
def case_of(chain, rules, venue):
    """The case of an account on the made chain."""

    def build(account, *, on=chain, **options):
        return policy.case(on, account, rules=rules, venue=venue, now=AS_OF, **options)

    return build


@pytest.fixture(scope="session")
def outlook(chain):
    """A revaluation of some rows under diffusive scenarios with a leverage effect."""
    surface = fit.fit(chain)

    def build(case, *, n=200, horizons=(6.0, 12.0, 24.0), volatility=0.55, seed=0):
        draw = np.random.default_rng(seed)
        steps = np.sqrt(np.diff((0.0, *horizons)) / 8760.0)[None, :, None]
        shape = (n, len(horizons), 2)
        spot, other = (np.cumsum(draw.normal(size=shape) * steps, axis=1) for _ in range(2))
        increments = np.zeros((*shape, len(FACTORS)))
        increments[..., 0] = volatility * spot
        increments[..., LEVEL] = (0.8 * other - 0.3 * spot)[..., None]
        scenarios = Scenarios(
            underlyings=("BTC", "ETH"),
            factors=FACTORS,
            horizons=np.array(horizons),
            increments=increments,
            weights=np.full(n, 1.0 / n),
            as_of=chain.as_of,
            known_at=chain.as_of,
            provenance="diffusion",
        )
        return revalue(chain, surface, scenarios, rows=case.universe.rows, names=quantities(case.mandate))

    return build
