import numpy as np
import pytest

from greekdrift.surface import smile
from greekdrift.surface.slices import expiries
from greekdrift.surface.smile import Use


def rows_of(chain, at: int = 3) -> np.ndarray:
    return list(expiries(chain))[at][2]


def select(chain, rows: np.ndarray) -> tuple[smile.Smiles, np.ndarray]:
    """What is used of the rows of one expiry, and the rows as they were handed in, by strike."""
    at = rows[np.argsort(chain.strike[rows], kind="stable")]
    strike, forward = chain.strike[at], chain.forward[at]
    unit = np.where(chain.is_inverse[at], 1.0, 1.0 / forward)
    used = smile.select(
        np.log(strike / forward),
        chain.mark_iv[at],
        strike=strike,
        is_out=chain.is_call[at] == (strike >= forward),
        bid=chain.bid[at] * unit,
        ask=chain.ask[at] * unit,
        mark=chain.mark[at] * unit,
        time_to_expiry=chain.time_to_expiry[at[:1]],
        edges=np.array([0, at.size]),
    )
    return used, at


def changed(build, frame, rows, **columns):
    other = frame.copy()
    for name, value in columns.items():
        other.loc[rows, name] = value
    return build(other, allow_crossed=True)


def test_only_out_of_the_money_two_sided_quotes_count(chain):
    rows = rows_of(chain)
    used, at = select(chain, rows)
    assert used.n_two_sided[0] == used.volatility.size == used.offsets[1]
    assert used.volatility.size <= np.unique(chain.strike[rows]).size
    assert np.all(np.diff(used.log_moneyness) > 0.0)
    assert np.sum(used.weight**2) == pytest.approx(1.0)
    chosen = at[used.row]
    np.testing.assert_array_equal(chain.is_call[chosen], chain.strike[chosen] >= chain.forward[chosen])
    np.testing.assert_array_equal(used.volatility, chain.mark_iv[chosen])


def test_the_width_is_the_spread_in_volatility(chain):
    used, _ = select(chain, rows_of(chain))
    near = np.argmin(np.abs(used.log_moneyness))
    assert used.width[near] == pytest.approx(0.008, rel=0.05)
    np.testing.assert_allclose(
        used.weight**2 * (used.width + smile.LEAST_SPREAD),
        used.weight[0] ** 2 * 1.0 * (used.width[0] + smile.LEAST_SPREAD),
    )


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"bid": np.nan}, Use.ONE_SIDED),
        ({"ask": np.nan}, Use.ONE_SIDED),
        ({"bid": np.nan, "ask": np.nan}, Use.NOT_QUOTED),
        ({"bid": 0.0}, Use.ONE_SIDED),
        ({"bid": 0.9, "ask": 0.8}, Use.CROSSED),
        ({"mark": 0.9}, Use.STRAY),
    ],
)
def test_missing_one_sided_crossed_and_stray_quotes_are_left_out_and_counted(build, frame, chain, columns, reason):
    rows = rows_of(chain)
    k = np.log(chain.strike[rows] / chain.forward[rows])
    bad = rows[np.argsort(np.abs(k))[:6]]
    (before, _), (after, at) = select(chain, rows), select(changed(build, frame, bad, **columns), rows)
    lost = np.unique(chain.strike[bad]).size
    assert after.volatility.size == before.volatility.size - lost
    assert not np.any(np.isin(at[after.row], bad))
    assert dict(after.dropped(0, at.size))[smile.REASONS[reason]] == lost
    assert sum(count for _, count in after.dropped(0, at.size)) == at.size - after.volatility.size


def test_quotes_far_out_are_left_out(build, frame, chain):
    rows = rows_of(chain)
    used, at = select(changed(build, frame, rows, mark_iv=chain.mark_iv[rows] * 0.4), rows)
    deviation = used.reference[0] * np.sqrt(chain.time_to_expiry[rows[0]])
    assert np.abs(used.log_moneyness).max() <= smile.FARTHEST * deviation
    assert dict(used.dropped(0, at.size))[smile.REASONS[Use.FAR]] > 0


def test_marks_help_out_where_quotes_are_few_and_weigh_little(build, frame, chain):
    rows = rows_of(chain)
    is_out = chain.is_call[rows] == (chain.strike[rows] >= chain.forward[rows])
    quiet = rows[is_out][6:]
    used, _ = select(changed(build, frame, quiet, bid=np.nan), rows)
    assert 0 < used.n_two_sided[0] < smile.ENOUGH
    assert used.volatility.size > used.n_two_sided[0]
    assert used.weight.max() / used.weight.min() > 3.0
    assert np.isnan(used.width).sum() == used.volatility.size - used.n_two_sided[0]


def test_without_any_quote_marks_weigh_by_vega(build, frame, chain):
    rows = rows_of(chain)
    used, _ = select(changed(build, frame, rows, bid=np.nan, ask=np.nan), rows)
    assert used.n_two_sided[0] == 0
    assert np.argmax(used.weight) == np.argmin(np.abs(used.log_moneyness))


def test_a_strike_listed_in_the_money_only_still_counts(chain):
    rows = rows_of(chain)
    is_out = chain.is_call[rows] == (chain.strike[rows] >= chain.forward[rows])
    lone = chain.strike[rows][3]
    left = rows[~((chain.strike[rows] == lone) & is_out)]
    used, _ = select(chain, left)
    assert np.any(np.isclose(used.log_moneyness, np.log(lone / chain.forward[rows[0]])))


def test_a_price_without_volatility_is_no_quote():
    k = np.linspace(-0.2, 0.2, 5)
    shape = {"bid": np.full(5, 0.01), "ask": np.full(5, 0.02), "mark": np.full(5, 0.015)}
    volatility = np.array([0.5, np.nan, 0.4, 0.4, np.nan])
    used = smile.select(
        k,
        volatility,
        strike=np.exp(k),
        is_out=np.ones(5, dtype=bool),
        **shape,
        time_to_expiry=np.array([0.5]),
        edges=np.array([0, 5]),
    )
    np.testing.assert_array_equal(used.row, [0, 2, 3])
    assert used.dropped(0, 5) == ((smile.REASONS[Use.NO_VOLATILITY], 2),)
