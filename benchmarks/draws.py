"""How much of the Monte-Carlo variance of a forecast is left when scenarios are stratified, at equal numbers of them.

    python benchmarks/draws.py                  everything, about three minutes
    python benchmarks/draws.py --seeds 30       the same, rougher
    python benchmarks/draws.py --chains DIR --as-of 2026-02-05T05:00Z --book configs/books/deribit.yaml

The simulated market and the 20 lines of `forecast.py`, or chains and a book of your own. Each figure is the median
over all quantities of the variance over seeds, divided by that of the forecaster's own draws: quantiles, the mean and a
breach within 24 hours.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy import ndarray

from forecast import case
from greekdrift.book import Account, Chain
from greekdrift.config import load_accounts, load_venue
from greekdrift.features.panel import Panel, build
from greekdrift.forecast.econometric import FilteredHistorical
from greekdrift.forecast.ensemble import Pool
from greekdrift.forecast.forecaster import Predictor
from greekdrift.forecast.stratified import Stratified
from greekdrift.forecast.streamed import forecast_books
from greekdrift.forecast.student import Student
from greekdrift.market.parquet import ParquetSource
from greekdrift.surface.fit import fit
from greekdrift.units import instant

HORIZONS, N, LEVELS = (6.0, 12.0, 24.0), 256, (0.025, 0.1, 0.5, 0.9, 0.975)
FIGURES = (*(f"{level:.1%}" for level in LEVELS), "mean", "breach")
ROW = "{:<10} {:<12}" + " {:>7}" * len(FIGURES)


Market = tuple[Chain, Panel, Sequence[Account]]
Quantity = tuple[str, str]


def market(chains: Path | None, as_of: str | None, book: Path | None) -> Market:
    """The simulated market, or the latest chain of a folder up to an instant, its past, and the accounts of a book."""
    if chains is None or as_of is None or book is None:
        on = case()
        return on.chain, on.panel, on.small
    source = ParquetSource(str(chains), venue=load_venue("deribit"), until=instant(as_of))
    return source.chain(source.snapshots()[-1]), build(source), load_accounts(book)


def samples(on: Market, predictor: Predictor, *, n: int, seed: int) -> dict[Quantity, ndarray]:
    """Paths (scenario, horizon) of every quantity of every account that moves."""
    chain, panel, accounts = on
    drawn = predictor.predict(panel, horizons=HORIZONS, n=n, seed=seed)
    made = forecast_books(chain, accounts, surface=fit(chain), scenarios=drawn)
    found = {(one, name): made.of(one, name) for one in made.account_ids for name in made.quantities_of(one)}
    return {quantity: paths for quantity, paths in found.items() if np.ptp(paths) > 0.0}


def spread(on: Market, predictor: Predictor, edges: dict[Quantity, float], *, seeds: int) -> ndarray:
    """Variance over seeds of each figure, axes (quantity, figure); a breach is above the edge at any check."""
    found = []
    for seed in range(seeds):
        paths = samples(on, predictor, n=N, seed=seed)
        rows = [(paths[quantity], edge) for quantity, edge in edges.items()]
        found.append([[*np.quantile(x[:, -1], LEVELS), x[:, -1].mean(), (x > edge).any(1).mean()] for x, edge in rows])
    return np.var(found, axis=0, ddof=1)


def main() -> None:
    """Measure and show."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--seeds", type=int, default=80, help="forecasts of each kind")
    words.add_argument("--chains", type=Path, help="folder of chain files")
    words.add_argument("--as-of", help="instant of the forecast")
    words.add_argument("--book", type=Path, help="book file")
    asked = words.parse_args()
    on, seeds = market(asked.chains, asked.as_of, asked.book), asked.seeds
    print(ROW.format("", "paths drawn", *FIGURES))
    for name, learnt in {"fhs": FilteredHistorical(), "student": Student(), "pool": Pool()}.items():
        own = learnt.fit(on[1])
        paths = samples(on, own, n=4_000, seed=seeds)
        edges = {quantity: float(np.quantile(path[:, -1], 0.9)) for quantity, path in paths.items()}
        plain = spread(on, own, edges, seeds=seeds)
        for times in (4, 8, 16):
            kept = spread(on, Stratified(predictor=own, oversample=times), edges, seeds=seeds)
            left = np.median(kept / plain, axis=0)
            print(ROW.format(name, f"{times} x {N}", *(f"{one:.2f}" for one in left)), flush=True)


if __name__ == "__main__":
    main()
