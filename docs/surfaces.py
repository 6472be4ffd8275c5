"""Measures fitted surfaces on recorded chains: python docs/surfaces.py FILE … prints the table of surfaces.md.

What is judged is computed here from the chain and the five parameters alone: errors at all two-sided quotes out of the
money, Gatheral's g and total variance on grids of 2,001 points.
"""

import argparse
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

from greekdrift.book import Chain
from greekdrift.config import load_venue
from greekdrift.market.parquet import ParquetSource
from greekdrift.surface import Slice, Surface
from greekdrift.surface.arbitrage import butterfly_g
from greekdrift.surface.fit import fit
from greekdrift.units import datetime64

DEVIATIONS = 5.0
ENOUGH = 8


def quotes(chain: Chain, one: Slice) -> tuple[np.ndarray, np.ndarray]:
    """Log-moneyness and marked volatility of the two-sided quotes out of the money within five deviations."""
    rows = chain.is_option & (chain.underlying == one.underlying) & (chain.expiry == datetime64(one.expiry))
    spread = chain.ask - chain.bid
    is_near = (chain.mark >= chain.bid - spread) & (chain.mark <= chain.ask + spread)
    rows &= (chain.bid > 0.0) & (spread >= 0.0) & is_near & (chain.is_call == (chain.strike >= chain.forward))
    k = np.log(chain.strike[rows] / chain.forward[rows])
    inside = np.abs(k) <= DEVIATIONS * one.deviation
    return k[inside], chain.mark_iv[rows][inside]


def least_g(one: Slice) -> float:
    """Least g within five deviations."""
    p = one.parameters
    k = np.linspace(-DEVIATIONS, DEVIATIONS, 2001) * one.deviation
    return float(butterfly_g(k, a=p.a, b=p.b, rho=p.rho, m=p.m, s=p.s).min())


def least_gap(earlier: Slice, later: Slice) -> float:
    """Least rise of total variance within five deviations of the later or the earlier, whichever is wider."""
    k = np.linspace(-DEVIATIONS, DEVIATIONS, 2001) * max(earlier.deviation, later.deviation)
    return float((later.total_variance(k) - earlier.total_variance(k)).min())


def judge(chain: Chain, surface: Surface, found: dict[str, list[float]]) -> None:
    """Add the figures of one surface."""
    refused = {(one.underlying, one.expiry) for one in surface.refused}
    for name in surface.underlyings:
        slices = surface.of(name)
        found["gap"] += [least_gap(earlier, later) for earlier, later in pairwise(slices)]
        for one in slices:
            found["g"].append(least_g(one))
            found["wing"].append(max(one.parameters.wings))
            k, volatility = quotes(chain, one)
            found["thin"].append(float(k.size < ENOUGH))
            if k.size >= ENOUGH:
                is_refused = (one.underlying, one.expiry) in refused
                found["refused"].append(float(is_refused))
                if is_refused:
                    reason = next(r.reason for r in surface.refused if (r.underlying, r.expiry) == (name, one.expiry))
                    print(
                        f"refused: {chain.as_of:%Y-%m-%d %H:%M} {name} {one.expiry:%d%b%y}: {reason}", file=sys.stderr
                    )
                if not is_refused:
                    found["rmse"].append(100.0 * float(np.sqrt(np.mean((one.volatility(k) - volatility) ** 2))))
                    found["spreads"].append(one.rmse_spreads)


def main() -> None:
    """Read, fit, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--every", type=int, default=1)
    given = parser.parse_args()
    print(
        "| file | chains | slices | thin | refused | RMSE 50 % | 90 % | 99 % | worst | in spreads 50 % | least g |"
        " least rise | b(1+abs ρ) | ms |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    for path in given.files:
        source = ParquetSource(str(path), venue=load_venue("deribit"), drop=("alive",))
        found: dict[str, list[float]] = {
            name: [] for name in ("rmse", "spreads", "refused", "thin", "g", "gap", "wing")
        }
        spent = []
        for moment in source.snapshots()[:: given.every]:
            chain = source.chain(moment)
            times = []
            for _ in range(3):
                start = time.perf_counter()
                surface = fit(chain)
                times.append(time.perf_counter() - start)
            spent.append(min(times))
            judge(chain, surface, found)
        rmse = np.quantile(found["rmse"], [0.5, 0.9, 0.99, 1.0])
        print(
            f"| {path.parent.name}/{path.stem} | {len(spent)} | {len(found['g'])} | {int(sum(found['thin']))} |"
            f" {np.mean(found['refused']):.3%} | {rmse[0]:.3f} | {rmse[1]:.3f} | {rmse[2]:.3f} | {rmse[3]:.2f} |"
            f" {np.median(found['spreads']):.3f} | {min(found['g']):.1e} | {min(found['gap'], default=np.nan):.1e} |"
            f" {max(found['wing']):.2f} | {1e3 * np.median(spent):.2f} |"
        )


if __name__ == "__main__":
    main()
