"""compute: names, shapes, determinism."""

import subprocess
import sys

import numpy as np
import pytest

from greekdrift.errors import InputError
from greekdrift.greeks import QUANTITIES, compute
from greekdrift.greeks.black import delta, options
from greekdrift.units import VENUE_FACTOR

AT = {"forward": 100.0, "strike": 110.0, "volatility": 0.5, "time_to_expiry": 0.25, "is_call": True}


def test_every_quantity_has_a_unit_at_the_door():
    assert set(QUANTITIES) == set(VENUE_FACTOR)


def test_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(InputError, match='unknown quantity "gama"; did you mean "gamma"'):
        compute(["delta", "gama"], **AT)


def test_scalars_and_a_single_name_give_zero_dimensional_arrays():
    value = compute("delta", **AT)
    assert list(value) == ["delta"]
    assert isinstance(value["delta"], np.ndarray)
    assert value["delta"].shape == ()


def test_scalars_give_numpy_scalars_from_the_truth():
    at = options(**AT, discount=0.99)
    assert all(isinstance(quantity(at), np.float64) for quantity in QUANTITIES.values())


def test_what_the_compiled_pages_leave_is_the_numpy_truth(monkeypatch):
    """So it is where an input changes between the two looks at it."""
    monkeypatch.setattr(compute.__globals__["_columns"](), "evaluate", lambda *_, **__: None)
    assert compute("delta", **AT)["delta"] == delta(options(**AT))


def test_the_compiler_is_loaded_at_the_first_call():
    code = """
import sys, greekdrift.greeks, greekdrift.verify
assert "numba" not in sys.modules and "torch" not in sys.modules
greekdrift.greeks.compute("delta", forward=1.0, strike=1.0, volatility=1.0, time_to_expiry=1.0, is_call=True)
assert "numba" in sys.modules and "torch" not in sys.modules and "pandas" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("names", [None, 5, [["price"]], [{"price": 1}]])
def test_names_that_are_no_words_are_refused(names):
    with pytest.raises(InputError, match=r"are no words; pass some of price, delta"):
        compute(names, **AT)


def test_a_truth_value_is_no_number():
    with pytest.raises(InputError, match="forward True is a truth value"):
        compute("price", **(AT | {"forward": True}))
    with pytest.raises(InputError, match='unknown quantity "None"'):
        compute(["price", None], **AT)


def test_everything_broadcasts():
    value = compute(
        ["price", "theta"],
        forward=np.full((4, 1, 1), 100.0),
        strike=np.full((3, 1), 110.0),
        volatility=np.linspace(0.1, 1.0, 5),
        time_to_expiry=0.25,
        is_call=np.array([[[True]], [[False]], [[True]], [[False]]]),
        discount=0.99,
    )
    assert value["price"].shape == value["theta"].shape == (4, 3, 5)
    single = compute(["price"], **(AT | {"volatility": 0.1, "is_call": False}), discount=0.99)["price"]
    assert value["price"][1, 2, 0] == single


def test_same_bits_alone_and_in_company():
    rng = np.random.default_rng(3)
    at = {"forward": 100.0, "strike": rng.uniform(50.0, 200.0, 1000), "volatility": rng.uniform(0.1, 2.0, 1000),
          "time_to_expiry": rng.uniform(0.0, 1.0, 1000), "is_call": rng.random(1000) < 0.5}  # fmt: skip
    together = compute(tuple(QUANTITIES), **at)
    for name in QUANTITIES:
        assert compute([name], **at)[name].tobytes() == together[name].tobytes()


def test_empty_input_gives_empty_output():
    empty = np.array([])
    value = compute(["price"], forward=empty, strike=empty, volatility=empty, time_to_expiry=empty,
                    is_call=np.array([], dtype=bool))  # fmt: skip
    assert value["price"].shape == (0,)
