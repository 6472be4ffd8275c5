"""Portfolios of the net-portfolio model as a folder of CSV tables, the layout in which Derive's cases are published.

    *_cases.csv          one row a portfolio: in.* cash, spot, perpetual and feeds, par.* parameters, exp.* expected
    *_options.csv        one row an option: Expiry in seconds, Strike, IsCall, MarkVol, Amount in coins
    *_expiry_feeds.csv   one row an expiry: FeedExpiry in seconds, Forward, Rate and the confidence in each feed
    *_collaterals.csv    one row a collateral: Amount, Price in USD, IsRiskCancelling, haircuts, confidence
    *_scenarios.csv      one row a scenario of a case, with its expected P&L; without the file, those of the rule set

All tables join by the column case. Order and further columns do not matter. A table without rows has a header, or a
blank line in its place. Where no VolShockDirection of a table says None, an empty one does: so some tools write it.
Without any par.* column the parameters are those of the rule set. A column exp.IM, exp.MM or exp.pnl, or a cell of it,
that is absent or empty expects nothing. Every other cell must be there and be a number that can be: file, line and
column are named where it is not.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any

from greekdrift.book.rules import (
    BasisTerms,
    ContingencyTerms,
    DiscountTerms,
    LossTerms,
    NetCollateral,
    NetExpiry,
    NetLinear,
    NetOption,
    NetPortfolio,
    NetPortfolioParameters,
    RuleSet,
    SkewScenario,
    SkewTerms,
)
from greekdrift.book.scenario_terms import SpotScenario, Table, VolatilityMove, VolatilityTerms
from greekdrift.config.rows import Row, refuse_missing, refuse_repeated, rows_of
from greekdrift.errors import ConfigError, DataError, nearest
from greekdrift.units import SECONDS_PER_YEAR

LONGEST_SECONDS = 100.0 * SECONDS_PER_YEAR
"""An expiry later than this is an instant in the place of a duration."""

_CASES = (
    *("Cash", "SpotPrice", "SpotConfidence", "NumPerps", "PerpPrice", "PerpConfidence"),
    *("UnrealisedPerpPNL", "UnrealisedFunding", "StablePrice"),
)

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "cases": ("case", *(f"in.{name}" for name in _CASES)),
    "options": ("case", "Expiry", "Strike", "IsCall", "MarkVol", "Amount"),
    "expiry_feeds": (
        *("case", "FeedExpiry", "Forward", "Rate"),
        *("ForwardConfidence", "RateConfidence", "OptionVolConfidences"),
    ),
    "collaterals": (
        *("case", "Name", "Amount", "Price", "IsRiskCancelling"),
        *("MMHaircut", "IMHaircut", "Confidence", "ConfidenceFactor"),
    ),
    "scenarios": ("case", "kind", "SpotShock", "VolShockDirection", "DampeningFactor"),
}
"""Columns that each table must have."""

PARAMETERS: Mapping[str, tuple[type, Mapping[str, str]]] = {
    "volatility": (
        VolatilityTerms,
        {
            "up": "VolShock.VOLRANGEUP",
            "down": "VolShock.VOLRANGEDOWN",
            "floor": "VolShock.MIN_VOL_EVAL_SHOCKED",
            "short_power": "VolShock.SHORTTERMPOWER",
            "long_power": "VolShock.LONGTERMPOWER",
            "floor_days": "VolShock.DTE_FLOOR",
        },
    ),
    "skew": (
        SkewTerms,
        {
            "least_width": "SkewShock.MIN_K_STAR",
            "scale": "SkewShock.MIN_WIDTH_SCALE",
            "level": "SkewShock.VOL_PARAM_STATIC",
            "slope": "SkewShock.VOL_PARAM_SCALE",
        },
    ),
    "discount": (
        DiscountTerms,
        {
            "long_base": "Margin.BASE_STATIC_DISCOUNT",
            "short_base": "Margin.BASE_STATIC_DISCOUNT_NEG",
            "long_rate_share": "Margin.LONG_RATE_MULTSCALE",
            "short_rate_share": "Margin.SHORT_RATE_MULTSCALE",
            "long_spread": "Margin.LONG_RATE_ADDSCALE",
            "short_spread": "Margin.SHORT_RATE_ADDSCALE",
        },
    ),
    "basis": (
        BasisTerms,
        {
            "up": "BasisContingency.SCENARIO_SPOT_UP",
            "down": "BasisContingency.SCENARIO_SPOT_DOWN",
            "level": "BasisContingency.BASIS_CONT_ADD_FACTOR",
            "per_year": "BasisContingency.BASIS_CONT_MULT_FACTOR",
        },
    ),
    "loss": (
        LossTerms,
        {
            "maintenance": "Margin.MM_LOSS_FACTOR",
            "initial": "Margin.IM_LOSS_FACTOR",
            "peg_threshold": "OtherContingency.PEG_LOSS_THRESHOLD",
            "peg_factor": "OtherContingency.PEG_LOSS_FACTOR",
        },
    ),
    "contingency": (
        ContingencyTerms,
        {
            "linear_maintenance": "OtherContingency.MM_PERP_PERCENT",
            "linear_initial": "OtherContingency.IM_PERP_PERCENT",
            "option_maintenance": "OtherContingency.MM_OPTION_PERCENT",
            "option_initial": "OtherContingency.IM_OPTION_PERCENT",
            "confidence_threshold": "OtherContingency.CONF_THRESHOLD",
            "confidence_charge": "OtherContingency.CONF_MARGIN",
        },
    ),
}
"""The column par.* of each field of the parameters; `*_initial` ones come on top of `*_maintenance`, as published."""

_CAPS = {
    False: ("par.SkewShock.LINEAR_SCALE_CAP", "par.SkewShock.LINEAR_CBASE"),
    True: ("par.SkewShock.ABS_SCALE_CAP", "par.SkewShock.ABS_CBASE"),
}
"""Columns of the cap and of its slope, of a linear skew scenario and of an absolute one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioCase:
    """A portfolio, its parameters, and what is expected of it; None or no entry where nothing is.

    Expected are the published healths (equity − requirement) and the P&L of scenarios by label, in USD.
    """

    case: str
    portfolio: NetPortfolio
    parameters: NetPortfolioParameters
    initial_health_usd: float | None
    maintenance_health_usd: float | None
    scenario_pnl: Mapping[str, float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "scenario_pnl", MappingProxyType(dict(self.scenario_pnl)))


def load_portfolios(folder: str | Path, *, rules: RuleSet) -> tuple[PortfolioCase, ...]:
    """The portfolios of a folder, in the order of its cases.

    `rules` gives what the tables leave out: the parameters where there is no par.* column, the scenarios where there
    is no table of them. Raises `DataError` with file, line and column, and `ConfigError` where the rule set is of
    another form than net portfolio.
    """
    given = rules.parameters
    if not isinstance(given, NetPortfolioParameters):
        raise ConfigError(f"rule set {rules.name} is no net-portfolio one; these tables need one, like derive_pm2.")
    paths = _paths(Path(folder))
    cases = rows_of(paths["cases"], COLUMNS["cases"])
    if not cases:
        raise DataError(f"{paths['cases'].name} has no row; write one row a portfolio.")
    refuse_repeated(cases, lambda row: row.case, "case", "give each portfolio its own name")
    parts = {name: _by_case(_rows(path, name), cases) for name, path in paths.items() if name != "cases"}
    parameters = _Parameters(cases[0], given, has_scenarios=bool(parts.get("scenarios")))
    return tuple(
        _case(row, {name: part.get(row.case, []) for name, part in parts.items()}, parameters) for row in cases
    )


class _Parameters:
    """Parameters of each case; equal ones are one record."""

    def __init__(self, first: Row, given: NetPortfolioParameters, *, has_scenarios: bool) -> None:
        self._given = given
        self._has_scenarios = has_scenarios
        self._known: dict[tuple[Any, ...], NetPortfolioParameters] = {}
        names = [f"par.{name}" for _, fields in PARAMETERS.values() for name in fields.values()]
        names += [name for pair in _CAPS.values() for name in pair]
        self.columns = tuple(names) if any(name.startswith("par.") for name in first.cells) else ()
        refuse_missing(first.where.split(", line")[0], first.cells, self.columns)

    def of(self, row: Row, scenarios: Sequence[Row]) -> NetPortfolioParameters:
        """The parameters of a case."""
        if self._has_scenarios and not scenarios:
            raise row.wrong("case", "has no row in the table of scenarios; give each case its own")
        cells = ("kind", "SpotShock", "VolShockDirection", "DampeningFactor")
        key = (
            tuple(row.cells[name] for name in self.columns),
            tuple(tuple(scenario.cells[name] for name in cells) for scenario in scenarios),
        )
        if key not in self._known:
            self._known[key] = self._made(row, scenarios)
        return self._known[key]

    def _made(self, row: Row, scenarios: Sequence[Row]) -> NetPortfolioParameters:
        groups: dict[str, Any] = {}
        spots, skews = self._given.scenarios, self._given.skew_scenarios
        if self.columns:
            groups = {
                name: kind(**{field: row.number(f"par.{column}") for field, column in fields.items()})
                for name, (kind, fields) in PARAMETERS.items()
            }
            skews = tuple(_capped(one, row, is_absolute=one.is_absolute) for one in skews)
        if scenarios:
            labels = labels_of(scenarios)
            pairs = list(zip(scenarios, labels, strict=True))
            spots = tuple(_spot(one, label) for one, label in pairs if one.word("kind", _KINDS) is not None)
            skews = tuple(self._skew(one, label, row) for one, label in pairs if one.word("kind", _KINDS) is None)
        try:
            return replace(self._given, scenarios=spots, skew_scenarios=skews, **groups)
        except ConfigError as problem:
            raise DataError(f"{row.where}, case {row.case}: {problem}") from None

    def _skew(self, scenario: Row, label: str, row: Row) -> SkewScenario:
        """A skew scenario; one that says to move spot moves none, and has the cap of the absolute table.

        So it is in the one published case that has it, which upstream marks as an invalid set-up.
        """
        is_absolute = scenario.word("VolShockDirection", {"linear": False, "abs": True})
        is_moved = scenario.number("SpotShock", above=0.0) != 1.0
        made = SkewScenario(
            label=label,
            is_absolute=is_absolute,
            scale_cap=0.0,
            cap_slope=0.0,
            damping=scenario.number("DampeningFactor", least=0.0),
        )
        if self.columns:
            return _capped(made, row, is_absolute=is_absolute or is_moved)
        same = [one for one in self._given.skew_scenarios if one.is_absolute == (is_absolute or is_moved)]
        if not same:
            raise scenario.wrong("VolShockDirection", "has no cap in the rule set; give the columns par.SkewShock.*")
        return replace(made, scale_cap=same[0].scale_cap, cap_slope=same[0].cap_slope)


_KINDS: Mapping[str, Table | None] = {"regular": Table.REGULAR, "tail": Table.TAIL, "skew": None}


def labels_of(scenarios: Sequence[Row]) -> list[str]:
    """A label of each scenario of a case: what it does, numbered where two do the same."""
    seen: dict[str, int] = {}
    found = []
    for row in scenarios:
        label = f"{row.cells['kind']} {row.number('SpotShock'):.12g} {row.cells['VolShockDirection']}"
        seen[label] = seen.get(label, 0) + 1
        found.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return found


def _capped(scenario: SkewScenario, row: Row, *, is_absolute: bool) -> SkewScenario:
    cap, slope = _CAPS[is_absolute]
    return replace(scenario, scale_cap=row.number(cap), cap_slope=row.number(slope))


def _spot(row: Row, label: str) -> SpotScenario:
    return SpotScenario(
        label=label,
        table=row.word("kind", _KINDS),
        spot=row.number("SpotShock", above=0.0),
        volatility=row.word("VolShockDirection", {str(move): move for move in VolatilityMove}),
        damping=row.number("DampeningFactor", least=0.0),
    )


def _case(row: Row, parts: Mapping[str, Sequence[Row]], parameters: _Parameters) -> PortfolioCase:
    scenarios = parts.get("scenarios", [])
    expected = {
        label: value
        for label, one in zip(labels_of(scenarios), scenarios, strict=True)
        if (value := one.expected("exp.pnl")) is not None
    }
    return PortfolioCase(
        case=row.case,
        portfolio=_portfolio(row, parts),
        parameters=parameters.of(row, scenarios),
        initial_health_usd=row.expected("exp.IM"),
        maintenance_health_usd=row.expected("exp.MM"),
        scenario_pnl=expected,
    )


def _portfolio(row: Row, parts: Mapping[str, Sequence[Row]]) -> NetPortfolio:
    return NetPortfolio(
        underlying=row.case,
        cash=row.number("in.Cash"),
        spot_price=row.number("in.SpotPrice", above=0.0),
        spot_confidence=row.number("in.SpotConfidence", least=0.0, most=1.0),
        stable_price=row.number("in.StablePrice", above=0.0),
        unrealised_usd=row.number("in.UnrealisedPerpPNL") + row.number("in.UnrealisedFunding"),
        linears=_perpetuals(row),
        expiries=_expiries(parts["expiry_feeds"], parts["options"]),
        collaterals=tuple(_collateral(one) for one in parts["collaterals"]),
    )


def _perpetuals(row: Row) -> tuple[NetLinear, ...]:
    amount = row.number("in.NumPerps")
    if amount == 0.0:
        return ()
    price, confidence = (
        row.number("in.PerpPrice", above=0.0),
        row.number("in.PerpConfidence", least=0.0, most=1.0),
    )
    return (NetLinear(amount=amount, price=price, confidence=confidence),)


def _expiries(feeds: Sequence[Row], options: Sequence[Row]) -> tuple[NetExpiry, ...]:
    """The expiries of a case in the order of their feeds; an option without one, and a second feed, are refused."""
    seconds = [row.number("FeedExpiry", least=0.0, most=LONGEST_SECONDS) for row in feeds]
    refuse_repeated(
        feeds, lambda row: float(row.cells["FeedExpiry"]), "FeedExpiry", "give one feed of an expiry in a case"
    )
    lines: dict[float, list[Row]] = {one: [] for one in seconds}
    for row in options:
        expiry = row.number("Expiry", least=0.0, most=LONGEST_SECONDS)
        if expiry not in lines:
            known = ", ".join(f"{one:g}" for one in seconds) or "none"
            raise row.wrong("Expiry", f"has no row among the expiry feeds of the case (there: {known}); add it")
        lines[expiry].append(row)
    return tuple(_expiry(row, expiry, lines[expiry]) for row, expiry in zip(feeds, seconds, strict=True))


def _expiry(row: Row, seconds: float, options: Sequence[Row]) -> NetExpiry:
    forward = row.number("Forward", above=0.0)
    return NetExpiry(
        time_to_expiry=seconds / SECONDS_PER_YEAR,
        rate=row.number("Rate"),
        forward_confidence=row.number("ForwardConfidence", least=0.0, most=1.0),
        rate_confidence=row.number("RateConfidence", least=0.0, most=1.0),
        volatility_confidence=row.number("OptionVolConfidences", least=0.0, most=1.0),
        options=tuple(
            NetOption(
                strike=option.number("Strike", above=0.0),
                is_call=option.claim("IsCall"),
                forward=forward,
                volatility=option.number("MarkVol", least=0.0),
                amount=option.number("Amount"),
            )
            for option in options
        ),
    )


def _collateral(row: Row) -> NetCollateral:
    return NetCollateral(
        amount=row.number("Amount"),
        price=row.number("Price", least=0.0),
        is_risk_cancelling=row.claim("IsRiskCancelling"),
        maintenance=row.number("MMHaircut", least=0.0),
        initial=row.number("IMHaircut", least=0.0),
        confidence=row.number("Confidence", least=0.0, most=1.0),
        confidence_threshold=row.number("ConfidenceFactor", least=0.0, most=1.0),
    )


def _paths(folder: Path) -> dict[str, Path]:
    """The tables of a folder, by name; all share what stands before the name."""
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; name the one that holds *_cases.csv, *_options.csv and the others.")
    found = sorted(folder.glob("*cases.csv"))
    whole = [one for one in found if (folder / f"{one.name.removesuffix('cases.csv')}options.csv").is_file()]
    if len(found) > 1 and len(whole) == 1:
        found = whole
    if len(found) != 1:
        there = ", ".join(path.name for path in found) or "none"
        raise DataError(f"{folder} must hold one *_cases.csv, and has {there}; keep one set of tables in a folder.")
    prefix = found[0].name.removesuffix("cases.csv")
    paths = {name: folder / f"{prefix}{name}.csv" for name in COLUMNS}
    if not paths["scenarios"].exists():
        del paths["scenarios"]
    for path in paths.values():
        if not path.is_file():
            there = ", ".join(sorted(one.name for one in folder.glob("*.csv")))
            raise DataError(f"{path} is not there (there: {there}); write it, with a header alone if it has no row.")
    return paths


def _rows(path: Path, name: str) -> list[Row]:
    """The rows of a table beside the cases."""
    rows = rows_of(path, COLUMNS[name], may_be_blank=True)
    words = {row.cells["VolShockDirection"].lower() for row in rows} if name == "scenarios" else set()
    if "" not in words or "none" in words:
        return rows
    return [replace(row, cells={**row.cells, "VolShockDirection": _direction(row)}) for row in rows]


def _direction(row: Row) -> str:
    given = row.cells["VolShockDirection"]
    return given or ("" if row.cells["kind"].lower() == "skew" else "None")


def _by_case(rows: list[Row], cases: Sequence[Row]) -> dict[str, list[Row]]:
    known = {row.case for row in cases}
    for row in rows:
        if row.case not in known:
            raise row.wrong("case", f"is not among the cases; {_nearest_case(row.case, known)}")
    rows.sort(key=lambda row: row.case)
    return {case: list(group) for case, group in groupby(rows, key=lambda row: row.case)}


def _nearest_case(case: str, known: Iterable[str]) -> str:
    """The nearest case, or how many there are."""
    hint = nearest(case, known)
    return hint if hint.startswith("did") else "remove the row, or add its case"
