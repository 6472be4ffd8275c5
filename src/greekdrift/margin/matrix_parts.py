"""From the assessed books of the risk-matrix form to the parts of an account."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy import ndarray

from greekdrift.book.matrix_rules import MatrixParameters
from greekdrift.margin.matrix_books import Charged, counted
from greekdrift.margin.matrix_result import LEAST, MatrixMargin


def parts_of(
    books: Sequence[Charged],
    together: ndarray | None,
    p: MatrixParameters,
    *,
    collateral: Mapping[str, tuple[float, float]],
) -> tuple[MatrixMargin, ...]:
    """The parts of the first account in the first state; `collateral` is (index price, value) of each coin held."""
    shares = scan_shares(books, together, p)
    found = []
    coins = dict(collateral)
    for one, (loss, label) in zip(books, shares, strict=True):
        price, value = coins.pop(one.book.underlying, (float(one.book.index[0]), 0.0))
        found.append(_part(one, loss, label, p, price=price, value=value))
    found += [_coins_alone(name, price, value, p) for name, (price, value) in coins.items() if value != 0.0]
    return tuple(sorted(found, key=lambda part: part.underlying))


def scan_shares(books: Sequence[Charged], together: ndarray | None, p: MatrixParameters) -> list[tuple[float, str]]:
    """Share of each book in the scan of the first account, and what binds it."""
    labels = [one.label for one in p.matrix_scenarios]
    found = [(0.0, "")] * len(books)
    if together is not None:
        at = int(np.argmin(together[0, :, 0]))
        loss, least = max(-float(together[0, at, 0]), 0.0), sum(float(one.least[0, 0]) for one in books)
        for n, one in enumerate(books):
            counts = float(counted(one.pnl[0, at, 0], p.settlement(one.book.currency))) if loss > 0.0 else 0.0
            share = (1.0 - p.separate) * (-counts if loss >= least else float(one.least[0, 0]))
            found[n] = (share, labels[at] if loss >= least else LEAST)
    if p.separate > 0.0:
        for n, one in enumerate(books):
            at = int(np.argmin(one.pnl[0, :, 0]))
            loss, least = max(-float(one.pnl[0, at, 0]), 0.0), float(one.least[0, 0])
            label = labels[at] if loss >= least else LEAST
            found[n] = (found[n][0] + p.separate * max(loss, least), found[n][1] or label)
    return found


def _part(one: Charged, scan: float, label: str, p: MatrixParameters, *, price: float, value: float) -> MatrixMargin:
    book = one.book
    cuts, more = _cuts(book.underlying, value, p)
    roll, shock = float(one.roll[0, 0]), float(one.delta_shock[0, 0])
    funding, fees = float(one.funding[0, 0]), float(one.fees[0, 0])
    mark = one.units.mark[0] * (book.index[0] / book.forward[0] if book.pays_coin else 1.0)
    options = float(mark @ book.options[0])
    risk = scan + roll + shock
    return MatrixMargin(
        underlying=book.name,
        index_price=price,
        initial_margin_usd=p.factors.initial * risk + funding + fees + cuts + more,
        maintenance_margin_usd=p.factors.maintenance * risk + funding + fees + cuts,
        equity_usd=value + options,
        option_value_usd=options,
        collateral_value_usd=value,
        scenario_pnl=dict(zip([one.label for one in p.matrix_scenarios], one.pnl[0, :, 0].tolist(), strict=True)),
        worst_scenario=label,
        worst_loss_usd=-scan,
        roll_usd=roll,
        delta_shock_usd=shock,
        funding_usd=funding,
        fees_usd=fees,
        collateral_maintenance_usd=cuts,
        collateral_initial_usd=more,
    )


def _coins_alone(name: str, price: float, value: float, p: MatrixParameters) -> MatrixMargin:
    cuts, more = _cuts(name, value, p)
    return MatrixMargin(
        underlying=name,
        index_price=price,
        initial_margin_usd=cuts + more,
        maintenance_margin_usd=cuts,
        equity_usd=value,
        option_value_usd=0.0,
        collateral_value_usd=value,
        scenario_pnl={},
        worst_scenario="",
        worst_loss_usd=0.0,
        roll_usd=0.0,
        delta_shock_usd=0.0,
        funding_usd=0.0,
        fees_usd=0.0,
        collateral_maintenance_usd=cuts,
        collateral_initial_usd=more,
    )


def _cuts(currency: str, value: float, p: MatrixParameters) -> tuple[float, float]:
    if value == 0.0:
        return 0.0, 0.0
    terms = p.terms_of(currency)
    return terms.maintenance * abs(value), terms.initial * abs(value)
