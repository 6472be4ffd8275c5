import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from greekdrift.book import Band, View
from greekdrift.errors import ArtefactError, InputError
from greekdrift.forecast.intervals import LAST, LEAST, Learnt, cell_of, ends, learnt_of, read, write
from greekdrift.score import quantile
from greekdrift.units import datetime64

START = datetime(2026, 3, 1, tzinfo=UTC)
HORIZONS, CELLS = (6.0, 24.0), ("BTC vega", "all pnl_usd")


def learnt(*, rows=200, held=0.8, name="fhs:hari", tail=0.1):
    """One row every six hours, each with one more origin a horizon; `held` of each hold."""
    count = np.arange(float(rows))[:, None].repeat(2, axis=1)
    return Learnt(
        forecaster=name,
        level=0.8,
        horizons=HORIZONS,
        cells=CELLS,
        known_at=np.array([datetime64(START + timedelta(hours=6 * at)) for at in range(rows)]),
        tail=np.full((rows, 2, 2), tail) + np.arange(rows)[:, None, None] * 1e-5,
        held=held * count,
        outcomes=count,
    )


def at(row):
    return START + timedelta(hours=6 * row)


def test_which_cell_speaks_of_a_quantity():
    assert cell_of("BTC vega 0-30d", Band(greek="vega", underlying="BTC", lower=-1.0, upper=1.0)) == "BTC vega"
    net = Band(greek="delta", underlying="ETH", lower=-1.0, upper=1.0, view=View.NET)
    assert cell_of("ETH delta (net)", net) == "ETH delta_usd"
    assert [cell_of(one) for one in ("value_usd of BTC", "rho of BTC", "equity_usd")] == ["BTC pnl_usd", None, None]


def test_what_was_known_at_an_instant_and_nothing_later():
    found = learnt()
    assert found.at(START - timedelta(seconds=1)) is None
    known = found.at(at(50) + timedelta(hours=5))
    assert known.known_at == at(50)
    assert known.outcomes.tolist() == [50.0, 50.0]
    assert known.tail_of("BTC vega", 24.0) == pytest.approx(0.1 + 50e-5)
    assert known.tail_of("BTC vega", 12.0) is None
    assert known.tail_of("SOL vega", 24.0) is None
    assert known.tail_of(None, 24.0) is None
    assert found.at(START).tail_of("BTC vega", 24.0) is None


def test_coverage_is_that_of_the_last_origins():
    found = learnt(rows=400)
    late = found.held.copy()
    late[300:] = late[299] + 0.5 * (found.outcomes[300:] - found.outcomes[299])
    known = Learnt(**{name: getattr(found, name) for name in Learnt.__slots__} | {"held": late}).at(at(399))
    assert known.recent.tolist() == [LAST, LAST]
    assert known.coverage == pytest.approx([(0.5 * 100 + 0.8 * 20) / 120] * 2)


@pytest.mark.parametrize(("held", "is_held_against"), [(0.65, True), (0.72, False), (0.88, False), (0.95, True)])
def test_a_coverage_out_of_its_band_is_a_reason(held, is_held_against):
    reason = learnt(held=held).at(at(199)).reason
    assert bool(reason) is is_held_against
    if is_held_against:
        assert "6 h" in reason
        assert "allowed are 70% to 90%" in reason
        assert f"{held:.1%}" in reason


def test_few_origins_are_no_reason_and_no_number_is_one():
    assert learnt(held=0.2).at(at(LEAST - 1)).reason == ""
    assert learnt(held=0.2).at(at(LEAST)).reason
    known = learnt().at(at(199))
    known.coverage[1] = np.nan
    assert "24 h" in known.reason


def test_the_interval_runs_between_the_quantiles_of_the_tails():
    random = np.random.default_rng(1)
    samples, weights = random.normal(size=(99, 3)), np.full(99, 1 / 99)
    low, high = ends(samples, weights, np.array([0.1, 0.25, 0.005]))
    wanted = quantile(samples, (0.1, 0.25, 0.75, 0.9))
    assert (low[0], high[0]) == (wanted[0, 0], wanted[3, 0])
    assert (low[1], high[1]) == (wanted[1, 1], wanted[2, 1])
    assert (low[2], high[2]) == (-np.inf, np.inf)
    assert ends(samples, weights, np.full(3, -np.inf))[0].tolist() == [-np.inf] * 3


def test_a_file_gives_back_what_was_written_to_the_byte(tmp_path):
    path = tmp_path / "intervals.json"
    tails = learnt().tail
    tails[3, 0, 1] = -np.inf
    one = Learnt(**{name: getattr(learnt(), name) for name in Learnt.__slots__} | {"tail": tails})
    write(path, {"fhs:hari": one})
    again = read(path)["fhs:hari"]
    np.testing.assert_allclose(again.tail, tails, atol=1e-5)
    np.testing.assert_array_equal(again.known_at, one.known_at)
    write(tmp_path / "two.json", {"fhs:hari": again})
    assert (tmp_path / "two.json").read_bytes() == path.read_bytes()
    assert b"NaN" not in path.read_bytes()


def test_a_trained_model_has_what_it_was_judged_by(tmp_path):
    path = tmp_path / "intervals.json"
    write(path, {"net": learnt(name="net"), "net (trained)": learnt(name="net (trained)")})
    assert learnt_of(path, "net").forecaster == "net (trained)"
    assert learnt_of(path, "other") is None


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told["values"]["fhs:hari"]["tail"][0][0].__setitem__(0, 0.4),
        lambda told: told.__setitem__("version", 2),
        lambda told: told.pop("values"),
        lambda told: told.__setitem__("values", [1]),
    ],
)
def test_a_changed_file_is_refused(change, tmp_path):
    path = tmp_path / "intervals.json"
    write(path, {"fhs:hari": learnt()})
    told = json.loads(path.read_bytes())
    change(told)
    path.write_text(json.dumps(told))
    with pytest.raises(ArtefactError, match="make it again"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000])
def test_what_is_no_such_file_is_refused(content, tmp_path):
    path = tmp_path / "intervals.json"
    path.write_bytes(content)
    with pytest.raises(ArtefactError):
        read(path)
    with pytest.raises(ArtefactError):
        read(tmp_path / "absent.json")


@pytest.mark.parametrize("wrong", ["held", "instants", "level", "shape", "tail"])
def test_what_cannot_be_is_refused(wrong):
    right = learnt(rows=5)
    given = {name: getattr(right, name) for name in Learnt.__slots__}
    given |= {
        "held": {"held": 2.0 * right.outcomes},
        "instants": {"known_at": right.known_at[::-1]},
        "level": {"level": 1.0},
        "shape": {"cells": CELLS[:1]},
        "tail": {"tail": np.full(right.tail.shape, np.nan)},
    }[wrong]
    with pytest.raises(InputError, match="intervals of fhs:hari"):
        Learnt(**given)
