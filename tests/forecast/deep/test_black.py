"""The torch twin equals the numpy truth, its gradients equal the Greeks, and none of them is ever NaN."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from greekdrift.errors import InputError
from greekdrift.forecast.deep import black as twin
from greekdrift.greeks import black, higher, inverse

TRUTH = {
    "price": black.price, "delta": black.delta, "gamma": black.gamma, "vega": black.vega, "theta": black.theta,
    "rho": black.rho, "vanna": higher.vanna, "volga": higher.volga, "charm": higher.charm,
    "price_coin": inverse.price_coin, "delta_net": inverse.delta_net,
}  # fmt: skip
COLUMNS = ("forward", "strike", "volatility", "time_to_expiry", "discount")
EDGES = (0.0, 5e-324, 1e-61, 1e-30, 1e-8, 1.0, 37.0, 1e5, 1e30, 1e100)
EDGES_32 = (0.0, 1e-45, 1e-13, 1e-11, 1e-4, 1.0, 37.0, 1e5)


def random_columns(n: int, *, farthest: float = 36.0, seed: int = 7) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    forward = 10.0 ** rng.uniform(-2.0, 5.0, n)
    s = 10.0 ** rng.uniform(-5.0, 0.0, n)
    time = 10.0 ** rng.uniform(-4.0, 0.7, n)
    k = rng.uniform(-farthest, farthest, n) * s * (rng.random(n) < 0.9)
    return {
        "forward": forward,
        "strike": forward * np.exp(-k),
        "volatility": s / np.sqrt(time),
        "time_to_expiry": time,
        "is_call": rng.random(n) < 0.5,
        "discount": np.exp(-0.05 * time * (rng.random(n) < 0.5)),
    }


def near_columns(n: int) -> dict[str, np.ndarray]:
    """The domain that the module states for float32."""
    rng = np.random.default_rng(11)
    s, time = 10.0 ** rng.uniform(-2.0, np.log10(2.0), n), 10.0 ** rng.uniform(-3.0, 0.3, n)
    forward = 10.0 ** rng.uniform(0.0, 5.0, n)
    rounded = {
        "forward": forward,
        "strike": forward * np.exp(-rng.uniform(-3.0, 3.0, n) * s),
        "volatility": s / np.sqrt(time),
        "time_to_expiry": time,
        "discount": np.exp(-0.05 * time),
    }
    return {name: column.astype(np.float32).astype(float) for name, column in rounded.items()} | {
        "is_call": rng.random(n) < 0.5
    }


def tensors(columns: dict[str, np.ndarray], dtype: torch.dtype = torch.float64) -> dict[str, torch.Tensor]:
    return {
        name: torch.from_numpy(np.ascontiguousarray(column)).to(torch.bool if name == "is_call" else dtype)
        for name, column in columns.items()
    }


def largest_terms(at: black.Options) -> dict[str, np.ndarray]:
    """What a rounding error of each quantity is relative to: the larger of its size and its largest term."""
    vega, delta, s = black.vega(at), np.abs(black.delta(at)), at.deviation
    product = at.distance**2 + s * s / 4.0
    rate = np.abs(at.rate)
    scale = {
        "theta": vega * at.volatility / (2.0 * at.time_to_expiry) + rate * black.price(at),
        "vanna": vega / at.forward * (np.abs(at.distance) / s + 0.5),
        "volga": vega / at.volatility * product,
        "charm": at.density * (np.abs(at.distance) + s / 2.0) / (2.0 * at.time_to_expiry) + rate * delta,
        "delta_net": delta + black.price(at) / at.forward,
    }
    return {name: np.maximum(np.abs(function(at)), scale.get(name, 0.0)) for name, function in TRUTH.items()}


def test_every_quantity_equals_the_truth_in_double_precision():
    columns = random_columns(20_000)
    at, scale = black.options(**columns), largest_terms(black.options(**columns))
    found = twin.compute(tuple(twin.QUANTITIES), **tensors(columns))
    assert set(TRUTH) == set(twin.QUANTITIES)
    for name, function in TRUTH.items():
        truth = function(at)
        is_told = np.abs(truth) > 1e-280
        error = np.abs(found[name].numpy() - truth)[is_told] / scale[name][is_told]
        assert error.max() <= 1e-12, name


def test_single_precision_holds_to_1e_4_near_the_money():
    columns = near_columns(20_000)
    at, scale = black.options(**columns), largest_terms(black.options(**columns))
    found = twin.compute(tuple(twin.QUANTITIES), **tensors(columns, torch.float32))
    for name, function in TRUTH.items():
        assert found[name].dtype == torch.float32
        error = np.abs(found[name].double().numpy() - function(at)) / scale[name]
        assert error.max() <= 1e-4, name


def test_limits_are_those_of_the_truth():
    F, K, sigma, tau, calls = np.meshgrid(EDGES, EDGES, EDGES, EDGES, [True, False])
    columns = {"forward": F, "strike": K, "volatility": sigma, "time_to_expiry": tau, "is_call": calls}
    at, tiny = black.options(**columns), twin.TINY[torch.float64]
    # where F = 0 and s is without bound the two limits of d₁ disagree
    is_told = (
        (np.maximum(F, K) > 0.0) & (at.deviation < 1e9) & np.all([(x == 0.0) | (x > tiny) for x in (F, K, tau)], axis=0)
    )
    found = twin.compute(tuple(twin.QUANTITIES), **tensors(columns))
    for name in ("price", "delta", "gamma", "vega", "theta", "rho"):
        truth = TRUTH[name](at)[is_told]
        assert found[name].numpy()[is_told] == pytest.approx(truth, rel=1e-11, abs=1e-55), name


@pytest.mark.parametrize(("dtype", "edges"), [(torch.float64, EDGES), (torch.float32, EDGES_32)])
def test_no_value_and_no_gradient_is_ever_nan(dtype, edges):
    F, K, sigma, tau, calls = np.meshgrid(edges, edges, edges, edges, [True, False])
    columns = {"forward": F, "strike": K, "volatility": sigma, "time_to_expiry": tau, "is_call": calls}
    columns["discount"] = np.full(F.shape, 0.97)
    at = tensors(columns, dtype)
    for name in COLUMNS:
        at[name].requires_grad_()
    for name, values in twin.compute(tuple(twin.QUANTITIES), **at).items():
        assert bool(torch.isfinite(values).all()), name
        slopes = torch.autograd.grad(
            values.sum(), [at[column] for column in COLUMNS], allow_unused=True, retain_graph=True
        )
        for column, slope in zip(COLUMNS, slopes, strict=True):
            assert slope is None or bool(torch.isfinite(slope).all()), (name, column)


def test_gradients_of_the_price_are_the_greeks_from_wing_to_wing():
    columns = random_columns(4_000)
    at = tensors(columns)
    for name in COLUMNS:
        at[name].requires_grad_()
    value = twin.compute(["price"], **at)["price"]
    slopes = torch.autograd.grad(value.sum(), [at[name] for name in COLUMNS])
    greeks = twin.compute(["delta", "vega", "theta", "price"], **at)
    strike = (value - at["forward"] * greeks["delta"]) / at["strike"]
    right = [greeks["delta"], strike, greeks["vega"], None, greeks["price"] / at["discount"]]
    for name, slope, greek in zip(COLUMNS, slopes, right, strict=True):
        if greek is not None:
            # ∂V/∂K from V and F delta, whose rounding is relative to V/K in the strike alone
            floor = 1e-14 * (value + at["forward"] * greeks["delta"].abs()) / at["strike"] if name == "strike" else 0.0
            assert bool(((slope - greek).abs() <= 1e-12 * greek.abs() + floor).all()), name
    undiscounted = dict(at) | {"discount": 1.0}
    plain = twin.compute(["price", "theta"], **undiscounted)
    (slope,) = torch.autograd.grad(plain["price"].sum(), [at["time_to_expiry"]])
    assert bool(((slope + plain["theta"]).abs() <= 1e-12 * slope.abs() + 1e-290).all())


@pytest.mark.parametrize(
    ("quantity", "column", "greek", "sign"),
    [
        ("delta", "forward", "gamma", 1.0),
        ("delta", "volatility", "vanna", 1.0),
        ("delta", "time_to_expiry", "charm", -1.0),
        ("vega", "forward", "vanna", 1.0),
        ("vega", "volatility", "volga", 1.0),
    ],
)
def test_gradients_of_greeks_are_greeks(quantity, column, greek, sign):
    columns = random_columns(4_000, farthest=8.0) | {"discount": np.ones(4_000)}
    at = tensors(columns)
    at[column].requires_grad_()
    values = twin.compute([quantity, greek], **at)
    (slope,) = torch.autograd.grad(values[quantity].sum(), [at[column]])
    scale = torch.from_numpy(largest_terms(black.options(**columns))[greek])
    assert bool(((sign * slope - values[greek]).abs() <= 1e-10 * scale).all())


def test_second_derivative_of_the_price_is_gamma():
    at = tensors(random_columns(2_000, farthest=8.0))
    at["forward"].requires_grad_()
    value = twin.compute(["price", "gamma"], **at)
    (first,) = torch.autograd.grad(value["price"].sum(), [at["forward"]], create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), [at["forward"]])
    assert bool(((second - value["gamma"]).abs() <= 1e-11 * value["gamma"].abs()).all())


@given(
    distance=st.floats(-3.0, 3.0),
    deviation=st.floats(0.05, 1.5),
    time=st.floats(0.05, 2.0),
    discount=st.floats(0.5, 1.0),
    is_call=st.booleans(),
    name=st.sampled_from(tuple(twin.QUANTITIES)),
)
def test_every_gradient_equals_bumping(distance, deviation, time, discount, is_call, name):
    inputs = [3.0, 3.0 * np.exp(distance * deviation), deviation / np.sqrt(time), time, discount]
    columns = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in inputs]

    def value(*given: torch.Tensor) -> torch.Tensor:
        at = dict(zip(COLUMNS, given, strict=True)) | {"is_call": torch.tensor(is_call)}
        return twin.compute([name], **at)[name]

    assert torch.autograd.gradcheck(value, columns, eps=1e-5, atol=1e-4, rtol=1e-5)


def test_price_can_be_differentiated_twice():
    columns = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (3.0, 3.3, 0.6, 0.4, 0.95)]

    def value(*given: torch.Tensor) -> torch.Tensor:
        return twin.compute(["price"], **dict(zip(COLUMNS, given, strict=True)), is_call=torch.tensor([True, False]))[
            "price"
        ]

    assert torch.autograd.gradgradcheck(value, columns)


def test_drift_of_a_book_hands_its_slope_to_the_scenario():
    strike = torch.linspace(80.0, 125.0, 10, dtype=torch.float64)
    is_call, weights = strike >= 100.0, torch.tensor([1.0, -2.0, 3.0, -1.0, 2.0] * 2, dtype=torch.float64)
    increment = torch.tensor([[0.02, 0.05], [-0.08, 0.20], [0.0, 0.0]], dtype=torch.float64, requires_grad=True)

    def drift(move: torch.Tensor, name: str) -> torch.Tensor:
        clock = {"strike": strike, "is_call": is_call}
        now = twin.compute([name], forward=torch.tensor(100.0).double(), volatility=torch.tensor(0.5).double(),
                           time_to_expiry=torch.tensor(3.0 / 365.0).double(), **clock)  # fmt: skip
        then = twin.compute([name], forward=100.0 * torch.exp(move[:, :1]), volatility=0.5 * torch.exp(move[:, 1:]),
                            time_to_expiry=torch.tensor(2.0 / 365.0).double(), **clock)  # fmt: skip
        return (then[name] - now[name]) @ weights

    for name in ("price", "delta", "gamma", "vega", "theta", "delta_net"):
        assert torch.autograd.gradcheck(lambda move, name=name: drift(move, name), [increment], atol=1e-4, rtol=1e-4)


def test_twin_runs_inside_a_vectorised_map():
    strike = torch.tensor([90.0, 110.0], dtype=torch.float64)

    def value(forward: torch.Tensor, strike: torch.Tensor) -> torch.Tensor:
        one = torch.ones((), dtype=torch.float64)
        at = {"volatility": 0.5 * one, "time_to_expiry": 0.25 * one, "is_call": torch.tensor(True), "check": False}
        return twin.compute(["price"], forward=forward, strike=strike, **at)["price"]

    slope = torch.func.vmap(torch.func.grad(value), in_dims=(None, 0))(torch.tensor(100.0).double(), strike)
    right = black.delta(
        black.options(forward=100.0, strike=[90.0, 110.0], volatility=0.5, time_to_expiry=0.25, is_call=True)
    )
    assert slope.numpy() == pytest.approx(right, rel=1e-12)


def test_broadcasting():
    one = torch.ones((), dtype=torch.float64)
    at = {"forward": one.expand(3, 1, 2), "strike": one.expand(4, 1), "volatility": 0.5 * one, "time_to_expiry": one}
    found = twin.compute(["price"], **at, is_call=torch.tensor([True, False]))
    assert found["price"].shape == (3, 4, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"forward": torch.tensor([1.0, float("nan"), -1.0])}, r"forward = nan is not finite and at least 0 \(2 elem"),
        ({"volatility": torch.tensor(-0.1)}, "volatility = -0.1"),
        ({"discount": torch.tensor(0.0)}, "discount = 0.0 is not positive and finite"),
        ({"strike": torch.tensor(100.0, dtype=torch.float64)}, "strike is torch.float64 and forward torch.float32"),
        ({"forward": torch.tensor(100)}, "forward is torch.int64; pass float64"),
        ({"is_call": torch.tensor(1)}, "is_call is torch.int64; pass booleans"),
    ],
)
def test_bad_input_is_named(change, message):
    good = {name: torch.tensor(1.0) for name in COLUMNS} | {"is_call": torch.tensor(True)}
    with pytest.raises(InputError, match=message):
        twin.compute(["price"], **(good | change))


def test_unknown_quantity_names_the_nearest():
    good = {name: torch.tensor(1.0) for name in COLUMNS} | {"is_call": torch.tensor(True)}
    with pytest.raises(InputError, match=r'unknown quantity "vegga".*vega'):
        twin.compute("vegga", **good)
