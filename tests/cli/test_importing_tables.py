"""Tables as vendors and people write them become the chain that is behind them, and recorded sets are taken in."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from greekdrift.config import load_venue
from greekdrift.greeks import compute
from greekdrift.market.parquet import ParquetSource
from greekdrift.market.validation.rules import Severity
from greekdrift.market.validation.validate import validate

MOMENT = pd.Timestamp("2026-02-05T20:45", tz="UTC")
EXPIRIES = (pd.Timestamp("2026-02-20T21:00", tz="UTC"), pd.Timestamp("2026-03-27T21:00", tz="UTC"))
SPOT = 4_000.0
Write = Callable[[pd.DataFrame], Path]


@pytest.fixture(scope="module")
def truth() -> pd.DataFrame:
    """An index's calls and puts on a smile with a basis, to the cent."""
    rows = [
        (expiry, SPOT * (1.002 + 0.004 * number), SPOT * ratio, side)
        for number, expiry in enumerate(EXPIRIES)
        for ratio in (0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2)
        for side in (True, False)
    ]
    table = pd.DataFrame(rows, columns=["expiry", "forward", "strike", "is_call"])
    years = (table["expiry"] - MOMENT).dt.total_seconds() / 31_536_000.0
    table["iv"] = (0.2 - 0.2 * np.log(table["strike"] / table["forward"])).round(4)
    mark = compute(
        ["price"],
        forward=table["forward"].to_numpy(),
        strike=table["strike"].to_numpy(),
        volatility=table["iv"].to_numpy(),
        time_to_expiry=years.to_numpy(),
        is_call=table["is_call"].to_numpy(),
    )["price"]
    half = (0.01 * mark).round(2) + 0.05
    return table.assign(bid=(mark - half).clip(0.05).round(2), ask=(mark + half).round(2))


def optionsdx(truth: pd.DataFrame, folder: Path) -> tuple[Path, list[str]]:
    """Calls beside puts in brackets; no column says what they are on."""
    call, put = (truth[truth["is_call"] == side].reset_index(drop=True) for side in (True, False))
    table = pd.DataFrame(
        {
            "[QUOTE_UNIXTIME]": int(MOMENT.timestamp()), " [QUOTE_READTIME]": "2026-02-05 15:45",
            " [UNDERLYING_LAST]": SPOT, " [EXPIRE_DATE]": call["expiry"].dt.strftime("%Y-%m-%d"),
            " [EXPIRE_UNIX]": [int(one.timestamp()) for one in call["expiry"]], " [C_DELTA]": 0.5,
            " [C_IV]": call["iv"].map("{:.5f}".format), " [C_VOLUME]": "", " [C_SIZE]": "1 x 2",
            " [C_BID]": call["bid"], " [C_ASK]": call["ask"], " [STRIKE]": call["strike"], " [P_BID]": put["bid"],
            " [P_ASK]": put["ask"],
            " [P_SIZE]": "3 x 4", " [P_DELTA]": -0.5, " [P_IV]": put["iv"], " [P_VOLUME]": "10.0",
        }
    )  # fmt: skip
    path = folder / "spx_eod_202602.txt"
    table.to_csv(path, index=False)
    return path, ["--set", "underlying=SPX"]


def cboe(truth: pd.DataFrame, folder: Path) -> tuple[Path, list[str]]:
    """Quotes of 15:45 in New York beside those of the close; a volatility of 0 is none."""
    table = pd.DataFrame(
        {
            "underlying_symbol": "^SPX", "quote_date": "2026-02-05", "root": "SPX",
            "expiration": truth["expiry"].dt.strftime("%Y-%m-%d"), "strike": truth["strike"],
            "option_type": np.where(truth["is_call"], "C", "P"), "trade_volume": 4, "bid_1545": truth["bid"],
            "ask_1545": truth["ask"], "active_underlying_price_1545": SPOT, "implied_volatility_1545": truth["iv"],
            "delta_1545": 0.5, "bid_eod": truth["bid"] * 0.9, "ask_eod": truth["ask"] * 1.1, "open_interest": 10,
        }
    )  # fmt: skip
    table.loc[7, "implied_volatility_1545"] = 0.0
    path = folder / "cboe.csv"
    table.to_csv(path, index=False)
    return path, []


def german(truth: pd.DataFrame, folder: Path) -> tuple[Path, list[str]]:
    """Semicolons, commas, points between thousands, a byte-order mark."""

    def written(values: pd.Series) -> list[str]:
        return [f"{one:,.2f}".translate(str.maketrans(",.", ".,")) for one in values]

    table = pd.DataFrame(
        {
            "Date": "05.02.2026 20:45", "Underlying": "SPX", "Expiration": truth["expiry"].dt.strftime("%d.%m.%Y"),
            "Strike": written(truth["strike"]), "Call/Put": np.where(truth["is_call"], "Call", "Put"),
            "Bid": written(truth["bid"]), "Ask": written(truth["ask"]),
            "Impl. Volatility": [f"{100.0 * one:.2f} %".replace(".", ",") for one in truth["iv"]], "Spot": "4.000,00",
        }
    )  # fmt: skip
    path = folder / "german.csv"
    path.write_bytes(table.to_csv(index=False, sep=";").encode("utf-8-sig"))
    return path, []


def spreadsheet(truth: pd.DataFrame, folder: Path) -> tuple[Path, list[str]]:
    """UTF-16 with lines above its head, US dates, a clock of its own, currency signs, rows twice."""
    table = pd.DataFrame(
        {
            "date": "2/5/2026", "time": "8:45 PM", "symbol": "SPX", "exp": truth["expiry"].dt.strftime("%m/%d/%Y"),
            "strike": truth["strike"].map("${:,.2f}".format), "cp": np.where(truth["is_call"], "calls", "puts"),
            "bid": truth["bid"].map("{:,.2f}".format), "ask": truth["ask"].map("{:,.2f}".format),
            "iv": truth["iv"].map("{:.2%}".format), "stock price": "$4,000.00",
        }
    )  # fmt: skip
    table = pd.concat([table, table.head(3)])
    path = folder / "us.csv"
    path.write_bytes(("Exported\n\n" + table.to_csv(index=False)).encode("utf-16"))
    return path, []


def yahoo(truth: pd.DataFrame, folder: Path) -> tuple[Path, list[str]]:
    """Names of the clearing house; no column says when it was."""
    name = [
        f"SPX{one.expiry:%y%m%d}{'C' if one.is_call else 'P'}{round(1000 * one.strike):08d}"
        for one in truth.itertuples()
    ]
    table = pd.DataFrame(
        {
            "contractSymbol": name, "lastTradeDate": "2026-02-04 20:59:00+00:00", "strike": truth["strike"],
            "lastPrice": 1.0, "bid": truth["bid"], "ask": truth["ask"], "volume": np.nan, "openInterest": 3,
            "impliedVolatility": truth["iv"], "inTheMoney": True, "contractSize": "REGULAR", "currency": "USD",
        }
    )  # fmt: skip
    path = folder / "yahoo.csv"
    table.to_csv(path, index=False)
    return path, ["--set", "snapshot_ts_utc=2026-02-05T20:45Z"]


@pytest.mark.parametrize("vendor", [optionsdx, cboe, german, spreadsheet, yahoo])
def test_tables_of_vendors_and_people(
    run: Callable, truth: pd.DataFrame, tmp_path: Path, vendor: Callable[..., tuple[Path, list[str]]]
) -> None:
    path, more = vendor(truth, tmp_path)
    out = tmp_path / "ours.parquet"
    done = run("data", "import", path, "--out", out, *more)
    assert done.code == 0, done.err
    assert "venue facts of equity" in done.err + done.out
    rows = pd.read_parquet(out).sort_values(["expiry_ts_utc", "strike_usd", "option_type"], ignore_index=True)
    right = truth.sort_values(["expiry", "strike", "is_call"], ascending=[True, True, False], ignore_index=True)
    assert (rows["snapshot_ts_utc"] == MOMENT).all()
    assert (rows["expiry_ts_utc"] == right["expiry"]).all()
    for ours, theirs in (("strike_usd", "strike"), ("bid_price_usd", "bid"), ("ask_price_usd", "ask")):
        np.testing.assert_allclose(rows[ours], right[theirs], err_msg=ours)
    np.testing.assert_allclose(rows["mark_iv"], right["iv"], atol=2e-3)
    np.testing.assert_allclose(rows["forward_price_usd"], right["forward"], rtol=3e-4)


@pytest.mark.parametrize(
    ("vendor", "said"), [(optionsdx, "--set underlying=value"), (yahoo, "--set snapshot_ts_utc=value")]
)
def test_what_a_table_does_not_hold_is_asked_for(
    run: Callable, truth: pd.DataFrame, tmp_path: Path, vendor: Callable[..., tuple[Path, list[str]]], said: str
) -> None:
    path, _ = vendor(truth, tmp_path)
    refused = run("data", "import", path, "--dry-run")
    assert refused.code == 2
    assert said in refused.err
    assert "ours=value" in run("data", "import", path, "--dry-run", "--set", "underlying").err


def test_cells_that_nothing_makes_are_refused_with_the_filter_that_drops_them(
    run: Callable, truth: pd.DataFrame, tmp_path: Path
) -> None:
    path, _ = cboe(truth, tmp_path)
    table = pd.read_csv(path)
    table.loc[5, ["bid_1545", "ask_1545", "implied_volatility_1545"]] = 0.0
    table.to_csv(path, index=False)
    refused = run("data", "import", path, "--dry-run")
    assert refused.code == 2
    assert (
        "without a mark, a forward, an index or a volatility: 1 row; --drop finite leaves such rows out" in refused.err
    )
    assert run("data", "import", path, "--dry-run", "--drop", "finite").code == 0


def test_rows_with_stamps_of_their_own_become_snapshots_at_a_cadence(
    run: Callable, truth: pd.DataFrame, tmp_path: Path
) -> None:
    path, out = tmp_path / "mine.csv", tmp_path / "ours.parquet"
    stamps = MOMENT + pd.Timedelta(seconds=10) + pd.to_timedelta(np.arange(2 * len(truth)) * 10, unit="s")
    both = pd.concat([truth, truth], ignore_index=True)
    pd.DataFrame(
        {
            "time": stamps, "root": "SPX", "strike": both["strike"], "expiry": both["expiry"], "iv": both["iv"],
            "type": np.where(both["is_call"], "C", "P"), "bid": both["bid"], "ask": both["ask"], "spot": SPOT,
            "forward": both["forward"],
        }
    ).to_csv(path, index=False)  # fmt: skip
    assert "--every" in run("data", "import", path, "--dry-run").out + run("data", "import", path, "--dry-run").err
    done = run("data", "import", path, "--every", "5m", "--out", out)
    assert done.code == 0, done.err
    assert pd.read_parquet(out).groupby("snapshot_ts_utc").size().tolist() == [28, 28]


@pytest.mark.shared
@pytest.mark.parametrize(
    ("path", "options", "size", "venue"),
    [
        ("option_chains_eod/spx_ivolatility_sample_2011", ["--drop", "finite"], (4, 7_748), "equity"),
        (
            "option_chains_eod/lean_universe_chains",
            ["--drop", "finite", "--drop", "alive", "--map", "spot=forward_price_usd", "--map", "spot=index_price_usd",
             "--underlying", "GOOG"],
            (5, 7_290), "equity",
        ),
        ("deribit_chain_2021_snapshot/btc_chain", ["--every", "5m"], (2, 978), "deribit"),
        ("deribit_btc_chain_1h_sample/btc_chain", ["--drop", "finite"], (27, 17_825), "deribit"),
    ],
)  # fmt: skip
def test_recorded_sets_are_taken_in_and_hold_no_error(
    run: Callable, tmp_path: Path, shared: Path, path: str, options: list[str], size: tuple[int, int], venue: str
) -> None:
    out = tmp_path / "ours_chain.parquet"
    done = run("data", "import", shared / "data" / f"{path}.parquet", "--out", out, *options)
    assert done.code == 0, done.err
    facts = load_venue(venue)
    source = ParquetSource(str(out), venue=facts)
    assert (len(source.snapshots()), len(pd.read_parquet(out))) == size
    assert validate(out, venue=facts).at_least(Severity.ERROR) == ()


@pytest.mark.shared
def test_forwards_off_deltas_are_those_of_the_venue(run: Callable, tmp_path: Path, shared: Path) -> None:
    """Held against the forwards that another collector recorded within half an hour."""
    out = tmp_path / "ours_chain.parquet"
    path = shared / "data" / "deribit_btc_chain_1h_sample" / "btc_chain.parquet"
    assert run("data", "import", path, "--out", out, "--drop", "finite").code == 0
    made, wide = (
        pd.read_parquet(one)[["snapshot_ts_utc", "expiry_ts_utc", "forward_price_usd"]].drop_duplicates()
        for one in (out, shared / "data" / "deribit_option_chain_6h" / "btc_chain.parquet")
    )
    made, wide = (
        one.astype(dict.fromkeys(("snapshot_ts_utc", "expiry_ts_utc"), "datetime64[us, UTC]")).sort_values(
            "snapshot_ts_utc"
        )
        for one in (made, wide)
    )
    joint = pd.merge_asof(
        made, wide, on="snapshot_ts_utc", by="expiry_ts_utc", direction="nearest", tolerance=pd.Timedelta(minutes=30)
    ).dropna()
    assert len(joint) > 30
    assert np.abs(np.log(joint["forward_price_usd_x"] / joint["forward_price_usd_y"])).median() < 2e-3
