"""The plugin keeps the contract, serves without science libraries, and its state stays small."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forecastle_sdk import Context, Dataset, Index, Verdict
from forecastle_sdk.conformance import Case, PluginConformance, dumps
from forecastle_sdk.errors import StateError
from forecastle_varmax import VarmaxPlugin

from .simulated import simulated

EXOG = ("realinv", "realgovt", "realdpi", "cpi", "m1", "tbilrate", "unemp", "pop", "infl", "realint")
FROZEN = Path(__file__).parent / "frozen"


SERVE = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from forecastle_varmax import VarmaxPlugin
from forecastle_sdk.conformance import loads
forecaster = VarmaxPlugin().restore(loads(open(sys.argv[2]).read()), 1)
answer = forecaster.append([[1.0, 2000.0]], [[7.0]]).forecast(3, exog=[[7.0]] * 3, quantiles=(0.1,))
science = sorted({"statsmodels", "pandas", "scipy", "sklearn", "skops"} & set(sys.modules))
print(json.dumps({"science": science, "quantiles": answer.quantiles.tolist()}))
"""


class TestVarmax(PluginConformance):
    @pytest.fixture
    def case(self) -> Case:
        return Case(
            VarmaxPlugin,
            parameters={"order": "1,0"},
            frozen=FROZEN,
            too_few=4,
            wrong_parameters=(
                {"order": "0,0"},
                {"order": "1,0,0"},
                {"order": "1,99"},
                {"order": "best"},
                {"order": "auto", "max_p": 0, "max_q": 0},
                {"max_p": -1},
                {"trend": "ctt"},
                {"criterion": "r2"},
                {"error_cov_type": "full"},
                {"validation_size": 0},
                {"maxiter": 0},
            ),
        )


class TestVarmaxWithEverything(PluginConformance):
    @pytest.fixture
    def case(self) -> Case:
        parameters = {"order": "1,1", "trend": "ct", "error_cov_type": "diagonal", "measurement_error": True, "maxiter": 60}
        return Case(VarmaxPlugin, parameters=parameters, frozen=FROZEN.with_name("frozen-mixed"), too_few=4)


def us_macro(rows: int) -> Dataset:
    from statsmodels.datasets import macrodata

    table = macrodata.load_pandas().data.iloc[:rows]
    index = Index("time", "1959-01-01", "QS-JAN").shifted(rows - 1)
    endog = table[["realgdp", "realcons"]].to_numpy()
    return Dataset(endog, ("realgdp", "realcons"), index, table[list(EXOG)].to_numpy(), EXOG)


@pytest.fixture(scope="module")
def macro_fit() -> Any:
    plugin = VarmaxPlugin()
    return plugin.fit(us_macro(202), plugin.parameters().load({"order": "1,1"}), Context())


def test_the_fit_of_us_macro_converges_and_says_what_an_econometrician_would_object_to(macro_fit: Any) -> None:
    assert macro_fit.verdict is Verdict.CONVERGED
    said = {notice.code: notice for notice in macro_fit.notices}
    assert {"accounting-identity", "collinear-exog", "placeholder-rows"} <= set(said)
    assert {"infl", "realint"} <= set(said["placeholder-rows"].columns)
    names = [estimate.name for estimate in macro_fit.estimates]
    assert len(names) == 33
    assert "beta.unemp.realcons" in names
    assert all(estimate.std_error is None or estimate.std_error > 0 for estimate in macro_fit.estimates)


def test_the_state_is_small_and_does_not_grow_with_the_history(macro_fit: Any) -> None:
    plugin = VarmaxPlugin()
    shorter = plugin.fit(us_macro(120), plugin.parameters().load({"order": "1,1", "maxiter": 5}), Context())
    sizes = [len(dumps({"system": fit.forecaster.state()["system"]})) for fit in (macro_fit, shorter)]
    assert sizes[0] < 10_000
    assert abs(sizes[0] - sizes[1]) < 200  # the digits of numbers


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(StateError, match="format 2"):
        VarmaxPlugin().restore({}, 2)


def test_restoring_and_forecasting_load_no_science_library(tmp_path: Path) -> None:
    plugin = VarmaxPlugin()
    forecaster = plugin.fit(simulated((1, 1)), plugin.parameters().load({"order": "1,1"}), Context()).forecaster
    file = tmp_path / "state.json"
    file.write_text(dumps(forecaster.state()))
    appended = forecaster.append(np.array([[1.0, 2000.0]]), np.array([[7.0]]))
    expected = appended.forecast(3, exog=np.full((3, 1), 7.0), quantiles=(0.1,)).quantiles
    command = [sys.executable, "-c", SERVE, json.dumps(sys.path), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["science"] == []
    np.testing.assert_array_equal(answer["quantiles"], expected)
