"""The forecast of margin: where requirement and excess of unchanged accounts will be, and what cash they will need.

The market state is forecast and pushed through the margin engine; nothing models margin itself. With E the equity and
IM, MM the requirements, at the checks t₁ < t₂ < …

    excess = E − IM            a call is due where it is below 0 at a check (to hold what is held, for IM-based venues)
    liquidation excess = E − MM                       below 0 at a check: the venue closes positions
    fall(t) = excess(0) − excess(t)                   what must be paid in to stand where the account stood
    outlay(t) = E(0) − E(t) + (IM(t) − IM(0))⁺        cash paid out and the rise of IM; a fall of IM frees none
    LaR_a(H) = max(0, Q_a[max over checks t ≤ H of outlay(t)])          liquidity at risk

Nothing is seen between checks. Cost of a hedge is no part of it: the account trades nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Account, Chain, RuleSet, Scenarios
from greekdrift.errors import InputError
from greekdrift.forecast import monte_carlo
from greekdrift.forecast.distribution import Forecast, TimeToBreach
from greekdrift.greeks.exposure import weights
from greekdrift.margin.ahead import ahead
from greekdrift.margin.buffer import liquidity_at_risk
from greekdrift.margin.engine import requirement
from greekdrift.surface.revalue import Revaluation, part, revalue
from greekdrift.surface.slices import Surface

QUANTITIES = (
    "initial_margin_usd",
    "maintenance_margin_usd",
    "equity_usd",
    "excess_usd",
    "liquidation_excess_usd",
)
INITIAL, MAINTENANCE, EQUITY, EXCESS, LIQUIDATION = QUANTITIES

Paths = Float[ndarray, "scenario check"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarginForecast:
    """Joint distribution of margin and equity of accounts at the checks; `rules` names the dated rule set.

    `forecast` holds `QUANTITIES` of every account in USD: quantiles, means and their errors are asked there.
    """

    forecast: Forecast
    rules: str

    @property
    def account_ids(self) -> tuple[str, ...]:
        """The accounts, in order."""
        return self.forecast.account_ids

    @property
    def checks(self) -> Float[ndarray, " check"]:
        """Hours from the origin at which margin is looked at."""
        return self.forecast.horizons

    def call(self, account_id: str) -> TimeToBreach:
        """When the account is first called: equity below the initial margin at a check."""
        return self.forecast.time_below(account_id, EXCESS, 0.0)

    def liquidation(self, account_id: str) -> TimeToBreach:
        """When the account is first liquidated: equity below the maintenance margin at a check."""
        return self.forecast.time_below(account_id, LIQUIDATION, 0.0)

    def call_at(self, account_id: str, multiple: float) -> TimeToBreach:
        """When it would first be called had it begun with equity of `multiple` times its initial margin."""
        if not multiple > 0.0:
            raise InputError(f"equity of {multiple:g} times the initial margin: give a positive multiple, such as 1.1.")
        cushion = (multiple - 1.0) * self.forecast.value_now(account_id, INITIAL)
        return self.forecast.time_below(account_id, EXCESS, self.forecast.value_now(account_id, EXCESS) - cushion)

    def fall(self, account_id: str) -> Paths:
        """Fall of the excess at each check in each scenario, USD; negative where it rose."""
        return self.forecast.value_now(account_id, EXCESS) - self.forecast.of(account_id, EXCESS)

    def outlay(self, account_id: str) -> Paths:
        """Cash paid out and the rise of the initial margin at each check in each scenario, USD."""
        paid = self.forecast.value_now(account_id, EQUITY) - self.forecast.of(account_id, EQUITY)
        rise = self.forecast.of(account_id, INITIAL) - self.forecast.value_now(account_id, INITIAL)
        found: Paths = paid + np.maximum(rise, 0.0)
        return found

    def liquidity_at_risk(self, account_id: str, *, level: float = 0.99) -> Float[ndarray, " check"]:
        """LaR by the end of each check: the quantile of the largest outlay until then, at least 0, USD."""
        return liquidity_at_risk(self.outlay(account_id), self.forecast.weights, level=level)

    def liquidity_error(self, account_id: str, *, level: float = 0.99) -> Float[ndarray, " check"]:
        """Monte-Carlo standard error of `liquidity_at_risk`."""
        largest = np.maximum.accumulate(self.outlay(account_id), axis=1)
        found: Float[ndarray, " check"] = monte_carlo.quantile_errors(largest, self.forecast.weights, [level])[0]
        return found


def margin_forecast(
    chain: Chain, accounts: Sequence[Account], rules: RuleSet, *, surface: Surface, scenarios: Scenarios
) -> MarginForecast:
    """The forecast of margin of unchanged accounts: every contract held is priced once per scenario and check.

    An account's numbers are the same bits whatever the others hold. One without a position has nothing to forecast and
    is refused.
    """
    idle = [account.account_id for account in accounts if not account.positions]
    if idle or not accounts:
        raise InputError(f"margin ahead: {idle[0] if idle else 'no account'} holds no position; leave it out.")
    rows = np.flatnonzero(np.any(weights(chain, accounts) != 0.0, axis=0))
    repriced = revalue(chain, surface, scenarios, rows=rows, names=())
    now = [requirement(chain, account, rules) for account in accounts]
    equity = [one.equity_usd for one in now]
    samples = [
        _samples(chain, account, rules, repriced, equity_usd=own) for account, own in zip(accounts, equity, strict=True)
    ]
    present = [
        (
            one.initial_margin_usd,
            one.maintenance_margin_usd,
            one.equity_usd,
            one.excess_usd,
            one.equity_usd - one.maintenance_margin_usd,
        )
        for one in now
    ]
    return MarginForecast(
        forecast=Forecast(
            account_ids=tuple(account.account_id for account in accounts),
            quantities=QUANTITIES,
            horizons=scenarios.horizons,
            samples=np.stack(samples, axis=2),
            weights=scenarios.weights,
            now=np.array(present),
            as_of=chain.as_of,
            provenance=scenarios.provenance,
        ),
        rules=f"{rules.name} of {rules.dated}",
    )


def _samples(
    chain: Chain, account: Account, rules: RuleSet, repriced: Revaluation, *, equity_usd: float
) -> Float[ndarray, "scenario check quantity"]:
    """`QUANTITIES` of one account, from its own rows alone: the same bits whatever else was priced."""
    held = part(repriced, rows=np.unique(chain.rows(account.quantities())))
    later = ahead(chain, [account], rules, held, equity_usd=[equity_usd])
    columns = (
        later.initial_margin,
        later.maintenance_margin,
        later.equity,
        -later.shortfall,
        later.equity - later.maintenance_margin,
    )
    return np.stack([column[:, :, 0] for column in columns], axis=-1)
