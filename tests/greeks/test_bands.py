"""Values of a mandate's bands: by view and tenor, as a linear map of contracts, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from greekdrift.book import Account, Band, Mandate, Position, View
from greekdrift.errors import BookError, ChainError, InputError
from greekdrift.greeks.bands import (
    band_matrix,
    band_offsets,
    band_quantities,
    band_selection,
    band_values,
)
from greekdrift.greeks.exposure import exposure, line_quantities, weights


def account_of(held, *, collateral=None, bands=None, account_id="a", **terms):
    mandate = None
    if bands is not None:
        limits = {"liquidity_buffer_usd": 0.0, "max_order_notional_usd": 1e6, "max_cost_usd": 1e4}
        mandate = Mandate(rule_set="any", bands=tuple(bands), venues=("deribit",), **limits, **terms)
    positions = tuple(Position.of(name, quantity) for name, quantity in held.items())
    return Account(account_id=account_id, collateral=collateral or {}, positions=positions, mandate=mandate)


def band(greek, underlying="BTC", **terms):
    return Band(greek=greek, underlying=underlying, lower=-1.0, upper=1.0, **terms)


def by_name(chain, line, name, quantity):
    return float(line[quantity][chain.row_of[name]])


BANDS = (
    band("delta", view=View.USD),
    band("delta", view=View.NET),
    band("delta", view=View.COLLATERAL),
    band("gamma"),
    band("vega", tenor_days=(0.0, 30.0)),
    band("vega", tenor_days=(30.0, 400.0)),
    band("theta", "ETH"),
)
HELD = {"BTC-27JUN25-100000-C": -3, "BTC-26SEP25-120000-C": 5, "BTC-PERPETUAL": 1000, "ETH-2JUN25-2600-P": 12}


def test_bands_by_view_and_tenor(every_kind):
    account = account_of(HELD, collateral={"BTC": 2.0}, bands=BANDS)
    got = band_values(every_kind, account)
    total = exposure(every_kind, (account,))
    line = line_quantities(every_kind, ("vega",))
    assert got["BTC delta (usd)"] == pytest.approx(total.value("a", "BTC", "delta_usd"))
    assert got["BTC delta (net)"] == pytest.approx(total.value("a", "BTC", "delta_net"))
    assert got["BTC delta (collateral)"] == pytest.approx(total.value("a", "BTC", "delta_collateral"))
    assert got["BTC gamma"] == pytest.approx(total.value("a", "BTC", "gamma"))
    assert got["BTC vega 0-30d"] == pytest.approx(-3 * by_name(every_kind, line, "BTC-27JUN25-100000-C", "vega"))
    assert got["BTC vega 30-400d"] == pytest.approx(5 * by_name(every_kind, line, "BTC-26SEP25-120000-C", "vega"))
    assert got["ETH theta"] == pytest.approx(total.value("a", "ETH", "theta"))


def test_matrix_and_offsets_give_the_same_values(every_kind):
    account = account_of(HELD, collateral={"BTC": 2.0}, bands=BANDS)
    line = line_quantities(every_kind, band_quantities(account.mandate))
    labels, matrix = band_matrix(every_kind, account.mandate, line)
    contracts = weights(every_kind, (account,))[0]
    values = dict(zip(labels, band_offsets(every_kind, account) + matrix @ contracts, strict=True))
    assert values == pytest.approx(band_values(every_kind, account), rel=1e-12)
    assert band_values(every_kind, account, line=line) == pytest.approx(values, rel=1e-12)
    rows = np.flatnonzero(contracts)
    some = {name: column[rows] for name, column in line.items()}
    assert band_values(every_kind, account, rows=rows, line=some) == pytest.approx(values, rel=1e-12)


def test_without_a_collateral_band_the_offsets_are_zero(every_kind):
    account = account_of({"BTC-PERPETUAL": 5}, collateral={"BTC": 2.0}, bands=(band("vega"), band("delta")))
    assert band_offsets(every_kind, account).tolist() == [0.0, 0.0]


def test_a_trade_at_the_mark_moves_the_collateral_delta_by_the_matrix(every_kind):
    """Buying at the mark turns coins into option value: coin equity stays, the matrix is the whole change."""
    before = account_of(HELD, collateral={"BTC": 2.0}, bands=BANDS)
    row = every_kind.row_of["BTC-27JUN25-90000-P"]
    line = line_quantities(every_kind, (*band_quantities(before.mandate), "value_coin"))
    after = replace(
        before,
        positions=(*before.positions, Position.of("BTC-27JUN25-90000-P", 4.0)),
        collateral={"BTC": 2.0 - 4.0 * line["value_coin"][row]},
    )
    labels, matrix = band_matrix(every_kind, before.mandate, line)
    change = {name: 4.0 * x for name, x in zip(labels, matrix[:, row], strict=True)}
    first, second = band_values(every_kind, before), band_values(every_kind, after)
    assert {name: second[name] - first[name] for name in labels} == pytest.approx(change, rel=1e-9, abs=1e-12)


def test_tenor_is_half_open_and_holds_options_only(every_kind):
    life = every_kind.time_to_expiry[0] * 365.0
    bands = (band("delta", tenor_days=(life, 400.0)), band("delta", tenor_days=(0.0, life), view=View.USD))
    _, selection = band_selection(every_kind, account_of({}, bands=bands).mandate)
    june, future = every_kind.row_of["BTC-27JUN25-100000-C"], every_kind.row_of["BTC-27JUN25"]
    assert selection[:, june].tolist() == [1.0, 0.0]
    assert selection[:, future].tolist() == [0.0, 0.0]
    assert selection[:, every_kind.row_of["BTC-PERPETUAL"]].tolist() == [0.0, 0.0]


def test_gamma_fades_over_the_last_days(every_kind):
    eth = every_kind.row_of["ETH-2JUN25-2600-P"]  # one day to live
    mandate = account_of({}, bands=(band("gamma", "ETH"), band("speed", "ETH")), gamma_fade_days=4.0).mandate
    assert band_selection(every_kind, mandate)[1][:, eth] == pytest.approx([0.25, 1.0])
    later = every_kind.time_to_expiry - 0.5 / 365.0
    assert band_selection(every_kind, mandate, time_to_expiry=later)[1][:, eth] == pytest.approx([0.125, 1.0])
    never = account_of({}, bands=(band("gamma", "ETH"),), gamma_fade_days=0.0).mandate
    assert band_selection(every_kind, never)[1][0, eth] == 1.0


def test_what_cannot_be_answered_is_refused(every_kind):
    with pytest.raises(BookError, match="a has no mandate"):
        band_values(every_kind, account_of({}))
    with pytest.raises(ChainError, match="has no SOL"):
        band_values(every_kind, account_of({}, bands=(band("vega", "SOL"),)))
    with pytest.raises(BookError, match='two bands "BTC vega"'):
        band_values(every_kind, account_of({}, bands=(band("vega"), band("vega"))))
    with pytest.raises(BookError, match="holds BTC-PERPETUAL, which is not among rows"):
        band_values(every_kind, account_of({"BTC-PERPETUAL": 1}, bands=(band("vega"),)), rows=[0, 1])
    with pytest.raises(InputError, match='the line lacks "vega"'):
        band_matrix(every_kind, account_of({}, bands=(band("vega"),)).mandate, {})
