"""The certificate: what was held against what, in bytes that anyone can work out again.

Canonical encoding (`book.canonical`); `digest` is the SHA-256 of everything else in it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from types import MappingProxyType
from typing import Any, Self

from greekdrift.book import Finding, Outcome, canonical, digest
from greekdrift.errors import InputError
from greekdrift.units import aware, instant

FORMAT = 1

Compared = tuple[str, float, float]
"""What is compared, before, after."""

Stressed = tuple[str, str, float, float]
"""Stressed state of the rule set, band, before, after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The verdict on one adjustment, with the judge's own numbers.

    `digests` name account, chain, mandate, rules, venue and adjustment; `provenance` the forecaster or rule that
    proposed. `compared` holds each banded Greek (internal units), margin, equity, excess (USD) and cash, before and
    after; `stressed` each banded Greek in each stressed state; `scenarios` the P&L (USD) in each scenario of the rule
    set. `call_usd` is what is missing to the requirement after the trades, the add-on and the liquidity buffer.
    """

    format: int
    account_id: str
    as_of: datetime
    now: datetime
    valid_until: datetime
    outcome: Outcome
    digests: Mapping[str, str]
    provenance: str
    compared: tuple[Compared, ...]
    stressed: tuple[Stressed, ...]
    scenarios: tuple[Compared, ...]
    worst_scenario: tuple[str, str]
    cost_usd: float
    margin_addon_usd: float
    call_usd: float
    findings: tuple[Finding, ...]
    digest: str

    def __post_init__(self) -> None:
        for name in ("as_of", "now", "valid_until"):
            object.__setattr__(self, name, aware(getattr(self, name)))
        object.__setattr__(self, "digests", MappingProxyType(dict(sorted(self.digests.items()))))
        if self.format != FORMAT:
            raise InputError(f"certificate of format {self.format}; this version reads format {FORMAT}.")
        if self.digest != digest(_body(self)):
            raise InputError(f"certificate {self.digest[:16]}… does not hold what its digest says; it was altered.")

    @classmethod
    def of(cls, **body: Any) -> Self:
        """The certificate of a body, under its digest."""
        whole = {"format": FORMAT, **body}
        return cls(**whole, digest=digest(whole))

    @classmethod
    def read(cls, text: bytes | str) -> Self:
        """The certificate that canonical text holds; an altered one is refused."""
        try:
            plain = json.loads(text)
            return cls(
                **{
                    **plain,
                    **{name: instant(plain[name]) for name in ("as_of", "now", "valid_until")},
                    "outcome": Outcome(plain["outcome"]),
                    "findings": tuple(Finding(**one) for one in plain["findings"]),
                    **{
                        name: tuple(tuple(row) for row in plain[name]) for name in ("compared", "stressed", "scenarios")
                    },
                    "worst_scenario": tuple(plain["worst_scenario"]),
                }
            )
        except (KeyError, TypeError, ValueError) as problem:
            if isinstance(problem, InputError):
                raise
            raise InputError(f"this is no certificate ({problem}); give the JSON that was issued.") from None

    def bytes(self) -> bytes:
        """The canonical bytes."""
        return canonical(self)


def _body(certificate: Certificate) -> dict[str, Any]:
    return {one.name: getattr(certificate, one.name) for one in fields(certificate) if one.name != "digest"}
