"""Rule sets as records: what cannot be is refused, terms are found."""

from dataclasses import replace

import pytest

from greekdrift.book.collateral import Role
from greekdrift.book.rules import (
    NetExpiry,
    NetOption,
    NetPortfolio,
    stressed_labels,
    stressed_scenarios,
    volatility_terms,
)
from greekdrift.config import load_rules
from greekdrift.errors import BookError, ConfigError

P = load_rules("derive_pm2").parameters


def test_the_packaged_set_has_the_published_scenarios() -> None:
    tables = [one.table for one in P.scenarios]
    assert (tables.count("regular"), tables.count("tail"), len(P.skew_scenarios)) == (23, 6, 2)
    for one in P.scenarios:
        if one.table == "tail":
            assert one.damping == pytest.approx(0.036 / abs(one.spot - 1.0))
            assert one.volatility == "up"


def test_terms_by_currency_with_a_general_one() -> None:
    assert P.terms_of("USDC").role is Role.CASH
    assert P.terms_of("ETH").maintenance == 0.015
    assert P.terms_of("SOL") is P.terms_of("DOGE")
    with pytest.raises(BookError, match="no terms"):
        replace(P, collateral=P.collateral[:1]).terms_of("SOL")


def test_scenarios_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="used twice"):
        replace(P, scenarios=(P.scenarios[0], P.scenarios[0]))
    with pytest.raises(ConfigError, match="at least one"):
        replace(P, scenarios=())
    with pytest.raises(ConfigError, match="must be positive"):
        replace(P, scenarios=(replace(P.scenarios[0], spot=0.0),))
    with pytest.raises(ConfigError, match="not a number"):
        replace(P, volatility=replace(P.volatility, up=float("nan")))


@pytest.mark.parametrize(
    ("record", "wrong"),
    [
        (NetOption(strike=1.0, is_call=True, forward=1.0, volatility=0.5, amount=1.0), "strike"),
        (NetOption(strike=1.0, is_call=True, forward=1.0, volatility=0.5, amount=1.0), "forward"),
        (NetOption(strike=1.0, is_call=True, forward=1.0, volatility=0.5, amount=1.0), "volatility"),
        (NetExpiry(time_to_expiry=0.1, options=()), "time_to_expiry"),
        (NetPortfolio(underlying="X", cash=0.0, spot_price=1.0), "stable_price"),
    ],
)
def test_a_portfolio_with_a_figure_that_cannot_be_is_refused(record: object, wrong: str) -> None:
    for value in (float("nan"), float("inf"), -0.5):
        with pytest.raises(BookError, match=f"{wrong} .* cannot be"):
            replace(record, **{wrong: value})  # type: ignore[type-var]


def test_stressed_states_of_every_form() -> None:
    net, matrix, position = (load_rules(name).parameters for name in ("derive_pm2", "deribit_pm", "deribit_standard"))
    assert len(stressed_scenarios(net, "BTC")) == len(stressed_labels(net)) == 23
    assert stressed_scenarios(net, "BTC") == stressed_scenarios(net, "anything")
    assert len(stressed_labels(matrix)) == 27
    for name, reach in (("BTC", 0.16), ("ETH", 0.18)):
        moves = [one.spot - 1.0 for one in stressed_scenarios(matrix, name)]
        assert (min(moves), max(moves)) == pytest.approx((-reach, reach))
        assert tuple(one.label for one in stressed_scenarios(matrix, name)) == stressed_labels(matrix)
    assert stressed_scenarios(matrix, "SOL") == ()
    assert stressed_labels(position) == stressed_scenarios(position, "BTC") == ()
    assert volatility_terms(position, "BTC") is None
    assert volatility_terms(matrix, "ETH") == matrix.pair("ETH").volatility
