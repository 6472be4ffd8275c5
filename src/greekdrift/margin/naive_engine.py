"""The judge's door to margin: the slow truth of each form, found by the rule set's parameters."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from greekdrift.book import Account, Chain
from greekdrift.book.matrix_rules import MatrixParameters
from greekdrift.book.position_rules import PositionParameters
from greekdrift.book.rules import NetPortfolioParameters, RuleSet
from greekdrift.errors import ConfigError
from greekdrift.margin import matrix_naive, naive, position_naive
from greekdrift.margin.result import MarginResult

Truth = Callable[[Chain, Account, RuleSet], MarginResult]

FORMS: Mapping[type, Truth] = MappingProxyType(
    {
        NetPortfolioParameters: naive.requirement,
        MatrixParameters: matrix_naive.requirement,
        PositionParameters: position_naive.requirement,
    }
)
"""The slow truth of the rule sets whose parameters are of a type."""


def requirement(chain: Chain, account: Account, rules: RuleSet) -> MarginResult:
    """Margin requirement of an account at a chain's marks, by plain loops."""
    truth = FORMS.get(type(rules.parameters))
    if truth is None:
        raise ConfigError(f"rule set {rules.name}: no loop for {type(rules.parameters).__name__}; add it here.")
    return truth(chain, account, rules)
