"""The picture of a forecast of margin: a row an account, the chance of a call with its error, the same bytes."""

from pathlib import Path

from greekdrift.report.margin import margin_fans
from greekdrift.report.picture import write

CHECKS = (6.0, 24.0)


def account() -> dict[str, object]:
    levels = ("0.025", "0.1", "0.25", "0.5", "0.75", "0.9", "0.975")
    rows = {level: [100.0 + 10.0 * at, 100.0 + 20.0 * at] for at, level in enumerate(levels)}
    never = {"within": [0.0, 0.0], "error": [0.01, 0.01]}
    return {
        "now": {"initial_margin_usd": 100.0, "excess_usd": 100.0},
        "quantiles": {"initial_margin_usd": rows, "excess_usd": rows},
        "liquidity_at_risk_usd": {"0.95": [5.0, 9.0], "0.99": [8.0, 12.0]},
        "call": {"within": [0.1, 0.3], "error": [0.01, 0.02]},
        "liquidation": never,
    }


def test_each_account_has_its_four_pictures() -> None:
    figure = margin_fans({"a": account(), "b": account()}, CHECKS, title="ahead")
    assert len(figure.axes) == 8
    chance = figure.axes[3]
    call = next(line for line in chance.lines if line.get_label() == "call")
    assert list(call.get_ydata()) == [0.0, 0.1, 0.3]
    assert chance.get_ylim()[1] > 0.34


def test_the_same_bytes_each_time(tmp_path: Path) -> None:
    made = []
    for name in ("one", "other"):
        path = tmp_path / f"{name}.png"
        write(path, [(margin_fans({"a": account()}, CHECKS), "margin")], title="Margin ahead")
        made.append(path.read_bytes())
    assert made[0] == made[1]
