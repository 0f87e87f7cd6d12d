"""The naive plugin keeps the contract, and says what a random walk says."""

from pathlib import Path

import pytest

from forecastle_sdk.conformance import Case, PluginConformance
from forecastle_sdk.naive import NaivePlugin


class TestConformance(PluginConformance):
    @pytest.fixture
    def case(self) -> Case:
        return Case(
            NaivePlugin,
            parameters={"drift": True},
            wrong_parameters=({"drift": "perhaps"},),
            frozen=Path(__file__).parent / "frozen" / "naive",
        )
