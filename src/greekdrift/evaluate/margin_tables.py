"""The tables of a margin scorecard."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from greekdrift.evaluate.margin_measures import AGAINST, BASE_RATE, PLAIN
from greekdrift.evaluate.margin_rules import PAST
from greekdrift.evaluate.measures import REGIMES, Measure
from greekdrift.evaluate.tables import MISSING, Table, interval, number, share, skill, statistic

if TYPE_CHECKING:
    from greekdrift.evaluate.margin_card import MarginCard


def margin_tables(card: "MarginCard") -> Iterator[Table]:
    """Quantile losses, reserves, simple rules, calls, exceptions, tests of coverage."""
    yield losses(card)
    yield reserves(card)
    yield rules(card)
    yield calls(card)
    yield exceptions(card)
    yield tests(card)


def losses(card: "MarginCard") -> Table:
    """Quantile loss at 95 and 99 % and CRPS of the need, against the bar and the plain historical law."""
    bars = _bars(card)
    metrics = {"pinball 95": "95 % pinball", "crps": "CRPS", "pinball 99": "99 % pinball"}
    columns = [text for words in metrics.values() for bar in bars for text in (f"{words} / {bar} [95 %]", "t")]
    rows = []
    for name in card.forecasters:
        found = [card.find(name, metric, bar) for metric in metrics for bar in bars]
        rows.append((name, *(text for one in found for text in (interval(one), statistic(one)))))
    return Table(title="Quantiles and distribution of the need", columns=("forecaster", *columns), rows=tuple(rows))


def reserves(card: "MarginCard") -> Table:
    """Shortfall at equal average reserve and average reserve at equal shortfall, against rule and historical law."""
    rivals = [card.best, PAST, *(one for one in _bars(card) if one == PLAIN)]
    metrics = {
        "shortfall": "shortfall",
        "shortfall per book": "a factor per book",
        "reserve at equal shortfall": "reserve at equal shortfall",
    }
    columns = [f"{words} / {rival} [95 %]" for rival in rivals for words in metrics.values()]
    rows = []
    for name in card.forecasters:
        found = [interval(card.find(name, metric, rival)) for rival in rivals for metric in metrics]
        rows.append((name, number(card.find(name, "average reserve")), *found))
    return Table(
        title=f"A reserve of {card.gate_share:g} of the {100.0 * card.gate_level:g} % quantile, at equal average",
        columns=("forecaster", "average reserve", *columns),
        rows=tuple(rows),
    )


def rules(card: "MarginCard") -> Table:
    """Shortfall over that of every simple rule: at equal average reserve, and with factors fixed before each origin."""
    rows = []
    for name in card.forecasters:
        equal = [_with_t(card.find(name, "shortfall", rule)) for rule in card.rules]
        held = [
            f"{number(card.find(name, 'shortfall as held', rule))} "
            f"at {number(card.find(name, 'average reserve as held', rule))}"
            for rule in card.rules
        ]
        rows.append((name, *equal, *held))
    before = [f"{rule}, fixed before: at reserve /" for rule in card.rules]
    return Table(
        title="Shortfall / each simple rule: at equal average reserve, t; factor fixed before each origin, as held",
        columns=("forecaster", *card.rules, *before),
        rows=tuple(rows),
    )


def calls(card: "MarginCard") -> Table:
    """Brier skill of a margin call within the horizon, its calibration error, stated and seen frequency."""
    against = [BASE_RATE, *_bars(card)]
    columns = [f"skill / {one} [95 %]" for one in against]
    rows = []
    for name in card.forecasters:
        found = [skill(card.find(name, "brier", one)) for one in against]
        stated, seen = share(card.find(name, "call stated")), share(card.find(name, "call seen"))
        error = number(card.find(name, "calibration error"))
        rows.append((name, *found, statistic(card.find(name, "brier", BASE_RATE)), error, f"{stated} → {seen}"))
    return Table(
        title=f"A call within {card.horizon:g} h of an account that began at {card.cushion:g} × IM",
        columns=("forecaster", *columns, "t", "calibration error", "stated → seen"),
        rows=tuple(rows),
    )


def exceptions(card: "MarginCard") -> Table:
    """Share of needs above the stated quantile: overall with its interval, and by third of volatility."""
    columns, rows = [], []
    for level in ("99", "95"):
        columns += [f"over {level} % [95 %]", *(word for word in REGIMES)]
    for name in card.forecasters:
        cells = []
        for level in ("99", "95"):
            cells.append(_share_interval(card.find(name, f"exceptions {level}")))
            cells += [share(card.find(name, f"exceptions {level} {word}")) for word in REGIMES]
        rows.append((name, *cells))
    return Table(
        title="Needs above the stated quantile, pooled over books", columns=("forecaster", *columns), rows=tuple(rows)
    )


def tests(card: "MarginCard") -> Table:
    """Backtests of single books, on all origins and on windows that do not overlap."""
    rows = tuple(
        (
            one.forecaster,
            f"{100.0 * one.level:g} %",
            f"{100.0 * one.together:.0f} %",
            f"{one.refused} / {one.books}",
            f"{one.refused_thinned} / {one.books}",
            f"{one.clustered} / {one.books}",
            " ".join(f"{count} {light}" for light, count in one.lights.items() if count),
            f"{100.0 * one.power:.0f} %",
        )
        for one in card.coverage
    )
    return Table(
        title="Coverage of single books: proportion refused at 5 %, exceptions in rows, traffic light",
        columns=(
            "forecaster",
            "level",
            "most books at once",
            "refused",
            "refused, thinned",
            "clustered, thinned",
            "light, thinned",
            "power at twice",
        ),
        rows=rows,
    )


def _bars(card: "MarginCard") -> list[str]:
    return [name for name in AGAINST if name in card.forecasters]


def _with_t(one: Measure | None) -> str:
    return MISSING if one is None else f"{one.value:.3f}, {statistic(one)}"


def _share_interval(one: Measure | None) -> str:
    if one is None or one.lower is None or one.upper is None:
        return share(one)
    return f"{100.0 * one.value:.1f} % [{100.0 * one.lower:.1f}, {100.0 * one.upper:.1f}]"
