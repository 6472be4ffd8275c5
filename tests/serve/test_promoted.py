"""Production: one file swapped whole, artefacts by their digest, one winner of two promotions."""

import json
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread

import pytest

from greekdrift.errors import ArtefactError
from greekdrift.features.history import example
from greekdrift.forecast.artefact import save
from greekdrift.forecast.historical import Historical
from greekdrift.forecast.novelty import Novelty
from greekdrift.serve import promoted
from greekdrift.serve.promoted import (
    Promotion,
    in_production,
    load_production,
    place_of,
    promote,
    promotions,
    roll_back,
)


def model(folder: Path, seed: int = 0) -> tuple[Path, Promotion]:
    panel = example(rows=80, seed=seed)
    address = save(Historical().fit(panel), folder, novelty=Novelty.fit(panel))
    when = "2026-02-01T00:00:00Z"
    return folder, Promotion(artefact=address, name="historical", run=folder.name, promoted_at=when, gate=("a: holds",))


def test_a_promotion_is_loaded_by_its_digest_and_rolled_back(tmp_path: Path) -> None:
    first, second = model(tmp_path / "first"), model(tmp_path / "second", seed=1)
    with pytest.raises(ArtefactError, match="promote one with"):
        in_production(tmp_path)
    promote(tmp_path, *first, before=None)
    promote(tmp_path, *second, before=first[1])
    predictor, novelty, found = load_production(tmp_path)
    assert (predictor.name, found) == ("historical", second[1])
    assert novelty is not None
    save(Historical(mean_block=9.0).fit(example(rows=80)), second[0])  # a later training in the run's folder
    assert load_production(tmp_path)[2] == second[1]
    assert roll_back(tmp_path) == (second[1], first[1])
    assert in_production(tmp_path) == first[1]
    assert promotions(tmp_path).withdrawn == (second[1],)
    with pytest.raises(ArtefactError, match="first is the first one"):
        roll_back(tmp_path)


def test_two_promotions_at_a_time_have_one_winner(tmp_path: Path) -> None:
    made = [model(tmp_path / f"m{number}", seed=number) for number in range(6)]
    barrier, errors = Barrier(6), []

    def one(number: int) -> None:
        barrier.wait()
        try:
            promote(tmp_path, *made[number], before=None)
        except ArtefactError as problem:
            errors.append(str(problem))

    threads = [Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == 5
    assert len(promotions(tmp_path).made) == 1
    assert load_production(tmp_path)[2] in [promotion for _, promotion in made]


def test_a_promotion_that_breaks_off_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = model(tmp_path / "first"), model(tmp_path / "second", seed=1)
    promote(tmp_path, *first, before=None)
    real = promoted.write_durably
    for count in range(7):
        left = [count]

        def breaks(path: Path, content: bytes, *, left: list[int] = left) -> None:
            if left[0] == 0:
                raise OSError("no power")
            left[0] -= 1
            real(path, content)

        monkeypatch.setattr(promoted, "write_durably", breaks)
        try:
            promote(tmp_path, *second, before=first[1])
        except OSError:
            assert load_production(tmp_path)[2] == first[1]
        else:
            assert load_production(tmp_path)[2] == second[1]
            break
    else:
        pytest.fail("it never came through")


def test_another_artefact_than_the_one_promoted_is_never_loaded(tmp_path: Path) -> None:
    first = model(tmp_path / "first")
    with pytest.raises(ArtefactError, match="was changed"):
        promote(tmp_path, first[0], replace(first[1], artefact="0" * 64), before=None)
    promote(tmp_path, *first, before=None)
    place = place_of(tmp_path, first[1].artefact)
    save(Historical(mean_block=9.0).fit(example(rows=80)), place)
    with pytest.raises(ArtefactError, match="was changed"):
        load_production(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("first", "other"),
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: text.replace("greekdrift-promotions", "x"),
        lambda text: json.dumps({**json.loads(text), "values": {"made": [1]}}),
        lambda text: "[" * 100_000,
    ],
)
def test_a_file_of_promotions_that_was_changed_is_refused(tmp_path: Path, change) -> None:
    promote(tmp_path, *model(tmp_path / "first"), before=None)
    path = tmp_path / "promoted" / "production.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(ArtefactError, match="promote a run again"):
        load_production(tmp_path)
