"""What makes a requirement: the scenario that binds, its slopes on both sides, and the share of each position.

A requirement is a maximum over scenarios, so it has kinks: a contract bought and one sold need not cost the same.
Both one-sided slopes come from the engine itself, whatever the form of the rule set. With f the requirement along a
trade, s(h) = (f(h) − f(0))/h and g(h) = 2 s(h/2) − s(h), which is the slope at 0 wherever f is linear or quadratic on
[0, h]: h is halved until three g in a row agree, so that no kink lies between. A kink too near to change three g by a
share of 1e-8 is passed over.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Account, Chain
from greekdrift.book.rules import BASIS, RuleSet
from greekdrift.errors import CalculationError
from greekdrift.margin.result import MarginResult
from greekdrift.margin.trials import Trials, trials

HALVINGS = 30
AGREEMENT = 1e-8
"""Relative difference of slopes that counts as none."""

Column = Float[ndarray, " name"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """The scenario of an underlying that makes its requirement, the next one, and how many USD of P&L lie between."""

    underlying: str
    scenario: str
    pnl_usd: float
    runner_up: str
    gap_usd: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slopes:
    """Change of the initial and maintenance margin per contract bought and per contract sold, USD.

    Where all is smooth a sale gives the purchase with the other sign; at a kink it does not.
    """

    instruments: tuple[str, ...]
    initial_bought: Column
    initial_sold: Column
    maintenance_bought: Column
    maintenance_sold: Column

    @property
    def is_kink(self) -> ndarray:
        """Whether the initial margin has a kink at what is held of each instrument."""
        size = np.maximum(np.abs(self.initial_bought), np.abs(self.initial_sold))
        apart: ndarray = np.abs(self.initial_bought + self.initial_sold) > 1e-6 * (1.0 + size)
        return apart


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contributions:
    """Share of each position and collateral coin in the initial margin, USD.

    `euler` is amount × slope: the shares sum to the requirement. None where the rule set is not homogeneous.
    `incremental` is the requirement less the one without the line, `alone` the one of the line by itself.
    """

    names: tuple[str, ...]
    requirement_usd: float
    euler: Column | None
    incremental: Column
    alone: Column


def bindings(result: MarginResult) -> tuple[Binding, ...]:
    """The binding scenario of each part, its runner-up and the gap; "" and infinite where there is only one.

    Parts of forms without scenarios have none.
    """
    found = []
    for part in result.parts:
        pnl = dict(part.scenario_pnl)
        basis = getattr(part, "basis_usd", None)
        if basis is not None:
            pnl[BASIS] = basis
        worst = part.worst_scenario
        if worst not in pnl:
            continue
        others = sorted((value, label) for label, value in pnl.items() if label != worst)
        value, label = others[0] if others else (inf, "")
        found.append(
            Binding(
                underlying=part.underlying,
                scenario=worst,
                pnl_usd=pnl[worst],
                runner_up=label,
                gap_usd=value - pnl[worst],
            )
        )
    return tuple(found)


def slopes(chain: Chain, account: Account, rules: RuleSet, *, instruments: Iterable[str] | None = None) -> Slopes:
    """One-sided slopes of an account's requirement in some instruments, those that it holds where none are named.

    A trade is made at the Black value: an option's premium leaves the collateral where it is paid in the coin.
    """
    wanted = [name for name, n in account.quantities().items() if n != 0.0] if instruments is None else [*instruments]
    of = trials(chain, account, rules, instruments=wanted)
    count, at = len(wanted), np.searchsorted(of.rows, chain.rows(wanted))
    unit = _units(of)[at]
    bought = np.zeros((count, of.amounts.size))
    bought[np.arange(count), at] = unit
    bought = of.paid(bought)
    initial, maintenance = _along(of, np.concatenate([bought, -bought]))
    return Slopes(
        instruments=tuple(wanted),
        initial_bought=initial[:count] / unit,
        initial_sold=initial[count:] / unit,
        maintenance_bought=maintenance[:count] / unit,
        maintenance_sold=maintenance[count:] / unit,
    )


def contributions(chain: Chain, account: Account, rules: RuleSet) -> Contributions:
    """What each position and collateral coin adds to an account's initial margin.

    Nothing is paid for a line that is taken away: the question is what it weighs, not what a trade would bring.
    Where two scenarios tie, a line gets the mean of its two slopes; where more do, the slopes a hair beside the tie.
    """
    of = trials(chain, account, rules)
    held = np.flatnonzero(of.amounts)
    single = np.diag(of.amounts)[held]
    initial, _ = of.requirements(np.concatenate([-single, single - of.amounts, np.zeros((1, of.amounts.size))]))
    now, count = float(initial[-1]), held.size
    return Contributions(
        names=tuple(of.names[line] for line in held),
        requirement_usd=now,
        euler=_euler(of, single, now) if rules.is_homogeneous else None,
        incremental=now - initial[:count],
        alone=initial[count:-1],
    )


def _euler(of: Trials, single: Float[ndarray, "name line"], now: float) -> Column:
    """Amount × slope of each line, `single` being the lines one by one."""
    shares = np.zeros(len(single))
    for hair in (0.0, 1e-7, 1e-5):
        beside = hair * of.amounts * np.modf(np.arange(1, of.amounts.size + 1) * 0.6180339887498949)[0]
        up_and_down, _ = _along(of, np.concatenate([single, -single]), start=beside)
        shares = (up_and_down[: len(single)] - up_and_down[len(single) :]) / 2.0
        if abs(float(shares.sum()) - now) <= 1e-8 * (1.0 + float(np.abs(shares).sum())):
            return shares
    raise CalculationError(
        f"the shares sum to {shares.sum():,.2f} USD, the requirement is {now:,.2f}: {of.rules.name} declares itself "
        "homogeneous and is not so here; take the incremental shares."
    )


def _along(
    of: Trials, directions: Float[ndarray, "direction line"], *, start: Float[ndarray, " line"] | float = 0.0
) -> tuple[Float[ndarray, " direction"], Float[ndarray, " direction"]]:
    """One-sided slopes of both requirements along each direction, a whole direction being the largest step."""
    steps = 0.5 ** np.arange(HALVINGS)
    moved = (steps[:, None, None] * directions).reshape(HALVINGS * len(directions), directions.shape[1])
    values = of.requirements(start + np.concatenate([moved, np.zeros((1, directions.shape[1]))]))
    initial, maintenance = (
        _slope(one[:-1].reshape(HALVINGS, len(directions)), float(one[-1]), steps) for one in values
    )
    return initial, maintenance


def _slope(
    after: Float[ndarray, "step direction"], now: float, steps: Float[ndarray, " step"]
) -> Float[ndarray, " direction"]:
    """The slope that three halvings in a row agree on, at the largest step where they do."""
    secants = (after - now) / steps[:, None]
    found = 2.0 * secants[1:] - secants[:-1]
    rounding = 64.0 * np.finfo(float).eps * (np.abs(after[1:]) + abs(now)) / steps[1:, None]
    slack = AGREEMENT * np.abs(found) + rounding
    agrees = np.abs(np.diff(found, axis=0)) <= slack[:-1] + slack[1:]
    first = np.argmax(agrees[:-1] & agrees[1:], axis=0)
    slope: ndarray = found[first + 1, np.arange(found.shape[1])]
    return slope


def _units(of: Trials) -> Float[ndarray, " row"]:
    """Contracts of each row that make an eighth of the largest line in coins; one coin where nothing is held."""
    rows, chain = of.rows, of.chain
    in_usd = chain.is_inverse[rows] & ~chain.is_option[rows]
    coins = np.where(in_usd, chain.contract_size[rows] / chain.forward[rows], chain.contract_size[rows])
    largest = float(np.max(np.abs(of.amounts[: rows.size]) * coins, initial=0.0))
    return (largest / 8.0 if largest > 0.0 else 1.0) / coins
