"""What the picture of a surface is drawn from: quotes out of the money, their volatilities, and the fitted lines."""

from typing import Any

import numpy as np

from greekdrift.book import Chain
from greekdrift.greeks.implied import solve
from greekdrift.surface.slices import Slice, Surface
from greekdrift.units import DAYS_PER_YEAR, datetime64

FARTHEST = 4.0
"""Standard deviations that are drawn on either side where quotes reach less far."""
POINTS = 121


def panels(chain: Chain, surface: Surface, underlying: str) -> list[dict[str, Any]]:
    """One panel an expiry, nearest first, as `report.smiles` takes them."""
    refused = {(one.underlying, one.expiry) for one in surface.refused}
    return [_panel(chain, one, is_refused=(one.underlying, one.expiry) in refused) for one in surface.of(underlying)]


def _panel(chain: Chain, one: Slice, *, is_refused: bool) -> dict[str, Any]:
    own = chain.is_option & (chain.underlying == one.underlying) & (chain.expiry == datetime64(one.expiry))
    rows = np.flatnonzero(own & (chain.is_call == (chain.strike >= chain.forward)))
    rows = rows[np.argsort(chain.strike[rows], kind="stable")]
    k = np.log(chain.strike[rows] / chain.forward[rows])
    edge = FARTHEST * one.deviation
    near = np.abs(k) <= max(edge, -one.quoted[0], one.quoted[1])
    rows, k = rows[near], k[near]
    bid, ask = (_volatility(chain, rows, getattr(chain, side)[rows]) for side in ("bid", "ask"))
    mark = chain.mark_iv[rows]
    line_k = np.linspace(min(-edge, one.quoted[0]), max(edge, one.quoted[1]), POINTS)
    days = one.time_to_expiry * DAYS_PER_YEAR
    spreads = f" = {one.rmse_spreads:.2f} spreads" if one.rmse_spreads > 0.0 else ""
    return {
        "title": f"{one.expiry:%d %b %Y} · {days:.3g} days" + (" · refused" if is_refused else ""),
        "note": f"rmse {100.0 * one.rmse:.2f} points{spreads}\n{one.n_quotes} quotes, {one.method}",
        "days": days,
        "atm": one.atm_volatility,
        "k": k,
        "bid": bid,
        "ask": ask,
        "mark": mark,
        "is_quoted": np.isfinite(bid) & np.isfinite(ask),
        "error": one.volatility(k) - mark,
        "line_k": line_k,
        "line": one.volatility(line_k),
        "quoted": one.quoted,
    }


def _volatility(chain: Chain, rows: np.ndarray, price: np.ndarray) -> np.ndarray:
    found, _ = solve(
        price,
        forward=chain.forward[rows],
        strike=chain.strike[rows],
        time_to_expiry=chain.time_to_expiry[rows],
        is_call=chain.is_call[rows],
        is_coin=chain.is_inverse[rows],
    )
    return np.asarray(found)
