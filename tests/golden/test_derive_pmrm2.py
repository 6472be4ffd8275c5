"""The 139 published portfolio cases of the net-portfolio model (derivexyz/v2-core at 7736900), by both engines.

`golden/README.md` names the columns. Every expected figure is compared to 1e-9 of itself, or of one US dollar
where it is smaller than that (several published zeros are 1e-12 of rounding).
"""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from greekdrift.book.collateral import CollateralTerms, Role
from greekdrift.book.rules import (
    BASIS,
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
    SkewScenario,
    SkewTerms,
)
from greekdrift.book.scenario_terms import SpotScenario, Table, VolatilityMove, VolatilityTerms
from greekdrift.margin import NetMargin, grid, naive
from greekdrift.units import SECONDS_PER_YEAR

Engine = Callable[[NetPortfolio, NetPortfolioParameters], NetMargin]
ENGINES = pytest.mark.parametrize("engine", [naive.net_margin, grid.net_margin], ids=["naive", "grid"])
N_CASES = 139

pytestmark = pytest.mark.shared


class Published:
    """The five tables, and the records of a case."""

    def __init__(self, golden: Path) -> None:
        def table(name: str) -> pd.DataFrame:
            return pd.read_csv(golden / f"derive_pmrm2_{name}.csv", keep_default_na=False, na_values=[""])

        self.cases = table("cases").set_index("case")
        parts = ("options", "expiry_feeds", "collaterals", "scenarios")
        self.parts = {name: dict(list(table(name).groupby("case"))) for name in parts}

    def rows(self, part: str, case: str) -> list[dict]:
        found = self.parts[part].get(case)
        return [] if found is None else found.to_dict("records")

    def parameters(self, case: str) -> NetPortfolioParameters:
        par = self.cases.loc[case]
        volatility, skew, margin = (_group(par, f"par.{name}.") for name in ("VolShock", "SkewShock", "Margin"))
        basis, other = _group(par, "par.BasisContingency."), _group(par, "par.OtherContingency.")
        rows = self.rows("scenarios", case)
        return NetPortfolioParameters(
            scenarios=tuple(_spot(row) for row in rows if row["kind"] != "skew"),
            skew_scenarios=tuple(_skew(row, skew) for row in rows if row["kind"] == "skew"),
            volatility=VolatilityTerms(
                up=volatility["VOLRANGEUP"],
                down=volatility["VOLRANGEDOWN"],
                floor=volatility["MIN_VOL_EVAL_SHOCKED"],
                short_power=volatility["SHORTTERMPOWER"],
                long_power=volatility["LONGTERMPOWER"],
                floor_days=volatility["DTE_FLOOR"],
            ),
            skew=SkewTerms(
                least_width=skew["MIN_K_STAR"],
                scale=skew["MIN_WIDTH_SCALE"],
                level=skew["VOL_PARAM_STATIC"],
                slope=skew["VOL_PARAM_SCALE"],
            ),
            discount=DiscountTerms(
                long_base=margin["BASE_STATIC_DISCOUNT"],
                short_base=margin["BASE_STATIC_DISCOUNT_NEG"],
                long_rate_share=margin["LONG_RATE_MULTSCALE"],
                short_rate_share=margin["SHORT_RATE_MULTSCALE"],
                long_spread=margin["LONG_RATE_ADDSCALE"],
                short_spread=margin["SHORT_RATE_ADDSCALE"],
            ),
            basis=BasisTerms(
                up=basis["SCENARIO_SPOT_UP"],
                down=basis["SCENARIO_SPOT_DOWN"],
                level=basis["BASIS_CONT_ADD_FACTOR"],
                per_year=basis["BASIS_CONT_MULT_FACTOR"],
            ),
            loss=LossTerms(
                maintenance=margin["MM_LOSS_FACTOR"],
                initial=margin["IM_LOSS_FACTOR"],
                peg_threshold=other["PEG_LOSS_THRESHOLD"],
                peg_factor=other["PEG_LOSS_FACTOR"],
            ),
            contingency=ContingencyTerms(
                linear_maintenance=other["MM_PERP_PERCENT"],
                linear_initial=other["IM_PERP_PERCENT"],
                option_maintenance=other["MM_OPTION_PERCENT"],
                option_initial=other["IM_OPTION_PERCENT"],
                confidence_threshold=other["CONF_THRESHOLD"],
                confidence_charge=other["CONF_MARGIN"],
            ),
            collateral=(
                CollateralTerms(currency="*", role=Role.OTHER, maintenance=0.0, initial=0.0, confidence_threshold=0.0),
            ),
        )

    def portfolio(self, case: str) -> NetPortfolio:
        given = _group(self.cases.loc[case], "in.")
        options = self.rows("options", case)
        perpetual = NetLinear(amount=given["NumPerps"], price=given["PerpPrice"], confidence=given["PerpConfidence"])
        return NetPortfolio(
            underlying="X",
            cash=given["Cash"],
            spot_price=given["SpotPrice"],
            spot_confidence=given["SpotConfidence"],
            stable_price=given["StablePrice"],
            unrealised_usd=given["UnrealisedPerpPNL"] + given["UnrealisedFunding"],
            linears=(perpetual,),
            expiries=tuple(_expiry(row, options) for row in self.rows("expiry_feeds", case)),
            collaterals=tuple(_collateral(row) for row in self.rows("collaterals", case)),
        )


@pytest.fixture(scope="module")
def published(golden: Path) -> Published:
    found = Published(golden)
    assert len(found.cases) == N_CASES
    return found


@ENGINES
def test_margin_and_every_contingency(engine: Engine, published: Published) -> None:
    wrong = []
    for case, expected in published.cases.iterrows():
        margin = engine(published.portfolio(case), published.parameters(case))
        figures = {
            "IM": margin.initial_health_usd,
            "MM": margin.maintenance_health_usd,
            "IMHand": margin.initial_health_usd,
            "MMHand": margin.maintenance_health_usd,
            "PortfolioMTM": margin.equity_usd,
            "OptionMTM": margin.option_value_usd,
            "CollateralMTM": margin.collateral_value_usd,
            "ForwardContingency": margin.basis_usd,
            "MMPerpCont": -margin.linear_maintenance_usd,
            "IMPerpCont": -margin.linear_initial_usd,
            "IMPerpContNormal": -margin.linear_initial_usd - margin.linear_maintenance_usd,
            "MMBaseCont": -margin.collateral_maintenance_usd,
            "IMBaseCont": -margin.collateral_initial_usd,
            "IMBaseContNormal": -margin.collateral_initial_usd - margin.collateral_maintenance_usd,
            "MMOptionCont": -margin.option_maintenance_usd,
            "IMOptionCont": -margin.option_initial_usd,
            "IMOptionContNormal": -margin.option_initial_usd - margin.option_maintenance_usd,
            "OracleCont": -margin.confidence_usd,
            "im_loss_factor": margin.initial_loss_share,
        }
        wrong += [
            (case, name, value, expected[f"exp.{name}"])
            for name, value in figures.items()
            if not _equal(value, expected[f"exp.{name}"])
        ]
    assert wrong == []


@ENGINES
def test_every_scenario_and_the_worst_of_each_table(engine: Engine, published: Published) -> None:
    wrong, compared = [], 0
    for case, expected in published.cases.iterrows():
        margin = engine(published.portfolio(case), published.parameters(case))
        rows = published.rows("scenarios", case)
        worst = dict.fromkeys(("regular", "tail", "skew"), float("inf"))
        for row in rows:
            value = margin.scenario_pnl[_label(row)]
            worst[row["kind"]] = min(worst[row["kind"]], value)
            compared += 1
            if not _equal(value, row["exp.pnl"]):
                wrong.append((case, _label(row), value, row["exp.pnl"]))
        for kind, column in (("regular", "worst_reg_loss"), ("tail", "worst_tail_loss"), ("skew", "worst_skew_loss")):
            if not _equal(worst[kind], expected[f"exp.{column}"]):
                wrong.append((case, column, worst[kind], expected[f"exp.{column}"]))
        candidates = {**worst, "fwd_contingency": margin.basis_usd}
        if not _equal(candidates[expected["exp.worst_all_scenarios"]], margin.worst_loss_usd):
            wrong.append((case, "worst_all_scenarios", margin.worst_scenario, expected["exp.worst_all_scenarios"]))
        if margin.worst_scenario == BASIS and expected["exp.worst_all_scenarios"] != "fwd_contingency":
            wrong.append((case, "worst_scenario", margin.worst_scenario, expected["exp.worst_all_scenarios"]))
    assert compared == 4301
    assert wrong == []


@ENGINES
def test_every_expiry(engine: Engine, published: Published) -> None:
    wrong, compared = [], 0
    for case in published.cases.index:
        margin = engine(published.portfolio(case), published.parameters(case))
        for at, row in enumerate(published.rows("expiry_feeds", case)):
            value, (long, short) = margin.expiry_values_usd[at], margin.static_discounts[at]
            figures = {
                "OptionMTM": value,
                "OptionMTMDiscounted": value * (long if value >= 0.0 else short),
                "discount_pos": long,
                "discount_neg": short,
            }
            compared += 1
            wrong += [
                (case, at, name, figure, row[f"exp.{name}"])
                for name, figure in figures.items()
                if not _equal(figure, row[f"exp.{name}"])
            ]
    assert compared == 574
    assert wrong == []


def test_every_shocked_volatility(published: Published) -> None:
    wrong, compared = [], 0
    for case in published.cases.index:
        p = published.parameters(case)
        for row in published.rows("options", case):
            years, compared = row["Expiry"] / SECONDS_PER_YEAR, compared + 1
            for move, column in ((VolatilityMove.UP, "Up"), (VolatilityMove.DOWN, "Down")):
                value = naive.shocked_volatility(row["MarkVol"], years, move, p.volatility)
                if not _equal(value, row[f"exp.VolShock{column}Evaluated"]):
                    wrong.append((case, column, value))
    assert compared == 2360
    assert wrong == []


def _equal(value: float, expected: float) -> bool:
    return abs(value - expected) <= 1e-9 * max(abs(expected), 1.0)


def _group(row: pd.Series, prefix: str) -> dict:
    return {name.removeprefix(prefix): float(value) for name, value in row.items() if str(name).startswith(prefix)}


def _label(row: dict) -> str:
    return f"{row['kind']} {row['SpotShock']} {row['VolShockDirection']}"


def _spot(row: dict) -> SpotScenario:
    return SpotScenario(
        label=_label(row),
        table=Table(row["kind"]),
        spot=row["SpotShock"],
        volatility=VolatilityMove(row["VolShockDirection"].lower()),
        damping=row["DampeningFactor"],
    )


def _skew(row: dict, skew: dict) -> SkewScenario:
    """A skew scenario; in case 67, which upstream marks as invalid, one of them moves spot as well.

    There the published figure is that of the unmoved spot with the cap of the absolute table.
    """
    is_linear = row["VolShockDirection"] == "LINEAR" and row["SpotShock"] == 1.0
    table = "LINEAR" if is_linear else "ABS"
    return SkewScenario(
        label=_label(row),
        is_absolute=row["VolShockDirection"] == "ABS",
        scale_cap=skew[f"{table}_SCALE_CAP"],
        cap_slope=skew[f"{table}_CBASE"],
        damping=row["DampeningFactor"],
    )


def _expiry(row: dict, options: list[dict]) -> NetExpiry:
    return NetExpiry(
        time_to_expiry=row["FeedExpiry"] / SECONDS_PER_YEAR,
        rate=row["Rate"],
        forward_confidence=row["ForwardConfidence"],
        rate_confidence=row["RateConfidence"],
        volatility_confidence=row["OptionVolConfidences"],
        options=tuple(
            NetOption(
                strike=float(option["Strike"]),
                is_call=bool(option["IsCall"]),
                forward=row["Forward"],
                volatility=option["MarkVol"],
                amount=option["Amount"],
            )
            for option in options
            if option["Expiry"] == row["FeedExpiry"]
        ),
    )


def _collateral(row: dict) -> NetCollateral:
    return NetCollateral(
        amount=row["Amount"],
        price=row["Price"],
        is_risk_cancelling=bool(row["IsRiskCancelling"]),
        maintenance=row["MMHaircut"],
        initial=row["IMHaircut"],
        confidence=row["Confidence"],
        confidence_threshold=row["ConfidenceFactor"],
    )
