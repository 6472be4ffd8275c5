"""The two modes of compiled pages, with and without a folder for the compiled code."""

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
