"""A process that serves forecasts stays small: no science library, and none that writes pickles, is imported on the way."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from forecastle.plugins import discover
from forecastle.settings import Settings
from forecastle.training.loading import LoadedData
from forecastle.training.service import Training, train
from forecastle_registry.versions import Registered
from tests.naive import monthly_sales
from tests.requirements import require

FORBIDDEN = ("statsmodels", "pandas", "scipy", "sklearn", "skops", "matplotlib", "joblib")

# a process of its own, which serves the plugins that are installed, and then says what it has imported
SERVE = """
import io, json, sys
from importlib import metadata
from forecastle.http import create_app
from forecastle.plugins import Catalogue, InstalledPlugin, discover
from forecastle.settings import settings_from
from forecastle_sdk.naive import NaivePlugin

home, asked = sys.argv[1], json.loads(sys.argv[2])
naive = InstalledPlugin("naive", "forecastle-sdk", "0.1.0", NaivePlugin())
app = create_app(settings_from({"FORECASTLE_HOME": home}), loopback=True, plugins=Catalogue([*discover(), naive]))
client = app.test_client()
form = b"price,promo\\n9,0\\n9,1\\n"
for address in ("/openapi.json", "/apidocs", "/models", "/plugins", "/models/sales/docs", "/models/sales/openapi.json"):
    assert client.get(address).status_code == 200, address
answers = [
    client.post("/models/sales/forecast", json=asked),
    client.post("/models/sales/forecast", json=asked, headers={"Accept": "text/csv"}),
    client.get("/models/sales/forecast?price=9,9&promo=0,1"),
    client.post("/models/sales/forecast/file", data={"file": (io.BytesIO(form), "exog.csv")}),
    client.post("/models/sales/observations", json={"endog": {"sales": [1]}, "exog": {"price": [9], "promo": [0]}}),
    client.post("/admin/models/sales/promote", json={"version": 2}),
    client.post("/models/sales/forecast", json=asked),
]
print(json.dumps([[answer.status_code for answer in answers], sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def train_with(engine: Engine, settings: Settings, plugin: str, parameters: dict[str, str]) -> Registered:
    data = LoadedData(monthly_sales(endog=("sales",), rows=60), {"sample": "made up for a test"})
    training = Training(model="sales", plugin=plugin, data=data, parameters={"test_size": 0, **parameters}, promote=True)
    return train(engine, discover(), settings, training, lambda done, total, what: None)


def served(home: Path) -> tuple[list[int], set[str]]:
    asked = json.dumps({"horizon": 2, "exog": {"price": [9, 9.5], "promo": [0, 1]}})
    run = subprocess.run([sys.executable, "-c", SERVE, str(home), asked], capture_output=True, text=True, check=True)
    statuses, modules = json.loads(run.stdout)
    return statuses, set(modules)


def test_serving_the_naive_plugin_imports_no_science(train: Callable[..., Registered], home: Path) -> None:
    train("sales", monthly_sales(endog=("sales",)))
    statuses, modules = served(home)
    assert statuses == [200, 200, 200, 200, 201, 200, 200]
    assert modules.isdisjoint(FORBIDDEN)
    assert "numpy" in modules  # so that the list is of modules


@pytest.mark.parametrize(("plugin", "parameters"), [("arima", {"order": "1,0,0"}), ("varmax", {"order": "1,0"})])
def test_serving_a_state_space_plugin_imports_no_science(
    engine: Engine, settings: Settings, home: Path, plugin: str, parameters: dict[str, str]
) -> None:
    require(importlib.util.find_spec(f"forecastle_{plugin}"), f"forecastle-{plugin} is not installed")
    train_with(engine, settings, plugin, parameters)
    statuses, modules = served(home)
    assert statuses == [200, 200, 200, 200, 201, 200, 200]
    assert modules.isdisjoint(FORBIDDEN), sorted(modules & set(FORBIDDEN))


def test_the_libraries_that_serving_avoids_are_installed_here() -> None:
    absent = [name for name in FORBIDDEN if importlib.util.find_spec(name) is None]
    require(not absent, f"{absent} are not installed, so that not importing them shows nothing")
