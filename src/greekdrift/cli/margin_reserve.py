"""`greekdrift margin reserve`: the cash that each account must be able to find, and whether it can."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greekdrift.cli import options

if TYPE_CHECKING:
    from greekdrift.book import Chain
    from greekdrift.config.reserves import Reserves
    from greekdrift.margin.buffer import Reserve, Source


def command(
    reserves: Annotated[
        Path, typer.Option("--reserves", help="YAML: currencies (haircut, delay_hours, usd_per_hour) and holdings.")
    ],
    chain: options.PerhapsChain = None,
    book: options.Book = None,
    rules: options.Rules = "derive_pm2",
    model: options.Model = "fhs",
    level: Annotated[float, typer.Option("--level", help="Share of the scenarios in which every need is met.")] = 0.99,
    horizons: Annotated[str | None, typer.Option("--horizons", help="Hours at which needs are looked at.")] = None,
    samples: Annotated[int | None, typer.Option("--samples", min=100, help="Number of scenarios.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed.")] = 0,
    chains: options.Chains = None,
    history: options.History = None,
    at: options.At = None,
    as_of: options.AsOf = None,
    venue: options.PerhapsVenue = None,
    out: options.OutJson = None,
    runs: options.Runs = Path("runs"),
) -> None:
    """Liquidity at risk of each account over the horizons, what its holdings raise by then, and the reserve to keep.

    The need is the fall of equity and the rise of the initial margin, in every
    scenario of a forecast. The reserve is the cash to have at hand from the
    start, beside what is raised in time. Holdings are those of the reserves
    file, not the collateral that is posted already; a currency without terms is
    an error.

    Example: greekdrift margin reserve --chains chains --book book.yaml
      --reserves reserves.yaml --model fhs
    """
    from greekdrift.cli.console import say, write_json
    from greekdrift.cli.forecasts import hours
    from greekdrift.cli.setting import Asked, setting
    from greekdrift.config.reserves import load_reserves
    from greekdrift.errors import DataError
    from greekdrift.forecast.margin import margin_forecast
    from greekdrift.margin.buffer import reserve
    from greekdrift.serve.history import with_chain
    from greekdrift.surface.fit import fit
    from greekdrift.units import stamp

    options.keep_apart((out,), (chain, book, reserves, history))
    told, checks = load_reserves(reserves), hours(horizons)
    found = setting(
        Asked(
            chain=chain, chains=chains, at=at, as_of=as_of, book=book, model=model, history=history, venue=venue,
            rules=rules,
            runs=runs,
        )
    )  # fmt: skip
    if found.predictor is None or found.history is None:
        raise DataError("a forecast needs a past: give --chains FOLDER or --history FOLDER.")
    names = [account.account_id for account in found.accounts]
    ladders = _ladders(told, names, found.chain)
    known = with_chain(found.history, found.chain, features=found.features)
    scenarios = found.predictor.predict(
        known, horizons=checks or found.horizons, n=samples or found.scenarios, seed=seed
    )
    surface = fit(found.chain)
    made: dict[str, Reserve] = {}
    for account in found.accounts:
        if not account.positions:
            say(f"{account.account_id} has no position and needs no reserve")
            continue
        ahead = margin_forecast(found.chain, [account], found.rules, surface=surface, scenarios=scenarios)
        need, sources = ahead.outlay(account.account_id), ladders[account.account_id]
        made[account.account_id] = reserve(
            need, scenarios.weights, horizons=scenarios.horizons, sources=sources, level=level
        )
    _show(made, level)
    say(f"{found.predictor.name}, {scenarios.n} scenarios from {stamp(found.chain.as_of)}, rule set {found.rules.name}")
    if out is not None:
        write_json({name: _values(one) for name, one in made.items()}, out)


def _ladders(told: "Reserves", names: list[str], chain: "Chain") -> "dict[str, tuple[Source, ...]]":
    """The cash ladder of each account; holdings of an account that is not in the book are refused."""
    from math import inf

    from greekdrift.errors import BookError, nearest
    from greekdrift.margin.buffer import Raising, ladder

    unknown = [name for name in told.holdings if name not in names]
    if unknown:
        raise BookError(f'holdings of "{unknown[0]}", who is not in the book; {nearest(unknown[0], names)}')
    prices = {**chain.index_price, **dict.fromkeys(told.dollars, 1.0)}
    raising = {
        name: Raising(haircut=one.haircut, delay_hours=one.delay_hours, usd_per_hour=one.usd_per_hour or inf)
        for name, one in told.currencies.items()
    }
    return {name: ladder(told.holdings.get(name, {}), prices, raising) for name in names}


def _show(made: "dict[str, Reserve]", level: float) -> None:
    from greekdrift.cli.console import table

    rows = [
        (name, f"{hours:g} h", risk, raised, max(risk - raised, 0.0))
        for name, one in made.items()
        for hours, risk, raised in zip(
            one.horizons.tolist(), one.liquidity_at_risk_usd.tolist(), one.raised_usd.tolist(), strict=True
        )
    ]
    columns = ("account", "until", f"need, {level:.4g} quantile", "raised by then", "missing")
    table("Liquidity at risk and the cash ladder, USD", columns, rows)
    table(
        "Reserve: cash at hand from the start, USD",
        ("account", "reserve"),
        [(a, b.reserve_usd) for a, b in made.items()],
    )


def _values(one: "Reserve") -> dict[str, Any]:
    return {
        "level": one.level,
        "horizons_h": one.horizons.tolist(),
        "liquidity_at_risk_usd": one.liquidity_at_risk_usd.tolist(),
        "raised_usd": one.raised_usd.tolist(),
        "reserve_usd": one.reserve_usd,
    }
