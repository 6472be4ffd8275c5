import numpy as np
import pytest

from greekdrift.surface import smile
from greekdrift.surface.slices import expiries


def rows_of(chain, at: int = 3) -> np.ndarray:
    return list(expiries(chain))[at][2]


def changed(build, frame, rows, **columns):
    other = frame.copy()
    for name, value in columns.items():
        other.loc[rows, name] = value
    return build(other, allow_crossed=True)


def test_only_out_of_the_money_two_sided_quotes_count(chain):
    rows = rows_of(chain)
    used = smile.select(chain, rows)
    strikes = np.unique(chain.strike[rows])
    assert used.n_two_sided == len(used.volatility)
    assert len(used.volatility) <= len(strikes)
    assert np.all(np.diff(used.log_moneyness) > 0.0)
    assert np.sum(used.weight**2) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "columns", [{"bid": np.nan}, {"ask": np.nan}, {"bid": 0.0}, {"bid": 0.9, "ask": 0.8}, {"mark": 0.9}]
)
def test_missing_one_sided_crossed_and_stray_quotes_are_left_out(build, frame, chain, columns):
    rows = rows_of(chain)
    k = np.log(chain.strike[rows] / chain.forward[rows])
    bad = rows[np.argsort(np.abs(k))[:6]]
    before, after = smile.select(chain, rows), smile.select(changed(build, frame, bad, **columns), rows)
    lost = np.unique(chain.strike[bad]).size
    assert len(after.volatility) == len(before.volatility) - lost
    left = np.exp(after.log_moneyness) * chain.forward[rows[0]]
    assert not np.any(np.isclose(left[:, None], np.unique(chain.strike[bad])[None], rtol=1e-9))


def test_marks_help_out_where_quotes_are_few_and_weigh_little(build, frame, chain):
    rows = rows_of(chain)
    is_out = chain.is_call[rows] == (chain.strike[rows] >= chain.forward[rows])
    quiet = rows[is_out][6:]
    used = smile.select(changed(build, frame, quiet, bid=np.nan), rows)
    assert 0 < used.n_two_sided < smile.ENOUGH
    assert len(used.volatility) > used.n_two_sided
    assert used.weight.max() / used.weight.min() > 3.0


def test_without_any_quote_marks_weigh_by_vega(build, frame, chain):
    rows = rows_of(chain)
    used = smile.select(changed(build, frame, rows, bid=np.nan, ask=np.nan), rows)
    assert used.n_two_sided == 0
    assert np.argmax(used.weight) == np.argmin(np.abs(used.log_moneyness))


def test_a_strike_listed_in_the_money_only_still_counts(chain):
    rows = rows_of(chain)
    is_out = chain.is_call[rows] == (chain.strike[rows] >= chain.forward[rows])
    strikes = chain.strike[rows]
    lone = strikes[3]
    left = rows[~((strikes == lone) & is_out)]
    used = smile.select(chain, left)
    k = np.log(lone / chain.forward[rows[0]])
    assert np.any(np.isclose(used.log_moneyness, k))
