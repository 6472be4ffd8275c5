"""Laws of prices and Greeks on generated options: parity, homogeneity, shape in the strike, bumping, flat books."""

from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from greekdrift.book import Account, Chain, Position
from greekdrift.book.instrument import deribit_name, parse
from greekdrift.greeks import QUANTITIES, compute
from greekdrift.greeks.exposure import exposure, line_quantities
from greekdrift.greeks.implied import Reason, solve

EVERY = tuple(QUANTITIES)
law = settings(deadline=None, max_examples=150)
forwards = st.floats(1e-3, 1e6)
volatilities = st.floats(0.01, 4.0)
times = st.floats(1e-5, 5.0)
distances = st.floats(-6.0, 6.0)
rates = st.floats(0.0, 0.2)


@st.composite
def options(draw) -> dict[str, float]:
    F, sigma, tau = draw(forwards), draw(volatilities), draw(times)
    K = F * np.exp(np.clip(draw(distances) * sigma * np.sqrt(tau), -12.0, 12.0))
    return {
        "forward": F,
        "strike": K,
        "volatility": sigma,
        "time_to_expiry": tau,
        "discount": np.exp(-draw(rates) * tau),
    }


@law
@given(options())
def test_put_call_parity(option):
    call, put = (compute(EVERY, **option, is_call=side) for side in (True, False))
    F, K, tau, D = (option[name] for name in ("forward", "strike", "time_to_expiry", "discount"))
    r = -np.log(D) / tau
    right = {"price": D * (F - K), "delta": D, "theta": r * D * (F - K), "rho": tau * D * K, "charm": r * D,
             "strike_delta": -D}  # fmt: skip
    for name in EVERY:
        scale = max(abs(call[name]), abs(put[name]), abs(right.get(name, 0.0)), 1e-300)
        assert abs(call[name] - put[name] - right.get(name, 0.0)) <= 1e-11 * scale, name


@law
@given(options(), st.booleans(), st.integers(-12, 12))
def test_homogeneity_of_degree_one(option, is_call, exponent):
    """Twice the forward and the strike: twice the price; each derivative to the forward takes a factor away.

    Powers of two scale F and K without rounding, so that the law holds to the last digits.
    """
    factor = 2.0**exponent
    degree = {"delta": 0, "gamma": -1, "vanna": 0, "charm": 0, "speed": -2, "zomma": -1, "color": -1,
              "strike_delta": 0, "strike_gamma": -1}  # fmt: skip
    scaled = option | {"forward": factor * option["forward"], "strike": factor * option["strike"]}
    before, after = compute(EVERY, **option, is_call=is_call), compute(EVERY, **scaled, is_call=is_call)
    size = largest_terms(option, before)
    for name in EVERY:
        power = factor ** degree.get(name, 1)
        assert abs(after[name] - power * before[name]) <= 1e-14 * power * size[name] + 1e-290, name


@law
@given(options(), st.booleans())
def test_eulers_relation(option, is_call):
    """V = F ∂V/∂F + K ∂V/∂K with ∂V/∂K = ∓D Φ(±d₂) = −rho/(τK)."""
    value = compute(("price", "delta", "rho"), **option, is_call=is_call)
    parts = option["forward"] * value["delta"], value["rho"] / option["time_to_expiry"]
    assert abs(value["price"] - parts[0] + parts[1]) <= 1e-13 * (abs(parts[0]) + abs(parts[1]))


@law
@given(options(), st.booleans(), st.floats(0.1, 4.0))
def test_monotone_and_convex_in_strike(option, is_call, width):
    s = option["volatility"] * np.sqrt(option["time_to_expiry"])
    strike = option["forward"] * np.exp(min(s, 2.0) * np.linspace(-width, width, 41))
    price = compute(("price",), **(option | {"strike": strike}), is_call=is_call)["price"]
    slope = np.diff(price) / np.diff(strike)
    rounding = 1e-13 * option["forward"] * np.exp(8.0) / np.min(np.diff(strike))
    assert np.all(slope <= rounding if is_call else slope >= -rounding)
    assert np.all(np.abs(slope) <= option["discount"] + rounding)
    assert np.all(np.diff(slope) >= -rounding)


@law
@given(options(), st.booleans())
def test_bounds(option, is_call):
    F, K, D = option["forward"], option["strike"], option["discount"]
    value = compute(("price", "delta", "gamma", "vega"), **option, is_call=is_call)
    intrinsic = D * max(F - K if is_call else K - F, 0.0)
    assert intrinsic <= value["price"] <= D * (F if is_call else K) * (1.0 + 1e-15)
    assert 0.0 <= (value["delta"] if is_call else -value["delta"]) <= D
    assert value["gamma"] >= 0.0
    assert value["vega"] >= 0.0


def bumped(name: str, by: str, option: dict[str, float], is_call: bool, step: float) -> float:
    """Central difference of a quantity, by Richardson's rule of order four; the rate is held as time moves."""
    r = -np.log(option["discount"]) / option["time_to_expiry"]

    def at(shift: float) -> float:
        moved = option | {by: option[by] + shift}
        if by == "time_to_expiry":
            moved["discount"] = np.exp(-r * moved["time_to_expiry"])
        return float(compute((name,), **moved, is_call=is_call)[name])

    narrow, wide = ((at(h) - at(-h)) / (2.0 * h) for h in (step, 2.0 * step))
    return (4.0 * narrow - wide) / 3.0


DERIVATIVES = {
    "delta": ("price", "forward"), "gamma": ("delta", "forward"), "speed": ("gamma", "forward"),
    "vega": ("price", "volatility"), "vanna": ("delta", "volatility"), "volga": ("vega", "volatility"),
    "zomma": ("gamma", "volatility"), "theta": ("price", "time_to_expiry"), "charm": ("delta", "time_to_expiry"),
    "veta": ("vega", "time_to_expiry"), "color": ("gamma", "time_to_expiry"),
}  # fmt: skip


@law
@given(options(), st.booleans(), st.sampled_from(sorted(DERIVATIVES)))
def test_greeks_against_bumping(option, is_call, name):
    of, by = DERIVATIVES[name]
    s = option["volatility"] * np.sqrt(option["time_to_expiry"])
    h = np.log(option["forward"] / option["strike"]) / s
    assume(abs(h) < 4.0)
    step = 1e-3 * option[by] * (min(s, 1.0) if by == "forward" else 1.0)
    right = bumped(of, by, option, is_call, step)
    value = compute(EVERY, **option, is_call=is_call)
    sign = -1.0 if by == "time_to_expiry" else 1.0
    noise = 1e-14 * (abs(value[of]) + option["forward"] * (of == "price")) / step
    assert abs(value[name] - sign * right) <= 1e-7 * largest_terms(option, value)[name] + noise


def largest_terms(option: dict[str, float], value: dict[str, np.ndarray]) -> dict[str, float]:
    """Size of the largest term of each quantity, to which rounding is relative where it changes sign."""
    F, sigma, tau = option["forward"], option["volatility"], option["time_to_expiry"]
    s, r = sigma * np.sqrt(tau), -np.log(option["discount"]) / tau
    h = abs(np.log(F / option["strike"])) / s
    product = 1.0 + h * h + s * s
    v, g = float(value["vega"]), float(value["gamma"])
    terms = {
        "theta": v * sigma / tau + r * float(value["price"]),
        "vanna": v / F * (h / s + 1.0),
        "volga": v / sigma * product,
        "charm": v / F * (h + s) / tau**1.5 + r * abs(float(value["delta"])),
        "veta": v * (product / tau + r),
        "speed": g / F * (2.0 + h / s),
        "zomma": g / sigma * product,
        "color": g * (product / tau + r),
    }
    return {name: max(abs(float(value[name])), terms.get(name, 0.0)) for name in value}


@law
@given(options(), st.booleans())
def test_implied_volatility_inverts_the_price(option, is_call):
    at = {name: option[name] for name in ("forward", "strike", "time_to_expiry", "discount")}
    price = compute(("price",), **option, is_call=is_call)["price"]
    found, reason = solve(price, **at, is_call=is_call)
    assume(reason == Reason.FOUND)
    again = compute(("price",), **at, volatility=found, is_call=is_call)["price"]
    assert abs(again - price) <= 1e-11 * price


NOW = datetime(2025, 6, 1, 8, tzinfo=UTC)


@st.composite
def chains(draw) -> Chain:
    n = draw(st.integers(1, 6))
    expiry = NOW + timedelta(days=draw(st.integers(1, 300)))
    strikes = draw(st.lists(st.integers(50, 200), min_size=n, max_size=n, unique=True))
    names = [deribit_name("BTC", expiry, 1000.0 * K, is_call=K % 2 == 0) for K in strikes] + ["BTC-PERPETUAL"]
    blank, rows = np.full(n + 1, np.nan), n + 1
    return Chain(
        venue="deribit", as_of=NOW, known_at=NOW, instruments=tuple(parse(name) for name in names),
        contract_size=np.array([1.0] * n + [10.0]), forward=np.full(rows, 100_000.0), bid=blank, ask=blank,
        mark=np.full(rows, 0.05), mark_iv=np.array([draw(st.floats(0.1, 3.0)) for _ in range(n)] + [np.nan]),
        open_interest=blank, volume_24h=blank, index_price={"BTC": 99_000.0},
    )  # fmt: skip


@law
@given(chains(), st.data())
def test_greeks_of_a_flat_book_are_zero_and_books_add_up(chain, data):
    lots = st.integers(-4000, 4000).map(lambda number: number / 4.0)
    held = data.draw(st.lists(lots, min_size=len(chain), max_size=len(chain)))

    def book(factor: float, name: str) -> Account:
        rows = zip(chain.instruments, held, strict=True)
        positions = tuple(Position(instrument=row, quantity=factor * quantity) for row, quantity in rows)
        return Account(account_id=name, collateral={}, positions=positions)

    names = (*EVERY, "value_usd", "delta_usd", "delta_net")
    got = exposure(chain, (book(0.0, "flat"), book(1.0, "long"), book(-1.0, "short"), book(2.0, "twice")), names)
    for name, column in got.quantities.items():
        flat, one, other, twice = column[:, 0]
        assert flat == 0.0, name
        assert one + other == 0.0, name
        assert twice == 2.0 * one, name
    line = line_quantities(chain, ("vega",))["vega"]
    total = got.value("long", "BTC", "vega")
    assert abs(total - line @ np.array(held)) <= 1e-12 * (line @ np.abs(held))
