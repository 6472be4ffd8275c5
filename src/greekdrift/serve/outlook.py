"""The forecast of accounts alone, without a proposal: also of those that gave no mandate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from greekdrift.book import Account, Chain, RuleSet
from greekdrift.errors import DataError, GreekdriftError
from greekdrift.features.history import Panel
from greekdrift.forecast.distribution import BOOK, Forecast, forecast
from greekdrift.forecast.forecaster import Predictor
from greekdrift.margin import grid
from greekdrift.policy.ahead import Ahead, ahead, part
from greekdrift.policy.breach import quantities
from greekdrift.surface.fit import fit
from greekdrift.surface.revalue import Revaluation, revalue


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outlook:
    """One forecast per account that can be forecast, and what is wrong with the others, by account."""

    forecasts: tuple[Forecast, ...]
    problems: Mapping[str, str]


def outlook(
    chain: Chain,
    accounts: Sequence[Account],
    *,
    predictor: Predictor,
    history: Panel,
    rules: RuleSet,
    horizons: Sequence[float],
    n: int,
    seed: int,
) -> Outlook:
    """Forecasts of unchanged accounts: Greeks, bands, P&L, margin and equity, each priced once on shared scenarios."""
    problems = {account.account_id: problem for account in accounts if (problem := _problem(chain, account))}
    alive = [account for account in accounts if account.account_id not in problems]
    if not alive:
        return Outlook(forecasts=(), problems=problems)
    rows = np.unique(np.concatenate([chain.rows(account.quantities()) for account in alive]))
    names = {*BOOK, *(name for account in alive if account.mandate for name in quantities(account.mandate))}
    scenarios = predictor.predict(history, horizons=horizons, n=n, seed=seed)
    unknown = sorted({str(name) for name in chain.underlying[rows]} - set(scenarios.underlyings))
    if unknown:
        raise DataError(f"the model does not know {', '.join(unknown)}; train one that does, or leave them out.")
    repriced = revalue(chain, fit(chain), scenarios, rows=rows, names=tuple(sorted(names)))
    found = []
    for account in alive:
        try:
            found.append(_of(chain, account, repriced, rules, scenarios.provenance))
        except GreekdriftError as problem:
            problems[account.account_id] = str(problem)
    return Outlook(forecasts=tuple(found), problems=problems)


def _problem(chain: Chain, account: Account) -> str:
    if not account.positions:
        return "it holds no position"
    try:
        chain.rows(account.quantities())
    except GreekdriftError as problem:
        return str(problem)
    return ""


def _of(chain: Chain, account: Account, repriced: Revaluation, rules: RuleSet, source: str) -> Forecast:
    held = part(repriced, rows=np.unique(chain.rows(account.quantities())))
    now = grid.requirement(chain, account, rules)
    later: Ahead = ahead(chain, [account], rules, held, equity_usd=[now.equity_usd])
    extra = {
        "initial_margin_usd": (later.initial_margin, now.initial_margin_usd),
        "maintenance_margin_usd": (later.maintenance_margin, now.maintenance_margin_usd),
        "equity_usd": (later.equity, now.equity_usd),
        "excess_usd": (-later.shortfall, now.excess_usd),
    }
    return forecast(
        chain,
        [account],
        held,
        extra={name: samples for name, (samples, _) in extra.items()},
        extra_now={name: np.array([value]) for name, (_, value) in extra.items()},
        provenance=source,
    )
