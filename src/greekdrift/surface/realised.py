"""What really became of contracts between two chains, per contract, from each chain's own marks.

Greeks and worths are those of `greeks.exposure` at the forward and `mark_iv` of each chain. With c the contract size,
S the index, F the forward, 0 for the first chain and 1 for the later one, the profit of a contract is

    inverse option            c (Black/F)₁ S₁ − c (Black/F)₀ S₀        linear option      c Black₁ − c Black₀
    inverse future, perpetual c (1/F₀ − 1/F₁) S₁                       linear future      c (F₁ − F₀)
    spot                      c (S₁ − S₀)

and in coins what stands before S₁, with (Black/F)₁ − (Black/F)₀ for options; linear contracts earn no coins. What has
expired settled at a price P: an option keeps max(±(P − K), 0) (in coins over P, valued at S₁), a future the profit to
F₁ = P; neither has Greeks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from greekdrift.book import Chain
from greekdrift.greeks.exposure import line_quantities
from greekdrift.greeks.inverse import linear_pnl
from greekdrift.units import datetime64

Rows = Int[ndarray, " row"]
Column = Float[ndarray, " row"]

PROFITS = ("pnl_usd", "pnl_coin")
WORTHS = ("value_usd", "value_coin", "price")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Later:
    """Where the rows of a chain stand in a later one: its row number (−1 where not listed) and whether it expired."""

    row: Rows
    is_listed: Bool[ndarray, " row"]
    is_settled: Bool[ndarray, " row"]


def find(chain: Chain, later: Chain, rows: Rows) -> Later:
    """Looks up rows of a chain in a later one; what is neither listed nor expired by then is lost."""
    row = np.array([later.row_of.get(chain.instruments[at].name, -1) for at in rows], dtype=np.int64)
    is_listed = row >= 0
    is_settled = ~is_listed & (chain.expiry[rows] <= datetime64(later.as_of))
    return Later(row=row, is_listed=is_listed, is_settled=is_settled)


def changes(
    chain: Chain, later: Chain, rows: Rows, names: Sequence[str], *, settlement: Column
) -> dict[str, Float[ndarray, " row"]]:
    """Quantity(later) − quantity(now) per contract of chain rows, by name, and the profits `pnl_usd` and `pnl_coin`.

    `settlement` is the settlement price of each row in USD, read only where the row has expired and is not listed.
    NaN means "not known": the row is neither listed nor expired, or no settlement price or later index is known.
    """
    there = find(chain, later, rows)
    wanted = tuple(dict.fromkeys((*(name for name in names if name not in PROFITS), "value_usd", "value_coin")))
    before = line_quantities(chain, wanted, rows)
    listed = line_quantities(later, wanted, there.row[there.is_listed])
    settled = _settled(chain, later, rows[there.is_settled], settlement[there.is_settled])
    after = {}
    for name in wanted:
        column = np.full(rows.size, np.nan)
        column[there.is_listed] = listed[name]
        column[there.is_settled] = settled.get(name, np.where(np.isnan(settled["value_usd"]), np.nan, 0.0))
        after[name] = column
    end = np.where(there.is_listed, later.forward[np.maximum(there.row, 0)], settlement)
    index = np.array([later.index_price.get(str(name), np.nan) for name in chain.underlying[rows]], dtype=np.float64)
    marked_usd, marked_coin = _marked_to_market(chain, rows, end=end, index=index)
    found = {name: after[name] - before[name] for name in names if name not in PROFITS}
    if "pnl_usd" in names:
        found["pnl_usd"] = after["value_usd"] - before["value_usd"] + marked_usd
    if "pnl_coin" in names:
        found["pnl_coin"] = after["value_coin"] - before["value_coin"] + marked_coin
    return found


def _settled(chain: Chain, later: Chain, rows: Rows, price: Column) -> Mapping[str, Column]:
    """Worths of expired contracts; futures have none."""
    size, strike = chain.contract_size[rows], np.where(chain.is_option[rows], chain.strike[rows], price)
    money = size * np.maximum(np.where(chain.is_call[rows], price - strike, strike - price), 0.0)
    index = np.array([later.index_price.get(str(name), np.nan) for name in chain.underlying[rows]], dtype=np.float64)
    coins = np.where(chain.is_inverse[rows], money / price, 0.0)
    return {
        "value_usd": np.where(chain.is_inverse[rows], coins * index, money),
        "value_coin": coins,
        "price": np.where(chain.is_option[rows], money, 0.0),
    }


def _marked_to_market(chain: Chain, rows: Rows, *, end: Column, index: Column) -> tuple[Column, Column]:
    """Profit of futures and perpetuals, whose worth is always 0, in USD and in coins; 0 for options and spot."""
    is_marked = ~chain.is_option[rows] & ~chain.is_spot[rows]
    is_known = is_marked & np.isfinite(end)
    usd, coins = (np.where(is_marked & ~is_known, np.nan, 0.0) for _ in range(2))
    at = rows[is_known]
    usd[is_known], coins[is_known] = linear_pnl(
        chain.contract_size[at],
        forwards=(chain.forward[at], end[is_known]),
        indices=(chain.index[at], index[is_known]),
        is_inverse=chain.is_inverse[at],
    )
    return usd, coins
