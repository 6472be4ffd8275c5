"""Dates that are not ISO 8601, as ISO 8601: 1/19/2024, 19.01.2024, 19-Jan-24, Jan 19 2024, with or without a clock."""

import re
from collections.abc import Iterable, Sequence

import pandas as pd

from greekdrift.errors import DataError

_CLOCK = r"(?:[T ,]+(?P<clock>\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?) ?(?P<half>[AaPp][Mm])?)?"
_ZONE = r"(?: ?(?P<zone>UTC|GMT|Z|[+-]\d\d:?\d\d))?"
_FORMS = tuple(
    re.compile(f"{day}{_CLOCK}{_ZONE}")
    for day in (
        r"(?P<first>\d{1,2})(?P<sign>[/.-])(?P<second>\d{1,2})(?P=sign)(?P<year>\d{4}|\d\d)",
        r"(?P<year>\d{4})(?P<sign>[/.-])(?P<month>\d{1,2})(?P=sign)(?P<day>\d{1,2})",
        r"(?P<day>\d{1,2})[- ]?(?P<word>[A-Za-z]{3,9})[-, ]*(?P<year>\d{4}|\d\d)",
        r"(?P<word>[A-Za-z]{3,9})[- ]*(?P<day>\d{1,2}),?[- ]+(?P<year>\d{4})",
    )
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
CLOCK = re.compile(r"\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?(?: ?[AaPp][Mm])?")
"""A time of day alone."""


def iso(column: pd.Series, *, beside: Sequence[pd.Series] = (), where: str) -> tuple[pd.Series, str] | None:
    """The same column in ISO 8601 and how it was read; None where a cell has none of the forms.

    Of 1/5/2024 the order is that of the whole table: whichever number is above 12 somewhere in the column, or in those
    `beside` it, is the day. With points the day stands first. An order that nothing tells is refused.

    >>> iso(pd.Series(["1/5/2024", "1/19/2024 4:15 PM"]), where="a.csv")[0].tolist()
    ['2024-01-05', '2024-01-19T16:15']
    """
    said = column.dropna().astype(str).str.strip()
    found = {text: match for text in said.unique() for match in (_matched(text),) if match is not None}
    if len(found) != said.nunique() or not found:
        return None
    numeric = [match for match in found.values() if "first" in match.groupdict()]
    is_day_first = bool(numeric) and _is_day_first(numeric, beside, where=where, name=str(column.name))
    made = {text: _written(match, is_day_first=is_day_first) for text, match in found.items()}
    if any(one is None for one in made.values()):
        return None
    how = f"{'day/month' if is_day_first else 'month/day'}/year, " if numeric else ""
    return column.astype("string").str.strip().map(made), how


def _matched(text: str) -> re.Match[str] | None:
    return next((match for form in _FORMS for match in (form.fullmatch(text),) if match is not None), None)


def _is_day_first(numeric: Iterable[re.Match[str]], beside: Sequence[pd.Series], *, where: str, name: str) -> bool:
    own = list(numeric)
    if all(match["sign"] == "." for match in own):
        return True
    for matches in (own, _numeric(beside)):
        day_first = any(int(match["first"]) > 12 for match in matches)
        month_first = any(int(match["second"]) > 12 for match in matches)
        if day_first != month_first:
            return day_first
    raise DataError(
        f'{where}: whether the day or the month stands first in "{own[0].string}" of {name} cannot be told; write ISO '
        "8601 like 2026-02-05."
    )


def _numeric(columns: Sequence[pd.Series]) -> list[re.Match[str]]:
    texts = (text for column in columns for text in column.dropna().astype(str).str.strip().unique())
    found = (_matched(text) for text in texts)
    return [match for match in found if match is not None and "first" in match.groupdict() and match["sign"] != "."]


def _written(match: re.Match[str], *, is_day_first: bool) -> str | None:
    """ISO 8601 of a match; None where its month is none."""
    part = match.groupdict()
    if "first" in part:
        day, month = (part["first"], part["second"]) if is_day_first else (part["second"], part["first"])
    elif "word" in part:
        word = part["word"].lower()[:3]
        if word not in _MONTHS:
            return None
        day, month = part["day"], str(_MONTHS.index(word) + 1)
    else:
        day, month = part["day"], part["month"]
    year = part["year"] if len(part["year"]) == 4 else f"20{part['year']}"
    zone = {"UTC": "Z", "GMT": "Z"}.get(part["zone"] or "", part["zone"] or "")
    clock = f"T{hours(part['clock'], part['half'])}" if part["clock"] else ""
    return f"{year}-{int(month):02d}-{int(day):02d}{clock}{zone if clock else ''}"


def hours(clock: str, half: str | None = None) -> str:
    """A time of day on 24 hours.

    >>> hours("4:15", "PM")
    '16:15'
    """
    hour, _, rest = clock.partition(":")
    count = int(hour)
    if half is not None:
        count = count % 12 + (12 if half.lower() == "pm" else 0)
    return f"{count:02d}:{rest}"
