"""The journal: decisions on disk before they count, sealed in a chain, with the inputs that made them."""

from greekdrift.journal.hash_chain import Entry
from greekdrift.journal.inputs import Store
from greekdrift.journal.journal import Journal, Recovery, read
from greekdrift.journal.replay import ReplayReport, replay

__all__ = ["Entry", "Journal", "Recovery", "ReplayReport", "Store", "read", "replay"]
