from pathlib import Path

import pytest

from greekdrift.config import evaluation_of, features_of, load_accounts, load_experiment
from greekdrift.errors import ConfigError

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
EXPERIMENTS = sorted((CONFIGS / "experiment").glob("*.yaml"))
BOOKS = sorted((CONFIGS / "books").glob("*.yaml"))

PLAIN = """
name: small
seed: 1
data: {use: simulated, days: 10}
venue: deribit
rules: derive_pm2
horizons: [6, 24]
forecaster: {use: historical}
baselines: [{use: clock}]
evaluation: {start: 2025-01-05T00:00Z}
"""


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_experiment_of_the_project_is_sound(path: Path) -> None:
    experiment = load_experiment(path)
    assert experiment.name == path.stem
    assert evaluation_of(experiment).seed == experiment.seed
    if experiment.book is not None:
        assert load_accounts(experiment.book)


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_every_book_of_the_project_has_an_account_that_holds(path: Path) -> None:
    accounts = load_accounts(path)
    assert accounts
    assert all(account.positions for account in accounts)
    assert any(account.mandate is None for account in accounts)


def _file(folder: Path, text: str) -> Path:
    path = folder / "small.yaml"
    path.write_text(text)
    return path


def test_overrides_change_values_and_the_digest(tmp_path: Path) -> None:
    path = _file(tmp_path, PLAIN)
    plain = load_experiment(path)
    changed = load_experiment(path, ["data.days=20", "baselines.0.use=fhs", "horizons=[12]"])
    assert changed.data.options["days"] == 20
    assert changed.baselines[0].use == "fhs"
    assert evaluation_of(changed).horizons == (12.0,)
    assert plain.digest != changed.digest
    assert plain.digest == load_experiment(path).digest
    assert plain.run_name.startswith("small-")


def test_paths_of_the_file_are_relative_to_it(tmp_path: Path) -> None:
    path = _file(tmp_path, PLAIN + "book: books/a.yaml\n")
    assert load_experiment(path).book == tmp_path / "books" / "a.yaml"
    assert load_experiment(path, ["book=b.yaml"]).book == Path("b.yaml")
    net, wrapped = "{use: drift_net, start: models/a}", "{use: centred, base: {use: drift_net, start: models/b}}"
    text = PLAIN.replace("{use: historical}", net).replace("[{use: clock}]", f"[{wrapped}]")
    experiment = load_experiment(_file(tmp_path, text))
    assert experiment.forecaster.options["start"] == str(tmp_path / "models" / "a")
    assert experiment.baselines[0].options["base"]["start"] == str(tmp_path / "models" / "b")
    given = load_experiment(_file(tmp_path, text), ["forecaster.start=models/c"])
    assert given.forecaster.options["start"] == "models/c"


def test_all_problems_of_the_file_come_at_once(tmp_path: Path) -> None:
    text = PLAIN.replace("seed: 1", "sede: 1").replace("[6, 24]", "[24, 6]").replace("2025-01-05T00:00Z", "soon")
    with pytest.raises(ConfigError) as caught:
        load_experiment(_file(tmp_path, text))
    message = str(caught.value)
    assert "seed: is missing" in message
    assert 'small.yaml:3: sede: is no key here; did you mean "seed"?' in message
    assert "small.yaml:7: horizons: horizons [24.0, 6.0] must be positive hours, increasing" in message


def test_all_problems_of_the_components_come_at_once(tmp_path: Path) -> None:
    text = PLAIN.replace("days: 10", "day: 10").replace("historical", "histrical").replace("start:", "statr:")
    with pytest.raises(ConfigError) as caught:
        load_experiment(_file(tmp_path, text), ["baselines.0.seed=x"])
    message = str(caught.value)
    for wanted in (
        'small.yaml:4: data.day: is no option here; did you mean "days"?',
        'small.yaml:8: forecaster.use: "histrical" is not known; did you mean "historical"?',
        "--set baselines.0.seed=x: baselines.0.seed: is no option here",
        'small.yaml:10: evaluation.statr: is no option here; did you mean "start"?',
        "small.yaml:10: evaluation.start: is missing",
    ):
        assert wanted in message, (wanted, message)


def test_a_wrong_type_of_an_option_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--set data\.days=long: data\.days: should be a valid number"):
        load_experiment(_file(tmp_path, PLAIN), ["data.days=long"])


FEATURED = """
features:
  - {use: parkinson, history: "binance_spot_1h/{underlying}", hours: 168.0}
  - {use: skew_premium, hours: 168.0}
  - {use: event_near, schedule: {name: fomc, events: {"2026-01-28T19:00Z": "2025-06-01T00:00Z"}}}
histories: {root: ../shared, sets: [data/binance_spot_1h.yaml]}
"""


def test_features_are_asked_for_by_name(tmp_path: Path) -> None:
    experiment = load_experiment(_file(tmp_path, PLAIN + FEATURED))
    names = [feature.name for feature in features_of(experiment)]
    assert names == ["parkinson_168h", "skew_premium_30_168h", "fomc_near"]
    assert experiment.histories is not None
    assert experiment.histories.root == tmp_path / ".." / "shared"
    assert experiment.histories.sets == (tmp_path / "data" / "binance_spot_1h.yaml",)
    for line, message in (
        ("features: [{use: parkinso}]", 'did you mean "parkinson"'),
        ("features: [{use: parkinson, hours: 24.0}]", "features.0.history: is missing"),
        ("features: [{use: semivariance, hours: 24.0, side: left}]", "features.0.side"),
        ("histories: {root: x}", "histories.sets: is missing"),
    ):
        with pytest.raises(ConfigError, match=message):
            load_experiment(_file(tmp_path, PLAIN + line))


def test_an_experiment_without_features_of_its_own_keeps_its_digest(tmp_path: Path) -> None:
    plain = load_experiment(_file(tmp_path, PLAIN))
    assert not {"features", "histories"} & set(plain.plain())
    assert features_of(plain) == ()
    named = load_experiment(_file(tmp_path, PLAIN + "features: [{use: step_hours}]"))
    assert named.digest != plain.digest
