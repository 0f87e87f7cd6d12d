"""What a Forecastle plugin is made of: the contract, its data types, and its errors."""

from .calendar import Index
from .data import Candidate, Dataset, Estimate, ExogColumn, Fit, Forecast, Notice, Signature, State, Verdict
from .plugin import CONTRACT, Capability, Context, Forecaster, Plugin

__version__ = "0.1.0"

__all__ = [
    "CONTRACT",
    "Candidate",
    "Capability",
    "Context",
    "Dataset",
    "Estimate",
    "ExogColumn",
    "Fit",
    "Forecast",
    "Forecaster",
    "Index",
    "Notice",
    "Plugin",
    "Signature",
    "State",
    "Verdict",
]
