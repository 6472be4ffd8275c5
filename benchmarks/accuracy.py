"""How right each library is: errors against 60 digits, answers that fail, and numbers given where none exists."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import exact
import numpy as np
from exact import NAMES
from numpy import ndarray
from peers import Library, Ready
from samples import RATE, Options, options

NEAR, WINGS = "within 10 deviations", "10 to 30 deviations, out of the money"
WRONG = 1e-6
"""A relative error above this is no rounding: the answer is wrong."""
SMALLEST_PRICE = 1e-12
"""The price is judged where it exceeds this share of the forward, in the table of ±10 deviations."""
SMALLEST = 1e-280
"""Below it the truth itself leaves the range of doubles."""
AGREEMENT = 1e-8
"""Near the money every library must agree with the truth this well, else it was asked for another option."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Worst and 99 % relative error of the numbers given; how many failed (no number), were wrong, were asked for."""

    worst: float
    most: float
    failed: int
    wrong: int
    asked: int


def prices_and_greeks(libraries: Sequence[Library], *, n: int) -> dict[str, dict[str, dict[str, Score]]]:
    """Score by region, library and quantity: ±10 deviations on either side, and out of the money from 10 to 30."""
    regions = {
        NEAR: options(n, deviations=10.0, seed=101, rate=RATE),
        WINGS: _wings(n, seed=102),
    }
    near = options(min(n, 200), deviations=1.0, seed=103, rate=RATE)
    _agree(libraries, near)
    found: dict[str, dict[str, dict[str, Score]]] = {}
    for region, sample in regions.items():
        right, terms = exact.black(sample)
        floor = SMALLEST_PRICE * sample.forward if region == NEAR else np.full(sample.size, SMALLEST)
        asked = {name: np.abs(right[name]) > (floor if name == "price" else SMALLEST) for name in NAMES}
        found[region] = {}
        for library in libraries:
            if library.first is None:
                continue
            values = _answer(library.first(sample))
            found[region][library.name] = {
                name: score(values[name], right[name], term=terms[name], asked=asked[name])
                for name in NAMES
                if name in values
            }
    return found


def volatilities(libraries: Sequence[Library], *, n: int) -> dict[str, dict[str, Score]]:
    """Score by region and library of implied volatilities from exact prices rounded to doubles, out of the money."""
    regions = {
        NEAR: options(n, deviations=10.0, seed=111, is_out=True, rate=RATE),
        WINGS: _wings(n, seed=112),
    }
    found: dict[str, dict[str, Score]] = {}
    for region, sample in regions.items():
        price = exact.black(sample)[0]["price"]
        asked = price > SMALLEST
        found[region] = {
            library.name: score(_answer(library.implied(price, sample))["volatility"], sample.volatility, asked=asked)
            for library in libraries
            if library.implied is not None
        }
    return found


def inventions(libraries: Sequence[Library], *, n: int) -> dict[str, dict[str, int]]:
    """How many of `n` prices that have no volatility are given one, by kind of price and library."""
    sample = options(n, deviations=5.0, seed=121)
    inner = options(n, deviations=30.0, seed=122)
    deep = inner.part(
        np.abs(np.log(inner.strike / inner.forward)) > 9.0 * inner.volatility * np.sqrt(inner.time_to_expiry)
    )
    inside = Options(
        forward=deep.forward, strike=deep.strike, volatility=deep.volatility, time_to_expiry=deep.time_to_expiry,
        is_call=deep.strike < deep.forward,
    )  # fmt: skip
    intrinsic = np.maximum(np.where(sample.is_call, 1.0, -1.0) * (sample.forward - sample.strike), 0.0)
    is_in = intrinsic > 0.0
    bound = np.where(sample.is_call, sample.forward, sample.strike)
    kinds = {
        "below intrinsic": (intrinsic[is_in] * (1.0 - 1e-6), sample.part(is_in)),
        "above the bound": (bound * (1.0 + 1e-6), sample),
        "no time value left": (np.abs(inside.forward - inside.strike), inside),
    }
    found: dict[str, dict[str, int]] = {}
    for kind, (price, at) in kinds.items():
        found[kind] = {"of": at.size}
        for library in libraries:
            if library.implied is not None:
                found[kind][library.name] = _numbers(library, price, at)
    return found


def score(found: ndarray, right: ndarray, *, asked: ndarray, term: ndarray | None = None) -> Score:
    """Score of the rows that were asked for; a slow library answers the first rows alone."""
    rows = np.flatnonzero(asked[: found.size])
    error = exact.error(found[rows], right[rows], term=None if term is None else term[rows])
    given = error[np.isfinite(error)]
    return Score(
        worst=float(given.max(initial=0.0)),
        most=float(np.quantile(given, 0.99)) if given.size else 0.0,
        failed=int(error.size - given.size),
        wrong=int(np.sum(given > WRONG)),
        asked=int(rows.size),
    )


def plain(scores: Mapping[str, object]) -> dict[str, object]:
    """Nested scores as plain dictionaries, for the record."""
    return {
        name: asdict(value) if isinstance(value, Score) else plain(value) if isinstance(value, Mapping) else value
        for name, value in scores.items()
    }


def _wings(n: int, *, seed: int) -> Options:
    wide = options(8 * n, deviations=30.0, seed=seed, is_out=True, rate=RATE)
    s = wide.volatility * np.sqrt(wide.time_to_expiry)
    rows = np.flatnonzero(np.abs(np.log(wide.strike / wide.forward)) > 10.0 * s)
    return wide.part(rows[:n])


def _answer(ready: Ready) -> dict[str, ndarray]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return ready.read(ready.call())


def _numbers(library: Library, price: ndarray, at: Options) -> int:
    """Numbers among the answers, zero among them; a library that raises has given none."""
    try:
        found = _answer(library.implied(price, at))["volatility"]
    except Exception:  # noqa: BLE001 whatever it raises, it refuses
        return 0
    return int(np.sum(np.isfinite(found) & (found > 0.0)))


def _agree(libraries: Sequence[Library], sample: Options) -> None:
    """Stop where a library was asked for another option: a convention would be compared, not an accuracy."""
    right, terms = exact.black(sample)
    for library in libraries:
        if library.first is None:
            continue
        values = _answer(library.first(sample))
        for name, column in values.items():
            off = (
                exact.error(column, right[name][: column.size], term=terms[name][: column.size]).max()
                if name in right
                else 0.0
            )
            if off > AGREEMENT:
                message = f"{library.name}: {name} is off by {off:.1e} within one deviation; check its conventions."
                raise ValueError(message)
