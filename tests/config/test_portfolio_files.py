"""Portfolios as tables: what is read, what may be left out, and what is refused with file, line and column."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from greekdrift.book.rules import NetPortfolioParameters
from greekdrift.book.scenario_terms import Table, VolatilityMove
from greekdrift.config import load_rules
from greekdrift.config.portfolio_files import PARAMETERS, PortfolioCase, load_portfolios
from greekdrift.errors import ConfigError, DataError

RULES = load_rules("derive_pm2")
P = RULES.parameters
assert isinstance(P, NetPortfolioParameters)

CASES = (
    "case,in.Cash,in.SpotPrice,in.SpotConfidence,in.NumPerps,in.PerpPrice,in.PerpConfidence,"
    "in.UnrealisedPerpPNL,in.UnrealisedFunding,in.StablePrice\n"
    "a,1000,100000,1,-0.5,100100,0.9,25,-5,0.97\n"
    "b,1e3,2000.0,1,0,,,0,0,1\n"
)
OPTIONS = (
    "case,Expiry,Strike,IsCall,MarkVol,Amount\n"
    "a,86400,110000,1,0.5,-2\na,86400.0,90000,False,6e-1,3\na,0,100000,0,0,1\n"
)
FEEDS = (
    "case,FeedExpiry,Forward,Rate,ForwardConfidence,RateConfidence,OptionVolConfidences\n"
    "a,0,100000,0,1,1,1\na,86400,100050,-0.02,1,0.4,1\n"
)
COLLATERALS = (
    "case,Name,Amount,Price,IsRiskCancelling,MMHaircut,IMHaircut,Confidence,ConfidenceFactor\n"
    "a,BTC,1.5,100000,True,0.02,0.01,1,0.55\n"
)
SCENARIOS = (
    "case,kind,SpotShock,VolShockDirection,DampeningFactor,exp.pnl\n"
    "a,regular,1.1,Up,1,\na,tail,0.5,up,0.1,-7\na,skew,1,ABS,1,\nb,regular,0.9,None,1,0\n"
)

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(**changed: str | None) -> Path:
        tables: dict[str, str | None] = {
            "cases": CASES,
            "options": OPTIONS,
            "expiry_feeds": FEEDS,
            "collaterals": COLLATERALS,
            "scenarios": None,
        }
        for name, text in {**tables, **changed}.items():
            if text is not None:
                (tmp_path / f"set_{name}.csv").write_text(text)
        return tmp_path

    return written


def test_what_is_read(write: Write) -> None:
    first, second = load_portfolios(write(scenarios=SCENARIOS), rules=RULES)
    held = first.portfolio
    assert (held.cash, held.unrealised_usd, held.stable_price) == (1000.0, 20.0, 0.97)
    assert [(one.amount, one.price, one.confidence) for one in held.linears] == [(-0.5, 100_100.0, 0.9)]
    assert [one.time_to_expiry * 365.0 for one in held.expiries] == [0.0, 1.0]
    assert [(one.strike, one.is_call, one.volatility, one.amount, one.forward) for one in held.expiries[1].options] == [
        (110_000.0, True, 0.5, -2.0, 100_050.0),
        (90_000.0, False, 0.6, 3.0, 100_050.0),
    ]
    assert held.expiries[1].rate_confidence == 0.4
    assert held.collaterals[0].is_risk_cancelling
    assert [(one.table, one.spot, one.volatility) for one in first.parameters.scenarios] == [
        (Table.REGULAR, 1.1, VolatilityMove.UP),
        (Table.TAIL, 0.5, VolatilityMove.UP),
    ]
    assert first.parameters.skew_scenarios[0].scale_cap == 0.15
    assert first.scenario_pnl == {"tail 0.5 up": -7.0}
    assert second.portfolio.linears == second.portfolio.expiries == second.portfolio.collaterals == ()
    assert second.scenario_pnl == {"regular 0.9 None": 0.0}
    assert first.initial_health_usd is second.maintenance_health_usd is None


def test_without_columns_and_scenarios_the_rule_set_speaks(write: Write) -> None:
    header_alone = SCENARIOS.splitlines()[0] + "\n"
    for scenarios in (None, header_alone):
        assert {case.parameters for case in load_portfolios(write(scenarios=scenarios), rules=RULES)} == {P}


def _with_parameters(text: str, values: dict[str, str]) -> str:
    names = [f"par.{name}" for _, fields in PARAMETERS.values() for name in fields.values()]
    names += [f"par.SkewShock.{table}_{part}" for table in ("LINEAR", "ABS") for part in ("SCALE_CAP", "CBASE")]
    header, *rows = text.splitlines()
    cells = ",".join(values.get(name, "0.25") for name in names)
    return "\n".join([f"{header},{','.join(names)}", *(f"{row},{cells}" for row in rows)])


def test_parameters_of_a_case_stand_before_the_rule_sets(write: Write) -> None:
    text = _with_parameters(CASES, {"par.Margin.MM_LOSS_FACTOR": "0.7", "par.SkewShock.ABS_SCALE_CAP": "0.3"})
    first, second = load_portfolios(write(cases=text), rules=RULES)
    assert first.parameters is second.parameters
    assert first.parameters.loss.maintenance == 0.7
    assert first.parameters.volatility.up == 0.25
    assert first.parameters.scenarios == P.scenarios
    assert [one.scale_cap for one in first.parameters.skew_scenarios] == [0.25, 0.3]


def test_order_further_columns_a_mark_and_blank_lines_do_not_matter(write: Write) -> None:
    expected = load_portfolios(write(), rules=RULES)
    header, *rows = OPTIONS.splitlines()
    turned = [",".join(line.split(",")[::-1]) for line in (header, *rows)]
    wider = "\r\n".join([turned[0] + ",note", *(f'{line},"x, y"' for line in turned[1:]), "", ",,,,,,"])
    assert load_portfolios(write(options="\ufeff" + wider), rules=RULES) == expected


def test_two_scenarios_that_do_the_same_are_told_apart(write: Write) -> None:
    twice = SCENARIOS + "a,regular,1.1000000000000001,Up,0.5,\n"
    labels = [one.label for one in load_portfolios(write(scenarios=twice), rules=RULES)[0].parameters.scenarios]
    assert labels == ["regular 1.1 Up", "tail 0.5 up", "regular 1.1 Up (2)"]


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        ("options", "MarkVol", "MarkVl", 'set_options.csv has no column "MarkVol"; did you mean "MarkVl"'),
        ("options", "0.5,-2", "nan,-2", 'set_options.csv, line 2, column MarkVol of case a: "nan" is not a number'),
        ("options", "0.5,-2", "-0.5,-2", 'line 2, column MarkVol of case a: "-0.5" is below 0'),
        ("options", "0.5,-2", ",-2", 'column MarkVol of case a: "" is not a number; fill it in'),
        ("options", "0.5,-2", "0.5,1_0", '"1_0" is not a number'),
        ("options", "0.5,-2", "0.5,inf", '"inf" is not a number'),
        ("options", "a,86400,110000", "a,86401,110000", "has no row among the expiry feeds of the case (there: 0, 864"),
        ("options", "a,0,", "a,-1,", '"-1" is below 0'),
        ("options", "a,0,", "a,1740729600000,", "is above 3.1536e+09"),
        ("options", ",90000,", ",0,", '"0" is not above 0'),
        ("options", "False", "maybe", 'column IsCall of case a: "maybe" is neither True (1) nor False (0)'),
        ("options", "a,0,", "aa,0,", 'line 4, column case of case aa: "aa" is not among the cases'),
        ("options", "a,0,", ",0,", "column case"),
        ("options", "a,0,100000", "a,0,100000,7", "line 4 has 7 cells for 6 columns"),
        ("expiry_feeds", "a,0,100000,0", "a,0,0,0", 'column Forward of case a: "0" is not above 0'),
        ("expiry_feeds", "-0.02,1,0.4", "-0.02,1,1.4", '"1.4" is above 1'),
        ("expiry_feeds", "a,86400,", "a,0,", 'column FeedExpiry of case a: "0" stands in line 2 already'),
        ("collaterals", "a,BTC", "c,BTC", "is not among the cases; remove the row, or add its case"),
        ("collaterals", "0.02,0.01", "-0.02,0.01", "column MMHaircut"),
        ("cases", "b,1e3", "a,1e3", 'column case of case a: "a" stands in line 2 already'),
        ("cases", "a,1000,100000", "a,1000,0", "column in.SpotPrice"),
        ("cases", ",0.97", ",0", "column in.StablePrice"),
        ("cases", "-0.5,100100,0.9", "-0.5,,0.9", "column in.PerpPrice"),
        ("cases", "in.Cash", "par.Cash", 'no column "in.Cash"'),
        ("cases", "in.StablePrice", "in.StablePrice,in.Cash", "twice"),
        ("scenarios", "tail,0.5,up", "tale,0.5,up", 'column kind of case a: "tale" is not known; did you mean "tail"'),
        ("scenarios", "tail,0.5,up", "tail,0.5,upp", 'did you mean "up"'),
        ("scenarios", "1,ABS", "1,UP", "known: abs, linear"),
        ("scenarios", "tail,0.5", "tail,0", "column SpotShock"),
        ("scenarios", "0.1,-7", "-0.1,-7", "column DampeningFactor"),
        ("scenarios", ",-7", ",nan", "column exp.pnl"),
        ("scenarios", "b,regular", "a,regular", 'case b: "b" has no row in the table of scenarios'),
        ("scenarios", "a,regular", "b,regular", None),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(
    write: Write, table: str, old: str, new: str, message: str | None
) -> None:
    texts = {"scenarios": SCENARIOS, "cases": CASES, "options": OPTIONS, "expiry_feeds": FEEDS}
    texts["collaterals"] = COLLATERALS
    changed = texts[table].replace(old, new, 1)
    assert changed != texts[table]
    folder = write(**{table: changed})
    if message is None:
        assert load_portfolios(folder, rules=RULES)
        return
    with pytest.raises(DataError) as problem:
        load_portfolios(folder, rules=RULES)
    assert message in str(problem.value)


def test_a_missing_parameter_is_an_error_and_never_a_default(write: Write) -> None:
    text = _with_parameters(CASES, {}).replace("par.Margin.MM_LOSS_FACTOR", "par.Margin.MM_LOS_FACTOR")
    with pytest.raises(DataError, match=r'did you mean "par\.Margin\.MM_LOS_FACTOR"'):
        load_portfolios(write(cases=text), rules=RULES)
    text = _with_parameters(CASES, {"par.Margin.MM_LOSS_FACTOR": ""})
    with pytest.raises(DataError, match=r"line 2, column par.Margin.MM_LOSS_FACTOR of case a"):
        load_portfolios(write(cases=text), rules=RULES)


def test_a_folder_must_hold_one_set_of_tables(write: Write, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has none"):
        load_portfolios(tmp_path, rules=RULES)
    with pytest.raises(DataError, match="is no folder"):
        load_portfolios(tmp_path / "absent", rules=RULES)
    folder = write()
    (folder / "set_options.csv").rename(folder / "options.csv")
    with pytest.raises(DataError, match=r"set_options.csv is not there"):
        load_portfolios(folder, rules=RULES)
    write()
    (folder / "other_cases.csv").write_text(CASES)
    assert load_portfolios(folder, rules=RULES)
    (folder / "other_options.csv").write_text(OPTIONS)
    with pytest.raises(DataError, match="keep one set"):
        load_portfolios(folder, rules=RULES)
    (folder / "other_cases.csv").unlink()
    (folder / "set_collaterals.csv").write_text("")
    with pytest.raises(DataError, match="is empty; write a header"):
        load_portfolios(folder, rules=RULES)
    (folder / "set_collaterals.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="cannot be read as CSV"):
        load_portfolios(folder, rules=RULES)


def test_a_table_without_rows_may_be_a_blank_line_but_no_file_that_was_never_written(write: Write) -> None:
    for case in load_portfolios(write(options="\n", collaterals="\n\n"), rules=RULES):
        assert case.portfolio.collaterals == ()
        assert all(expiry.options == () for expiry in case.portfolio.expiries)
    with pytest.raises(DataError, match=r"set_options.csv is empty; write a header"):
        load_portfolios(write(options=""), rules=RULES)
    with pytest.raises(DataError, match="starts with a blank line"):
        load_portfolios(write(options="\n" + OPTIONS), rules=RULES)
    with pytest.raises(DataError, match=r"set_cases.csv is empty"):
        load_portfolios(write(options=OPTIONS, cases="\n"), rules=RULES)


def test_a_direction_that_a_tool_wrote_as_nothing_is_none(write: Write) -> None:
    """`None` read and written by pandas is an empty cell; among others that say None it is a hole."""
    expected = load_portfolios(write(scenarios=SCENARIOS), rules=RULES)[1].parameters.scenarios
    found = load_portfolios(write(scenarios=SCENARIOS.replace(",None,", ",,")), rules=RULES)[1].parameters.scenarios
    assert found == expected
    with pytest.raises(DataError, match="column VolShockDirection of case a"):
        load_portfolios(write(scenarios=SCENARIOS.replace(",Up,", ",,")), rules=RULES)
    with pytest.raises(DataError, match="column VolShockDirection of case a"):
        load_portfolios(write(scenarios=SCENARIOS.replace(",None,", ",,").replace("ABS", "")), rules=RULES)


def test_tables_need_a_rule_set_of_their_form(write: Write) -> None:
    other = replace(RULES, parameters=object())  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="is no net-portfolio one"):
        load_portfolios(write(), rules=other)


@pytest.mark.shared
def test_the_published_tables(golden: Path) -> None:
    cases: tuple[PortfolioCase, ...] = load_portfolios(golden, rules=RULES)
    assert len(cases) == 139
    assert sum(len(case.scenario_pnl) for case in cases) == 4301
    assert sum(len(expiry.options) for case in cases for expiry in case.portfolio.expiries) == 2360
    assert sum(len(case.portfolio.collaterals) for case in cases) == 378
    default = cases[0].parameters
    assert (default.loss, default.basis, default.volatility) == (P.loss, P.basis, P.volatility)
    assert [one.spot for one in default.scenarios] == pytest.approx([one.spot for one in P.scenarios])
    assert [one.damping for one in default.scenarios] == pytest.approx([one.damping for one in P.scenarios])
