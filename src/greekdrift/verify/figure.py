"""Figures as they are written down: rounded, so that another processor writes the same."""

from math import floor, isfinite, log10

DIGITS = 9


def figure(value: float, scale: float) -> float:
    """A value to nine digits of the gross sum that it was made from.

    The last bits of a sum differ between processors, by 1e-15 of its absolute parts and not of what is left of
    them; nine digits of the parts hold everything that both agree on.

    >>> figure(1234.56789012345, 1234.0), figure(3.1e-14, 25.0)
    (1234.56789, 0.0)
    """
    largest = max(abs(scale), abs(value))
    if value == 0.0 or not isfinite(largest):
        return value + 0.0
    return round(value, DIGITS - 1 - floor(log10(largest))) + 0.0
