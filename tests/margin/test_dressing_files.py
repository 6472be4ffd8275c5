"""Every dressing that is shipped can be worn, and does what its devices say on a need that jumps."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from greekdrift.config.document import read
from greekdrift.margin.addon import dress
from greekdrift.margin.dressing import Dressing

FILES = sorted((Path(__file__).parents[2] / "configs" / "dressing").glob("*.yaml"))


def test_there_are_some() -> None:
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_dressing_rises_no_faster_than_it_says(path: Path) -> None:
    worn = Dressing.from_values(read(path).values, name=str(path))
    times = [datetime(2026, 2, 1, tzinfo=UTC) + at * timedelta(hours=6) for at in range(40)]
    steps = dress(worn, [100.0] * 8 + [600.0] * 8 + [100.0] * 24, [1_000.0] * 40, as_of=times)
    held = [one.addon_usd for one in steps]
    assert max(after - before for before, after in pairwise(held)) <= (250.0 * worn.rise_per_day * (1 + 1e-9))
    assert max(held) < 600.0
    assert any(one.findings for one in steps)
    assert held[-1] < max(held)
