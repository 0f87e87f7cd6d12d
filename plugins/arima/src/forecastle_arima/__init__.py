"""ARIMA for Forecastle: SARIMAX with given orders, fitted by statsmodels and served without it."""

from .parameters import ArimaParameters
from .plugin import ArimaPlugin

__version__ = "0.1.0"

__all__ = ["ArimaParameters", "ArimaPlugin"]
