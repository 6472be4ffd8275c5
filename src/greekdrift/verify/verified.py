"""The two answers of the judge. A `Verified` is made here, under a seal that `verify.checks` alone imports."""

from dataclasses import InitVar, dataclass

from greekdrift.book import Adjustment, Finding
from greekdrift.errors import InputError
from greekdrift.verify.certificate import Certificate

SEAL = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """An adjustment that the judge has recomputed and found right; nothing else may leave."""

    adjustment: Adjustment
    certificate: Certificate
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not SEAL:
            raise InputError("a Verified is made by greekdrift.verify.verify and by nothing else.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """An adjustment that is not right: all findings of the stage at which it failed, the passed ones too."""

    findings: tuple[Finding, ...]

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The findings that refuse it."""
        return tuple(one for one in self.findings if not one.passed)
