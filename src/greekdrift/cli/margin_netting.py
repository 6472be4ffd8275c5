"""`greekdrift margin netting`: what accounts and participants would save by standing together, and how to get there."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greekdrift.cli import options

if TYPE_CHECKING:
    from greekdrift.margin.clearing import Multilateral
    from greekdrift.margin.netting import Group, Member
    from greekdrift.margin.transfer_candidates import Leg
    from greekdrift.margin.transfers import Advice

Books = Annotated[
    list[Path] | None, typer.Option("--book", help="Book file; repeatable, each may have a rule set of its own.")
]
RuleSets = Annotated[
    list[str] | None,
    typer.Option(
        "--rules", help="Rule set; as many as books: one each. Else all stand under the first, the others are compared."
    ),
]
Trades = Annotated[
    Path | None, typer.Option("--trades", help="CSV of trades between participants: buyer,seller,instrument,quantity.")
]
Kinds = Annotated[
    list[str] | None,
    typer.Option("--kind", help="Transfers to look for: move, hedged, pair, box; repeatable, else all."),
]
Consents = Annotated[
    list[str] | None, typer.Option("--consent", help="Account or participant whose margin may rise; repeatable.")
]


def command(
    chain: options.ChainFile,
    book: Books = None,
    rules: RuleSets = None,
    trades: Trades = None,
    kind: Kinds = None,
    consent: Consents = None,
    fee: Annotated[float, typer.Option("--fee", help="Fee of a traded leg, share of its notional.")] = 0.0003,
    move_cost: Annotated[float, typer.Option("--move-cost", help="USD for a position moved within a venue.")] = 0.0,
    move_hours: Annotated[float, typer.Option("--move-hours", help="Hours that such a move takes.")] = 0.0,
    trade_hours: Annotated[float, typer.Option("--trade-hours", help="Hours that a traded leg takes.")] = 0.0,
    steps: Annotated[int, typer.Option("--steps", min=0, help="Transfers at most.")] = 5,
    least_gain: Annotated[float, typer.Option("--least-gain", help="USD that a transfer must free net of cost.")] = 1.0,
    new_trades: Annotated[bool, typer.Option("--new-trades", help="Compression may make new trades.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed, where more than 12 accounts are split.")] = 0,
    at: options.At = None,
    venue: options.VenueName = "deribit",
    out: options.OutJson = None,
) -> None:
    """Margin of accounts apart and together, the transfers that get there, and what clearing would free.

    With --book: the initial margin of each account, what all would need as one,
    whose saving it is (Shapley), and internal transfers that lower the total:
    positions moved, perpetual pairs, boxes. Each candidate is margined by the
    rule set of each account that it touches. No account's margin rises without
    its --consent.

    With --trades: margin of every participant pair by pair, after compression,
    and with one central counterparty.

    Example: greekdrift margin netting --chain chain.parquet --book a.yaml
      --book b.yaml --rules derive_pm2 --rules paradex_pm --fee 0.0003

    Example: greekdrift margin netting --chain chain.parquet --trades trades.csv
    """
    from greekdrift.cli.console import say, write_json
    from greekdrift.config import load_rules
    from greekdrift.errors import InputError

    if not book and trades is None:
        raise InputError("nothing to net: give --book FILE (repeatable), or --trades FILE, or both.")
    options.keep_apart((out,), (chain, *(book or ()), trades))
    quotes, facts = options.chain_of(chain, at, venue)
    sets = [load_rules(name) for name in dict.fromkeys(rules or ("derive_pm2",))]
    found: dict[str, Any] = {}
    if book:
        from greekdrift.margin.transfers import Costs

        given = [load_rules(name) for name in rules or ("derive_pm2",)]
        members = _members(quotes, book, given, facts)
        costs = Costs(fee=fee, move_usd=move_cost, move_hours=move_hours, trade_hours=trade_hours)
        wanted = {"kinds": kind, "consents": consent or (), "most_steps": steps, "least_gain_usd": least_gain}
        found |= _accounts(members, sets, costs, wanted, seed)
    if trades is not None:
        found["participants"] = _participants(quotes, sets[0], trades, consent or (), is_conservative=not new_trades)
    for one in sets:
        say(f"rule set {one.name} of {one.dated} ({one.sha256[:12]}): a dated default, not the live table")
    if out is not None:
        write_json(found, out)


def _members(quotes: Any, books: Sequence[Path], rules: Sequence[Any], facts: Any) -> "list[Member]":
    from greekdrift.errors import InputError
    from greekdrift.margin.netting import Member

    if len(books) > 1 and len(rules) not in (1, len(books)):
        raise InputError(f"{len(rules)} rule sets for {len(books)} books; give one for all, or one for each.")
    each = rules if len(rules) == len(books) else [rules[0]] * len(books)
    return [
        Member(account=account, chain=quotes, rules=own, venue=facts)
        for path, own in zip(books, each, strict=True)
        for account in options.accounts_of(path)
    ]


def _accounts(
    members: "Sequence[Member]", sets: Sequence[Any], costs: Any, wanted: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    import numpy as np

    from greekdrift.errors import InputError, nearest
    from greekdrift.margin.netting import elsewhere, netting
    from greekdrift.margin.transfer_candidates import KINDS
    from greekdrift.margin.transfers import advise

    for one in wanted["kinds"] or ():
        if one not in KINDS:
            raise InputError(f'"{one}" is no kind of transfer; {nearest(one, KINDS)}')
    groups = netting(members, random=np.random.default_rng(seed))
    together = elsewhere(members, sets)
    advice = advise(members, costs=costs, **{**wanted, "kinds": wanted["kinds"] or KINDS})
    _show_groups(groups)
    _show_together(together, groups)
    _show_advice(advice)
    return {"groups": [_group(one) for one in groups], "as_one_account": together, "advice": _advice(advice)}


def _show_groups(groups: "Sequence[Group]") -> None:
    from greekdrift.cli.console import say, table

    rows: list[tuple[Any, ...]] = []
    for group in groups:
        figures = zip(group.account_ids, group.apart_usd.tolist(), group.shares_usd.tolist(), strict=True)
        rows += [(name, group.rules.name, apart, apart - share, round(share, 2)) for name, apart, share in figures]
        whole = float(group.apart_usd.sum()), group.together_usd, round(group.benefit_usd, 2)
        rows.append(("together", group.rules.name, *whole))
    columns = ("account", "rule set", "initial margin apart", "its part of the margin together", "saving")
    table("Initial margin of the accounts apart and together, USD", columns, rows)
    if not all(group.is_exact for group in groups):
        say("savings are estimated over drawn orders of arrival; their sum is exact")


def _show_together(together: Mapping[str, float | str], groups: "Sequence[Group]") -> None:
    from greekdrift.cli.console import table

    apart = sum(float(group.apart_usd.sum()) for group in groups)
    if len(together) < 2:
        return
    rows = [
        (name, value, apart - value, "") if isinstance(value, float) else (name, None, None, value)
        for name, value in together.items()
    ]
    table(
        f"All as one account, against {apart:,.0f} USD as they stand",
        ("rule set", "initial margin", "saving", ""),
        rows,
    )


def _show_advice(advice: "Advice") -> None:
    from greekdrift.cli.console import say, table

    if not advice.steps:
        say(f"no transfer of {advice.tried} tried frees margin beyond its cost{_refused(advice)}")
        return
    rows = [
        (at, one.what, _words(one.legs), one.freed_usd, one.cost_usd, one.net_usd, one.hours, ", ".join(one.raises))
        for at, one in enumerate(advice.steps, start=1)
    ]
    columns = ("step", "what", "legs", "frees", "costs", "net", "hours", "raises")
    table("Transfers that lower the total, one after the other, USD", columns, rows)
    names = list(advice.before_usd)
    figures = [(name, advice.before_usd[name], advice.after_usd[name]) for name in names]
    figures.append(("all", sum(advice.before_usd.values()), sum(advice.after_usd.values())))
    table("Initial margin before and after them, USD", ("account", "before", "after"), figures)
    say(f"{advice.tried} candidates tried in the first round{_refused(advice)}; legs are paid at their Black value")


def _refused(advice: "Advice") -> str:
    if not advice.refused:
        return ""
    return f"; {advice.refused} more would free margin, but raise an account's without consent or overdraw it"


def _words(legs: "Sequence[Leg]") -> str:
    return "; ".join(f"{one.account_id} {one.quantity:+g} {one.instrument}" for one in legs)


def _participants(
    quotes: Any, rules: Any, path: Path, consents: Sequence[str], *, is_conservative: bool
) -> dict[str, Any]:
    from greekdrift.cli.console import say, table
    from greekdrift.config.trades import read_trades
    from greekdrift.margin.clearing import multilateral
    from greekdrift.margin.compression import network_of

    trades = read_trades(path)
    names = sorted({side for buyer, seller, _, _ in trades for side in (buyer, seller)})
    instruments = sorted({instrument for _, _, instrument, _ in trades})
    quotes.rows(instruments)
    gross = network_of(trades, names, instruments)
    found = multilateral(
        quotes, rules, gross, participants=names, instruments=instruments, is_conservative=is_conservative,
        consents=consents,
    )  # fmt: skip
    rows = [
        (name, *(float(column[at]) for column in (found.bilateral_usd, found.compressed_usd, found.central_usd)))
        for at, name in enumerate(names)
    ]
    sums = [float(one.sum()) for one in (found.bilateral_usd, found.compressed_usd, found.central_usd)]
    rows.append(("all", *sums))
    columns = ("participant", "pair by pair", "compressed", "one central counterparty")
    table("Initial margin of the participants, USD", columns, rows)
    say(
        f"gross contracts {found.gross.sum():g} before and {found.after.sum():g} after compression; every net position "
        "stays"
    )
    if found.kept:
        say(f"trades of {', '.join(found.kept)} were left alone: compression would have raised their margin")
    return _network(found, sums)


def _network(found: "Multilateral", sums: Sequence[float]) -> dict[str, Any]:
    import numpy as np

    left = [
        {
            "buyer": found.participants[buyer],
            "seller": found.participants[seller],
            "instrument": found.instruments[at],
            "quantity": float(found.after[at, buyer, seller]),
        }
        for at, buyer, seller in np.argwhere(found.after > 0.0)
    ]
    columns = {
        "bilateral_usd": found.bilateral_usd,
        "compressed_usd": found.compressed_usd,
        "central_usd": found.central_usd,
    }
    return {
        "margin": {
            name: {word: float(column[at]) for word, column in columns.items()}
            for at, name in enumerate(found.participants)
        },
        "total": dict(zip(columns, sums, strict=True)),
        "gross_contracts": {"before": float(found.gross.sum()), "after": float(found.after.sum())},
        "trades_after": left,
        "left_alone": list(found.kept),
    }


def _group(group: "Group") -> dict[str, Any]:
    return {
        "rules": group.rules.name,
        "apart_usd": dict(zip(group.account_ids, group.apart_usd.tolist(), strict=True)),
        "together_usd": group.together_usd,
        "benefit_usd": group.benefit_usd,
        "saving_usd": dict(zip(group.account_ids, group.shares_usd.tolist(), strict=True)),
        "split": "shapley, exact" if group.is_exact else "shapley, drawn orders",
    }


def _advice(advice: "Advice") -> dict[str, Any]:
    def shown(one: Any) -> dict[str, Any]:
        return {
            "what": one.what,
            "legs": [
                {"account": leg.account_id, "instrument": leg.instrument, "quantity": leg.quantity} for leg in one.legs
            ],
            "before_usd": dict(one.before_usd),
            "after_usd": dict(one.after_usd),
            "freed_usd": one.freed_usd,
            "cost_usd": one.cost_usd,
            "net_usd": one.net_usd,
            "hours": one.hours,
            "raises": list(one.raises),
        }

    return {
        "steps": [shown(one) for one in advice.steps],
        "first_round": [shown(one) for one in advice.ranked],
        "tried": advice.tried,
        "refused": advice.refused,
        "before_usd": dict(advice.before_usd),
        "after_usd": dict(advice.after_usd),
    }
