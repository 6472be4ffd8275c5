"""The one list of what recorded chains are checked for: each rule with its severity and what to do about it."""

from dataclasses import dataclass
from enum import IntEnum

from greekdrift.errors import ConfigError, nearest


class Severity(IntEnum):
    """How bad a finding is.

    A note is usual in sound data and worth its count; a warning is unusual and may mislead; an error cannot be meant
    as it stands: the program would refuse the row, or be wrong with it.
    """

    NOTE = 1
    WARNING = 2
    ERROR = 3

    @property
    def word(self) -> str:
        """The severity in lower case."""
        return self.name.lower()


def severity(word: str) -> Severity:
    """The severity of a word.

    >>> severity("warning").name
    'WARNING'
    """
    words = {one.word: one for one in Severity}
    if word not in words:
        raise ConfigError(f'"{word}" is no severity; {nearest(word, words)}')
    return words[word]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing that is looked for: what a finding says, what its figure and limit are, and the remedy."""

    name: str
    severity: Severity
    fact: str
    figure: str
    remedy: str


def _rules(severity: Severity, *rows: tuple[str, str, str, str]) -> dict[str, Rule]:
    return {
        name: Rule(name=name, severity=severity, fact=fact, figure=figure, remedy=remedy)
        for name, fact, figure, remedy in rows
    }


_SET_ASIDE = "set the rows aside with --quarantine"
_RECOLLECT = "collect again, or treat the time as missing"

_ERRORS = _rules(
    Severity.ERROR,
    ("unreadable", "the file cannot be read", "nothing", "write the file again, or restore it from a copy"),
    ("no_time", "no snapshot_ts_utc, or one that is no time", "nothing", "write ISO 8601 in UTC"),
    ("no_name", "no instrument_name", "nothing", _SET_ASIDE),
    ("unknown_name", "the instrument's name cannot be read", "nothing", "write names as the venue does"),
    ("unknown_product", "the venue lists no such product", "nothing", "pass the right --venue, or add the product"),
    ("not_a_number", "text where a number belongs", "nothing", "leave what is absent empty"),
    ("expired", "the contract had expired", "days to expiry, 0", f"{_SET_ASIDE}, or read with quality.alive"),
    ("wrong_strike", "strike_usd is not the strike of the name", "strike_usd, strike", "correct one of them"),
    ("wrong_expiry", "expiry_ts_utc is not the expiry of the name", "days between, 0", "correct one of them"),
    ("duplicate", "the row stands there more than once", "copies, 1", _SET_ASIDE),
    ("conflict", "two rows of one contract and snapshot disagree", "rows, 1", "find out which is right; all are bad"),
    ("bad_bid", "a bid that is negative or infinite", "bid, 0", "leave an absent bid empty"),
    ("bad_ask", "an ask that is not positive, or infinite", "ask, 0", "leave an absent ask empty"),
    (
        "bad_mark",
        "a mark that is missing, negative or infinite",
        "mark, 0",
        f"{_SET_ASIDE}, or read with quality.finite",
    ),
    ("bad_volatility", "a mark_iv that is no volatility", "mark_iv, 50", f"{_SET_ASIDE}, or read with quality.finite"),
    (
        "bad_quoted_volatility",
        "a bid_iv or ask_iv that is no volatility",
        "volatility, 50",
        "leave an absent one empty",
    ),
    ("bad_forward", "a forward that is no positive number", "forward, 0", _SET_ASIDE),
    ("bad_index", "an index that is zero, negative or infinite", "index, 0", "leave it empty where it is not known"),
    ("no_index", "the index is nowhere given in the snapshot", "nothing", "add index_price_usd to one row at least"),
    ("bad_size", "an open interest, volume or contract size that is no number of at least 0", "size, 0", _SET_ASIDE),
    ("crossed", "the bid is above the ask", "bid, ask", "read with the filter quality.uncrossed, or set the row aside"),
    ("above_bound", "a mark or bid above the most the option can pay", "price, bound", "a price in USD? divide by F"),
    ("volatility_in_points", "volatilities look like points", "median mark_iv, 5", "divide by 100 (1.00 = 100 %)"),
    ("iv_contradicts", "mark_iv gives another price than the mark", "gap per unit, limit", "correct one of them"),
    ("index_far", "the index is not that of the other rows", "share off the median, limit", "correct or empty it"),
    ("forward_far", "the forward is not that of its expiry", "share off the median, limit", "correct it"),
    ("basis_far", "forward and index are not in one unit", "size of ln F/S, limit", "give both in USD per coin"),
    ("linear_mark_far", "the mark of a future is not its forward", "share between, limit", "correct one of them"),
    ("known_early", "known before it happened", "minutes, 0", "correct known_at_utc: the future cannot be known"),
    ("repeated_snapshot", "a snapshot repeats the one before it", "share of rows alike, limit", _RECOLLECT),
)
_WARNINGS = _rules(
    Severity.WARNING,
    ("locked", "bid and ask are equal", "bid, ask", "use the mark, or drop the quote"),
    ("off_tick", "a bid or ask between two ticks", "price, tick", "check --venue and the tick in its file"),
    ("below_intrinsic", "an ask below what exercise is worth", "ask, intrinsic", "a stale ask, or a wrong forward"),
    ("iv_mismatch", "mark_iv does not reprice the mark", "gap per unit, limit", "recompute one from the other"),
    ("parity", "put-call parity is broken beyond bid and ask", "excess, tick", "a stale quote, or a wrong forward"),
    (
        "parity_of_marks",
        "put-call parity is broken by the marks",
        "gap per unit, limit",
        "recompute marks from mark_iv",
    ),
    ("index_gap", "the index differs from that of the other rows", "share, limit", "use the median of the snapshot"),
    ("forward_gap", "the forward differs from that of its expiry", "share, limit", "use the median of the expiry"),
    ("basis_gap", "forward and index are far apart", "size of ln F/S, limit", "check the forward's source"),
    ("vertical", "a spread of two strikes can be bought for less than nothing", "gain, tick", "drop the stale quote"),
    ("wide_vertical", "a spread of two strikes sells for more than it can pay", "gain, tick", "drop the stale quote"),
    ("butterfly", "a butterfly can be bought for less than nothing", "gain, tick", "drop the stale quote"),
    (
        "calendar",
        "total variance at the money falls with expiry",
        "share lost, limit",
        "a wrong forward, or a stale mark",
    ),
    (
        "surface_refused",
        "no surface without arbitrage meets the quotes",
        "quotes, minutes, error of fit or share of variance, limit",
        "leave the expiry out",
    ),
    ("surface_arbitrage", "arbitrage is left in the fitted surface", "worst, 0", "leave the expiry out"),
    ("unfitted", "no surface can be fitted to the snapshot", "nothing", "leave the snapshot out"),
    ("stale", "a quote and its mark stand still while the index moves", "snapshots alike, limit", "drop the quote"),
    ("time_gap", "no snapshot for longer than is usual", "hours, limit", "treat the time as missing, never bridge it"),
    ("in_hole", "a time that is declared not to be covered", "nothing", "correct the hole, or leave the snapshot out"),
    ("thin_snapshot", "far fewer contracts than in the snapshots before", "contracts, limit", _RECOLLECT),
    ("partial_snapshot", "an underlying is missing from the snapshot", "underlyings, all", _RECOLLECT),
    ("missing_expiry", "an expiry is missing that is there before and after", "contracts, 0", _RECOLLECT),
    ("out_of_order", "rows are not in order of time", "seconds back, 0", "sort the file by snapshot_ts_utc"),
    ("scattered_stamps", "every row has a stamp of its own", "rows a stamp, limit", "give one stamp a snapshot"),
    ("known_late", "known long after it happened", "minutes, limit", "use it only from known_at_utc on"),
    ("known_backwards", "a later snapshot was known before an earlier one", "minutes, 0", "replay by known_at_utc"),
)
_NOTES = _rules(
    Severity.NOTE,
    (
        "mark_outside",
        "the mark is not between bid and ask",
        "mark, bid or ask",
        "usual in far wings; fit with the quotes",
    ),
    (
        "greeks_late",
        "the recorded delta is of another moment",
        "delta gap, limit",
        "recompute from mark_iv and forward",
    ),
    ("declared_hole", "a hole that the set declares", "hours, limit", "the time is missing; nothing bridges it"),
    ("missing_contract", "a contract is missing that is there before and after", "snapshots, 0", "treat it as missing"),
)

RULES: dict[str, Rule] = {**_ERRORS, **_WARNINGS, **_NOTES}
"""Every rule by its name, the gravest first."""
