"""Exposure of chains and books against sums written out by hand."""

from datetime import UTC, datetime

import numpy as np
import pytest

from greekdrift.book import Account, Position
from greekdrift.errors import ChainError, InputError
from greekdrift.greeks import QUANTITIES, compute
from greekdrift.greeks.exposure import coin_equity, deltas, exposure, line_quantities, weights

ALL = (*QUANTITIES, "value_usd", "value_coin", "delta_usd", "delta_net", "delta_collateral")


def account_of(held, *, collateral=None, account_id="a"):
    positions = tuple(Position.of(name, quantity) for name, quantity in held.items())
    return Account(account_id=account_id, collateral=collateral or {}, positions=positions)


def by_name(chain, line, name, quantity):
    return float(line[quantity][chain.row_of[name]])


def test_inverse_option_per_contract(every_kind):
    line = line_quantities(every_kind, ALL)
    row = every_kind.row_of["BTC-27JUN25-90000-P"]
    at = {"forward": 101_000.0, "strike": 90_000.0, "volatility": 0.55, "time_to_expiry": 26.0 / 365.0}
    value = compute(tuple(QUANTITIES), **at, is_call=False)
    for name in QUANTITIES:
        assert line[name][row] == pytest.approx(float(value[name]), rel=1e-12), name
    assert line["value_coin"][row] == pytest.approx(float(value["price"]) / 101_000.0, rel=1e-12)
    assert line["value_usd"][row] == pytest.approx(float(value["price"]) / 101_000.0 * 100_000.0, rel=1e-12)
    assert line["delta_usd"][row] == line["delta"][row]
    assert line["delta_net"][row] == pytest.approx(line["delta_usd"][row] - line["value_coin"][row], rel=1e-12)


def test_linear_option_scales_with_its_contract_and_is_not_premium_adjusted(every_kind):
    line = line_quantities(every_kind, ALL)
    row = every_kind.row_of["BTC_USDC-27JUN25-100000-C"]
    at = {"forward": 1e5, "strike": 1e5, "volatility": 0.5, "time_to_expiry": 26.0 / 365.0, "is_call": True}
    value = compute(tuple(QUANTITIES), **at)
    for name in QUANTITIES:
        assert line[name][row] == pytest.approx(0.01 * float(value[name]), rel=1e-12), name
    assert line["value_usd"][row] == line["price"][row]
    assert line["delta_net"][row] == line["delta_usd"][row]
    assert line["value_coin"][row] == 0.0


@pytest.mark.parametrize(
    ("name", "delta", "price", "value"),
    [
        ("BTC-PERPETUAL", 10.0 / 100_100.0, 10.0, 0.0),
        ("BTC-27JUN25", 10.0 / 101_000.0, 10.0, 0.0),
        ("BTC_USDC-PERPETUAL", 0.001, 100.0, 0.0),
        ("BTC_USDC", 1.0, 100_000.0, 100_000.0),
        ("ETH-PERPETUAL", 1.0 / 2501.0, 1.0, 0.0),
    ],
)
def test_linear_rows(name, delta, price, value, every_kind):
    line = line_quantities(every_kind, ALL)
    for quantity in ("delta", "delta_usd", "delta_net"):
        assert by_name(every_kind, line, name, quantity) == pytest.approx(delta, rel=1e-14)
    assert by_name(every_kind, line, name, "price") == pytest.approx(price, rel=1e-14)
    assert by_name(every_kind, line, name, "value_usd") == value
    for quantity in set(QUANTITIES) - {"delta", "price"}:
        assert by_name(every_kind, line, name, quantity) == 0.0


def test_chosen_rows_are_the_rows_of_the_whole(every_kind):
    whole = line_quantities(every_kind, ALL)
    some = line_quantities(every_kind, ALL, [5, 0, 3])
    masked = line_quantities(every_kind, ("vega",), every_kind.is_option)
    for name in ALL:
        assert some[name] == pytest.approx(whole[name][[5, 0, 3]], rel=1e-15, abs=0.0)
    assert masked["vega"].shape == (int(every_kind.is_option.sum()),)


def test_a_contract_at_its_expiry_has_value_and_no_risk(make_chain):
    moment = datetime(2025, 6, 27, 8, tzinfo=UTC)
    chain = make_chain(("BTC-27JUN25-100000-C", "BTC-27JUN25", "BTC-PERPETUAL"), [110_000.0] * 3, {"BTC": 110_000.0},
                       as_of=moment, known_at=moment)  # fmt: skip
    line = line_quantities(chain, ALL)
    assert line["value_usd"][0] == pytest.approx(10_000.0, rel=1e-14)
    assert line["value_coin"][0] == pytest.approx(10_000.0 / 110_000.0, rel=1e-14)
    for name in set(ALL) - {"price", "value_usd", "value_coin"}:
        assert line[name][:2].tolist() == [0.0, 0.0], name
    assert line["delta_usd"][2] > 0.0


def test_weights_are_signed_contracts(every_kind):
    first = account_of({"BTC-PERPETUAL": -1500, "BTC-27JUN25-100000-C": 2})
    table = weights(every_kind, (first, account_of({})))
    assert table.shape == (2, len(every_kind))
    assert table[0, every_kind.row_of["BTC-PERPETUAL"]] == -1500
    assert np.count_nonzero(table) == 2


def test_exposure_is_the_sum_of_contracts_times_lines(every_kind):
    held = {"BTC-27JUN25-100000-C": -3, "BTC-PERPETUAL": 1000, "ETH-2JUN25-2600-P": 12, "BTC_USDC-PERPETUAL": 40}
    account = account_of(held, collateral={"BTC": 2.0, "USDC": 5.0})
    flat = account_of({}, account_id="b", collateral={"ETH": 1.0})
    got = exposure(every_kind, (account, flat), ALL)
    line = line_quantities(every_kind, ALL)
    for name in set(ALL) - {"delta_collateral"}:
        btc = sum(q * by_name(every_kind, line, row, name) for row, q in held.items() if row.startswith("BTC"))
        assert got.value("a", "BTC", name) == pytest.approx(btc, rel=1e-12), name
        assert got.value("a", "ETH", name) == pytest.approx(12 * by_name(every_kind, line, "ETH-2JUN25-2600-P", name))
        assert got.value("b", "BTC", name) == got.value("b", "ETH", name) == 0.0
    coin = 2.0 - 3.0 * by_name(every_kind, line, "BTC-27JUN25-100000-C", "value_coin")
    assert got.value("a", "BTC", "coin_equity") == pytest.approx(coin, rel=1e-13)
    assert got.value("a", "BTC", "coin_equity") == pytest.approx(coin_equity(every_kind, account)["BTC"], rel=1e-13)
    own = sum(q * by_name(every_kind, line, row, "delta_collateral") for row, q in held.items() if "BTC" in row)
    assert got.value("a", "BTC", "delta_collateral") == pytest.approx(own + coin)
    assert got.value("b", "ETH", "delta_collateral") == 1.0


def test_a_change_of_holdings_is_the_exposure_of_the_changed_account(every_kind):
    held = {"BTC-27JUN25-100000-C": -3.0, "BTC-PERPETUAL": 1000.0, "ETH-2JUN25-2600-P": 12.0}
    change = {"BTC-PERPETUAL": -250.0, "ETH-2JUN25-2600-P": -12.0, "BTC-26SEP25-120000-C": 7.0, "BTC_USDC": 0.5}
    paid = {"BTC": -0.2, "ETH": 0.4, "USDC": 9.0}
    other = account_of({"BTC-PERPETUAL": 5.0}, account_id="b", collateral={"BTC": 1.0})
    before = exposure(every_kind, (account_of(held, collateral={"BTC": 2.0}), other), ALL, rows=range(len(every_kind)))
    after = before.with_change("a", change, collateral=paid)
    quantities = {name: held.get(name, 0.0) + change.get(name, 0.0) for name in {**held, **change}}
    traded = account_of(quantities, collateral={"BTC": 2.0 + paid["BTC"], "ETH": paid["ETH"], "USDC": 9.0})
    whole = exposure(every_kind, (traded, other), ALL)
    for name, column in whole.quantities.items():
        scale = np.abs(before.quantities[name]).max() + np.abs(column).max()
        assert after.quantities[name] == pytest.approx(column, rel=1e-12, abs=1e-13 * scale), name
        assert np.array_equal(after.quantities[name][1], before.quantities[name][1]), name
    with pytest.raises(ValueError, match="read-only"):
        after.quantities["gamma"][0, 0] = 1.0
    back = after.with_change("a", {name: -one for name, one in change.items()})
    assert back.value("a", "BTC", "vega") == pytest.approx(before.value("a", "BTC", "vega"), rel=1e-12)


def test_a_change_in_what_was_not_valued_is_refused(every_kind):
    got = exposure(every_kind, (account_of({"BTC-PERPETUAL": 1.0}),))
    with pytest.raises(InputError, match=r"BTC-27JUN25 was not valued .* pass its row"):
        got.with_change("a", {"BTC-27JUN25": 1.0})
    with pytest.raises(InputError, match=r'"BTC-27JUN2" is not listed in the chain .* did you mean "BTC-27JUN25"'):
        got.with_change("a", {"BTC-27JUN2": 1.0})
    with pytest.raises(InputError, match='no account "b"'):
        got.with_change("b", {"BTC-PERPETUAL": 1.0})


def test_deltas_side_by_side_are_those_of_the_exposure(every_kind):
    accounts = (account_of({"BTC-27JUN25-100000-C": 2, "BTC_USDC-PERPETUAL": 30}, collateral={"BTC": 1.5}),)
    three, total = deltas(every_kind, accounts), exposure(every_kind, accounts)
    assert (three.account_ids, three.underlyings) == (("a",), ("BTC", "ETH"))
    for own, name in (
        (three.usd, "delta_usd"),
        (three.net, "delta_net"),
        (three.collateral, "delta_collateral"),
        (three.coin_equity, "coin_equity"),
    ):
        assert np.array_equal(own, total.quantities[name])


def test_exposure_without_accounts_or_positions(every_kind):
    assert exposure(every_kind, ()).quantities["gamma"].shape == (0, 2)
    got = exposure(every_kind, (account_of({"BTC-PERPETUAL": 0.0}),))
    assert all(np.all(column == 0.0) for column in got.quantities.values())


def test_figures_of_an_exposure_are_asked_for_by_name(every_kind):
    got = exposure(every_kind, (account_of({"BTC-PERPETUAL": 1.0}),))
    for words, message in (
        (("b", "BTC", "vega"), 'no account "b"'),
        (("a", "BTCC", "vega"), 'no underlying "BTCC" in this exposure; did you mean "BTC"'),
        (("a", "BTC", "vegas"), 'no quantity "vegas" in this exposure; did you mean "vega"'),
    ):
        with pytest.raises(InputError, match=message):
            got.value(*words)


def test_what_cannot_be_answered_is_refused(every_kind):
    with pytest.raises(InputError, match='unknown quantity "gama"; did you mean "gamma"'):
        line_quantities(every_kind, ("gama",))
    with pytest.raises(ChainError, match='a: "BTC-27JUN25-100001-C" is not listed'):
        weights(every_kind, (account_of({"BTC-27JUN25-100001-C": 1}),))
