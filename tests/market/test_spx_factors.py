from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from greekdrift.config import load_venue
from greekdrift.errors import DataError
from greekdrift.market.spx_factors import SpxFactorsSource, volatility
from greekdrift.surface.fit import fit
from greekdrift.surface.state import FACTORS, state


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty sessions of a smile like that of 2005, made by hand."""
    folder = tmp_path_factory.mktemp("sets")
    days = pd.bdate_range("2005-01-03", periods=60)
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"date": days, "close": 1200.0 * np.exp(np.cumsum(0.007 * random.normal(size=60)))})
    for name, level in (("beta_1", 0.16), ("beta_2", -0.04), ("beta_3", 0.22), ("beta_4", 0.01), ("beta_5", -0.02)):
        frame[name] = level + 0.003 * random.normal(size=60)
    (folder / "spx_ivs_factors").mkdir()
    frame.to_parquet(folder / "spx_ivs_factors" / "ivs_factors.parquet")
    return folder


def test_marks_stand_on_the_surface_and_the_state_is_read_back(root: Path) -> None:
    source = SpxFactorsSource(str(root), venue=load_venue("equity"))
    frame = pd.read_parquet(root / "spx_ivs_factors" / "ivs_factors.parquet")
    for day in (0, 59):
        chain = source.chain(source.snapshots()[day])
        beta = frame[["beta_1", "beta_2", "beta_3", "beta_4", "beta_5"]].to_numpy()[day]
        values = state(fit(chain), chain).values[0]  # noqa: PD011
        atm = dict(zip(FACTORS, values, strict=True))
        assert chain.index_price["SPX"] == frame.close[day]
        assert atm["forward"] == pytest.approx(np.log(frame.close[day]), abs=1e-9)
        expected = np.log(volatility(beta, np.zeros(1), 30.0 / 365.0)[0])
        assert atm["atm_30"] == pytest.approx(expected, abs=0.02)


def test_a_listed_contract_stays_until_the_day_before_its_expiry(root: Path) -> None:
    source = SpxFactorsSource(str(root), venue=load_venue("equity"))
    chains = [source.chain(moment) for moment in source.snapshots()]
    for earlier, later in pairwise(chains):
        names = {one.name for one in later.instruments}
        gone = [one for one in earlier.instruments if one.name not in names]
        assert all(one.expiry is not None and (one.expiry - later.as_of).days < 1 for one in gone)


def test_days_are_bounded_and_a_chain_looks_at_no_later_day(root: Path, tmp_path: Path) -> None:
    whole = SpxFactorsSource(str(root), venue=load_venue("equity"))
    part = SpxFactorsSource(str(root), venue=load_venue("equity"), since=date(2005, 1, 3), until=date(2005, 2, 1))
    assert part.snapshots() == whole.snapshots()[: len(part.snapshots())]
    moment = part.snapshots()[-1]
    one, other = part.chain(moment), whole.chain(moment)
    assert [row.name for row in one.instruments] == [row.name for row in other.instruments]
    np.testing.assert_array_equal(one.mark, other.mark)


def test_refusals(root: Path, tmp_path: Path) -> None:
    venue = load_venue("equity")
    with pytest.raises(DataError, match="holds no spx_ivs_factors"):
        SpxFactorsSource(str(tmp_path), venue=venue)
    with pytest.raises(DataError, match="0 days"):
        SpxFactorsSource(str(root), venue=venue, since=date(2030, 1, 1))
    pd.DataFrame({"date": ["2005-01-03"]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(DataError, match="no column beta_1"):
        SpxFactorsSource(str(tmp_path / "other.parquet"), venue=venue)
