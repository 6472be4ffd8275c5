"""What collateral counts for: its role and haircuts, as every form of margin reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from greekdrift.errors import BookError


class Role(StrEnum):
    """What a collateral is to the model.

    Cash counts at its amount. A coin moves with its own underlying and offsets its lines ("risk cancelling").
    Other collateral does not move in a scenario and is only cut.
    """

    CASH = "cash"
    COIN = "coin"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class CollateralTerms:
    """Haircuts of a currency; "*" stands for every currency that is not named. `initial` comes on top."""

    currency: str
    role: Role
    maintenance: float
    initial: float
    confidence_threshold: float


def terms_of(collateral: Sequence[CollateralTerms], currency: str) -> CollateralTerms:
    """Haircuts of a currency, or of "*"; a currency without terms is refused."""
    for wanted in (currency, "*"):
        for terms in collateral:
            if terms.currency == wanted:
                return terms
    raise BookError(f"collateral {currency} has no terms in the rule set; add it, or * for all other currencies.")
