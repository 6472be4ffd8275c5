"""`greekdrift margin binding`: which scenario makes each account's margin, its slopes, and what each line adds."""

from typing import TYPE_CHECKING, Any

from greekdrift.cli import options

if TYPE_CHECKING:
    from greekdrift.margin.sensitivity import Binding, Contributions, Slopes


def command(
    chain: options.ChainFile,
    book: options.BookFile,
    rules: options.Rules = "derive_pm2",
    at: options.At = None,
    venue: options.VenueName = "deribit",
    out: options.OutJson = None,
) -> None:
    """The scenario that binds and its runner-up, what each position adds, and what one contract more or less costs.

    Shares are amount times slope where the rule set is homogeneous, and sum to
    the margin; without the line, and the line alone, stand beside. At a kink a
    contract bought and a contract sold do not cost the same: both are shown.

    Example: greekdrift margin binding --chain chain.parquet --book book.yaml
    """
    from greekdrift.cli.console import say, table, write_json
    from greekdrift.config import load_rules
    from greekdrift.margin.engine import requirement
    from greekdrift.margin.sensitivity import bindings, contributions, slopes

    options.keep_apart((out,), (chain, book))
    quotes, _ = options.chain_of(chain, at, venue)
    rule_set = load_rules(rules)
    found: dict[str, Any] = {}
    for account in options.accounts_of(book):
        name = account.account_id
        binds = bindings(requirement(quotes, account, rule_set))
        shares, sides = contributions(quotes, account, rule_set), slopes(quotes, account, rule_set)
        if binds:
            rows = [(one.underlying, one.scenario, one.pnl_usd, one.runner_up or None, one.gap_usd) for one in binds]
            table(f"{name}: what binds, USD", ("part", "scenario", "P&L", "next", "gap to it"), rows)
        _show(name, shares, sides)
        found[name] = _values(binds, shares, sides)
    say(f"rule set {rule_set.name} of {rule_set.dated} ({rule_set.sha256[:12]}): a dated default, not the live table")
    if out is not None:
        write_json({"rules": rule_set.name, "accounts": found}, out)


def _show(name: str, shares: "Contributions", sides: "Slopes") -> None:
    from greekdrift.cli.console import table

    place = {one: at for at, one in enumerate(sides.instruments)}
    rows = []
    for at, line in enumerate(shares.names):
        here = place.get(line)
        share = None if shares.euler is None else float(shares.euler[at])
        traded = (None, None, "") if here is None else _sides(sides, here)
        rows.append((line, share, float(shares.incremental[at]), float(shares.alone[at]), *traded))
    columns = ("line", "share", "saved without it", "alone", "one more bought", "one more sold", "")
    table(f"{name}: initial margin of {shares.requirement_usd:,.0f} USD by line", columns, rows)


def _sides(sides: "Slopes", at: int) -> tuple[float, float, str]:
    return float(sides.initial_bought[at]), float(sides.initial_sold[at]), "kink" if sides.is_kink[at] else ""


def _values(binds: "tuple[Binding, ...]", shares: "Contributions", sides: "Slopes") -> dict[str, Any]:
    from math import isfinite

    words = ("initial_bought", "initial_sold", "maintenance_bought", "maintenance_sold")
    return {
        "initial_margin_usd": shares.requirement_usd,
        "binding": [
            {
                "part": one.underlying,
                "scenario": one.scenario,
                "pnl_usd": one.pnl_usd,
                "runner_up": one.runner_up or None,
                "gap_usd": one.gap_usd if isfinite(one.gap_usd) else None,
            }
            for one in binds
        ],
        "lines": {
            name: {
                "share_usd": None if shares.euler is None else float(shares.euler[at]),
                "incremental_usd": float(shares.incremental[at]),
                "alone_usd": float(shares.alone[at]),
            }
            for at, name in enumerate(shares.names)
        },
        "slopes_usd": {
            name: {word: float(getattr(sides, word)[at]) for word in words} for at, name in enumerate(sides.instruments)
        },
    }
