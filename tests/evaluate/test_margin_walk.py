"""The walk of margin: what came equals a full recomputation, foresight is right, kept walks are the same bytes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from greekdrift.book import RuleSet
from greekdrift.config import load_rules
from greekdrift.errors import ConfigError, InputError
from greekdrift.evaluate.margin_card import MarginCard, margin_card
from greekdrift.evaluate.margin_measures import LOSSES
from greekdrift.evaluate.margin_results import LEVELS, MarginResults, MarginSettings, called
from greekdrift.evaluate.margin_rules import RULES, base_rate, fixed_before, past_needs, reserve, simple_rules
from greekdrift.evaluate.margin_stored import KeptMargin, stored_margin_walk
from greekdrift.evaluate.margin_walk import margin_walk
from greekdrift.evaluate.settings import Settings
from greekdrift.evaluate.stored import Kept
from greekdrift.features.books import reference_books
from greekdrift.features.panel import Panel
from greekdrift.forecast.clock import Clock
from greekdrift.forecast.forecaster import Forecaster
from greekdrift.forecast.historical import Historical
from greekdrift.margin import naive_engine
from greekdrift.market.simulate import SimulatedSource
from greekdrift.units import from_datetime64, instant

ASKED = Settings(
    start=instant("2025-01-26T00:00Z"),
    horizons=(24.0,),
    checks=(6.0, 12.0),
    refit_hours=120.0,
    every=5,
    scenarios=40,
    min_train=10,
    seed=3,
)
MARGIN = MarginSettings(makers=2)


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rules("derive_pm2")


@pytest.fixture(scope="module")
def found(source: SimulatedSource, panel: Panel, rules: RuleSet, foresight: Forecaster) -> MarginResults:
    forecasters = {"clock": Clock(), "historical": Historical(), "foresight": foresight}
    return margin_walk(panel, source, forecasters, ASKED, margin=MARGIN, rules=rules)


@pytest.fixture(scope="module")
def card(found: MarginResults) -> MarginCard:
    return margin_card(found, against=("historical",), draws=50)


def test_what_came_is_the_excess_of_the_account_as_it_stands_later(
    found: MarginResults, source: SimulatedSource, panel: Panel, rules: RuleSet
) -> None:
    """Recomputed by the slow truth on the later chain, positions that live on, coins paid added to the collateral."""
    row = int(found.tested[2])
    target = int(np.argmin(np.abs(panel.hours - panel.hours[row] - 24.0)))
    now, later = (source.chain(from_datetime64(panel.as_of[at])) for at in (row, target))
    books = {one.account_id: one for one in reference_books(now, seed=ASKED.books_seed, makers=2)}
    checked = 0
    for place, name in enumerate(found.books):
        if name not in books:
            continue
        account = replace(books[name], collateral={})
        if any(one.instrument.name not in later.row_of for one in account.positions):
            continue
        before = naive_engine.requirement(now, account, rules)
        perpetual = next(one for one in account.positions if one.instrument.name.endswith("PERPETUAL"))
        at = [chain.row_of[perpetual.instrument.name] for chain in (now, later)]
        per_coin = perpetual.quantity * now.contract_size[at[0]]
        paid = per_coin * (1.0 / now.forward[at[0]] - 1.0 / later.forward[at[1]])
        after = naive_engine.requirement(later, replace(account, collateral={"BTC": float(paid)}), rules)
        expected = before.excess_usd - after.excess_usd
        assert found.truth.fall[row, place] == pytest.approx(expected, rel=1e-9, abs=1e-6 * before.initial_margin_usd)
        assert found.truth.initial_margin[row, place] == pytest.approx(before.initial_margin_usd, rel=1e-9)
        checked += 1
    assert checked >= 5


def test_a_peak_is_at_least_the_end(found: MarginResults) -> None:
    is_there = np.isfinite(found.truth.peak)
    assert np.any(is_there)
    assert np.all(found.truth.peak[is_there] >= found.truth.fall[is_there])


def test_who_knows_the_move_knows_the_fall(found: MarginResults) -> None:
    """The fitted surface alone stands between foresight and what came: a small share of what the clock misses."""
    sight, clock = (np.nanmean(found.of(name).crps / found.unit) for name in ("foresight", "clock"))
    assert sight < 0.25 * clock


def test_quantiles_rise_with_their_level(found: MarginResults) -> None:
    stated = found.of("historical").quantiles
    assert stated.shape[-1] == len(LEVELS)
    assert np.all(np.diff(stated[np.isfinite(stated[..., 0])], axis=-1) >= 0.0)
    call = found.of("historical").call
    assert np.all((call >= 0.0) & (call <= 1.0) | np.isnan(call))


def test_simple_rules_see_nothing_that_was_not_known(found: MarginResults) -> None:
    """Falls whose end was known later than an origin are changed: no rule of that origin moves."""
    half = len(found.tested) // 2
    moment = found.known_at[found.tested[half]]
    is_later = ~(found.target_known_at <= moment)
    truth = replace(found.truth, fall=found.truth.fall.copy(), peak=found.truth.peak.copy())
    truth.fall[is_later] *= -50.0
    truth.peak[is_later] *= -50.0
    other = replace(found, truth=truth)
    assert np.array_equal(
        past_needs(found)[: found.tested[half] + 1], past_needs(other)[: found.tested[half] + 1], equal_nan=True
    )
    assert np.array_equal(base_rate(found)[: half + 1], base_rate(other)[: half + 1], equal_nan=True)
    for name, shape in simple_rules(found).items():
        kept = fixed_before(found, shape)[: half + 1]
        assert np.array_equal(kept, fixed_before(other, simple_rules(other)[name])[: half + 1], equal_nan=True)
    assert not np.array_equal(past_needs(found), past_needs(other), equal_nan=True)


def test_a_reserve_is_a_share_of_the_quantile_and_never_negative(found: MarginResults) -> None:
    own = reserve(found, "historical")
    is_there = np.isfinite(own)
    assert np.all(own[is_there] >= 0.0)
    stated = MARGIN.gate_share * found.of("historical").quantile(0.99) / found.unit
    assert np.allclose(own[is_there], np.maximum(stated, 0.0)[is_there])


def test_a_forecaster_against_itself_is_exactly_one(card: MarginCard) -> None:
    for metric in ("pinball 95", "pinball 99", "crps", "shortfall", "shortfall per book", "reserve at equal shortfall"):
        one = card.find("historical", metric, "historical")
        assert one is not None, metric
        assert one.value == 1.0, metric


def test_the_scorecard_shows_every_rule_and_forecaster(card: MarginCard) -> None:
    text = card.text()
    assert all(rule in text for rule in RULES)
    assert all(name in text for name in card.forecasters)
    assert card.best in RULES
    assert card.markdown().count("###") == len(card.plain()["tables"]) == 6
    assert len(card.coverage) == len(card.forecasters) * len(LOSSES)
    foresight = card.find("foresight", "crps", "historical")
    assert foresight is not None
    assert foresight.value < 0.3


def test_kept_walks_are_the_same_and_are_not_walked_again(
    found: MarginResults, source: SimulatedSource, panel: Panel, rules: RuleSet, tmp_path: Path
) -> None:
    kept = KeptMargin.of(Kept.of(panel, source, ASKED, cache=tmp_path), MARGIN, rules)
    first = stored_margin_walk(kept, {"historical": Historical()})
    assert kept.is_kept(Historical())
    assert not kept.is_kept(Clock())
    told: list[tuple[int, int]] = []
    again = stored_margin_walk(kept, {"historical": Historical()}, progress=lambda done, of: told.append((done, of)))
    assert not told
    for name, array in first.of("historical").arrays().items():
        assert np.array_equal(array, again.of("historical").arrays()[name], equal_nan=True)
        assert np.array_equal(array, found.of("historical").arrays()[name], equal_nan=True)
    assert np.array_equal(first.truth.fall, found.truth.fall, equal_nan=True)
    other = KeptMargin.of(kept.kept, replace(MARGIN, cushion=1.2), rules)
    assert not other.is_kept(Historical())


def test_a_call_is_seen_where_the_cushion_does_not_last() -> None:
    fall, requirement = np.array([9.0, 11.0, np.nan]), np.full(3, 100.0)
    assert np.array_equal(called(fall, requirement, cushion=1.1), [0.0, 1.0, np.nan], equal_nan=True)


def test_settings_that_cannot_be_are_refused(found: MarginResults) -> None:
    for wrong in ({"gate_level": 0.97}, {"gate_share": 0.0}, {"cushion": 0.9}, {"gate_share": float("nan")}):
        with pytest.raises(ConfigError, match="margin"):
            MarginSettings(**wrong)
    with pytest.raises(InputError, match="historical"):
        found.of("historicl")
    with pytest.raises(InputError, match="no quantile at"):
        found.of("clock").quantile(0.42)
