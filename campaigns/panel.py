"""How long the whole panel of the development data takes: every snapshot and coin, every feature, every history.

Once with an empty cache (fitting every surface) and again from the cache, each in a fresh process; imports apart.
Prints both and ends with status 1 where a goal is missed: 60 s cold, 3 s from the cache.

    python -m campaigns.panel DATA [--cache FOLDER]      DATA holds deribit_option_chain_6h and the sets of configs/data
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from greekdrift.config import load_venue
from greekdrift.config.data_set import load_data_set
from greekdrift.features.catalogue import PANEL, RECORDS
from greekdrift.features.panel import build
from greekdrift.features.table import FEATURES
from greekdrift.market.parquet import ParquetSource
from greekdrift.market.series_store import histories

CONFIGS = Path(__file__).resolve().parents[1] / "configs" / "data"
COLD, CACHED = 60.0, 3.0


def once(data: Path, cache: Path) -> tuple[float, float]:
    """Seconds that the panel takes in this process by the clock and of its processors, imports apart."""
    begun, worked = time.perf_counter(), time.process_time()
    sets = [load_data_set(path) for path in sorted(CONFIGS.glob("*.yaml"))]
    read = histories([one for one in sets if one.tables], data, cache=cache)
    source = ParquetSource(str(data), venue=load_venue("deribit"), underlyings=("BTC", "ETH"))
    features = {feature.name: feature for feature in (*FEATURES, *PANEL, *RECORDS)}
    panel = build(source, cache=cache, features=tuple(features.values()), histories=read)
    seconds = time.perf_counter() - begun, time.process_time() - worked
    rows = sum(len(one) for one in read.values())
    print(f"{panel.describe()}; {len(features)} features, {len(read)} histories of {rows:,} rows", file=sys.stderr)
    return seconds


def main() -> int:
    """Both times, each in its own process; 0 if the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--cache", type=Path, help="run once in this process with this cache, print the seconds")
    given = parser.parse_args()
    if given.cache is not None:
        print(*once(given.data, given.cache))
        return 0
    with TemporaryDirectory() as cache:
        command = [sys.executable, "-m", "campaigns.panel", str(given.data), "--cache", cache]
        times = [[float(one) for one in subprocess.check_output(command).split()] for _ in range(4)]
    (cold, worked), *again = times
    cached, read = (min(column) for column in zip(*again, strict=True))
    print(f"cold {cold:.1f} s (goal {COLD:.0f}), {worked:.1f} s of processors")
    print(f"from the cache {cached:.2f} s (goal {CACHED:.0f}), {read:.2f} s of processors")
    return int(cold > COLD or cached > CACHED)


if __name__ == "__main__":
    sys.exit(main())
