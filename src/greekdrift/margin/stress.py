"""The fixed stressed states of a rule set: its regular scenarios as moved chains, for Greeks under stress.

The judge holds a trade to this, for each band of the mandate: let W be the largest distance outside the band over
these states and c = |value now − centre of the band|, before and after the trade. The trade passes iff

W_after ≤ W_before + max(0, c_before − c_after) + STRESS_TOLERANCE (upper − lower)

A hedge of today's breach moves every stressed state by as much as it moves today's value, so the worst of them may
grow by what the trade takes off today's deviation, and by no more. A Greek that the trade does not bring nearer
to its centre may not get worse under stress. Where there are no orders both sides are the same, and it passes.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from greekdrift.book import Chain
from greekdrift.book.rules import (
    STRESS_TOLERANCE,
    Parameters,
    RuleSet,
    stressed_labels,
    stressed_scenarios,
    volatility_terms,
)
from greekdrift.margin.shocks import AVERAGING_SECONDS, moved_volatility
from greekdrift.units import SECONDS_PER_YEAR

__all__ = ["STRESS_TOLERANCE", "stressed_chains"]


def stressed_chains(chain: Chain, rules: RuleSet) -> Mapping[str, Chain]:
    """The chain in each regular scenario of the rule set, by label: forwards, index and volatilities moved.

    Inside the settlement window only the floating part of a forward moves. Marks and quotes stay as they are, and so
    do the accounts: what inverse lines pay in coin on the way is N (1/F₀ − 1/F₁), to be added by the caller.
    A rule set of positions has no scenarios, and no stressed states; an underlying without states stays as it is.
    """
    return {label: _moved(chain, label, rules.parameters) for label in stressed_labels(rules.parameters)}


def _moved(chain: Chain, label: str, p: Parameters) -> Chain:
    names = {*chain.underlyings, *chain.index_price}
    found = {name: one for name in names for one in stressed_scenarios(p, name) if one.label == label}
    spot, volatility = np.ones(len(chain)), np.array(chain.mark_iv)
    for name in chain.underlyings:
        scenario, terms = found.get(name), volatility_terms(p, name) if name in found else None
        if scenario is None or terms is None:
            continue
        mine = chain.underlying == name
        spot[mine] = scenario.spot
        volatility[mine] = moved_volatility(chain.mark_iv[mine], chain.time_to_expiry[mine], scenario.volatility, terms)
    fixed = np.clip(1.0 - chain.time_to_expiry * SECONDS_PER_YEAR / AVERAGING_SECONDS, 0.0, 1.0)
    return replace(
        chain,
        forward=chain.forward * ((1.0 - fixed) * spot + fixed),
        mark_iv=np.where(chain.is_option, volatility, np.nan),
        index_price={
            name: price * (found[name].spot if name in found else 1.0) for name, price in chain.index_price.items()
        },
    )
