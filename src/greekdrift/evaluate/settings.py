"""How a walk-forward evaluation is done; its digest stands on every scorecard."""

from dataclasses import dataclass, fields
from datetime import datetime
from math import isfinite

from greekdrift.book import digest
from greekdrift.errors import ConfigError, nearest
from greekdrift.units import aware

QUANTITIES = ("delta_usd", "gamma", "vega", "theta", "pnl_usd")
"""What is scored of a book."""
BANDED = ("delta_usd", "gamma", "vega", "theta")
"""What can leave a band."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The protocol of one evaluation.

    Origins from `start` (known at or after it) to `end`, every `every`-th snapshot; forecasters are refitted every
    `refit_hours` on what was known `embargo_hours` before. `horizons` are scored, the row nearest to each within
    `tolerance_hours` is its target and the scenarios are made for the exact elapsed time; `checks` are further
    horizons at which bands are looked at. A band is `band_multiple` training scales of the last horizon's drift
    either side of the current Greek. `primary` quantities, averaged over books with equal weight after division
    by the training scale, are the primary endpoint at the horizon `headline_hours` (the last one unless given):
    declared before the run, not chosen after it.
    """

    start: datetime
    horizons: tuple[float, ...]
    end: datetime | None = None
    checks: tuple[float, ...] = ()
    refit_hours: float = 720.0
    embargo_hours: float = 24.0
    every: int = 1
    scenarios: int = 500
    tolerance_hours: float = 1.5
    band_multiple: float = 2.0
    primary: tuple[str, ...] = ("delta_usd", "gamma", "vega")
    min_train: int = 20
    books_seed: int = 7
    seed: int = 0
    headline_hours: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", aware(self.start))
        if self.end is not None:
            object.__setattr__(self, "end", aware(self.end))
        for name in ("horizons", "checks"):
            hours = getattr(self, name)
            if any(not (isfinite(one) and one > 0.0) for one in hours) or list(hours) != sorted(set(hours)):
                raise ConfigError(f"evaluation: {name} {list(hours)} must be positive hours, increasing.")
        if not self.horizons or (self.checks and self.checks[-1] > self.horizons[-1]):
            raise ConfigError(f"evaluation: horizons {self.horizons} must not be empty nor end before the checks do.")
        for name in ("refit_hours", "band_multiple", "every", "min_train"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"evaluation: {name} {getattr(self, name)} must be positive.")
        if not self.scenarios >= 2:
            raise ConfigError(
                f"evaluation: scenarios {self.scenarios} must be at least 2: a fair score compares pairs."
            )
        for name in ("embargo_hours", "tolerance_hours"):
            if not getattr(self, name) >= 0.0:
                raise ConfigError(f"evaluation: {name} {getattr(self, name)} must be at least 0.")
        if self.headline_hours is not None and self.headline_hours not in self.horizons:
            raise ConfigError(
                f"evaluation: headline_hours {self.headline_hours:g} is none of the horizons {list(self.horizons)}."
            )
        unknown = [name for name in self.primary if name not in QUANTITIES]
        if unknown or not self.primary:
            raise ConfigError(f"evaluation: primary {self.primary}; {nearest(' '.join(unknown), QUANTITIES)}")

    @property
    def grid(self) -> tuple[float, ...]:
        """Scored horizons and checks, increasing."""
        return tuple(sorted({*self.horizons, *self.checks}))

    @property
    def headline(self) -> float:
        """Horizon of the primary endpoint."""
        return self.horizons[-1] if self.headline_hours is None else self.headline_hours

    @property
    def digest(self) -> str:
        """SHA-256 of all values; a headline that is not given is none of them."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.headline_hours is None:
            del values["headline_hours"]
        return digest(values)
