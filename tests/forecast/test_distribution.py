from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest

from greekdrift.book import Account, Band, Mandate, Position, View
from greekdrift.config import load_venue
from greekdrift.errors import InputError
from greekdrift.forecast.distribution import Forecast, forecast
from greekdrift.greeks.bands import band_values
from greekdrift.greeks.exposure import exposure
from greekdrift.market.simulate import SimulatedSource
from greekdrift.surface.revalue import revalue

BANDS = (
    Band(greek="delta", underlying="BTC", lower=-0.2, upper=0.2),
    Band(greek="delta", underlying="BTC", lower=-2.0, upper=9.0, view=View.COLLATERAL),
    Band(greek="gamma", underlying="BTC", lower=-1e-3, upper=1e-3),
    Band(greek="vega", underlying="BTC", lower=-1e6, upper=1e6, tenor_days=(0.0, 30.0)),
)


def _mandate(bands):
    return Mandate(
        rule_set="derive_pm2",
        bands=bands,
        liquidity_buffer_usd=0.0,
        venues=("deribit",),
        max_order_notional_usd=1e6,
        max_cost_usd=1e4,
    )


@pytest.fixture(scope="module")
def market():
    source = SimulatedSource(venue=load_venue("deribit"), seed=3, days=4.0)
    moment = source.snapshots()[8]
    chain, surface = source.chain(moment), source.surface(moment)
    near = [row for row in np.flatnonzero(chain.is_option) if chain.underlying[row] == "BTC"]
    middle = sorted(
        near, key=lambda row: (chain.time_to_expiry[row], abs(chain.strike[row] / chain.forward[row] - 1.0))
    )
    later = [row for row in middle if chain.time_to_expiry[row] > 10.0 / 365.0]
    positions = tuple(
        Position.of(chain.instruments[row].name, quantity)
        for row, quantity in ((middle[0], -2.0), (later[0], -5.0), (chain.rows(["BTC-PERPETUAL"])[0], 1000.0))
    )
    accounts = (
        Account(account_id="writer", collateral={"BTC": 3.0}, positions=positions, mandate=_mandate(BANDS)),
        Account(account_id="flat", collateral={"USDC": 1e5}, positions=(), mandate=_mandate(BANDS[:1])),
        Account(account_id="silent", collateral={"BTC": 1.0}, positions=positions[:1]),
    )
    held = np.unique(np.concatenate([chain.rows(account.quantities()) for account in accounts]))
    return source, moment, chain, surface, accounts, held


NAMES = ("value_usd", "delta_usd", "delta_net", "gamma", "vega", "theta", "pnl_coin")


def _made(market, *, horizons=(6.0, 12.0, 24.0), n=200):
    source, moment, chain, surface, accounts, held = market
    scenarios = source.true_scenarios(moment, horizons=horizons, n=n, seed=0)
    return forecast(chain, accounts, revalue(chain, surface, scenarios, rows=held, names=NAMES), provenance="truth")


def test_values_now_are_those_of_the_calculator(market):
    _, _, chain, _, accounts, _ = market
    made = _made(market)
    for label, value in band_values(chain, accounts[0]).items():
        assert made.value_now("writer", label) == pytest.approx(value, rel=1e-9)
    greeks = exposure(chain, accounts)
    assert made.value_now("silent", "vega of BTC") == pytest.approx(greeks.value("silent", "BTC", "vega"))


def test_a_scenario_that_happens_gives_the_values_of_the_moved_chain(market):
    """Frozen state, no time: every band keeps its value in every scenario."""
    _, _, chain, surface, accounts, held = market
    scenarios = _scenarios(market, np.zeros((3, 1, 2, 26)), horizons=(0.0,))
    made = forecast(chain, accounts, revalue(chain, surface, scenarios, rows=held, names=NAMES))
    for label, value in band_values(chain, accounts[0]).items():
        np.testing.assert_allclose(made.of("writer", label), value, rtol=1e-9)


def _scenarios(market, increments, *, horizons):
    source, moment, *_ = market
    drawn = source.true_scenarios(moment, horizons=(6.0,), n=len(increments), seed=0)
    return replace(drawn, increments=increments, horizons=np.array(horizons))


def test_collateral_delta_moves_with_the_coin_profit(market):
    _, _, chain, surface, accounts, held = market
    up = np.zeros((1, 1, 2, 26))
    up[..., 0] = 0.05
    revalued = revalue(chain, surface, _scenarios(market, up, horizons=(6.0,)), rows=held, names=NAMES)
    made = forecast(chain, accounts, revalued)
    net, collateral = made.of("writer", "BTC delta (net)"), made.of("writer", "BTC delta (collateral)")
    coins = made.value_now("writer", "BTC delta (collateral)") - made.value_now("writer", "BTC delta (net)")
    mine = np.array([accounts[0].quantities().get(chain.instruments[row].name, 0.0) for row in held])
    np.testing.assert_allclose(collateral - net, coins + revalued.book("pnl_coin", mine)[..., 0], rtol=1e-9)


def test_gamma_fades_and_vega_leaves_its_bucket_with_the_clock(market):
    _, _, chain, surface, accounts, held = market
    horizons = (6.0, 20.0 * 24.0)
    revalued = revalue(
        chain, surface, _scenarios(market, np.zeros((1, 2, 2, 26)), horizons=horizons), rows=held, names=NAMES
    )
    made = forecast(chain, accounts, revalued)
    assert abs(made.of("writer", "BTC gamma")[0, 0]) > 0.0
    left = revalued.time_to_expiry[1] * 365.0
    mine = np.array([accounts[0].quantities().get(chain.instruments[row].name, 0.0) for row in held])
    vega = revalued.cube("vega")[0, 1]
    inside = chain.is_option[held] & (left < 30.0)
    assert made.of("writer", "BTC vega 0-30d")[0, 1] == pytest.approx(float((vega * inside) @ mine))


def test_quantiles_mean_and_cdf_agree_with_the_samples(market):
    made = _made(market)
    samples = made.of("writer", "pnl_usd")
    np.testing.assert_allclose(made.mean("writer", "pnl_usd"), samples.mean(axis=0))
    low, middle, high = made.quantile("writer", "pnl_usd", (0.05, 0.5, 0.95))
    assert np.all((low < middle) & (middle < high))
    np.testing.assert_allclose(made.cdf("writer", "pnl_usd", float(np.median(samples[:, 0])))[0], 0.5, atol=0.01)
    drawn = made.sample("writer", "pnl_usd", n=4000, random=np.random.default_rng(0))
    np.testing.assert_allclose(drawn.mean(axis=0), samples.mean(axis=0), atol=0.1 * samples.std(axis=0).max())


def _forecast(paths, *, weights=None, lower=-1.0, upper=1.0):
    """One account with one banded quantity on given paths (scenario, check)."""
    band = Band(greek="delta", underlying="BTC", lower=lower, upper=upper)
    paths = np.asarray(paths, dtype=float)
    n = len(paths)
    return Forecast(
        account_ids=("a",),
        quantities=(band.label,),
        horizons=6.0 * (1.0 + np.arange(paths.shape[1])),
        samples=paths[:, :, None, None],
        weights=np.full(n, 1.0 / n) if weights is None else np.asarray(weights),
        now=np.zeros((1, 1)),
        as_of=datetime(2026, 1, 1, tzinfo=UTC),
        bands={"a": (band,)},
    ), band.label


def test_the_first_breach_is_counted_once_and_by_interval():
    made, label = _forecast([[0.0, 2.0, 0.0], [2.0, 0.0, 2.0], [0.0, 0.0, -3.0], [0.0, 1.0, 0.5]])
    breach = made.time_to_breach("a", label)
    np.testing.assert_allclose(breach.probability, [0.25, 0.25, 0.25])
    assert breach.never == pytest.approx(0.25)
    assert made.breach_probability("a", label) == pytest.approx(0.75)
    assert made.breach_probability("a", label, within=12.0) == pytest.approx(0.5)


def test_weights_count():
    made, label = _forecast([[0.0], [2.0]], weights=[0.9, 0.1])
    assert made.breach_probability("a", label) == pytest.approx(0.1)
    assert made.mean("a", label)[0] == pytest.approx(0.2)


def test_a_wider_band_never_breaks_more_often(market):
    rng = np.random.default_rng(0)
    paths = np.cumsum(rng.standard_normal((500, 4)), axis=1)
    chances = []
    for width in (0.5, 1.0, 2.0, 4.0):
        made, label = _forecast(paths, lower=-width, upper=width)
        chances.append(made.breach_probability("a", label))
    assert all(later <= earlier for earlier, later in pairwise(chances))


def test_time_below_a_level():
    made, label = _forecast([[0.0, -1.0], [0.0, 0.0], [-1.0, -1.0], [0.0, 0.0]])
    np.testing.assert_allclose(made.time_below("a", label, -0.5).probability, [0.25, 0.25])


def test_extra_quantities_join_the_rest(market):
    source, moment, chain, surface, accounts, held = market
    scenarios = source.true_scenarios(moment, horizons=(6.0, 24.0), n=50, seed=0)
    margin = np.abs(np.random.default_rng(0).standard_normal((50, 2, 3)))
    made = forecast(
        chain,
        accounts,
        revalue(chain, surface, scenarios, rows=held, names=NAMES),
        extra={"initial_margin_usd": margin},
        extra_now={"initial_margin_usd": np.array([1.0, 2.0, 3.0])},
    )
    np.testing.assert_array_equal(made.of("flat", "initial_margin_usd"), margin[:, :, 1])
    assert made.value_now("silent", "initial_margin_usd") == 3.0
    assert made.joint("silent").shape == (50, 2, len(made.quantities_of("silent")))


def test_what_an_account_does_not_have_is_named(market):
    made = _made(market)
    with pytest.raises(InputError, match="flat has no"):
        made.of("flat", "BTC gamma")
    with pytest.raises(InputError, match="did you mean"):
        made.of("flat", "BTC gama")
    with pytest.raises(InputError, match='no account "ghost"'):
        made.of("ghost", "pnl_usd")
    with pytest.raises(InputError, match="it has no bands"):
        made.band("silent", "BTC gamma")
    with pytest.raises(InputError, match="no check within 1 h"):
        made.breach_probability("writer", "BTC gamma", within=1.0)


def test_a_held_row_that_was_not_revalued_is_refused(market):
    source, moment, chain, surface, accounts, held = market
    scenarios = source.true_scenarios(moment, horizons=(6.0,), n=10, seed=0)
    short = revalue(chain, surface, scenarios, rows=held[:-1], names=NAMES)
    with pytest.raises(InputError, match="writer holds"):
        forecast(chain, accounts, short)


def test_numbers_that_are_none_are_refused():
    with pytest.raises(InputError, match="some scenarios only"):
        _forecast([[0.0, np.nan], [1.0, 1.0]])


def test_errors_and_shortfalls_stand_beside_the_figures(market):
    made = _made(market)
    assert np.all(made.mean_error("writer", "pnl_usd") > 0.0)
    assert made.quantile_error("writer", "pnl_usd", (0.1, 0.9)).shape == (2, 3)
    low, error = made.expected_shortfall("writer", "pnl_usd", level=0.9)
    high, _ = made.expected_shortfall("writer", "pnl_usd", level=0.9, is_high_bad=True)
    assert np.all(low < made.quantile("writer", "pnl_usd", (0.1,))[0] + 1e-9)
    assert np.all(high > made.mean("writer", "pnl_usd"))
    assert np.all(error > 0.0)
    breach = made.time_to_breach("writer", "BTC delta (net)")
    assert breach.within[-1] == pytest.approx(breach.by(24.0))
    assert np.all(breach.within_error > 0.0)


def test_any_interval_can_be_asked_for(market):
    made = _made(market)
    values = made.of("writer", "vega of BTC")
    lower, upper = np.quantile(values, (0.3, 0.8))
    chance = made.time_outside("writer", "vega of BTC", lower=lower, upper=upper).by(24.0)
    assert chance == pytest.approx(np.mean(np.any((values < lower) | (values > upper), axis=1)))
    with pytest.raises(InputError, match="must be below"):
        made.time_outside("writer", "vega of BTC", lower=1.0, upper=1.0)
    tighter = made.with_bands("writer", [replace(BANDS[0], lower=-0.01, upper=0.01)])
    label = BANDS[0].label
    assert tighter.breach_probability("writer", label) >= made.breach_probability("writer", label)
    with pytest.raises(InputError, match="did you mean"):
        made.with_bands("writer", [replace(BANDS[3], tenor_days=(0.0, 31.0))])


def test_a_collateral_delta_can_be_asked_for(market):
    source, moment, chain, surface, accounts, held = market
    scenarios = source.true_scenarios(moment, horizons=(6.0,), n=50, seed=0)
    revalued = revalue(chain, surface, scenarios, rows=held, names=NAMES)
    made = forecast(chain, accounts, revalued, names=("delta_collateral",))
    np.testing.assert_allclose(
        made.of("writer", "delta_collateral of BTC"), made.of("writer", "BTC delta (collateral)"), rtol=1e-10
    )
    assert made.value_now("writer", "delta_collateral of BTC") == pytest.approx(
        made.value_now("writer", "BTC delta (collateral)")
    )
