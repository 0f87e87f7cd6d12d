"""The training service: what is checked first, what is measured and recorded, and that a training that fails leaves nothing."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine
from threadpoolctl import threadpool_info

from forecastle.plugins import Catalogue, InstalledPlugin
from forecastle.settings import Settings, settings_from
from forecastle.training.compute import LokyContext
from forecastle.training.loading import LoadedData, load_data
from forecastle.training.service import OF_TRAINING_PART, Training, train
from forecastle_registry.errors import ModelNotFound, PluginMismatch, RegistryError
from forecastle_registry.serializers import loads
from forecastle_registry.stores import DatabaseStore
from forecastle_registry.versions import Registered, get_model, list_models, list_versions
from forecastle_sdk import Context, Dataset, Fit, Notice, Verdict
from forecastle_sdk.errors import Cancelled, DataError, FitError, ForecastleError, ParametersError, Problem
from forecastle_sdk.naive import NaiveForecaster, NaivePlugin
from tests.command_line import variables_of
from tests.naive import monthly_sales, naive_catalogue, train_naive

Train = Callable[..., Registered]


def test_a_version_has_its_whole_lineage(engine: Engine, settings: Settings) -> None:
    data = load_data("macrodata", ["realgdp"], ["unemp"])
    training = Training(model="gdp", plugin="naive", data=data, parameters={"test_size": "20", "seed": "7", "drift": "true"})
    version = train(engine, naive_catalogue(), settings, training, report_nothing).version
    assert version.lineage["dataset"] == {
        "sample": "macrodata",
        "time": "timestamp",
        "freq": None,
        "digest": data.dataset.digest,
        "rows": [0, 203],
        "from": "1959-01-01",
        "until": "2009-07-01",
        "endog": ["realgdp"],
        "exog": ["unemp"],
    }
    assert version.lineage["training"] == {"test_size": 20.0, "refit": True, "seed": 7, "test_rows": 20}
    assert version.lineage["asked"] == {"drift": "true"}
    assert version.lineage["seed"] == 7
    assert version.lineage["plugin"] == {"name": "naive", "distribution": "forecastle-sdk", "version": "0.1.0"}
    for library in ("numpy", "statsmodels", "forecastle-sdk", "forecastle-platform"):
        assert version.lineage["libraries"][library] == metadata.version(library)
    kernels = {pool["internal_api"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    assert {kernel["internal_api"] for kernel in version.lineage["blas"]} == kernels != set()
    assert version.parameters == {"drift": True, "test_size": 20.0, "refit": True, "seed": 7}


def test_without_a_refit_the_lineage_names_the_rows_that_were_fitted(engine: Engine, settings: Settings) -> None:
    data = load_data("macrodata", ["realgdp"])
    training = Training(model="gdp", plugin="naive", data=data, parameters={"test_size": 3, "refit": False})
    version = train(engine, naive_catalogue(), settings, training, report_nothing).version
    assert version.lineage["dataset"]["rows"] == [0, 200] == [0, version.signature["nobs"]]
    assert version.lineage["dataset"]["until"] == "2008-10-01" == version.signature["index"]["last"]
    assert version.lineage["dataset"]["digest"] == data.dataset.digest


def test_a_version_can_be_fitted_again_from_its_lineage(engine: Engine, settings: Settings) -> None:
    data = load_data("macrodata", ["realgdp"], ["unemp"])
    first = Training(model="gdp", plugin="naive", data=data, parameters={"drift": True})
    version = train(engine, naive_catalogue(), settings, first, report_nothing).version
    again = replace(first, parameters=version.parameters)
    assert train(engine, naive_catalogue(), settings, again, report_nothing).version.state_digest == version.state_digest


def test_the_golden_forecast_is_that_of_the_restored_bytes(engine: Engine, registered_model: Registered) -> None:
    version = registered_model.version
    state = loads(DatabaseStore(engine).get(version.artifact_digest), "skops", digest=version.artifact_digest)
    answer = (
        NaivePlugin()
        .restore(state, version.state_format)
        .forecast(
            4, exog=np.tile([column["last"] for column in version.signature["exog"]], (4, 1)), quantiles=(0.025, 0.5, 0.975)
        )
    )
    assert version.golden["horizon"] == 4
    assert version.golden["mean"] == answer.mean.tolist()
    assert version.golden["quantiles"] == answer.quantiles.tolist()


class SeeingPlugin(NaivePlugin):
    """Remembers on which rows it was fitted."""

    def __init__(self) -> None:
        self.fitted: list[tuple[int, Any]] = []

    def fit(self, data: Dataset, parameters: Mapping[str, Any], context: Context) -> Fit:
        self.fitted.append((data.nobs, data.index.last))
        found = super().fit(data, parameters, context)
        return replace(found, notices=(Notice("rows", f"{data.nobs} rows"), Notice(f"only-{data.nobs}", "this time")))


@pytest.mark.parametrize(
    ("parameters", "fitted", "known"),
    [
        ({}, [32, 36], 36),  # a tenth of 36 rows is 3.6
        ({"test_size": 6}, [30, 36], 36),
        ({"test_size": "0.5"}, [18, 36], 36),
        ({"test_size": 0}, [36], 36),
        ({"test_size": 6, "refit": "false"}, [30], 30),
    ],
)
def test_the_training_part_finds_and_all_rows_are_fitted(
    engine: Engine, settings: Settings, parameters: dict[str, Any], fitted: list[int], known: int
) -> None:
    plugin = SeeingPlugin()
    data = LoadedData(monthly_sales(), {})
    training = Training(model="m", plugin="naive", data=data, parameters=parameters)
    version = train(engine, naive_catalogue(plugin), settings, training, report_nothing).version
    assert [rows for rows, _ in plugin.fitted] == fitted
    assert version.signature["nobs"] == known
    assert plugin.fitted[-1][1] == version.signature["index"]["last"]
    if fitted[0] == 36:
        assert version.accuracy is None
    else:
        assert version.accuracy is not None
        assert version.accuracy["test_rows"] == 36 - fitted[0]


def test_notices_of_both_fits_are_kept_once_and_tell_which_fit_they_are_about(engine: Engine, settings: Settings) -> None:
    version = train_naive(engine, settings, catalogue=naive_catalogue(SeeingPlugin()), parameters={"test_size": 6}).version
    assert [(notice["code"], notice["message"]) for notice in version.notices] == [
        ("rows", "36 rows"),
        ("only-36", "this time"),
        ("only-30", f"{OF_TRAINING_PART}this time"),
    ]


def test_notices_of_the_only_fit_are_about_the_version_itself(engine: Engine, settings: Settings) -> None:
    parameters = {"test_size": 6, "refit": False}
    version = train_naive(engine, settings, catalogue=naive_catalogue(SeeingPlugin()), parameters=parameters).version
    assert [notice["message"] for notice in version.notices] == ["30 rows", "this time"]


def test_progress_is_reported_until_the_version_is_registered(engine: Engine, settings: Settings) -> None:
    said: list[tuple[int, int, str]] = []
    training = Training(model="m", plugin="naive", data=LoadedData(monthly_sales(), {}))
    train(engine, naive_catalogue(), settings, training, lambda *step: said.append(step))
    assert [what for _, _, what in said] == [
        "fitting a random walk",
        "fitting a random walk",
        "measuring accuracy",
        "fitting on all rows",
        "fitting a random walk",
        "fitting a random walk",
        "registered version 1",
    ]


class VerdictPlugin(NaivePlugin):
    """Has a verdict."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict

    def fit(self, data: Dataset, parameters: Mapping[str, Any], context: Context) -> Fit:
        return replace(super().fit(data, parameters, context), verdict=self.verdict)


@pytest.mark.parametrize(
    ("verdict", "promote", "live"),
    [
        (Verdict.CONVERGED, None, True),
        (Verdict.FAILED, None, False),
        (Verdict.FAILED, True, True),
        (Verdict.CONVERGED, False, False),
    ],
)
def test_a_first_version_goes_live_by_itself_when_it_converged(
    engine: Engine, settings: Settings, verdict: Verdict, promote: bool | None, live: bool
) -> None:
    registered = train_naive(engine, settings, catalogue=naive_catalogue(VerdictPlugin(verdict)), promote=promote)
    assert (registered.live, registered.version.verdict) == (live, str(verdict))


def test_a_second_version_waits_to_be_promoted(train: Train) -> None:
    train()
    assert train(promote=None).live is False
    assert train(promote=True).live is True


@pytest.mark.parametrize("name", ["", "US", "ü", "a b", "-a", ".a", "a/b", "a" * 101, "a\n"])
def test_a_model_s_name_is_plain(engine: Engine, settings: Settings, name: str) -> None:
    with pytest.raises(DataError, match="no name for a model; use lower-case") as refused:
        train_naive(engine, settings, name)
    assert refused.value.reason == "model-name-invalid"
    assert list_models(engine).items == []


@pytest.mark.parametrize("name", ["a", "us-macro", "1.2_x", "a" * 100])
def test_these_are_names_for_models(engine: Engine, settings: Settings, name: str) -> None:
    assert train_naive(engine, settings, name).version.model == name


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"nonsense": "1"}, r"'nonsense': Unknown field.*'naive' accepts drift, refit, seed, test_size"),
        ({"drift": "maybe"}, r"'drift': Not a valid boolean.*accepts drift, refit, seed, test_size"),
        ({"test_size": "half"}, r"'test_size': Not a valid number"),
        ({"test_size": "-1"}, r"'test_size': Must be greater than or equal to 0"),
        ({"test_size": "nan"}, r"'test_size': "),
        ({"test_size": "inf"}, r"'test_size': "),
        ({"refit": "perhaps"}, r"'refit': Not a valid boolean"),
        ({"seed": "-1"}, r"'seed': Must be"),
        ({"seed": "1.5"}, r"'seed': Not a valid integer"),
        ({"test_size": 36}, r"test_size leaves no row for training: 36 of 36"),
        ({"test_size": 1.5}, r"test_size is 1.5; expected a share below 1, or a whole number of rows"),
    ],
)
def test_wrong_parameters_are_refused_before_anything_is_fitted(
    engine: Engine, settings: Settings, parameters: dict[str, Any], message: str
) -> None:
    plugin = SeeingPlugin()
    with pytest.raises(ParametersError, match=message):
        train_naive(engine, settings, catalogue=naive_catalogue(plugin), parameters=parameters)
    assert plugin.fitted == []
    assert list_models(engine).items == []


def test_every_wrong_parameter_is_named_at_once(engine: Engine, settings: Settings) -> None:
    with pytest.raises(ParametersError) as refused:
        train_naive(engine, settings, parameters={"nonsense": 1, "drift": "maybe", "seed": "x"})
    assert [problem.pointer for problem in refused.value.problems] == ["/seed", "/drift", "/nonsense"]


def test_a_model_stays_with_its_plugin(engine: Engine, settings: Settings, registered_model: Registered) -> None:
    plugin = SeeingPlugin()
    plugin.name = "other"  # type: ignore[misc]  another plugin for this instance
    catalogue = Catalogue([InstalledPlugin("other", "other-distribution", "1", plugin)])
    training = Training(model="sales", plugin="other", data=LoadedData(monthly_sales(), {}))
    with pytest.raises(PluginMismatch, match="naive"):
        train(engine, catalogue, settings, training, report_nothing)
    assert plugin.fitted == []


@pytest.mark.parametrize("serializer", ["pickle", "joblib"])
def test_a_serializer_that_is_off_or_unknown_is_refused_before_anything_is_fitted(
    engine: Engine, settings: Settings, serializer: str
) -> None:
    plugin = SeeingPlugin()
    with pytest.raises(Exception, match=r"FORECASTLE_ALLOW_PICKLE=true|choose one of pickle, skops"):
        train_naive(engine, settings, catalogue=naive_catalogue(plugin), serializer=serializer)
    assert plugin.fitted == []


def test_a_pickle_is_signed_where_pickles_are_allowed(engine: Engine, home: Path) -> None:
    allowed = settings_from({**variables_of(home), "FORECASTLE_ALLOW_PICKLE": "true"})
    assert train_naive(engine, allowed, serializer="pickle").version.serializer == "pickle"
    assert (home / "signing.key").stat().st_mode & 0o777 == 0o600


class BrokenForecaster(NaiveForecaster):
    """Gives what no artifact can hold, or nothing."""

    def state(self) -> dict[str, Any]:
        raise ZeroDivisionError("in state")


class UnserializableForecaster(NaiveForecaster):
    """Keeps a function in its state."""

    def state(self) -> dict[str, Any]:
        return {**super().state(), "function": print}


class FailingPlugin(NaivePlugin):
    """Fails at one step."""

    def __init__(self, step: str) -> None:
        self.step = step

    def fit(self, data: Dataset, parameters: Mapping[str, Any], context: Context) -> Fit:
        if self.step == "fit" or (self.step == "refit" and data.nobs == 36):
            raise ZeroDivisionError("in fit")
        if self.step == "no fit":
            raise FitError("no candidate converged")
        found = super().fit(data, parameters, context)
        kinds = {"state": BrokenForecaster, "unserializable": UnserializableForecaster}
        if self.step in kinds:
            parts = {name: getattr(found.forecaster, name) for name in NaiveForecaster.__slots__}
            return replace(found, forecaster=kinds[self.step](**parts))
        return found

    def restore(self, state: Any, format: int) -> NaiveForecaster:
        if self.step == "restore":
            raise KeyError("level")
        return super().restore(state, format)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("fit", "the plugin 'naive' failed while fitting .ZeroDivisionError: in fit."),
        ("refit", "the plugin 'naive' failed while fitting on all rows .ZeroDivisionError: in fit."),
        ("no fit", "no candidate converged"),
        ("state", "the plugin 'naive' failed while giving its state .ZeroDivisionError: in state."),
        ("unserializable", "state|function"),
        ("restore", "the plugin 'naive' failed while restoring its own state .KeyError: 'level'."),
    ],
)
def test_a_training_that_fails_leaves_no_half_version(engine: Engine, settings: Settings, step: str, message: str) -> None:
    with pytest.raises((ForecastleError, RegistryError), match=message):
        train_naive(engine, settings, catalogue=naive_catalogue(FailingPlugin(step)), parameters={"test_size": 6})
    assert nothing_is_left(engine)
    assert train_naive(engine, settings).version.number == 1


def test_a_failure_leaves_the_versions_before_it(engine: Engine, settings: Settings, registered_model: Registered) -> None:
    with pytest.raises(FitError):
        train_naive(engine, settings, catalogue=naive_catalogue(FailingPlugin("restore")))
    assert [version.number for version in list_versions(engine, "sales").items] == [1]
    assert get_model(engine, "sales").aliases == {"production": 1}


def nothing_is_left(engine: Engine) -> bool:
    with engine.connect() as connection:
        tables = ("models", "versions", "artifacts", "aliases", "events")
        return all(connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar() == 0 for name in tables)


KILLED = """
    import os, signal, sys
    from forecastle.database import open_database
    from forecastle.settings import settings_from
    from forecastle_sdk.naive import NaivePlugin, NaiveForecaster
    from tests.naive import naive_catalogue, train_naive

    step = sys.argv[1]
    die = lambda *ignored, **also: os.kill(os.getpid(), signal.SIGKILL)
    if step == "register":
        import forecastle.registering, forecastle_registry.versions as versions
        import sqlalchemy
        sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute",
            lambda connection, cursor, statement, *rest: die() if statement.startswith("INSERT INTO versions") else None)
    else:
        setattr({"fit": NaivePlugin, "state": NaiveForecaster, "restore": NaivePlugin}[step], step, die)
    settings = settings_from(os.environ)
    train_naive(open_database(settings), settings)
"""


@pytest.mark.parametrize("step", ["fit", "state", "restore", "register"])
def test_a_killed_training_leaves_no_half_version(engine: Engine, settings: Settings, home: Path, step: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), step],
        env={**os.environ, **variables_of(home)},
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert nothing_is_left(engine)
    assert train_naive(engine, settings).version.number == 1


def test_an_unknown_model_is_still_unknown_after_a_failure(engine: Engine, settings: Settings) -> None:
    with pytest.raises(FitError):
        train_naive(engine, settings, "new", catalogue=naive_catalogue(FailingPlugin("fit")))
    with pytest.raises(ModelNotFound):
        get_model(engine, "new")


def square(number: int) -> tuple[int, int]:
    return number, number * number


def threads_and_process(_: int) -> tuple[int, str | None]:
    import numpy  # noqa: F401  its BLAS is what is counted

    counts = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    return max(counts), os.environ.get("OMP_NUM_THREADS")


def refuse_three(number: int) -> int:
    if number == 3:
        raise DataError("the column 'x' is constant", code="column-constant", problems=[Problem("/x", "constant")])
    return number


def sleep_and_tell(directory: Path, number: int) -> int:
    (directory / str(os.getpid())).touch()
    time.sleep(30)
    return number


def report_nothing(done: int, total: int, what: str) -> None:
    """Progress is not looked at."""


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")


def contexts() -> list[Context]:
    return [LokyContext(0, report_nothing), Context(0)]


@pytest.mark.usefixtures("two_cores")
def test_processes_give_what_one_process_gives_whatever_their_order() -> None:
    spread, alone = (sorted(context.run(square, range(20))) for context in contexts())
    assert spread == alone == [(i, i * i) for i in range(20)]


@pytest.mark.usefixtures("two_cores")
def test_nothing_to_do_needs_no_process() -> None:
    assert list(LokyContext(0, report_nothing).run(square, [])) == []


@pytest.mark.usefixtures("two_cores")
def test_each_process_has_one_thread() -> None:
    assert list(LokyContext(0, report_nothing).run(threads_and_process, range(4))) == [(1, "1")] * 4


@pytest.mark.usefixtures("two_cores")
def test_an_error_in_a_process_arrives_as_it_was_raised() -> None:
    for context in contexts():
        with pytest.raises(DataError) as refused:
            list(context.run(refuse_three, range(6)))
        assert (refused.value.reason, refused.value.problems) == ("column-constant", (Problem("/x", "constant"),))
    assert sorted(LokyContext(0, report_nothing).run(refuse_three, range(3))) == [0, 1, 2]


# loky's own thread may stumble over the work that is taken away from under it; it ends all the same
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.usefixtures("two_cores")
def test_a_cancelled_run_stops_between_results() -> None:
    class Cancelling(LokyContext):
        def check_cancelled(self) -> None:
            raise Cancelled("told to stop")

    with pytest.raises(Cancelled):
        list(Cancelling(0, report_nothing).run(square, range(6)))


INTERRUPTED = """
    import sys
    from functools import partial
    from pathlib import Path
    from forecastle.training.compute import LokyContext
    from tests.test_training import report_nothing, sleep_and_tell

    list(LokyContext(0, report_nothing).run(partial(sleep_and_tell, Path(sys.argv[1])), range(4)))
"""


def test_ctrl_c_leaves_no_process(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(INTERRUPTED), str(tmp_path)],
        env={**os.environ, "LOKY_MAX_CPU_COUNT": "2"},
        cwd=Path(__file__).parents[1],
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    while len(list(tmp_path.iterdir())) < 2:
        assert time.monotonic() < deadline, "no worker began"
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to the whole group
    process.wait(20)
    assert process.stderr is not None
    process.stderr.close()
    workers = [int(path.name) for path in tmp_path.iterdir()]
    while any(is_running(pid) for pid in workers):
        assert time.monotonic() < deadline, "a worker is left"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
