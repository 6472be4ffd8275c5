"""Position margin as a slow loop over plain numbers: the truth that the judge uses. Model: `book.position_rules`.

One float at a time, with its own control flow; it shares nothing but records with the engine `margin.position`.
"""

from math import fsum

from greekdrift.book import Account, Chain, Kind, Position
from greekdrift.book.collateral import Role
from greekdrift.book.position_rules import (
    LinearTerms,
    PositionParameters,
    Reference,
    ShortOptionTerms,
    SizeTier,
    TierLaw,
)
from greekdrift.book.rules import NetOption, RuleSet
from greekdrift.errors import BookError, ConfigError
from greekdrift.margin.naive import black_price
from greekdrift.margin.position_result import PER_POSITION, PositionMargin
from greekdrift.margin.result import MarginResult
from greekdrift.units import stamp

Figures = tuple[float, float]
"""Initial and maintenance."""


def requirement(chain: Chain, account: Account, rules: RuleSet) -> MarginResult:
    """Margin requirement of an account at a chain's marks, position by position.

    Options are worth the Black value of their mark volatility on their row's forward, those that are paid in the coin
    index/forward of it. A coin or a spot contract is collateral at the index.
    """
    p = rules.parameters
    if not isinstance(p, PositionParameters):
        raise ConfigError(f"rule set {rules.name} is not of the position form, which is needed here.")
    cash = 0.0
    coins: dict[str, float] = {}
    lines: dict[str, list[Position]] = {}
    for currency, amount in account.collateral.items():
        if p.terms_of(currency).role is Role.CASH:
            cash += amount
        elif amount != 0.0:
            coins[currency] = coins.get(currency, 0.0) + amount
    for position in account.positions:
        name = position.instrument.underlying
        row = int(chain.rows([position.instrument.name])[0])
        if position.instrument.kind is Kind.SPOT:
            coins[name] = coins.get(name, 0.0) + position.quantity * float(chain.contract_size[row])
        elif position.quantity != 0.0:
            lines.setdefault(name, []).append(position)
    parts = [_part(chain, name, lines.get(name, []), coins.get(name, 0.0), p) for name in sorted({*lines, *coins})]
    return MarginResult(
        initial_margin_usd=fsum(part.initial_margin_usd for part in parts),
        maintenance_margin_usd=fsum(part.maintenance_margin_usd for part in parts),
        equity_usd=fsum([cash, *(part.equity_usd for part in parts)]),
        worst_scenario="; ".join(f"{part.underlying}: {PER_POSITION}" for part in parts),
        scenario_pnl={},
        parts=tuple(parts),
    )


def short_option(terms: ShortOptionTerms, option: NetOption, *, index: float, price: float) -> Figures:
    """The venue's figures of one coin of a short option at its price, USD."""
    against = option.forward if terms.moneyness is Reference.FORWARD else index
    out = option.strike - against if option.is_call else against - option.strike
    share = max(terms.initial - max(out, 0.0) / against, terms.initial_least)
    of_price = terms.maintenance_of_call_price if option.is_call else terms.maintenance_of_put_price
    maintenance = max(terms.maintenance * index, of_price * price) + price + terms.fee * index
    return max(share * index + price, maintenance), maintenance


def linear_margin(terms: LinearTerms, *, coins: float, price: float) -> Figures:
    """The figures of a perpetual or future on some coins at a price, USD."""
    value = abs(coins) * price
    tiers = [SizeTier(above_usd=0.0, initial=terms.initial, maintenance=terms.maintenance), *terms.tiers]
    initial = _tiered(value, [(one.above_usd, one.initial) for one in tiers], terms.initial_tiers)
    maintenance = _tiered(value, [(one.above_usd, one.maintenance) for one in tiers], terms.maintenance_tiers)
    return (
        initial + terms.initial_per_coin * abs(coins) * value,
        maintenance + terms.maintenance_per_coin * abs(coins) * value,
    )


def _tiered(value: float, tiers: list[tuple[float, float]], law: TierLaw) -> float:
    """Charge on a value by tiers of (from above, share)."""
    charged, whole = 0.0, tiers[0][1]
    for at, (above, share) in enumerate(tiers):
        if value > above:
            top = tiers[at + 1][0] if at + 1 < len(tiers) else value
            charged += share * (min(value, top) - above)
            whole = share
    return charged if law is TierLaw.PART else whole * value


def _part(chain: Chain, underlying: str, lines: list[Position], coins: float, p: PositionParameters) -> PositionMargin:
    index = chain.index_price.get(underlying)
    if index is None:
        raise BookError(
            f"collateral {underlying} has no index price on {chain.venue} at {stamp(chain.as_of)}; "
            "add it to the chain's index_price or hold it elsewhere."
        )
    positions: dict[str, Figures] = {}
    initial, maintenance, worths = [], [], []
    owed, owed_to_keep = [-coins * index], [-coins * index]
    pieces = {"long options": 0.0, "short options": 0.0, "linear": 0.0}
    for line in lines:
        worth, figures = _line(chain, line, index, p)
        positions[line.instrument.name] = figures
        worths.append(worth)
        kind, own = "linear", figures
        if line.instrument.is_option:
            kind = "short options" if line.quantity < 0.0 else "long options"
            own = (figures[0] + worth, figures[1] + worth)
            if line.quantity > 0.0:
                is_alive = chain.time_to_expiry[chain.row_of[line.instrument.name]] > 0.0
                own = (worth, worth) if is_alive else (0.0, 0.0)
        initial.append(own[0])
        maintenance.append(own[1])
        pieces[kind] += own[0]
        if line.instrument.is_inverse:
            owed.append(figures[0])
            owed_to_keep.append(figures[1])
    value = coins * index
    cut = cut_more = 0.0
    if coins != 0.0:
        terms = p.terms_of(underlying)
        cut, cut_more = abs(value) * terms.maintenance, abs(value) * terms.initial
    mismatch = p.mismatch.initial * max(fsum(owed), 0.0)
    return PositionMargin(
        underlying=underlying,
        initial_margin_usd=fsum([*initial, cut, cut_more, mismatch]),
        maintenance_margin_usd=fsum([*maintenance, cut, p.mismatch.maintenance * max(fsum(owed_to_keep), 0.0)]),
        equity_usd=fsum([value, *worths]),
        option_value_usd=fsum(worths),
        positions=positions,
        contingencies={**pieces, "currency mismatch": mismatch, "collateral": cut + cut_more},
    )


def _line(chain: Chain, line: Position, index: float, p: PositionParameters) -> tuple[float, Figures]:
    """What a position is worth as an option, and the venue's figures for it, USD."""
    row, instrument = chain.row_of[line.instrument.name], line.instrument
    size, forward = float(chain.contract_size[row]), float(chain.forward[row])
    if instrument.strike is None:
        terms = p.linear_terms(instrument.underlying, instrument.settlement)
        coins = line.quantity * size / (forward if instrument.is_inverse else 1.0)
        price = forward if terms.price is Reference.FORWARD else index
        return 0.0, linear_margin(terms, coins=coins, price=price)
    option = NetOption(
        strike=instrument.strike,
        is_call=bool(instrument.is_call),
        forward=forward,
        volatility=float(chain.mark_iv[row]),
        amount=line.quantity * size,
    )
    years = float(chain.time_to_expiry[row])
    price = black_price(option, forward=forward, volatility=option.volatility, time_to_expiry=years)
    price *= index / forward if instrument.is_inverse else 1.0
    terms_of_short = p.option_terms(instrument.underlying, instrument.settlement)
    if option.amount > 0.0:
        return option.amount * price, (0.0, 0.0)
    if years <= 0.0:
        return option.amount * price, (-option.amount * price, -option.amount * price)
    initial, maintenance = short_option(terms_of_short, option, index=index, price=price)
    return option.amount * price, (-option.amount * initial, -option.amount * maintenance)
