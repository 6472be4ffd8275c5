"""Slopes of the risk-matrix margin per coin of each option and contract of each linear row of an account's books."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book.matrix_rules import DeltaShockLaw, MatrixParameters, SettlementTerms
from greekdrift.margin.matrix_books import Charged, dampener, expiries_of, expiry_deltas, roll_rates

Slope = tuple[Float[ndarray, " option"], Float[ndarray, " linear"]]


def slopes(
    books: Sequence[Charged], together: ndarray | None, p: MatrixParameters
) -> tuple[list[Float[ndarray, " option"]], list[Float[ndarray, " linear"]]]:
    """Change of the first account's initial margin without cuts of collateral, in the first state, by book, USD.

    At a kink the slope on one side: of the first binding scenario, and 0 for |0|.
    """
    options, linears = [], []
    scanning = _scan_slopes(books, together, p)
    for one, (of_options, of_linears) in zip(books, scanning, strict=True):
        charges = [_roll_slope(one, p), _shock_slope(one, p)]
        more = _provision_slope(one, p.settlement(one.book.currency))
        options.append(p.factors.initial * (of_options + sum(part[0] for part in charges)) + more[0])
        linears.append(p.factors.initial * (of_linears + sum(part[1] for part in charges)) + more[1])
    return options, linears


def _scan_slopes(books: Sequence[Charged], together: ndarray | None, p: MatrixParameters) -> list[Slope]:
    found: list[Slope] = []
    at, loss, least = 0, 0.0, 0.0
    if together is not None:
        at = int(np.argmin(together[0, :, 0]))
        loss, least = -float(together[0, at, 0]), sum(float(one.least[0, 0]) for one in books)
    for one in books:
        parts: list[tuple[float, Slope]] = []
        if together is not None and max(loss, least) > 0.0:
            binding = _loss_slope(one, at, p, is_shared=True) if loss >= least else _least_slope(one, p)
            parts.append((1.0 - p.separate, binding))
        own = int(np.argmin(one.pnl[0, :, 0]))
        own_loss, own_least = -float(one.pnl[0, own, 0]), float(one.least[0, 0])
        if p.separate > 0.0 and max(own_loss, own_least) > 0.0:
            binding = _loss_slope(one, own, p, is_shared=False) if own_loss >= own_least else _least_slope(one, p)
            parts.append((p.separate, binding))
        nothing = (np.zeros(len(one.book.strike)), np.zeros(len(one.book.linear_years)))
        found.append(
            (
                nothing[0] + sum(share * slope[0] for share, slope in parts),
                nothing[1] + sum(share * slope[1] for share, slope in parts),
            )
        )
    return found


def _loss_slope(one: Charged, at: int, p: MatrixParameters, *, is_shared: bool) -> Slope:
    """Slope of the loss in a scenario; beside other books a gain counts by its share, or no more above its largest."""
    pair, terms = p.pair(one.book.underlying), p.settlement(one.book.currency)
    pnl = float(one.pnl[0, at, 0])
    is_moved = abs(float(one.undamped[0, at, 0])) > dampener(p, pair, terms)[at] or one.undamped[0, at, 0] == 0.0
    factor = -1.0 if is_moved else 0.0
    if is_shared and pnl > 0.0:
        factor *= terms.gain_share if terms.gain_share * pnl < terms.largest_gain_usd else 0.0
    return factor * one.units.option_pnl[0, at], factor * one.units.linear_pnl[0, at]


def _least_slope(one: Charged, p: MatrixParameters) -> Slope:
    book, units, terms = one.book, one.units, p.pair(one.book.underlying).least_delta
    side, index = float(np.sign(_delta(one))), float(book.index[0])

    def slope(delta: ndarray, held: ndarray) -> ndarray:
        gross = np.sign(held) * np.abs(delta)
        return (terms.net * side * delta + 0.5 * terms.hedged * (gross - side * delta)) * index

    return slope(units.option_delta[0], book.options[0]), slope(units.linear_delta[0], book.linears[0])


def _roll_slope(one: Charged, p: MatrixParameters) -> Slope:
    book, units = one.book, one.units
    years, of_option, of_linear = expiries_of(book)
    rates = roll_rates(years, p, p.settlement(book.currency))
    per_delta = rates * np.sign(expiry_deltas(book, units)[0, :, 0]) * book.index[0]
    return units.option_delta[0] * per_delta[of_option], units.linear_delta[0] * per_delta[of_linear]


def _shock_slope(one: Charged, p: MatrixParameters) -> Slope:
    terms, delta, index = p.pair(one.book.underlying).delta_shock, _delta(one), float(one.book.index[0])
    size = abs(delta)
    excess = max(size - terms.threshold_usd / index, 0.0)
    growing = terms.per_coin * (excess + size) if excess > 0.0 else 0.0
    per_delta = growing if terms.per_coin * excess < terms.largest else terms.largest
    if p.laws.delta_shock is DeltaShockLaw.NONE:
        per_delta = 0.0
    factor = per_delta * float(np.sign(delta)) * index
    return factor * one.units.option_delta[0], factor * one.units.linear_delta[0]


def _provision_slope(one: Charged, terms: SettlementTerms) -> Slope:
    book, index = one.book, float(one.book.index[0])
    is_perpetual = np.isinf(book.linear_years)
    perpetuals = float(book.linear_coins[0] * is_perpetual @ book.linears[0])
    funding = terms.fees.funding * is_perpetual * book.linear_coins[0] if perpetuals > 0.0 else 0.0
    fees = terms.fees.linear * np.sign(book.linears[0]) * book.linear_coins[0]
    return terms.fees.option * np.sign(book.options[0]) * index, (funding + fees) * index


def _delta(one: Charged) -> float:
    book, units = one.book, one.units
    return float(units.option_delta[0] @ book.options[0] + units.linear_delta[0] @ book.linears[0])
