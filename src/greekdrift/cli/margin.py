"""`greekdrift margin`: the requirement of each account under a rule set, and the scenario that binds."""

from greekdrift.cli import options


def command(
    chain: options.ChainFile,
    book: options.BookFile,
    rules: options.Rules = "derive_pm2",
    at: options.At = None,
    venue: options.VenueName = "deribit",
    out: options.OutJson = None,
) -> None:
    """Initial and maintenance margin, equity and excess of each account, under a dated rule set.

    With --out every scenario's P&L is written as JSON.

    Example: greekdrift margin --rules derive_pm2 --chain chain.parquet --book configs/books/deribit.yaml
    """
    from greekdrift.cli.console import say, table, write_json
    from greekdrift.config import load_rules
    from greekdrift.margin.grid import requirement
    from greekdrift.units import stamp

    options.keep_apart((out,), (chain, book))
    quotes, _ = options.chain_of(chain, at, venue)
    rule_set = load_rules(rules)
    results = {account.account_id: requirement(quotes, account, rule_set) for account in options.accounts_of(book)}
    table(
        f"Margin at {stamp(quotes.as_of)}, USD",
        ("account", "equity", "initial margin", "maintenance margin", "excess", "binding scenario"),
        [
            (
                name,
                one.equity_usd,
                one.initial_margin_usd,
                one.maintenance_margin_usd,
                one.excess_usd,
                one.worst_scenario,
            )
            for name, one in results.items()
        ],
    )
    say(f"rule set {rule_set.name} of {rule_set.dated} ({rule_set.sha256[:12]}): a dated default, not the live table")
    if out is not None:
        write_json(
            {
                "as_of": stamp(quotes.as_of),
                "rules": {"name": rule_set.name, "dated": rule_set.dated.isoformat(), "sha256": rule_set.sha256},
                "accounts": {
                    name: {
                        "equity_usd": one.equity_usd,
                        "initial_margin_usd": one.initial_margin_usd,
                        "maintenance_margin_usd": one.maintenance_margin_usd,
                        "excess_usd": one.excess_usd,
                        "worst_scenario": one.worst_scenario,
                        "scenario_pnl_usd": dict(one.scenario_pnl),
                    }
                    for name, one in results.items()
                },
            },
            out,
        )
