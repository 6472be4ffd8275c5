"""The collateral delta under scenarios is that of the moved chain, for books of every kind of contract."""

from dataclasses import replace

import numpy as np
import pytest

from greekdrift.book import Account, Chain, Position, Scenarios
from greekdrift.greeks.exposure import coin_equity, deltas
from greekdrift.surface import FACTORS, Surface, scenario
from greekdrift.surface.collateral import NEEDED, collateral_cube, collateral_now
from greekdrift.surface.revalue import revalue

HELD = ("BTC-PERPETUAL", "ETH-PERPETUAL", "BTC_USDC-PERPETUAL", "BTC-26JUN26", "BTC-6FEB26", "ETH_USDC")


@pytest.fixture(scope="module")
def account(chain: Chain) -> Account:
    random = np.random.default_rng(11)
    options = random.choice(np.flatnonzero(chain.is_option), size=24, replace=False)
    rows = [*options, *chain.rows(HELD)]
    size = 3.0 * np.array([chain.contract_size[row] if not chain.is_option[row] else 1.0 for row in rows])
    positions = tuple(
        Position(instrument=chain.instruments[row], quantity=float(quantity))
        for row, quantity in zip(rows, random.normal(scale=size), strict=True)
    )
    return Account(account_id="a", collateral={"BTC": 2.0, "ETH": -5.0, "USDC": 1e4}, positions=positions)


def scenarios_of(chain: Chain, horizons: tuple[float, ...], seed: int = 0) -> Scenarios:
    random = np.random.default_rng(seed)
    increments = random.normal(size=(6, len(horizons), 2, len(FACTORS))) * 0.02
    return Scenarios(
        underlyings=("BTC", "ETH"), factors=FACTORS, horizons=np.array(horizons), increments=increments,
        weights=np.full(6, 1 / 6), as_of=chain.as_of, known_at=chain.known_at, provenance="test",
    )  # fmt: skip


@pytest.mark.parametrize("hours", [6.0, 15.75])
def test_of_a_book_in_every_scenario(chain: Chain, surface: Surface, account: Account, hours: float) -> None:
    """A quarter of an hour before the first expiry half of its settlement average is fixed."""
    chain = replace(chain, settlement_average_minutes=30.0)
    rows = chain.rows(account.quantities())
    contracts = np.array(list(account.quantities().values()))
    scenarios = scenarios_of(chain, (hours,))
    found = revalue(chain, surface, scenarios, rows=np.sort(rows), names=NEEDED)
    contracts = contracts[np.argsort(rows)]
    cube = collateral_cube(chain, found)
    for s in range(6):
        moved = scenario.move(chain, surface, scenarios.increments[s, 0], hours, ("BTC", "ETH"))
        linear = [row for row in rows if chain.is_inverse[row] and not chain.is_option[row]]
        paid = {"BTC": 0.0, "ETH": 0.0}
        for row in linear:
            size = account.quantities()[chain.instruments[row].name] * chain.contract_size[row]
            later = moved.forward[moved.row_of[chain.instruments[row].name]]
            paid[str(chain.underlying[row])] += size * (1.0 / chain.forward[row] - 1.0 / later)
        richer = {name: amount + paid.get(name, 0.0) for name, amount in account.collateral.items()}
        three = deltas(moved, (replace(account, collateral=richer),))
        for at, name in enumerate(three.underlyings):
            mine = contracts * (chain.underlying[found.rows] == name)
            own = coin_equity(chain, account)[name] + float(cube[s, 0] @ mine)
            assert own == pytest.approx(three.collateral[0, at], rel=1e-9), (s, name)


def test_now_is_what_the_exposure_says(chain: Chain, surface: Surface, account: Account) -> None:
    rows = np.sort(chain.rows(account.quantities()))
    found = revalue(chain, surface, scenarios_of(chain, (1.0,)), rows=rows, names=NEEDED)
    three, now = deltas(chain, (account,)), collateral_now(chain, found)
    contracts = np.array([account.quantities()[chain.instruments[row].name] for row in rows])
    for at, name in enumerate(three.underlyings):
        own = coin_equity(chain, account)[name] + float(now @ (contracts * (chain.underlying[rows] == name)))
        assert own == pytest.approx(three.collateral[0, at], rel=1e-12)
