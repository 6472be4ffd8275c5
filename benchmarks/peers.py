"""The libraries side by side: each behind its own public functions, each asked for the same option.

What a library wants natively (flags, rates, one side per call) is made ready before the clock starts; what it returns
in other units is converted after it stops: volatility per 1.00, time per year of 365 days, discounted prices, Greeks
to the forward.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module, metadata
from types import ModuleType

import numpy as np
from exact import NAMES
from goals import CONTRACTED, STRICT
from numpy import ndarray
from samples import Options
from scipy.special import ndtr

from greekdrift import greeks
from greekdrift.greeks import implied

SLOW = 2_000
"""A library that takes one option per call is timed on this many of them."""
FIRST = ("price", "delta", "gamma", "vega", "theta")
ELEVEN = (*FIRST, "rho", "vanna", "volga", "charm", "speed", "zomma", "color")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A call that is ready to be timed; `read` turns its answer into our units, `size` options are in it."""

    call: Callable[[], object]
    read: Callable[[object], dict[str, ndarray]]
    size: int


Prepare = Callable[[Options], Ready]
PrepareImplied = Callable[[ndarray, Options], Ready]


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """Name, version ("" where it is not installed), how to get it, and what it can do."""

    name: str
    version: str
    install: str = ""
    note: str = ""
    first: Prepare | None = None
    eleven: Prepare | None = None
    implied: PrepareImplied | None = None


def libraries() -> list[Library]:
    """All of them, ours first; those that are not installed carry no functions."""
    ours = metadata.version("greekdrift")
    return [
        Library(name=CONTRACTED, version=ours, first=_ours(FIRST, strict=False),
                eleven=_ours(ELEVEN, strict=False), implied=_our_implied(strict=False)),
        Library(name=STRICT, version=ours, note="the default", first=_ours(FIRST, strict=True),
                eleven=_ours(ELEVEN, strict=True), implied=_our_implied(strict=True)),
        _peer("pyvolr", "pyvolr", "pyvolr.black76", _pyvolr, _pyvolr_implied),
        _peer("iv-engine", "iv-engine", "iv_engine", _iv_engine, _iv_engine_implied,
              note="one side per call; no theta on the forward"),
        _peer("fast-vollib", "fast-vollib", "fast_vollib", _fast_vollib, _fast_vollib_implied, note="numba backend"),
        _peer("fast-vollib jackel", "fast-vollib", "fast_vollib.jackel", None, _fast_vollib_jackel),
        _peer("QuantLib", "QuantLib", "QuantLib", _quantlib, _quantlib_implied, note="one option per call"),
        _peer("vollib", "vollib", "vollib.black", _vollib, _vollib_implied, note="one option per call"),
        Library(name="numpy + scipy", version=f"{np.__version__}", note="textbook formulas", first=_numpy(FIRST),
                eleven=_numpy(ELEVEN)),
    ]  # fmt: skip


def _peer(
    name: str,
    distribution: str,
    module: str,
    first: Callable[[ModuleType, Options], Ready] | None,
    implied_by: Callable[[ModuleType, ndarray, Options], Ready] | None,
    *,
    note: str = "",
) -> Library:
    install = f"pip install {distribution}"
    try:
        found = import_module(module)
        version = metadata.version(distribution)
    except ImportError:
        return Library(name=name, version="", install=install)
    return Library(
        name=name,
        version=version,
        install=install,
        note=note,
        first=(lambda options: first(found, options)) if first else None,
        implied=(lambda price, options: implied_by(found, price, options)) if implied_by else None,
    )


def _same(answer: object) -> dict[str, ndarray]:
    return dict(answer)  # type: ignore[call-overload]


def _volatility(answer: object) -> dict[str, ndarray]:
    return {"volatility": np.asarray(answer, dtype=float)}


def _ours(names: tuple[str, ...], *, strict: bool) -> Prepare:
    def prepare(options: Options) -> Ready:
        columns = options.columns()
        return Ready(call=lambda: greeks.compute(names, **columns, deterministic=strict), read=_same, size=options.size)

    return prepare


def _our_implied(*, strict: bool) -> PrepareImplied:
    def prepare(price: ndarray, options: Options) -> Ready:
        columns = options.columns()
        del columns["volatility"]
        return Ready(
            call=lambda: implied.solve(price, **columns, deterministic=strict),
            read=lambda answer: {"volatility": answer[0]},
            size=options.size,
        )

    return prepare


def _pyvolr(black76: ModuleType, options: Options) -> Ready:
    """pyvolr.black76: per 1.00 and per year, discounted by exp(−rT)."""
    o, flags = options, np.where(options.is_call, 1, -1).astype(np.int8)

    def call() -> dict[str, ndarray]:
        price = black76.price(flags, o.forward, o.strike, o.time_to_expiry, o.rate, o.volatility)
        rest = black76.greeks(flags, o.forward, o.strike, o.time_to_expiry, o.rate, o.volatility)
        return {"price": price, **rest}

    return Ready(call=call, read=_same, size=o.size)


def _pyvolr_implied(black76: ModuleType, price: ndarray, options: Options) -> Ready:
    o, flags = options, np.where(options.is_call, 1, -1).astype(np.int8)
    return Ready(
        call=lambda: black76.implied_vol(
            price, flags, o.forward, o.strike, o.time_to_expiry, o.rate, on_error="ignore"
        ),
        read=_volatility,
        size=o.size,
    )


def _iv_engine(engine: ModuleType, options: Options) -> Ready:
    """iv-engine: undiscounted, one side per call; price, delta, gamma, vega."""
    o, both = options, [(True, options.is_call), (False, ~options.is_call)]
    parts = [(side, mask, o.part(mask)) for side, mask in both if mask.any()]

    def call() -> list[tuple[ndarray, ...]]:
        return [
            (
                engine.black_prices(p.forward, p.strike, p.time_to_expiry, p.volatility, side, False),
                engine.deltas(p.forward, p.strike, p.time_to_expiry, p.volatility, side, False),
                engine.gammas(p.forward, p.strike, p.time_to_expiry, p.volatility, False),
                engine.vegas(p.forward, p.strike, p.time_to_expiry, p.volatility, False),
            )
            for side, _, p in parts
        ]

    def read(answer: list[tuple[ndarray, ...]]) -> dict[str, ndarray]:
        values = {name: np.empty(o.size) for name in NAMES[:4]}
        for (_, mask, _), columns in zip(parts, answer, strict=True):
            for name, column in zip(values, columns, strict=True):
                values[name][mask] = column
        return {name: column * o.discount for name, column in values.items()}

    return Ready(call=call, read=read, size=o.size)


def _iv_engine_implied(engine: ModuleType, price: ndarray, options: Options) -> Ready:
    """One call per side; the split is the caller's work and is timed, the join too."""
    o = options
    undiscounted = price / o.discount
    is_put = ~o.is_call

    def side(mask: ndarray, *, is_call: bool) -> ndarray:
        columns = (undiscounted[mask], o.forward[mask], o.strike[mask], o.time_to_expiry[mask])
        return engine.implied_volatilities(*columns, is_call, False)

    def mixed() -> ndarray:
        found = np.empty(o.size)
        found[o.is_call] = side(o.is_call, is_call=True)
        found[is_put] = side(is_put, is_call=False)
        return found

    def calls() -> ndarray:
        return engine.implied_volatilities(undiscounted, o.forward, o.strike, o.time_to_expiry, True, False)

    return Ready(call=calls if o.is_call.all() else mixed, read=_volatility, size=o.size)


def _fast_vollib(library: ModuleType, options: Options) -> Ready:
    """fast-vollib: vega per point, theta per day."""
    o, flags = options, np.where(options.is_call, "c", "p")
    columns = (o.strike, o.time_to_expiry, o.rate, o.volatility)

    def call() -> dict[str, ndarray]:
        price = library.fast_black(flags, o.forward, *columns, backend="numba", return_as="numpy")
        rest = library.get_all_greeks(flags, o.forward, *columns, model="black", backend="numba", return_as="dict")
        return {"price": price, **rest}

    def read(answer: Mapping[str, ndarray]) -> dict[str, ndarray]:
        return {**answer, "vega": answer["vega"] * 100.0, "theta": answer["theta"] * 365.0}

    return Ready(call=call, read=read, size=o.size)


def _fast_vollib_implied(library: ModuleType, price: ndarray, options: Options) -> Ready:
    o, flags = options, np.where(options.is_call, "c", "p")
    rest = {"on_error": "ignore", "backend": "numba", "return_as": "numpy"}
    return Ready(
        call=lambda: library.fast_implied_volatility_black(
            price, o.forward, o.strike, o.rate, o.time_to_expiry, flags, **rest
        ),
        read=_volatility,
        size=o.size,
    )


def _fast_vollib_jackel(jackel: ModuleType, price: ndarray, options: Options) -> Ready:
    o = options
    undiscounted = price / o.discount
    return Ready(
        call=lambda: jackel.jackel_iv_black(undiscounted, o.forward, o.strike, o.time_to_expiry, o.is_call),
        read=_volatility,
        size=o.size,
    )


def _quantlib(ql: ModuleType, options: Options) -> Ready:
    """QuantLib's BlackCalculator with the spot set to the forward, so that its Greeks are to the forward."""
    o = options.part(slice(0, SLOW))
    sides = [ql.Option.Call if is_call else ql.Option.Put for is_call in o.is_call]
    deviation, discount = o.volatility * np.sqrt(o.time_to_expiry), np.broadcast_to(o.discount, o.size)
    lists = [column.tolist() for column in (o.strike, o.forward, deviation, discount, o.time_to_expiry)]
    rows = list(zip(sides, *lists, strict=True))

    def call() -> ndarray:
        found = np.empty((len(rows), 5))
        for i, (side, K, F, s, D, tau) in enumerate(rows):
            at = ql.BlackCalculator(ql.PlainVanillaPayoff(side, K), F, s, D)
            found[i] = at.value(), at.deltaForward(), at.gammaForward(), at.vega(tau), at.theta(F, tau)
        return found

    return Ready(call=call, read=_rows, size=o.size)


def _quantlib_implied(ql: ModuleType, price: ndarray, options: Options) -> Ready:
    o = options.part(slice(0, SLOW))
    sides = [ql.Option.Call if is_call else ql.Option.Put for is_call in o.is_call]
    lists = [column.tolist() for column in (o.strike, o.forward, price[:SLOW], np.broadcast_to(o.discount, o.size))]
    rows = list(zip(sides, *lists, strict=True))
    root = np.sqrt(o.time_to_expiry)

    def one(side: int, K: float, F: float, value: float, D: float) -> float:
        try:
            return ql.blackFormulaImpliedStdDev(side, K, F, value, D, 0.0, ql.nullDouble(), 1e-14, 200)
        except RuntimeError:
            return np.nan

    return Ready(
        call=lambda: np.array([one(*row) for row in rows]) / root,
        read=_volatility,
        size=o.size,
    )


def _vollib(black: ModuleType, options: Options) -> Ready:
    """vollib: vega per point, theta per day."""
    analytical = import_module("vollib.black.greeks.analytical")
    o = options.part(slice(0, SLOW))
    flags = ["c" if is_call else "p" for is_call in o.is_call]
    rate = np.broadcast_to(o.rate, o.size).tolist()
    F, K, tau, sigma = (column.tolist() for column in (o.forward, o.strike, o.time_to_expiry, o.volatility))
    rows = list(zip(flags, F, K, tau, rate, sigma, strict=True))
    functions = (black.black, *(getattr(analytical, name) for name in FIRST[1:]))

    def read(answer: object) -> dict[str, ndarray]:
        values = _rows(answer)
        return values | {"vega": values["vega"] * 100.0, "theta": values["theta"] * 365.0}

    return Ready(
        call=lambda: np.array([[function(*row) for function in functions] for row in rows]), read=read, size=o.size
    )


def _vollib_implied(black: ModuleType, price: ndarray, options: Options) -> Ready:
    del black
    solve = import_module("vollib.black.implied_volatility").implied_volatility
    o = options.part(slice(0, SLOW))
    flags = ["c" if is_call else "p" for is_call in o.is_call]
    rate = np.broadcast_to(o.rate, o.size).tolist()
    value, F, K, tau = (column.tolist() for column in (price[:SLOW], o.forward, o.strike, o.time_to_expiry))
    rows = list(zip(value, F, K, rate, tau, flags, strict=True))

    def one(row: tuple[object, ...]) -> float:
        try:
            return solve(*row)
        except Exception:  # noqa: BLE001 its errors share no class; a failure is counted, whatever it is
            return np.nan

    return Ready(call=lambda: np.array([one(row) for row in rows]), read=_volatility, size=o.size)


def _rows(answer: object) -> dict[str, ndarray]:
    return dict(zip(FIRST, np.asarray(answer).T, strict=True))


def _numpy(names: tuple[str, ...]) -> Prepare:
    return lambda options: Ready(call=lambda: textbook(names, options), read=_same, size=options.size)


def textbook(names: tuple[str, ...], options: Options) -> dict[str, ndarray]:
    """What one would write with numpy and scipy: shared pieces once, no care for the wings.

    V = ±D (F Φ(±d₁) − K Φ(±d₂)); formulas of Hull (chapter 19) and Haug (chapter 2) on the forward.
    """
    F, K, sigma, tau = options.forward, options.strike, options.volatility, options.time_to_expiry
    side, D = np.where(options.is_call, 1.0, -1.0), np.exp(-options.rate * tau)
    root = np.sqrt(tau)
    s = sigma * root
    d1 = np.log(F / K) / s + 0.5 * s
    d2 = d1 - s
    density = D * np.exp(-0.5 * d1 * d1) / np.sqrt(2.0 * np.pi)
    inner, strike_side = D * ndtr(side * d1), D * K * ndtr(side * d2)
    price = side * (F * inner - strike_side)
    gamma, vega, rate = density / (F * s), F * density * root, options.rate
    found = {
        "price": price,
        "delta": side * inner,
        "gamma": gamma,
        "vega": vega,
        "theta": -0.5 * F * density * sigma / root + rate * price,
    }
    if len(names) > len(found):
        found |= {
            "rho": side * tau * strike_side,
            "vanna": -density * d2 / sigma,
            "volga": vega * d1 * d2 / sigma,
            "charm": 0.5 * density * d2 / tau + rate * side * inner,
            "speed": -gamma / F * (1.0 + d1 / s),
            "zomma": gamma * (d1 * d2 - 1.0) / sigma,
            "color": gamma * (rate + 0.5 * (1.0 - d1 * d2) / tau),
        }
    return found
