"""The protocol, and how a wrong instant is answered."""

from datetime import timedelta

import pytest

from greekdrift.config import load_venue
from greekdrift.errors import DataError
from greekdrift.market import Source
from greekdrift.market.packaged import QmomsSource
from greekdrift.market.simulate import SimulatedSource
from greekdrift.market.source import available, closest, position
from greekdrift.units import instant

START = instant("2026-02-05T04:00Z")
MANY = tuple(START + timedelta(hours=6 * count) for count in range(20))


def sources() -> list[Source]:
    """Every source answers the protocol (the type checker holds this line)."""
    return [
        SimulatedSource(venue=load_venue("deribit"), seed=1, days=1.0),
        QmomsSource(venue=load_venue("equity"), underlyings=("IBM",)),
    ]


@pytest.mark.parametrize("source", sources(), ids=lambda one: one.name)
def test_every_source_gives_a_chain_of_its_underlyings_at_its_snapshots(source: Source):
    snapshots = source.snapshots()
    assert list(snapshots) == sorted(set(snapshots))
    assert source.clock in {"elapsed", "sessions"}
    assert source.step_hours > 0.0
    for moment in (snapshots[0], snapshots[-1]):
        chain = source.chain(moment)
        assert chain.as_of == moment
        assert chain.underlyings == source.underlyings
    with pytest.raises(DataError, match="has no chain at"):
        source.chain(snapshots[0] + timedelta(minutes=1))


def test_position():
    assert position(MANY, MANY[7], name="x") == 7
    with pytest.raises(
        DataError, match=r"x has no chain at .*20 instants from 2026-02-05T04:00:00Z .* the nearest 2026-02-09T"
    ):
        position(MANY, MANY[-1] + timedelta(hours=1), name="x")


def test_closest_is_never_far():
    assert closest(MANY, MANY[3] + timedelta(minutes=9), name="x") == MANY[3]
    with pytest.raises(DataError, match="within 10 minutes"):
        closest(MANY, MANY[3] + timedelta(minutes=11), name="x")


def test_available_shortens_a_long_list():
    assert available(MANY).count("2026-02-") == 5
    assert available(MANY[:6]).startswith("6 instants: ")
