"""Measures how much `explain` explains: python docs/explain.py CHAINS prints the table of explain.md.

CHAINS is a Parquet file of six-hourly chains of one underlying. Fifteen reference books a day, unchanged over four
snapshots (about 24 hours), on every seventeenth snapshot.
"""

import argparse
from pathlib import Path

import numpy as np

from greekdrift.config import load_venue
from greekdrift.features.books import reference_books
from greekdrift.market.parquet import ParquetSource
from greekdrift.surface.attribution import attribute
from greekdrift.surface.fit import fit

NAMES = {"pnl_usd": "P&L", "delta_net": "net delta", "gamma": "gamma", "vega": "vega"}
EVERY, AHEAD, SEED = 17, 4, 7


def main() -> None:
    """Prints one row a quantity: squared and absolute residuals as shares of the changes."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("chains", type=Path)
    words.add_argument("--venue", default="deribit")
    asked = words.parse_args()
    source = ParquetSource(asked.chains, venue=load_venue(asked.venue))
    moments = source.snapshots()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in NAMES}
    days = 0
    for at in range(0, len(moments) - AHEAD - 1, EVERY):
        chain, later = source.chain(moments[at]), source.chain(moments[at + AHEAD])
        books = reference_books(chain, seed=SEED)
        told = attribute(chain, later, books, surface=fit(chain), later_surface=fit(later), names=tuple(NAMES))
        days += 1
        for name in NAMES:
            found[name] += [(one.parts[-1], one.realised) for one in told.of(name) if not one.unknown]
    print(f"{days} days, {len(found['pnl_usd'])} books\n")
    print("| quantity | Σ residual² / Σ change² | Σ abs residual / Σ abs change |")
    print("|---|---|---|")
    for name, words_ in NAMES.items():
        residual, change = np.array(found[name]).T
        squared = np.sum(residual**2) / np.sum(change**2)
        print(f"| {words_} | {squared:.1%} | {np.abs(residual).sum() / np.abs(change).sum():.1%} |")


if __name__ == "__main__":
    main()
