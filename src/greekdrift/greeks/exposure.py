"""Greeks of chains, books and mandates: contracts times quantity per contract, and the value of each band.

Options are valued at the forward and `mark_iv` of their own row, undiscounted. Per contract:

| row                       | delta_usd          | delta_net                | value_usd          | higher Greeks |
|---------------------------|--------------------|--------------------------|--------------------|---------------|
| inverse option of c coins | c ∂Black/∂F        | c (∂Black/∂F − Black/F)  | c (Black/F) index  | c × Greek     |
| linear option of c coins  | c ∂Black/∂F        | c ∂Black/∂F              | c Black            | c × Greek     |
| inverse future, perpetual | size/forward       | size/forward             | 0                  | 0             |
| linear future, perpetual  | size               | size                     | 0                  | 0             |
| spot                      | size               | size                     | size × index       | 0             |

Deltas in coins, value, vega and theta in USD (vega per 1.00, theta per year); gamma is coins per USD. Futures and
perpetuals are marked to market, so that their worth is 0 and, in USD, linear in the price. A contract at the
very instant of its expiry contributes its settlement value and no risk.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.typing import ArrayLike

from greekdrift.book import Account, Band, Chain, Kind, Mandate, View
from greekdrift.errors import BookError, ChainError, InputError, nearest
from greekdrift.greeks import black
from greekdrift.greeks.inverse import delta_collateral
from greekdrift.greeks.table import QUANTITIES
from greekdrift.units import days

Rows = Float[ndarray, " row"]
Line = Mapping[str, Rows]

MONEY = ("value_usd", "value_coin", "delta_usd", "delta_net")
"""Names of a line beyond the quantities of `compute`."""

BOOK = ("value_usd", "delta_usd", "delta_net", "gamma", "vega", "theta")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exposure:
    """Greeks of accounts by underlying: each of `quantities` is an array (account, underlying).

    Beside the names asked for it always holds `delta_net`, `coin_equity` (coin collateral plus the coin value of
    inverse options) and `delta_collateral`, their sum.
    """

    account_ids: tuple[str, ...]
    underlyings: tuple[str, ...]
    quantities: Mapping[str, Float[ndarray, "account underlying"]]

    def value(self, account_id: str, underlying: str, name: str) -> float:
        """One figure; an unknown word is answered with the nearest right one."""
        row = _position(account_id, self.account_ids, what="account")
        column = _position(underlying, self.underlyings, what="underlying")
        if name not in self.quantities:
            raise InputError(f'no quantity "{name}" in this exposure; {nearest(name, self.quantities)}')
        return float(self.quantities[name][row, column])


def line_quantities(chain: Chain, names: Sequence[str], rows: ArrayLike | None = None) -> dict[str, Rows]:
    """Quantities per contract of chain rows (all, or those numbered), by name.

    Names: those of `greeks.compute` (`delta` is `delta_usd`; `price` is the USD worth of one contract on its
    forward) and `value_usd`, `value_coin`, `delta_usd`, `delta_net`. Units and conventions: the table above.
    """
    for name in names:
        if name not in QUANTITIES and name not in MONEY:
            raise InputError(f'unknown quantity "{name}"; {nearest(name, [*QUANTITIES, *MONEY])}')
    at = chain.numbers(rows)
    line = {name: np.zeros(at.size) for name in names}
    is_option = chain.is_option[at]
    _fill_linear(chain, at[~is_option], line, to=~is_option)
    _fill_options(chain, at[is_option], line, to=is_option)
    return line


def weights(chain: Chain, accounts: Sequence[Account]) -> Float[ndarray, "account row"]:
    """Signed contracts of each account in each chain row; a position that is not listed is refused."""
    table = np.zeros((len(accounts), len(chain)))
    for row, account in enumerate(accounts):
        held = account.quantities()
        table[row, _listed(chain, account)] = list(held.values())
    return table


def exposure(chain: Chain, accounts: Sequence[Account], names: Sequence[str] = BOOK) -> Exposure:
    """Named quantities of each account by underlying, summed over its positions.

    Only the rows that are held are valued. `names` as in `line_quantities`.
    """
    table = weights(chain, accounts)
    held = np.flatnonzero(np.any(table != 0.0, axis=0))
    line = line_quantities(chain, tuple(dict.fromkeys((*names, "delta_net", "value_coin"))), held)
    underlyings = chain.underlyings
    belongs = (chain.underlying[held][:, None] == np.array(underlyings)).astype(np.float64)
    sums = {name: (table[:, held] * column) @ belongs for name, column in line.items()}
    collateral = [[account.collateral.get(name, 0.0) for name in underlyings] for account in accounts]
    sums["coin_equity"] = np.array(collateral).reshape(len(accounts), len(underlyings)) + sums.pop("value_coin")
    sums["delta_collateral"] = delta_collateral(sums["delta_net"], coin_equity=sums["coin_equity"])
    for column in sums.values():
        column.setflags(write=False)
    ids = tuple(account.account_id for account in accounts)
    return Exposure(account_ids=ids, underlyings=underlyings, quantities=MappingProxyType(sums))


def coin_equity(chain: Chain, account: Account) -> dict[str, float]:
    """Coin collateral plus the coin value of inverse options, by underlying of the chain."""
    rows = _listed(chain, account)
    worth = line_quantities(chain, ("value_coin",), rows)["value_coin"] * list(account.quantities().values())
    return {
        name: account.collateral.get(name, 0.0) + float(worth[chain.underlying[rows] == name].sum())
        for name in chain.underlyings
    }


def band_values(
    chain: Chain, account: Account, *, rows: ArrayLike | None = None, line: Line | None = None
) -> dict[str, float]:
    """Value of each band of the account's mandate, by label: offset + matrix · contracts.

    `rows` are the row numbers that `line` holds; without a line only the rows held are valued.
    """
    mandate = _mandate(account)
    at = _listed(chain, account) if rows is None else chain.numbers(rows)
    contracts = weights(chain, (account,))[0]
    left_out = np.setdiff1d(np.flatnonzero(contracts), at)
    if left_out.size:
        raise BookError(f"{account.account_id} holds {chain.instruments[left_out[0]].name}, which is not among rows.")
    own = line_quantities(chain, band_quantities(mandate), at) if line is None else line
    if line is not None and rows is None:
        own = {name: column[at] for name, column in line.items()}
    labels, selection = band_selection(chain, mandate)
    names = [_quantity(band) for band in mandate.bands]
    offsets = band_offsets(chain, account)
    return {
        label: float(offsets[b] + (selection[b, at] * own[names[b]]) @ contracts[at]) for b, label in enumerate(labels)
    }


def band_quantities(mandate: Mandate) -> tuple[str, ...]:
    """Names of the line quantities that the mandate's bands need."""
    return tuple(dict.fromkeys(_quantity(band) for band in mandate.bands))


def band_matrix(
    chain: Chain, mandate: Mandate, line: Line, *, time_to_expiry: ArrayLike | None = None
) -> tuple[tuple[str, ...], Float[ndarray, "band row"]]:
    """Linear map from contracts to band values: value = `band_offsets` + matrix · contracts.

    `line` holds `band_quantities(mandate)` for every chain row. A trade at the mark leaves the coin equity as
    it is, so that matrix · trade is also the change of a collateral delta.
    """
    labels, selection = band_selection(chain, mandate, time_to_expiry=time_to_expiry)
    missing = [name for name in band_quantities(mandate) if name not in line]
    if missing:
        raise InputError(
            f'the line lacks "{missing[0]}"; compute it with line_quantities(chain, band_quantities(...)).'
        )
    columns = [line[_quantity(band)] for band in mandate.bands]
    return labels, selection * np.array(columns).reshape(selection.shape)


def band_selection(
    chain: Chain, mandate: Mandate, *, time_to_expiry: ArrayLike | None = None
) -> tuple[tuple[str, ...], Float[ndarray, "band row"]]:
    """Share of each chain row that enters each band: 1, 0, or a fading share of gamma.

    A row enters if it is on the band's underlying and, where the band has `tenor_days`, is an option that
    expires in [from, to) days. Gamma fades linearly, min(1, days/gamma_fade_days), over the last days of a life.
    `time_to_expiry` (years, by row) replaces the chain's, for a later instant.
    """
    life = days(chain.time_to_expiry if time_to_expiry is None else time_to_expiry)
    labels = tuple(band.label for band in mandate.bands)
    twice = [label for label in labels if labels.count(label) > 1]
    if twice:
        raise BookError(f'the mandate has two bands "{twice[0]}"; merge them into one.')
    shares = [_share(chain, band, mandate, life) for band in mandate.bands]
    return labels, np.array(shares).reshape(len(labels), len(chain))


def band_offsets(chain: Chain, account: Account) -> Float[ndarray, " band"]:
    """Constant part of each band value: the coin equity for a collateral delta, 0 for everything else."""
    mandate = _mandate(account)
    if all(band.greek != "delta" or band.view is not View.COLLATERAL for band in mandate.bands):
        return np.zeros(len(mandate.bands))
    equity = coin_equity(chain, account)
    return np.array(
        [
            equity[band.underlying] if band.greek == "delta" and band.view is View.COLLATERAL else 0.0
            for band in mandate.bands
        ]
    )


def _fill_linear(chain: Chain, at: ndarray, line: dict[str, Rows], *, to: ndarray) -> None:
    """Futures, perpetuals and spot: delta, worth and price; every other quantity stays 0."""
    size, forward = chain.contract_size[at], chain.forward[at]
    is_alive = chain.time_to_expiry[at] > 0.0
    coins = is_alive * np.where(chain.is_inverse[at], size / forward, size)
    is_spot = np.array([chain.instruments[row].kind is Kind.SPOT for row in at], dtype=np.bool_)
    known = {
        "delta": coins,
        "delta_usd": coins,
        "delta_net": coins,
        "price": coins * forward,
        "value_usd": np.where(is_spot, size * chain.index[at], 0.0),
    }
    for name in line.keys() & known.keys():
        line[name][to] = known[name]


def _fill_options(chain: Chain, at: ndarray, line: dict[str, Rows], *, to: ndarray) -> None:
    size, forward, is_inverse = chain.contract_size[at], chain.forward[at], chain.is_inverse[at]
    options = black.options(
        forward=forward,
        strike=chain.strike[at],
        volatility=chain.mark_iv[at],
        time_to_expiry=chain.time_to_expiry[at],
        is_call=chain.is_call[at],
    )
    is_alive = options.time_to_expiry > 0.0
    price = size * black.price(options)
    coins = np.where(is_inverse, price / forward, 0.0)
    worth = {
        "price": price,
        "value_usd": np.where(is_inverse, coins * chain.index[at], price),
        "value_coin": coins,
    }
    for name, column in line.items():
        if name in worth:
            column[to] = worth[name]
        elif name == "delta_net":
            column[to] = is_alive * (size * black.delta(options) - coins)
        else:
            column[to] = is_alive * size * QUANTITIES["delta" if name == "delta_usd" else name](options)


def _share(chain: Chain, band: Band, mandate: Mandate, life: Rows) -> Rows:
    if band.underlying not in chain.underlyings:
        raise ChainError(f'band "{band.label}": the {chain.venue} chain has no {band.underlying}; drop the band.')
    share = (chain.underlying == band.underlying).astype(np.float64)
    if band.tenor_days is not None:
        start, end = band.tenor_days
        share *= chain.is_option & (life >= start) & (life < end)
    if band.greek == "gamma" and mandate.gamma_fade_days > 0.0:
        share *= np.clip(life / mandate.gamma_fade_days, 0.0, 1.0)
    return share


def _quantity(band: Band) -> str:
    if band.greek != "delta":
        return band.greek
    return "delta_usd" if band.view is View.USD else "delta_net"


def _listed(chain: Chain, account: Account) -> ndarray:
    try:
        return chain.rows(account.quantities())
    except ChainError as error:
        raise ChainError(f"{account.account_id}: {error}") from None


def _mandate(account: Account) -> Mandate:
    if account.mandate is None:
        raise BookError(f"{account.account_id} has no mandate, so it has no bands; add one to the book file.")
    return account.mandate


def _position(word: str, known: tuple[str, ...], *, what: str) -> int:
    if word not in known:
        raise InputError(f'no {what} "{word}" in this exposure; {nearest(word, known)}')
    return known.index(word)
