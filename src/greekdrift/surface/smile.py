"""The quotes that slices are fitted to, what each of them weighs, and why the others are left out."""

from dataclasses import dataclass
from enum import IntEnum
from math import exp, pi, sqrt

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.greeks.compiled import strict

Rows = Int[ndarray, " row"]
Column = Float[ndarray, " row"]
Quotes = Float[ndarray, " quote"]
PerExpiry = Float[ndarray, " expiry"]

LEAST_SPREAD = 0.05
"""Added to every spread (per 1.00 of volatility), so that a tick-wide quote does not outweigh all others."""
WIDEST_SPREAD = 1.0
ENOUGH = 8
"""With fewer two-sided quotes than this, marks without them help out at the weight of the widest spread."""
FARTHEST = 5.0
"""Quotes count as far as this many deviations from the forward."""


class Use(IntEnum):
    """What became of a row: fitted to (two-sided, or for its mark alone), or left out for a reason."""

    TWO_SIDED = 0
    MARK = 1
    IN_THE_MONEY = 2
    FAR = 3
    NOT_QUOTED = 4
    ONE_SIDED = 5
    CROSSED = 6
    STRAY = 7
    NO_VOLATILITY = 8
    OUTLIER = 9


REASONS = {
    Use.IN_THE_MONEY: "in the money",
    Use.FAR: f"beyond {FARTHEST:g} deviations",
    Use.NOT_QUOTED: "not quoted",
    Use.ONE_SIDED: "one-sided",
    Use.CROSSED: "crossed",
    Use.STRAY: "mark outside its quotes by more than their spread",
    Use.NO_VOLATILITY: "without volatility",
    Use.OUTLIER: "outlier",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Smiles:
    """Quotes used of all expiries of one underlying, by expiry and log-moneyness, and the `Use` of every row.

    Those of expiry e stand from `offsets[e]` to `offsets[e + 1]`; `row` says which row each of them is. `width` is the
    bid-ask spread in volatility (NaN for a mark alone). `weight` multiplies an error of volatility before it is
    squared; its squares sum to 1 in each expiry. `reference` is the volatility at the forward, NaN where there is none.
    """

    log_moneyness: Quotes
    volatility: Quotes
    weight: Quotes
    width: Quotes
    row: Int[ndarray, " quote"]
    offsets: Int[ndarray, " edge"]
    use: Rows
    reference: PerExpiry
    n_two_sided: Int[ndarray, " expiry"]

    def dropped(self, first: int, last: int) -> tuple[tuple[str, int], ...]:
        """Reasons for which rows first to last were left out, and how many each."""
        counts = np.bincount(self.use[first:last], minlength=len(Use))
        return tuple((reason, int(counts[use])) for use, reason in REASONS.items() if counts[use])


def select(
    log_moneyness: Column,
    volatility: Column,
    *,
    strike: Column,
    is_out: ndarray,
    bid: Column,
    ask: Column,
    mark: Column,
    time_to_expiry: PerExpiry,
    edges: Int[ndarray, " edge"],
) -> Smiles:
    """The quotes that count, out of rows sorted by expiry (from `edges[e]` to `edges[e + 1]`) and strike.

    Prices are in units of the forward. Of each strike the row counts that is out of the money (`is_out`; another only
    where there is none). It is two-sided if bid > 0, ask ≥ bid and the mark within one spread of them, and must lie
    within ±5 deviations. Its weight is 1/√(spread + 0.05), the spread in volatility, (ask − bid)/vega: vega and spread
    in one figure. Where fewer than eight rows are two-sided, marks without good quotes are added with the weight of a
    spread of 1.00; where none is, all weigh √(0.05 + vega/largest vega).
    """
    n = log_moneyness.size
    use = np.full(n, Use.IN_THE_MONEY, dtype=np.int64)
    quotes = np.empty((4, n))
    row = np.empty(n, dtype=np.int64)
    count = edges.size - 1
    offsets, n_two_sided = np.zeros(count + 1, dtype=np.int64), np.zeros(count, dtype=np.int64)
    reference = np.empty(count)
    for_kernel = (log_moneyness, volatility, strike, is_out, bid, ask, mark)
    _choose(*for_kernel, time_to_expiry, edges, use, quotes, row, offsets, reference, n_two_sided)
    end = offsets[-1]
    return Smiles(
        log_moneyness=quotes[0, :end],
        volatility=quotes[1, :end],
        weight=quotes[2, :end],
        width=quotes[3, :end],
        row=row[:end],
        offsets=offsets,
        use=use,
        reference=reference,
        n_two_sided=n_two_sided,
    )


@strict
def _quality(bid: float, ask: float, mark: float) -> int:
    """Use of a quote by its prices alone."""
    if np.isnan(bid) and np.isnan(ask):
        return 4
    if not bid > 0.0 or not ask > 0.0:
        return 5
    if bid > ask:
        return 6
    spread = ask - bid
    return 0 if bid - spread <= mark <= ask + spread else 7


@strict
def _vega(k: float, volatility: float, tau: float) -> float:
    """Vega in units of the forward, √τ φ(d₁)."""
    s = volatility * sqrt(tau)
    d = -k / s + 0.5 * s
    return sqrt(tau) * exp(-0.5 * d * d) / sqrt(2.0 * pi)


@strict
def _pick(first: int, last: int, volatility: ndarray, is_out: ndarray, prices: ndarray, use: ndarray) -> int:
    """Row that stands for a strike: out of the money and two-sided, else out of the money, else any; −1 for none."""
    best, least = -1, 10
    for r in range(first, last):
        quality = _quality(prices[0, r], prices[1, r], prices[2, r])
        if not volatility[r] > 0.0:
            use[r] = quality if 4 <= quality <= 6 else 8
            continue
        rank = (0 if is_out[r] else 2) + (0 if quality == 0 else 1)
        if rank < least:
            best, least = r, rank
            if rank == 0:
                break
    if best >= 0:
        use[best] = _quality(prices[0, best], prices[1, best], prices[2, best])
    return best


@strict
def _reference(picked: ndarray, count: int, k: ndarray, volatility: ndarray, use: ndarray) -> float:
    """Volatility at the forward, linear between the nearest quotes: two-sided ones where there are three."""
    good = 0
    for i in range(count):
        good += use[picked[i]] == 0
    left, right = -1, -1
    for i in range(count):
        r = picked[i]
        if good >= 3 and use[r] != 0:
            continue
        if k[r] < 0.0:
            left = r
        elif right < 0:
            right = r
    if left < 0 and right < 0:
        return np.nan
    if left < 0:
        return volatility[right]
    if right < 0:
        return volatility[left]
    share = -k[left] / (k[right] - k[left])
    return volatility[left] + share * (volatility[right] - volatility[left])


@strict
def _weigh(quotes: ndarray, first: int, last: int, tau: float, has_quotes: bool) -> None:
    """Weights of the quotes first to last from their widths, squares summing to 1."""
    largest = 0.0
    for q in range(first, last):
        largest = max(largest, _vega(quotes[0, q], quotes[1, q], tau))
    total = 0.0
    for q in range(first, last):
        if has_quotes:
            width = WIDEST_SPREAD if np.isnan(quotes[3, q]) else quotes[3, q]
            quotes[2, q] = 1.0 / sqrt(width + LEAST_SPREAD)
        else:
            share = _vega(quotes[0, q], quotes[1, q], tau) / largest if largest > 0.0 else 1.0
            quotes[2, q] = sqrt(0.05 + share)
        total += quotes[2, q] * quotes[2, q]
    for q in range(first, last):
        quotes[2, q] /= sqrt(total)


@strict
def _choose(
    k: ndarray,
    volatility: ndarray,
    strike: ndarray,
    is_out: ndarray,
    bid: ndarray,
    ask: ndarray,
    mark: ndarray,
    tau: ndarray,
    edges: ndarray,
    use: ndarray,
    quotes: ndarray,
    row: ndarray,
    offsets: ndarray,
    reference: ndarray,
    n_two_sided: ndarray,
) -> None:
    """See `select`, whose results are filled in. Rows of `quotes`: k, σ, weight, width."""
    prices = np.empty((3, k.size))
    prices[0], prices[1], prices[2] = bid, ask, mark
    picked = np.empty(k.size, dtype=np.int64)
    end = 0
    for e in range(tau.size):
        count = 0
        first = edges[e]
        while first < edges[e + 1]:
            last = first + 1
            while last < edges[e + 1] and strike[last] == strike[first]:
                last += 1
            best = _pick(first, last, volatility, is_out, prices, use)
            if best >= 0:
                picked[count] = best
                count += 1
            first = last
        reference[e] = _reference(picked, count, k, volatility, use)
        edge = FARTHEST * reference[e] * sqrt(tau[e])
        near = good = 0
        for i in range(count):
            if abs(k[picked[i]]) <= edge:
                near += 1
                good += use[picked[i]] == 0
        n_two_sided[e] = good
        start = end
        for i in range(count):
            r = picked[i]
            if near > 0 and abs(k[r]) > edge:
                use[r] = 3
                continue
            if use[r] != 0:
                if good >= ENOUGH:
                    continue
                use[r] = 1
            quotes[0, end], quotes[1, end], quotes[3, end] = k[r], volatility[r], np.nan
            if use[r] == 0:
                vega = _vega(k[r], volatility[r], tau[e])
                spread = prices[1, r] - prices[0, r]
                quotes[3, end] = spread / vega if spread < vega * WIDEST_SPREAD else WIDEST_SPREAD
            row[end] = r
            end += 1
        _weigh(quotes, start, end, tau[e], good > 0)
        offsets[e + 1] = end
