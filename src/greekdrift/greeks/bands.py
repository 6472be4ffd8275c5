"""The value of each band of a mandate: a linear map from the contracts that an account holds."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.typing import ArrayLike

from greekdrift.book import Account, Band, Chain, Mandate, View
from greekdrift.errors import BookError, ChainError, InputError
from greekdrift.greeks.exposure import coin_equity, line_quantities, listed, weights
from greekdrift.units import days

Rows = Float[ndarray, " row"]
Line = Mapping[str, Rows]


def band_values(
    chain: Chain, account: Account, *, rows: ArrayLike | None = None, line: Line | None = None
) -> dict[str, float]:
    """Value of each band of the account's mandate, by label: offset + matrix · contracts.

    `rows` are the row numbers that `line` holds; without a line only the rows held are valued.
    """
    mandate = _mandate(account)
    at = listed(chain, account) if rows is None else chain.numbers(rows)
    contracts = weights(chain, (account,))[0]
    left_out = np.setdiff1d(np.flatnonzero(contracts), at)
    if left_out.size:
        raise BookError(f"{account.account_id} holds {chain.instruments[left_out[0]].name}, which is not among rows.")
    own = line_quantities(chain, band_quantities(mandate), at) if line is None else line
    if line is not None and rows is None:
        own = {name: column[at] for name, column in line.items()}
    labels, selection = band_selection(chain, mandate)
    names = [band_quantity(band) for band in mandate.bands]
    offsets = band_offsets(chain, account)
    return {
        label: float(offsets[b] + (selection[b, at] * own[names[b]]) @ contracts[at]) for b, label in enumerate(labels)
    }


def band_quantity(band: Band) -> str:
    """Name of the line quantity that a band sums."""
    if band.greek != "delta":
        return band.greek
    return f"delta_{band.view}"


def band_quantities(mandate: Mandate) -> tuple[str, ...]:
    """Names of the line quantities that the mandate's bands need."""
    return tuple(dict.fromkeys(band_quantity(band) for band in mandate.bands))


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
    columns = [line[band_quantity(band)] for band in mandate.bands]
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


def _mandate(account: Account) -> Mandate:
    if account.mandate is None:
        raise BookError(f"{account.account_id} has no mandate, so it has no bands; add one to the book file.")
    return account.mandate
