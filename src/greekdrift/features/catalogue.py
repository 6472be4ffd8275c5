"""All features that the package knows, with their usual values: what each is, its unit, look-back, timing and source.

`table.FEATURES` are what every panel carries; every other one is asked for by name. `python -m
greekdrift.features.catalogue` prints the table of docs/features.md.
"""

import inspect
import sys
from collections.abc import Sequence

from greekdrift.features.calendar import CycleNear, ExpiryNear, HourOfDay, StepHours, WeekendShare
from greekdrift.features.concentration import BOOK_FEATURES, BookFeature
from greekdrift.features.cross import Correlation, OthersReturn
from greekdrift.features.depth import Depth, DepthImbalance, QuotedSpread
from greekdrift.features.events import EventNear, EventPast, EventsAhead, Schedule
from greekdrift.features.feature import Feature
from greekdrift.features.funding import Funding, FundingShift, Premium
from greekdrift.features.outside import OutsideChange, OutsideLevel, OutsideSpread, RecordAge
from greekdrift.features.premia import BarVariancePremium, CurvaturePremium, SkewPremium, SpotVolSlope, VolOfVol
from greekdrift.features.ranges import (
    BarBipower,
    BarJumpShare,
    BarQuarticity,
    BarSemivariance,
    BarSignedVariation,
    BarVariance,
    GarmanKlass,
    Parkinson,
    RogersSatchell,
    YangZhang,
)
from greekdrift.features.realised import (
    Bipower,
    JumpShare,
    Leverage,
    RealisedVariance,
    Return,
    Semivariance,
    SignedVariation,
)
from greekdrift.features.smile import (
    Change,
    CrossLevel,
    Factor,
    ForwardVariance,
    Spread,
    TermCurvature,
    TermSlope,
    VariancePremium,
)
from greekdrift.features.table import FEATURES

BARS = "binance_spot_1h/{underlying}"
PERPETUAL = "binance_perp_15m/{underlying}"
PAYMENTS = "perp_funding_rates/{underlying}"
BOOKS = "binance_l2_depth_1s/{underlying}-perp"
DEPTHS = ("depth_bid_5bps", "depth_ask_5bps")
VIX = "vol_indices_daily/VIX"
DVOL = "dvol_btc_daily/{underlying}"
SCALES = (24.0, 168.0, 720.0)
"""A day, a week and a month, in hours."""
EVENTS = Schedule(name="event", events={})
"""An empty list, for the catalogue alone: the user's own is read by `events.read_schedules`."""

PANEL: tuple[Feature, ...] = (
    Return(hours=24.0),
    *(RealisedVariance(hours=hours) for hours in SCALES),
    *(Bipower(hours=hours) for hours in SCALES),
    *(Semivariance(hours=hours, side=side) for hours in SCALES[1:] for side in ("down", "up")),
    *(JumpShare(hours=hours) for hours in SCALES[1:]),
    *(SignedVariation(hours=hours) for hours in SCALES[1:]),
    *(Leverage(hours=hours) for hours in SCALES[:2]),
    *(Factor(factor=f"{kind}_{days}") for kind in ("atm", "skew", "curvature") for days in (7, 30, 180)),
    Factor(factor="basis"),
    TermSlope(short_days=7, long_days=30),
    TermSlope(short_days=30, long_days=180),
    TermCurvature(short_days=7, middle_days=30, long_days=180),
    ForwardVariance(short_days=7, long_days=30),
    Spread(factor="skew_7", minus="skew_30"),
    Spread(factor="curvature_7", minus="curvature_30"),
    Change(factor="atm_30", hours=24.0),
    Change(factor="skew_30", hours=24.0),
    VariancePremium(days=7),
    VariancePremium(days=30),
    VolOfVol(hours=168.0),
    SpotVolSlope(hours=168.0),
    SkewPremium(hours=168.0),
    CurvaturePremium(hours=168.0),
    CrossLevel(),
    OthersReturn(hours=24.0),
    Correlation(hours=168.0),
    Correlation(hours=168.0, factor="atm_30"),
    HourOfDay(wave="sin"),
    HourOfDay(wave="cos"),
    WeekendShare(hours=24.0),
    ExpiryNear(),
    CycleNear(cycle="daily"),
    CycleNear(cycle="monthly"),
    CycleNear(cycle="quarterly"),
    StepHours(),
)
"""Made from the panel's own rows and the clock."""

RECORDS: tuple[Feature, ...] = (
    *(
        measure(history=BARS, hours=hours)
        for measure in (BarVariance, Parkinson, GarmanKlass, RogersSatchell, YangZhang, BarBipower)
        for hours in SCALES
    ),
    *(BarSemivariance(history=BARS, hours=hours, side=side) for hours in SCALES for side in ("down", "up")),
    *(
        measure(history=BARS, hours=hours)
        for measure in (BarJumpShare, BarSignedVariation, BarQuarticity)
        for hours in SCALES
    ),
    BarVariancePremium(history=BARS, days=7),
    BarVariancePremium(history=BARS, days=30),
    Funding(history=PAYMENTS),
    FundingShift(history=PAYMENTS),
    Premium(history=PERPETUAL, over=BARS),
    DepthImbalance(history=BOOKS, bid=DEPTHS[0], ask=DEPTHS[1], hours=0.05),
    Depth(history=BOOKS, bid=DEPTHS[0], ask=DEPTHS[1], hours=0.05),
    QuotedSpread(history=BOOKS, bid="bid", ask="ask", hours=0.05),
    OutsideLevel(history=VIX),
    OutsideChange(history=VIX, hours=120.0),
    OutsideSpread(history=DVOL),
    RecordAge(history=VIX),
)
"""Made from records beside the panel (`Panel.histories`), here those of configs/data."""

SCHEDULED: tuple[Feature, ...] = (
    EventsAhead(schedule=EVENTS, hours=24.0),
    EventNear(schedule=EVENTS),
    EventPast(schedule=EVENTS),
)
"""Made from the user's list of events."""


OF_A_BOOK = """A panel describes markets and carries no book, so these are asked for by a call: an array (account,
feature) in the order of `BOOK_FEATURES`, here of the reference books of a simulated chain.

```python
from greekdrift.config import load_venue
from greekdrift.features.books import reference_books
from greekdrift.features.concentration import BOOK_FEATURES, book_features
from greekdrift.market.simulate import SimulatedSource

source = SimulatedSource(venue=load_venue("deribit"), seed=7, days=1.0)
chain = source.chain(source.snapshots()[-1])
books = reference_books(chain, seed=7)
found = book_features(chain, books)
print(books[0].account_id, dict(zip((one.name for one in BOOK_FEATURES), found[0].round(3).tolist())))
```
"""


def markdown() -> str:
    """The table of all features, for docs/features.md: one line a class, with the names that it has at usual values."""
    parts = (
        ("From the panel's own rows and the clock", (*FEATURES, *PANEL)),
        ("From records beside the panel", RECORDS),
        ("From a list of scheduled events", SCHEDULED),
        ("Of a book, by account", BOOK_FEATURES),
    )
    tables = "\n".join(f"## {title}\n\n{_table(features)}" for title, features in parts)
    return f"{tables}\n{OF_A_BOOK}"


def _table(features: Sequence[Feature | BookFeature]) -> str:
    lines = [
        "| class | what it is | unit | names (● carried by every panel) | looks back | known | source |",
        "|---|---|---|---|---|---|---|",
    ]
    kinds = {type(feature): [one for one in features if type(one) is type(feature)] for feature in features}
    for kind, alike in kinds.items():
        one = alike[0]
        place = f"`{kind.__module__.rsplit('.')[-1]}.{kind.__name__}`"
        cells = (place, _first_line(kind), one.unit, _names(alike), _lookback(alike), one.timing, one.source)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _names(alike: Sequence[Feature | BookFeature]) -> str:
    default = {feature.name for feature in FEATURES}
    names = dict.fromkeys(feature.name for feature in alike)
    return ", ".join(f"`{name}`{' ●' if name in default else ''}" for name in names)


def _lookback(alike: Sequence[Feature | BookFeature]) -> str:
    hours = sorted({getattr(one, "lookback_hours", 0.0) for one in alike} - {0.0})
    return f"{', '.join(f'{one:g}' for one in hours)} h" if hours else "–"


def _first_line(kind: type) -> str:
    """What a feature is: the first line of its docstring."""
    return inspect.cleandoc(kind.__doc__ or "").splitlines()[0]


if __name__ == "__main__":
    sys.stdout.write(markdown())
