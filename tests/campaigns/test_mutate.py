"""A twentieth of the campaign of mutated inputs: every one is taken or refused by name."""

import contextlib
import random
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from campaigns.targets import TARGETS
from campaigns.tries import Defect, Try

from campaigns import mutate, mutations

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(300)
def test_a_twentieth_of_the_mutated_inputs_is_taken_or_refused_by_name() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "campaigns.mutate", "--part", "20", "--here"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    total = re.search(r"^([\d,]+) inputs$", done.stdout, re.MULTILINE)
    assert total is not None
    assert int(total[1].replace(",", "")) >= 2_500
    for target in TARGETS:
        assert re.search(rf"^\s*{target} ", done.stdout, re.MULTILINE)


def test_the_whole_campaign_is_fifty_thousand_inputs() -> None:
    assert sum(count * size for _, count, size in TARGETS.values()) >= 50_000


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (Defect("a crossed quote was taken"), "Defect"),
        (ValueError("odd"), "ValueError: odd in"),
        (RuntimeWarning("overflow"), "RuntimeWarning: overflow in"),
    ],
)
def test_what_escapes_is_a_finding(monkeypatch: pytest.MonkeyPatch, harm: Exception, said: str) -> None:
    @contextlib.contextmanager
    def target(folder: Path, seed: int) -> Iterator[Try]:
        def attempt(rng: random.Random) -> str:
            if rng.random() < 0.2:
                if isinstance(harm, Warning):
                    warnings.warn(harm, stacklevel=1)
                else:
                    raise harm
            return "taken"

        yield attempt

    monkeypatch.setattr(mutate, "TARGETS", {"made": (target, 1, 1)})
    monkeypatch.setattr(mutate.signal, "alarm", lambda seconds: 0)
    monkeypatch.setattr(mutate.signal, "signal", lambda number, handler: None)
    outcome = mutate.tried("made", range(50), seed=1)
    assert 1 <= len(outcome.findings) < 50
    assert outcome.became["taken"] + len(outcome.findings) == outcome.inputs == 50
    assert said in outcome.findings[0]


def test_a_process_that_dies_is_a_finding() -> None:
    assert mutate.apart("no such target", range(1), seed=1).findings


def test_mutations_are_the_same_for_the_same_seed_and_change_what_they_get() -> None:
    made = {"a": [1, 2, {"b": 0.5, "c": "x"}], "d": None}
    table = "a,b\n1,2\n3,4\n"
    for mutated in (
        lambda rng: mutations.document(made, rng),
        lambda rng: mutations.lines(table, rng),
        lambda rng: mutations.content(b"0123456789", rng),
    ):
        first = [mutated(random.Random(seed)) for seed in range(200)]
        assert first == [mutated(random.Random(seed)) for seed in range(200)]
        assert len(set(first)) > 60
    assert made == {"a": [1, 2, {"b": 0.5, "c": "x"}], "d": None}
