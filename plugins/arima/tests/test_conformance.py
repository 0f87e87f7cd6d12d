"""The plugin keeps the contract, with seasons and differences too."""

from __future__ import annotations

from pathlib import Path

import pytest

from forecastle_arima import ArimaPlugin
from forecastle_sdk.conformance import Case, PluginConformance

WRONG = (
    {"order": "1,1"},
    {"order": "1,-1,0"},
    {"order": "one,0,0"},
    {"order": "[2,1],0,0"},
    {"order": "1,[1],0"},
    {"order": "1001,0,0"},
    {"order": "1,0,0", "seasonal_order": "1,0,0,1"},
    {"order": "1,0,0", "seasonal_order": "1,0,0,0"},
    {"order": "4,0,0", "seasonal_order": "1,0,0,4"},
    {"order": "0,0,0", "seasonal_order": "0,1,0,600"},
    {"trend": "ctt"},
    {"maxiter": 0},
    {"measurement_error": "perhaps"},
)


class TestArima(PluginConformance):
    @pytest.fixture
    def case(self) -> Case:
        return Case(
            ArimaPlugin,
            parameters={"order": "1,0,0", "trend": "c"},
            frozen=Path(__file__).parent / "frozen",
            too_few=6,
            wrong_parameters=WRONG,
        )


class TestSeasonalArima(PluginConformance):
    @pytest.fixture
    def case(self) -> Case:
        return Case(
            ArimaPlugin,
            parameters={"order": "1,1,1", "seasonal_order": "0,1,1,4", "mle_regression": False},
            frozen=Path(__file__).parent / "frozen-seasonal",
            too_few=17,
        )
