"""Draws the README's picture from a run of the demo: python docs/picture.py runs/demo-… [docs/images/forecast.png]."""

import json
import sys
from pathlib import Path

from greekdrift.report.figures import fans

WANTED = (("maker", "TSLA delta (net)"), ("maker", "TSLA gamma"), ("collar", "CAT delta (net)"))


def main(run: Path, picture: Path) -> None:
    """Three Greeks of the demo's accounts over the next three days, against their bands."""
    forecast = json.loads((run / "forecast.json").read_text())
    found = {
        (account["account_id"], quantity["label"]): {
            **quantity,
            "label": f"{account['account_id']}: {quantity['label']}",
        }
        for account in forecast["accounts"]
        for quantity in account["quantities"]
    }
    picture.parent.mkdir(parents=True, exist_ok=True)
    fans([found[key] for key in WANTED], forecast["horizons_hours"]).savefig(picture, dpi=110)
    print(picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "docs/images/forecast.png"))
