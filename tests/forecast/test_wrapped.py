import numpy as np
import pytest

from greekdrift.config import Component
from greekdrift.errors import ConfigError
from greekdrift.forecast import wrapped
from greekdrift.forecast.hidden import HiddenState
from greekdrift.forecast.historical import Historical


def test_a_base_is_built_as_it_is_named():
    named = Component(use="historical", chained=True)
    wrapped.check(named)
    assert wrapped.built(named, seed=3, recorder=None) == Historical(chained=True)


@pytest.mark.parametrize(
    ("base", "place"),
    [
        (Component(use="historicl"), "base.use"),
        (Component(use="fhs", scal="haris"), "base.scal"),
        (Component(use="drift_net", seed=1), "base.seed"),
    ],
)
def test_a_wrong_base_is_refused_with_its_place(base, place):
    with pytest.raises(ConfigError, match=place):
        wrapped.check(base)


def test_base_and_record_come_back(make_panel):
    panel = make_panel(rows=80)
    base = Historical(chained=True).fit(panel)
    record = HiddenState(variance=(1.0, 2.0), stay=(0.9, 0.8))
    config, arrays = wrapped.pack("mine", base, state=record)
    assert {name.partition(".")[0] for name in arrays} == {"base"}
    name, again, kept = wrapped.unpack(config, arrays, state=HiddenState)
    assert (name, kept) == ("mine", record)
    one, two = (each.predict(panel, horizons=(6.0,), n=9, seed=4).increments for each in (base, again))
    np.testing.assert_array_equal(one, two)
