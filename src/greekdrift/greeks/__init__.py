"""The calculator of prices and Greeks: European options on the forward, inverse contracts, exposure of books."""

from greekdrift.greeks.implied import implied_volatility
from greekdrift.greeks.table import QUANTITIES, compute

__all__ = ["QUANTITIES", "compute", "implied_volatility"]
