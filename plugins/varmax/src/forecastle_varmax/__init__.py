"""VARMAX as a Forecastle plugin: prepare the exogenous columns, find the order, fit, and extract the state that forecasts."""

from .plugin import VarmaxPlugin

__version__ = "0.1.0"

__all__ = ["VarmaxPlugin"]
