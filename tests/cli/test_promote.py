"""Promote and reproduce as a user does: a small run, its gate, every way to tamper with it, and the way back."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from greekdrift.cli.reproduce import first_difference

EXPERIMENT = """
name: small
seed: 7
data: {{use: simulated, days: 22, underlyings: [BTC]}}
venue: deribit
rules: derive_pm2
horizons: [6, 24]
scenarios: 32
forecaster: {{use: fhs, scale: haris, flat: true, pool: true}}
baselines: [{{use: clock}}, {{use: historical}}]
evaluation: {{start: 2025-01-11T00:00Z, horizons: [6, 24], refit_hours: 168, every: 2, scenarios: 32, min_train: 20}}
{gate}
"""

GATE = """
gate:
  origins: 20
  folds: 2
  limits:
    - {{metric: loss, against: clock, of: {of}, at_most: {most}}}
    - {{metric: {coverage}, at_least: 0.3, at_most: 1.0}}
"""


def experiment(folder: Path, *, of: str = "value", most: float = 1.5, coverage: str = "coverage 80") -> Path:
    path = folder / "experiment.yaml"
    path.write_text(EXPERIMENT.format(gate=GATE.format(of=of, most=most, coverage=coverage)))
    return path


@pytest.fixture(scope="module")
def made(run: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with one run, evaluated and trained."""
    folder = tmp_path_factory.mktemp("made")
    config, runs = experiment(folder), folder / "runs"
    for word in ("evaluate", "train"):
        done = run(word, "--config", config, "--runs", runs, "--out", runs / "small")
        assert done.code == 0, done.err
    return runs


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    """A copy of the runs of its own."""
    shutil.copytree(made / "small", tmp_path / "runs" / "small")
    return tmp_path / "runs"


def test_promote_serve_and_back(run: Callable, runs: Path, book_file: Path) -> None:
    assert "no model of" in run("promote", "--runs", runs).err
    dry = run("promote", "small", "--runs", runs, "--dry-run")
    assert dry.code == 0, dry.err
    assert "nothing was changed" in dry.err
    assert not (runs / "promoted" / "production.json").exists()
    done = run("promote", "small", "--runs", runs)
    assert done.code == 0, done.err
    assert "loss / clock at 24 h" in done.out
    assert "small is in production" in " ".join(done.err.split())
    alone = run("promote", "--rollback", "--runs", runs)
    assert alone.code == 2
    assert "nothing to go back to" in alone.err
    shutil.copytree(runs / "small", runs / "other")
    assert run("promote", "other", "--runs", runs).code == 0
    assert "other" in run("promote", "--runs", runs).out
    back = run("promote", "--rollback", "--runs", runs)
    assert back.code == 0, back.err
    assert "small is in production again, other was withdrawn" in " ".join(back.err.split())
    assert "withdrawn" in run("promote", "--runs", runs).out


def test_forecast_takes_production_and_nothing_that_was_changed(
    run: Callable, runs: Path, book_file: Path, tmp_path: Path
) -> None:
    shared = ["--config", tmp_path / "experiment.yaml", "--runs", runs, "--book", book_file, "--model"]
    experiment(tmp_path)
    none = run("propose", *shared, "production")
    assert none.code == 2
    assert "greekdrift promote RUN" in none.err
    typo = run("propose", *shared, "prodction")
    assert 'did you mean "production"' in typo.err
    assert run("promote", "small", "--runs", runs).code == 0
    shutil.rmtree(runs / "small")  # production has a copy of its own
    done = run("propose", *shared, "production")
    assert done.code == 0, done.err
    assert "in production since" in " ".join(done.err.split())
    (place,) = [path for path in (runs / "promoted").iterdir() if path.is_dir()]
    content = bytearray((place / "arrays.safetensors").read_bytes())
    content[-1] ^= 1
    (place / "arrays.safetensors").write_bytes(content)
    broken = run("propose", *shared, "production")
    assert broken.code == 2
    assert "it was changed" in " ".join(broken.err.split())


def test_what_an_evaluation_taught_goes_with_the_model(run: Callable, runs: Path, tmp_path: Path) -> None:
    """Beside the run, in production, by name in the experiment's run, or named: the same interval; elsewhere raw."""
    config, out, book = experiment(tmp_path), tmp_path / "f.json", tmp_path / "book.yaml"
    book.write_text("accounts: [{account_id: desk, collateral: {BTC: 5}, positions: {BTC-26DEC25-80000-C: -2}}]\n")
    assert run("promote", "small", "--runs", runs).code == 0
    (place,) = [path for path in (runs / "promoted").iterdir() if path.is_dir()]
    assert (place / "intervals.json").read_bytes() == (runs / "small" / "intervals.json").read_bytes()
    shared = ["forecast", "--config", config, "--runs", runs, "--book", book, "--out", out]
    shared += ["--samples", 40, "--rules", "none", "--model"]

    def told(*more: object) -> dict[str, Any]:
        done = run(*shared, *more)
        assert done.code == 0, done.err
        values: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        assert ("Reported 80% intervals" in done.out) is (values["intervals"] is not None)
        assert ("the forecast's own" in done.err) is (values["intervals"] is None)
        return values

    served = told("production")
    assert served["intervals"]["forecaster"] == "fhs:haris-flat:pool"
    assert min(served["intervals"]["outcomes"]) > 10
    one = served["accounts"][0]["quantities"][0]
    assert one["interval_kind"] == ["conformal", "conformal"]
    assert one["interval_level"] == 0.8
    assert told(runs / "small" / "model") == served
    (runs / "small" / "intervals.json").rename(tmp_path / "kept.json")
    assert told(runs / "small" / "model")["intervals"] is None
    assert told(runs / "small" / "model", "--intervals", tmp_path / "kept.json") == served
    none = run(*shared, "fhs", "--intervals", runs / "small")
    assert none.code == 2
    assert "greekdrift evaluate" in " ".join(none.err.split())
    (place / "intervals.json").write_text("{}")
    broken = run(*shared, "production")
    assert broken.code == 2
    assert "make it again" in " ".join(broken.err.split())


def _rewrite(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


def _digit(folder: Path) -> None:
    values = json.loads((folder / "scorecard.json").read_text(encoding="utf-8"))
    values["measures"][0]["value"] *= 0.9
    (folder / "scorecard.json").write_text(json.dumps(values))


def _gate(folder: Path) -> None:
    _rewrite(folder / "experiment.yaml", "at_most: 1.5", "at_most: 9.5")


def _seal(folder: Path) -> None:
    _rewrite(folder / "seal.json", '"folds":2', '"folds":9')


def _weights(folder: Path) -> None:
    content = bytearray((folder / "model" / "arrays.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model" / "arrays.safetensors").write_bytes(content)


def _sealed_again(folder: Path, part: str, **changed: Any) -> None:
    from greekdrift.book import canonical, digest

    values = json.loads((folder / "seal.json").read_bytes())
    del values["sha256"]
    values[part] |= changed
    (folder / "seal.json").write_bytes(canonical({**values, "sha256": digest(values)}))


def _other_data(folder: Path) -> None:
    _sealed_again(folder, "model", data="0" * 64)


def _other_program(folder: Path) -> None:
    _sealed_again(folder, "scorecard", program="0" * 64)


def _other_recipe(folder: Path) -> None:
    _sealed_again(folder, "model", learning="0" * 64)


def _no_seal(folder: Path) -> None:
    (folder / "seal.json").unlink()


def _no_model(folder: Path) -> None:
    shutil.rmtree(folder / "model")


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (_digit, "not the scorecard that was sealed"),
        (_gate, "not the experiment that the scorecard was made with"),
        (_seal, "changed by another hand"),
        (_weights, "it was changed"),
        (_other_data, "train and evaluate on the same"),
        (_other_program, "made by the program that is installed"),
        (_other_recipe, "train and evaluate one experiment"),
        (_no_seal, "no scorecard that this version made"),
        (_no_model, "no model that this version trained"),
    ],
)
def test_a_run_that_was_tampered_with_is_refused(
    run: Callable, runs: Path, tamper: Callable[[Path], None], said: str
) -> None:
    tamper(runs / "small")
    done = run("promote", "small", "--runs", runs)
    assert done.code == 2
    assert said in " ".join(done.err.split())
    assert not (runs / "promoted" / "production.json").exists()


def test_usage_that_cannot_be_is_refused(run: Callable, runs: Path) -> None:
    assert 'did you mean "small"' in run("promote", "smal", "--runs", runs).err
    assert "takes no run" in run("promote", "small", "--rollback", "--runs", runs).err


def _declared(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """The run as if its experiment had been declared so."""
    import yaml

    from greekdrift.cli.recorded import _experiment

    path = folder / "experiment.yaml"
    values = yaml.safe_load(path.read_text())
    change(values)
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    for part in ("scorecard", "model"):
        _sealed_again(folder, part, experiment=_experiment(folder).digest)


def test_a_gate_that_fails_promotes_nothing(run: Callable, runs: Path) -> None:
    _declared(runs / "small", lambda values: values["gate"]["limits"][0].update(of="upper", at_most=0.2))
    done = run("promote", "small", "--runs", runs)
    assert done.code == 1
    assert "FAILS" in done.out
    assert "not promoted: 1 of 4 lines" in " ".join(done.err.split())
    assert not (runs / "promoted").exists()


def test_an_experiment_without_a_gate_promised_nothing(run: Callable, runs: Path) -> None:
    _declared(runs / "small", lambda values: values.pop("gate"))
    done = run("promote", "small", "--runs", runs)
    assert done.code == 2
    assert "declares no gate" in done.err


def test_a_run_is_reproduced_to_the_byte(run: Callable, made: Path, tmp_path: Path) -> None:
    done = run("reproduce", "small", "--runs", made, "--out", tmp_path)
    assert done.code == 0, done.err
    assert "scorecard: the same" in done.err
    assert "model: the same artefact" in done.err
    names = ("scorecard.json", "model/manifest.json")
    assert [(tmp_path / name).read_bytes() for name in names] == [
        (made / "small" / name).read_bytes() for name in names
    ]


def test_a_scorecard_that_cannot_be_made_again_is_found(run: Callable, runs: Path) -> None:
    """A better figure, sealed anew by who wrote it, does not survive."""
    from greekdrift.evaluate.seal import sha256

    _digit(runs / "small")
    _sealed_again(runs / "small", "scorecard", sha256=sha256(runs / "small" / "scorecard.json"))
    assert run("promote", "small", "--runs", runs).code == 0
    done = run("reproduce", "small", "--runs", runs)
    assert done.code == 1
    assert "first difference at measures[0].value" in done.err


def test_other_data_are_no_reproduction(run: Callable, runs: Path) -> None:
    done = run("reproduce", "small", "--runs", runs, "--set", "data.days=31")
    assert done.code == 2
    assert "the data are not those of the run" in done.err


def test_the_first_difference_is_named() -> None:
    assert first_difference('{"a": {"b": [1]}}', '{"a": {"b": [1, 2]}}') == (
        "first difference at a.b: 1 entries in the run, 2 entries now"
    )
    assert first_difference('{"a": 1}', '{"a": 1, "c": 2}') == 'first difference at c: "nothing" in the run, 2 now'
    assert "written otherwise from line 1" in first_difference('{"a": 1}', '{"a":1}')
