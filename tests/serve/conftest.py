"""A simulated market with a past, a book on it, a fitted predictor, and the application around them."""

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from fastapi import FastAPI

from greekdrift.book import Account, Band, Chain, Kind, Mandate, Position
from greekdrift.config import load_rules, load_venue
from greekdrift.features.panel import Panel, build
from greekdrift.forecast.forecaster import Predictor
from greekdrift.forecast.historical import Historical
from greekdrift.market.simulate import SimulatedSource
from greekdrift.serve.app import application
from greekdrift.serve.engine import Engine
from greekdrift.serve.running import background


@dataclass(frozen=True)
class Market:
    chain: Chain
    earlier: Chain
    panel: Panel
    predictor: Predictor
    accounts: tuple[Account, ...]


def mandate(lower: float, upper: float) -> Mandate:
    return Mandate(
        rule_set="derive_pm2",
        bands=(Band(greek="delta", underlying="BTC", lower=lower, upper=upper),),
        liquidity_buffer_usd=1_000.0,
        venues=("deribit",),
        max_order_notional_usd=5e6,
        max_cost_usd=20_000.0,
        hedge_kinds=(Kind.PERPETUAL,),
    )


@pytest.fixture(scope="session")
def market() -> Market:
    source = SimulatedSource(venue=load_venue("deribit"), seed=3, underlyings=("BTC",), days=10.0)
    panel = build(source)
    chain, earlier = source.chain(source.snapshots()[-1]), source.chain(source.snapshots()[-2])
    expiries = sorted({one.expiry for one in chain.instruments if one.is_option})
    strike = min(
        (one for one in chain.instruments if one.is_option and one.is_call and one.expiry == expiries[-1]),
        key=lambda one: abs((one.strike or 0.0) - chain.index_price["BTC"]),
    )
    short = Position.of(strike.name, -20.0)
    accounts = (
        Account(account_id="hedged", collateral={"BTC": 20.0}, positions=(short,), mandate=mandate(-1.0, 1.0)),
        Account(account_id="idle", collateral={"BTC": 20.0}, positions=(short,), mandate=mandate(-60.0, 60.0)),
        Account(account_id="silent", collateral={"BTC": 20.0}, positions=(short,)),
    )
    return Market(chain, earlier, panel, Historical().fit(panel.until(chain.known_at)), accounts)


def engine_of(market: Market, **changed: object) -> Engine:
    values: dict[str, object] = {
        "accounts": market.accounts,
        "rules": load_rules("derive_pm2"),
        "venue": load_venue("deribit"),
        "horizons": (6.0, 24.0),
        "scenarios": 64,
        "seed": 1,
        "now": lambda chain: chain.known_at,
        "predictor": market.predictor,
        "history": market.panel,
    }
    return Engine(**{**values, **changed})  # type: ignore[arg-type]


@pytest.fixture
def engine(market: Market) -> Engine:
    return engine_of(market)


@pytest.fixture
def app(engine: Engine) -> FastAPI:
    return application(engine)


@pytest.fixture
def web(app: FastAPI) -> Iterator[httpx.Client]:
    with background(app) as address, httpx.Client(base_url=address, trust_env=False, timeout=60.0) as client:
        yield client
