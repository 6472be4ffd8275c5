"""What was known when: the panel of market states, its features, reference books and realised targets."""

from greekdrift.features.history import Increments, Panel
from greekdrift.features.table import FEATURES, with_features

__all__ = ["FEATURES", "Increments", "Panel", "with_features"]
