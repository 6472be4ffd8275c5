"""Parts of realised drift: they add up, each cause lands where it belongs, and what is not known is named."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greekdrift.book import Account, Chain, Position
from greekdrift.errors import InputError
from greekdrift.features.target import DRIFTS, realised_drift
from greekdrift.greeks.exposure import exposure
from greekdrift.surface import FACTORS, Surface
from greekdrift.surface.attribution import BOOK, NAMES, PARTS, USD, Attribution, attribute
from greekdrift.surface.fit import fit
from greekdrift.surface.scenario import move
from greekdrift.surface.state import CURVATURE, FORWARD, LEVEL, SKEW

UNDERLYINGS = ("BTC", "ETH")
NEXT_DAY = datetime(2026, 2, 6, 8, tzinfo=UTC)
SPOT, RESIDUAL = PARTS.index("spot"), PARTS.index("residual")


def _account(name: str, collateral: dict[str, float], **positions: float) -> Account:
    held = tuple(Position.of(instrument.replace("__", "-"), number) for instrument, number in positions.items())
    return Account(account_id=name, collateral=collateral, positions=held)


def _held(chain: Chain, underlying: str, days: float, side: str) -> str:
    """Name of the listed option nearest to the money and to a tenor."""
    own = chain.is_option & (chain.underlying == underlying) & (chain.is_call == (side == "C"))
    rows = np.flatnonzero(own)
    far = np.abs(chain.time_to_expiry[rows] * 365.0 - days) + np.abs(np.log(chain.strike[rows] / chain.forward[rows]))
    return chain.instruments[rows[np.argmin(far)]].name


@pytest.fixture(scope="module")
def books(chain: Chain) -> tuple[Account, ...]:
    near, week, month = (_held(chain, "BTC", days, side) for days, side in ((0.7, "C"), (7.7, "P"), (28.7, "C")))
    return (
        _account(
            "maker",
            {"BTC": 3.0, "USDC": 1e5},
            **{near: -2.0, week: -5.0, month: 4.0, _held(chain, "ETH", 63.7, "P"): 10.0, "BTC-PERPETUAL": 2_000.0},
        ),
        _account(
            "linear",
            {"USDC": 1e5, "ETH": 2.0},
            **{"BTC_USDC-PERPETUAL": 1.5, "BTC-26JUN26": -900.0, "BTC-6FEB26": 70.0, "ETH_USDC": 3.0},
        ),
        _account("flat", {"USDC": 1.0}),
    )


def _moved(chain: Chain, surface: Surface, increments: np.ndarray, hours: float) -> Chain:
    return move(chain, surface, increments, hours, UNDERLYINGS)


def _same_smiles(surface: Surface, later: Chain) -> Surface:
    """The slices that are still alive, each with its own smile in log-moneyness and the time that is left."""
    slices = []
    for one in surface.slices:
        left = (one.expiry - later.as_of).total_seconds() / (365.0 * 86_400.0)
        if left > 0.0:
            p, share = one.parameters, left / one.time_to_expiry
            slices.append(replace(one, time_to_expiry=left, parameters=replace(p, a=p.a * share, b=p.b * share)))
    return Surface(as_of=later.as_of, slices=tuple(slices))


def _increments(**values: float) -> np.ndarray:
    found = np.zeros((len(UNDERLYINGS), len(FACTORS)))
    for name, part in {"spot": FORWARD, "level": LEVEL, "skew": SKEW, "curvature": CURVATURE}.items():
        found[:, part] = values.get(name, 0.0)
    return found


def _scale(found: Attribution, name: str) -> np.ndarray:
    return np.maximum(1.0, np.abs(found.parts[name]).max(axis=0))


def test_a_chain_against_itself_explains_nothing(chain: Chain, surface: Surface, books: tuple[Account, ...]) -> None:
    found = attribute(chain, chain, books, surface=surface, later_surface=surface, names=NAMES)
    assert found.hours == 0.0
    assert not found.unknown
    for name, parts in found.parts.items():
        least = 70_000.0 if name in USD else 1.0
        np.testing.assert_allclose(parts / np.maximum(least, np.abs(found.now[name])), 0.0, atol=1e-13, err_msg=name)


@settings(max_examples=8)
@given(
    spot=st.floats(-0.3, 0.3),
    level=st.floats(-0.3, 0.4),
    skew=st.floats(-0.05, 0.05),
    curvature=st.floats(-0.02, 0.05),
    hours=st.floats(0.0, 200.0),
)
def test_parts_sum_to_what_two_chains_say(
    chain: Chain, surface: Surface, books: tuple[Account, ...], spot: float, level: float, skew: float,
    curvature: float, hours: float,
) -> None:  # fmt: skip
    later = _moved(
        chain, surface, _increments(spot=spot, level=level, skew=skew, curvature=curvature), max(hours, 0.01)
    )
    found = attribute(chain, later, books, surface=surface, later_surface=fit(later))
    assert not found.unknown
    for name in BOOK:
        for by in ("underlying", "expiry", "instrument"):
            for one in found.of(name, by=by):
                assert one.parts.sum() == pytest.approx(one.realised, rel=1e-12, abs=1e-9)
    drift = realised_drift(chain, later, books)
    for name in DRIFTS:
        if name == "pnl_usd" and hours >= 16.0:
            continue
        for at, account in enumerate(books):
            total = sum(one.realised for one in found.of(name) if one.account_id == account.account_id)
            assert total == pytest.approx(drift[name][at], rel=1e-10, abs=1e-9 * max(1.0, abs(drift[name][at])))


def test_a_pure_move_of_spot_is_spot(chain: Chain, surface: Surface, books: tuple[Account, ...]) -> None:
    later = _moved(chain, surface, _increments(spot=0.07), 1e-9)
    found = attribute(chain, later, books, surface=surface, later_surface=_same_smiles(surface, later), names=NAMES)
    for name, parts in found.parts.items():
        others = np.delete(parts, SPOT, axis=0) / _scale(found, name)
        np.testing.assert_allclose(others, 0.0, atol=1e-7, err_msg=name)
        assert np.all(parts[PARTS.index("cross")] / _scale(found, name) < 1e-9)
    assert np.any(found.parts["pnl_usd"][SPOT] != 0.0)


@pytest.mark.parametrize("hours", [5.0, 30.0])
def test_time_alone_is_clock(chain: Chain, surface: Surface, books: tuple[Account, ...], hours: float) -> None:
    later = _moved(chain, surface, _increments(), hours)
    found = attribute(chain, later, books, surface=surface, later_surface=_same_smiles(surface, later), names=NAMES)
    for name, parts in found.parts.items():
        rest = parts[1:] / _scale(found, name)
        settles = np.array([line.expiry == NEXT_DAY and hours > 16.0 for line in found.lines])
        np.testing.assert_allclose(rest[:, ~settles], 0.0, atol=1e-9, err_msg=name)
        np.testing.assert_allclose(rest[:-1, settles], 0.0, atol=1e-9, err_msg=name)
    for increments in found.increments.values():
        np.testing.assert_allclose(increments, 0.0, atol=1e-12)


def test_a_pure_move_of_level_is_level(chain: Chain, surface: Surface, books: tuple[Account, ...]) -> None:
    later = _moved(chain, surface, _increments(level=0.1), 1e-9)
    stretch = np.exp(0.1)
    slices = []
    for one in surface.slices:
        p = one.parameters
        scaled = replace(p, a=p.a * stretch**2, b=p.b * stretch, m=p.m * stretch, s=p.s * stretch)
        slices.append(replace(one, parameters=scaled, atm_volatility=one.atm_volatility * stretch))
    later_surface = Surface(as_of=later.as_of, slices=tuple(slices))
    found = attribute(chain, later, books, surface=surface, later_surface=later_surface)
    for name, parts in found.parts.items():
        others = np.delete(parts, PARTS.index("level"), axis=0) / _scale(found, name)
        np.testing.assert_allclose(others, 0.0, atol=1e-7, err_msg=name)


def test_linear_books_know_no_volatility(chain: Chain, surface: Surface, books: tuple[Account, ...]) -> None:
    later = _moved(chain, surface, _increments(spot=-0.05, level=0.2, skew=0.02, curvature=0.02), 6.0)
    found = attribute(chain, later, books[1:2], surface=surface, later_surface=fit(later), names=NAMES)
    for name in NAMES:
        for part in ("level", "skew", "curvature"):
            assert np.all(found.parts[name][PARTS.index(part)] == 0.0)
    assert {one.underlying for one in found.of("pnl_usd")} == {"BTC", "ETH"}


def test_equity_is_the_book_from_scratch(chain: Chain, surface: Surface, books: tuple[Account, ...]) -> None:
    later = _moved(chain, surface, _increments(spot=0.1, level=-0.1), 6.0)
    found = attribute(chain, later, books, surface=surface, later_surface=fit(later))
    (total,) = [one for one in found.of("equity_usd", by="account") if one.account_id == "maker"]
    before, after = chain.index_price, later.index_price
    expected = 3.0 * (after["BTC"] - before["BTC"])
    for name, number in books[0].quantities().items():
        now, then = chain.rows([name])[0], later.rows([name])[0]
        coin = chain.instruments[now].underlying
        if name == "BTC-PERPETUAL":
            expected += number * 10.0 * (1.0 / chain.forward[now] - 1.0 / later.forward[then]) * after[coin]
        else:
            values = [exposure(one, [_account("x", {}, **{name: number})], ["value_usd"]) for one in (chain, later)]
            expected += values[1].value("x", coin, "value_usd") - values[0].value("x", coin, "value_usd")
    assert total.realised == pytest.approx(expected, rel=1e-11)
    assert total.parts[SPOT] != 0.0


def test_collateral_delta_keeps_the_coins_of_marked_contracts(
    chain: Chain, surface: Surface, books: tuple[Account, ...]
) -> None:
    later = _moved(chain, surface, _increments(spot=0.1, level=-0.1), 6.0)
    found = attribute(chain, later, books, surface=surface, later_surface=fit(later))
    (drift,) = [one for one in found.of("delta_collateral") if (one.account_id, one.underlying) == ("maker", "BTC")]
    before, after = (exposure(one, books[:1]).value("maker", "BTC", "delta_collateral") for one in (chain, later))
    perpetual = [one.forward[one.row_of["BTC-PERPETUAL"]] for one in (chain, later)]
    earned = 2_000.0 * 10.0 * (1.0 / perpetual[0] - 1.0 / perpetual[1])
    assert drift.now == pytest.approx(before, rel=1e-12)
    assert drift.realised == pytest.approx(after + earned - before, rel=1e-10)


def _without(chain: Chain, name: str) -> Chain:
    return chain.take(np.array([one.name != name for one in chain.instruments]))


def test_a_line_that_is_not_listed_later_is_named_and_left_out(
    chain: Chain, surface: Surface, books: tuple[Account, ...]
) -> None:
    gone = books[0].positions[2].instrument.name
    later = _without(_moved(chain, surface, _increments(spot=0.02), 6.0), gone)
    found = attribute(chain, later, books, surface=surface, later_surface=fit(later))
    assert found.unknown == {gone: "neither listed nor expired at 2026-02-05T22:00:00Z"}
    (btc,) = [one for one in found.of("pnl_usd") if (one.account_id, one.underlying) == ("maker", "BTC")]
    assert (btc.n_lines, btc.unknown) == (4, (gone,))
    others = [one for one in found.of("pnl_usd", by="instrument") if one.underlying == "BTC" and not one.unknown]
    known = sum(one.realised for one in others if one.account_id == "maker")
    assert btc.realised == pytest.approx(known, rel=1e-12)
    (alone,) = [one for one in found.of("pnl_usd", by="instrument") if one.label == gone]
    assert np.isnan([alone.realised, alone.parts[RESIDUAL]]).all()
    assert np.all(np.isfinite(alone.parts[:RESIDUAL]))


def _later(chain: Chain, surface: Surface, hours: float, spot: float) -> Chain:
    return _moved(chain, surface, _increments(spot=spot), hours)


def test_settlement_is_read_from_the_way_of_the_index(
    chain: Chain, surface: Surface, books: tuple[Account, ...]
) -> None:
    later = _later(chain, surface, 24.0, 0.06)
    given = {"surface": surface, "later_surface": fit(later)}
    (alone,) = attribute(chain, later, books, **given).settled
    assert (alone.underlying, alone.expiry, alone.apart_hours) == ("BTC", NEXT_DAY, 24.0)
    assert alone.price == pytest.approx(70_000.0 * np.exp(0.04), rel=1e-12)
    between = [_later(chain, surface, 15.0, -0.03), _later(chain, surface, 17.0, -0.01)]
    (seen,) = attribute(chain, later, books, between=between, **given).settled
    assert seen.apart_hours == pytest.approx(2.0)
    assert seen.price == pytest.approx(70_000.0 * np.exp(-0.02), rel=1e-12)
    found = attribute(chain, later, books, deliveries={("BTC", NEXT_DAY): 75_000.0}, **given)
    assert found.settled[0].price == 75_000.0
    call = books[0].positions[0].instrument
    strike = call.strike or 0.0
    coins = (75_000.0 - strike) / 75_000.0
    assert strike < 75_000.0
    worth = exposure(chain, [_account("x", {}, **{call.name: 1.0})], ["value_usd"]).value("x", "BTC", "value_usd")
    (line,) = [one for one in found.of("pnl_usd", by="instrument") if one.label == call.name]
    assert line.realised == pytest.approx(-2.0 * (coins * later.index_price["BTC"] - worth), rel=1e-11)
    assert abs(line.parts[RESIDUAL]) < 0.01 * abs(line.realised)
    (future,) = [one for one in found.of("pnl_usd", by="instrument") if one.label == "BTC-6FEB26"]
    earned = 70.0 * 10.0 * (1.0 / chain.forward[chain.row_of["BTC-6FEB26"]] - 1.0 / 75_000.0)
    assert future.realised == pytest.approx(earned * later.index_price["BTC"], rel=1e-11)
    for name in ("gamma", "vega", "delta_net"):
        (greek,) = [one for one in found.of(name, by="instrument") if one.label == call.name]
        assert greek.realised == pytest.approx(-greek.now, rel=1e-12)


def test_without_a_later_index_nothing_is_guessed(chain: Chain, surface: Surface, books: tuple[Account, ...]) -> None:
    later = _moved(chain, surface, _increments(spot=0.02), 24.0)
    later = later.take(later.underlying == "ETH")
    later = replace(later, index_price={"ETH": later.index_price["ETH"]})
    found = attribute(chain, later, books, surface=surface, later_surface=fit(later), names=("pnl_usd", "equity_usd"))
    assert "the later chain has no index price of BTC" in found.unknown["BTC-PERPETUAL"]
    assert "BTC collateral" in found.unknown
    (btc,) = [one for one in found.of("pnl_usd") if (one.account_id, one.underlying) == ("maker", "BTC")]
    assert len(btc.unknown) == btc.n_lines == 4
    assert np.isnan(btc.realised)
    assert np.isfinite(btc.parts[0])
    assert not found.settled


def test_groups_add_up_to_each_other(chain: Chain, surface: Surface, books: tuple[Account, ...]) -> None:
    later = _moved(chain, surface, _increments(spot=0.02), 24.0)
    found = attribute(chain, later, books, surface=surface, later_surface=fit(later))
    totals = [sum(one.realised for one in found.of("pnl_usd", by=by)) for by in
              ("account", "underlying", "expiry", "instrument")]  # fmt: skip
    np.testing.assert_allclose(totals, totals[0], rtol=1e-12)
    assert all(one.account_id != "flat" for one in found.of("pnl_usd"))


def test_refusals(chain: Chain, surface: Surface, books: tuple[Account, ...]) -> None:
    later = _moved(chain, surface, _increments(), 6.0)
    given = {"surface": surface, "later_surface": fit(later)}
    found = attribute(chain, later, books, **given)
    with pytest.raises(InputError, match='did you mean "delta_net"'):
        attribute(chain, later, books, names=("delta_nett",), **given)
    with pytest.raises(InputError, match="swap them"):
        attribute(later, chain, books, surface=given["later_surface"], later_surface=surface)
    with pytest.raises(InputError, match="take two of one venue"):
        attribute(chain, replace(later, venue="other"), books, **given)
    with pytest.raises(InputError, match="nothing that is held settled then"):
        attribute(chain, later, books, deliveries={("BTC", NEXT_DAY): 1.0}, **given)
    with pytest.raises(InputError, match="coins of each underlying"):
        found.of("delta_net", by="account")
    with pytest.raises(InputError, match='did you mean "instrument"'):
        found.of("delta_net", by="instruments")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no quantity"):
        found.of("speed")


@pytest.mark.shared
def test_a_real_day_is_explained(recorded: dict[str, list[Chain]]) -> None:
    """Neighbouring snapshots in the fixture are 23 apart; what is held must not expire before."""
    for chains in recorded.values():
        chain, later = chains[4], chains[5]
        coin = chain.underlyings[0]
        names = [one.name for one in chain.instruments if one.is_option and one.name in later.row_of]
        book = _account("all", {coin: 10.0}, **dict.fromkeys(names, -1.0))
        found = attribute(chain, later, [book], surface=fit(chain), later_surface=fit(later))
        (total,) = found.of("pnl_usd")
        assert total.parts.sum() == pytest.approx(total.realised, rel=1e-12)
        gross = np.abs(total.parts[:RESIDUAL]).sum()
        assert abs(total.parts[RESIDUAL]) < 0.1 * gross
