"""The two modes of compiled pages, with and without a folder for the compiled code."""

import importlib.util
import re
import sys
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest
from numba import config
from numba.core import caching

from greekdrift.greeks import compiled

pytestmark = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="numba does not compile: NUMBA_DISABLE_JIT is set")


def residue(a, b):
    """a² − b, where b is a² rounded: 0 when rounded twice, the error of the square when fused."""
    return a * a - b


def fused(a, b):
    return a * a - b


def test_only_the_contracted_mode_fuses():
    a = 1.0 + 2.0**-30
    assert compiled.strict(residue)(a, a * a) == 0.0
    assert compiled.contracted(fused)(a, a * a) == (2.0**-60 if machine_fuses() else 0.0)


def machine_fuses() -> bool:
    return bool(llvm.get_host_cpu_features().get("fma")) or "aarch64" in llvm.get_process_triple()


def test_divisions_are_those_of_numpy():
    assert compiled.strict(lambda a, b: a / b)(1.0, 0.0) == np.inf


def test_without_a_folder_to_write_it_is_compiled_anew(monkeypatch):
    monkeypatch.setattr(caching.CompileResultCacheImpl, "_locator_classes", [])
    made = compiled.strict(residue)
    assert made(3.0, 4.0) == 5.0
    assert made.stats.cache_path is None


def test_the_pages_of_compiled_code_are_those_it_imports():
    from greekdrift.greeks import columns

    names = {name.rpartition(".")[2] for name in compiled.pages(columns.__name__)}
    assert names >= {"columns", "kernel", "elementary", "black"}


def test_every_compiled_page_is_stamped():
    """A bare njit keeps its code on disk when a page that it inlines is edited."""
    pages = Path(compiled.__file__).parents[1].rglob("*.py")
    is_bare = re.compile(r"^@\S*njit|njit\(", re.MULTILINE)
    assert [page.name for page in pages if is_bare.search(page.read_text("utf-8"))] == ["compiled.py"]


INNER = """from numba.extending import register_jitable


@register_jitable
def part(x):
    return x + {}
"""
OUTER = """from greekdrift.edited_part import part
from greekdrift.greeks.compiled import strict


@strict
def whole(x):
    return 2.0 * part(x)
"""


def test_an_edit_of_an_inlined_page_is_noticed(tmp_path, monkeypatch):
    """The page that is compiled stays as it was; without the digest its old code would be taken from the disk."""

    def load(name):
        spec = importlib.util.spec_from_file_location(f"greekdrift.{name}", tmp_path / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        return module

    (tmp_path / "edited_whole.py").write_text(OUTER, encoding="utf-8")
    for term, hits in ((1.0, 0), (1.0, 1), (10.0, 0)):
        (tmp_path / "edited_part.py").write_text(INNER.format(term), encoding="utf-8")
        load("edited_part")
        whole = load("edited_whole").whole
        assert whole(3.0) == 2.0 * (3.0 + term)
        assert sum(whole.stats.cache_hits.values()) == hits
