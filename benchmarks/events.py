"""Markets that the event forecast never saw, on long histories that are not shipped.

    python benchmarks/events.py --root ../shared/data              about a minute
    python benchmarks/events.py --root ../shared/data --out FILE   the tables as Markdown in a file

Each coin in turn is left out: the regime is learnt on the other two until the end of 2022, shrunk to nothing, and asked
about the third from 2023 on, as it is ("the longer history alone") and with the coin's own rows beside. The tables of
markets that were learnt are those of `greekdrift regime --config configs/regime/NAME.yaml`.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from greekdrift.cli.shifts import days_of
from greekdrift.config.regime import load_markets
from greekdrift.evaluate.events import examined
from greekdrift.forecast.days import Days

CONFIGS = Path(__file__).resolve().parents[1] / "configs" / "regime"
EVENT = "variance_doubling"
LEARNT_UNTIL, FIRST = np.datetime64("2023-01-01", "us"), np.datetime64("2023-03-01", "D")


def since(days: Days, day: int) -> Days:
    """A market that begins on a day, as a collector that was switched on then would see it."""
    start = int(np.searchsorted(days.day, day))
    names = ("day", "known_at", "close", "variance", "returns", "implied", "slope")
    return replace(days, **{name: getattr(days, name)[start:] for name in names})


def main() -> None:
    """Prints every table."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--root", type=Path, required=True)
    asked.add_argument("--out", type=Path)
    given = asked.parse_args()
    markets = days_of(load_markets(CONFIGS / "coins.yaml"), root=given.root)
    made = []
    for own in markets:
        others = [one.until(LEARNT_UNTIL) for one in markets if one is not own]
        begins = int(np.datetime64("2022-01-01", "D").astype(np.int64))
        prior, _ = examined(others, events=(EVENT,), first=begins, seed=7)
        first = int(FIRST.astype(np.int64))
        fresh = since(own, int(LEARNT_UNTIL.astype("datetime64[D]").astype(np.int64)))
        _, (found,) = examined((fresh,), events=(EVENT,), first=first, prior=prior, seed=7)
        table = found.table()
        if table is not None:
            made.append(replace(table, title=f"{own.symbol}, learnt from the others: {table.title}"))
    for one in made:
        print(one.text(), end="\n\n")
    if given.out is not None:
        given.out.write_text("\n\n".join(one.markdown() for one in made) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
