"""From the worth of each leg in each scenario to the margin of an account: the net-portfolio model, vectorised."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book.rules import BASIS, NetPortfolio, NetPortfolioParameters
from greekdrift.margin.result import NetMargin
from greekdrift.margin.shocks import OptionStates, Worths, static_discounts

PerAccount = Float[ndarray, "state account"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Holdings:
    """What some accounts hold of one underlying, in each market state.

    `options` in coins; `moving_usd` is the USD gained per relative move of spot by linear lines and
    risk-cancelling collateral; `linear_usd` the gross notional of linear lines; `cut_usd` and `cut_more_usd`
    the haircuts of collateral; `doubt_usd` the charge for doubtful prices; `loss_share` counts in the initial margin.
    """

    options: Float[ndarray, "account option"]
    moving_usd: PerAccount
    linear_usd: PerAccount
    cut_usd: PerAccount
    cut_more_usd: PerAccount
    doubt_usd: PerAccount
    spot_price: Float[ndarray, " state"]
    loss_share: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assessment:
    """Margin of some accounts on one underlying, in each market state; losses are negative."""

    pnl: Float[ndarray, "state scenario account"]
    basis: PerAccount
    marks: Float[ndarray, "state expiry account"]
    naked_usd: PerAccount
    worst_loss: PerAccount
    initial_margin: PerAccount
    maintenance_margin: PerAccount


def assess(at: OptionStates, values: Worths, held: Holdings, p: NetPortfolioParameters) -> Assessment:
    """Margin of all accounts in all states from the worth of each leg in each scenario."""
    moves = np.array([one.spot - 1.0 for one in p.scenarios])
    pnl = held.moving_usd[:, None, :] * moves[None, :, None]
    skewed = np.zeros((len(pnl), len(p.skew_scenarios), pnl.shape[2]))
    basis, marks = np.zeros_like(held.moving_usd), []
    long, short = static_discounts(at, p)
    for expiry, years in enumerate(at.expiry_years):
        mine = np.flatnonzero(at.expiry_of == expiry)
        amounts = held.options[:, mine].T
        mark = values.mark[:, mine] @ amounts
        marks.append(mark)
        shocked = values.spot[:, :, mine] @ amounts
        pnl += shocked * np.where(shocked >= 0.0, long[expiry], short[expiry]) - mark[:, None, :]
        rotated = values.skew[:, :, mine] @ amounts
        skewed -= np.abs(rotated * np.where(rotated >= 0.0, long[expiry], short[expiry]) - mark[:, None, :])
        up, down = values.forward_up[:, mine] @ amounts - mark, values.forward_down[:, mine] @ amounts - mark
        basis += np.minimum(np.minimum(up, down), 0.0) * (p.basis.level + p.basis.per_year * years)
    pnl *= np.array([one.damping for one in p.scenarios])[:, None]
    skewed *= np.array([one.damping for one in p.skew_scenarios])[:, None]
    pnl = np.concatenate([pnl, skewed], axis=1)
    worst = np.minimum(basis, pnl.min(axis=1))
    naked = held.spot_price[:, None] * np.maximum(-strike_totals(at, held.options), 0.0).sum(axis=1)
    c = p.contingency
    maintenance = held.linear_usd * c.linear_maintenance + naked * c.option_maintenance + held.cut_usd
    initial = held.linear_usd * c.linear_initial + naked * c.option_initial + held.cut_more_usd + held.doubt_usd
    return Assessment(
        pnl=pnl,
        basis=basis,
        marks=np.stack(marks, axis=1) if marks else np.zeros((len(pnl), 0, pnl.shape[2])),
        naked_usd=naked,
        worst_loss=worst,
        initial_margin=maintenance + initial - held.loss_share * worst,
        maintenance_margin=maintenance - p.loss.maintenance * worst,
    )


def strike_totals(at: OptionStates, amounts: Float[ndarray, "account option"]) -> Float[ndarray, "account strike"]:
    """Net coins of each expiry and strike, call and put together."""
    count = int(at.strike_of.max()) + 1 if len(at.strike_of) else 0
    return amounts @ (at.strike_of[:, None] == np.arange(count))


def states_of(portfolio: NetPortfolio) -> tuple[OptionStates, Float[ndarray, "account option"]]:
    """The options of a portfolio as one market state, and their coins as one account."""
    legs = [(at, leg) for at, expiry in enumerate(portfolio.expiries) for leg in expiry.options]
    number: dict[tuple[int, float], int] = {}
    strike_of = [number.setdefault((at, leg.strike), len(number)) for at, leg in legs]
    states = OptionStates(
        strike=np.array([leg.strike for _, leg in legs]),
        is_call=np.array([leg.is_call for _, leg in legs], dtype=np.bool_),
        expiry_of=np.array([at for at, _ in legs], dtype=np.int64),
        strike_of=np.array(strike_of, dtype=np.int64),
        expiry_years=np.array([expiry.time_to_expiry for expiry in portfolio.expiries]),
        expiry_rate=np.array([expiry.rate for expiry in portfolio.expiries]),
        forward=np.array([[leg.forward for _, leg in legs]]),
        volatility=np.array([[leg.volatility for _, leg in legs]]),
        worth=np.array([[leg.worth for _, leg in legs]]),
    )
    return states, np.array([[leg.amount for _, leg in legs]])


def holdings_of(
    portfolio: NetPortfolio, options: Float[ndarray, "account option"], p: NetPortfolioParameters
) -> tuple[Holdings, float]:
    """What a portfolio holds as one account in one state, and the USD value of its collateral."""
    linear = np.array([(one.amount, one.price, one.confidence) for one in portfolio.linears]).reshape(-1, 3)
    held = portfolio.collaterals
    value = np.array([one.amount * one.price for one in held]) / portfolio.stable_price
    is_moving = np.array([one.is_risk_cancelling for one in held], dtype=np.bool_)

    def single(number: float) -> PerAccount:
        return np.array([[float(number)]])

    gap = max(p.loss.peg_threshold - portfolio.stable_price, 0.0)
    holdings = Holdings(
        options=options,
        moving_usd=single(linear[:, 0] @ linear[:, 1] + value[is_moving].sum()),
        linear_usd=single(portfolio.spot_price * np.abs(linear[:, 0]).sum()),
        cut_usd=single(np.abs(value) @ np.array([one.maintenance for one in held])),
        cut_more_usd=single(np.abs(value) @ np.array([one.initial for one in held])),
        doubt_usd=single(_doubt(portfolio, linear, value, p)),
        spot_price=np.array([portfolio.spot_price]),
        loss_share=p.loss.initial + gap * p.loss.peg_factor,
    )
    return holdings, float(value.sum())


def net_margin_of(
    underlying: str,
    at: OptionStates,
    held: Holdings,
    found: Assessment,
    *,
    equity_usd: float,
    collateral_usd: float,
    p: NetPortfolioParameters,
) -> NetMargin:
    """The margin of the first account in the first state, piece by piece."""
    labels = [*(one.label for one in p.scenarios), *(one.label for one in p.skew_scenarios)]
    pnl, basis = found.pnl[0, :, 0], float(found.basis[0, 0])
    at_worst = int(np.argmin(pnl))
    long, short = static_discounts(at, p)
    linear, naked, c = float(held.linear_usd[0, 0]), float(found.naked_usd[0, 0]), p.contingency
    options_usd = float(found.marks[0, :, 0].sum())
    return NetMargin(
        underlying=underlying,
        initial_margin_usd=float(found.initial_margin[0, 0]),
        maintenance_margin_usd=float(found.maintenance_margin[0, 0]),
        equity_usd=equity_usd + options_usd,
        option_value_usd=options_usd,
        collateral_value_usd=collateral_usd,
        expiry_values_usd=tuple(found.marks[0, :, 0].tolist()),
        static_discounts=tuple(zip(long.tolist(), short.tolist(), strict=True)),
        scenario_pnl=dict(zip(labels, pnl.tolist(), strict=True)),
        basis_usd=basis,
        worst_scenario=BASIS if basis < pnl[at_worst] else labels[at_worst],
        worst_loss_usd=float(found.worst_loss[0, 0]),
        initial_loss_share=held.loss_share,
        linear_maintenance_usd=linear * c.linear_maintenance,
        linear_initial_usd=linear * c.linear_initial,
        option_maintenance_usd=naked * c.option_maintenance,
        option_initial_usd=naked * c.option_initial,
        collateral_maintenance_usd=float(held.cut_usd[0, 0]),
        collateral_initial_usd=float(held.cut_more_usd[0, 0]),
        confidence_usd=float(held.doubt_usd[0, 0]),
    )


def _doubt(portfolio: NetPortfolio, linear: ndarray, value: ndarray, p: NetPortfolioParameters) -> float:
    """Charge for legs whose confidence, the least of what prices them, lies below the threshold."""
    threshold, spot = p.contingency.confidence_threshold, portfolio.spot_price
    is_held = linear[:, 0] != 0.0
    least = linear[is_held, 2].min() if np.any(is_held) else 1.0
    notional = [abs(one[0]) * spot for one in linear]
    confidence = [one[2] for one in linear]
    for expiry in portfolio.expiries:
        notional.append(sum(abs(option.amount) for option in expiry.options) * spot)
        confidence.append(min(expiry.forward_confidence, expiry.rate_confidence, expiry.volatility_confidence, least))
    thresholds = [threshold] * len(notional) + [one.confidence_threshold for one in portfolio.collaterals]
    notional += np.abs(value).tolist()
    confidence += [one.confidence for one in portfolio.collaterals]
    c = np.minimum(np.array(confidence), portfolio.spot_confidence)
    charged = np.where(c < np.array(thresholds), (1.0 - c) * np.array(notional), 0.0)
    return float(charged.sum() * p.contingency.confidence_charge)
