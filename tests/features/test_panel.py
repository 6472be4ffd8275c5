from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from greekdrift.book import Chain
from greekdrift.errors import CalculationError, DataError
from greekdrift.features import states
from greekdrift.features.panel import build
from greekdrift.features.table import FEATURES
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
