"""From a chain to verified decisions and back: propose writes what verify replays, and any change is noticed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from greekdrift.cli.bundles import copied


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory, chain_file: Path, book_file: Path) -> Path:
    from greekdrift.cli import main

    folder = tmp_path_factory.mktemp("decided")
    with pytest.raises(SystemExit) as exit_:
        main(["propose", "--chain", str(chain_file), "--book", str(book_file), "--out", str(folder)])
    assert not exit_.value.code
    return folder / "decisions.json"


def test_without_a_model_the_deterministic_rule_decides(decided: Path) -> None:
    maker, silent = json.loads(decided.read_text())["decisions"]
    assert maker["outcome"] == "BASELINE"
    assert "no model" in maker["reasons"][0]
    assert maker["adjustment"]["orders"]
    assert all(finding["passed"] for finding in maker["certificate"]["findings"])
    assert (silent["outcome"], silent["adjustment"]) == ("HOLD", None)


def test_verify_replays_to_the_byte(run: Callable, decided: Path) -> None:
    done = run("verify", decided)
    assert done.code == 0, done.err
    assert "VERIFIED" in done.out
    assert "same to the byte" in done.err


def test_the_addon_goes_on_from_the_last_decisions(
    run: Callable, decided: Path, chain_file: Path, book_file: Path, tmp_path: Path
) -> None:
    values = json.loads(decided.read_text())
    assert values["decisions"][0]["addon"]["previous"] == "unknown"
    state = values["addons"]["maker"]
    assert state["held_usd"] == 0.0
    before = tmp_path / "before.json"
    before.write_text(json.dumps({"addons": {"maker": {**state, "held_usd": 5_000.0}}}))
    asked = ["--chain", chain_file, "--book", book_file, "--previous", before, "--out", tmp_path / "next"]
    done = run("propose", *asked)
    assert done.code == 0, done.err
    assert "no earlier add-on is known of" in done.err
    made = json.loads((tmp_path / "next" / "decisions.json").read_text())
    assert made["decisions"][0]["addon"]["previous"] == "known"
    assert made["decisions"][0]["adjustment"]["margin_addon_usd"] == pytest.approx(5_000.0)
    assert run("verify", tmp_path / "next" / "decisions.json").code == 0
    dressing = tmp_path / "dressing.yaml"
    dressing.write_text("flour: 1.0\n")
    for extra, word in (
        (["--previous", chain_file], "read as text"),
        (["--previous", tmp_path / "none.json"], "no such file"),
        (["--dressing", dressing], 'did you mean "floor"'),
    ):
        refused = run("propose", *asked[:4], *extra)
        assert refused.code == 2
        assert word in refused.err.replace("\n", " ")
    before.write_text(json.dumps({"addons": {"maker": {**state, "as_of": "2199-01-01T00:00:00Z"}}}))
    assert "give earlier" in run("propose", *asked[:6]).err.replace("\n", " ")


def _changed(decided: Path, change: Callable[[Any], Any], to: Path) -> Path:
    values = json.loads(decided.read_text())
    change(values)
    path = to / "changed.json"
    path.write_text(json.dumps(values))
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v["decisions"][0]["adjustment"]["orders"][0].__setitem__("quantity", 1.0),
        lambda v: v["decisions"][0]["adjustment"]["claim"].__setitem__(
            "equity_usd", v["decisions"][0]["adjustment"]["claim"]["equity_usd"] * (1 + 1e-6)
        ),
        lambda v: v["decisions"][0]["certificate"].__setitem__("outcome", "x"),
        lambda v: v["decisions"][0]["certificate"]["findings"].pop(),
        lambda v: v["chain"]["forward"].__setitem__(0, v["chain"]["forward"][0] * (1 + 1e-9)),
        lambda v: v["accounts"][0]["collateral"].__setitem__("BTC", 3.0001),
        lambda v: v.__setitem__("now", "2026-02-05T09:00:00Z"),
        lambda v: v["decisions"][1].__setitem__("adjustment", v["decisions"][0]["adjustment"]),
        lambda v: v["decisions"][0].__setitem__("outcome", "VERIFIED_ML"),
        lambda v: v["decisions"][0].__setitem__("outcome", "MAYBE"),
        lambda v: v["decisions"].pop(0),
        lambda v: v["decisions"].append(v["decisions"][0]),
    ],
    ids=[
        "order",
        "claim",
        "certificate",
        "finding",
        "chain",
        "account",
        "late",
        "hold with an adjustment",
        "outcome of another maker",
        "unknown outcome",
        "left out",
        "decided twice",
    ],
)
def test_any_change_is_noticed(run: Callable, decided: Path, tmp_path: Path, change: Callable[[Any], Any]) -> None:
    done = run("verify", _changed(decided, change, tmp_path))
    assert done.code == 1, done.out + done.err
    assert "do not hold" in done.err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.pop("chain"), "lacks chain"),
        (lambda v: v["rules"].__setitem__("sha256", "0" * 64), "have other content"),
        (lambda v: v["chain"]["forward"].pop(), "forward has"),
        (lambda v: v["decisions"][0].pop("adjustment"), "incomplete"),
        (lambda v: v["decisions"].clear(), "lacks a list of decisions"),
        (lambda v: v.__setitem__("decisions", [[]]), "lacks a list of decisions"),
        (lambda v: v.__setitem__("venue", None), "venue: should be an object with name and sha256"),
        (lambda v: v["decisions"][1].__setitem__("account_id", "silnt"), 'did you mean "silent"'),
        (lambda v: v["decisions"][0].__setitem__("account_id", "makr"), 'did you mean "maker"'),
        (lambda v: v["decisions"][0]["adjustment"].__setitem__("margin_addon_usd", "1"), "valid number"),
    ],
)
def test_an_unusable_file_is_one_clear_message(
    run: Callable, decided: Path, tmp_path: Path, change: Callable[[Any], Any], message: str
) -> None:
    done = run("verify", _changed(decided, change, tmp_path))
    assert done.code == 2
    assert message in done.err


def test_the_system_clock_makes_an_old_chain_a_hold(run: Callable, chain_file: Path, book_file: Path) -> None:
    done = run("propose", "--chain", chain_file, "--book", book_file, "--clock", "system")
    assert done.code == 0
    assert "buy" not in done.out
    assert "sell" not in done.out


@pytest.mark.parametrize(
    "position",
    ["BTC-27MAR25-70000-C: -5", "BTC-27MAR26-71234-C: -5", "ETH-PERPETUAL: 10"],
    ids=["expired", "unlisted strike", "unlisted underlying"],
)
def test_an_account_that_cannot_be_valued_holds_and_harms_no_other(
    run: Callable, chain_file: Path, book_file: Path, tmp_path: Path, position: str
) -> None:
    book = tmp_path / "book.yaml"
    first = book_file.read_text()
    book.write_text(first + first.split("accounts:\n")[1].split("  - account_id: silent")[0].replace("maker", "lost"))
    text = book.read_text()
    at = text.index("account_id: lost")
    book.write_text(text[:at] + text[at:].replace("BTC-PERPETUAL: 20000", position, 1))
    done = run("propose", "--chain", chain_file, "--book", book, "--out", tmp_path)
    assert done.code == 0, done.err
    outcomes = {one["account_id"]: one for one in json.loads((tmp_path / "decisions.json").read_text())["decisions"]}
    assert outcomes["maker"]["outcome"] == "BASELINE"
    assert outcomes["lost"]["outcome"] == "HOLD"
    assert "is not listed" in outcomes["lost"]["reasons"][-1]
    assert run("verify", tmp_path / "decisions.json").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["propose", "--chain", "{chain}"], "no book"),
        (["propose", "--book", "{book}"], "no chain"),
        (["propose", "--chain", "{chain}", "--book", "{book}", "--model", "fhss"], 'did you mean "fhs"'),
        (["forecast", "--chain", "{chain}", "--book", "{book}"], "--history"),
        (["verify", "absent.json"], "there is no such file"),
        (["verify", "absent.log"], "there is no such file"),
    ],
)
def test_a_mistake_is_one_clear_message(
    run: Callable, chain_file: Path, book_file: Path, arguments: list[str], message: str
) -> None:
    done = run(*(argument.format(chain=chain_file, book=book_file) for argument in arguments))
    assert done.code == 2
    assert message in done.err


def test_values_are_the_same_once_written_and_read() -> None:
    assert copied({"a": (1, 2.5)}) == {"a": [1, 2.5]}
