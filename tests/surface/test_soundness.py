import numpy as np
import pytest

from greekdrift.surface import FACTORS
from greekdrift.surface.soundness import check
from greekdrift.surface.state import FORWARD, LEVEL, SKEW


def still(scenarios: int) -> np.ndarray:
    return np.zeros((scenarios, 1, 2, len(FACTORS)))


def test_the_unmoved_surface_of_clean_smiles_is_sound(chain, surface, scenarios):
    found = check(chain, surface, scenarios(still(1), (0.0,)))
    assert found.share_butterfly == found.share_calendar == 0.0
    assert found.scenarios().size == 0
    assert len(found.expiries) == len(surface.slices)
    assert found.butterfly.shape == found.calendar.shape == (1, 1, len(surface.slices))


def test_violent_bends_are_reported_with_their_scenario_and_expiry(chain, surface, scenarios):
    increments = still(4)
    increments[1, :, 0, SKEW] = -1.5
    increments[3, :, 1, LEVEL] = np.linspace(2.0, -2.0, 8)
    found = check(chain, surface, scenarios(increments, (6.0,), weights=np.array([0.1, 0.2, 0.3, 0.4])))
    assert found.scenarios().tolist() == [1, 3]
    assert found.share_butterfly == pytest.approx(0.2)
    assert found.calendar[3].any()
    labels = [label for label, is_bad in zip(found.expiries, found.calendar[3, 0], strict=True) if is_bad]
    assert {name for name, _ in labels} == {"ETH"}
    assert "20.0% " in found.describe() or "20.0%," in found.describe()
    assert 0.0 < found.share_of_cells[0] < 1.0


def test_expired_slices_hold_no_arbitrage(chain, surface, scenarios):
    increments = still(1)
    increments[..., SKEW] = -1.5
    found = check(chain, surface, scenarios(increments, (24.0,)))
    gone = [at for at, (_, expiry) in enumerate(found.expiries) if (expiry - chain.as_of).total_seconds() <= 86_400]
    assert gone
    assert not found.butterfly[..., gone].any()


def test_a_forward_move_alone_keeps_a_clean_surface_clean_of_butterflies(chain, surface, scenarios):
    increments = still(3)
    increments[:, 0, :, FORWARD] = np.array([-0.3, 0.1, 0.4])[:, None]
    assert check(chain, surface, scenarios(increments, (0.0,))).share_butterfly == 0.0
