"""A `Verified` comes from the judge and from nowhere else."""

import copy
from dataclasses import FrozenInstanceError, replace

import pytest

from greekdrift.errors import InputError
from greekdrift.verify import Refused, Verified


def test_nobody_else_makes_one(world) -> None:
    verdict = world.judge(world.propose())
    with pytest.raises(TypeError):
        Verified(adjustment=verdict.adjustment, certificate=verdict.certificate)
    for seal in (None, object(), True):
        with pytest.raises(InputError, match="nothing else"):
            Verified(adjustment=verdict.adjustment, certificate=verdict.certificate, seal=seal)
    other = world.propose(world.order("BTC-PERPETUAL", -1_000.0))
    with pytest.raises((TypeError, ValueError)):
        replace(verdict, adjustment=other)
    with pytest.raises(FrozenInstanceError):
        verdict.adjustment = other
    assert copy.copy(verdict).certificate == verdict.certificate


def test_a_refusal_names_what_failed(world) -> None:
    verdict = world.judge(world.propose(chain_digest="0" * 64))
    assert isinstance(verdict, Refused)
    assert [one.check for one in verdict.failed] == ["chain digest"]
    assert len(verdict.findings) > 1
