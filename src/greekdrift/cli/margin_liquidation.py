"""`greekdrift margin liquidation`: every price at which an account is called or liquidated."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greekdrift.cli import options

if TYPE_CHECKING:
    from greekdrift.book import Account, Chain
    from greekdrift.margin.liquidation import Liquidation

Underlying = Annotated[str | None, typer.Option("--underlying", help="Only this one; else all that an account holds.")]
Response = Annotated[
    float | None,
    typer.Option(
        "--response", help="Change of every at-the-money log volatility per log return; -0.5: up 5 % at -10 %."
    ),
]
Low = Annotated[float, typer.Option("--low", help="Lowest price looked at, times spot.")]
High = Annotated[float, typer.Option("--high", help="Highest price looked at, times spot.")]


def command(
    chain: options.PerhapsChain = None,
    book: options.Book = None,
    rules: options.Rules = "derive_pm2",
    underlying: Underlying = None,
    response: Response = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="Take the response from the scenarios of this forecaster (with --chains)."),
    ] = None,
    hours: Annotated[float, typer.Option("--hours", help="Horizon of the forecast that gives the response.")] = 24.0,
    samples: Annotated[int, typer.Option("--samples", min=100, help="Scenarios of that forecast.")] = 2000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Its seed.")] = 0,
    low: Low = 0.3,
    high: High = 3.0,
    at: options.At = None,
    venue: options.PerhapsVenue = None,
    chains: options.Chains = None,
    as_of: options.AsOf = None,
    out: options.OutJson = None,
    runs: options.Runs = Path("runs"),
) -> None:
    """All prices of an underlying at which an account is called (initial margin) or liquidated (maintenance margin).

    Health is not monotone, so there can be several; each is told with the way
    the price must go to do harm. Smiles stay where they are in log-moneyness.
    Volatility stays too, unless --response says how it answers to the return,
    or --model takes the answer from a forecast.

    Example: greekdrift margin liquidation --chain chain.parquet --book
      book.yaml --response -0.5

    Example: greekdrift margin liquidation --chains chains --book book.yaml
      --model fhs
    """
    from greekdrift.cli.console import say, write_json
    from greekdrift.cli.setting import Asked, setting
    from greekdrift.errors import InputError
    from greekdrift.margin.liquidation import liquidation
    from greekdrift.surface.fit import fit
    from greekdrift.units import stamp

    if response is not None and model is not None:
        raise InputError("--response and --model both say how volatility answers; give one of them.")
    options.keep_apart((out,), (chain, book))
    found = setting(
        Asked(
            chain=chain, chains=chains, at=at, as_of=as_of, book=book, model=model, venue=venue, rules=rules, runs=runs
        )
    )
    surface = fit(found.chain)
    given = _response(found, response, model, hours=hours, samples=samples, seed=seed)
    how = _words(response, model)
    say(f"prices of {stamp(found.chain.as_of)}, from {low:g} to {high:g} times spot; volatility {how}")
    shown = [
        liquidation(
            found.chain,
            account,
            found.rules,
            surface=surface,
            underlying=name,
            response=given.get(name),
            low=low,
            high=high,
        )
        for account in found.accounts
        for name in (_names(account, found.chain) if underlying is None else [underlying])
    ]
    _show(shown)
    if out is not None:
        write_json([_values(one) for one in shown], out)


def _names(account: "Account", chain: "Chain") -> list[str]:
    """Underlyings whose price an account feels: those of its positions and of its coins."""
    return sorted({*account.underlyings(), *(name for name in account.collateral if name in chain.index_price)})


def _response(
    found: Any, response: float | None, model: str | None, *, hours: float, samples: int, seed: int
) -> dict[str, Any]:
    from greekdrift.errors import DataError
    from greekdrift.margin.standing import response_of
    from greekdrift.serve.history import with_chain
    from greekdrift.surface.state import FACTORS, LEVEL

    if model is None:
        slopes = {} if response is None else dict.fromkeys(FACTORS[LEVEL], response)
        return dict.fromkeys(found.chain.underlyings, slopes)
    if found.predictor is None or found.history is None:
        raise DataError("the response of a forecast needs a history: give --chains FOLDER.")
    known = with_chain(found.history, found.chain, features=found.features)
    scenarios = found.predictor.predict(known, horizons=[hours], n=samples, seed=seed)
    return {name: response_of(scenarios, name, hours=hours) for name in scenarios.underlyings}


def _words(response: float | None, model: str | None) -> str:
    if model is not None:
        return f"answers as in the scenarios of {model}"
    return "stays" if not response else f"moves by {response:g} of the log return"


def _show(found: "list[Liquidation]") -> None:
    from greekdrift.cli.console import table

    rows: list[tuple[Any, ...]] = []
    for one in found:
        if not one.crossings:
            rows.append((one.account_id, one.underlying, one.spot_usd, "none in the range", None, None, ""))
        for crossing in one.crossings:
            away = f"{100.0 * (crossing.price_usd / one.spot_usd - 1.0):+.1f} %"
            rows.append(
                (
                    one.account_id,
                    one.underlying,
                    one.spot_usd,
                    crossing.kind,
                    crossing.price_usd,
                    away,
                    crossing.direction,
                )
            )
    columns = ("account", "underlying", "spot", "what", "at", "away", "harm when")
    table("Prices of call and liquidation, USD", columns, rows)


def _values(one: "Liquidation") -> dict[str, Any]:
    return {
        "account": one.account_id,
        "underlying": one.underlying,
        "spot_usd": one.spot_usd,
        "crossings": [
            {
                "kind": crossing.kind,
                "price_usd": crossing.price_usd,
                "direction": crossing.direction,
                "is_healthy_below": crossing.is_healthy_below,
                "is_healthy_above": crossing.is_healthy_above,
            }
            for crossing in one.crossings
        ],
        "prices_usd": one.prices.tolist(),
        "initial_health_usd": one.standing.initial_health.tolist(),
        "maintenance_health_usd": one.standing.maintenance_health.tolist(),
    }
