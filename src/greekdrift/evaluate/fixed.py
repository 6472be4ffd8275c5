"""A trained predictor in the walk: it is not fitted again, and is judged only on time after what it learnt from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from greekdrift.book import Scenarios
from greekdrift.errors import LeakError
from greekdrift.features.panel import Panel
from greekdrift.forecast.forecaster import Predictor
from greekdrift.units import aware, datetime64, from_datetime64, stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """A forecaster whose every fit is the same predictor, known since `learnt_until`; `digest` is its artefact's."""

    predictor: Predictor
    learnt_until: datetime
    digest: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "learnt_until", aware(self.learnt_until))

    @property
    def name(self) -> str:
        """The predictor's name, "trained" added."""
        return f"{self.predictor.name} (trained)"

    def fit(self, panel: Panel) -> "Fixed":  # noqa: ARG002
        """Itself: whatever the panel shows, nothing is learnt."""
        return self

    def predict(self, history: Panel, *, horizons: Sequence[float], n: int, seed: int) -> Scenarios:
        """The predictor's scenarios. An origin that it may have learnt from is refused."""
        if len(history) and history.known_at[-1] <= datetime64(self.learnt_until):
            raise LeakError(
                f"{self.name} learnt from what was known until {stamp(self.learnt_until)}, and is asked about "
                f"{stamp(from_datetime64(history.known_at[-1]))}: start the evaluation later."
            )
        return self.predictor.predict(history, horizons=horizons, n=n, seed=seed)
