"""The one door to the margin of an account or of many books: the page of each form is found by its parameters.

A form is a page with these four functions. What a caller asks here holds for every rule set.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType, ModuleType
from typing import Protocol, cast

from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.book import Account, Chain
from greekdrift.book.matrix_rules import MatrixParameters
from greekdrift.book.position_rules import PositionParameters
from greekdrift.book.rules import NetPortfolioParameters, RuleSet
from greekdrift.errors import BookError, ChainError, ConfigError
from greekdrift.margin import grid, matrix, position
from greekdrift.margin.lines import Weights
from greekdrift.margin.result import MarginResult

FORMS: Mapping[type, ModuleType] = MappingProxyType(
    {NetPortfolioParameters: grid, MatrixParameters: matrix, PositionParameters: position}
)
"""Which page works out the rule sets whose parameters are of a type."""


class Form(Protocol):
    """What the page of a form offers."""

    def requirement(self, chain: Chain, account: Account, rules: RuleSet) -> MarginResult: ...  # noqa: D102

    def requirements(  # noqa: D102
        self,
        chain: Chain,
        weights: Weights,
        rules: RuleSet,
        *,
        rows: Int[ndarray, " row"],
        coins: Mapping[str, Float[ndarray, " account"]],
    ) -> tuple[Float[ndarray, " account"], Float[ndarray, " account"]]: ...

    def forecast_requirements(  # noqa: D102
        self,
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
    ) -> tuple[Float[ndarray, "scenario horizon account"], Float[ndarray, "scenario horizon account"]]: ...

    def subgradient(  # noqa: D102
        self, chain: Chain, account: Account, rules: RuleSet, rows: Int[ndarray, " row"]
    ) -> Float[ndarray, " row"]: ...


def form_of(rules: RuleSet) -> Form:
    """The page of a rule set's form.

    >>> from greekdrift.config import load_rules
    >>> form_of(load_rules("derive_pm2")).__name__
    'greekdrift.margin.grid'
    """
    page = FORMS.get(type(rules.parameters))
    if page is None:
        raise ConfigError(f"rule set {rules.name}: no engine for {type(rules.parameters).__name__}; add its page here.")
    return cast("Form", page)


def requirement(chain: Chain, account: Account, rules: RuleSet) -> MarginResult:
    """Margin requirement of an account at a chain's marks, with equity and scenarios; errors name the account."""
    try:
        return form_of(rules).requirement(chain, account, rules)
    except (BookError, ChainError) as error:
        raise type(error)(f"{account.account_id}: {error}") from None


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
    return form_of(rules).requirements(chain, weights, rules, rows=rows, coins=coins)


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
    option that has expired by the horizon is settled at the forward and gone.
    """
    return form_of(rules).forecast_requirements(
        chain,
        accounts,
        rules,
        rows=rows,
        underlyings=underlyings,
        forward=forward,
        volatility=volatility,
        time_to_expiry=time_to_expiry,
        index=index,
    )


def subgradient(chain: Chain, account: Account, rules: RuleSet, rows: Int[ndarray, " row"]) -> Float[ndarray, " row"]:
    """Change of the initial margin per contract bought of each row, at the account, USD.

    At a kink it is the slope on one side. A cut for a rule set that does not declare itself convex is a local one.
    """
    return form_of(rules).subgradient(chain, account, rules, rows)
