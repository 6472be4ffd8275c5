"""`greekdrift margin … --forecast MODEL`: where the margin of each account will be, and what cash it will need."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greekdrift.cli import margin_positions, options
from greekdrift.cli.console import escape, progress, say, table, write_json
from greekdrift.cli.forecasts import hours
from greekdrift.cli.setting import Asked, Setting, setting
from greekdrift.config import FORECASTERS, Component, build
from greekdrift.errors import DataError, GreekdriftError
from greekdrift.features.panel import Panel
from greekdrift.forecast.forecaster import Predictor
from greekdrift.forecast.margin import INITIAL, QUANTITIES, MarginForecast, margin_forecast
from greekdrift.serve.history import with_chain
from greekdrift.surface.fit import fit
from greekdrift.units import stamp

DEFAULT = "margin"
"""The word for the law that did best in evaluations of margin."""
LAW = Component.model_validate({"use": "pool", "laws": ["haris-flat:pool", "front"], "common": True})
LEVELS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99)
RISK_LEVELS = (0.95, 0.99)
CUSHION = 1.1


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedAhead:
    """The options of the command, as they were given; `model` is what --forecast names."""

    chain: Path | None
    book: Path
    rules: str
    model: str
    chains: Path | None = None
    history: Path | None = None
    config: Path | None = None
    at: str | None = None
    venue: str | None = None
    feeds: Path | None = None
    samples: int | None = None
    horizons: str | None = None
    seed: int | None = None
    plot: Path | None = None
    out: Path | None = None
    runs: Path = Path("runs")


def foreseen(asked: AskedAhead) -> None:
    """Forecasts margin of every account, prints it, and writes the picture and the JSON that were asked for."""
    options.keep_apart((asked.plot, asked.out), (asked.chain, asked.book, asked.feeds, asked.history, asked.config))
    options.needs_matplotlib(asked.plot)
    checks = hours(asked.horizons)
    found = setting(
        Asked(
            chain=asked.chain,
            chains=asked.chains,
            at=asked.at,
            book=asked.book,
            model="clock" if asked.model == DEFAULT else asked.model,
            history=asked.history,
            config=asked.config,
            venue=asked.venue,
            rules=asked.rules,
            runs=asked.runs,
        )
    )
    if found.history is None:
        raise DataError("a forecast needs a past: give --chains FOLDER or --history FOLDER, or --config FILE.")
    predictor, known = _predictor(asked.model, found, found.history)
    scenarios = predictor.predict(
        known,
        horizons=checks or found.horizons,
        n=asked.samples or found.scenarios,
        seed=found.seed if asked.seed is None else asked.seed,
    )
    chain, made, problems = margin_positions.fed(found.chain, asked.feeds), {}, {}
    surface = fit(chain)
    with progress(f"forecasting the margin of {len(found.accounts)} accounts"):
        for account in found.accounts:
            try:
                ahead = margin_forecast(chain, [account], found.rules, surface=surface, scenarios=scenarios)
            except GreekdriftError as problem:
                problems[account.account_id] = str(problem)
                continue
            made[account.account_id] = values_of(ahead, account.account_id)
    for name, reason in problems.items():
        say(f"[yellow]{escape(name)}[/]: {escape(reason)}")
    if not made:
        raise DataError("no account's margin can be forecast; see the reasons above.")
    rules = found.rules
    say(f"{predictor.name}, {scenarios.n} scenarios, rule set {rules.name} of {rules.dated} ({rules.sha256[:12]})")
    _show(made, scenarios.horizons.tolist(), stamp(found.chain.as_of))
    if asked.plot is not None:
        _drawn(made, scenarios.horizons.tolist(), asked.plot, f"{predictor.name}, from {stamp(found.chain.as_of)}")
    if asked.out is not None:
        write_json(
            {
                "as_of": stamp(found.chain.as_of),
                "known_at": stamp(found.chain.known_at),
                "model": predictor.name,
                "provenance": scenarios.provenance,
                "scenarios": scenarios.n,
                "checks_h": scenarios.horizons.tolist(),
                "rules": {"name": rules.name, "dated": rules.dated.isoformat(), "sha256": rules.sha256},
                "accounts": made,
                "left_out": problems,
            },
            asked.out,
        )


def values_of(ahead: MarginForecast, account: str) -> dict[str, Any]:
    """What is foreseen of one account, as plain values: USD, probabilities and their Monte-Carlo errors."""
    forecast = ahead.forecast
    quantiles = {name: forecast.quantile(account, name, LEVELS) for name in QUANTITIES}
    return {
        "now": {name: forecast.value_now(account, name) for name in QUANTITIES},
        "quantiles": {
            name: {f"{level:g}": row.tolist() for level, row in zip(LEVELS, rows, strict=True)}
            for name, rows in quantiles.items()
        },
        "liquidity_at_risk_usd": {
            f"{level:g}": ahead.liquidity_at_risk(account, level=level).tolist() for level in RISK_LEVELS
        },
        "liquidity_error_usd": {
            f"{level:g}": ahead.liquidity_error(account, level=level).tolist() for level in RISK_LEVELS
        },
        **{
            name: {
                "within": when.within.tolist(),
                "error": when.within_error.tolist(),
                "first": when.probability.tolist(),
                "never": when.never,
            }
            for name, when in (
                ("call", ahead.call(account)),
                ("liquidation", ahead.liquidation(account)),
                (f"call_at_{CUSHION:g}_initial_margin", ahead.call_at(account, CUSHION)),
            )
        },
    }


def _predictor(model: str, found: Setting, history: Panel) -> tuple[Predictor, Panel]:
    """The law, and the past that it is asked from: up to the chain, and with it."""
    known = with_chain(history, found.chain, features=found.features)
    if model != DEFAULT:
        if found.predictor is None:
            raise DataError(f"{model} could not be fitted; give a longer past with --chains or --history.")
        return found.predictor, known
    with progress("fitting the law of margin"):
        law: Predictor = build(LAW, FORECASTERS).fit(history.until(found.chain.known_at))
    return law, known


def _show(made: dict[str, dict[str, Any]], checks: list[float], moment: str) -> None:
    last, chance = f"{checks[-1]:g} h", "{:.1%} ± {:.1%}"
    rows = []
    for name, one in made.items():
        initial, excess = one["quantiles"][INITIAL], one["quantiles"]["excess_usd"]
        risk = one["liquidity_at_risk_usd"]
        rows.append(
            (
                name,
                one["now"][INITIAL],
                initial["0.5"][-1],
                initial["0.95"][-1],
                initial["0.99"][-1],
                one["now"]["excess_usd"],
                excess["0.05"][-1],
                excess["0.01"][-1],
                *(
                    chance.format(one[what]["within"][-1], one[what]["error"][-1])
                    for what in ("call", "liquidation", f"call_at_{CUSHION:g}_initial_margin")
                ),
                *(risk[f"{level:g}"][-1] for level in RISK_LEVELS),
            )
        )
    table(
        f"Margin {last} after {moment}, USD",
        (
            "account",
            "IM now",
            "50 %",
            "95 %",
            "99 %",
            "excess now",
            "5 %",
            "1 %",
            "call",
            "liquidation",
            f"call at {CUSHION:g} IM",
            "cash at risk 95 %",
            "99 %",
        ),
        rows,
    )


def _drawn(made: dict[str, dict[str, Any]], checks: list[float], plot: Path, lead: str) -> None:
    from greekdrift.cli.console import writing
    from greekdrift.report.margin import margin_fans
    from greekdrift.report.picture import write

    title = "Margin ahead"
    with writing(plot):
        write(plot, [(margin_fans(made, checks, title=f"{title}: {lead}"), title)], title=title, lead=lead)
