import json

import pytest
import yaml

from greekdrift.cli import main


def _out(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert not exit_.value.code
    return capsys.readouterr().out


@pytest.mark.parametrize(("kind", "key"), [("experiment", "forecaster"), ("book", "accounts")])
def test_schema_is_json_schema(kind: str, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    schema = json.loads(_out(["config", "schema", kind], capsys))
    assert key in schema["properties"]
    assert schema["additionalProperties"] is False


def test_show_resolves_overrides(capsys: pytest.CaptureFixture[str]) -> None:
    path = "configs/experiment/simulated.yaml"
    shown = yaml.safe_load(_out(["config", "show", path, "--set", "seed=99"], capsys))
    assert shown["seed"] == 99
