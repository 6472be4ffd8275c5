"""What can go wrong, as a tree: every message gives the fact, the place and the remedy.

GreekdriftError
├── InputError             what the user gave cannot be used (exit code 2)
│   ├── InstrumentError    a name or a contract that cannot exist
│   ├── ChainError         quotes that contradict each other or are not numbers
│   ├── BookError          accounts, positions, mandates
│   ├── ConfigError        configuration, venue and rule files
│   └── DataError          files, columns, coverage
├── LeakError              something was asked before it was known
├── CalculationError       a number that does not exist (no implied volatility, no fit)
├── ArtefactError          a model file that is corrupt, unsigned or of another schema
├── TrackingError          the experiment record cannot be reached
├── VenueError             a venue that cannot be reached or answers what it should not
└── JournalError           a broken chain, a torn record, a second writer
"""

from collections.abc import Iterable
from difflib import get_close_matches


class GreekdriftError(Exception):
    """Root of all errors that this package raises on purpose."""


class InputError(GreekdriftError, ValueError):
    """What the user gave cannot be used."""


class InstrumentError(InputError):
    """A name or a contract that cannot exist."""


class ChainError(InputError):
    """Quotes that contradict each other or are not numbers."""


class BookError(InputError):
    """Accounts, positions or mandates that cannot be used."""


class ConfigError(InputError):
    """A configuration, venue or rule file that cannot be used."""


class DataError(InputError):
    """A file, a column or a window of data that is not there or not right."""


class LeakError(GreekdriftError):
    """Something was asked for before it was known."""


class CalculationError(GreekdriftError, ArithmeticError):
    """A number that does not exist: no implied volatility, no surface."""


class ArtefactError(GreekdriftError):
    """A model file that is corrupt, tampered with or of another schema."""


class TrackingError(GreekdriftError):
    """The experiment record cannot be reached."""


class VenueError(GreekdriftError):
    """A venue that cannot be reached, or that answers what it should not."""


class JournalError(GreekdriftError):
    """A broken chain, a torn record or a second writer."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Hint for a wrong word: the nearest right one, else the whole list.

    >>> nearest("dleta", ["delta", "gamma"])
    'did you mean "delta"?'
    >>> nearest("x", ["delta", "gamma"])
    'known: delta, gamma'
    """
    words = sorted(known)
    close = get_close_matches(word, words, n=1, cutoff=0.6)
    return f'did you mean "{close[0]}"?' if close else f"known: {', '.join(words)}"
