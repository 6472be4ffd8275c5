"""`serve` never trains, `train` never serves: by imports (pyproject.toml), and while they run."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from greekdrift.cli.setting import predictor_of
from greekdrift.config import Component
from greekdrift.errors import ConfigError
from greekdrift.features.history import example

ROOT = Path(__file__).resolve().parents[2]

SERVED = """
import sys
from greekdrift.cli.setting import predictor_of
from greekdrift.cli import serve
from greekdrift.serve.app import application
from greekdrift.serve.engine import Engine
from greekdrift.config import load_rules, load_venue
predictor, novelty = predictor_of({model!r}, None, None, None, may_train=False)
application(
    Engine(
        accounts=(), rules=load_rules("derive_pm2"), venue=load_venue("deribit"), horizons=(24.0,), scenarios=16,
        seed=0, now=lambda chain: chain.known_at, predictor=predictor, novelty=novelty,
    )
)
print(sorted(name for name in sys.modules if name.startswith({forbidden!r})))
"""

TRAINED = """
import sys
from greekdrift.cli import main
try:
    main({arguments!r})
except SystemExit as done:
    assert not done.code, done.code
print(sorted(name for name in sys.modules if name.startswith({forbidden!r})))
"""


def _modules(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_a_server_has_nothing_to_train_with() -> None:
    forbidden = ("lightning", "mlflow", "sklearn", "greekdrift.forecast.deep.training", "greekdrift.evaluate")
    assert _modules(SERVED.format(model=str(ROOT / "models" / "demo"), forbidden=forbidden)) == "[]"


def test_training_has_nothing_to_serve_with(tmp_path: Path) -> None:
    settings = ("data.days=20", "data.underlyings=[BTC]", "forecaster={use: fhs}")
    arguments = ["train", "--config", "configs/experiment/simulated.yaml", "--runs", str(tmp_path)]
    arguments += [word for setting in settings for word in ("--set", setting)]
    forbidden = ("greekdrift.serve", "greekdrift.rebalance", "greekdrift.policy", "greekdrift.journal", "uvicorn")
    assert _modules(TRAINED.format(arguments=arguments, forbidden=forbidden)) == "[]"


@pytest.mark.parametrize("use", ["drift_net", "boosted"])
def test_what_must_be_trained_is_not_served(use: str) -> None:
    panel = example(rows=80)
    with pytest.raises(ConfigError, match="what serves never trains"):
        predictor_of(use, None, panel, None, may_train=False)


def test_the_rule_looks_into_what_a_forecaster_wraps() -> None:
    class Experiment:
        forecaster = Component(use="calibrated", base={"use": "drift_net"})
        baselines = ()

    with pytest.raises(ConfigError, match="what serves never trains"):
        predictor_of("calibrated", Experiment(), example(rows=80), None, may_train=False)


def test_serve_asks_by_that_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    from greekdrift.cli import main, setting

    asked = []

    def seen(given: setting.Asked) -> Callable:
        asked.append(given)
        raise ConfigError("seen")

    monkeypatch.setattr(setting, "setting", seen)
    with pytest.raises(SystemExit):
        main(["serve", "--model", "fhs"])
    assert [one.may_train for one in asked] == [False]
