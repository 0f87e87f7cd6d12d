"""The contract as a test class: inherit it, say which plugin, and pytest checks everything that the platform relies on.

    class TestSeasonal(PluginConformance):
        @pytest.fixture
        def case(self) -> Case:
            return Case(SeasonalPlugin, parameters={"season": 4}, frozen=Path(__file__).parent / "frozen")

`case` is the one fixture to override; `Case` says what else it may hold. Every rule is a test named as a sentence, and its
failure says what to change. The rules are the bases of `PluginConformance`, one module for each part of the contract.

States that were released must load for ever, so `frozen` is a folder with one of every format, and what it forecast. Run pytest
once with `FORECASTLE_FREEZE=1` to write the one of the present format, and commit it; `freeze` writes more by hand.
"""

from __future__ import annotations

import pytest

from .capabilities import CapabilityRules
from .case import Case, sample
from .fitting import FittingRules
from .forecasting import ForecastingRules
from .frozen import freeze
from .identity import IdentityRules
from .plain import dumps, loads
from .storing import StoringRules

__all__ = ["Case", "PluginConformance", "dumps", "freeze", "loads", "sample"]


class PluginConformance(IdentityRules, FittingRules, ForecastingRules, StoringRules, CapabilityRules):
    """All rules of the contract. Override the fixture `case`."""

    @pytest.fixture
    def case(self) -> Case:
        """Say which plugin is checked, and with what."""
        raise NotImplementedError(f"{type(self).__name__} must override the fixture `case` and return a Case")
