"""`greekdrift margin check` on random portfolios in the published layout, against the slow truth."""

import csv
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

import pytest

from greekdrift.book.rules import (
    NetCollateral,
    NetExpiry,
    NetLinear,
    NetOption,
    NetPortfolio,
    NetPortfolioParameters,
    SkewScenario,
)
from greekdrift.book.scenario_terms import SpotScenario
from greekdrift.config import load_rules
from greekdrift.config.portfolio_files import COLUMNS, PARAMETERS, load_portfolios
from greekdrift.errors import GreekdriftError
from greekdrift.margin import naive
from greekdrift.margin.published import compared
from greekdrift.units import SECONDS_PER_YEAR

RULES = load_rules("derive_pm2")
P = RULES.parameters
assert isinstance(P, NetPortfolioParameters)

SECONDS = (0, 1, 60, 899.5, 1799, 1800, 3600, 86_399, 86_400, 30 * 86_400, 30 * 86_400 + 1, 2e7, 6.3e7)
"""At settlement, within its average, below and above the floor of days, to both sides of 30 days, and far."""


@dataclass(frozen=True)
class Drawn:
    """A portfolio, its parameters, and its rows of each table."""

    portfolio: NetPortfolio
    parameters: NetPortfolioParameters
    rows: Mapping[str, Sequence[Mapping[str, object]]]


def drawn(case: str, dice: random.Random, *, has_scenarios: bool) -> Drawn:
    """A random portfolio: what the model reads, and the same as rows."""
    spot = 10.0 ** dice.uniform(1.0, 5.3)
    parameters = moved(dice, has_scenarios=has_scenarios)
    held, feeds, options = [], [], []
    for seconds in dice.sample(SECONDS, dice.randint(0, 4)):
        expiry = expiry_of(seconds, spot, dice)
        held.append(expiry)
        given = {"case": case, "FeedExpiry": seconds, "Forward": spot, "Rate": expiry.rate}
        given["Forward"] = expiry.options[0].forward if expiry.options else spot
        confidence = (expiry.forward_confidence, expiry.rate_confidence, expiry.volatility_confidence)
        names = ("ForwardConfidence", "RateConfidence", "OptionVolConfidences")
        feeds.append({**given, **dict(zip(names, confidence, strict=True))})
        options += [
            {
                "case": case,
                "Expiry": seconds,
                "Strike": one.strike,
                "IsCall": dice.choice((int(one.is_call), one.is_call, float(one.is_call))),
                "MarkVol": one.volatility,
                "Amount": one.amount,
            }
            for one in expiry.options
        ]
    collaterals = [collateral(spot, dice) for _ in range(dice.randint(0, 3))]
    perpetual = NetLinear(
        amount=dice.choice((0.0, dice.uniform(-9, 9))),
        price=spot * dice.uniform(0.98, 1.02),
        confidence=dice.choice((1.0, 0.3)),
    )
    portfolio = NetPortfolio(
        underlying=case,
        cash=dice.uniform(-1e5, 1e5),
        spot_price=spot,
        spot_confidence=dice.choice((1.0, 1.0, 0.4)),
        stable_price=dice.choice((1.0, 0.97, 1.02)),
        unrealised_usd=0.0,
        linears=(perpetual,),
        expiries=tuple(held),
        collaterals=tuple(collaterals),
    )
    rows = {
        "cases": [case_row(case, portfolio, parameters, perpetual)],
        "options": options,
        "expiry_feeds": feeds,
        "collaterals": [collateral_row(case, at, one) for at, one in enumerate(collaterals)],
        "scenarios": scenario_rows(case, parameters) if has_scenarios else [],
    }
    return Drawn(portfolio, parameters, rows)


def expiry_of(seconds: float, spot: float, dice: random.Random) -> NetExpiry:
    forward = spot * dice.uniform(0.95, 1.05)
    return NetExpiry(
        time_to_expiry=seconds / SECONDS_PER_YEAR,
        rate=dice.uniform(-0.2, 0.3),
        forward_confidence=dice.choice((1.0, 0.5)),
        rate_confidence=dice.choice((1.0, 0.2)),
        volatility_confidence=dice.choice((1.0, 0.9)),
        options=tuple(
            NetOption(
                strike=spot * dice.choice((0.3, 0.8, 1.0, 1.1, 4.0)),
                is_call=dice.random() < 0.5,
                forward=forward,
                volatility=dice.choice((0.0, dice.uniform(0.05, 3.0))),
                amount=dice.choice((1, -1, dice.uniform(-20, 20), 1e-7)),
            )
            for _ in range(dice.randint(0, 6))
        ),
    )


def collateral(spot: float, dice: random.Random) -> NetCollateral:
    return NetCollateral(
        amount=dice.uniform(-2.0, 9.0),
        price=dice.choice((1.0, spot)),
        is_risk_cancelling=dice.random() < 0.5,
        maintenance=dice.uniform(0.0, 0.3),
        initial=dice.uniform(0.0, 0.1),
        confidence=dice.choice((1.0, 0.3)),
        confidence_threshold=0.55,
    )


def moved(dice: random.Random, *, has_scenarios: bool) -> NetPortfolioParameters:
    """The default parameters, each moved a little."""
    groups = {
        name: replace(
            getattr(P, name),
            **{field: getattr(getattr(P, name), field) * dice.uniform(0.9, 1.1) for field in fields},
        )
        for name, (_, fields) in PARAMETERS.items()
    }
    if dice.random() < 0.2:
        groups["volatility"] = replace(groups["volatility"], floor_days=0.0)
    caps = {is_absolute: (dice.uniform(0.1, 0.3), dice.uniform(-0.1, 0.1)) for is_absolute in (False, True)}
    skews = tuple(
        replace(one, scale_cap=caps[one.is_absolute][0], cap_slope=caps[one.is_absolute][1]) for one in P.skew_scenarios
    )
    spots = P.scenarios
    if has_scenarios:
        spots = tuple(replace(one, damping=one.damping * dice.uniform(0.5, 1.0)) for one in spots)
    return replace(P, scenarios=spots, skew_scenarios=skews, **groups)


def case_row(case: str, held: NetPortfolio, p: NetPortfolioParameters, perpetual: NetLinear) -> dict[str, object]:
    given = {
        "Cash": held.cash,
        "SpotPrice": held.spot_price,
        "SpotConfidence": held.spot_confidence,
        "NumPerps": perpetual.amount,
        "PerpPrice": perpetual.price,
        "PerpConfidence": perpetual.confidence,
        "UnrealisedPerpPNL": 12.5,
        "UnrealisedFunding": -12.5,
        "StablePrice": held.stable_price,
        "StableConfidence": 1,
    }
    row: dict[str, object] = {"case": case, **{f"in.{name}": value for name, value in given.items()}}
    for name, (_, fields) in PARAMETERS.items():
        row |= {f"par.{column}": getattr(getattr(p, name), field) for field, column in fields.items()}
    for one in p.skew_scenarios:
        table = "ABS" if one.is_absolute else "LINEAR"
        row |= {f"par.SkewShock.{table}_SCALE_CAP": one.scale_cap, f"par.SkewShock.{table}_CBASE": one.cap_slope}
    return row


def collateral_row(case: str, at: int, one: NetCollateral) -> dict[str, object]:
    return {
        "case": case,
        "Name": f"COIN{at}",
        "Amount": one.amount,
        "Price": one.price,
        "IsRiskCancelling": one.is_risk_cancelling,
        "MMHaircut": one.maintenance,
        "IMHaircut": one.initial,
        "Confidence": one.confidence,
        "ConfidenceFactor": one.confidence_threshold,
    }


def scenario_rows(case: str, p: NetPortfolioParameters) -> list[dict[str, object]]:
    def row(one: SpotScenario | SkewScenario) -> dict[str, object]:
        if isinstance(one, SpotScenario):
            what = {"kind": str(one.table), "SpotShock": one.spot, "VolShockDirection": str(one.volatility).title()}
        else:
            what = {"kind": "skew", "SpotShock": 1, "VolShockDirection": "ABS" if one.is_absolute else "LINEAR"}
        return {"case": case, **what, "DampeningFactor": one.damping}

    return [row(one) for one in (*p.scenarios, *p.skew_scenarios)]


def write(folder: Path, found: Sequence[Drawn], dice: random.Random) -> None:
    """The tables, their rows and columns shuffled, with an idx and a note of no meaning."""
    for name in ("cases", "options", "expiry_feeds", "collaterals", "scenarios"):
        rows: list[Any] = [row for one in found for row in one.rows[name]]
        if name == "scenarios" and not rows:
            continue
        header = [*(rows[0] if rows else COLUMNS[name]), "note"]
        if name in ("options", "collaterals"):
            dice.shuffle(rows)
        dice.shuffle(header)
        with (folder / f"batch 7_{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, header, restval="x, y")
            writer.writeheader()
            writer.writerows(rows)


@pytest.mark.parametrize(("seed", "has_scenarios"), [(1, True), (2, False), (3, True)])
def test_random_portfolios_have_the_margin_of_the_slow_truth(
    run: Callable, tmp_path: Path, seed: int, has_scenarios: bool
) -> None:
    dice = random.Random(seed)
    cases = [f"{name} {seed}" for name in ("flat", "Ünder", "test_1", *(str(at) for at in range(57)))]
    found = [drawn(case, dice, has_scenarios=has_scenarios) for case in cases]
    write(tmp_path, found, dice)
    done = run("margin", "check", tmp_path, "--json")
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert list(answer) == ["cases"]
    assert [one["case"] for one in answer["cases"]] == cases
    for one, given in zip(answer["cases"], found, strict=True):
        margin = naive.net_margin(given.portfolio, given.parameters)
        size = max(abs(margin.worst_loss_usd), abs(margin.equity_usd), margin.initial_margin_usd, 1.0)
        assert set(one) == {"case", "IM", "MM"}
        assert one["IM"] == pytest.approx(margin.initial_health_usd, abs=1e-9 * size)
        assert one["MM"] == pytest.approx(margin.maintenance_health_usd, abs=1e-9 * size)


def expecting(folder: Path, initial: str, maintenance: str) -> None:
    dice = random.Random(5)
    found = drawn("a", dice, has_scenarios=True)
    write(folder, [found], dice)
    path = folder / "batch 7_cases.csv"
    header, row = path.read_text().splitlines()
    margin = naive.net_margin(found.portfolio, found.parameters)
    figures = {"right": margin.initial_health_usd, "wrong": margin.initial_health_usd * (1.0 + 2e-9), "": ""}
    least = {"right": margin.maintenance_health_usd, "": ""}
    path.write_text(f"{header},exp.IM,exp.MM\n{row},{figures[initial]},{least[maintenance]}\n")


def test_an_expectation_that_holds_that_is_missed_and_that_is_absent(run: Callable, tmp_path: Path) -> None:
    expecting(tmp_path, "right", "right")
    assert run("margin", "check", tmp_path).code == 0
    expecting(tmp_path, "wrong", "")
    done = run("margin", "check", tmp_path)
    assert done.code == 1
    assert "1 of 1 cases miss what is expected: a" in done.err
    assert "MM – (none expected)" in done.err
    done = run("margin", "check", tmp_path, "--json")
    assert done.code == 1
    assert len(json.loads(done.out)["cases"]) == 1
    expecting(tmp_path, "", "")
    done = run("margin", "check", tmp_path)
    assert done.code == 0
    assert "nothing is expected" in done.out


def test_bad_input_is_one_message_and_no_figure(run: Callable, tmp_path: Path) -> None:
    expecting(tmp_path, "", "")
    path = tmp_path / "batch 7_expiry_feeds.csv"
    path.write_text(path.read_text().replace("Forward", "Foward"))
    for arguments in ((tmp_path,), (tmp_path, "--json"), (tmp_path / "absent",)):
        done = run("margin", "check", *arguments)
        assert (done.code, done.out) == (2, "")
        assert len(done.err.splitlines()) == 1


def test_a_margin_that_is_no_number_is_refused_with_its_case(run: Callable, tmp_path: Path) -> None:
    expecting(tmp_path, "", "")
    path = tmp_path / "batch 7_cases.csv"
    header, row = path.read_text().splitlines()
    at = header.split(",").index("in.Cash")
    cells = next(csv.reader([row]))
    cells[at] = "1e308"
    cells[header.split(",").index("in.UnrealisedFunding")] = "1e308"
    path.write_text(header + "\n" + ",".join(f'"{cell}"' for cell in cells) + "\n")
    done = run("margin", "check", tmp_path, "--json")
    assert (done.code, done.out) == (2, "")
    assert "case a: its margin is not a number" in done.err


def test_a_changed_cell_gives_figures_or_an_error_and_never_a_fault(tmp_path: Path) -> None:
    dice = random.Random(11)
    written = [drawn(f"case {at}", dice, has_scenarios=True) for at in range(4)]
    words = ("", "nan", "-1", "0", "1e308", "1e-320", "inf", "word", "True", "1,5", "-0", "99999999999", "None")
    said: list[str] = []
    for _ in range(120):
        write(tmp_path, written, dice)
        path = dice.choice(sorted(tmp_path.glob("*.csv")))
        rows = list(csv.reader(path.read_text().splitlines()))
        row = dice.choice(rows)
        row[dice.randrange(len(row))] = dice.choice(words)
        with path.open("w", newline="") as file:
            csv.writer(file).writerows(rows)
        try:
            found = [compared(case).margin for case in load_portfolios(tmp_path, rules=RULES)]
        except GreekdriftError as problem:
            said.append(str(problem))
        else:
            assert all(isfinite(one.initial_health_usd + one.maintenance_health_usd) for one in found)
    assert 20 < len(said) < 110
    assert [text for text in said if "batch 7_" not in text and "case " not in text] == []


@pytest.mark.shared
def test_the_published_cases_hold(run: Callable, golden: Path) -> None:
    done = run("margin", "check", golden)
    assert done.code == 0, done.err
    assert "139 cases; worst relative error: IM" in done.err
    assert "of 4,301 expected" in done.err
