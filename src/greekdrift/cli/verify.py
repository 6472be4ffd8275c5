"""`greekdrift verify`: decisions judged again, offline, from chain, book, mandate and rules alone."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from greekdrift.cli import options

FAILED = 1


def command(
    file: Annotated[Path, typer.Argument(help="decisions.json of propose or demo, or a journal.")],
    venue: options.PerhapsVenue = None,
    rules: options.PerhapsRules = None,
    key: Annotated[
        Path | None, typer.Option(help="Public key (32 bytes) that signatures of a journal must match.")
    ] = None,
) -> None:
    """Recompute every number of every adjustment and compare the certificate byte by byte.

    Nothing of a forecast, a surface fit or a policy is used. A journal is also checked for a break in its chain, for
    its inputs and, with --key, for its signatures. Exit code 1 where anything does not hold.

    Example: greekdrift verify runs/first/decisions.json
    """
    from greekdrift.cli.console import lead, say, table
    from greekdrift.config.document import read

    if file.suffix != ".json":
        _journal(file, key)
        return
    replayed = replay(dict(read(file).values), venue=venue, rules=rules)
    rows = [(one.account_id, one.outcome, one.verdict, one.detail) for one in replayed]
    table(f"Verified again from {file}", ("account", "outcome", "verdict", "detail"), rows)
    failed = [one for one in replayed if one.is_wrong]
    if failed:
        say(f"[red]{len(failed)} of {len(replayed)} decisions do not hold[/]")
        raise typer.Exit(FAILED)
    say("every adjustment holds; its certificate is the same to the byte")
    lead("greekdrift report on the run's folder")


def _journal(file: Path, key: Path | None) -> None:
    from greekdrift.cli.console import escape, say
    from greekdrift.errors import DataError
    from greekdrift.journal import replay as replay_journal

    if not file.is_file():
        raise DataError(f"{file}: there is no such file; give decisions.json or a journal.")
    if key is not None and not key.is_file():
        raise DataError(f"{key}: there is no such key file; give the public key of the journal.")
    report = replay_journal(file, public_key=None if key is None else key.read_bytes())
    say(report.describe())
    for problem in report.problems:
        say(f"  [red]{escape(problem)}[/]")
    if not report.is_sound:
        raise typer.Exit(FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a second judgement found of one decision."""

    account_id: str
    outcome: str
    verdict: str
    detail: str
    is_wrong: bool = False


def replay(values: Mapping[str, Any], *, venue: str | None = None, rules: str | None = None) -> list[Replayed]:
    """Judges each adjustment of a bundle again; every account of it must be decided, and once."""
    from greekdrift.cli.bundles import read_bundle

    bundle = read_bundle(values, venue=venue, rules=rules)
    found = [_replayed(bundle, decision) for decision in values["decisions"]]
    times = Counter(one.account_id for one in found)
    return found + [
        Replayed(account_id=name, outcome="–", verdict="DIFFERS", detail=f"decided {times[name]} times", is_wrong=True)
        for name in sorted({*bundle.accounts, *times})
        if times[name] != 1
    ]


def _replayed(bundle: Any, decision: Mapping[str, Any]) -> Replayed:
    from greekdrift.cli.bundles import adjustment_of
    from greekdrift.serve.encode import plain
    from greekdrift.verify import Refused, verify

    name, outcome = str(decision.get("account_id")), str(decision.get("outcome"))
    if outcome == "HOLD":
        bundle.account(name)
        wrong = decision.get("adjustment") is not None
        detail = "a HOLD with an adjustment" if wrong else "; ".join(map(str, decision.get("reasons", ())))
        return Replayed(account_id=name, outcome=outcome, verdict="no action", detail=detail, is_wrong=wrong)
    account, mandate = bundle.account(name), bundle.mandate(name)
    adjustment = adjustment_of(decision.get("adjustment"), name)
    verdict = verify(account, bundle.chain, adjustment, mandate, bundle.rules, bundle.now, venue=bundle.venue)
    if isinstance(verdict, Refused):
        failed = "; ".join(f"{one.check}: {one.detail}" for one in verdict.findings if not one.passed)
        return Replayed(account_id=name, outcome=outcome, verdict="REFUSED", detail=failed, is_wrong=True)
    if plain(verdict.certificate) != decision.get("certificate"):
        detail = "the certificate says something else than the recomputation"
        return Replayed(account_id=name, outcome=outcome, verdict="DIFFERS", detail=detail, is_wrong=True)
    if str(verdict.certificate.outcome) != outcome:
        detail = f"the certificate is of {verdict.certificate.outcome}"
        return Replayed(account_id=name, outcome=outcome, verdict="DIFFERS", detail=detail, is_wrong=True)
    passed = len(plain(verdict.certificate)["findings"])
    return Replayed(account_id=name, outcome=outcome, verdict="VERIFIED", detail=f"{passed} checks passed")
