"""The value of each band of an account, now and in stressed states, by the readable `greeks.black`.

The judge's own sum over lines: it shares the formulas of single options with the rest and nothing else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum

import numpy as np
from numpy import ndarray

from greekdrift.book import Account, Band, Chain, Instrument, Kind, Mandate, View
from greekdrift.book.rules import Parameters, RuleSet, stressed_labels, stressed_scenarios, volatility_terms
from greekdrift.book.scenario_terms import SpotScenario, Table, VolatilityMove
from greekdrift.greeks import black, higher, settlement
from greekdrift.margin.naive import AVERAGING_SECONDS, shocked_volatility
from greekdrift.units import DAYS_PER_YEAR, SECONDS_PER_YEAR

QUANTITIES: Mapping[str, Callable[[black.Options], ndarray]] = {
    "delta": black.delta,
    "gamma": black.gamma,
    "vega": black.vega,
    "theta": black.theta,
    "rho": black.rho,
    "vanna": higher.vanna,
    "volga": higher.volga,
    "charm": higher.charm,
    "veta": higher.veta,
    "speed": higher.speed,
    "zomma": higher.zomma,
    "color": higher.color,
    "strike_delta": black.strike_delta,
    "strike_gamma": black.strike_gamma,
}

NOW = "now"
"""Label of the market as it is; an underlying without a scenario of a label stays as it is, too."""

_UNMOVED = SpotScenario(label=NOW, table=Table.REGULAR, spot=1.0, volatility=VolatilityMove.NONE, damping=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """The value of a band and the sum of the absolute parts that it is made of, the scale of its rounding."""

    value: float
    gross: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One position in one state: forward before and in the state, and the Greeks of one coin of it.

    `share` is the part of the settlement average that is still to come, 1 before its window.
    """

    instrument: Instrument
    contracts: float
    size: float
    forward_before: float
    forward: float
    index: float
    years: float
    share: float
    price: float
    greeks: Mapping[str, float]

    @property
    def is_alive(self) -> bool:
        """False at the very instant of expiry."""
        return self.years > 0.0


def band_values(
    chain: Chain, account: Account, mandate: Mandate, rules: RuleSet, states: Sequence[str] = (NOW,)
) -> tuple[dict[str, Value], ...]:
    """Value of each band by label, in each state of the market, spot and volatilities moved as the scenario.

    Conventions as in `book.View` and `Band`: delta on the forward (usd), less the premium in coin (net), as
    d(equity in USD)/dS with the coin equity (collateral); in a moved state the coin equity includes what inverse
    futures and perpetuals have paid. Inside the settlement window of the chain's venue deltas fade.
    """
    names = sorted({band.greek for band in mandate.bands})
    return tuple(
        {band.label: _value(band, lines, account, mandate) for band in mandate.bands}
        for lines in _lines(chain, account, names, rules.parameters, states)
    )


def stressed_states(rules: RuleSet) -> tuple[str, ...]:
    """Labels of a rule set's fixed stressed states: the regular range of its scenarios; none where it has none."""
    return stressed_labels(rules.parameters)


def _state(label: str, underlying: str, p: Parameters) -> SpotScenario:
    """The move of an underlying in a state."""
    found = [one for one in stressed_scenarios(p, underlying) if one.label == label]
    return found[0] if found else _UNMOVED


def _volatility(chain: Chain, row: int, state: SpotScenario, p: Parameters) -> float:
    """Volatility of an option in a state."""
    volatility = float(chain.mark_iv[row])
    if state.volatility is VolatilityMove.NONE:
        return volatility
    terms = volatility_terms(p, str(chain.underlying[row]))
    years = float(chain.time_to_expiry[row])
    return volatility if terms is None else shocked_volatility(volatility, years, state.volatility, terms)


def _lines(
    chain: Chain, account: Account, names: list[str], parameters: Parameters, states: Sequence[str]
) -> list[list[Line]]:
    """The lines of an account in each state; all options of all states go through the calculator together."""
    rows = [chain.row_of[position.instrument.name] for position in account.positions]
    years, before = chain.time_to_expiry[rows], chain.forward[rows]
    moves = [[_state(label, str(chain.underlying[row]), parameters) for row in rows] for label in states]
    spot = np.array([[one.spot for one in moved] for moved in moves])
    index = np.array([chain.index[rows] * moved for moved in spot])
    window = chain.settlement_window
    share = np.array([min(one / window, 1.0) if window > 0.0 else 1.0 for one in years.tolist()])
    fixed = np.clip(1.0 - years * SECONDS_PER_YEAR / AVERAGING_SECONDS, 0.0, 1.0)
    forward = np.array([before * ((1.0 - fixed) * moved + fixed) for moved in spot])
    price, greeks = np.zeros(forward.shape), {name: np.zeros(forward.shape) for name in names}
    is_option = np.array([position.instrument.is_option for position in account.positions], dtype=np.bool_)
    options = [row for row in rows if chain.is_option[row]]
    if options:
        volatility = [
            [
                _volatility(chain, row, one, parameters)
                for row, one in zip(rows, moved, strict=True)
                if chain.is_option[row]
            ]
            for moved in moves
        ]
        strike = [one.instrument.strike or np.nan for one in account.positions if one.instrument.is_option]
        calls = np.array([bool(position.instrument.is_call) for position in account.positions])[is_option]
        found = _options(
            names, forward[:, is_option], index[:, is_option], np.array(strike), np.array(volatility),
            years[is_option], calls, share[is_option], window,
        )  # fmt: skip
        price[:, is_option] = found["price"]
        for name in names:
            greeks[name][:, is_option] = found[name]
    return [
        [
            Line(
                instrument=position.instrument,
                contracts=position.quantity,
                size=float(chain.contract_size[row]),
                forward_before=float(before[n]),
                forward=float(forward[s, n]),
                index=float(index[s, n]),
                years=float(years[n]),
                share=float(share[n]),
                price=float(price[s, n]),
                greeks={name: float(column[s, n]) for name, column in greeks.items()},
            )
            for n, (row, position) in enumerate(zip(rows, account.positions, strict=True))
        ]
        for s in range(len(states))
    ]


def _options(
    names: list[str],
    forward: ndarray,
    index: ndarray,
    strike: ndarray,
    volatility: ndarray,
    years: ndarray,
    calls: ndarray,
    share: ndarray,
    window: float,
) -> dict[str, ndarray]:
    """Price and Greeks of one coin of options in all states; inside the window on the rest of the average."""
    at = black.options(forward=forward, strike=strike, volatility=volatility, time_to_expiry=years, is_call=calls)
    found = {"price": np.array(black.price(at)), **{name: np.array(QUANTITIES[name](at)) for name in names}}
    few = share < 1.0
    if np.any(few):
        fading = settlement.fading(
            [*found],
            forward=forward[:, few],
            index=index[:, few],
            strike=strike[few],
            volatility=volatility[:, few],
            time_to_expiry=years[few],
            is_call=calls[few],
            window=window,
        )
        for name, column in found.items():
            column[:, few] = fading[name]
    return found


def _value(band: Band, lines: list[Line], account: Account, mandate: Mandate) -> Value:
    parts = []
    for line in lines:
        if line.instrument.underlying == band.underlying and line.is_alive:
            share = _share(band, line, mandate)
            per_contract = _delta(band, line) if band.greek == "delta" else _higher(band, line)
            parts.append(share * line.contracts * per_contract)
    if band.greek == "delta" and band.view is View.COLLATERAL:
        parts.append(account.collateral.get(band.underlying, 0.0))
        parts.extend(_coins(line) for line in lines if line.instrument.underlying == band.underlying)
    return Value(value=fsum(parts), gross=fsum(abs(part) for part in parts))


def _share(band: Band, line: Line, mandate: Mandate) -> float:
    """Share of a line that enters a band: its tenor, and gamma fading over the last days of an option's life."""
    days = line.years * DAYS_PER_YEAR
    if band.tenor_days is not None and not (
        line.instrument.is_option and band.tenor_days[0] <= days < band.tenor_days[1]
    ):
        return 0.0
    if band.greek == "gamma" and mandate.gamma_fade_days > 0.0:
        return min(days / mandate.gamma_fade_days, 1.0)
    return 1.0


def _higher(band: Band, line: Line) -> float:
    """Any other Greek of one contract: of linear ones only charm, by which a dated future's delta falls to 0."""
    if band.greek == "charm" and line.instrument.kind is Kind.FUTURE and line.share < 1.0:
        delta = line.share / line.forward if line.instrument.is_inverse else line.share
        return -line.size * delta / line.years
    return line.size * line.greeks[band.greek]


def _delta(band: Band, line: Line) -> float:
    """Delta of one contract in coins, in the band's view.

    With dF/dS = F/S, and inside the settlement window the share w of the average that is still to come, the net and
    the collateral view take S d(coin value)/dS of an inverse contract; the collateral view takes d(USD value)/dS of a
    linear one. Spot moves with the index itself.
    """
    kind, is_inverse, w = line.instrument.kind, line.instrument.is_inverse, line.share
    delta = line.greeks["delta"] if kind is Kind.OPTION else w / line.forward if is_inverse else w
    if band.view is View.USD or kind is Kind.SPOT:
        return line.size * delta
    if is_inverse:
        of_index = line.index / line.forward if w < 1.0 else 1.0
        return line.size * (delta - w * line.price / line.forward) * of_index
    if band.view is View.COLLATERAL and w == 1.0:
        return line.size * delta * line.forward / line.index
    return line.size * delta


def _coins(line: Line) -> float:
    """Coins that a line is worth or has paid in its state: N V/F of an inverse option, N (1/F₀ − 1/F) else."""
    if not line.instrument.is_inverse:
        return 0.0
    amount = line.contracts * line.size
    if line.instrument.kind is Kind.OPTION:
        return amount * line.price / line.forward
    return amount * (1.0 / line.forward_before - 1.0 / line.forward)
