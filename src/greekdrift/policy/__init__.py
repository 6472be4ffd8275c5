"""Policy: bands, hedges as one convex programme over scenarios, and margin ahead of the event."""

from greekdrift.policy.case import Case, case
from greekdrift.policy.hedge import baseline, propose
from greekdrift.policy.objective import Proposal
from greekdrift.policy.reactive import reactive

__all__ = ["Case", "Proposal", "baseline", "case", "propose", "reactive"]
