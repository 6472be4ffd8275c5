"""Every file of published values is read by a test here, or has its reason not to be."""

from pathlib import Path

import pytest

NOT_HELD = {
    "sabr_hagan_vols": "no room uses SABR: slices are raw SVI and SSVI",
}
FAMILIES = {"derive_pmrm2_": 'f"derive_pmrm2_{name}.csv"'}
"""Files whose names a test puts together."""


@pytest.mark.shared
def test_every_published_file_is_held(golden):
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    held, left_out = [], []
    for path in golden.glob("*.csv"):
        name = next((text for start, text in FAMILIES.items() if path.name.startswith(start)), f'"{path.name}"')
        (held if name in tests else left_out).append(path.stem)
    assert sorted(left_out) == sorted(NOT_HELD)
    assert len(held) >= 18
