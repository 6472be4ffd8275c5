"""The implied-volatility surface: fit, state factors, moved chains, revaluation under scenarios.

`fit.fit` makes a `Surface` of a chain, `state.state` its factors, `scenario.moved` a moved chain, `revalue.revalue` the
quantities of contracts under scenarios and `books.books` those of whole accounts.
"""

from greekdrift.surface.revalue import Revaluation
from greekdrift.surface.slices import Slice, Surface
from greekdrift.surface.state import FACTORS, PILLARS, State
from greekdrift.surface.svi import Parameters

__all__ = ["FACTORS", "PILLARS", "Parameters", "Revaluation", "Slice", "State", "Surface"]
