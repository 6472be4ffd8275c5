"""Limits against 60 digits: wings to ±38 deviations, tiny and huge variance, F beside K, discounts, underflow."""

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from greekdrift.greeks import QUANTITIES, compute

EVERY = tuple(QUANTITIES)
LIMIT = dict.fromkeys(EVERY, 1e-10) | {"price": 1e-11, "delta": 1e-12, "strike_delta": 1e-12}
VANISHING = 1e-290
"""A density or tail below it loses digits on the way to zero: there only the size is held."""

DISTANCES = (0.0, 1e-9, 1e-3, 0.5, 1.0, 2.5, 8.0, 20.0, 30.0, 37.0, 37.4, 38.0)
DEVIATIONS = (1e-30, 1e-15, 1e-12, 1e-8, 1e-5, 1e-3, 0.0199999, 0.02, 0.3, 1.0, 1.9999, 2.0001, 2.6, 5.0, 7.0)


def table(distance, deviation, *, time_to_expiry=0.25, forward=100.0, discount=1.0) -> dict[str, np.ndarray]:
    """Both sides of every pair of a distance ln(F/K)/s and a deviation s; strikes within e^±130 of the forward."""
    h, s, is_call = (grid.ravel() for grid in np.meshgrid(distance, deviation, [True, False], indexing="ij"))
    return {
        "forward": np.full(h.size, forward),
        "strike": forward * np.exp(np.clip(-h * s, -130.0, 130.0)),
        "volatility": s / np.sqrt(time_to_expiry),
        "time_to_expiry": np.full(h.size, time_to_expiry),
        "is_call": is_call,
        "discount": np.full(h.size, discount),
    }


def hold(options, right, *, deterministic: bool) -> None:
    """Errors of `compute` within the limits; where the value vanishes, a size below what the density allows."""
    got = compute(EVERY, **options, deterministic=deterministic)
    for name in EVERY:
        size = np.maximum(right.largest[name], np.abs(right.value[name]))
        shift = np.abs(got[name] - right.value[name])
        floor = VANISHING * np.maximum(unit_of(name, options), 1.0)
        worst = int(np.argmax(shift / (LIMIT[name] * size + floor)))
        option = {column: values[worst] for column, values in options.items()}
        assert shift[worst] <= LIMIT[name] * size[worst] + floor[worst], (name, option, got[name][worst])


def unit_of(name: str, options) -> np.ndarray:
    """A quantity's size per unit of the density, by its dimension in forward, volatility and time."""
    F, tau, s = (
        options["forward"],
        options["time_to_expiry"],
        options["volatility"] * np.sqrt(options["time_to_expiry"]),
    )
    powers = {  # of 1/(F s), √τ or 1/√τ, and 1600/s for one more factor of the distance
        "gamma": 1.0 / (F * s), "speed": 1600.0 / (F * s) ** 2, "zomma": 1600.0 / (F * s * s), "vanna": 1600.0 / s,
        "volga": 1600.0 * F / s, "charm": 1600.0 / tau, "veta": 1600.0 * F / tau, "color": 1600.0 / (F * s * tau),
        "strike_gamma": F / (options["strike"] ** 2 * s),
    }  # fmt: skip
    return powers.get(name, F + options["strike"]) * np.ones_like(F) * options["discount"]


@pytest.mark.parametrize("discount", [1.0, 0.97, 1e-9, 50.0])
@pytest.mark.parametrize("deterministic", [True, False])
def test_wings_and_variances(discount, deterministic, reference):
    signed = np.array([-h for h in DISTANCES[:0:-1]] + list(DISTANCES))
    options = table(signed if discount == 1.0 else signed[::3], DEVIATIONS, discount=discount)
    hold(options, reference(options, EVERY), deterministic=deterministic)


@pytest.mark.parametrize("deterministic", [True, False])
def test_deviations_so_wide_that_the_price_is_its_bound(deterministic, reference):
    options = table([0.0, 1e-3, -1e-3, 0.5, -0.5, 2.0, -2.0], [10.0, 20.0, 37.0, 60.0, 74.0, 100.0, 1e3, 1e4])
    hold(options, reference(options, EVERY), deterministic=deterministic)


@settings(max_examples=4, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(seed=st.integers(0, 2**32 - 1))
def test_where_series_and_complements_take_over(seed, reference):
    """Deviations about 0.02, distances about half the deviation, and where d₁ d₂ is 0 or 1: any seed, both modes."""
    rng, n = np.random.default_rng(seed), 150
    s = np.concatenate([rng.uniform(0.01, 0.03, 2 * n), np.exp(rng.uniform(-2.5, 2.5, 2 * n))])
    half, off = 0.5 * s[2 * n :], rng.uniform(-0.01, 0.01, 2 * n)
    h = np.concatenate([rng.uniform(-38.0, 38.0, n), rng.uniform(-1.0, 1.0, n), half[:n], np.sqrt(1.0 + half[n:] ** 2)])
    h[2 * n :] = (h[2 * n :] + off) * np.where(rng.random(2 * n) < 0.5, 1.0, -1.0)
    options = {
        "forward": np.full(4 * n, 100.0), "strike": 100.0 * np.exp(-h * s), "volatility": 2.0 * s,
        "time_to_expiry": np.full(4 * n, 0.25), "is_call": rng.random(4 * n) < 0.5, "discount": np.full(4 * n, 0.97),
    }  # fmt: skip
    right = reference(options, EVERY)
    for deterministic in (True, False):
        hold(options, right, deterministic=deterministic)


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("forward", [1e-20, 0.1, 3.0, 65_536.0, 1e20])
def test_strikes_on_the_forward_and_one_bit_beside_it(forward, deterministic, reference):
    """ln(F/K) is a multiple of half an ulp here: nothing of it may be lost."""
    beside = [np.nextafter(forward, 0.0), forward, np.nextafter(forward, np.inf), forward * (1.0 + 2.0**-40)]
    K, s, is_call = (
        x.ravel() for x in np.meshgrid(beside, [1e-17, 1e-16, 3e-16, 1e-14, 1e-6, 0.2, 3.0], [True, False])
    )
    options = {
        "forward": np.full(K.size, forward), "strike": K, "volatility": s, "time_to_expiry": np.ones(K.size),
        "is_call": is_call, "discount": np.full(K.size, 0.9),
    }  # fmt: skip
    hold(options, reference(options, EVERY), deterministic=deterministic)


@pytest.mark.parametrize("time_to_expiry", [1e-12, 1e-7, 1e-4, 30.0, 1e6])
def test_times_from_microseconds_to_ages(time_to_expiry, reference):
    """Half a minute is 1e-6 years; venues list no more than two years, and nothing breaks beyond them."""
    options = table([-8.0, -1.0, 0.0, 0.2, 3.0], [1e-4, 0.01, 0.5, 3.0], time_to_expiry=time_to_expiry, discount=0.95)
    hold(options, reference(options, EVERY), deterministic=True)


def test_tails_are_relative_until_they_leave_the_range_of_a_double(reference):
    """A put 37.5 deviations out is worth 1e-307 of its strike: right to nine digits; beyond, 0 and never noise."""
    options = table(np.linspace(35.0, 37.5, 26), [0.01, 0.1, 1.0], forward=1.0)
    price, right = compute(("price",), **options)["price"], reference(options, ("price",)).value["price"]
    is_put = ~options["is_call"]
    assert np.all(right[is_put] > 0.0)
    assert price[is_put] == pytest.approx(right[is_put], rel=1e-9, abs=1e-306)
    beyond = compute(("price", "delta", "gamma", "vega"), **table(np.linspace(39.0, 1e9, 50), [1e-7], forward=1.0))
    out = slice(1, None, 2)
    for name, column in beyond.items():
        assert np.all(np.abs(column[out]) == 0.0), name
