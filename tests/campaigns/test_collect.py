"""A twentieth of the campaign against the collector: nothing acknowledged is lost, nothing untrue is accepted."""

import pytest
from campaigns.collect import Outcome, Run, carried_out, runs, table
from tests.venue.faults import Fault

SEED = 1
LONG = pytest.mark.timeout(300)


def _held(outcome: Outcome) -> None:
    assert not outcome.problems, table([outcome])
    assert outcome.findings.snapshots > 0.7 * outcome.run.minutes
    assert all(outcome.fired[fault] for fault in Fault)


@LONG
def test_a_twentieth_of_a_day_with_every_fault_and_ten_kills_loses_nothing() -> None:
    killed = next(one for one in runs(20) if one.name == "killed")
    outcome = carried_out(killed, seed=SEED)
    _held(outcome)
    assert outcome.kills == 10
    assert outcome.findings.rows > 1000
    assert sum(outcome.rejected.values()) > 10


@LONG
def test_a_twentieth_of_the_streamed_run_loses_nothing() -> None:
    streamed = next(one for one in runs(20) if one.name == "streamed")
    outcome = carried_out(streamed, seed=SEED)
    _held(outcome)
    assert outcome.findings.levels > 500


@LONG
def test_memory_of_one_process_is_flat() -> None:
    outcome = carried_out(Run(name="steady", minutes=36, kills=0), seed=SEED)
    _held(outcome)
    assert len(outcome.resident) >= 25
    assert abs(outcome.growth) < 0.1


def test_the_whole_campaign_is_a_day_and_two_hundred_kills() -> None:
    killed = runs(1)[0]
    assert (killed.minutes, killed.kills) == (1440, 200)
