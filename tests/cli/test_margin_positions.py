"""`greekdrift margin` under position rules, and on a chain with feeds."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest


def test_the_venues_figures_by_position(run: Callable, chain_file: Path, book_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.json"
    done = run("margin", "--rules", "deribit_standard", "--chain", chain_file, "--book", book_file, "--out", out)
    assert done.code == 0, done.err
    assert "By position, as the venue shows it" in done.out
    assert "the excess is the same" in done.err
    maker = json.loads(out.read_text())["accounts"]["maker"]
    figures = maker["venue_figures_usd"]
    assert set(figures) == {"BTC-27MAR26-70000-C", "BTC-27MAR26-70000-P", "BTC-PERPETUAL"}
    assert all(one["initial_margin"] > one["maintenance_margin"] > 0.0 for one in figures.values())
    # 20,000 contracts of 10 USD: 2 % of the value and 0.005 % a coin
    coins = 200_000.0 / 70_000.0
    perpetual = figures["BTC-PERPETUAL"]["initial_margin"]
    assert perpetual == pytest.approx(200_000.0 * (0.02 + 5e-5 * coins), rel=1e-3)
    assert maker["scenario_pnl_usd"] == {}


def test_other_forms_show_no_positions(run: Callable, chain_file: Path, book_file: Path, tmp_path: Path) -> None:
    done = run("margin", "--chain", chain_file, "--book", book_file, "--out", tmp_path / "m.json")
    assert "By position" not in done.out
    assert "venue_figures_usd" not in (tmp_path / "m.json").read_text()


def test_feeds_of_a_file(run: Callable, chain_file: Path, book_file: Path, tmp_path: Path) -> None:
    feeds = tmp_path / "feeds.yaml"

    def margin(text: str) -> dict:
        feeds.write_text(text)
        given = ("margin", "--chain", chain_file, "--book", book_file, "--feeds", feeds, "--out", tmp_path / "m.json")
        done = run(*given)
        assert done.code == 0, done.err
        return json.loads((tmp_path / "m.json").read_text())["accounts"]["maker"]

    trusted = margin('{stable_price: null, prices: {}, confidence: {"*": 1.0}}')
    doubtful = margin('{stable_price: null, prices: {}, confidence: {"BTC-27MAR26 forward": 0.5, "*": 1.0}}')
    # ten options of the expiry, (1 - 0.5) x 70,000 each
    assert doubtful["initial_margin_usd"] - trusted["initial_margin_usd"] == pytest.approx(350_000.0, rel=1e-9)
    assert doubtful["maintenance_margin_usd"] == trusted["maintenance_margin_usd"]
    off = margin('{stable_price: 0.9, prices: {}, confidence: {"*": 1.0}}')
    assert off["initial_margin_usd"] > trusted["initial_margin_usd"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{stable_price: null, prices: {}, confidence: {BTC: 1.0}}", 'no confidence for the feed "BTC-'),
        ('{stable_price: null, prices: {}, confidence: {"*": 1.5}}', "does not lie between 0 and 1"),
        ('{stable_price: 0, prices: {}, confidence: {"*": 1.0}}', "stable_price"),
        ('{stable_price: null, confidence: {"*": 1.0}}', "prices: is missing"),
        ('{stable: null, prices: {}, confidence: {"*": 1.0}}', 'did you mean "stable_price"'),
        ('{stable_price: null, prices: {BTC: 1.0}, confidence: {"*": 1.0}}', "BTC has an index price on the chain"),
        ('{stable_price: null, prices: {}, confidence: {"*": .nan}}', "feeds.yaml"),
    ],
)
def test_bad_feeds_are_one_message(
    run: Callable, chain_file: Path, book_file: Path, tmp_path: Path, text: str, message: str
) -> None:
    feeds = tmp_path / "feeds.yaml"
    feeds.write_text(text)
    done = run("margin", "--chain", chain_file, "--book", book_file, "--feeds", feeds)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_an_account_is_shown_the_same_whatever_another_holds(run: Callable, chain_file: Path, tmp_path: Path) -> None:
    own = "  - {account_id: own, collateral: {BTC: 3}, positions: {BTC-27MAR26-70000-C: -5, BTC-PERPETUAL: 20000}}\n"
    others = (
        "",
        "  - {account_id: other, collateral: {USDC: 1}, positions: {BTC-20FEB26-55000-P: -900}}\n",
        "  - {account_id: other, collateral: {BTC: -5000}, positions: {BTC-PERPETUAL: -90000000}}\n",
    )
    for rules in ("derive_pm2", "deribit_pm", "deribit_standard"):
        shown = []
        for other in others:
            book, out = tmp_path / "book.yaml", tmp_path / "m.json"
            book.write_text("accounts:\n" + own + other)
            done = run("margin", "--rules", rules, "--chain", chain_file, "--book", book, "--out", out)
            assert done.code == 0, done.err
            shown.append(json.dumps(json.loads(out.read_text())["accounts"]["own"]))
        assert len(set(shown)) == 1


def test_a_decision_under_position_rules_is_verified(
    run: Callable, chain_file: Path, book_file: Path, tmp_path: Path
) -> None:
    """A rule set without scenarios has no stressed states: the judge's other checks stand."""
    book = tmp_path / "book.yaml"
    book.write_text(book_file.read_text().replace("rule_set: derive_pm2", "rule_set: deribit_standard"))
    given = ("--chain", chain_file, "--book", book, "--rules", "deribit_standard", "--out", tmp_path / "decided")
    done = run("propose", *given)
    assert done.code == 0, done.err
    decisions = json.loads((tmp_path / "decided" / "decisions.json").read_text())["decisions"]
    maker = next(one for one in decisions if one["account_id"] == "maker")
    assert maker["outcome"] == "BASELINE", maker["reasons"]
    assert maker["adjustment"]["orders"]
    assert run("verify", tmp_path / "decided" / "decisions.json").code == 0


def test_a_feed_that_nothing_of_the_chain_has_is_named(
    run: Callable, chain_file: Path, book_file: Path, tmp_path: Path
) -> None:
    feeds = tmp_path / "feeds.yaml"
    feeds.write_text(
        "{stable_price: null, prices: {}, confidence: "
        '{BTC: 1.0, BTC-PERPETUL: 0.5, BTC-PERPETUAL: 1.0, "BTC-27MAR26 rate": 1.0, "*": 1.0}}'
    )
    done = run("margin", "--chain", chain_file, "--book", book_file, "--feeds", feeds)
    assert done.code == 0, done.err
    said = " ".join(done.err.split())
    assert "has the feed BTC-PERPETUL; it counts nothing" in said
