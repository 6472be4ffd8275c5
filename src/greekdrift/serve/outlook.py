"""The forecast of accounts alone, without a proposal: also of those that gave no mandate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from greekdrift.book import Account, Chain, RuleSet, Scenarios
from greekdrift.errors import DataError, GreekdriftError
from greekdrift.features.history import Panel
from greekdrift.forecast.distribution import BOOK, COLLATERAL, Forecast, forecast
from greekdrift.forecast.forecaster import Predictor
from greekdrift.forecast.streamed import forecast_books
from greekdrift.margin import engine
from greekdrift.margin.ahead import Ahead, ahead
from greekdrift.policy.breach import quantities
from greekdrift.rebalance import stand_ins
from greekdrift.surface.collateral import NEEDED
from greekdrift.surface.fit import fit
from greekdrift.surface.revalue import Revaluation, part, revalue
from greekdrift.surface.slices import Surface
from greekdrift.units import aware, datetime64, from_datetime64, stamp


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outlook:
    """Forecasts of the accounts that can be forecast, and what is wrong with the others, by account.

    One forecast an account, or of all together where there is no margin to work out. `scenarios` and `surface` are what
    they were made from; None where nothing could be. `stand_ins` say by account which expiries that it holds are
    forecast along a stand-in, for their quotes gave no smile.
    """

    forecasts: tuple[Forecast, ...]
    problems: Mapping[str, str]
    scenarios: Scenarios | None = None
    surface: Surface | None = None
    stand_ins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def outlook(
    chain: Chain,
    accounts: Sequence[Account],
    *,
    predictor: Predictor,
    history: Panel,
    rules: RuleSet | None,
    horizons: Sequence[float],
    n: int,
    seed: int,
    names: Sequence[str] = BOOK,
    as_of: datetime | None = None,
) -> Outlook:
    """Forecasts of unchanged accounts: Greeks, bands, P&L, margin and equity, each priced once on shared scenarios.

    `names` are the quantities by underlying. Without rules there is neither margin nor equity, and books are summed up
    as they are priced, which is faster by far where they are large.

    Nothing is used that is known after `as_of` (when the chain is known, unless given): rows of the history are left
    out, and a chain is refused.
    """
    as_of = chain.known_at if as_of is None else aware(as_of)
    history = _known(chain, history, as_of)
    problems = {account.account_id: problem for account in accounts if (problem := _problem(chain, account))}
    alive = [account for account in accounts if account.account_id not in problems]
    if not alive:
        return Outlook(forecasts=(), problems=problems)
    rows = np.unique(np.concatenate([chain.rows(account.quantities()) for account in alive]))
    scenarios = predictor.predict(history, horizons=horizons, n=n, seed=seed)
    unknown = sorted({str(name) for name in chain.underlying[rows]} - set(scenarios.underlyings))
    if unknown:
        raise DataError(f"the model does not know {', '.join(unknown)}; train one that does, or leave them out.")
    surface = fit(chain, as_of=as_of)
    told = {one.account_id: tuple(lines) for one in alive if (lines := stand_ins(chain, one, surface.refused))}
    if rules is None and COLLATERAL not in names:
        together = forecast_books(chain, alive, surface=surface, scenarios=scenarios, names=names)
        return Outlook(forecasts=(together,), problems=problems, scenarios=scenarios, surface=surface, stand_ins=told)
    banded = {name for account in alive if account.mandate for name in quantities(account.mandate)}
    needed = {*names, *banded, *(NEEDED if COLLATERAL in names else ())} - {COLLATERAL}
    repriced = revalue(chain, surface, scenarios, rows=rows, names=tuple(sorted(needed)))
    found: list[Forecast] = []
    for account in alive:
        try:
            found.append(_of(chain, account, repriced, rules, scenarios.provenance, names))
        except GreekdriftError as problem:
            problems[account.account_id] = str(problem)
    return Outlook(forecasts=tuple(found), problems=problems, scenarios=scenarios, surface=surface, stand_ins=told)


def _known(chain: Chain, history: Panel, as_of: datetime) -> Panel:
    """The history that is known at an instant; its last row is that of the chain, or it is refused."""
    known = history.until(as_of)
    if known.as_of[-1] != datetime64(chain.as_of):
        raise DataError(
            f"what is known of the history at {stamp(as_of)} ends at {stamp(from_datetime64(known.as_of[-1]))}, the "
            f"chain is of {stamp(chain.as_of)}: give the latest chain that was known then, and a history with it as "
            "its last row (serve.history.with_chain)."
        )
    return known


def _problem(chain: Chain, account: Account) -> str:
    if not account.positions:
        return "it holds no position"
    try:
        chain.rows(account.quantities())
    except GreekdriftError as problem:
        return str(problem)
    return ""


def _of(
    chain: Chain,
    account: Account,
    repriced: Revaluation,
    rules: RuleSet | None,
    source: str,
    names: Sequence[str],
) -> Forecast:
    held = part(repriced, rows=np.unique(chain.rows(account.quantities())))
    extra = {} if rules is None else _margin(chain, account, held, rules)
    return forecast(
        chain,
        [account],
        held,
        names=names,
        extra={name: samples for name, (samples, _) in extra.items()},
        extra_now={name: np.array([value]) for name, (_, value) in extra.items()},
        provenance=source,
    )


def _margin(chain: Chain, account: Account, held: Revaluation, rules: RuleSet) -> dict[str, tuple[np.ndarray, float]]:
    """Samples of margin and equity, and what they are now."""
    now = engine.requirement(chain, account, rules)
    later: Ahead = ahead(chain, [account], rules, held, equity_usd=[now.equity_usd])
    return {
        "initial_margin_usd": (later.initial_margin, now.initial_margin_usd),
        "maintenance_margin_usd": (later.maintenance_margin, now.maintenance_margin_usd),
        "equity_usd": (later.equity, now.equity_usd),
        "excess_usd": (-later.shortfall, now.excess_usd),
    }
