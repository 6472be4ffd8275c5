"""Net-portfolio margin, vectorised over legs, scenarios, accounts and market states. Model: `book.rules`.

Every leg is valued once per scenario; the margin of any number of accounts follows by one product with their
weights per expiry. Equal to `margin.naive` (tests/golden/test_derive_pmrm2.py, tests/properties/test_margin.py).
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.book import Account, Chain
from greekdrift.book.collateral import Role
from greekdrift.book.rules import NetPortfolio, NetPortfolioParameters, RuleSet, net_parameters
from greekdrift.margin.assess import (
    Assessment,
    Holdings,
    assess,
    holdings_of,
    net_margin_of,
    states_of,
    strike_totals,
)
from greekdrift.margin.lines import (
    Lines,
    Moved,
    Weights,
    all_lines,
    cash_balance,
    coin_balances,
    coins_of,
    contracts,
    held_rows,
    index_price,
    marked,
    settled_coins,
)
from greekdrift.margin.result import MarginResult, NetMargin
from greekdrift.margin.shocks import OptionStates, Worths, static_discounts, worths
from greekdrift.margin.trust import Trust, doubt_slopes, doubt_usd, trust_of

BLOCK = 200_000
"""Values per block of a forecast: what stays in a processor's cache."""


def requirement(chain: Chain, account: Account, rules: RuleSet) -> MarginResult:
    """Margin requirement of an account at a chain's marks; how a chain is read is in `margin.lines`.

    Underlyings add without offset. Collateral coins belong to the portfolio of their own underlying.
    """
    p = net_parameters(rules)
    rows = held_rows(chain, [account])
    quantities, coins = contracts(chain, [account], rows), coin_balances([account], p)
    parts = []
    for line in all_lines(chain, rows, coins):
        name = line.underlying
        moved = marked(chain, rows, name)
        held = _holdings(line, moved, quantities, coins_of(line, quantities, coins), p, trust_of(chain, rows, line))
        states = line.option_states(moved)
        price = index_price(chain, name) / trust_of(chain, rows, line).stable_price
        value = float(price * (coins_of(line, quantities, coins)[0]))
        found = assess(states, worths(states, p), held, p)
        parts.append(net_margin_of(name, states, held, found, equity_usd=value, collateral_usd=value, p=p))
    return MarginResult(
        initial_margin_usd=sum(part.initial_margin_usd for part in parts),
        maintenance_margin_usd=sum(part.maintenance_margin_usd for part in parts),
        equity_usd=cash_balance(account, p) + sum(part.equity_usd for part in parts),
        worst_scenario="; ".join(f"{part.underlying}: {part.worst_scenario}" for part in parts),
        scenario_pnl={f"{part.underlying}: {key}": pnl for part in parts for key, pnl in part.scenario_pnl.items()},
        parts=tuple(parts),
    )


def requirements(
    chain: Chain,
    weights: Weights,
    rules: RuleSet,
    *,
    rows: Int[ndarray, " row"],
    coins: Mapping[str, Float[ndarray, " account"]],
) -> tuple[Float[ndarray, " account"], Float[ndarray, " account"]]:
    """Initial and maintenance margin of many books at a chain's marks, USD.

    `weights` are signed contracts (account, row) of the chain's `rows`, `coins` each account's collateral by
    currency; cash does not matter to a requirement.
    """
    p = net_parameters(rules)
    initial, maintenance = np.zeros(len(weights)), np.zeros(len(weights))
    for line in all_lines(chain, rows, coins):
        moved = marked(chain, rows, line.underlying)
        held = _holdings(line, moved, weights, coins_of(line, weights, coins), p, trust_of(chain, rows, line))
        states = line.option_states(moved)
        found = assess(states, worths(states, p), held, p)
        initial += found.initial_margin[0]
        maintenance += found.maintenance_margin[0]
    return initial, maintenance


def forecast_requirements(
    chain: Chain,
    accounts: Sequence[Account],
    rules: RuleSet,
    *,
    rows: Int[ndarray, " row"],
    underlyings: Sequence[str],
    forward: Float[ndarray, "scenario horizon row"],
    volatility: Float[ndarray, "scenario horizon row"],
    time_to_expiry: Float[ndarray, "horizon row"],
    index: Float[ndarray, "scenario horizon underlying"],
) -> tuple[Float[ndarray, "scenario horizon account"], Float[ndarray, "scenario horizon account"]]:
    """Initial and maintenance margin of unchanged books in every scenario at every horizon, USD.

    `rows` are rows of the chain that cover all positions; forward, volatility, index and time left are those at
    the horizon. What happens to the books until then is part of it: inverse lines pay their P&L in coin, an
    option that has expired by the horizon is settled at the forward and gone. Worked in blocks; no array of
    scenarios × rule scenarios × rows is kept beyond one.
    """
    p = net_parameters(rules)
    weights, coins = contracts(chain, accounts, rows), coin_balances(accounts, p)
    initial = np.zeros((*forward.shape[:2], len(accounts)))
    maintenance = np.zeros_like(initial)
    for line in all_lines(chain, rows, coins):
        at = list(underlyings).index(line.underlying) if line.underlying in underlyings else None
        trust = trust_of(chain, rows, line)
        per_state = max(len(line.options), 1) * (len(p.scenarios) + len(p.skew_scenarios) + 3)
        block = max(1, BLOCK // per_state)
        for horizon in range(forward.shape[1]):
            for start in range(0, len(forward), block):
                part = slice(start, start + block)
                size = len(forward[part])
                spot = np.full(size, index_price(chain, line.underlying)) if at is None else index[part, horizon, at]
                moved = Moved(
                    forward=forward[part, horizon],
                    volatility=volatility[part, horizon],
                    years=time_to_expiry[horizon],
                    index=spot,
                )
                balance = coins_of(line, weights, coins) + settled_coins(chain, rows, line, moved, weights)
                held = _holdings(line, moved, np.where(moved.years > 0.0, weights, 0.0), balance, p, trust)
                states = line.option_states(moved)
                found = assess(states, worths(states, p), held, p)
                initial[part, horizon] += found.initial_margin
                maintenance[part, horizon] += found.maintenance_margin
    return initial, maintenance


def subgradient(chain: Chain, account: Account, rules: RuleSet, rows: Int[ndarray, " row"]) -> Float[ndarray, " row"]:
    """Change of the initial margin per contract bought of each row, at the account, USD.

    Taken from the binding scenario of the row's underlying; the premium of an option, at its Black value, leaves the
    coin collateral where it is paid in the coin. At a kink (two scenarios bind, a line at zero) it is the slope on
    one side, as the margin itself: with the loss of the first binding scenario, and 0 for |0|. A cut for a
    rule set that does not declare itself convex is a local one.
    """
    p = net_parameters(rules)
    every = np.union1d(held_rows(chain, [account]), rows)
    quantities, coins = contracts(chain, [account], every), coin_balances([account], p)
    slope = np.zeros(len(every))
    for line in all_lines(chain, every, coins):
        _add_slopes(slope, chain, every, line, quantities, coins_of(line, quantities, coins), p)
    return slope[np.searchsorted(every, rows)]


def net_margin(portfolio: NetPortfolio, parameters: NetPortfolioParameters) -> NetMargin:
    """Margin of one portfolio given by exactly the model's inputs.

    >>> from greekdrift.book.rules import NetLinear
    >>> from greekdrift.config import load_rules
    >>> short_perpetual = NetPortfolio(
    ...     underlying="BTC", cash=50_000.0, spot_price=100_000.0, linears=(NetLinear(amount=-1.0, price=100_000.0),)
    ... )
    >>> margin = net_margin(short_perpetual, load_rules("derive_pm2").parameters)
    >>> round(margin.worst_loss_usd), round(margin.initial_margin_usd), round(margin.maintenance_margin_usd)
    (-18000, 20000, 15900)
    """
    states, amounts = states_of(portfolio)
    held, collateral_usd = holdings_of(portfolio, amounts, parameters)
    found = assess(states, worths(states, parameters), held, parameters)
    own = portfolio.cash + portfolio.unrealised_usd + collateral_usd
    return net_margin_of(
        portfolio.underlying, states, held, found, equity_usd=own, collateral_usd=collateral_usd, p=parameters
    )


def _add_slopes(
    slope: ndarray,
    chain: Chain,
    rows: ndarray,
    line: Lines,
    quantities: Weights,
    coins: ndarray,
    p: NetPortfolioParameters,
) -> None:
    """Adds dIM/dcontract of each row of one underlying in place."""
    moved = marked(chain, rows, line.underlying)
    trust = trust_of(chain, rows, line)
    states, held = line.option_states(moved), _holdings(line, moved, quantities, coins, p, trust)
    values = worths(states, p)
    found = assess(states, values, held, p)
    spot, share, c = float(moved.index[0]), held.loss_share, p.contingency
    option_slope, spot_move = _loss_slopes(states, values, held, found, p)
    gains, amounts = line.linear_units(moved)
    terms = p.terms_of(line.underlying)
    option_doubt, linear_doubt, coin_doubt = doubt_slopes(trust, line, moved, quantities, p)
    of_coin = float(np.sign(coins[0])) * (terms.maintenance + terms.initial + coin_doubt)
    of_coin -= share * spot_move if terms.role is Role.COIN else 0.0
    of_coin *= spot / trust.stable_price
    premium = np.where(line.pays_coin, values.mark[0] / spot, 0.0)
    naked = np.where(strike_totals(states, held.options)[0] < 0.0, spot, 0.0)[states.strike_of]
    per_coin = (
        -share * option_slope - (c.option_maintenance + c.option_initial) * naked - premium * of_coin + option_doubt
    )
    slope[line.options] += per_coin * line.option_size
    direction = np.sign(quantities[0, line.linears])
    charge = (c.linear_maintenance + c.linear_initial) * spot * amounts[0] * direction
    slope[line.linears] += charge - share * spot_move * gains[0] + linear_doubt
    slope[line.spots] += of_coin * line.spot_size


def _loss_slopes(
    at: OptionStates, values: Worths, held: Holdings, found: Assessment, p: NetPortfolioParameters
) -> tuple[Float[ndarray, " option"], float]:
    """Slope of the worst loss per coin of each option, and the damped relative spot move of the binding scenario."""
    worst = int(np.argmin(found.pnl[0, :, 0]))
    mark, amounts = values.mark[0], held.options[0]
    if found.basis[0, 0] < found.pnl[0, worst, 0]:
        return _basis_slope(at, values, amounts, p), 0.0
    long, short = static_discounts(at, p)
    n_spot = len(p.scenarios)
    shocked = values.spot[0, worst] if worst < n_spot else values.skew[0, worst - n_spot]
    total = np.bincount(at.expiry_of, weights=shocked * amounts, minlength=len(at.expiry_years))
    factor = np.where(total >= 0.0, long, short)
    change = shocked * factor[at.expiry_of] - mark
    if worst < n_spot:
        scenario = p.scenarios[worst]
        return scenario.damping * change, scenario.damping * (scenario.spot - 1.0)
    gain = total * factor - found.marks[0, :, 0]
    return -p.skew_scenarios[worst - n_spot].damping * np.sign(gain)[at.expiry_of] * change, 0.0


def _basis_slope(
    at: OptionStates, values: Worths, amounts: ndarray, p: NetPortfolioParameters
) -> Float[ndarray, " option"]:
    up, down = values.forward_up[0] - values.mark[0], values.forward_down[0] - values.mark[0]
    count = len(at.expiry_years)
    by_up = np.bincount(at.expiry_of, weights=up * amounts, minlength=count)[at.expiry_of]
    by_down = np.bincount(at.expiry_of, weights=down * amounts, minlength=count)[at.expiry_of]
    binding = np.where(by_up <= by_down, up, down) * (np.minimum(by_up, by_down) < 0.0)
    return binding * (p.basis.level + p.basis.per_year * at.years)


def _holdings(
    line: Lines, moved: Moved, weights: Weights, coins: ndarray, p: NetPortfolioParameters, trust: Trust
) -> Holdings:
    terms = p.terms_of(line.underlying) if np.any(coins) else None
    value = moved.index[:, None] * coins / trust.stable_price
    gains, amounts = line.linear_units(moved)
    linear = weights[:, line.linears].T
    moving = gains @ linear + (value if terms is not None and terms.role is Role.COIN else 0.0)
    return Holdings(
        options=weights[:, line.options] * line.option_size,
        moving_usd=moving,
        linear_usd=moved.index[:, None] * (amounts @ np.abs(linear)),
        cut_usd=np.abs(value) * (0.0 if terms is None else terms.maintenance),
        cut_more_usd=np.abs(value) * (0.0 if terms is None else terms.initial),
        doubt_usd=doubt_usd(trust, line, moved, weights, value, p),
        spot_price=moved.index,
        loss_share=p.loss.initial + max(p.loss.peg_threshold - trust.stable_price, 0.0) * p.loss.peg_factor,
    )
