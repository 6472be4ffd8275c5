"""Walks in several processes: each walks one forecaster into the folder of kept walks, the caller gathers them."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def walk_apart(
    experiment: str, names: Sequence[str], *, runs: Path, workers: int, told: Callable[[str, int, int], None]
) -> None:
    """Walks the named forecasters of an experiment (as JSON) in fresh processes of one thread each.

    `told` is given the name of each that is done, how many are, and of how many. The first fault ends the others.
    """
    with ProcessPoolExecutor(
        max_workers=min(workers, len(names)), mp_context=get_context("spawn"), initializer=_one_thread
    ) as pool:
        waiting = {pool.submit(walk_one, experiment, name, str(runs)): name for name in names}
        try:
            for done, one in enumerate(as_completed(waiting), start=1):
                one.result()
                told(waiting[one], done, len(names))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def walk_one(experiment: str, name: str, runs: str) -> None:
    """Walks one forecaster of an experiment (as JSON), unless its walk is kept already."""
    import logging

    logging.disable(logging.WARNING)
    from greekdrift.cli.experiments import forecasters_of, panel_of, source_of
    from greekdrift.config import Experiment, evaluation_of
    from greekdrift.evaluate.stored import Kept

    asked = Experiment.model_validate_json(experiment)
    source = source_of(asked)
    panel = panel_of(source, Path(runs), experiment=asked)
    kept = Kept.of(panel, source, evaluation_of(asked), cache=Path(runs) / "cache")
    kept.walked(name, forecasters_of(asked)[name])


def _one_thread() -> None:
    for name in THREADS:
        os.environ[name] = "1"
