"""What netting across participants would free: margin pair by pair, after compression, and with one central book.

    bilateral   Σ_j IM(what i holds against j)      each pair margins its own net book
    compressed  the same, with the network of least gross contracts
    central     IM(Σ_j what i holds against j)      all trades face one counterparty

All three keep every participant's net position. The closed forms of Duffie & Zhu (2011) say when a central book of one
class of N participants with K classes of independent normal exposures of deviation σ lowers the expected exposure:

    bilateral over K classes              (N − 1) σ √(K/2π)
    one class central, K − 1 bilateral    (N − 1) σ √((K − 1)/2π) + σ √((N − 1)/2π)         lower iff K < N²/(4 (N − 1))

They assume much; the three figures above assume nothing but the trades.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import pi, sqrt

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Chain
from greekdrift.book.rules import RuleSet
from greekdrift.errors import BookError, InputError
from greekdrift.margin import engine
from greekdrift.margin.compression import Gross, compressed, fixed_of, nets

PerParticipant = Float[ndarray, " participant"]

TOLERANCE = 1e-9
"""Share of a requirement by which it may seem to rise from rounding alone."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Multilateral:
    """Initial margin of each participant under three ways to net, USD, and the gross contracts behind it.

    `kept` are participants whose trades were left alone, since compression would have raised their requirement.
    """

    participants: tuple[str, ...]
    instruments: tuple[str, ...]
    gross: Gross
    after: Gross
    bilateral_usd: PerParticipant
    compressed_usd: PerParticipant
    central_usd: PerParticipant
    kept: tuple[str, ...]

    @property
    def freed_by_compression_usd(self) -> float:
        """Margin that the participants together need no more once compressed."""
        return float(self.bilateral_usd.sum() - self.compressed_usd.sum())

    @property
    def freed_by_clearing_usd(self) -> float:
        """The same with one central book; negative where a central book needs more."""
        return float(self.bilateral_usd.sum() - self.central_usd.sum())


def multilateral(
    chain: Chain,
    rules: RuleSet,
    gross: Gross,
    *,
    participants: Sequence[str],
    instruments: Sequence[str],
    is_conservative: bool = True,
    consents: Collection[str] = (),
) -> Multilateral:
    """Margin of a network of trades pair by pair, compressed, and central, by the exact engine.

    No participant's bilateral requirement rises by compression without its consent: the trades of one for whom it
    would are kept, and the rest is compressed again, until that holds for all.
    """
    if gross.shape != (len(instruments), len(participants), len(participants)):
        raise BookError(f"trades of shape {gross.shape} for {len(instruments)} instruments, {len(participants)} sides.")
    before = _bilateral(chain, rules, gross, instruments)
    kept: set[str] = set()
    while True:
        after = compressed(gross, is_conservative=is_conservative, fixed=fixed_of(participants, kept))
        then = _bilateral(chain, rules, after, instruments)
        rises = then > before * (1.0 + TOLERANCE) + TOLERANCE
        hurt = [name for name, is_worse in zip(participants, rises, strict=True) if is_worse and name not in consents]
        new = set(hurt) - kept
        if not new:
            break
        kept |= new
    return Multilateral(
        participants=tuple(participants),
        instruments=tuple(instruments),
        gross=gross,
        after=after,
        bilateral_usd=before,
        compressed_usd=then,
        central_usd=_requirements(chain, rules, nets(gross).T, instruments),
        kept=tuple(name for name in participants if name in kept),
    )


def bilateral_exposure(participants: int, classes: int, *, deviation: float = 1.0) -> float:
    """Expected positive exposure of one participant to all others, netted pair by pair over all classes.

    >>> round(bilateral_exposure(11, 4), 6)
    7.978846
    """
    _refuse_small(participants, classes)
    return (participants - 1) * deviation * sqrt(classes / (2.0 * pi))


def cleared_exposure(participants: int, classes: int, *, deviation: float = 1.0) -> float:
    """The same with one class cleared centrally and netted there over all participants."""
    _refuse_small(participants, classes)
    central = deviation * sqrt((participants - 1) / (2.0 * pi))
    return (participants - 1) * deviation * sqrt((classes - 1) / (2.0 * pi)) + central


def fewest_participants(classes: int) -> int:
    """Participants from which on clearing one of K classes lowers expected exposure.

    >>> [fewest_participants(classes) for classes in (1, 2, 4)]
    [3, 7, 15]
    """
    _refuse_small(2, classes)
    count = 2
    while not classes < count * count / (4.0 * (count - 1)):
        count += 1
    return count


def _bilateral(chain: Chain, rules: RuleSet, gross: Gross, instruments: Sequence[str]) -> PerParticipant:
    """Sum over counterparties of the requirement of what a participant holds against each."""
    count = gross.shape[1]
    pairs = (gross - gross.transpose(0, 2, 1)).reshape(len(instruments), count * count).T
    return _requirements(chain, rules, pairs, instruments).reshape(count, count).sum(axis=1)


def _requirements(
    chain: Chain, rules: RuleSet, books: Float[ndarray, "book instrument"], instruments: Sequence[str]
) -> Float[ndarray, " book"]:
    rows = chain.rows(instruments)
    order = np.argsort(rows)
    initial, _ = engine.requirements(chain, books[:, order], rules, rows=rows[order], coins={})
    return initial


def _refuse_small(participants: int, classes: int) -> None:
    if participants < 2 or classes < 1:
        raise InputError(f"{participants} participants and {classes} classes: it takes two participants and one class.")
