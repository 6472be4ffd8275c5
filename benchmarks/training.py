"""What Lightning costs over a bare loop, and how long the drift net takes to learn: one run, one thread.

    python benchmarks/training.py                       about two minutes
    python benchmarks/training.py --rounds 5 --rows 400 quicker and noisier

A simulated market of two coins. "Bare" makes the same batches, draws, losses and optimiser steps in a plain loop and
must end with the same weights. A step is a difference: the processor time of long runs less that of short ones, by
steps, so that what a run pays once does not count; the least of interleaved rounds.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from time import perf_counter, process_time

import numpy as np
import torch
from stopwatch import race

from greekdrift.config import load_venue
from greekdrift.features.panel import Panel, assemble
from greekdrift.forecast.deep import training
from greekdrift.forecast.deep.loop import Loop, Objective, Tensors, bends, quiet, shapes
from greekdrift.forecast.deep.mixture import MixtureNetwork
from greekdrift.forecast.deep.network import DriftNetwork
from greekdrift.forecast.deep.training import DriftNet
from greekdrift.forecast.ensemble import Pool
from greekdrift.forecast.examples import examples
from greekdrift.market.simulate import SimulatedSource
from greekdrift.surface.state import FACTORS
from greekdrift.units import datetime64

LONGEST_FIT, MOST_OVERHEAD = 300.0, 1.3
SHORT, LONG = 20, 120
FORMS: Mapping[str, tuple[Callable[..., torch.nn.Module], Objective]] = {
    "correction": (DriftNetwork, bends),
    "shape": (MixtureNetwork, shapes),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """What both loops train on, and how."""

    settings: DriftNet
    seen: Tensors

    def started(self, form: str) -> Loop:
        """A loop with a new network of a form, always the same."""
        network_of, objective = FORMS[form]
        torch.manual_seed(0)
        network = network_of(inputs=self.seen.inputs.shape[-1], width=self.settings.width)
        training.standardise(network, self.seen.inputs)
        return Loop(network, self.seen, None, objective=objective, schedule=self.settings.schedule, seed=0)

    def lightning(self, form: str, steps: int) -> Mapping[str, torch.Tensor]:
        """The weights as `DriftNet.fit` comes by them."""
        loop = self.started(form)
        with quiet(1):
            loop.run(steps=steps)
        return loop.network.state_dict()

    def bare(self, form: str, steps: int) -> Mapping[str, torch.Tensor]:
        """The weights by a plain loop."""
        loop = self.started(form)
        optimiser = loop.configure_optimizers()
        iter(loop.batches)  # Lightning asks for an order once before it begins
        done = 0
        while done < steps:
            for number, rows in enumerate(loop.batches):
                optimiser.zero_grad()
                loop.training_step(rows, number).backward()
                optimiser.step()
                done += 1
                if done == steps:
                    break
        return loop.network.state_dict()


def market(rows: int) -> Panel:
    """States of the simulated market, every six hours."""
    source = SimulatedSource(venue=load_venue("deribit"), seed=1, days=rows / 4.0)
    moments = source.snapshots()
    as_of = np.array([datetime64(moment) for moment in moments])
    return assemble(
        source.underlyings,
        FACTORS,
        as_of=as_of,
        known_at=as_of + np.timedelta64(5, "m"),
        state=np.stack([source.true_state(moment).values for moment in moments]),
        step_hours=source.step_hours,
        features=(),
    )


def case(panel: Panel, settings: DriftNet) -> Case:
    """All complete origins of a panel."""
    base = Pool(laws=settings.laws, common=settings.common).fit(panel)
    made = examples(base, panel, horizons=settings.horizons, draws=settings.draws, seed=settings.seed)
    rows = np.arange(len(made))
    seen = training.tensors(made, rows, training.size_of(made, rows), panel.factors)
    return Case(settings=settings, seen=seen)


def milliseconds(of: Case, form: str, rounds: int) -> dict[str, float]:
    """Processor time of a step by either loop."""
    calls = {
        f"{name} {steps}": (lambda run=run, steps=steps: run(form, steps))
        for name, run in (("bare", of.bare), ("lightning", of.lightning))
        for steps in (SHORT, LONG)
    }
    found = race(calls, rounds=rounds)
    return {
        name: 1e3 * (found[f"{name} {LONG}"].least - found[f"{name} {SHORT}"].least) / (LONG - SHORT)
        for name in ("bare", "lightning")
    }


def main() -> int:
    """Prints both figures beside their limits; 1 where one is missed or the two loops end with other weights."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", type=int, default=700)
    given = parser.parse_args()
    torch.set_num_threads(1)
    panel = market(given.rows)
    settings = DriftNet()
    of = case(panel, settings)
    is_good = True
    for form in FORMS:
        one, two = of.bare(form, SHORT), of.lightning(form, SHORT)
        is_same = all(torch.equal(one[name], two[name]) for name in one)
        took = milliseconds(of, form, given.rounds)
        ratio = took["lightning"] / took["bare"]
        is_good &= is_same and ratio <= MOST_OVERHEAD
        print(
            f"{form}: a step of {settings.batch} origins, bare {took['bare']:.2f} ms, with Lightning "
            f"{took['lightning']:.2f} ms, ratio {ratio:.2f} (at most {MOST_OVERHEAD}), "
            f"{'same' if is_same else 'OTHER'} weights"
        )
    wall, used = perf_counter(), process_time()
    replace(settings, threads=1).fit(panel)
    used = process_time() - used
    is_good &= used <= LONGEST_FIT
    print(
        f"fit on {len(panel)} rows, {len(of.seen)} origins: {used:.1f} s of processor time, "
        f"{perf_counter() - wall:.1f} s by the clock (at most {LONGEST_FIT:g})"
    )
    return 0 if is_good else 1


if __name__ == "__main__":
    raise SystemExit(main())
