"""Net-portfolio margin as a slow loop over plain numbers: the truth that the judge uses.

One float at a time, its own Black formula on `math.erfc`, its own control flow; it shares nothing but records
with the engine `margin.grid`, and the two are tested equal. Model and its sources: `book.rules`.
"""

from collections.abc import Callable
from math import copysign, erfc, exp, fsum, inf, log, sqrt

from greekdrift.book import Account, Chain, Kind
from greekdrift.book.collateral import Role
from greekdrift.book.feeds import Feeds, expiry_name
from greekdrift.book.matrix_rules import MatrixOption
from greekdrift.book.rules import (
    BASIS,
    NetCollateral,
    NetExpiry,
    NetLinear,
    NetOption,
    NetPortfolio,
    NetPortfolioParameters,
    RuleSet,
    SkewScenario,
    net_parameters,
)
from greekdrift.book.scenario_terms import VolatilityMove, VolatilityTerms
from greekdrift.errors import BookError
from greekdrift.margin.result import MarginResult, NetMargin
from greekdrift.units import DAYS_PER_YEAR, SECONDS_PER_YEAR, stamp

AVERAGING_SECONDS = 1800.0
"""The settlement price is the average over the last 30 minutes; what has passed of them is fixed."""

Shock = Callable[[NetOption], float]


def requirement(chain: Chain, account: Account, rules: RuleSet) -> MarginResult:
    """Margin requirement of an account at a chain's marks; how it is read into the model is in `portfolios`."""
    cash, nets = portfolios(chain, account, rules)
    parts = [net_margin(net, net_parameters(rules)) for net in nets]
    pnl = {}
    for part in parts:
        for label, value in part.scenario_pnl.items():
            pnl[f"{part.underlying}: {label}"] = value
    return MarginResult(
        initial_margin_usd=fsum(part.initial_margin_usd for part in parts),
        maintenance_margin_usd=fsum(part.maintenance_margin_usd for part in parts),
        equity_usd=fsum([cash, *(part.equity_usd for part in parts)]),
        worst_scenario="; ".join(f"{part.underlying}: {part.worst_scenario}" for part in parts),
        scenario_pnl=pnl,
        parts=tuple(parts),
    )


def portfolios(chain: Chain, account: Account, rules: RuleSet) -> tuple[float, tuple[NetPortfolio, ...]]:
    """Cash in USD and one portfolio per underlying or collateral coin of an account.

    Options at the mark volatility and their row's forward, rate 0. Confidences and the stable price are those of the
    chain's feeds, and 1 where it has none. Options that
    pay in the coin are worth index/forward of their Black value in USD now. A future is a perpetual with its own
    forward: linear ones move by their forward, inverse ones (size in USD) by the coins of their size at the
    index, and none has unrealised P&L, for they are marked to market. Spot and coins are collateral at the index.
    """
    cash = 0.0
    lines: dict[str, list[tuple[int, float]]] = {}
    coins: dict[str, float] = {}
    for currency, amount in account.collateral.items():
        if rules.parameters.terms_of(currency).role is Role.CASH:
            cash += amount
        elif amount != 0.0:
            coins[currency] = coins.get(currency, 0.0) + amount
    for position in account.positions:
        row = int(chain.rows([position.instrument.name])[0])
        underlying = position.instrument.underlying
        if position.instrument.kind is Kind.SPOT:
            size = float(chain.contract_size[row])
            coins[underlying] = coins.get(underlying, 0.0) + position.quantity * size
        elif position.quantity != 0.0:
            lines.setdefault(underlying, []).append((row, position.quantity))
    names = sorted({*lines, *coins})
    return cash, tuple(_portfolio(chain, name, lines.get(name, []), coins.get(name, 0.0), rules) for name in names)


def net_margin(portfolio: NetPortfolio, parameters: NetPortfolioParameters) -> NetMargin:
    """Margin of one portfolio, by the formulas of `book.rules`.

    >>> from greekdrift.config import load_rules
    >>> short_perpetual = NetPortfolio(
    ...     underlying="BTC", cash=50_000.0, spot_price=100_000.0, linears=(NetLinear(amount=-1.0, price=100_000.0),)
    ... )
    >>> margin = net_margin(short_perpetual, load_rules("derive_pm2").parameters)
    >>> round(margin.worst_loss_usd), round(margin.initial_margin_usd), round(margin.maintenance_margin_usd)
    (-18000, 20000, 15900)
    """
    p = parameters
    spot = portfolio.spot_price
    marks = [_value(one, 1.0, lambda option: option.volatility) for one in portfolio.expiries]
    discounts = [static_discount(one, p) for one in portfolio.expiries]
    pnl = _scenario_pnl(portfolio, p, marks, discounts)
    basis = fsum(_basis(one, mark, p) for one, mark in zip(portfolio.expiries, marks, strict=True))
    worst, loss = BASIS, inf
    for label, value in [*pnl.items(), (BASIS, basis)]:
        if value < loss:
            worst, loss = label, value
    values = [one.amount * one.price / portfolio.stable_price for one in portfolio.collaterals]
    gross = spot * fsum(abs(one.amount) for one in portfolio.linears)
    naked = spot * fsum(_naked(one) for one in portfolio.expiries)
    charged = p.contingency
    cut = fsum(abs(value) * one.maintenance for value, one in zip(values, portfolio.collaterals, strict=True))
    cut_more = fsum(abs(value) * one.initial for value, one in zip(values, portfolio.collaterals, strict=True))
    doubt = _confidence(portfolio, p, values)
    share = p.loss.initial + max(p.loss.peg_threshold - portfolio.stable_price, 0.0) * p.loss.peg_factor
    maintenance = gross * charged.linear_maintenance + naked * charged.option_maintenance + cut
    initial = gross * charged.linear_initial + naked * charged.option_initial + cut_more
    return NetMargin(
        underlying=portfolio.underlying,
        initial_margin_usd=maintenance + initial + doubt - share * loss,
        maintenance_margin_usd=maintenance - p.loss.maintenance * loss,
        equity_usd=fsum([portfolio.cash, portfolio.unrealised_usd, *marks, *values]),
        option_value_usd=fsum(marks),
        collateral_value_usd=fsum(values),
        expiry_values_usd=tuple(marks),
        static_discounts=tuple(discounts),
        scenario_pnl=pnl,
        basis_usd=basis,
        worst_scenario=worst,
        worst_loss_usd=loss,
        initial_loss_share=share,
        linear_maintenance_usd=gross * charged.linear_maintenance,
        linear_initial_usd=gross * charged.linear_initial,
        option_maintenance_usd=naked * charged.option_maintenance,
        option_initial_usd=naked * charged.option_initial,
        collateral_maintenance_usd=cut,
        collateral_initial_usd=cut_more,
        confidence_usd=doubt,
    )


def shocked_volatility(volatility: float, time_to_expiry: float, move: VolatilityMove, terms: VolatilityTerms) -> float:
    """A volatility after a scenario's move, by the power law of `VolatilityTerms`.

    >>> from greekdrift.config import load_rules
    >>> shocked_volatility(0.5, 30.0 / 365.0, VolatilityMove.UP, load_rules("derive_pm2").parameters.volatility)
    0.75
    """
    days = time_to_expiry * DAYS_PER_YEAR
    power = terms.short_power if days <= 30.0 else terms.long_power
    span = max(days, terms.floor_days)
    multiple = (30.0 / (span if span > 0.0 else 1.0)) ** power  # at its settlement an option has no use for it
    if move is VolatilityMove.UP:
        return max(volatility * (1.0 + terms.up * multiple), terms.floor)
    if move is VolatilityMove.DOWN:
        return volatility * max(1.0 - terms.down * multiple, 0.0)
    return volatility


def skew_multiplier(
    option: NetOption, time_to_expiry: float, scenario: SkewScenario, p: NetPortfolioParameters
) -> float:
    """Factor on the volatility of an option in a skew scenario, by `SkewScenario` and `SkewTerms`."""
    root = sqrt(time_to_expiry)
    k = log(option.strike / option.forward)
    if scenario.is_absolute:
        k = abs(k)
    cap = scenario.scale_cap + scenario.cap_slope * root
    width = max(p.skew.least_width, p.skew.scale * root * (p.skew.level + p.skew.slope * root))
    if k == 0.0:
        return 1.0
    change = k * cap / width if width > 0.0 else copysign(inf, k * cap)
    multiplier = 1.0 + (min(change, cap) if k > 0.0 else max(change, -cap))
    return max(multiplier, 0.0)


def static_discount(expiry: NetExpiry, p: NetPortfolioParameters) -> tuple[float, float]:
    """Factors on a positive and on a negative shocked value of an expiry; 1 once it has expired."""
    years, terms, rate = expiry.time_to_expiry, p.discount, max(expiry.rate, 0.0)
    if years <= 0.0:
        return 1.0, 1.0
    long = terms.long_base * exp(-years * (terms.long_rate_share * rate + terms.long_spread))
    short = terms.short_base * exp(years * (terms.short_rate_share * rate + terms.short_spread))
    return long, min(exp(rate * years), short)


def black_price(option: NetOption | MatrixOption, *, forward: float, volatility: float, time_to_expiry: float) -> float:
    """Undiscounted Black price at a shocked forward and volatility; the intrinsic value where nothing can happen."""
    side = 1.0 if option.is_call else -1.0
    deviation = volatility * sqrt(max(time_to_expiry, 0.0))
    if deviation <= 0.0 or forward <= 0.0:
        return max(side * (forward - option.strike), 0.0)
    d1 = log(forward / option.strike) / deviation + 0.5 * deviation
    d2 = d1 - deviation
    return side * (forward * _normal(side * d1) - option.strike * _normal(side * d2))


def black_delta(option: MatrixOption, *, forward: float, volatility: float, time_to_expiry: float) -> float:
    """Slope of the undiscounted Black price in the forward; where nothing can happen 1 in the money, half at it."""
    side = 1.0 if option.is_call else -1.0
    deviation = volatility * sqrt(max(time_to_expiry, 0.0))
    if deviation <= 0.0:
        inside = side * (forward - option.strike)
        return side * (0.5 if inside == 0.0 else float(inside > 0.0))
    return side * _normal(side * (log(forward / option.strike) / deviation + 0.5 * deviation))


def _normal(x: float) -> float:
    return 0.5 * erfc(-x * sqrt(0.5))


def _portfolio(
    chain: Chain, underlying: str, lines: list[tuple[int, float]], coins: float, rules: RuleSet
) -> NetPortfolio:
    index = chain.index_price.get(underlying)
    if index is None:
        raise BookError(
            f"collateral {underlying} has no index price on {chain.venue} at {stamp(chain.as_of)}; "
            "add it to the chain's index_price or hold it elsewhere."
        )
    expiries: dict[tuple[float, bool, str], list[NetOption]] = {}
    linears, feeds = [], chain.feeds
    confidences: dict[tuple[float, bool, str], list[float]] = {}
    for row, contracts in lines:
        instrument = chain.instruments[row]
        amount, forward = contracts * float(chain.contract_size[row]), float(chain.forward[row])
        if instrument.strike is not None:
            option = NetOption(
                strike=instrument.strike,
                is_call=bool(instrument.is_call),
                forward=forward,
                volatility=float(chain.mark_iv[row]),
                amount=amount,
                worth=index / forward if instrument.is_inverse else 1.0,
            )
            key = (float(chain.time_to_expiry[row]), instrument.is_inverse, instrument.currency)
            expiries.setdefault(key, []).append(option)
            confidences.setdefault(key, _expiry_confidence(feeds, instrument.name))
            continue
        confidence = 1.0 if feeds is None else feeds.confidence_in(instrument.name)
        if instrument.is_inverse:
            linears.append(NetLinear(amount=amount / forward, price=index, confidence=confidence))
        else:
            linears.append(NetLinear(amount=amount, price=forward, confidence=confidence))
    spot_confidence = 1.0 if feeds is None else feeds.confidence_in(underlying)
    terms = rules.parameters.terms_of(underlying)
    held = NetCollateral(
        amount=coins,
        price=index,
        is_risk_cancelling=terms.role is Role.COIN,
        maintenance=terms.maintenance,
        initial=terms.initial,
        confidence=spot_confidence,
        confidence_threshold=terms.confidence_threshold,
    )
    return NetPortfolio(
        underlying=underlying,
        cash=0.0,
        spot_price=index,
        spot_confidence=spot_confidence,
        stable_price=1.0 if feeds is None or feeds.stable_price is None else feeds.stable_price,
        expiries=tuple(
            NetExpiry(
                time_to_expiry=key[0],
                options=tuple(expiries[key]),
                forward_confidence=confidences[key][0],
                rate_confidence=confidences[key][1],
                volatility_confidence=confidences[key][2],
            )
            for key in sorted(expiries)
        ),
        linears=tuple(linears),
        collaterals=(held,) if coins != 0.0 else (),
    )


def _expiry_confidence(feeds: Feeds | None, option: str) -> list[float]:
    """Confidence in the forward, the rate and the volatility of an option's expiry."""
    if feeds is None:
        return [1.0, 1.0, 1.0]
    return [feeds.confidence_in(f"{expiry_name(option)} {part}") for part in ("forward", "rate", "volatility")]


def _value(expiry: NetExpiry, spot: float, volatility: Shock) -> float:
    """Worth of an expiry's options at forward × spot; the part of the forward that is fixed does not move."""
    years = expiry.time_to_expiry
    fixed = min(max(1.0 - years * SECONDS_PER_YEAR / AVERAGING_SECONDS, 0.0), 1.0)
    discount = exp(-max(expiry.rate, 0.0) * years)
    values = []
    for option in expiry.options:
        forward = option.forward * ((1.0 - fixed) * spot + fixed)
        price = black_price(option, forward=forward, volatility=volatility(option), time_to_expiry=years)
        values.append(option.amount * option.worth * discount * price)
    return fsum(values)


def _scenario_pnl(
    portfolio: NetPortfolio, p: NetPortfolioParameters, marks: list[float], discounts: list[tuple[float, float]]
) -> dict[str, float]:
    found = {}
    moving = fsum(one.amount * one.price for one in portfolio.linears)
    for collateral in portfolio.collaterals:
        if collateral.is_risk_cancelling:
            moving += collateral.amount * collateral.price / portfolio.stable_price
    for scenario in p.scenarios:
        gains = [moving * (scenario.spot - 1.0)]
        for expiry, mark, (long, short) in zip(portfolio.expiries, marks, discounts, strict=True):
            years, move = expiry.time_to_expiry, scenario.volatility
            value = _value(
                expiry,
                scenario.spot,
                lambda option, years=years, move=move: shocked_volatility(option.volatility, years, move, p.volatility),  # type: ignore[misc]
            )
            gains.append(value * (long if value >= 0.0 else short) - mark)
        found[scenario.label] = scenario.damping * fsum(gains)
    for skew in p.skew_scenarios:
        losses = []
        for expiry, mark, (long, short) in zip(portfolio.expiries, marks, discounts, strict=True):
            years = expiry.time_to_expiry
            value = _value(
                expiry,
                1.0,
                lambda option, years=years, skew=skew: option.volatility * skew_multiplier(option, years, skew, p),  # type: ignore[misc]
            )
            losses.append(-abs(value * (long if value >= 0.0 else short) - mark))
        found[skew.label] = skew.damping * fsum(losses)
    return found


def _basis(expiry: NetExpiry, mark: float, p: NetPortfolioParameters) -> float:
    up = _value(expiry, p.basis.up, lambda option: option.volatility) - mark
    down = _value(expiry, p.basis.down, lambda option: option.volatility) - mark
    return min(up, down, 0.0) * (p.basis.level + p.basis.per_year * expiry.time_to_expiry)


def _naked(expiry: NetExpiry) -> float:
    """Short coins of an expiry that no long coins of the same strike cover, call against put."""
    net: dict[float, float] = {}
    for option in expiry.options:
        net[option.strike] = net.get(option.strike, 0.0) + option.amount
    return fsum(max(-amount, 0.0) for amount in net.values())


def _confidence(portfolio: NetPortfolio, p: NetPortfolioParameters, values: list[float]) -> float:
    threshold, charge, spot = p.contingency.confidence_threshold, p.contingency.confidence_charge, portfolio.spot_price
    doubts = []
    of_linears = 1.0
    for linear in portfolio.linears:
        if linear.amount != 0.0:
            confidence = min(portfolio.spot_confidence, linear.confidence)
            of_linears = min(of_linears, linear.confidence)
            if confidence < threshold:
                doubts.append((1.0 - confidence) * charge * abs(linear.amount) * spot)
    for expiry in portfolio.expiries:
        feeds = (expiry.forward_confidence, expiry.rate_confidence, expiry.volatility_confidence)
        confidence = min(portfolio.spot_confidence, of_linears, *feeds)
        if confidence < threshold:
            doubts.extend((1.0 - confidence) * charge * abs(option.amount) * spot for option in expiry.options)
    for collateral, value in zip(portfolio.collaterals, values, strict=True):
        confidence = min(portfolio.spot_confidence, collateral.confidence)
        if confidence < collateral.confidence_threshold:
            doubts.append((1.0 - confidence) * charge * abs(value))
    return fsum(doubts)
