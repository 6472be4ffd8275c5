"""A forecaster from outside: any callable that gives joint samples enters the same walk-forward as ours.

    def still(history, horizons, n, random):            # increments: (n, horizon, underlying, factor)
        return np.zeros((n, len(horizons), *history.state.shape[1:]))

    walk(panel, source, {"mine": Outside(learn=lambda panel: still, label="mine"), "fhs": …}, settings)

`learn(panel)` is called once a fold with what was known by then and returns the sampler, which is called once an
origin with what was known there; both are truncated by the walk, so that neither can see the future. Increments are
those of the state (log forward, log volatilities, …, in the order of `history.factors`) since its last row. Whatever
randomness is needed comes from `random`.

In an experiment `{use: outside, call: "package.module:learn"}` names such a function. That door is for evaluation on
the user's own machine only: it imports what the file names. What it makes has no kind, cannot be saved, and so no
artefact and no server can ever name code.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Scenarios
from greekdrift.errors import ConfigError, DataError
from greekdrift.features.history import Panel
from greekdrift.forecast.forecaster import checked_asked, checked_origin, scenarios

Sample = Callable[[Panel, Float[ndarray, " horizon"], int, np.random.Generator], Any]
"""(history, horizons in hours, n, random) → increments (n, horizon, underlying, factor)."""
Learn = Callable[[Panel], Sample]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsidePredictor:
    """What an outside callable has learnt; it has no kind and cannot become an artefact."""

    name: str
    underlyings: tuple[str, ...]
    factors: tuple[str, ...]
    sample: Sample

    def predict(self, history: Panel, *, horizons: Sequence[float], n: int, seed: int) -> Scenarios:
        """Whatever the callable draws, if it has the right shape and is made of numbers."""
        hours = checked_asked(horizons, n=n, seed=seed)
        origin = checked_origin(history, underlyings=self.underlyings, factors=self.factors)
        drawn = np.asarray(self.sample(history, hours, n, np.random.default_rng(seed)), dtype=np.float64)
        wanted = (n, hours.size, *origin.shape)
        if drawn.shape != wanted:
            raise DataError(
                f"{self.name} made increments of shape {drawn.shape}, expected {wanted}: "
                "(scenario, horizon, underlying, factor)."
            )
        if not np.all(np.isfinite(drawn)):
            raise DataError(
                f"{self.name}: {int(np.sum(~np.isfinite(drawn)))} of {drawn.size} increments are no numbers; "
                "leave out what cannot be forecast before sampling."
            )
        return scenarios(history, drawn, horizons=hours, name=self.name, seed=seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """A forecaster made of a callable: `learn` itself, or `call`, its address as "package.module:function".

    >>> from greekdrift.features.history import example
    >>> def learn(panel):
    ...     size = np.diff(panel.state, axis=0).std(axis=0)
    ...     def sample(history, horizons, n, random):
    ...         root = np.sqrt(horizons / panel.step_hours)[:, None, None]
    ...         return random.standard_normal((n, len(horizons), *size.shape)) * size * root
    ...     return sample
    >>> predictor = Outside(label="walk", learn=learn).fit(example())
    >>> predictor.predict(example(), horizons=[6.0, 24.0], n=3, seed=0).increments.shape
    (3, 2, 1, 7)
    """

    call: str = ""
    label: str = ""
    learn: Learn | None = field(default=None)

    def __post_init__(self) -> None:
        if (self.learn is None) == (not self.call):
            raise ConfigError('outside: give either learn, a function, or call, such as "package.module:learn".')
        if self.learn is not None and not callable(self.learn):
            raise ConfigError(f"outside: learn is a {type(self.learn).__name__}, expected a function of a panel.")
        module, _, function = self.call.partition(":")
        if self.call and not all(part.isidentifier() for part in (*module.split("."), function)):
            raise ConfigError(f'outside: call "{self.call}" should be of the form "package.module:function".')

    @property
    def name(self) -> str:
        """The label, else the name of the function."""
        return f"outside:{self.label or self.call or getattr(self.learn, '__name__', 'callable')}"

    def fit(self, panel: Panel) -> OutsidePredictor:
        """Lets the callable learn from the panel."""
        learn = self.learn or _imported(self.call)
        sample = learn(panel)
        if not callable(sample):
            raise DataError(
                f"{self.name} returned a {type(sample).__name__} from learn(panel); it should return a function "
                "(history, horizons, n, random) → increments."
            )
        return OutsidePredictor(name=self.name, underlyings=panel.underlyings, factors=panel.factors, sample=sample)


def _imported(call: str) -> Learn:
    module, _, name = call.partition(":")
    try:
        found: Learn = getattr(import_module(module), name)
    except (ImportError, AttributeError) as problem:
        raise ConfigError(
            f'outside: "{call}" cannot be imported ({problem}); put its folder on PYTHONPATH and name a function in it.'
        ) from problem
    return found
