"""Laws of the source text: no pickle, no evaluation of text, no network by surprise, no secrets of the workshop."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "greekdrift"
PAGES = sorted(SOURCE.rglob("*.py"))
BANNED_MODULES = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
BANNED_CALLS = {"eval", "exec", "__import__"}
BANNED_ATTRIBUTES = {("torch", "load"), ("np", "load_pickle"), ("yaml", "load"), ("yaml", "unsafe_load")}


def _violations(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names if name.name.split(".")[0] in BANNED_MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in BANNED_MODULES:
            found.append(node.module)
        elif isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Name) and function.id in BANNED_CALLS:
                found.append(function.id)
            if (
                isinstance(function, ast.Attribute)
                and isinstance(function.value, ast.Name)
                and (function.value.id, function.attr) in BANNED_ATTRIBUTES
            ):
                found.append(f"{function.value.id}.{function.attr}")
            if any(
                word.arg == "allow_pickle" and getattr(word.value, "value", None) is not False for word in node.keywords
            ):
                found.append("allow_pickle")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(SOURCE)))
def test_no_pickle_and_no_evaluation_of_text(page: Path) -> None:
    assert _violations(ast.parse(page.read_text())) == []


@pytest.mark.parametrize(
    "planted",
    ["import pickle", "from joblib import load", "eval('1')", "torch.load('x')", "np.load('x', allow_pickle=True)"],
)
def test_the_ban_catches_planted_violations(planted: str) -> None:
    assert _violations(ast.parse(planted))


def test_rooms_have_the_names_of_the_street() -> None:
    forbidden = {"utils", "util", "common", "helpers", "core", "base", "misc", "manager", "models"}
    assert not [page for page in PAGES if page.stem in forbidden or forbidden & set(page.relative_to(SOURCE).parts)]


def test_lightning_floor_keeps_the_malicious_releases_out() -> None:
    pins = (ROOT / "constraints" / "cpu.txt").read_text()
    match = re.search(r"^lightning==(\d+)\.(\d+)\.(\d+)$", pins, re.MULTILINE)
    assert match is not None
    assert tuple(int(part) for part in match.groups()) >= (2, 6, 4)
    assert re.search(r"^torch==2\.13\.0$", pins, re.MULTILINE)


def test_the_installed_torch_is_no_useless_gpu_build() -> None:
    import torch

    assert torch.version.cuda is None or torch.cuda.is_available(), (
        "a CUDA build of torch is installed on a machine without a GPU; install from constraints/cpu.txt"
    )
