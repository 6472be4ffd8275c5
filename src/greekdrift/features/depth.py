"""Order books and trades, where a record of them exists, as they were known at each row."""

from dataclasses import dataclass

from greekdrift.features.feature import Column, Line
from greekdrift.features.history import Panel
from greekdrift.features.realised import log_positive, ratio
from greekdrift.features.records import kept, present, record_lines, window_sum
from greekdrift.market.series import Series

TIMING = "books known at or before the row's known_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthImbalance:
    """Depth bid minus depth offered over their sum, of the books of the last `hours`: −1 (offers alone) to 1.

    (Σ B − Σ A) / (Σ B + Σ A). With columns of takers' buys and sells instead it is the imbalance of the flow.
    """

    history: str
    bid: str
    ask: str
    hours: float = 1.0
    label: str = "depth"
    timing: str = TIMING
    source: str = "Cont, Kukanov & Stoikov (2014)"
    unit: str = "share"

    @property
    def name(self) -> str:
        """Such as `depth_imbalance_1h`."""
        return f"{self.label}_imbalance_{self.hours:g}h"

    @property
    def lookback_hours(self) -> float:
        """The window."""
        return self.hours

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""

        def line(record: Series) -> Line:
            bid, ask, _ = _sums(record, panel, self.bid, self.ask, self.hours)
            return ratio(bid - ask, bid + ask)

        return record_lines(panel, self.history, line)


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """Log of the mean depth on both sides in the books of the last `hours`, ln mean(B + A): what trades at once."""

    history: str
    bid: str
    ask: str
    hours: float = 1.0
    timing: str = TIMING
    source: str = "Kyle (1985): depth is the inverse of impact"
    unit: str = "log of the columns' unit"

    @property
    def name(self) -> str:
        """Such as `log_depth_1h`."""
        return f"log_depth_{self.hours:g}h"

    @property
    def lookback_hours(self) -> float:
        """The window."""
        return self.hours

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""

        def line(record: Series) -> Line:
            bid, ask, count = _sums(record, panel, self.bid, self.ask, self.hours)
            return log_positive(ratio(bid + ask, count))

        return record_lines(panel, self.history, line)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotedSpread:
    """Log of the mean relative spread of the last `hours`, ln mean(2 (a − b)/(a + b)), of best bids b and offers a."""

    history: str
    bid: str
    ask: str
    hours: float = 1.0
    timing: str = TIMING
    source: str = "Roll (1984); Amihud & Mendelson (1986)"
    unit: str = "log of a share"

    @property
    def name(self) -> str:
        """Such as `log_spread_1h`."""
        return f"log_spread_{self.hours:g}h"

    @property
    def lookback_hours(self) -> float:
        """The window."""
        return self.hours

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""

        def line(record: Series) -> Line:
            quoted = present(record, (self.bid, self.ask))
            two_sided = kept(quoted, (quoted.column(self.bid) > 0.0) & (quoted.column(self.ask) > 0.0))
            bid, ask = two_sided.column(self.bid), two_sided.column(self.ask)
            total, count = window_sum(two_sided, 2.0 * (ask - bid) / (ask + bid), panel, self.hours)
            return log_positive(total / count)

        return record_lines(panel, self.history, line)


def _sums(record: Series, panel: Panel, bid: str, ask: str, hours: float) -> tuple[Line, Line, Line]:
    """Sums of both sides over the window, and how many books there were."""
    books = present(record, (bid, ask))
    bids, count = window_sum(books, books.column(bid), panel, hours)
    return bids, window_sum(books, books.column(ask), panel, hours)[0], count
