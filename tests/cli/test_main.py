"""The program as a user meets it: help, mistakes, faults, each with its exit code."""

import sys
from types import ModuleType

import pytest

from greekdrift.cli import COMMANDS, OUR_FAULT, USER_MISTAKE, main
from greekdrift.errors import ChainError


def _code(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    return int(exit_.value.code or 0)


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert _code(["--help"]) == 0
    shown = capsys.readouterr().out
    for name in COMMANDS:
        assert f" {name} " in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _code([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"greekdrift {name}" in shown.split("Example", 1)[1]


def test_a_wrong_command_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert _code(["evaluat"]) == USER_MISTAKE
    assert "evaluate" in capsys.readouterr().err


def _replaced(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def command() -> None:
        raise error

    module = ModuleType("greekdrift.cli.greeks")
    module.command = command  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "greekdrift.cli.greeks", module)


def test_a_mistake_of_the_user_is_one_message_without_a_trace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _replaced(monkeypatch, ChainError("bid above ask"))
    assert _code(["greeks"]) == USER_MISTAKE
    assert capsys.readouterr().err == "error: bid above ask\n"


def test_a_fault_of_ours_is_one_message_and_a_trace_on_demand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _replaced(monkeypatch, KeyError("x"))
    assert _code(["greeks"]) == OUR_FAULT
    assert "--debug" in capsys.readouterr().err
    with pytest.raises(KeyError):
        main(["greeks", "--debug"])
