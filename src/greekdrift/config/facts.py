"""Venue facts and margin rule sets: dated data files with a source, parsed into records.

A missing field is an error, never a default. `sha256` is taken over the canonical content of the file
(its values, not its bytes), so comments and layout do not change it.
"""

from dataclasses import fields
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Annotated, get_args

from pydantic import Field

from greekdrift.book import Kind, Product, Settlement, Venue, digest
from greekdrift.book.rules import Parameters, RuleSet
from greekdrift.config.document import Document, read, read_text
from greekdrift.config.problem import Section, parse
from greekdrift.config.record import record
from greekdrift.errors import ConfigError, nearest

Positive = Annotated[float, Field(gt=0.0)]
Share = Annotated[float, Field(ge=0.0, lt=1.0)]


class ProductFacts(Section):
    """Terms of one kind of contract; `fee_cap: null` says that no cap exists, `half_spread: null` that quotes do.

    Units as in `book.Product`: tick in the price currency, lot in contracts, contract size in coins
    (USD for inverse futures and perpetuals), fees as shares of notional (a maker rebate is negative).
    """

    kind: Kind
    settlement: Settlement
    underlying: str
    tick: Positive
    lot: Positive
    contract_size: Positive
    taker_fee: Share
    maker_fee: Annotated[float, Field(gt=-1.0, lt=1.0)]
    fee_cap: Positive | None
    tick_steps: tuple[tuple[Positive, Positive], ...]
    half_spread: Share | None

    def product(self) -> Product:
        """The record."""
        return Product(**dict(self))


class VenueFacts(Section):
    """A venue file: when and where the facts were read, and the products."""

    name: Annotated[str, Field(min_length=1)]
    dated: date
    source: Annotated[str, Field(min_length=1)]
    settlement_hour_utc: Annotated[int, Field(ge=0, le=23)]
    settlement_average_minutes: Annotated[float, Field(ge=0.0, le=1440.0)]
    products: Annotated[tuple[ProductFacts, ...], Field(min_length=1)]


def load_venue(name_or_path: str | Path) -> Venue:
    """The venue of a packaged name or of a file.

    >>> load_venue("deribit").settlement_hour_utc
    8
    """
    document = _document("venues", name_or_path)
    facts = parse(VenueFacts, document)
    return Venue(
        name=facts.name,
        dated=facts.dated,
        source=facts.source,
        sha256=digest(document.values),
        settlement_hour_utc=facts.settlement_hour_utc,
        settlement_average_minutes=facts.settlement_average_minutes,
        products=tuple(product.product() for product in facts.products),
    )


def load_rules(name_or_path: str | Path) -> RuleSet:
    """The margin rule set of a packaged name or of a file: every field of `RuleSet` but the computed `sha256`.

    Its form is the one whose fields the keys under `parameters` are, or most of them.

    >>> load_rules("derive_pm2").venue
    'derive'
    """
    document = _document("rules", name_or_path)
    return record(RuleSet, document, kinds={"parameters": _form_of(document)}, sha256=digest(document.values))


def _form_of(document: Document) -> type:
    forms: tuple[type, ...] = get_args(Parameters)
    given = document.values.get("parameters")
    keys = set(given) if isinstance(given, dict) else set()
    return max(forms, key=lambda form: len(keys & {field.name for field in fields(form)}))


def names(kind: str) -> tuple[str, ...]:
    """Packaged names: of "venues" or of "rules".

    >>> "derive_pm2" in names("rules")
    True
    """
    folder = files("greekdrift.config") / "data" / kind
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")))


def _document(kind: str, name_or_path: str | Path) -> Document:
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith((".yaml", ".yml", ".json")):
        return read(name_or_path)
    known = names(kind)
    if text not in known:
        raise ConfigError(f'"{text}" is not among the packaged {kind}; {nearest(text, known)}, or give a .yaml file.')
    source = files("greekdrift.config") / "data" / kind / f"{text}.yaml"
    return read_text(source.read_text(encoding="utf-8"), name=f"{kind}/{text}.yaml")
