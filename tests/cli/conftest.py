"""A small priced chain and a book of it on disk, and the program run as a function."""

from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from greekdrift.book import Chain
from greekdrift.book.instrument import deribit_name, parse
from greekdrift.cli import main
from greekdrift.greeks import compute
from greekdrift.market.parquet import write_chain

AS_OF = datetime(2026, 2, 5, 8, tzinfo=UTC)
EXPIRIES = (datetime(2026, 2, 20, 8, tzinfo=UTC), datetime(2026, 3, 27, 8, tzinfo=UTC))
STRIKES = (55_000.0, 60_000.0, 65_000.0, 70_000.0, 75_000.0, 80_000.0, 85_000.0)
INDEX = 70_000.0

BOOK = """
accounts:
  - account_id: maker
    collateral: {BTC: 3, USDC: 50000}
    positions: {BTC-27MAR26-70000-C: -5, BTC-27MAR26-70000-P: -5, BTC-PERPETUAL: 20000}
    mandate:
      rule_set: derive_pm2
      venues: [deribit]
      bands:
        - {greek: delta, underlying: BTC, lower: -1, upper: 1, view: net}
        - {greek: vega, underlying: BTC, lower: -200000, upper: 200000}
      liquidity_buffer_usd: 1000
      max_order_notional_usd: 1000000
      max_cost_usd: 5000
  - account_id: silent
    collateral: {BTC: 1}
    positions: {BTC-27MAR26-80000-C: -1}
"""


def small_chain(as_of: datetime = AS_OF, level: float = 0.6, index: float = INDEX) -> Chain:
    """Two expiries of seven strikes, calls and puts, at one smile, and the perpetual."""
    names = [deribit_name("BTC", e, k, is_call=c) for e in EXPIRIES for k in STRIKES for c in (True, False)]
    options = [parse(name) for name in names]
    strike = np.array([option.strike for option in options], dtype=float)
    years = np.array([(option.expiry - as_of).total_seconds() / 31_536_000.0 for option in options if option.expiry])
    moneyness = np.log(strike / index)
    volatility = level + 0.3 * moneyness**2 / np.sqrt(years) - 0.1 * moneyness
    is_call = np.array([bool(option.is_call) for option in options])
    given = {"forward": index, "strike": strike, "time_to_expiry": years, "is_call": is_call}
    mark = compute(["price"], volatility=volatility, **given)["price"] / index
    return Chain(
        venue="deribit",
        as_of=as_of,
        known_at=as_of,
        instruments=(*options, parse("BTC-PERPETUAL")),
        contract_size=np.r_[np.ones(len(options)), 10.0],
        forward=np.full(len(options) + 1, index),
        bid=np.r_[np.floor(mark * 0.98 * 1e4) / 1e4, index - 5.0],
        ask=np.r_[np.ceil(mark * 1.02 * 1e4) / 1e4, index + 5.0],
        mark=np.r_[mark, index],
        mark_iv=np.r_[volatility, np.nan],
        open_interest=np.full(len(options) + 1, 1_000.0),
        volume_24h=np.full(len(options) + 1, 1_000.0),
        index_price={"BTC": index},
        origin="simulated",
    )


@pytest.fixture(scope="session")
def chain_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chain(small_chain(), tmp_path_factory.mktemp("chain") / "chain.parquet")


@pytest.fixture(scope="session")
def later_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same contracts a day later: the index 3 % up, volatility a tenth up; as CSV."""
    later = small_chain(AS_OF + timedelta(hours=24.0), level=0.66, index=1.03 * INDEX)
    return write_chain(later, tmp_path_factory.mktemp("later") / "later.csv")


@pytest.fixture(scope="session")
def chains_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three snapshots in one file, a day apart in all."""
    chains = [
        small_chain(AS_OF + timedelta(hours=hours), level=0.6 + 0.0025 * hours, index=INDEX * (1.0 + 0.00125 * hours))
        for hours in (0.0, 12.0, 24.0)
    ]
    return write_chain(chains, tmp_path_factory.mktemp("chains") / "chains.parquet")


@pytest.fixture(scope="session")
def book_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("book") / "book.yaml"
    path.write_text(BOOK)
    return path


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def run() -> Callable[..., Ran]:
    """The program as a function of its arguments; what it prints is kept."""

    def program(*arguments: object) -> Ran:
        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        return Ran(int(exit_.value.code or 0), out.getvalue(), err.getvalue())

    return program
