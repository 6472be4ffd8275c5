"""The judge: recomputes everything from book and chain, and is the only maker of a `Verified`."""

from greekdrift.verify.certificate import Certificate
from greekdrift.verify.checks import verify
from greekdrift.verify.verified import Refused, Verified

__all__ = ["Certificate", "Refused", "Verified", "verify"]
