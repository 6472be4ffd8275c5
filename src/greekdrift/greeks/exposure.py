"""Greeks of chains and books: quantities per contract, and contracts times those.

Options are valued at the forward and `mark_iv` of their own row, undiscounted. Per contract, with V the Black value:

| row                       | delta_usd   | delta_net        | delta_collateral  | value_usd      | higher Greeks |
|---------------------------|-------------|------------------|-------------------|----------------|---------------|
| inverse option of c coins | c ∂V/∂F     | c (∂V/∂F − V/F)  | as net            | c (V/F) index  | c × Greek     |
| linear option of c coins  | c ∂V/∂F     | c ∂V/∂F          | net × F/index     | c V            | c × Greek     |
| inverse future, perpetual | size/F      | size/F           | as net            | 0              | 0             |
| linear future, perpetual  | size        | size             | net × F/index     | 0              | 0             |
| spot                      | size        | size             | size              | size × index   | 0             |

Deltas in coins, value, vega and theta in USD (vega per 1.00, theta per year); gamma is coins per USD. The collateral
delta of a contract is what it adds to d(equity in USD)/dS beside its coin value, which counts in the coin equity
(`greeks.inverse`). Futures and perpetuals are marked to market, so that their worth is 0 and, in USD, linear in the
price. Over the settlement average of the chain's venue, options and dated futures fade (`greeks.settlement`), so that
a future has a charm there. A contract at the very instant of its expiry contributes its settlement value and no risk.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from numpy.typing import ArrayLike

from greekdrift.book import Account, Chain
from greekdrift.errors import ChainError, InputError, nearest
from greekdrift.greeks import inverse, settlement
from greekdrift.greeks.holdings import Holdings
from greekdrift.greeks.table import QUANTITIES, compute

Rows = Float[ndarray, " row"]
Line = Mapping[str, Rows]

MONEY = ("value_usd", "value_coin", "delta_usd", "delta_net", "delta_collateral")
"""Names of a line beyond the quantities of `compute`."""

BOOK = ("value_usd", "delta_usd", "delta_net", "gamma", "vega", "theta")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Priced:
    """Quantities per contract of some chain `rows`, increasing; `underlying` numbers the column of each."""

    row_of: Mapping[str, int]
    rows: Int[ndarray, " row"]
    underlying: Int[ndarray, " row"]
    quantities: Line

    def place(self, name: str) -> int:
        """Where an instrument stands among the rows; one that was not valued is refused."""
        row = self.row_of.get(name)
        if row is None:
            raise InputError(f'"{name}" is not listed in the chain of this exposure; {nearest(name, self.row_of)}')
        place = int(np.searchsorted(self.rows, row))
        if place == self.rows.size or self.rows[place] != row:
            raise InputError(f"{name} was not valued in this exposure; pass its row: exposure(…, rows=…).")
        return place


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exposure:
    """Greeks of accounts by underlying: each of `quantities` is an array (account, underlying).

    Beside the names asked for it always holds `delta_net`, `coin_equity` (coin collateral plus the coin value of
    inverse options) and `delta_collateral`. `priced` holds the contracts behind it, for `with_change`.
    """

    account_ids: tuple[str, ...]
    underlyings: tuple[str, ...]
    quantities: Mapping[str, Float[ndarray, "account underlying"]]
    priced: Priced

    def value(self, account_id: str, underlying: str, name: str) -> float:
        """One figure; an unknown word is answered with the nearest right one."""
        row = _position(account_id, self.account_ids, what="account")
        column = _position(underlying, self.underlyings, what="underlying")
        if name not in self.quantities:
            raise InputError(f'no quantity "{name}" in this exposure; {nearest(name, self.quantities)}')
        return float(self.quantities[name][row, column])

    def with_change(
        self, account_id: str, contracts: Mapping[str, float], *, collateral: Mapping[str, float] | None = None
    ) -> "Exposure":
        """The exposure after one account has changed its contracts and its collateral by so much, without repricing.

        An instrument that was not valued is refused: ask `exposure` for its row too. Money without an index price
        (cash) has no exposure and is passed over.
        """
        row = _position(account_id, self.account_ids, what="account")
        changed = {name: column.copy() for name, column in self.quantities.items()}
        line = self.priced.quantities
        for name, change in contracts.items():
            place = self.priced.place(name)
            at = row, int(self.priced.underlying[place])
            for quantity, column in changed.items():
                if quantity != "coin_equity":
                    column[at] += change * line[quantity][place]
            changed["coin_equity"][at] += change * line["value_coin"][place]
            changed["delta_collateral"][at] += change * line["value_coin"][place]
        for currency, change in (collateral or {}).items():
            if currency in self.underlyings:
                at = row, self.underlyings.index(currency)
                changed["coin_equity"][at] += change
                changed["delta_collateral"][at] += change
        return replace(self, quantities=_frozen(changed))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Deltas:
    """The three deltas of accounts side by side, in coins, and the coin equity; axes (account, underlying).

    `usd` is the venue's N(d₁) on the forward, `net` premium-adjusted, `collateral` is d(equity in USD)/dS.
    """

    account_ids: tuple[str, ...]
    underlyings: tuple[str, ...]
    usd: Float[ndarray, "account underlying"]
    net: Float[ndarray, "account underlying"]
    collateral: Float[ndarray, "account underlying"]
    coin_equity: Float[ndarray, "account underlying"]


def line_quantities(chain: Chain, names: Sequence[str], rows: ArrayLike | None = None) -> dict[str, Rows]:
    """Quantities per contract of chain rows (all, or those numbered), by name.

    Names: those of `greeks.compute` (`delta` is `delta_usd`; `price` is the USD worth of one contract on its
    forward) and `value_usd`, `value_coin`, `delta_usd`, `delta_net`, `delta_collateral`. Units and conventions: the
    table above.
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
    return Holdings.of(chain, accounts).table(len(chain))


def exposure(
    chain: Chain,
    accounts: Sequence[Account] | Holdings,
    names: Sequence[str] = BOOK,
    *,
    rows: ArrayLike | None = None,
) -> Exposure:
    """Named quantities of each account by underlying, summed over its positions.

    Each instrument that is held is valued once, however many hold it, and so are `rows`, for changes to come. `names`
    as in `line_quantities`. Underlyings are those of the chain, and coins with an index price that are collateral.
    """
    held = accounts if isinstance(accounts, Holdings) else Holdings.of(chain, accounts)
    own = tuple(dict.fromkeys((*names, "delta_net", "delta_collateral")))
    valued = np.union1d(held.rows, chain.numbers(() if rows is None else rows))
    line = line_quantities(chain, (*dict.fromkeys((*own, "value_coin")),), valued)
    underlyings = tuple(sorted({*chain.underlyings, *held.collateral}))
    column = np.searchsorted(underlyings, chain.underlying[valued])
    sums = _by_underlying(held, line, column, at=np.searchsorted(valued, held.rows), count=len(underlyings))
    coins = np.zeros((len(held.account_ids), len(underlyings)))
    for name, amount in held.collateral.items():
        coins[:, underlyings.index(name)] = amount
    coins += sums["value_coin"]
    found = {name: sums[name] for name in own}
    found |= {
        "coin_equity": coins,
        "delta_collateral": inverse.delta_collateral(sums["delta_collateral"], coin_equity=coins),
    }
    return Exposure(
        account_ids=held.account_ids,
        underlyings=underlyings,
        quantities=_frozen(found),
        priced=Priced(row_of=chain.row_of, rows=valued, underlying=column, quantities=_frozen(line)),
    )


def deltas(chain: Chain, accounts: Sequence[Account] | Holdings) -> Deltas:
    """The three deltas of accounts by underlying, side by side (formulas: `greeks.inverse`)."""
    found = exposure(chain, accounts, ("delta_usd", "delta_net"))
    return Deltas(
        account_ids=found.account_ids,
        underlyings=found.underlyings,
        usd=found.quantities["delta_usd"],
        net=found.quantities["delta_net"],
        collateral=found.quantities["delta_collateral"],
        coin_equity=found.quantities["coin_equity"],
    )


def own_parts(
    chain: Chain, net: ndarray, *, rows: ArrayLike, forward: ndarray, index: ndarray, time_to_expiry: ndarray
) -> ndarray:
    """`delta_collateral` per contract of some rows in other states of the market, from their `delta_net` there.

    The last axis of all arrays is the row; `index` is the index price of each row's underlying.
    """
    at = chain.numbers(rows)
    share = settlement.floating_share(time_to_expiry, window=chain.settlement_window)
    unlevered = chain.is_inverse[at] | chain.is_spot[at]
    return inverse.own_part(net, forward=forward, index=index, is_inverse=unlevered, share=share)


def listed(chain: Chain, account: Account) -> ndarray:
    """Chain rows of an account's positions, in their order; one that is not listed is refused."""
    try:
        return chain.rows(account.quantities())
    except ChainError as error:
        raise ChainError(f"{account.account_id}: {error}") from None


def coin_equity(chain: Chain, account: Account) -> dict[str, float]:
    """Coin collateral plus the coin value of inverse options, by underlying of the chain."""
    rows = listed(chain, account)
    worth = line_quantities(chain, ("value_coin",), rows)["value_coin"] * list(account.quantities().values())
    return {
        name: account.collateral.get(name, 0.0) + float(worth[chain.underlying[rows] == name].sum())
        for name in chain.underlyings
    }


def _by_underlying(
    held: Holdings, line: Line, column: Int[ndarray, " row"], *, at: Int[ndarray, " held"], count: int
) -> dict[str, Float[ndarray, "account underlying"]]:
    """Sums of each quantity by account and underlying; `at` are the places of the held rows among those valued."""
    stacked = np.zeros((at.size, len(line), count))
    for number, values in enumerate(line.values()):
        stacked[np.arange(at.size), number, column[at]] = values[at]
    sums = held.sums(stacked.reshape(at.size, len(line) * count)).reshape(len(held.account_ids), len(line), count)
    return {name: np.ascontiguousarray(sums[:, number]) for number, name in enumerate(line)}


def _frozen(columns: Mapping[str, ndarray]) -> Mapping[str, ndarray]:
    for column in columns.values():
        column.setflags(write=False)
    return MappingProxyType(dict(columns))


def _fill_linear(chain: Chain, at: ndarray, line: dict[str, Rows], *, to: ndarray) -> None:
    """Futures, perpetuals and spot: deltas, worth and price; every other quantity stays 0."""
    size, forward, index, is_inverse = chain.contract_size[at], chain.forward[at], chain.index[at], chain.is_inverse[at]
    is_alive = chain.time_to_expiry[at] > 0.0
    share = settlement.floating_share(chain.time_to_expiry[at], window=chain.settlement_window)
    coins = is_alive * share * np.where(is_inverse, size / forward, size)
    net = np.where(is_inverse, inverse.net(coins, 0.0, forward=forward, index=index, share=share), coins)
    known = {
        "delta": coins,
        "delta_usd": coins,
        "delta_net": net,
        "delta_collateral": own_parts(
            chain, net, rows=at, forward=forward, index=index, time_to_expiry=chain.time_to_expiry[at]
        ),
        "charm": inverse.future_charm(coins, time_to_expiry=chain.time_to_expiry[at], share=share),
        "price": is_alive * size * np.where(is_inverse, 1.0, forward),
        "value_usd": np.where(chain.is_spot[at], size * index, 0.0),
    }
    for name in line.keys() & known.keys():
        line[name][to] = known[name]


def _fill_options(chain: Chain, at: ndarray, line: dict[str, Rows], *, to: ndarray) -> None:
    size, forward, index, is_inverse = chain.contract_size[at], chain.forward[at], chain.index[at], chain.is_inverse[at]
    share = settlement.floating_share(chain.time_to_expiry[at], window=chain.settlement_window)
    found = _options(chain, at, tuple(QUANTITIES.keys() & {*line, "price", "delta"}), is_inside=share < 1.0)
    is_alive = chain.time_to_expiry[at] > 0.0
    price = size * found.pop("price")
    coins = np.where(is_inverse, price / forward, 0.0)
    known = {name: is_alive * (size * values) for name, values in found.items()}
    delta = known["delta"]
    net = np.where(is_inverse, is_alive * inverse.net(delta, coins, forward=forward, index=index, share=share), delta)
    known |= {
        "price": price,
        "value_usd": np.where(is_inverse, coins * index, price),
        "value_coin": coins,
        "delta_usd": delta,
        "delta_net": net,
        "delta_collateral": own_parts(
            chain, net, rows=at, forward=forward, index=index, time_to_expiry=chain.time_to_expiry[at]
        ),
    }
    for name, column in line.items():
        column[to] = known[name]


def _options(chain: Chain, at: ndarray, names: Sequence[str], *, is_inside: ndarray) -> dict[str, Rows]:
    """Quantities of one coin of options, those inside the settlement window on the remaining average."""
    columns = {"forward": chain.forward, "strike": chain.strike, "volatility": chain.mark_iv}
    columns |= {"time_to_expiry": chain.time_to_expiry, "is_call": chain.is_call}
    found = compute(names, **{name: column[at] for name, column in columns.items()})
    if np.any(is_inside):
        few = at[is_inside]
        fading = settlement.fading(
            names,
            index=chain.index[few],
            window=chain.settlement_window,
            **{name: column[few] for name, column in columns.items()},
        )
        for name, values in fading.items():
            found[name][is_inside] = values
    return found


def _position(word: str, known: tuple[str, ...], *, what: str) -> int:
    if word not in known:
        raise InputError(f'no {what} "{word}" in this exposure; {nearest(word, known)}')
    return known.index(word)
