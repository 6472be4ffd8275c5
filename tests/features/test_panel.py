from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from greekdrift.book import Chain
from greekdrift.config.data_set import load_data_set
from greekdrift.errors import CalculationError, DataError
from greekdrift.features import states
from greekdrift.features.history import HOUR
from greekdrift.features.panel import build, from_histories
from greekdrift.features.realised import Return
from greekdrift.features.table import FEATURES
from greekdrift.market.series import Series, series
from greekdrift.market.series_files import load
from greekdrift.surface.fit import fit
from greekdrift.surface.state import FACTORS, state


class Listed:
    """A source of given chains that counts what is read."""

    name = "listed"
    step_hours = 6.0
    clock = "elapsed"

    def __init__(self, chains: Sequence[Chain]) -> None:
        self._chains = {chain.as_of: chain for chain in chains}
        self.underlyings = chains[0].underlyings if chains else ()
        self.read = 0

    def snapshots(self) -> tuple[datetime, ...]:
        return tuple(self._chains)

    def chain(self, as_of: datetime) -> Chain:
        self.read += 1
        return self._chains[as_of]


class Sealed(Listed):
    """One that knows the digest of its content."""

    digest = "3f2a"


@pytest.fixture
def chains(chain_of: Any) -> list[Chain]:
    random = np.random.default_rng(0)
    index = 100.0 * np.exp(np.cumsum(random.normal(size=6) * 0.01))
    return [chain_of(hours=6.0 * i, index=price, level=0.6 + 0.01 * i) for i, price in enumerate(index)]


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    done: list[datetime] = []

    def counted(chain: Chain) -> Any:
        done.append(chain.as_of)
        return fit(chain)

    monkeypatch.setattr(states, "fit", counted)
    return done


def test_a_row_is_the_fitted_state_of_its_chain(chains: list[Chain]) -> None:
    told: list[tuple[int, int]] = []
    panel = build(Listed(chains), progress=lambda done, of: told.append((done, of)))
    assert panel.factors == FACTORS
    assert panel.feature_names == tuple(feature.name for feature in FEATURES)
    assert told == [(i + 1, 6) for i in range(6)]
    for row, chain in enumerate(chains):
        np.testing.assert_array_equal(panel.state[row], state(fit(chain), chain).values)
    np.testing.assert_array_equal(panel.known_at - panel.as_of, np.timedelta64(5, "m"))


def test_a_second_build_reads_what_was_fitted(chains: list[Chain], fits: list[datetime], tmp_path: Path) -> None:
    first = build(Listed(chains), cache=tmp_path)
    assert len(fits) == 6
    again = build(Listed(chains), cache=tmp_path)
    assert len(fits) == 6
    np.testing.assert_array_equal(again.state, first.state)
    np.testing.assert_array_equal(again.known_at, first.known_at)
    np.testing.assert_array_equal(again.features, first.features)


def test_a_source_that_knows_its_digest_is_not_read_again(chains: list[Chain], tmp_path: Path) -> None:
    first = build(Sealed(chains), cache=tmp_path)
    source = Sealed(chains)
    again = build(source, cache=tmp_path)
    assert source.read == 0
    np.testing.assert_array_equal(again.state, first.state)
    changed = Sealed(chains[:5])
    assert len(build(changed, cache=tmp_path)) == 5
    other = Sealed(chains)
    other.digest = "9c11"
    build(other, cache=tmp_path)
    assert other.read == 6


def test_new_or_changed_quotes_are_fitted_and_nothing_else(
    chains: list[Chain], fits: list[datetime], tmp_path: Path
) -> None:
    build(Listed(chains[:4]), cache=tmp_path)
    moved = chains[1]
    changed = [chains[0], replace(moved, mark_iv=moved.mark_iv * 1.01), *chains[2:]]
    panel = build(Listed(changed), cache=tmp_path)
    assert fits[4:] == [chains[1].as_of, chains[4].as_of, chains[5].as_of]
    np.testing.assert_array_equal(panel.state[1], state(fit(changed[1]), changed[1]).values)


def test_a_damaged_file_is_fitted_again(
    chains: list[Chain], fits: list[datetime], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    build(Listed(chains[:2]), cache=tmp_path)
    (file,) = tmp_path.glob("states-*.npz")
    file.write_bytes(file.read_bytes()[:100])
    build(Listed(chains[:2]), cache=tmp_path)
    assert len(fits) == 4
    assert "cannot be used" in caplog.text
    file.write_bytes(b"nothing")
    build(Listed(chains[:2]), cache=tmp_path)
    assert len(fits) == 6


def test_a_chain_without_a_surface_is_missing_not_zero(
    chains: list[Chain], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(chain: Chain) -> Any:
        if chain.as_of == chains[1].as_of:
            raise CalculationError("no option")
        return fit(chain)

    monkeypatch.setattr(states, "fit", refuse)
    panel = build(Listed(chains[:3]))
    assert np.isnan(panel.state[1]).all()
    assert np.isfinite(panel.state[[0, 2]]).all()
    assert "no state at" in caplog.text


def test_an_underlying_that_a_chain_lacks_is_missing(chains: list[Chain]) -> None:
    source = Listed(chains[:2])
    source.underlyings = ("BTC", "ETH")
    panel = build(source)
    assert np.isfinite(panel.state[:, 0]).all()
    assert np.isnan(panel.state[:, 1]).all()


def test_an_empty_source_is_refused() -> None:
    with pytest.raises(DataError, match="no snapshots"):
        build(Listed([]))


def _history(name: str, hours: list[float], *, late: float = 1.0, values: list[float] | None = None) -> Series:
    event_time = np.datetime64("2026-01-01", "us") + (np.array(hours) * 3.6e9).astype("timedelta64[us]")
    return series(
        name,
        event_time=event_time,
        known_at=event_time + np.timedelta64(round(late * 3600.0), "s"),
        columns=["close"],
        units=["USD"],
        values=np.array(values or hours)[:, None],
        hole_hours=3.0,
        lag_hours=late,
    )


def test_long_histories_become_rows_at_their_events() -> None:
    records = {"A": _history("a", [1.0, 2.0, 5.0]), "B": _history("b", [2.0, 3.5], late=2.0)}
    panel = from_histories(records, {"forward": "close"}, step_hours=1.0)
    hours = (panel.as_of - np.datetime64("2026-01-01")) / HOUR
    assert hours.tolist() == [1.0, 2.0, 3.5, 5.0]
    assert ((panel.known_at - panel.as_of) / HOUR).tolist() == [1.0, 2.0, 2.0, 1.0]
    np.testing.assert_array_equal(panel.factor("forward"), [[1.0, np.nan], [2.0, 2.0], [np.nan, 3.5], [5.0, np.nan]])
    moment = panel.known_at[2]
    known = {name: one.until(moment) for name, one in records.items()}
    np.testing.assert_array_equal(
        panel.until(moment).state, from_histories(known, {"forward": "close"}, step_hours=1.0).until(moment).state
    )


def test_a_logarithm_of_nothing_is_refused() -> None:
    records = {"A": _history("a", [1.0, 2.0], values=[1.0, 0.0])}
    with pytest.raises(DataError, match="a: close is 0 in row 1 and has no logarithm"):
        from_histories(records, {"forward": "close"}, step_hours=1.0, logarithms=("forward",))


def test_histories_and_their_features_are_cached_with_the_states(chains: list[Chain], tmp_path: Path) -> None:
    records = {"example/BTC": _history("example/BTC", [float(hour) for hour in range(24 * 90)])}
    first = build(Sealed(chains), cache=tmp_path, histories=records)
    again = build(Sealed(chains), cache=tmp_path, histories=records)
    assert again.histories == records
    assert isinstance(again.features.base, np.memmap)
    np.testing.assert_array_equal(again.features, first.features)
    np.testing.assert_array_equal(again.features, build(Listed(chains), histories=records).features)


@pytest.mark.shared
def test_years_of_sessions_become_a_panel(shared: Path) -> None:
    described = load_data_set(Path(__file__).resolve().parents[2] / "configs" / "data" / "spx_ivs_factors.yaml")
    (surface,) = load(described, shared / "data").values()
    factors = {"forward": "close", **{f"beta_{number}": f"beta_{number}" for number in range(1, 6)}}
    panel = from_histories(
        {"SPX": surface},
        factors,
        step_hours=24.0,
        clock="sessions",
        logarithms=["forward"],
        features=(Return(hours=24.0, pillar="beta_1"),),
    )
    assert len(panel) == 5032
    assert panel.is_after_hole.sum() == 1
    assert np.isfinite(panel.features[1:]).all()
    month = panel.increments(24.0 * 21.0)
    assert len(month) == 5032 - 21


def test_no_changed_byte_of_the_stored_states_is_used(tmp_path: Path) -> None:
    day = np.array(["2026-01-01"], dtype="datetime64[us]")
    values = np.random.default_rng(0).normal(size=(1, 2, 3))
    honest = states.States(as_of=day, known_at=day, values=values, key=np.array(["k"]), source_digest="d")
    path = tmp_path / "states.npz"
    honest.write(path)
    content = path.read_bytes()
    for at in range(0, len(content), 5):
        changed = bytearray(content)
        changed[at] ^= 1 << (at % 8)
        path.write_bytes(bytes(changed))
        seen = states.States.read(path)
        if seen is not None:
            for name in ("as_of", "known_at", "values", "key"):
                np.testing.assert_array_equal(getattr(seen, name), getattr(honest, name))
            assert seen.source_digest == "d"
