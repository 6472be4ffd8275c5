"""The implied-volatility surface: fit, state factors, moved chains, revaluation under scenarios.

`fit.fit` makes a `Surface` of a chain, `state.state` its factors, `scenario.moved` a moved chain, `revalue.revalue` the
quantities of contracts under scenarios and `books.books` those of whole accounts.
"""

from greekdrift.surface.clock import Clock, Event
from greekdrift.surface.revalue import Revaluation
from greekdrift.surface.slices import Refusal, Slice, Surface
from greekdrift.surface.state import FACTORS, PILLARS, State
from greekdrift.surface.svi import Parameters

__all__ = [
    "FACTORS",
    "PILLARS",
    "Clock",
    "Event",
    "Parameters",
    "Refusal",
    "Revaluation",
    "Slice",
    "State",
    "Surface",
]
