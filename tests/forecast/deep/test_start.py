from dataclasses import replace

import numpy as np
import pytest

from greekdrift.errors import ArtefactError, InputError
from greekdrift.forecast import artefact
from greekdrift.forecast.deep.start import Start
from greekdrift.forecast.deep.training import DriftNet
from greekdrift.units import datetime64

SKEW, QUICK = 2, DriftNet(members=1, epochs=4, draws=16, batch_draws=8)


@pytest.fixture(scope="module")
def elsewhere(make_panel, tmp_path_factory):
    """A start that learnt, on one market, that skew forgets its moves within a day."""
    panel = _reverting(make_panel(rows=420, seed=3))
    folder = tmp_path_factory.mktemp("start")
    start = Start.of(QUICK.fit(panel), panel)
    artefact.save(start, folder)
    return start, folder


def _reverting(panel, *, seed=1):
    state = panel.state.copy()
    state[..., 3] = -0.05 + 0.02 * np.random.default_rng(seed).standard_normal(state.shape[:2])
    return replace(panel, state=state)


def _later(panel):
    """The same panel three years later."""
    ahead = np.timedelta64(3 * 365 * 24, "h")
    return replace(panel, as_of=panel.as_of + ahead, known_at=panel.known_at + ahead)


def test_it_is_read_back_as_it_was_written(elsewhere):
    start, folder = elsewhere
    again = artefact.load_start(folder)
    assert again.learnt_until == start.learnt_until
    one, two = (each.pack() for each in (start, again))
    assert one[0] == two[0]
    assert all(one[1][name].tobytes() == array.tobytes() for name, array in two[1].items())


def test_it_holds_nothing_of_the_market_that_it_learnt_from(elsewhere):
    """No row, residual, level or size: shapes depend on factors, horizons and networks alone."""
    start, folder = elsewhere
    _, arrays = start.pack()
    assert {name.split(".")[0] for name in arrays} == {"shares", "horizons", "network", "mixture", "means"}
    assert {name for name in arrays if name.startswith("means.")} == {
        f"means.{field}" for field in ("horizons", "coefficients", "explained", "shares")
    }
    assert max(max(array.shape, default=0) for array in arrays.values()) < 40
    with pytest.raises(ArtefactError, match="does not fit here"):
        artefact.load(folder)


def test_a_short_panel_knows_what_the_start_learnt(elsewhere, make_panel):
    start, folder = elsewhere
    panel = _reverting(_later(make_panel(rows=90, seed=8)), seed=5)
    alone, adapted = (replace(QUICK, start=path).fit(panel) for path in ("", str(folder)))
    assert not alone.shares.any()
    assert not alone.means.shares.any()
    np.testing.assert_array_equal(adapted.shares, start.shares)
    assert np.all(adapted.means.shares[:3, SKEW] == 1.0)
    far = replace(panel, state=np.concatenate([panel.state[:-1], panel.state[-1:] + 0.06 * (np.arange(6) == 3)]))
    moved = [
        one.predict(far, horizons=(24.0,), n=400, seed=0).increments[:, 0, 0, 3].mean() for one in (alone, adapted)
    ]
    assert moved[1] < moved[0] - 0.02


def test_later_origins_can_gainsay_it(elsewhere, make_panel):
    """On random walks of one size, long enough to tell, most of the trust is gone."""
    start, folder = elsewhere
    panel = _later(make_panel(rows=420, volatility_of_volatility=0.0, seed=4))
    walk = np.cumsum(0.01 * np.random.default_rng(0).standard_normal(panel.state.shape), axis=0) + panel.state[0]
    adapted = replace(QUICK, start=str(folder)).fit(replace(panel, state=walk))
    assert adapted.means.shares.sum() < 0.6 * start.means.shares.sum()


def test_the_same_seed_gives_the_same_bytes_and_the_start_stays(elsewhere, make_panel):
    _, folder = elsewhere
    panel = _reverting(_later(make_panel(rows=90)))
    before = artefact.digest(folder)
    net = replace(QUICK, start=str(folder), epochs=2)
    one, two = (net.fit(panel).predict(panel, horizons=(6.0, 24.0), n=20, seed=1).increments for _ in range(2))
    assert one.tobytes() == two.tobytes()
    assert artefact.digest(folder) == before == net.start_digest


def test_what_does_not_fit_is_refused(elsewhere, make_panel, tmp_path):
    _, folder = elsewhere
    net = replace(QUICK, start=str(folder))
    early = make_panel(rows=420, seed=3)
    with pytest.raises(InputError, match="know the future"):
        net.fit(early.until(early.known_at[-2]))
    with pytest.raises(InputError, match="factors"):
        net.fit(replace(early, factors=(*early.factors[:-1], "other")))
    with pytest.raises(InputError, match="give the net the horizons of its start"):
        replace(net, horizons=(6.0, 24.0)).fit(_later(early))
    with pytest.raises(InputError, match="sessions"):
        replace(net, horizons=(24.0, 48.0)).fit(_later(make_panel(rows=250, clock="sessions")))
    with pytest.raises(ArtefactError, match="cannot be read"):
        DriftNet(start=str(tmp_path / "nowhere"))


def test_no_row_after_the_start_is_needed(elsewhere, make_panel):
    """A panel that ends with the very instant until which the start learnt is late enough."""
    start, folder = elsewhere
    panel = _reverting(make_panel(rows=420, seed=3))
    assert panel.known_at[-1] == datetime64(start.learnt_until)
    replace(QUICK, start=str(folder), epochs=1).fit(panel)
