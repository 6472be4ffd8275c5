"""Why a row was not taken, as codes, and the count of each: nothing goes silently."""

from collections import Counter
from enum import StrEnum
from typing import Any


class Reason(StrEnum):
    """Why a row of a reply is not in the snapshot."""

    NOT_A_RECORD = "not_a_record"
    MISSING = "missing_field"
    WRONG_TYPE = "wrong_type"
    NOT_FINITE = "not_finite"
    NEGATIVE = "negative"
    ZERO = "zero"
    BAD_TIME = "bad_time"
    BAD_NAME = "bad_name"
    OTHER_PRODUCT = "other_product"
    NOT_LISTED = "not_listed"
    TWICE = "twice"
    EXPIRED = "expired"
    STALE = "stale"
    AHEAD = "ahead_of_time"
    CROSSED = "crossed"
    BAD_VOLATILITY = "bad_volatility"
    BEYOND_BOUND = "price_beyond_bound"
    OFF_VOLATILITY = "mark_off_volatility"
    OFF_FORWARD = "forward_off_expiry"
    OFF_INDEX = "forward_off_index"


class Rejected(ValueError):  # noqa: N818 - an answer about a row, not a failure
    """Raised by the parsers for a row that is not taken."""

    def __init__(self, reason: Reason, field: str) -> None:
        super().__init__(f"{reason}: {field}")
        self.reason = reason
        self.field = field


class Rejects:
    """Counts of rejected rows by reason, with the first few as examples.

    >>> rejects = Rejects()
    >>> rejects.add(Reason.CROSSED, "BTC-27JUN25-100000-C", "bid 0.031 above ask 0.029")
    >>> rejects.total, rejects.counts()
    (1, {'crossed': 1})
    """

    MOST_EXAMPLES = 20
    LONGEST = 120

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self.examples: list[dict[str, str]] = []

    def add(self, reason: Reason, row: Any, fact: str = "") -> None:
        """Notes one row, by its name or whatever stands in its place."""
        self._counts[reason.value] += 1
        if len(self.examples) < self.MOST_EXAMPLES:
            shown = row if isinstance(row, str) else type(row).__name__
            self.examples.append({"reason": reason.value, "row": shown[: self.LONGEST], "fact": fact[: self.LONGEST]})

    @property
    def total(self) -> int:
        """Number of rejected rows."""
        return sum(self._counts.values())

    def counts(self) -> dict[str, int]:
        """Number of rejected rows by reason code, sorted."""
        return dict(sorted(self._counts.items()))
