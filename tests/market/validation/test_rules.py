"""The list of rules: whole, and as the documentation shows it."""

from pathlib import Path

import pytest

from greekdrift.errors import ConfigError
from greekdrift.market.validation.rules import RULES, Severity, severity

PAGE = Path(__file__).resolve().parents[3] / "docs" / "quality.md"


def test_every_rule_says_what_to_do_and_the_gravest_come_first():
    for name, rule in RULES.items():
        assert rule.name == name
        assert all((rule.fact, rule.figure, rule.remedy))
    severities = [rule.severity for rule in RULES.values()]
    assert severities == sorted(severities, reverse=True)


def test_the_page_lists_every_rule_as_it_is():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    shown = lines[lines.index("| --- | --- | --- | --- | --- |") + 1 :]
    rules = RULES.values()
    assert shown == [
        f"| {one.severity.word} | {one.name} | {one.fact} | {one.figure} | {one.remedy} |" for one in rules
    ]


def test_a_wrong_severity_is_answered_with_the_right_one():
    assert severity("note") is Severity.NOTE
    with pytest.raises(ConfigError, match='did you mean "error"'):
        severity("eror")
