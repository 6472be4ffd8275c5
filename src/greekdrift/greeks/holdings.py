"""Signed contracts of accounts on a chain, kept sparse: a book is unique instruments times weights.

Sums run account by account over the lines of that account alone, in order of the chain's rows: what one account holds
cannot change a bit of another's figures, nor can the order of its positions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy import sparse

from greekdrift.book import Account, Chain
from greekdrift.errors import BookError, ChainError

_NAME, _QUANTITY = attrgetter("instrument.name"), attrgetter("quantity")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Holdings:
    """Lines of accounts: account a holds `contracts[starts[a]:starts[a + 1]]` of the chain rows `rows[place[…]]`.

    `rows` are the rows that somebody holds, increasing; `collateral` is by currency that has an index price.
    """

    account_ids: tuple[str, ...]
    rows: Int[ndarray, " held"]
    starts: Int[ndarray, " border"]
    place: Int[ndarray, " line"]
    contracts: Float[ndarray, " line"]
    collateral: Mapping[str, Float[ndarray, " account"]]

    @classmethod
    def of(cls, chain: Chain, accounts: Sequence[Account]) -> Self:
        """The lines of accounts; a position that the chain does not list is refused."""
        positions = [position for account in accounts for position in account.positions]
        row_of = dict(chain.row_of)
        found = [row_of.get(name) for name in map(_NAME, positions)]
        if None in found:
            _refuse(chain, accounts)
        rows, count = np.array(found, dtype=np.int64), len(positions)
        contracts = np.fromiter(map(_QUANTITY, positions), dtype=np.float64, count=count)
        starts = np.cumsum([0, *(len(account.positions) for account in accounts)])
        lines = sparse.csr_array((contracts, rows, starts), shape=(len(accounts), len(chain)))
        collateral = {
            name: np.array([account.collateral.get(name, 0.0) for account in accounts])
            for name in sorted({name for account in accounts for name in account.collateral})
            if name in chain.index_price
        }
        return cls._of_lines(lines, tuple(account.account_id for account in accounts), collateral)

    @classmethod
    def of_table(
        cls,
        chain: Chain,
        table: Any,
        *,
        account_ids: Sequence[str] | None = None,
        collateral: Mapping[str, Float[ndarray, " account"]] | None = None,
    ) -> Self:
        """The lines of a table (account, chain row) of contracts, dense or any of `scipy.sparse`; duplicates add up.

        Accounts are numbered where they have no names.
        """
        lines = sparse.csr_array(table, dtype=np.float64, copy=True) if sparse.issparse(table) else _dense(table)
        count, rows = lines.shape
        ids = tuple(str(number) for number in range(count)) if account_ids is None else tuple(account_ids)
        if rows != len(chain) or len(ids) != count:
            raise BookError(
                f"a table of {count} accounts × {rows} rows does not fit {len(ids)} names and a chain of {len(chain)} "
                "rows; give a row per account and a column per row of the chain."
            )
        if not np.all(np.isfinite(lines.data)):
            raise BookError("the table holds a number of contracts that is not finite; put 0 where nothing is held.")
        coins = {name: np.asarray(held, dtype=np.float64) for name, held in (collateral or {}).items()}
        for name, held in coins.items():
            if held.shape != (count,) or not np.all(np.isfinite(held)):
                raise BookError(f"collateral {name} is not {count} finite numbers; give one per account.")
            if name not in chain.index_price:
                raise BookError(f"collateral {name} has no index price on {chain.venue}; leave cash out.")
        return cls._of_lines(lines, ids, coins)

    @classmethod
    def _of_lines(cls, lines: Any, ids: tuple[str, ...], collateral: Mapping[str, ndarray]) -> Self:
        lines.sum_duplicates()
        lines.eliminate_zeros()
        is_held = np.zeros(lines.shape[1], dtype=np.bool_)
        is_held[lines.indices] = True
        return cls(
            account_ids=ids,
            rows=np.flatnonzero(is_held),
            starts=lines.indptr.astype(np.int64),
            place=(np.cumsum(is_held) - 1)[lines.indices],
            contracts=lines.data,
            collateral=MappingProxyType(dict(collateral)),
        )

    def sums(self, columns: Float[ndarray, "held quantity"]) -> Float[ndarray, "account quantity"]:
        """Σ contracts × quantity of each account; `columns` are per contract of the held `rows`."""
        shape = (len(self.account_ids), self.rows.size)
        found: ndarray = sparse.csr_array((self.contracts, self.place, self.starts), shape=shape) @ columns
        return found

    def table(self, rows: int) -> Float[ndarray, "account row"]:
        """Contracts by account and chain row, for a chain of so many rows."""
        dense = np.zeros((len(self.account_ids), rows))
        account = np.repeat(np.arange(len(self.account_ids)), np.diff(self.starts))
        dense[account, self.rows[self.place]] = self.contracts
        return dense


def _dense(table: Any) -> Any:
    """The entries of a dense table that are not 0, as lines."""
    given = np.asarray(table, dtype=np.float64)
    if given.ndim != 2:
        raise BookError(f"a table of holdings has two axes, account and row; this one has the shape {given.shape}.")
    account, row = np.nonzero(given)
    starts = np.concatenate([[0], np.cumsum(np.bincount(account, minlength=len(given)))])
    return sparse.csr_array((given[account, row], row, starts), shape=given.shape)


def _refuse(chain: Chain, accounts: Sequence[Account]) -> None:
    """Raise for the first position that the chain does not list."""
    for account in accounts:
        try:
            chain.rows(account.quantities())
        except ChainError as error:
            raise ChainError(f"{account.account_id}: {error}") from None
