"""The demo model `us-macro`: what it stores stays small, however long its history is."""

import importlib.util

from sqlalchemy import Engine

from forecastle.plugins import discover
from forecastle.settings import Settings
from forecastle.training.loading import LoadedData, load_data
from forecastle.training.service import Training, train
from forecastle_registry.stores import DatabaseStore
from tests.requirements import require

ENDOG = ("realgdp", "realcons")
EXOG = ("realinv", "realgovt", "realdpi", "cpi", "m1", "tbilrate", "unemp", "pop", "infl", "realint")
LARGEST = 20_000


def artifact_size(engine: Engine, settings: Settings, data: LoadedData) -> int:
    """Train on the data as `make serve` does, but for the search and most of the climb, and return the bytes registered."""
    quick = {"order": "3,3", "maxiter": 2, "test_size": 0}  # the largest order of the default search
    training = Training(model="us-macro", plugin="varmax", data=data, parameters=quick)
    version = train(engine, discover(), settings, training, lambda done, total, what: None).version
    return len(DatabaseStore(engine).get(version.artifact_digest))


def test_the_artifact_of_us_macro_is_small_and_does_not_grow_with_the_history(engine: Engine, settings: Settings) -> None:
    require(importlib.util.find_spec("forecastle_varmax"), "forecastle-varmax is not installed")
    whole = load_data("macrodata", ENDOG, EXOG)
    half = LoadedData(whole.dataset.rows(0, whole.dataset.nobs // 2), whole.source)
    long, short = (artifact_size(engine, settings, data) for data in (whole, half))
    assert long < LARGEST
    assert abs(long - short) < 300  # the digits of numbers; a history of one column alone is 800 bytes longer
