"""What the numbers of a table determine of those that it lacks: marks, forwards, the index, volatilities.

A column that is not there is made whole; a cell that is empty in one that is, is made alone and counted. Nothing is
made of less than what determines it: what stays empty is refused when a chain is made, or dropped by a filter.
"""

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from numpy import ndarray

from greekdrift.errors import DataError
from greekdrift.greeks import implied
from greekdrift.market import columns, figures, parity, price_unit
from greekdrift.market.contract_columns import Contracts
from greekdrift.market.price_columns import Levels, Quoted, keep
from greekdrift.market.sheet import Sheet
from greekdrift.market.ticks import prices
from greekdrift.units import counted

Rows = Float[ndarray, " row"]
BLACK = "Black price at mark_iv"
MOST_UNTOLD = 0.2
"""Share of rows without a forward above which deltas are not trusted for the others either."""
NO_CARRY = (
    ", or take the index for it where rates and dividends do not matter: --map {0}=forward_price_usd "
    "--map {0}=index_price_usd"
)


def complete(sheet: Sheet, of: Contracts, at: Levels, quoted: Quoted) -> None:
    """Puts forward, prices, index and mark volatility into the rows of a sheet."""
    mark, mark_how = _mark(sheet, at, quoted)
    forward = _forward(sheet, of, at, quoted, mark)
    if mark is None:
        mark = black(sheet, of, quoted, forward)
    else:
        mark, more = _whole_mark(sheet, of, quoted, forward, mark)
        mark_how = f"{mark_how or quoted.how['mark']}; {more}" if more else mark_how
    keep(sheet, quoted, mark, mark_how)
    _index(sheet, of, at, forward)
    _volatility(sheet, of, quoted, forward, mark)


def _mark(sheet: Sheet, at: Levels, quoted: Quoted) -> tuple[Rows | None, str]:
    """The mark, else None where it is to be the Black price at its volatility, else the middle of bid and ask."""
    if "mark" in quoted.price:
        return quoted.price["mark"], ""
    if "mark_iv" in sheet.rows and at.forward is not None:
        return None, BLACK
    if {"bid", "ask"} <= quoted.price.keys():
        return _between(quoted), "middle of bid and ask"
    if "mark_iv" in sheet.rows:
        return None, BLACK
    raise sheet.missing("mark_price", "a mark, its volatility, or bid and ask")


def _between(quoted: Quoted) -> Rows:
    """The middle of bid and ask where both are quoted."""
    bid, ask = quoted.price["bid"], quoted.price["ask"]
    return np.where((bid > 0.0) & (ask > 0.0), (bid + ask) / 2.0, np.nan)


def _whole_mark(sheet: Sheet, of: Contracts, quoted: Quoted, forward: Rows, mark: Rows) -> tuple[Rows, str]:
    """Marks with those that lack made alone: empty, or 0 where the option is worth something for certain."""
    side = np.where(of.is_call, 1.0, -1.0)
    intrinsic = np.maximum(side * (forward - of.strike), 0.0)
    lacks = of.is_option & (np.isnan(mark) | ((mark == 0.0) & (intrinsic > price_unit.BOUND_SLACK * forward)))
    if not np.any(lacks):
        return mark, ""
    sources: list[tuple[str, Rows]] = []
    if "mark_iv" in sheet.rows:
        sources.append((BLACK, black(sheet, of, quoted, forward)))
    if {"bid", "ask"} <= quoted.price.keys():
        sources.append(("middle of bid and ask", _between(quoted)))
    said = []
    for how, values in sources:
        filled = lacks & np.isfinite(values)
        if np.any(filled):
            mark, lacks = np.where(filled, values, mark), lacks & ~filled
            said.append(f"{how} where it was missing ({counted(int(filled.sum()), 'row')})")
    return np.where(lacks, np.nan, mark), "; ".join(said)


def _forward(sheet: Sheet, of: Contracts, at: Levels, quoted: Quoted, mark: Rows | None) -> Rows:
    if at.forward is not None:
        made, how = _whole_forward(sheet, of, at.forward)
        theirs = sheet.of["forward_price_usd"]
    else:
        made, how, theirs = _implied_forward(sheet, of, at, quoted, mark)
    if mark is not None:
        made = np.where(np.isnan(made) & ~of.is_option, mark, made)
    if np.all(np.isnan(made)):
        raise sheet.missing(
            "forward_price_usd", "the forward (no expiry has a call and a put of one strike)", remedy=_no_carry(at)
        )
    sheet.put("forward_price_usd", made, how, "USD", theirs=theirs)
    return made


def _implied_forward(
    sheet: Sheet, of: Contracts, at: Levels, quoted: Quoted, mark: Rows | None
) -> tuple[Rows, str, str]:
    """Forwards by put-call parity of the marks, else by the deltas of the options."""
    if mark is not None:
        made = parity.forwards(
            mark,
            group=group(sheet, of, of.expiry),
            strike=of.strike,
            is_call=of.is_call,
            is_coin=quoted.is_coin,
            spot=at.spot,
        )
        return made, "put-call parity of the marks, median by expiry", "–"
    delta = columns.aid(sheet.names, "delta")
    if delta is None or "mark_iv" not in sheet.rows:
        raise sheet.missing("forward_price_usd", "the forward of each expiry", remedy=_no_carry(at))
    made = parity.forwards_of_deltas(
        figures.numbers(sheet.theirs(delta), where=sheet.where, remedy="correct it"),
        group=group(sheet, of, of.expiry),
        strike=of.strike,
        volatility=sheet.rows["mark_iv"],
        years=sheet.years(of.expiry),
        is_call=of.is_call,
    )
    untold = float(np.mean(np.isnan(made[of.is_option])))
    if untold > MOST_UNTOLD:
        raise DataError(
            f"{sheet.where}: no forward can be read off {delta}: in {untold:.0%} of the rows its values are not N(d₁) "
            f"of one forward by expiry. Name the forward with --map yours=forward_price_usd{_no_carry(at)}."
        )
    return made, "deltas and volatilities, median by expiry", delta


def _no_carry(at: Levels) -> str:
    return NO_CARRY.format(at.spot_theirs) if at.spot is not None and at.spot_theirs else ""


def _whole_forward(sheet: Sheet, of: Contracts, forward: Rows) -> tuple[Rows, str]:
    """Their forwards; an empty cell, or 0, is that of the other rows of its expiry."""
    made = np.where(forward > price_unit.SMALLEST, forward, np.nan)
    lacks = np.isnan(made) & of.is_option & ((forward == 0.0) | np.isnan(forward))
    if not np.any(lacks):
        return forward, "as it is"
    number = pd.MultiIndex.from_arrays(list(group(sheet, of, of.expiry).T)).factorize()[0]
    usual = pd.Series(made).groupby(number).transform("median").to_numpy()
    filled = lacks & np.isfinite(usual)
    made = np.where(filled, usual, np.where(lacks, np.nan, forward))
    return made, f"as it is; that of the expiry where it was missing ({counted(int(filled.sum()), 'row')})" if np.any(
        filled
    ) else "as it is"


def group(sheet: Sheet, of: Contracts, *more: ndarray) -> ndarray:
    """Snapshot, underlying and more of each row, as keys."""
    return np.stack([np.asarray(one, dtype=object) for one in (sheet.at, of.underlying, *more)], axis=1)


def _index(sheet: Sheet, of: Contracts, at: Levels, forward: Rows) -> None:
    """The index, else the forward of the nearest expiry, or the mark of the perpetual."""
    if at.spot is not None:
        sheet.put("index_price_usd", at.spot, "as it is", "USD", theirs=at.spot_theirs)
        return
    years = np.where(np.isnat(of.expiry), 0.0, sheet.years(of.expiry))
    made = parity.nearest(forward, group=group(sheet, of), years=years)
    sheet.put("index_price_usd", made, "forward of the nearest expiry", "USD", theirs="–")


def _volatility(sheet: Sheet, of: Contracts, quoted: Quoted, forward: Rows, mark: Rows) -> None:
    """The volatility of each mark, where the table does not say it."""
    theirs = sheet.rows.get("mark_iv")
    years = sheet.years(of.expiry)
    on = of.is_option & (years > 0.0) & (mark > 0.0) & (forward > price_unit.SMALLEST)
    on = on if theirs is None else on & np.isnan(theirs)
    made = np.full(len(sheet), np.nan) if theirs is None else theirs.copy()
    if np.any(on):
        made[on], _ = implied.solve(
            mark[on],
            forward=forward[on],
            strike=of.strike[on],
            time_to_expiry=years[on],
            is_call=of.is_call[on],
            is_coin=quoted.is_coin[on],
        )
    if theirs is None:
        sheet.put("mark_iv", made, "implied by the mark", "per 1.00", theirs="–")
        return
    filled = int(np.sum(np.isnan(theirs) & np.isfinite(made)))
    if filled:
        sheet.amend("mark_iv", made, f"implied by the mark where it was missing ({counted(int(filled), 'row')})")


def black(sheet: Sheet, of: Contracts, quoted: Quoted, forward: Rows) -> Rows:
    """Marks at `mark_iv`; NaN where an input is missing."""
    volatility, years = sheet.rows["mark_iv"], sheet.years(of.expiry)
    on: Bool[ndarray, " row"] = of.is_option & (volatility > 0.0) & (years > 0.0) & (forward > price_unit.SMALLEST)
    made = np.where(of.is_option, np.nan, forward)
    made[on] = prices(
        forward=forward[on],
        strike=of.strike[on],
        volatility=volatility[on],
        time_to_expiry=years[on],
        is_call=of.is_call[on],
        is_inverse=quoted.is_coin[on],
    )
    return made
