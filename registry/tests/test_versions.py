"""A training becomes a version in one transaction, with the next number, or not at all."""

import dataclasses
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from forecastle_registry.actors import Actor
from forecastle_registry.aliases import get_alias, live_version, promote_version
from forecastle_registry.artifacts import digest_of
from forecastle_registry.engine import reading, writing
from forecastle_registry.errors import (
    AliasNotFound,
    ArtifactRefused,
    ModelNotFound,
    NameRefused,
    NotPlainData,
    PluginMismatch,
    VersionNotFound,
)
from forecastle_registry.events import list_events
from forecastle_registry.stores import DatabaseStore
from forecastle_registry.tables import metadata
from forecastle_registry.versions import (
    get_model,
    get_version,
    list_models,
    list_versions,
    register_version,
    version_count,
)


def rows(engine):
    with reading(engine) as connection:
        return {
            name: connection.execute(sa.select(sa.func.count()).select_from(t)).scalar() for name, t in metadata.tables.items()
        }


def test_a_version_comes_back_as_it_was_registered(engine, training):
    new = training(
        estimates=[{"name": "L1", "value": 0.5, "std_error": None}],
        criteria={"aicc": 3.25},
        candidates=[{"order": [1, 0], "llf": -2.0}],
        accuracy={"rmse": [1.0, 2.0]},
        lineage={"dataset": "0" * 64},
        notices=[{"code": "collinear"}],
        golden={"mean": [[1.0 / 3.0]]},
    )
    version = register_version(engine, new, promote=False).version
    assert get_version(engine, "m", 1) == version
    assert (version.number, version.artifact_digest, version.artifact_size) == (1, digest_of(b"bytes"), 5)
    assert abs(datetime.now(UTC) - version.created_at) < timedelta(minutes=1)
    for field in dataclasses.fields(new):
        if field.name != "artifact":
            assert getattr(version, field.name) == getattr(new, field.name)
    assert DatabaseStore(engine).get(version.artifact_digest) == b"bytes"


def test_numbers_count_up_for_each_model(engine, training):
    numbers = [register_version(engine, training(model=model), promote=False).version.number for model in "aabab"]
    assert numbers == [1, 2, 1, 3, 2]
    assert (version_count(engine, "a"), version_count(engine, "b"), version_count(engine)) == (3, 2, 5)


def test_equal_bytes_are_stored_once(engine, training):
    for content in (b"one", b"one", b"two"):
        register_version(engine, training(artifact=content), promote=False)
    assert rows(engine)["artifacts"] == 2


@pytest.mark.parametrize(
    ("verdict", "promote", "live"),
    [
        ("converged", None, True),
        (None, None, True),
        ("failed", None, False),
        ("flat", None, False),
        ("boundary", None, False),
        ("failed", True, True),
        ("converged", False, False),
    ],
)
def test_a_first_version_goes_live_by_itself_only_when_it_converged(engine, training, verdict, promote, live):
    assert register_version(engine, training(verdict=verdict), promote=promote).live is live
    if live:
        assert live_version(engine, "m").version_number == 1
    else:
        with pytest.raises(AliasNotFound):
            live_version(engine, "m")


def test_a_second_version_goes_live_only_when_it_is_told_to(engine, training):
    register_version(engine, training(), promote=None)
    assert not register_version(engine, training(), promote=None).live
    assert get_alias(engine, "m").stack == (1,)
    assert register_version(engine, training(), promote=True).live
    assert get_alias(engine, "m").stack == (1, 3)


def test_the_first_version_may_go_live_under_another_alias(engine, training):
    register_version(engine, training(), promote=True, alias="candidate")
    assert get_model(engine, "m").aliases == {"candidate": 1}


def test_registering_and_going_live_are_two_lines_of_the_log(engine, training):
    register_version(engine, training(), promote=None, actor=Actor("ada"), reason="first")
    lines = [
        (event.what, event.who, event.model, event.version, event.alias, event.reason) for event in list_events(engine).items
    ]
    assert lines == [("promote", "ada", "m", 1, "production", "first"), ("register", "ada", "m", 1, None, "first")]


def test_a_model_belongs_to_one_plugin(engine, training):
    register_version(engine, training(), promote=None)
    with pytest.raises(PluginMismatch, match="'naive'") as caught:
        register_version(engine, training(plugin="other"), promote=None)
    assert (caught.value.model, caught.value.plugin, caught.value.given) == ("m", "naive", "other")
    assert version_count(engine) == 1


def test_an_unknown_parent_leaves_nothing_behind(engine, training):
    before = rows(engine)
    with pytest.raises(VersionNotFound):
        register_version(engine, training(parent=1), promote=None)
    assert rows(engine) == before


def test_a_child_names_its_parent(engine, training):
    register_version(engine, training(), promote=None)
    assert register_version(engine, training(parent=1), promote=False).version.parent == 1
    assert [v.parent for v in list_versions(engine, "m").items] == [1, None]


REFUSE_INSERTS = {
    "sqlite": ["CREATE TRIGGER no BEFORE INSERT ON {} BEGIN SELECT RAISE(ABORT, 'disk on fire'); END"],
    "postgresql": [
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'disk on fire' USING ERRCODE = 'check_violation'; END $$",
        "CREATE TRIGGER no BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION no()",
    ],
}


@pytest.mark.parametrize("table", ["artifacts", "versions", "aliases", "alias_stack", "events"])
def test_a_failure_at_any_step_leaves_nothing_half_made(engine, training, table):
    with writing(engine) as connection:
        for statement in REFUSE_INSERTS[engine.dialect.name]:
            connection.exec_driver_sql(statement.format(table))
    before = rows(engine)
    with pytest.raises(sa.exc.IntegrityError):
        register_version(engine, training(), promote=True)
    assert rows(engine) == before


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"parameters": {"order": [1, np.int64(2)]}}, r"parameters\.order\[1\]"),
        ({"golden": {"mean": np.zeros(3)}}, r"golden\.mean"),
        ({"lineage": {1: "x"}}, "lineage"),
        ({"notices": ["half a \ud800"]}, r"notices\[0\]"),
        ({"notices": ["a \0"]}, r"notices\[0\]"),
    ],
)
def test_what_is_not_plain_data_is_refused_by_its_place(engine, training, change, where):
    with pytest.raises(NotPlainData, match=where):
        register_version(engine, training(**change), promote=None)
    assert version_count(engine) == 0


def test_numbers_that_json_does_not_have_become_none(engine, training):
    new = training(llf=float("nan"), criteria={"aic": float("inf"), "order": (1, 2), "n": np.float64(2.5)})
    version = register_version(engine, new, promote=None).version
    assert (version.llf, version.criteria) == (None, {"aic": None, "order": [1, 2], "n": 2.5})
    assert get_version(engine, "m", 1) == version


@pytest.mark.parametrize("name", ["", "a/b", "..", "-x", "a b", "ä", "x" * 101, "x\n", "%2e"])
def test_a_name_that_an_address_cannot_hold_is_refused(engine, training, name):
    with pytest.raises(NameRefused):
        register_version(engine, training(model=name), promote=None)
    with pytest.raises(NameRefused):
        register_version(engine, training(), promote=True, alias=name)


def test_an_artifact_that_could_not_be_read_again_is_refused(engine, training):
    with pytest.raises(ArtifactRefused):
        register_version(engine, training(artifact=bytes(256 * 2**20 + 1)), promote=None)


@pytest.mark.parametrize("number", [0, -1, 2, 2**31, 10**30])
def test_an_unknown_version_is_not_found(engine, training, number):
    register_version(engine, training(), promote=None)
    with pytest.raises(VersionNotFound) as caught:
        get_version(engine, "m", number)
    assert (caught.value.model, caught.value.number) == ("m", number)


@pytest.mark.parametrize("name", ["nothing", "", "a\0b", "\ud800", "x" * 10_000])
def test_an_unknown_model_is_not_found_whatever_its_name(engine, name):
    for read in (
        get_model,
        list_versions,
        live_version,
        get_alias,
        lambda e, m: get_version(e, m, 1),
        lambda e, m: promote_version(e, m, 1),
    ):
        with pytest.raises(ModelNotFound):
            read(engine, name)


def test_a_history_is_newest_first_and_goes_on_where_it_ended(engine, training):
    for _ in range(5):
        register_version(engine, training(), promote=None)
    promote_version(engine, "m", 3)
    promote_version(engine, "m", 3, alias="candidate")
    pages, before = [], None
    while True:
        page = list_versions(engine, "m", before=before, limit=2)
        pages.append([(v.number, v.aliases) for v in page.items])
        if page.next is None:
            break
        before = int(page.next)
    assert pages == [[(5, ()), (4, ())], [(3, ("candidate", "production")), (2, ())], [(1, ())]]


def test_a_full_last_page_has_no_next(engine, training):
    for _ in range(2):
        register_version(engine, training(), promote=None)
    assert list_versions(engine, "m", limit=2).next is None
    assert list_models(engine, limit=1).next is None


def test_a_history_reads_no_large_column(engine, training):
    register_version(engine, training(), promote=None)
    statements = []
    sa.event.listen(engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    list_versions(engine, "m")
    text = " ".join(statements)
    assert "parameters" in text
    assert not [
        name for name in ("signature", "estimates", "candidates", "golden", "lineage", "accuracy", "content") if name in text
    ]


def test_models_are_listed_by_name_with_what_is_live(engine, training):
    for model in ("zebra", "ant", "ant", "bee"):
        register_version(engine, training(model=model), promote=None)
    page = list_models(engine, limit=2)
    assert [(m.name, m.plugin, m.aliases, m.latest) for m in page.items] == [
        ("ant", "naive", {"production": 1}, 2),
        ("bee", "naive", {"production": 1}, 1),
    ]
    assert [m.name for m in list_models(engine, after=page.next).items] == ["zebra"]
    assert get_model(engine, "ant") == page.items[0]


REGISTER = """
import sys
from forecastle_registry.engine import open_engine
from forecastle_registry.versions import NewVersion, register_version
engine = open_engine(sys.argv[1], key=lambda: b"the installation's key of the tests")
new = NewVersion(model="m", plugin="naive", plugin_version="1", serializer="skops", artifact=b"bytes", state_format=1,
                 state_digest="0" * 64, signature={}, parameters={})
sys.stdin.readline()
print([register_version(engine, new, promote=True).version.number for _ in range(10)])
"""


def test_processes_that_register_at_once_get_different_numbers(engine, url):
    started = [
        subprocess.Popen([sys.executable, "-c", REGISTER, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    numbers = Counter()
    for process in started:
        numbers.update(eval(process.communicate(timeout=60)[0]))
    assert numbers == Counter(range(1, 41))
    assert get_alias(engine, "m").stack == tuple(range(1, 41))
