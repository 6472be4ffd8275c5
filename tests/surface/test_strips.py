"""Strips: the residual curve read without search, calls and puts together where they agree, and apart where not."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from greekdrift.surface.fit import fit
from greekdrift.surface.strips import NO_ROW, curve_of, pack, strips

KNOTS = st.lists(st.integers(-3 * 10**12, 3 * 10**12), min_size=1, max_size=60, unique=True).map(
    lambda found: [one / 1e12 for one in sorted(found)]
)


@given(knots=KNOTS, seed=st.integers(0, 2**16), points=st.lists(st.floats(-4.0, 4.0), max_size=20))
def test_the_table_leads_to_the_same_curve_as_a_search(knots, seed, points):
    at = np.array(knots)
    values = 1.0 + 0.1 * np.random.default_rng(seed).standard_normal(at.size)
    curve = curve_of(at, values)
    for point in (*knots, *points):
        x = min(max(point, at[0]), at[-1])
        knot = int(curve.table[int((x - at[0]) * curve.per_bucket)])
        for _ in range(curve.steps):
            knot += int(x >= curve.knots[knot + 1])
        assert knot == np.searchsorted(at, x, side="right") - 1
        found = curve.values[knot] + curve.slopes[knot] * (x - curve.knots[knot])
        scale = 1.0 + np.abs(values).max()
        np.testing.assert_allclose(found, np.interp(point, at, values), rtol=0.0, atol=1e-14 * scale)


def test_calls_and_puts_share_entries_only_where_they_agree(make_chain):
    chain = make_chain()
    rows = np.arange(len(chain))
    together = [one for one in strips(chain, fit(chain), rows, ("BTC",)) if one.slice]
    assert len(together) == 4
    assert all(np.all((one.call != NO_ROW) & (one.put != NO_ROW)) for one in together)
    volatility = np.array(chain.mark_iv)
    volatility[chain.row_of["BTC-3JAN26-100000-P"]] += 0.01
    other = make_chain(mark_iv=volatility)
    apart = [one for one in strips(other, fit(other), rows, ("BTC",)) if one.slice]
    assert len(apart) == 5
    for every in (together, apart):
        assert sorted(np.concatenate([one.at() for one in every])) == np.flatnonzero(chain.is_option).tolist()
        assert np.array_equal(pack(every).rows, np.flatnonzero(chain.is_option))


def test_only_the_rows_asked_for_are_entries_but_all_quotes_are_knots(make_chain):
    chain = make_chain()
    row = chain.row_of["BTC-3JAN26-100000-P"]
    (one,) = strips(chain, fit(chain), np.array([row]), ("BTC",))
    assert (one.call.tolist(), one.put.tolist()) == ([NO_ROW], [0])
    assert (one.strike.tolist(), one.knots.size) == ([100_000.0], 7)
