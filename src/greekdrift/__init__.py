"""Forecast how the Greeks, the P&L and the margin of option books will drift, and prove the hedge.

>>> import greekdrift
>>> greekdrift.__version__
'0.1.0'
"""

__version__ = "0.1.0"
