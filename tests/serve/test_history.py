"""The history that serving makes of a past and a chain is the panel that a build with that chain gives, bit by bit."""

from dataclasses import replace

import numpy as np
import pytest

from greekdrift.config import load_venue
from greekdrift.errors import DataError
from greekdrift.features.calendar import StepHours
from greekdrift.features.cross import Correlation
from greekdrift.features.events import EventsAhead, Schedule
from greekdrift.features.outside import OutsideLevel, RecordAge
from greekdrift.features.panel import build
from greekdrift.features.premia import SkewPremium, VolOfVol
from greekdrift.features.ranges import BarVariance
from greekdrift.features.realised import Bipower, Semivariance
from greekdrift.features.table import FEATURES
from greekdrift.market.series import Series, example
from greekdrift.market.simulate import SimulatedSource
from greekdrift.serve.history import with_chain
from greekdrift.units import datetime64

RECORD = "bars/{underlying}"
OWN = (
    *FEATURES,
    Bipower(hours=72.0),
    Semivariance(hours=72.0, side="down"),
    VolOfVol(hours=72.0),
    SkewPremium(hours=72.0),
    Correlation(hours=72.0),
    StepHours(),
    BarVariance(history=RECORD, hours=48.0),
    OutsideLevel(history=RECORD),
    RecordAge(history=RECORD),
    EventsAhead(schedule=Schedule(name="fomc", events={"2027-01-01T00:00Z": "2020-01-01T00:00Z"}), hours=240.0),
)
"""What every panel carries and one feature of each kind beside it."""


@pytest.fixture(scope="module")
def source() -> SimulatedSource:
    return SimulatedSource(venue=load_venue("deribit"), seed=5, underlyings=("BTC", "ETH"), days=8.0)


@pytest.fixture(scope="module")
def bars(source: SimulatedSource) -> dict[str, Series]:
    """Hourly closes of both coins over the simulated time, known a minute later."""
    begin = datetime64(source.snapshots()[0]) - np.timedelta64(60, "h")
    found = {}
    for at, name in enumerate(("BTC", "ETH")):
        one = example(rows=400, name=f"bars/{name}")
        shift = begin - one.event_time[0]
        walk = 1e5 * np.exp(np.cumsum(np.random.default_rng(at).normal(0.0, 0.01, size=(400, 1)), axis=0))
        found[one.name] = replace(
            one,
            event_time=one.event_time + shift,
            known_at=one.known_at + shift,
            columns=("open", "high", "low", "close"),
            units=4 * ("USD",),
            values=walk * [1.0, 1.01, 0.99, 1.0],
        )
    return found


def test_serving_equals_the_panel_byte_for_byte(source: SimulatedSource, bars: dict[str, Series]) -> None:
    whole = build(source, features=OWN, histories=bars)
    chain = source.chain(source.snapshots()[-1])
    past = build(source, features=OWN, histories=bars).until(whole.known_at[-2])
    served = with_chain(replace(past, histories=bars), chain, features=OWN)
    assert served.feature_names == tuple(feature.name for feature in OWN)
    for name in ("as_of", "known_at", "state", "features"):
        assert getattr(served, name).tobytes() == getattr(whole, name).tobytes(), name
    own = served.features[-1, :, len(FEATURES) :]
    assert np.isfinite(own).all(), [feature.name for feature in OWN[len(FEATURES) :]]


def test_what_became_known_after_the_chain_is_left_out(source: SimulatedSource, bars: dict[str, Series]) -> None:
    whole = build(source, features=OWN, histories=bars)
    chain = source.chain(source.snapshots()[-3])
    served = with_chain(whole, chain, features=OWN)
    assert len(served) == len(whole) - 2
    assert served.features.tobytes() == whole.features[:-2].tobytes()


def test_a_history_with_other_features_is_refused(source: SimulatedSource, bars: dict[str, Series]) -> None:
    chain = source.chain(source.snapshots()[-1])
    with pytest.raises(DataError, match=r"other features.*vol_of_vol_30_72h.*give those"):
        with_chain(build(source, features=OWN, histories=bars), chain)
    with pytest.raises(DataError, match="in another order"):
        with_chain(build(source, features=FEATURES[::-1]), chain)
