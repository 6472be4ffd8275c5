"""One self-contained HTML page of a run: pictures inside, no script, no request to anywhere."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from greekdrift.report import figures, regimes
from greekdrift.report.contents import Contents, contents
from greekdrift.report.style import CSS

LONGEST_LINE = 34
"""Text up to this length stands on one line of its cell."""

OUTCOMES = {
    "VERIFIED_ML": "verified, forecast used",
    "BASELINE": "verified, deterministic rule",
    "HOLD": "no action",
}


def build(folder: Path, out: Path | None = None) -> Path:
    """Writes the page of a run's folder and returns its path (`report.html` in the folder)."""
    path = out or folder / "report.html"
    path.write_text(render(contents(folder)), encoding="utf-8")
    return path


def render(parts: Contents) -> str:
    """The page of the parts that are there."""
    run = parts.run or {}
    sections: list[tuple[str, str, Callable[[Any], str], Any]] = [
        ("decisions", "What to do now", _decisions, parts.decisions),
        ("forecast", "Where the Greeks will drift", _forecast, parts.forecast),
        ("regime", "Is the volatility regime about to shift?", _regime, parts.regime),
        ("scorecard", "How good is the forecast?", _scorecard, parts.scorecard),
        ("run", "What this page was made from", _run, parts.run),
    ]
    shown = [(key, title, make(part)) for key, title, make, part in sections if part]
    links = "".join(f'<a href="#{key}">{escape(title)}</a>' for key, title, _ in shown)
    body = "".join(f'<section id="{key}"><h2>{escape(title)}</h2>{html}</section>' for key, title, html in shown)
    title = f"greekdrift · {run.get('name', 'run')}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{CSS}</style></head><body>'
        f"<header><p class=brand>greekdrift</p><h1>{escape(str(run.get('title', run.get('name', 'Run'))))}</h1>"
        f"<p class=lead>{escape(str(run.get('subtitle', '')))}</p>{_tiles(parts)}<nav>{links}</nav></header>"
        f"<main>{body}</main><footer>Made by greekdrift {escape(str(run.get('version', '')))}. "
        "An adjustment appears here only if the deterministic calculator verified it. No investment advice.</footer>"
        "</body></html>"
    )


def _tiles(parts: Contents) -> str:
    tiles: list[tuple[str, str, str]] = []
    if parts.decisions:
        outcomes = [decision["outcome"] for decision in parts.decisions["decisions"]]
        acted = sum(outcome != "HOLD" for outcome in outcomes)
        tiles.append(
            (f"{acted} of {len(outcomes)}", "accounts with a verified decision", "the others hold, with reasons")
        )
    if parts.forecast:
        worst = max(_breaches(parts.forecast), key=lambda one: one[0], default=None)
        if worst is not None:
            tiles.append((f"{worst[0]:.0%}", f"largest breach probability within {worst[2]:g} h", worst[1]))
    if parts.regime:
        event = parts.regime
        tiles.append((f"{event['probability']:.0%}", event["event"], f"climatology {event['climatology']:.0%}"))
    if parts.scorecard and parts.scorecard.get("headline"):
        head = parts.scorecard["headline"]
        tiles.append((head["value"], head["label"], head["detail"]))
    cells = "".join(
        f"<div class=tile><b>{escape(value)}</b><span>{escape(label)}</span><small>{escape(detail)}</small></div>"
        for value, label, detail in tiles
    )
    return f"<div class=tiles>{cells}</div>" if cells else ""


def _breaches(forecast: Mapping[str, Any]) -> Iterable[tuple[float, str, float]]:
    for account in forecast["accounts"]:
        for quantity in account["quantities"]:
            if quantity.get("breach_probability"):
                name = f"{account['account_id']}: {quantity['label']}"
                yield quantity["breach_probability"][-1], name, forecast["horizons_hours"][-1]


def _decisions(values: Mapping[str, Any]) -> str:
    return "".join(_decision(decision) for decision in values["decisions"])


def _decision(decision: Mapping[str, Any]) -> str:
    outcome = decision["outcome"]
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in decision["reasons"])
    adjustment = decision.get("adjustment")
    head = (
        f"<article class=decision><h3>{escape(decision['account_id'])}"
        f"<span class='chip {outcome.lower()}'>{escape(outcome)}</span>"
        f"<em>{escape(OUTCOMES.get(outcome, ''))}</em></h3>"
    )
    parts = [head, f"<ul class=reasons>{reasons}</ul>" if reasons else ""]
    if adjustment is not None:
        parts.append(_orders(adjustment))
    certificate = decision.get("certificate")
    if certificate is not None:
        parts.append(_certificate(certificate))
    return "".join([*parts, "</article>"])


def _orders(adjustment: Mapping[str, Any]) -> str:
    orders = adjustment["orders"]
    facts = f"margin add-on {_number(adjustment['margin_addon_usd'])} USD · valid until {adjustment['valid_until']}"
    if not orders:
        return f"<p>No orders: not trading is the verified proposal. <small>{escape(facts)}</small></p>"
    rows = [(one["leg"], one["instrument"], one["quantity"], one["limit_price"], one["reason"]) for one in orders]
    return (
        table(("leg", "instrument", "contracts", "limit", "answers"), rows) + f"<p><small>{escape(facts)}</small></p>"
    )


def _certificate(certificate: Mapping[str, Any]) -> str:
    rows = [
        (
            "✓" if finding["passed"] else "✗",
            finding["check"],
            _brief(finding["value"]),
            _brief(finding["limit"]),
            finding["detail"],
        )
        for finding in certificate["findings"]
    ]
    passed = sum(finding["passed"] for finding in certificate["findings"])
    compared = table(("", "before", "after"), [tuple(row) for row in certificate.get("compared", ())])
    if compared:
        compared += "<p><small>The judge's own numbers, in internal units: vega per 1.00 of volatility.</small></p>"
    return (
        f"{compared}<details><summary>Certificate {escape(certificate['digest'][:16])}… · "
        f"{passed} of {len(rows)} checks passed</summary>"
        f"{table(('', 'check', 'value', 'limit', 'detail'), rows)}</details>"
    )


def _brief(value: Any) -> Any:
    """A digest by its first digits, anything else as it is."""
    return f"{value[:12]}…" if isinstance(value, str) and len(value) == 64 else value


def _forecast(forecast: Mapping[str, Any]) -> str:
    horizons = forecast["horizons_hours"]
    note = (
        f"{forecast['scenarios']:,} joint scenarios by {escape(forecast['model'])} from {escape(forecast['as_of'])}. "
        "Ribbons hold 50, 80 and 95 %; the dot is now; dashed red lines are the mandate's band."
    )
    if any(quantity.get("realised") for account in forecast["accounts"] for quantity in account["quantities"]):
        note += " Open diamonds are what then happened to the unchanged account; no decision could see them."
    parts = [f"<p>{note}</p>", _breach_table(forecast)]
    for account in forecast["accounts"]:
        fans = "".join(
            f"<figure>{figures.image(figures.fan(quantity, horizons), quantity['label'])}"
            f"<figcaption>{_caption(quantity, horizons)}</figcaption></figure>"
            for quantity in account["quantities"]
        )
        parts.append(f"<h3>{escape(account['account_id'])}</h3><div class=fans>{fans}</div>")
    return "".join(parts)


def _caption(quantity: Mapping[str, Any], horizons: Sequence[float]) -> str:
    breach = quantity.get("breach_probability")
    if breach is None:
        return escape(quantity.get("unit", ""))
    return f"breach within {horizons[-1]:g} h: <b>{breach[-1]:.0%}</b> · {escape(quantity.get('unit', ''))}"


def _breach_table(forecast: Mapping[str, Any]) -> str:
    horizons = forecast["horizons_hours"]
    rows: list[Sequence[Any]] = [
        (
            account["account_id"],
            quantity["label"],
            quantity["now"],
            _range(quantity),
            *map(_heat, quantity["breach_probability"]),
        )
        for account in forecast["accounts"]
        for quantity in account["quantities"]
        if quantity.get("breach_probability")
    ]
    if not rows:
        return ""
    return table(("account", "band", "now", "limits", *(f"{hours:g} h" for hours in horizons)), rows)


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def _heat(probability: float) -> Markup:
    return Markup(f"<i class=heat style='--p:{probability:.3f}'>{probability:.0%}</i>")


def _range(quantity: Mapping[str, Any]) -> str:
    return " … ".join("–" if quantity[side] is None else _number(quantity[side]) for side in ("lower", "upper"))


def _regime(regime: Mapping[str, Any]) -> str:
    parts = [f"<p>{escape(regime['description'])}</p>"]
    if regime.get("history"):
        parts.append(f"<figure>{figures.image(regimes.regime(regime['history']), 'probability over time')}</figure>")
    if regime.get("scores"):
        parts.append(table(regime["scores"]["columns"], regime["scores"]["rows"]))
    return "".join(parts)


def _scorecard(scorecard: Mapping[str, Any]) -> str:
    parts = [f"<p>{escape(scorecard['note'])}</p>"]
    if scorecard.get("chart"):
        chart = figures.scores(scorecard["chart"], bar=scorecard["bar"])
        parts.append(f"<figure>{figures.image(chart, 'losses relative to the bar')}</figure>")
    parts.append(table(scorecard["columns"], scorecard["rows"]))
    if scorecard.get("histograms"):
        drawn = figures.calibration(scorecard["histograms"], scorecard.get("diagrams") or {})
        words = "calibration: probability integral transform and reliability of breaches"
        parts.append(f"<figure>{figures.image(drawn, words)}</figure>")
    folded = [
        f"<details><summary>{escape(one['title'])}</summary>{table(one['columns'], one['rows'])}</details>"
        for one in scorecard.get("tables", ())
    ]
    return "".join([*parts, *folded])


def _run(run: Mapping[str, Any]) -> str:
    facts = "".join(
        f"<dt>{escape(str(name))}</dt><dd>{escape(str(value))}</dd>" for name, value in run.get("facts", {}).items()
    )
    limits = "".join(f"<li>{escape(text)}</li>" for text in run.get("limits", ()))
    return f"<dl>{facts}</dl>" + (f"<h3>Limits</h3><ul>{limits}</ul>" if limits else "")


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """An HTML table; numbers stand to the right, what is not known is a dash.

    >>> table(("a",), [(1.5,)]).removeprefix("<div class=wide><table><thead><tr>")
    '<th class=n>a</th></tr></thead><tbody><tr><td class=n>1.5</td></tr></tbody></table></div>'
    """
    filled = [list(row) for row in rows]
    if not filled:
        return ""
    head = "".join(f"<th{_side(row[at] for row in filled)}>{escape(column)}</th>" for at, column in enumerate(columns))
    body = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in filled)
    return f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _side(values: Iterable[Any]) -> str:
    return " class=n" if any(_is_number(value) for value in values) else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, Markup) or (isinstance(value, int | float) and not isinstance(value, bool))


def _cell(value: Any) -> str:
    if isinstance(value, Markup):
        return f"<td class=n>{value}</td>"
    if _is_number(value):
        return f"<td class=n>{_number(value)}</td>"
    text = escape("–" if value is None else str(value))
    return f"<td class=t>{text}</td>" if len(text) <= LONGEST_LINE else f"<td>{text}</td>"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000.0 else f"{value:.4g}"
