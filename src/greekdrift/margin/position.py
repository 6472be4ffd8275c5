"""Position margin, vectorised over positions, accounts and market states. Model: `book.position_rules`.

Each position costs by itself, so the cost of a coin of each option is worked out once per state, and the margin of any
number of accounts is one product with what they hold long and short. Equal to `margin.position_naive`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from numpy.typing import ArrayLike

from greekdrift.book import Account, Chain, Settlement
from greekdrift.book.position_rules import LinearTerms, PositionParameters, Reference, ShortOptionTerms, TierLaw
from greekdrift.book.rules import RuleSet
from greekdrift.errors import CalculationError, ConfigError
from greekdrift.greeks import compute
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
from greekdrift.margin.position_result import PER_POSITION, PositionMargin
from greekdrift.margin.result import MarginResult

BLOCK = 200_000
"""Values per block of a forecast: what stays in a processor's cache."""

PerAccount = Float[ndarray, "state account"]
PerOption = Float[ndarray, "state option"]
PerLinear = Float[ndarray, "state linear account"]


def short_option(
    terms: ShortOptionTerms,
    *,
    is_call: ArrayLike,
    strike: ArrayLike,
    forward: ArrayLike,
    index: ArrayLike,
    price: ArrayLike,
) -> tuple[ndarray, ndarray]:
    """The venue's initial and maintenance margin of one coin of a short option, at its price, USD.

    Source: `book.position_rules`. All prices in USD: the one of an option that is paid in the coin is its price in
    coins × index. Of an order the initial margin takes the larger of its price and the mark.

    >>> from greekdrift.config import load_rules
    >>> terms = load_rules("linear_standard").parameters.option_terms("BTC", Settlement.LINEAR)
    >>> put = {"is_call": False, "strike": 18_500.0, "forward": 20_250.0, "index": 20_250.0, "price": 290.0}
    >>> [round(float(figure), 6) for figure in short_option(terms, **put)]
    [2315.0, 938.0]
    """
    spot, mark, is_call = np.asarray(index, float), np.asarray(price, float), np.asarray(is_call)
    against = np.asarray(forward if terms.moneyness is Reference.FORWARD else index, float)
    out = np.maximum(np.where(is_call, 1.0, -1.0) * (np.asarray(strike, float) - against), 0.0) / against
    of_price = np.where(is_call, terms.maintenance_of_call_price, terms.maintenance_of_put_price)
    maintenance = np.maximum(terms.maintenance * spot, of_price * mark) + mark + terms.fee * spot
    initial = np.maximum(terms.initial - out, terms.initial_least) * spot + mark
    return np.maximum(initial, maintenance), maintenance


def linear_margin(terms: LinearTerms, *, coins: ArrayLike, price: ArrayLike) -> tuple[ndarray, ndarray]:
    """Initial and maintenance margin of a perpetual or future on some coins at a price, USD.

    v (share + share_per_coin |coins|), v = |coins| price; of tiers by PART  share v = Σ shareₖ × (the part of v in k).

    >>> from greekdrift.config import load_rules
    >>> terms = load_rules("deribit_standard").parameters.linear_terms("BTC", Settlement.LINEAR)
    >>> [float(figure.round(6)) for figure in linear_margin(terms, coins=25.0, price=100_000.0)]
    [53125.0, 28125.0]
    """
    held = np.abs(np.asarray(coins, float))
    value = held * np.asarray(price, float)
    bounds = np.array([0.0, *(tier.above_usd for tier in terms.tiers)])
    found = []
    for name, law, growth in (
        ("initial", terms.initial_tiers, terms.initial_per_coin),
        ("maintenance", terms.maintenance_tiers, terms.maintenance_per_coin),
    ):
        shares = np.array([getattr(terms, name), *(getattr(tier, name) for tier in terms.tiers)])
        found.append(_tiered(value, bounds, shares, law) + growth * held * value)
    return found[0], found[1]


def _tiered(value: ndarray, bounds: ndarray, shares: ndarray, law: TierLaw) -> ndarray:
    if law is TierLaw.WHOLE:
        whole: ndarray = shares[_tier_of(value, bounds)] * value
        return whole
    steps = np.diff(shares, prepend=0.0)
    part: ndarray = np.maximum(value[..., None] - bounds, 0.0) @ steps
    return part


def _tier_of(value: ndarray, bounds: ndarray) -> ndarray:
    """The tier of a value: from above its bound on."""
    tier: ndarray = np.maximum(np.searchsorted(bounds, value, side="left") - 1, 0)
    return tier


def requirement(chain: Chain, account: Account, rules: RuleSet) -> MarginResult:
    """Margin requirement of an account at a chain's marks; options at the Black value of their mark volatility.

    Positions add without offset. Collateral is cut by its haircut, whatever the positions are.
    """
    p = position_parameters(rules)
    rows = held_rows(chain, [account])
    quantities, coins = contracts(chain, [account], rows), coin_balances([account], p)
    parts = [
        _part(chain, rows, line, quantities, held, p) for line, held in _lines_and_coins(chain, rows, quantities, coins)
    ]
    return MarginResult(
        initial_margin_usd=sum(part.initial_margin_usd for part in parts),
        maintenance_margin_usd=sum(part.maintenance_margin_usd for part in parts),
        equity_usd=cash_balance(account, p) + sum(part.equity_usd for part in parts),
        worst_scenario="; ".join(f"{part.underlying}: {PER_POSITION}" for part in parts),
        scenario_pnl={},
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
    """Initial and maintenance margin of many books at a chain's marks, USD: see `margin.engine`."""
    p = position_parameters(rules)
    initial, maintenance = np.zeros(len(weights)), np.zeros(len(weights))
    for line, held in _lines_and_coins(chain, rows, weights, coins):
        found = _assess(line, marked(chain, rows, line.underlying), weights, held, p)
        initial += found.initial[0]
        maintenance += found.maintenance[0]
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
    """Initial and maintenance margin of unchanged books in every scenario at every horizon, USD: `margin.engine`."""
    p = position_parameters(rules)
    weights, coins = contracts(chain, accounts, rows), coin_balances(accounts, p)
    initial = np.zeros((*forward.shape[:2], len(accounts)))
    maintenance = np.zeros_like(initial)
    for line, now in _lines_and_coins(chain, rows, weights, coins):
        at = list(underlyings).index(line.underlying) if line.underlying in underlyings else None
        block = max(1, BLOCK // max(len(line.options), len(line.linears) * len(accounts), 1))
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
                held = now + settled_coins(chain, rows, line, moved, weights)
                found = _assess(line, moved, np.where(moved.years > 0.0, weights, 0.0), held, p)
                initial[part, horizon] += found.initial
                maintenance[part, horizon] += found.maintenance
    return initial, maintenance


def subgradient(chain: Chain, account: Account, rules: RuleSet, rows: Int[ndarray, " row"]) -> Float[ndarray, " row"]:
    """Change of the initial margin per contract bought of each row, at the account, USD.

    Where nothing is held of a row the slope is 0, which lies between the one of a sale and the one of a purchase. The
    premium of an option that is paid in the coin leaves the collateral in that coin.
    """
    p = position_parameters(rules)
    every = np.union1d(held_rows(chain, [account]), rows)
    quantities, coins = contracts(chain, [account], every), coin_balances([account], p)
    slope = np.zeros(len(every))
    for line, held in _lines_and_coins(chain, every, quantities, coins):
        moved = marked(chain, every, line.underlying)
        found = _assess(line, moved, quantities, held, p)
        _add_slopes(slope, line, moved, found, quantities[0], p)
    return slope[np.searchsorted(every, rows)]


def position_parameters(rules: RuleSet) -> PositionParameters:
    """The numbers of a position rule set; one of another form is refused."""
    if not isinstance(rules.parameters, PositionParameters):
        raise ConfigError(f"rule set {rules.name} is not of the position form, which is needed here.")
    return rules.parameters


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assessment:
    """Margin of some accounts on one underlying, in each market state, and what it is made of, USD.

    `worth` and `short_*` are of one coin of each option, `short_*` being the venue's figures; `linear_*` are
    of what each account holds of each linear row. `owed_*` is what inverse lines owe beyond the coin collateral.
    """

    initial: PerAccount
    maintenance: PerAccount
    worth: PerOption
    short_initial: PerOption
    short_maintenance: PerOption
    linear_initial: PerLinear
    linear_maintenance: PerLinear
    owed_initial: PerAccount
    owed_maintenance: PerAccount
    value: PerAccount


def _assess(
    line: Lines, moved: Moved, weights: Weights, coins: Float[ndarray, "... account"], p: PositionParameters
) -> Assessment:
    worth, short_initial, short_maintenance = _option_costs(line, moved, p)
    amounts = (weights[:, line.options] * line.option_size).T
    is_alive = (moved.years[line.options] > 0.0)[:, None]
    long, short = np.maximum(amounts, 0.0) * is_alive, np.maximum(-amounts, 0.0)
    linear_initial, linear_maintenance = _linear_costs(line, moved, weights, p)
    value = moved.index[:, None] * coins
    terms = p.terms_of(line.underlying) if np.any(coins) else None
    cut, cut_more = (0.0, 0.0) if terms is None else (terms.maintenance, terms.initial)
    inverse, pays_coin = line.is_inverse, line.pays_coin
    owed = [
        np.maximum(costs[:, pays_coin] @ short[pays_coin] + linear[:, inverse].sum(axis=1) - value, 0.0)
        for costs, linear in ((short_initial, linear_initial), (short_maintenance, linear_maintenance))
    ]
    longs = worth @ long
    initial = longs + (short_initial - worth) @ short + linear_initial.sum(axis=1)
    maintenance = longs + (short_maintenance - worth) @ short + linear_maintenance.sum(axis=1)
    initial += np.abs(value) * (cut + cut_more) + p.mismatch.initial * owed[0]
    maintenance += np.abs(value) * cut + p.mismatch.maintenance * owed[1]
    if not (np.all(np.isfinite(initial)) and np.all(np.isfinite(maintenance))):
        raise CalculationError(f"{line.underlying}: a margin is not a number; check its forwards and volatilities.")
    return Assessment(
        initial=initial,
        maintenance=maintenance,
        worth=worth,
        short_initial=short_initial,
        short_maintenance=short_maintenance,
        linear_initial=linear_initial,
        linear_maintenance=linear_maintenance,
        owed_initial=owed[0],
        owed_maintenance=owed[1],
        value=np.broadcast_to(value, initial.shape),
    )


def _option_costs(line: Lines, moved: Moved, p: PositionParameters) -> tuple[PerOption, PerOption, PerOption]:
    """Worth of one coin of each option, and what it costs short: initial and maintenance, by the venue's figures."""
    at = line.option_states(moved)
    deviation = at.volatility * np.sqrt(at.years)
    black = compute(
        ["price"], forward=at.forward, strike=at.strike, volatility=deviation, time_to_expiry=1.0, is_call=at.is_call
    )["price"]
    worth = black * at.worth
    initial, maintenance = np.zeros_like(worth), np.zeros_like(worth)
    for settlement, mine in ((Settlement.INVERSE, line.pays_coin), (Settlement.LINEAR, ~line.pays_coin)):
        if np.any(mine):
            initial[:, mine], maintenance[:, mine] = short_option(
                p.option_terms(line.underlying, settlement),
                is_call=line.is_call[mine],
                strike=line.strike[mine],
                forward=at.forward[:, mine],
                index=moved.index[:, None],
                price=worth[:, mine],
            )
    is_settled = at.years <= 0.0
    return worth, np.where(is_settled, worth, initial), np.where(is_settled, worth, maintenance)


def _linear_costs(line: Lines, moved: Moved, weights: Weights, p: PositionParameters) -> tuple[PerLinear, PerLinear]:
    """What each account's perpetuals and futures cost, initial and maintenance."""
    coins = line.linear_units(moved)[1][:, :, None] * weights[:, line.linears].T
    initial, maintenance = np.zeros_like(coins), np.zeros_like(coins)
    for settlement, mine in ((Settlement.INVERSE, line.is_inverse), (Settlement.LINEAR, ~line.is_inverse)):
        if np.any(mine):
            terms = p.linear_terms(line.underlying, settlement)
            price = _price(terms, line, moved)[:, mine, None]
            initial[:, mine], maintenance[:, mine] = linear_margin(terms, coins=coins[:, mine], price=price)
    return initial, maintenance


def _price(terms: LinearTerms, line: Lines, moved: Moved) -> Float[ndarray, "state linear"]:
    """What a coin of each linear row is worth, USD."""
    forward = moved.forward[:, line.linears]
    if terms.price is Reference.FORWARD:
        return forward
    price: ndarray = np.broadcast_to(moved.index[:, None], forward.shape)
    return price


def _lines_and_coins(
    chain: Chain, rows: ndarray, weights: Weights, coins: Mapping[str, ndarray]
) -> list[tuple[Lines, Float[ndarray, " account"]]]:
    """The lines of each underlying, and the coins of it that each account has: balances and spot contracts."""
    return [(line, coins_of(line, weights, coins)) for line in all_lines(chain, rows, coins)]


def _part(
    chain: Chain, rows: ndarray, line: Lines, quantities: Weights, coins: ndarray, p: PositionParameters
) -> PositionMargin:
    """The margin of one account on one underlying at the chain's marks, piece by piece."""
    found = _assess(line, marked(chain, rows, line.underlying), quantities, coins, p)
    amounts = quantities[0, line.options] * line.option_size
    short, is_alive = np.maximum(-amounts, 0.0), chain.time_to_expiry[rows[line.options]] > 0.0
    names = [chain.instruments[int(row)].name for row in rows]
    positions = {
        names[place]: (float(found.short_initial[0, at] * short[at]), float(found.short_maintenance[0, at] * short[at]))
        for at, place in enumerate(line.options)
    }
    positions |= {
        names[place]: (float(found.linear_initial[0, at, 0]), float(found.linear_maintenance[0, at, 0]))
        for at, place in enumerate(line.linears)
    }
    options_usd, value = float(found.worth[0] @ amounts), float(found.value[0, 0])
    pieces = {
        "long options": float(found.worth[0] @ np.where(is_alive, np.maximum(amounts, 0.0), 0.0)),
        "short options": float((found.short_initial[0] - found.worth[0]) @ short),
        "linear": float(found.linear_initial[0, :, 0].sum()),
        "currency mismatch": p.mismatch.initial * float(found.owed_initial[0, 0]),
    }
    initial = float(found.initial[0, 0])
    return PositionMargin(
        underlying=line.underlying,
        initial_margin_usd=initial,
        maintenance_margin_usd=float(found.maintenance[0, 0]),
        equity_usd=value + options_usd,
        option_value_usd=options_usd,
        positions=positions,
        contingencies={**pieces, "collateral": abs(value) * _haircut(p, line.underlying, value)},
    )


def _haircut(p: PositionParameters, currency: str, value: float) -> float:
    """The initial haircut of a currency; 0 where none of it is held."""
    if value == 0.0:
        return 0.0
    terms = p.terms_of(currency)
    return terms.maintenance + terms.initial


def _add_slopes(
    slope: ndarray, line: Lines, moved: Moved, found: Assessment, quantities: ndarray, p: PositionParameters
) -> None:
    """Adds dIM/dcontract of each row of one underlying in place."""
    amounts, spot, value = quantities[line.options], float(moved.index[0]), float(found.value[0, 0])
    owes = p.mismatch.initial * float(found.owed_initial[0, 0] > 0.0)
    of_coin_usd = float(np.sign(value)) * _haircut(p, line.underlying, value) - owes
    shorts = found.short_initial[0] - found.worth[0] + owes * np.where(line.pays_coin, found.short_initial[0], 0.0)
    longs = np.where(moved.years[line.options] > 0.0, found.worth[0], 0.0)
    per_coin = np.where(amounts > 0.0, longs, np.where(amounts < 0.0, -shorts, 0.0))
    per_coin -= np.where(line.pays_coin, found.worth[0], 0.0) * of_coin_usd
    slope[line.options] += per_coin * line.option_size
    slope[line.spots] += of_coin_usd * spot * line.spot_size
    units = line.linear_units(moved)[1][0]
    for settlement, mine in ((Settlement.INVERSE, line.is_inverse), (Settlement.LINEAR, ~line.is_inverse)):
        if np.any(mine):
            own = p.linear_terms(line.underlying, settlement)
            places, price = line.linears[mine], _price(own, line, moved)[0, mine]
            coins = units[mine] * quantities[places]
            factor = 1.0 + (owes if settlement is Settlement.INVERSE else 0.0)
            slope[places] += factor * _initial_slope(own, coins, price) * np.sign(coins) * units[mine]


def _initial_slope(terms: LinearTerms, coins: ndarray, price: ndarray) -> ndarray:
    """Change of the initial margin of a linear position per coin more of it, within its tier."""
    held = np.abs(coins)
    bounds = np.array([0.0, *(tier.above_usd for tier in terms.tiers)])
    shares = np.array([terms.initial, *(tier.initial for tier in terms.tiers)])
    slope: ndarray = price * (shares[_tier_of(held * price, bounds)] + 2.0 * terms.initial_per_coin * held)
    return slope
