"""Rule sets as records: what cannot be is refused, terms are found."""

from dataclasses import replace

import pytest

from greekdrift.book.collateral import Role
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
