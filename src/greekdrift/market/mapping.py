"""Option tables of others in our columns, with an account of how each column was read; what cannot be told is refused.

Inferred, in this order: columns by their names (`market.columns`), the unit of stamps by their magnitude, contracts by
their names or by strike, expiry and side, volatilities in points by their median, prices in the coin or in USD by
which of the two the market's bounds and the Black price allow. Missing numbers are made where the others determine
them: a mark from its volatility or from bid and ask, a volatility from the mark, a forward from put-call parity, an
index from the nearest forward. Nothing else is filled in; `market.plausible` judges what comes out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from greekdrift.book import Kind, Settlement, Venue
from greekdrift.book.instrument import parse
from greekdrift.errors import ConfigError, DataError, InstrumentError, nearest
from greekdrift.greeks import implied
from greekdrift.market import columns, foreign, names, parity, price_unit
from greekdrift.market.plausible import LARGEST_MEDIAN_VOLATILITY
from greekdrift.market.schema import PRICES
from greekdrift.market.ticks import prices
from greekdrift.units import SECONDS_PER_YEAR, from_datetime64

_SIDES = {"c": True, "call": True, "p": False, "put": False, "true": True, "false": False, "1": True, "0": False}
_NAMED_SAMPLE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One of our columns: theirs it comes from, how it was read, its unit, and an example of both."""

    ours: str
    theirs: str
    how: str
    unit: str
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Translated:
    """Rows in the columns of a chain file, how each was read, and their columns that were not."""

    rows: pd.DataFrame
    readings: tuple[Reading, ...]
    unread: tuple[str, ...]


def translate(table: pd.DataFrame, *, venue: Venue, given: Mapping[str, Sequence[str]], where: str) -> Translated:
    """The rows of a foreign table as those of a chain file; `given` are columns that stand for ours by decree."""
    named = [
        str(column)
        for column in table.columns
        if table[column].dtype.kind not in "iufbM"
        and names.readable(table[column].dropna().astype(str).unique()[:_NAMED_SAMPLE], venue=venue) > 0.5
    ]
    for theirs, ours in given.items():
        if "instrument_name" in ours and theirs in table.columns:
            named.append(theirs)
    found = columns.find([str(one) for one in table.columns], given=given, named=named, where=where)
    return _Translation(table, found, venue, where).done()


class _Translation:
    """One table on its way; each step adds columns of ours to `rows` and a line to `readings`."""

    def __init__(self, table: pd.DataFrame, found: columns.Found, venue: Venue, where: str) -> None:
        self._table = table
        self._found = found
        self._of = found.theirs
        self._venue = venue
        self._where = where
        self._readings: list[Reading] = []
        self._rows: dict[str, Any] = {}

    def done(self) -> Translated:
        self._instants()
        self._contracts()
        self._volatilities()
        self._references()
        self._prices()
        self._marks()
        self._forwards()
        self._index()
        self._volatility_of_marks()
        self._names()
        self._amounts()
        self._labels()
        order = {one: at for at, one in enumerate(columns.WORDS)}
        self._readings.sort(key=lambda one: order[one.ours])
        return Translated(rows=pd.DataFrame(self._rows), readings=tuple(self._readings), unread=self._found.unread)

    def _instants(self) -> None:
        for ours in ("snapshot_ts_utc", "known_at_utc"):
            if ours not in self._of:
                continue
            found, how = foreign.instants(self._column(ours), where=self._where)
            if np.any(np.isnat(found)):
                row = int(np.argmax(np.isnat(found)))
                raise DataError(f"{self._where}: row {row} has no {self._of[ours]}; fill it in or drop the row.")
            if how.startswith("dates"):
                found = found + np.timedelta64(self._venue.settlement_hour_utc, "h")
                how = f"{how}, at the venue's settlement hour {self._venue.settlement_hour_utc:02d}:00"
            self._set(ours, found, how, "UTC")
        if "snapshot_ts_utc" not in self._rows:
            raise self._missing("snapshot_ts_utc", "the time of each quote")

    def _contracts(self) -> None:
        """Strike, expiry, side and underlying of each row: from the names, else from columns."""
        if "instrument_name" in self._of:
            self._named()
        else:
            self._described()

    def _named(self) -> None:
        column = pd.Categorical(self._column("instrument_name").astype("string"))
        if np.any(column.codes < 0):
            row = int(np.argmax(column.codes < 0))
            raise DataError(f"{self._where}: row {row} has no {self._of['instrument_name']}; drop the row.")
        try:
            own = [names.ours(str(one), venue=self._venue) for one in column.categories]
        except InstrumentError as problem:
            raise DataError(
                f"{self._where}: {problem} Name the right column with --map yours=instrument_name, or strike, expiry "
                "and side: --map yours=strike_usd, expiry_ts_utc, option_type."
            ) from None
        parsed = [parse(one) for one in own]
        nat = np.datetime64("NaT", "us")
        expiry = np.array(
            [nat if p.expiry is None else np.datetime64(p.expiry.replace(tzinfo=None), "us") for p in parsed]
        )
        at = column.codes
        self._name = np.array(own, dtype=object)[at]
        self._strike = np.array([np.nan if p.strike is None else p.strike for p in parsed])[at]
        self._expiry = expiry.astype("datetime64[us]")[at]
        self._is_call = np.array([bool(p.is_call) for p in parsed])[at]
        self._underlying = np.array([p.underlying for p in parsed])[at]
        self._is_inverse: np.ndarray | None = np.array([p.is_inverse for p in parsed])[at]
        how = "as they are" if list(own) == [str(one) for one in column.categories] else "in our form of names"
        self._set("instrument_name", self._name, how, "")

    def _described(self) -> None:
        for ours, what in (
            ("strike_usd", "the strike"), ("expiry_ts_utc", "the expiry"), ("option_type", "call or put"),
            ("underlying", "the underlying"),
        ):  # fmt: skip
            if ours not in self._of:
                raise self._missing(ours, f"{what}, since no column holds instrument names")
        self._name = np.empty(0, dtype=object)
        self._strike = self._numbers("strike_usd")
        found, how = foreign.instants(self._column("expiry_ts_utc"), where=self._where)
        if how.startswith("dates"):
            found = found + np.timedelta64(self._venue.settlement_hour_utc, "h")
            how = f"{how}, at the venue's settlement hour {self._venue.settlement_hour_utc:02d}:00"
        self._expiry = found
        is_bad = np.isnat(found) | ~(self._strike > 0.0) | np.isinf(self._strike)
        if np.any(is_bad):
            raise DataError(
                f"{self._where}: row {int(np.argmax(is_bad))} has no strike or no expiry ({int(is_bad.sum())} such "
                "rows); drop them."
            )
        self._is_call = self._sides()
        self._underlying = self._column("underlying").astype(str).str.strip().str.upper().to_numpy()
        self._is_inverse = None
        self._note("strike_usd", "as it is", "USD")
        self._note("expiry_ts_utc", how, "UTC")
        self._note("underlying", "as it is", "")

    def _sides(self) -> np.ndarray:
        said = self._column("option_type").astype(str).str.strip().str.lower()
        is_call = said.map(_SIDES)
        if is_call.isna().any():
            row = int(np.argmax(is_call.isna().to_numpy()))
            raise DataError(
                f'{self._where}: {self._of["option_type"]} of row {row} is "{said.iloc[row]}"; write call or put, or '
                "map another column with --map yours=option_type."
            )
        self._note("option_type", "call where call, C or true", "")
        return is_call.to_numpy(dtype=np.bool_)

    def _volatilities(self) -> None:
        there = [name for name in ("mark_iv", "bid_iv", "ask_iv") if name in self._of]
        raw = {name: self._numbers(name) for name in there}
        known = np.concatenate([one[np.isfinite(one) & (one > 0.0)] for one in raw.values()]) if raw else np.empty(0)
        is_points = known.size > 0 and bool(np.median(known) > LARGEST_MEDIAN_VOLATILITY)
        for name, values in raw.items():
            own = values / 100.0 if is_points else values
            made = np.where(own > 0.0, own, np.nan)
            self._set(name, made, "per cent / 100" if is_points else "fractions as they are", "per 1.00")

    def _references(self) -> None:
        """Forward and index where theirs; a "forward" that never differs between expiries is the index."""
        forward = self._numbers("forward_price_usd") if "forward_price_usd" in self._of else None
        index = self._numbers("index_price_usd") if "index_price_usd" in self._of else None
        self._spot_theirs = self._of.get("index_price_usd", "")
        if (
            forward is not None
            and index is None
            and "forward_price_usd" not in self._found.given
            and self._is_flat(forward)
        ):
            forward, index, self._spot_theirs = None, forward, self._of["forward_price_usd"]
        self._forward, self._spot = forward, index

    def _is_flat(self, forward: np.ndarray) -> bool:
        """Whether every snapshot with several expiries has one forward."""
        frame = pd.DataFrame({"at": self._at(), "of": self._underlying, "expiry": self._expiry, "forward": forward})
        groups = frame.dropna().groupby(["at", "of"])
        expiries, levels = groups["expiry"].agg(["min", "max"]), groups["forward"].agg(["min", "max"])
        several = expiries["min"] < expiries["max"]
        return bool(several.any()) and bool((levels["min"] == levels["max"])[several].all())

    def _prices(self) -> None:
        """Bid, ask and mark in one unit each; a column that says its unit is believed, and judged at the end."""
        self._price: dict[str, np.ndarray] = {}
        said: dict[str, str] = {}
        for price in PRICES:
            units = [unit for unit in ("coin", "usd") if f"{price}_price_{unit}" in self._of]
            if units:
                self._both(price, units)
                said[price] = " or ".join(units)
            elif f"{price}_price" in self._of:
                self._price[price] = self._numbers(f"{price}_price")
        plain = [price for price in PRICES if price in self._price and price not in said]
        self._judged = ""
        self._plain_unit = self._unit([self._price[one] for one in plain]) if plain else ""
        if self._is_inverse is None:
            unit = self._plain_unit or ("coin" if any("coin" in one for one in said.values()) else "usd")
            self._is_inverse = np.full(len(self._strike), unit == "coin")
        is_coin = self._is_inverse & ~np.isnan(self._strike)
        for price in plain:
            self._price[price] = self._in_own(self._price[price], is_coin)
        self._is_coin = is_coin

    def _both(self, price: str, units: Sequence[str]) -> None:
        """A price whose columns say their unit; the file's own form keeps both."""
        raw = {unit: self._numbers(f"{price}_price_{unit}") for unit in units}
        inverse = self._is_inverse if self._is_inverse is not None else np.full(len(self._strike), "coin" in raw)
        is_coin = inverse & ~np.isnan(self._strike)
        none = np.full(len(self._strike), np.nan)
        coin, usd = raw.get("coin", none), raw.get("usd", none)
        base = self._base()
        own = np.where(is_coin, coin, usd)
        other = np.where(is_coin, usd / base, coin * base)
        self._price[price] = np.where(np.isnan(own), other, own)

    def _in_own(self, values: np.ndarray, is_coin: np.ndarray) -> np.ndarray:
        """Plain prices in the price currency of each contract; futures and perpetuals are in USD."""
        base = self._base()
        is_option = ~np.isnan(self._strike)
        if self._plain_unit == "coin":
            return np.where(is_option & ~is_coin, values * base, values)
        return np.where(is_option & is_coin, values / base, values)

    def _base(self) -> np.ndarray:
        """The forward of each row, or the index where there is none."""
        for one in (self._forward, self._spot):
            if one is not None:
                return np.where(one > price_unit.SMALLEST, one, np.nan)
        return np.full(len(self._strike), np.nan)

    def _unit(self, columns_: Sequence[np.ndarray]) -> str:
        """The unit of plain prices, by plausibility, else that of the contracts."""
        found = price_unit.judged(
            _middle(columns_),
            forward=self._base(),
            strike=self._strike,
            is_call=self._is_call,
            years=self._years(),
            volatility=self._rows.get("mark_iv"),
        )
        self._judged = f" {found.fact}," if found.unit else ""
        return found.unit or self._unit_of_names(found.fact)

    def _unit_of_names(self, fact: str) -> str:
        """The unit that the contracts themselves have, where names say it and all say the same."""
        if self._is_inverse is not None:
            is_option = ~np.isnan(self._strike)
            if np.all(self._is_inverse[is_option]):
                return "coin"
            if not np.any(self._is_inverse[is_option]):
                return "usd"
        elif self._is_linear_venue():
            return "usd"
        plain = next(f"{price}_price" for price in PRICES if f"{price}_price" in self._of)
        raise DataError(
            f"{self._where}: whether {self._of[plain]} is in the coin or in USD cannot be told ({fact}); say so with "
            f"--map {self._of[plain]}={plain}_coin or --map {self._of[plain]}={plain}_usd."
        )

    def _is_linear_venue(self) -> bool:
        """Whether the venue has no coin-settled options."""
        options = [one for one in self._venue.products if one.kind is Kind.OPTION]
        return bool(options) and all(one.settlement is Settlement.LINEAR for one in options)

    def _marks(self) -> None:
        """The mark, else its price at its volatility, else the middle of bid and ask."""
        if "mark" in self._price:
            self._mark, self._mark_how = self._price["mark"], ""
            return
        middle = None
        if {"bid", "ask"} <= self._price.keys():
            middle = (self._price["bid"] + self._price["ask"]) / 2.0
            middle = np.where((self._price["bid"] > 0.0) & (self._price["ask"] > 0.0), middle, np.nan)
        if "mark_iv" in self._rows and self._forward is not None:
            self._mark, self._mark_how = np.empty(0), "Black price at mark_iv"
        elif middle is not None:
            self._mark, self._mark_how = middle, "middle of bid and ask"
        elif "mark_iv" in self._rows:
            self._mark, self._mark_how = np.empty(0), "Black price at mark_iv"
        else:
            raise self._missing("mark_price", "a mark, its volatility, or bid and ask")

    def _forwards(self) -> None:
        is_linear = np.isnan(self._strike)
        if self._forward is not None:
            made, how = self._forward, "as it is"
            theirs = self._of["forward_price_usd"]
        elif self._mark.size:
            made, how, theirs = self._parity(), "put-call parity of the marks, median by expiry", "–"
        else:
            raise self._missing("forward_price_usd", "the forward of each expiry")
        if self._mark.size:
            made = np.where(np.isnan(made) & is_linear, self._mark, made)
        if np.all(np.isnan(made)):
            raise self._missing("forward_price_usd", "the forward (no expiry has a call and a put of one strike)")
        self._forward = made
        self._set("forward_price_usd", made, how, "USD", theirs=theirs)
        if not self._mark.size:
            self._mark = self._black(self._rows["mark_iv"])
        self._keep_prices()

    def _keep_prices(self) -> None:
        """Prices into the two columns that a chain file has for each."""
        for price, values in {**self._price, "mark": self._mark}.items():
            units = [unit for unit in ("coin", "usd") if f"{price}_price_{unit}" in self._of]
            theirs = " + ".join(self._of[f"{price}_price_{unit}"] for unit in units) or self._of.get(
                f"{price}_price", "–"
            )
            how = self._mark_how if price == "mark" and self._mark_how else self._price_how(units)
            for unit, rows in (("coin", self._is_coin), ("usd", ~self._is_coin)):
                if np.any(rows):
                    own = np.where(rows, values, np.nan)
                    own = np.where(own == 0.0, np.nan, own) if price != "mark" else own
                    self._set(f"{price}_price_{unit}", own, how, "coins" if unit == "coin" else "USD", theirs=theirs)

    def _price_how(self, units: Sequence[str]) -> str:
        is_option = ~np.isnan(self._strike)
        own = {"coin": np.any(self._is_coin), "usd": np.any(is_option & ~self._is_coin)}
        unit = units[0] if len(units) == 1 else ("" if units else self._plain_unit)
        judged = "" if units else self._judged
        if unit == "usd" and own["coin"]:
            return f"USD{judged} / forward, since the contract is paid in the coin"
        if unit == "coin" and own["usd"]:
            return f"coins{judged} × forward, since the contract is paid in USD"
        return "as it is" if units else f"{'coins' if unit == 'coin' else 'USD'}{judged} as they are"

    def _parity(self) -> np.ndarray:
        return parity.forwards(
            self._mark,
            group=self._group(self._expiry),
            strike=self._strike,
            is_call=self._is_call,
            is_coin=self._is_coin,
            spot=self._spot,
        )

    def _group(self, *more: np.ndarray) -> np.ndarray:
        """Snapshot, underlying and more of each row, as keys."""
        return np.stack([np.asarray(one, dtype=object) for one in (self._at(), self._underlying, *more)], axis=1)

    def _index(self) -> None:
        """The index, else the forward of the nearest expiry, or the mark of the perpetual."""
        if self._spot is not None:
            self._set("index_price_usd", self._spot, "as it is", "USD", theirs=self._spot_theirs)
            return
        years = np.where(np.isnat(self._expiry), 0.0, self._years())
        made = parity.nearest(np.asarray(self._forward), group=self._group(), years=years)
        self._set("index_price_usd", made, "forward of the nearest expiry", "USD", theirs="–")

    def _volatility_of_marks(self) -> None:
        if "mark_iv" in self._rows:
            return
        forward, years = np.asarray(self._forward), self._years()
        on = ~np.isnan(self._strike) & (years > 0.0) & (self._mark > 0.0) & (forward > price_unit.SMALLEST)
        made = np.full(len(self._strike), np.nan)
        if np.any(on):
            made[on], _ = implied.solve(
                self._mark[on],
                forward=forward[on],
                strike=self._strike[on],
                time_to_expiry=years[on],
                is_call=self._is_call[on],
                is_coin=self._is_coin[on],
            )
        self._set("mark_iv", made, "implied by the mark", "per 1.00", theirs="–")

    def _names(self) -> None:
        if "instrument_name" in self._rows:
            return
        keys = pd.MultiIndex.from_arrays([self._underlying, self._expiry, self._strike, self._is_call])
        number, unique = pd.factorize(keys)
        is_inverse = bool(np.any(self._is_coin))
        try:
            own = [
                names.made(
                    str(of), from_datetime64(np.datetime64(expiry, "us")), float(strike), is_call=bool(is_call),
                    is_inverse=is_inverse,
                )
                for of, expiry, strike, is_call in unique
            ]  # fmt: skip
        except InstrumentError as problem:
            raise DataError(f"{self._where}: {problem}") from None
        paid = "in the coin" if is_inverse else "in USD"
        self._set(
            "instrument_name", np.array(own, dtype=object)[number], f"made of the columns, paid {paid}", "",
            theirs=" + ".join(self._of[one] for one in ("underlying", "expiry_ts_utc", "strike_usd", "option_type")),
        )  # fmt: skip

    def _amounts(self) -> None:
        """Open interest and volume in coins, contract sizes."""
        if "contract_size" in self._of:
            self._set("contract_size", self._numbers("contract_size"), "as it is", "coins")
        for ours in ("open_interest", "volume_24h"):
            if f"{ours}_coin" in self._of:
                self._set(f"{ours}_coin", self._numbers(f"{ours}_coin"), "as it is", "coins")
            elif ours in self._of:
                self._set(
                    f"{ours}_coin", self._numbers(ours) * self._sizes(), "contracts × contract size", "coins",
                    theirs=self._of[ours],
                )  # fmt: skip

    def _sizes(self) -> np.ndarray:
        if "contract_size" in self._rows:
            return np.asarray(self._rows["contract_size"])
        known = pd.Categorical(self._rows["instrument_name"])
        try:
            size = [self._venue.product(parse(str(one))).contract_size for one in known.categories]
        except ConfigError as problem:
            raise DataError(
                f"{self._where}: {problem} Give the venue of the file with --venue, or map a contract_size."
            ) from None
        return np.array(size, dtype=np.float64)[known.codes]

    def _labels(self) -> None:
        if "origin" in self._of:
            self._set("origin", self._column("origin").to_numpy(), "as it is", "")
        if "venue" in self._of:
            said = self._column("venue").astype("string").str.strip().str.lower().to_numpy()
            self._set("venue", said, "lower case", "")

    def _black(self, volatility: np.ndarray) -> np.ndarray:
        """Marks at a volatility; NaN where an input is missing."""
        forward, years = np.asarray(self._forward), self._years()
        on = ~np.isnan(self._strike) & (volatility > 0.0) & (years > 0.0) & (forward > price_unit.SMALLEST)
        made = np.where(np.isnan(self._strike), forward, np.nan)
        made[on] = prices(
            forward=forward[on],
            strike=self._strike[on],
            volatility=volatility[on],
            time_to_expiry=years[on],
            is_call=self._is_call[on],
            is_inverse=self._is_coin[on],
        )
        return made

    def _at(self) -> np.ndarray:
        return np.asarray(self._rows["snapshot_ts_utc"])

    def _years(self) -> np.ndarray:
        micros = (self._expiry - self._at()).astype(np.float64)
        return np.where(np.isnat(self._expiry), np.nan, micros / (1e6 * SECONDS_PER_YEAR))

    def _column(self, ours: str) -> pd.Series:
        return self._table[self._of[ours]]

    def _numbers(self, ours: str) -> np.ndarray:
        """A column of numbers, missing cells NaN; text that is none is refused with its row."""
        column = self._column(ours)
        numbers = pd.to_numeric(column, errors="coerce")
        said = column.astype("string").str.strip().fillna("")
        is_bad = (
            numbers.isna() & (said != "") & ~said.str.lower().isin(["nan", "none", "null", "-", "n/a", "na"])
        ).to_numpy()
        if np.any(is_bad):
            row = int(np.argmax(is_bad))
            raise DataError(
                f'{self._where}: "{said.iloc[row]}" in row {row} of {self._of[ours]} is no number '
                f"({int(is_bad.sum())} such rows); correct it, or map another column with --map yours={ours}."
            )
        return numbers.to_numpy(dtype=np.float64, na_value=np.nan)

    def _set(self, ours: str, values: np.ndarray, how: str, unit: str, *, theirs: str = "") -> None:
        self._rows[ours] = values
        self._note(ours, how, unit, theirs=theirs, values=values)

    def _note(self, ours: str, how: str, unit: str, *, theirs: str = "", values: Any = None) -> None:
        source = theirs or self._of[ours]
        raw = self._table[source].to_numpy() if source in self._table.columns else None
        self._readings.append(Reading(ours=ours, theirs=source, how=how, unit=unit, example=_example(raw, values)))

    def _missing(self, ours: str, what: str) -> DataError:
        return DataError(
            f"{self._where}: no column can be read as {ours} ({what}); "
            f"{nearest(ours, [str(one) for one in self._table.columns])} Say which with --map yours={ours}."
        )


def _middle(columns_: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of what is quoted, by row; NaN where nothing is."""
    stacked = np.array(columns_)
    count = np.sum(~np.isnan(stacked), axis=0)
    return np.where(count > 0, np.nansum(stacked, axis=0) / np.maximum(count, 1), np.nan)


def _example(raw: Any, values: Any) -> str:
    """The first cell that is there, and what it became."""
    column = raw if values is None else values
    there = np.flatnonzero(pd.notna(column) & (True if raw is None else pd.notna(raw)))
    if not there.size:
        return "no cell is filled"
    at = int(there[0])
    shown = [_shown(one[at]) for one in (raw, values) if one is not None]
    return " → ".join(dict.fromkeys(shown))


def _shown(value: Any) -> str:
    if isinstance(value, np.datetime64 | pd.Timestamp):
        return f"{pd.Timestamp(value):%Y-%m-%d %H:%M:%S}"
    return f"{value:.8g}" if isinstance(value, float | np.floating) else str(value)
