"""`greekdrift margin netting`, `binding` and `liquidation` as a user meets them."""

import json
from pathlib import Path

import numpy as np
import pytest

from greekdrift.config import load_accounts, load_rules, load_venue
from greekdrift.margin import naive_engine
from greekdrift.market.parquet import read_chain

OTHER = """
accounts:
  - account_id: hedger
    collateral: {BTC: 5, USDC: 900000}
    positions: {BTC-27MAR26-70000-C: 4, BTC-PERPETUAL: -30000}
"""
TRADES = """buyer,seller,instrument,quantity
a,b,BTC-27MAR26-70000-C,10
b,c,BTC-27MAR26-70000-C,10
c,a,BTC-27MAR26-70000-C,12
"""


@pytest.fixture
def other(tmp_path: Path) -> Path:
    path = tmp_path / "other.yaml"
    path.write_text(OTHER)
    return path


@pytest.fixture
def trades(tmp_path: Path) -> Path:
    path = tmp_path / "trades.csv"
    path.write_text(TRADES)
    return path


def test_accounts_apart_and_together_and_the_transfers(run, chain_file, book_file, other, tmp_path) -> None:
    out = tmp_path / "netting.json"
    done = run(
        "margin", "netting", "--chain", chain_file, "--book", book_file, "--book", other, "--fee", "0", "--out", out
    )
    assert done.code == 0, done.err
    assert "Initial margin of the accounts apart and together" in done.out
    found = json.loads(out.read_text())
    (group,) = found["groups"]
    assert set(group["apart_usd"]) == {"maker", "silent", "hedger"}
    assert sum(group["saving_usd"].values()) == pytest.approx(group["benefit_usd"])
    advice = found["advice"]
    assert sum(advice["after_usd"].values()) <= sum(advice["before_usd"].values())
    for step in advice["steps"]:
        assert step["raises"] == []
        assert step["net_usd"] == pytest.approx(step["freed_usd"] - step["cost_usd"])


def test_each_book_under_its_own_rules(run, chain_file, book_file, other, tmp_path) -> None:
    out = tmp_path / "netting.json"
    rules = ("--rules", "derive_pm2", "--rules", "deribit_pm")
    done = run("margin", "netting", "--chain", chain_file, "--book", book_file, "--book", other, *rules, "--out", out)
    assert done.code == 0, done.err
    found = json.loads(out.read_text())
    assert [group["rules"] for group in found["groups"]] == ["derive_pm2", "deribit_pm"]
    assert set(found["as_one_account"]) == {"derive_pm2", "deribit_pm"}
    assert "All as one account" in done.out


def test_participants_pair_by_pair_compressed_and_central(run, chain_file, trades, tmp_path) -> None:
    out = tmp_path / "netting.json"
    done = run("margin", "netting", "--chain", chain_file, "--trades", trades, "--out", out)
    assert done.code == 0, done.err
    found = json.loads(out.read_text())["participants"]
    assert found["gross_contracts"] == {"before": 32.0, "after": 2.0}
    assert found["trades_after"] == [
        {"buyer": "c", "seller": "a", "instrument": "BTC-27MAR26-70000-C", "quantity": 2.0}
    ]
    assert found["total"]["compressed_usd"] == pytest.approx(found["total"]["central_usd"])
    assert found["total"]["compressed_usd"] < found["total"]["bilateral_usd"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((), "nothing to net"),
        (("--book", "BOOK", "--kind", "boxx"), 'did you mean "box"'),
        (("--book", "BOOK", "--consent", "nobody"), "consent of nobody"),
        (("--book", "BOOK", "--book", "BOOK"), "is listed twice"),
        (("--book", "BOOK", "--fee", "nan"), "fee nan"),
        (("--book", "BOOK", "--rules", "derive_pm3"), "derive_pm2"),
        (("--trades", "BOOK"), "write a header with buyer"),
    ],
)
def test_what_cannot_be_netted_is_said(run, chain_file, book_file, words: tuple[str, ...], problem: str) -> None:
    given = [book_file if word == "BOOK" else word for word in words]
    done = run("margin", "netting", "--chain", chain_file, *given)
    assert done.code == 2
    assert problem in done.err


def test_what_binds_and_what_each_line_adds(run, chain_file, book_file, tmp_path) -> None:
    out = tmp_path / "binding.json"
    done = run("margin", "binding", "--chain", chain_file, "--book", book_file, "--out", out)
    assert done.code == 0, done.err
    found = json.loads(out.read_text())["accounts"]["maker"]
    (account,) = [one for one in load_accounts(book_file) if one.account_id == "maker"]
    exact = naive_engine.requirement(
        read_chain(chain_file, venue=load_venue("deribit")), account, load_rules("derive_pm2")
    )
    assert found["initial_margin_usd"] == pytest.approx(exact.initial_margin_usd)
    assert sum(line["share_usd"] for line in found["lines"].values()) == pytest.approx(exact.initial_margin_usd)
    assert found["binding"][0]["scenario"] == exact.parts[0].worst_scenario
    assert found["binding"][0]["gap_usd"] >= 0.0


def test_prices_of_liquidation_and_their_response(run, chain_file, book_file, tmp_path) -> None:
    prices = {}
    for name, words in {"still": (), "answering": ("--response", "-1.0")}.items():
        out = tmp_path / f"{name}.json"
        done = run("margin", "liquidation", "--chain", chain_file, "--book", book_file, *words, "--out", out)
        assert done.code == 0, done.err
        (maker,) = [one for one in json.loads(out.read_text()) if one["account"] == "maker"]
        prices[name] = [one["price_usd"] for one in maker["crossings"] if one["kind"] == "liquidation"]
        health = np.array(maker["maintenance_health_usd"])
        assert np.count_nonzero(np.diff(health >= 0.0)) == len(prices[name])
    assert prices["still"]
    assert prices["still"] != prices["answering"]


def test_a_price_that_cannot_be_searched_is_said(run, chain_file, book_file) -> None:
    given = ("margin", "liquidation", "--chain", chain_file, "--book", book_file)
    for words, problem in (
        (("--low", "2", "--high", "1"), "low below high"),
        (("--underlying", "SOL"), '"SOL" has no index price'),
        (("--response", "-1", "--model", "fhs"), "give one of them"),
        (("--response", "nan"), "is not a number"),
    ):
        done = run(*given, *words)
        assert done.code == 2, words
        assert problem in done.err


def test_the_map_is_drawn(run, chain_file, book_file, tmp_path) -> None:
    for name in ("map.png", "map.html"):
        done = run("margin", "--chain", chain_file, "--book", book_file, "--plot", tmp_path / name)
        assert done.code == 0, done.err
        assert (tmp_path / name).stat().st_size > 10_000
    assert run("margin", "--chain", chain_file, "--book", book_file, "--plot", tmp_path / "map.gif").code == 2
