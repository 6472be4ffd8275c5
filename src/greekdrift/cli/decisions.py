"""Decisions and forecasts on the screen, and the bundle from which anyone can verify them again."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from greekdrift.cli.console import escape, number, results, table
from greekdrift.cli.setting import Setting
from greekdrift.config.document import read
from greekdrift.errors import InputError
from greekdrift.margin.dressing import State
from greekdrift.rebalance import Decision
from greekdrift.serve.encode import decision_values
from greekdrift.serve.wire import account_values, chain_values
from greekdrift.units import stamp

WORDS = {"pnl_usd": "P&L", "excess_usd": "excess over initial margin"}
NONE_BEFORE: Mapping[str, State] = MappingProxyType({})
COLOURS = {"VERIFIED_ML": "green", "BASELINE": "blue", "HOLD": "yellow"}


def show(decisions: Sequence[Decision], *, as_of: datetime) -> None:
    """Each decision: outcome, reasons, and the orders of a verified one."""
    screen = results()
    screen.print(f"\n[bold]Decisions at {stamp(as_of)}[/]")
    for decision in decisions:
        values = decision_values(decision)
        outcome = values["outcome"]
        screen.print(f"\n[bold]{escape(decision.account_id)}[/]  [{COLOURS[outcome]}]{outcome}[/]", highlight=False)
        for reason in values["reasons"]:
            screen.print(f"  {reason}", markup=False)
        adjustment = values["adjustment"]
        if adjustment is None:
            continue
        for order in adjustment["orders"]:
            side = "buy" if order["quantity"] > 0 else "sell"
            amount = number(abs(order["quantity"]))
            screen.print(
                f"  {side} {amount} {order['instrument']} at {order['limit_price']:g}  {order['reason']}", markup=False
            )
        addon = adjustment["margin_addon_usd"]
        screen.print(f"  margin add-on {addon:,.0f} USD; valid until {adjustment['valid_until']}", markup=False)
        for one in values["addon"]["overrides"] if values["addon"] else ():
            screen.print(f"    {one['device']}: {one['after_usd']:,.0f} USD, {one['reason']}", markup=False)


def show_forecast(values: Mapping[str, Any]) -> None:
    """Bands and money of each account: now, the middle 80 % and the breach probability at the last horizon."""
    last = f"{values['horizons_hours'][-1]:g} h"
    rows = [
        (
            account["account_id"],
            quantity["label"],
            quantity["now"],
            quantity["quantiles"]["0.1"][-1],
            quantity["quantiles"]["0.5"][-1],
            quantity["quantiles"]["0.9"][-1],
            limits(quantity),
            None if quantity["breach_probability"] is None else f"{quantity['breach_probability'][-1]:.1%}",
        )
        for account in values["accounts"]
        for quantity in account["quantities"]
        if is_shown(account, quantity)
    ]
    title = (
        f"Forecast at {values['as_of']} by {values['model']}, {values['scenarios']} scenarios, {values['units']} units"
    )
    table(
        title, ("account", "quantity", "now", f"10 % in {last}", "median", "90 %", "limits", f"breach in {last}"), rows
    )


def is_shown(account: Mapping[str, Any], quantity: Mapping[str, Any]) -> bool:
    """Bands and money; for an account without bands the Greeks of each underlying."""
    has_bands = any(one["upper"] is not None for one in account["quantities"])
    is_greek = quantity["label"].startswith(("delta_net of", "gamma of", "vega of"))
    return quantity["breach_probability"] is not None or quantity["label"] == "pnl_usd" or (is_greek and not has_bands)


def limits(quantity: Mapping[str, Any]) -> str | None:
    """Both edges as text; None where there is no limit."""
    edges = [quantity["lower"], quantity["upper"]]
    return None if edges == [None, None] else " … ".join(number(edge) for edge in edges)


def previous_addons(path: Path, *, now: datetime) -> dict[str, State]:
    """The states of the add-ons that earlier decisions left, by account; one of later than now is refused."""
    values = read(path).values.get("addons")
    if not isinstance(values, dict):
        raise InputError(f"{path}: holds no add-ons; give the decisions.json that propose --out wrote last time.")
    found = {name: State.from_values(one) for name, one in values.items() if isinstance(one, dict)}
    for name, one in found.items():
        if one.as_of > now:
            raise InputError(
                f"{path}: the add-on of {name} is of {stamp(one.as_of)}, after {stamp(now)}; give earlier ones."
            )
    return found


def bundle(
    found: Setting, decisions: Sequence[Decision], *, now: datetime, addons: Mapping[str, State] = NONE_BEFORE
) -> dict[str, Any]:
    """Everything that a verification needs: chain, accounts, names and digests of rules and venue, the instant.

    `addons` are the states of the add-ons of before; what the decisions leave, or a HOLD keeps, is for next time.
    """
    states = {**addons, **{one.account_id: one.addon.state for one in decisions if one.addon is not None}}
    return {
        "now": stamp(now),
        "venue": {"name": found.venue.name, "sha256": found.venue.sha256},
        "rules": {"name": found.rules.name, "sha256": found.rules.sha256},
        "decisions": [decision_values(decision) for decision in decisions],
        "accounts": account_values(found.accounts),
        "chain": chain_values(found.chain),
        "addons": {name: one.values() for name, one in states.items()},
    }


def forecast_for_report(
    values: Mapping[str, Any], realised: Mapping[str, Mapping[str, Sequence[float | None]]]
) -> dict[str, Any]:
    """The forecast as a report shows it: bands, money, and for accounts without bands their Greeks.

    `realised` is what then happened, by account and quantity.
    """
    accounts = [
        {
            **account,
            "quantities": [
                {
                    **quantity,
                    "label": WORDS.get(quantity["label"], quantity["label"]),
                    "realised": realised.get(account["account_id"], {}).get(quantity["label"]),
                }
                for quantity in account["quantities"]
                if is_shown(account, quantity)
            ],
        }
        for account in values["accounts"]
    ]
    return {**values, "accounts": accounts}


def decisions_for_report(decisions: Sequence[Decision]) -> list[dict[str, Any]]:
    """Decisions as they are sent and kept."""
    return [decision_values(decision) for decision in decisions]
