"""Black (1976) in torch: the differentiable twin of `greeks.black`, for training through the Greeks of books.

The formulas and their limits are those of `greeks.black`, to 1e-12 in float64. Every derivative is finite: the price
hands back Φ(±d₁), Φ(±d₂) and F φ(d₁) themselves as its gradient, and where time, volatility, forward or strike count
as zero, or a strike lies beyond 64 standard deviations, nothing flows back but the slope of the intrinsic value.

float64 is for answers. float32 is for training near the money: within |ln(F/K)| ≤ 3 σ√τ and 0.01 ≤ σ√τ ≤ 2 prices
are within 1e-4 of their own size and Greeks within 1e-4 of their largest term; its tails end at 13 deviations.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import pi, sqrt
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from greekdrift.errors import InputError, nearest

Quotes = Float[Tensor, "*quote"]
Sides = Bool[Tensor, "*quote"]

TINY = {torch.float64: 1e-60, torch.float32: 1e-12}
"""A forward, strike, deviation or time at or below it counts as 0; its inverse squared stays in range."""
FAR = 64.0
"""Standard deviations that stand for infinity: the normal density is 0 and its integral 1 in either precision."""
CERTAIN = {torch.float64: 37.0, torch.float32: 12.0}
"""The Mills ratio of an argument below minus this overflows."""
CLOSE = {torch.float64: 0.01, torch.float32: 0.15}
"""Half deviations below which the difference of two Mills ratios comes from its series."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Options:
    """European options as tensors of one shape, with the pieces that all quantities share (see `greeks.black.Options`).

    `side` is +1 for calls and −1 for puts; `deviation` is s = σ√τ; `density` is φ(d₁); `rate` is −ln(D)/τ, 0 at τ = 0.
    """

    forward: Quotes
    strike: Quotes
    volatility: Quotes
    time_to_expiry: Quotes
    discount: Quotes
    side: Quotes
    rate: Quotes
    root_time: Quotes
    deviation: Quotes
    d1: Quotes
    d2: Quotes
    density: Quotes


def options(
    *,
    forward: Tensor,
    strike: Tensor,
    volatility: Tensor,
    time_to_expiry: Tensor,
    is_call: Tensor,
    discount: Tensor | float = 1.0,
    check: bool = True,
) -> Options:
    """Broadcast inputs with d₁, d₂ and φ(d₁), ready for the quantities; all of one precision, float64 or float32.

    `check` looks for values that are no numbers, negative, or a discount that is not positive, and names the column;
    without it (inside a compiled or vectorised-map loop) the caller vouches for them.

    >>> at = torch.tensor
    >>> float(options(forward=at(100.0), strike=at(100.0), volatility=at(0.5), time_to_expiry=at(0.25),
    ...               is_call=at(True)).d1)
    0.125
    """
    given = {"forward": forward, "strike": strike, "volatility": volatility, "time_to_expiry": time_to_expiry}
    given["discount"] = torch.as_tensor(discount, dtype=forward.dtype, device=forward.device)
    _check_types(given, is_call)
    if check:
        _check_values(given)
    F, K, sigma, tau, D, calls = torch.broadcast_tensors(*given.values(), is_call)  # type: ignore[no-untyped-call]
    root = _root(tau)
    s = sigma * root
    s = torch.where(s > TINY[s.dtype], s, 0.0)
    d1, d2 = _scores(F, K, s)
    return Options(
        forward=F, strike=K, volatility=sigma, time_to_expiry=tau, discount=D,
        side=torch.where(calls, 1.0, -1.0).to(F.dtype), rate=-torch.log(D) * _inverse(tau),
        root_time=root, deviation=s, d1=d1, d2=d2, density=_density(d1),
    )  # fmt: skip


def price(at: Options) -> Quotes:
    """Black price, quote currency: V = ±D (F Φ(±d₁) − K Φ(±d₂)), in the factored form of `greeks.black.price`.

    >>> at = torch.tensor
    >>> forward = at(100.0, dtype=torch.float64, requires_grad=True)
    >>> rest = [at(value, dtype=torch.float64) for value in (110.0, 0.2, 1.0)]
    >>> value = price(options(forward=forward, strike=rest[0], volatility=rest[1], time_to_expiry=rest[2],
    ...                       is_call=at(True)))
    >>> value.backward()
    >>> round(value.item(), 8), round(forward.grad.item(), 8)
    (4.29201094, 0.35325369)
    """
    return at.discount * _undiscounted(at.forward, at.strike, at.deviation, at.side)


def delta(at: Options) -> Quotes:
    """∂V/∂F = ±D Φ(±d₁); a step at s = 0, ½ at F = K."""
    return at.discount * at.side * _normal(at.side * at.d1)


def gamma(at: Options) -> Quotes:
    """∂²V/∂F² = D φ(d₁)/(F s)."""
    return at.discount * at.density * _inverse(at.forward) * _inverse(at.deviation)


def vega(at: Options) -> Quotes:
    """∂V/∂σ = D F φ(d₁) √τ, per 1.00 of volatility."""
    return at.discount * at.forward * at.density * at.root_time


def theta(at: Options) -> Quotes:
    """−∂V/∂τ = −D F φ(d₁) σ/(2√τ) + r V, per year of 365 days."""
    decay = -0.5 * at.discount * at.forward * at.density * at.volatility * _inverse(at.root_time)
    return decay + at.rate * price(at)


def rho(at: Options) -> Quotes:
    """±τ D K Φ(±d₂): the spot held, the forward growing with the rate."""
    return at.side * at.time_to_expiry * at.discount * at.strike * _normal(at.side * at.d2)


def vanna(at: Options) -> Quotes:
    """∂²V/∂F∂σ = −D φ(d₁) d₂/σ."""
    is_alive = at.deviation > TINY[at.deviation.dtype]
    ratio = torch.where(is_alive, at.d2 * _inverse(at.deviation), -0.5)
    return -at.discount * at.density * at.root_time * ratio


def volga(at: Options) -> Quotes:
    """∂²V/∂σ² = vega d₁ d₂/σ."""
    return vega(at) * (at.d1 * at.d2) * _inverse(at.volatility)


def charm(at: Options) -> Quotes:
    """−∂²V/∂F∂τ = D φ(d₁) d₂/(2τ) + r delta, per year of 365 days."""
    return 0.5 * at.discount * at.density * at.d2 * _inverse(at.time_to_expiry) + at.rate * delta(at)


def price_coin(at: Options) -> Quotes:
    """Value of an inverse option in coins, Black/F (see `greeks.inverse`)."""
    return price(at) * _inverse(at.forward)


def delta_net(at: Options) -> Quotes:
    """Premium-adjusted delta of an inverse option, F ∂(Black/F)/∂F = delta − Black/F = ±D (K/F) Φ(±d₂), coins."""
    return at.discount * at.side * at.strike * _inverse(at.forward) * _normal(at.side * at.d2)


QUANTITIES: Mapping[str, Callable[[Options], Quotes]] = MappingProxyType(
    {
        "price": price, "delta": delta, "gamma": gamma, "vega": vega, "theta": theta, "rho": rho, "vanna": vanna,
        "volga": volga, "charm": charm, "price_coin": price_coin, "delta_net": delta_net,
    }
)  # fmt: skip


def compute(
    names: Sequence[str],
    *,
    forward: Tensor,
    strike: Tensor,
    volatility: Tensor,
    time_to_expiry: Tensor,
    is_call: Tensor,
    discount: Tensor | float = 1.0,
    check: bool = True,
) -> dict[str, Tensor]:
    """Named quantities by name, differentiable in every input; the torch form of `greeks.compute`.

    >>> at = torch.tensor
    >>> values = compute(["delta", "vega"], forward=at(100.0), strike=at([90.0, 110.0]), volatility=at(0.5),
    ...                  time_to_expiry=at(0.25), is_call=at([True, False]))
    >>> [[round(number, 3) for number in values[name].tolist()] for name in values]
    [[0.708, -0.601], [17.181, 19.303]]
    """
    wanted = [names] if isinstance(names, str) else list(names)
    for name in wanted:
        if name not in QUANTITIES:
            raise InputError(f'unknown quantity "{name}"; {nearest(name, QUANTITIES)}')
    at = options(
        forward=forward, strike=strike, volatility=volatility, time_to_expiry=time_to_expiry, is_call=is_call,
        discount=discount, check=check,
    )  # fmt: skip
    return {name: QUANTITIES[name](at) for name in wanted}


class _Undiscounted(torch.autograd.Function):
    """±(F Φ(±d₁) − K Φ(±d₂)) of F, K, s and the side; its gradient is written down, not traced."""

    generate_vmap_rule = True

    @staticmethod
    def forward(forward: Tensor, strike: Tensor, deviation: Tensor, side: Tensor) -> Tensor:
        """Intrinsic value plus min(F, K) times the share of time value."""
        intrinsic = torch.clamp(side * (forward - strike), min=0.0)
        distance, _ = _distance(forward, strike, deviation)
        return intrinsic + torch.minimum(forward, strike) * _time_value(distance.abs(), 0.5 * deviation)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """The inputs alone are kept; the gradient works the scores out again, so that it can be differentiated too."""
        del output
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """±Φ(±d₁), ∓Φ(±d₂), F φ(d₁)."""
        grad = grads[0]
        F, K, s, side = ctx.saved_tensors
        d1, d2 = _scores(F, K, s)
        wants_forward, wants_strike, wants_deviation, _ = ctx.needs_input_grad
        return (
            grad * side * _normal(side * d1) if wants_forward else None,
            -grad * side * _normal(side * d2) if wants_strike else None,
            grad * F * _density(d1) if wants_deviation else None,
            None,
        )


def _undiscounted(forward: Quotes, strike: Quotes, deviation: Quotes, side: Quotes) -> Quotes:
    return _Undiscounted.apply(forward, strike, deviation, side)  # type: ignore[no-untyped-call]


def _scores(forward: Quotes, strike: Quotes, deviation: Quotes) -> tuple[Quotes, Quotes]:
    """d₁ and d₂ within ±64."""
    distance, is_inside = _distance(forward, strike, deviation)
    half = 0.5 * deviation
    d1 = torch.where(is_inside, torch.clamp(distance + half, max=FAR), distance)
    return d1, torch.where(is_inside, torch.clamp(distance - half, min=-FAR), distance)


def _distance(forward: Quotes, strike: Quotes, deviation: Quotes) -> tuple[Quotes, Sides]:
    """ln(F/K)/s and whether it is within ±64 and s, F and K count; else its sign times 64. No masked value divides."""
    tiny = TINY[forward.dtype]
    is_whole = (forward > tiny) & (strike > tiny)
    F, K = torch.where(is_whole, forward, 1.0), torch.where(is_whole, strike, 1.0)
    relative = (F - K) / K
    is_near = relative.abs() < 0.5
    near = torch.log1p(torch.where(is_near, relative, 0.0))
    k = torch.where(is_near, near, torch.log(torch.where(is_near, 1.0, F / K)))
    is_inside = is_whole & (deviation > tiny) & (k.abs() < FAR * deviation)
    away = FAR * torch.sign(forward - strike).detach()
    return torch.where(is_inside, k / torch.where(is_inside, deviation, 1.0), away), is_inside


def _time_value(distance: Quotes, half: Quotes) -> Quotes:
    """φ(h − t) (m(h − t) − m(h + t)), or where s is wide 1 − φ(h − t) (m(t − h) + m(t + h)); see `greeks.black`."""
    nearer = distance - half
    density = _density(torch.clamp(nearer, min=-FAR))
    rest = density * (_mills_ratio(nearer.abs()) + _mills_ratio(distance + half))
    return torch.where(nearer < -1.0, 1.0 - rest, density * _mills_difference(distance, half))


def _mills_difference(centre: Quotes, half: Quotes) -> Quotes:
    """m(c − t) − m(c + t); the series of `greeks.black.mills_difference` where t is small."""
    direct = _mills_ratio(centre - half) - _mills_ratio(centre + half)
    close = CLOSE[half.dtype]
    t = torch.clamp(half, max=close)
    m = _mills_ratio(centre)
    first = centre * m - 1.0
    second = m + centre * first
    third = 2.0 * first + centre * second
    fourth = 3.0 * second + centre * third
    fifth = 4.0 * third + centre * fourth
    series = -2.0 * t * (first + t * t * (third / 6.0 + t * t * fifth / 120.0))
    return torch.where(half < close, series, direct)


def _mills_ratio(x: Quotes) -> Quotes:
    """Φ(−x)/φ(x) = √(π/2) erfcx(x/√2)."""
    return sqrt(0.5 * pi) * torch.special.erfcx(torch.clamp(x, min=-CERTAIN[x.dtype]) * sqrt(0.5))


def _normal(x: Quotes) -> Quotes:
    """Φ(x) by erfc, which keeps the tail that `torch.special.ndtr` loses."""
    return 0.5 * torch.erfc(-sqrt(0.5) * x)


def _density(x: Quotes) -> Quotes:
    return torch.exp(-0.5 * x * x) * (1.0 / sqrt(2.0 * pi))


def _root(x: Quotes) -> Quotes:
    """√x, and 0 without a slope where x counts as 0."""
    is_alive = x > TINY[x.dtype]
    return torch.where(is_alive, torch.sqrt(torch.where(is_alive, x, 1.0)), 0.0)


def _inverse(x: Quotes) -> Quotes:
    """1/x, and 0 without a slope where x counts as 0."""
    is_alive = x > TINY[x.dtype]
    return torch.where(is_alive, 1.0 / torch.where(is_alive, x, 1.0), 0.0)


def _check_types(given: Mapping[str, Tensor], is_call: Tensor) -> None:
    dtype = given["forward"].dtype
    if dtype not in TINY:
        raise InputError(f"forward is {dtype}; pass float64 (exact) or float32 (near the money) tensors.")
    for name, column in given.items():
        if column.dtype != dtype:
            raise InputError(f"{name} is {column.dtype} and forward {dtype}; convert them to one precision.")
    if is_call.dtype != torch.bool:
        raise InputError(f"is_call is {is_call.dtype}; pass booleans, True for calls and False for puts.")


def _check_values(given: Mapping[str, Tensor]) -> None:
    for name, column in given.items():
        is_good = torch.isfinite(column) & ((column > 0.0) if name == "discount" else (column >= 0.0))
        if not bool(is_good.all()):
            wanted = "positive and finite" if name == "discount" else "finite and at least 0"
            value, count = float(column[~is_good].reshape(-1)[0]), int((~is_good).sum())
            raise InputError(f"{name} = {value} is not {wanted} ({count} elements); drop or correct them.")
