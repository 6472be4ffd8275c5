"""Options to price: near the money for speed, ±10 and ±30 standard deviations for accuracy; always the same ones."""

from dataclasses import dataclass

import numpy as np
from numpy import ndarray

HOUR = 1.0 / (24.0 * 365.0)
RATE = 0.03
FARTHEST = 25.0
"""Largest |ln(F/K)|: beyond it strikes are no numbers that anybody lists."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Options:
    """European options on the forward, one per row; `discount` is the plain number 1 where there is no rate.

    Libraries that want a rate get −ln(discount)/time, exact to the last bit, so that all price the same option.
    """

    forward: ndarray
    strike: ndarray
    volatility: ndarray
    time_to_expiry: ndarray
    is_call: ndarray
    discount: ndarray | float = 1.0

    @property
    def rate(self) -> ndarray | float:
        """Continuous rate, per 1.00 a year."""
        return -np.log(self.discount) / self.time_to_expiry if isinstance(self.discount, ndarray) else 0.0

    @property
    def size(self) -> int:
        """Number of options."""
        return self.forward.size

    def part(self, rows: object) -> "Options":
        """Some rows, by mask or slice."""
        columns = self.columns()
        return Options(
            **{
                name: np.ascontiguousarray(column[rows]) if isinstance(column, ndarray) else column
                for name, column in columns.items()
            }
        )

    def columns(self) -> dict[str, ndarray | float]:
        """The keyword arguments of `greeks.compute`."""
        return {name: getattr(self, name) for name in self.__slots__}


def options(n: int, *, deviations: float, seed: int, is_out: bool = False, rate: float = 0.0) -> Options:
    """Random options, 1 hour to 2 years, 5 to 300 % volatility, strikes uniform in ±`deviations` standard deviations.

    Half are calls; with `is_out` each is the out-of-the-money one of its strike.
    """
    rng = np.random.default_rng(seed)
    time = np.exp(rng.uniform(np.log(HOUR), np.log(2.0), n))
    volatility = np.exp(rng.uniform(np.log(0.05), np.log(3.0), n))
    forward = np.exp(rng.uniform(np.log(10.0), np.log(100_000.0), n))
    distance = rng.uniform(-deviations, deviations, n)
    k = np.clip(distance * volatility * np.sqrt(time), -FARTHEST, FARTHEST)
    strike = forward * np.exp(k)
    calls = rng.random(n) < 0.5
    return Options(
        forward=forward,
        strike=strike,
        volatility=volatility,
        time_to_expiry=time,
        is_call=strike >= forward if is_out else calls,
        discount=np.exp(-rate * time) if rate else 1.0,
    )


def one_sided(n: int, *, deviations: float, seed: int) -> Options:
    """Out-of-the-money calls alone, for libraries that take one side per call."""
    both = options(n, deviations=deviations, seed=seed, is_out=True)
    up = both.forward * np.maximum(both.strike / both.forward, both.forward / both.strike)
    return Options(**(both.columns() | {"strike": up, "is_call": np.ones(n, dtype=np.bool_)}))
