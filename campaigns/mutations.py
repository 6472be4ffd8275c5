"""Inputs that nobody meant: documents and tables changed at random, the same for the same generator.

`document` changes JSON by meaning or by bytes, `lines` a table of text by cells, lines or bytes, `content` any bytes.
"""

import copy
import json
import random
from typing import Any

DEEP = 20_000
ODD: tuple[Any, ...] = (
    *(None, True, False, "", "1", "NaN", "-", "0x10", "1e5", "\ud800", "\x00", "x" * 5000),
    *(float("nan"), float("inf"), -float("inf"), 0, -1, -0.0, 1e-320, 1e308, 10**30, 10**400, 2**63, -(2**63), 1.5),
    *([], {}, [[]], [None], {"": 0}, [1, 2, 3]),
)
"""Values where others are due."""
WORDS = (
    *("", " ", "NaN", "nan", "inf", "-inf", "-1", "0", "-0", "1e309", "1e308", "1e-400", "9" * 400, "abc", "1,5"),
    *('"', "\x00", "None", "true", "2026-13-45", "1970-01-01", "9999-12-31T00:00:00Z", "BTC-99XXX99-1-C", "é" * 50),
)
"""Cells where others are due."""


def document(made: Any, rng: random.Random) -> bytes:
    """The bytes of a JSON document after one to three changes."""
    text = json.dumps(_changed(made, rng) if rng.random() < 0.7 else made).encode()
    if rng.random() < 0.02:
        return _nested(text, rng)
    return content(text, rng) if rng.random() < 0.4 else text


def _changed(made: Any, rng: random.Random) -> Any:
    made = copy.deepcopy(made)
    for _ in range(rng.randint(1, 3)):
        holders = [one for one in _holders(made) if one]
        if not holders:
            return rng.choice(ODD)
        holder = rng.choice(holders)
        if isinstance(holder, dict):
            _change_record(holder, rng)
        else:
            _change_list(holder, rng)
    return made


def _holders(made: Any) -> list[Any]:
    """Records and lists inside a document, itself included."""
    found, waiting = [], [made]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict | list):
            found.append(one)
            waiting.extend(one.values() if isinstance(one, dict) else one)
    return found


def _change_record(record: dict[str, Any], rng: random.Random) -> None:
    key = rng.choice(list(record))
    kind = rng.randrange(5)
    if kind == 0:
        del record[key]
    elif kind == 1:
        record[key.upper() if rng.random() < 0.5 else f"{key}_"] = record.pop(key)
    elif kind == 2 and isinstance(record[key], int | float) and abs(record[key]) < 1e100:
        record[key] = record[key] * rng.choice((-1, 0, 1e3, 1e-3, 100, 1e200, 1.0000001))
    else:
        record[key] = copy.deepcopy(rng.choice(ODD))


def _change_list(items: list[Any], rng: random.Random) -> None:
    at = rng.randrange(len(items))
    kind = rng.randrange(5)
    if kind == 0:
        del items[at]
    elif kind == 1:
        items.insert(at, copy.deepcopy(items[at]))
    elif kind == 2:
        rng.shuffle(items)
    elif kind == 3:
        items.clear()
    else:
        items[at] = copy.deepcopy(rng.choice(ODD))


def _nested(text: bytes, rng: random.Random) -> bytes:
    """The document, or a value of it, inside thousands of brackets."""
    left, right = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
    if rng.random() < 0.5:
        return left * DEEP + text + right * DEEP
    return text.replace(b": 0.0", b": " + left * DEEP + b"1" + right * DEEP, 1)


def content(data: bytes, rng: random.Random) -> bytes:
    """Bytes after one to four changes: flipped bits, pieces cut, doubled, overwritten or put in."""
    made = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(made)) if made else 0
        size = min(rng.choice((1, 1, 2, 4, 16, 200)), len(made) - at)
        kind = rng.randrange(6)
        if kind == 0 and made:
            made[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del made[at : at + size]
        elif kind == 2:
            made[at:at] = made[at : at + size] * rng.choice((1, 1, 50))
        elif kind == 3:
            made[at : at + size] = rng.randbytes(size)
        elif kind == 4:
            made[at:at] = rng.choice((b"\xff\xfe", b"\x00", b"NaN", b"9" * 400, b'"', b"\n", b"\xed\xa0\x80", b"1e999"))
        else:
            del made[at if rng.random() < 0.5 else len(made) - size :]
    return bytes(made)


def lines(table: str, rng: random.Random) -> bytes:
    """The bytes of a table of text after one to three changes."""
    rows = [line.split(",") for line in table.splitlines()]
    for _ in range(rng.randint(1, 3)):
        if rows:
            _change_table(rows, rng)
    separator = rng.choice((",", ",", ",", ",", ";", "\t", "|", ", "))
    text = "\n".join(separator.join(row) for row in rows)
    data = text.encode(rng.choice(("utf-8",) * 8 + ("utf-16", "latin-1")), errors="replace")
    return content(data, rng) if rng.random() < 0.25 else data


def _change_table(rows: list[list[str]], rng: random.Random) -> None:
    row = rng.choice(rows)
    width = len(rows[0])
    column = rng.randrange(width) if width else 0
    kind = rng.randrange(9)
    if kind == 0:
        for one in rows:
            del one[column : column + 1]
    elif kind == 1 and width:
        rows[0][column] = rng.choice((*WORDS, rows[0][rng.randrange(width)], rows[0][column].upper()))
    elif kind == 2:
        for one in rows[1:]:
            one[column : column + 1] = [rng.choice(WORDS)]
    elif kind == 3:
        del row[rng.randrange(len(row) + 1) :]
    elif kind == 4:
        row.append(rng.choice(WORDS))
    elif kind == 5:
        rng.shuffle(rows)
    elif kind == 6:
        del rows[rng.randrange(len(rows)) :]
    elif kind == 7:
        factor = rng.choice((100.0, 0.01, 1e6, -1.0, 5e4))
        for one in rows[1:]:
            one[column : column + 1] = [_scaled(cell, factor) for cell in one[column : column + 1]]
    else:
        row[column : column + 1] = [rng.choice(WORDS)]


def _scaled(cell: str, factor: float) -> str:
    try:
        return repr(float(cell) * factor)
    except ValueError:
        return cell
