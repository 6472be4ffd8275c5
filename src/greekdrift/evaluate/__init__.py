"""How good forecasters are: one walk-forward path, and the scorecard that it prints."""

from greekdrift.evaluate.results import Results
from greekdrift.evaluate.scorecard import Scorecard, scorecard
from greekdrift.evaluate.settings import Settings
from greekdrift.evaluate.walk import walk

__all__ = ["Results", "Scorecard", "Settings", "scorecard", "walk"]
