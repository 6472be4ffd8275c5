"""What the calculator shall reach, and what the record says of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]

SIZE = "100000"
CONTRACTED, STRICT = "greekdrift, contracted", "greekdrift, strict"
NANOSECONDS = {"price + 4 Greeks": 16.0, "price + 11 Greeks": 20.0, "implied volatility, mixed": 60.0}
RATIOS = {"price + 4 Greeks": ("pyvolr", 6.0), "implied volatility, mixed": ("iv-engine", 4.0)}
STRICT_RATIO = 1.5
ERRORS = {"price": 1e-11, "delta": 1e-12, "gamma": 1e-10, "vega": 1e-10, "theta": 1e-10}
VOLATILITY_ERROR = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A figure, what was measured, the limit and which side of it is good."""

    what: str
    measured: float
    limit: float
    is_most: bool = True

    @property
    def is_met(self) -> bool:
        """Whether the measured value lies on the good side."""
        return self.measured <= self.limit if self.is_most else self.measured >= self.limit

    @property
    def wanted(self) -> str:
        """The limit in words."""
        return f"{'at most' if self.is_most else 'at least'} {self.limit:g}"


def goals(record: Record) -> list[Goal]:
    """Every goal that this record can judge: a ratio needs its peer."""
    return [*_speed(record["nanoseconds"]), *_books(record), *_accuracy(record)]


def _speed(figures: Record) -> Iterator[Goal]:
    for figure, most in NANOSECONDS.items():
        found = figures[figure][SIZE]
        ours, strict = found[CONTRACTED]["least"], found[STRICT]["least"]
        yield Goal(what=f"{figure}, contracted, ns", measured=ours, limit=most)
        yield Goal(what=f"{figure}, strict / contracted", measured=strict / ours, limit=STRICT_RATIO)
        peer, least = RATIOS.get(figure, ("", 0.0))
        if peer in found:
            ratio = found[peer]["least"] / ours
            yield Goal(what=f"{figure}, {peer} / ours", measured=ratio, limit=least, is_most=False)


def _books(record: Record) -> Iterator[Goal]:
    rows = record["revaluation"]
    ours = rows[f"{CONTRACTED}: books"]
    yield Goal(what="revaluation 10k x 2k x 50, ms", measured=ours["milliseconds"], limit=25.0)
    if "fast-vollib: brute force" in rows:
        ratio = rows["fast-vollib: brute force"]["ratio"]
        yield Goal(what="revaluation, fast-vollib brute force / ours", measured=ratio, limit=90.0, is_most=False)
    yield Goal(what="revaluation, peak memory, MiB", measured=ours["peak memory, MiB"], limit=400.0)
    yield Goal(what="revaluation, off brute force", measured=ours["off brute force, of gross"], limit=1e-13)
    fits = record["smiles"]
    yield Goal(what="SVI slice of 40 quotes, us", measured=fits["SVI slice: greekdrift"]["microseconds"], limit=10.0)
    chain = fits["chain 12 x 40: greekdrift"]
    yield Goal(what="chain 12 x 40 to surface, us", measured=chain["microseconds"], limit=2000.0)
    broken = chain["slices with butterflies"] + chain["pairs that cross"]
    yield Goal(what="chain 12 x 40, arbitrage found", measured=float(broken), limit=0.0)


def _accuracy(record: Record) -> Iterator[Goal]:
    for mode in (CONTRACTED, STRICT):
        scores = [region[mode] for region in record["accuracy"].values()]
        for name, limit in ERRORS.items():
            worst = max(score[name]["worst"] for score in scores)
            yield Goal(what=f"{name}, worst error to 30 sd, {mode}", measured=worst, limit=limit)
        solved = [region[mode] for region in record["accuracy of implied volatility"].values()]
        worst = max(score["worst"] for score in solved)
        failures = sum(score["failed"] + score["wrong"] for score in solved)
        yield Goal(what=f"implied volatility, worst error to 30 sd, {mode}", measured=worst, limit=VOLATILITY_ERROR)
        yield Goal(what=f"implied volatility, failures, {mode}", measured=float(failures), limit=0.0)
        given = sum(row[mode] for row in record["numbers given where none exists"].values())
        yield Goal(what=f"implied volatility, invented, {mode}", measured=float(given), limit=0.0)
