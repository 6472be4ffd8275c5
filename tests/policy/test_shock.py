"""Stated shocks: how they are written, and margin in the moved market by the exact engine."""

import numpy as np
import pytest

from greekdrift.config import load_rules
from greekdrift.errors import InputError
from greekdrift.margin.engine import requirement
from greekdrift.policy.shock import Move, parse, shocked
from greekdrift.surface import fit

RULES = load_rules("derive_pm2")


def test_what_is_written_is_what_is_meant():
    found = parse("BTC:spot=-20%,vol=+15; ETH:vol=-30%")
    assert dict(found.moves) == {
        "BTC": Move(spot=-0.2, vol_points=0.15),
        "ETH": Move(vol_relative=-0.3),
    }
    assert found.text.startswith("BTC")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "write it like"),
        ("BTC", "write it like"),
        ("BTC:spot=-20%;BTC:vol=1", "each underlying once"),
        ("BTC:spott=-20%", 'did you mean "spot"'),
        ("BTC:spot=-20", "per cent"),
        ("BTC:spot=-100%", "less than 100 %"),
        ("BTC:vol=much", "a number"),
        ("BTC:vol=nan", "a number"),
        ("BTC:vol", "a number"),
        ("BTC:vol=1,vol=2%", "stands twice"),
    ],
)
def test_what_cannot_be_meant_is_refused(text, word):
    with pytest.raises(InputError, match=word):
        parse(text)


def test_no_shock_changes_nothing_and_another_coin_neither(chain, desk):
    surface = fit.fit(chain)
    now = requirement(chain, desk, RULES)
    found = shocked(chain, desk, RULES, (parse("BTC:spot=0%"), parse("ETH:spot=-50%")), surface=surface)
    assert found.initial_margin[0] == pytest.approx(now.initial_margin_usd, rel=1e-9)
    assert found.equity[0] == pytest.approx(now.equity_usd, rel=1e-9)
    assert found.initial_margin[1] == pytest.approx(found.initial_margin[0], rel=1e-12)
    assert found.initial_margin[2] == pytest.approx(found.initial_margin[0], rel=1e-12)


def test_points_and_per_cent_of_one_volatility_are_the_same_shock(chain, desk):
    surface = fit.fit(chain)
    up, more, most = (parse(f"BTC:vol=+{points}") for points in (5, 15, 40))
    found = shocked(chain, desk, RULES, (up, more, most), surface=surface)
    assert np.all(np.isfinite(found.equity))
    falls = found.equity[0] - found.equity[1:]
    assert np.all(np.diff(np.abs(falls)) > 0.0)


def test_an_unknown_coin_and_a_volatility_below_nothing_are_refused(chain, desk):
    surface = fit.fit(chain)
    for text, word in (("XRP:spot=-1%", "the chain has no XRP"), ("BTC:vol=-90", "leaves no volatility")):
        with pytest.raises(InputError, match=word):
            shocked(chain, desk, RULES, (parse(text),), surface=surface)
