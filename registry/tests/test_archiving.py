"""Versions that are taken out of use: archived, restored, deleted; and what refuses it."""

import pytest

from forecastle_registry.actors import Actor
from forecastle_registry.alias_states import list_aliases
from forecastle_registry.aliases import get_alias, promote_version, roll_back
from forecastle_registry.archiving import archive_version, delete_version, restore_version
from forecastle_registry.engine import writing
from forecastle_registry.errors import ModelNotFound, VersionArchived, VersionInUse, VersionNotFound
from forecastle_registry.events import list_events
from forecastle_registry.protections import Protection, protect_alias
from forecastle_registry.tables import models
from forecastle_registry.versions import get_model, get_version, list_models, list_versions, register_version

ADA = Actor("ada", "203.0.113.7", "a1")


@pytest.fixture
def model(engine, training):
    for _ in range(4):
        register_version(engine, training(), promote=False)
    return "m"


def numbers(engine, model):
    return [version.number for version in list_versions(engine, model).items]


def test_an_archived_version_never_goes_live_until_it_is_restored(engine, model):
    assert archive_version(engine, model, 2, actor=ADA, reason="wrong data")
    assert get_version(engine, model, 2).archived_at is not None
    with pytest.raises(VersionArchived):
        promote_version(engine, model, 2)
    assert restore_version(engine, model, 2, actor=ADA)
    assert get_version(engine, model, 2).archived_at is None
    assert promote_version(engine, model, 2).changed
    events = [(e.what, e.who, e.version, e.reason) for e in list_events(engine, model, limit=3).items[1:]]
    assert events == [("restore", "ada", 2, None), ("archive", "ada", 2, "wrong data")]


def test_doing_it_again_changes_nothing_and_is_no_event(engine, model):
    assert not restore_version(engine, model, 2)
    archive_version(engine, model, 2)
    events, when = list_events(engine), get_version(engine, model, 2).archived_at
    assert not archive_version(engine, model, 2)
    assert (list_events(engine), get_version(engine, model, 2).archived_at) == (events, when)


def test_what_is_live_under_any_alias_is_not_archived(engine, model):
    promote_version(engine, model, 1)
    promote_version(engine, model, 2)
    promote_version(engine, model, 3, alias="candidate")
    for number, alias in ((2, "production"), (3, "candidate")):
        with pytest.raises(VersionInUse, match=alias) as caught:
            archive_version(engine, model, number)
        assert caught.value.users == (f"the alias '{alias}'",)
    assert archive_version(engine, model, 1)  # below the top: a rollback to it is refused from now on
    with pytest.raises(VersionArchived):
        roll_back(engine, model)


@pytest.mark.parametrize("change", [archive_version, restore_version, delete_version])
def test_what_is_not_there_cannot_be_taken_out_of_use(engine, model, change):
    for number in (0, 5, 10**30):
        with pytest.raises(VersionNotFound):
            change(engine, model, number)
    for name in ("nothing", "no/name"):
        with pytest.raises(ModelNotFound):
            change(engine, name, 1)


def test_a_deleted_version_is_gone_but_for_the_log(engine, model):
    digest = get_version(engine, model, 3).state_digest
    delete_version(engine, model, 3, actor=ADA, reason="a test")
    assert numbers(engine, model) == [4, 2, 1]
    with pytest.raises(VersionNotFound):
        get_version(engine, model, 3)
    event = list_events(engine, model, limit=1).items[0]
    assert (event.what, event.who, event.version, event.reason) == ("delete", "ada", 3, "a test")
    assert (event.details["state_digest"], event.details["plugin"]) == (digest, "naive")


def test_an_archived_version_can_be_deleted(engine, model):
    archive_version(engine, model, 3)
    delete_version(engine, model, 3)
    assert numbers(engine, model) == [4, 2, 1]


def test_what_any_stack_names_is_not_deleted(engine, model):
    for number in (1, 2, 1, 3):
        promote_version(engine, model, number)
    for number in (1, 2, 3):
        with pytest.raises(VersionInUse, match="production"):
            delete_version(engine, model, number)
    roll_back(engine, model)
    delete_version(engine, model, 3)
    assert get_alias(engine, model).stack == (1, 2, 1)


def test_a_parent_is_not_deleted_before_its_children(engine, model, training):
    for _ in range(7):
        register_version(engine, training(parent=2), promote=False)
    with pytest.raises(VersionInUse, match=r"version 5, its child.*2 more") as caught:
        delete_version(engine, model, 2)
    assert len(caught.value.users) == 6
    for number in range(5, 12):
        delete_version(engine, model, number)
    delete_version(engine, model, 2)
    with pytest.raises(VersionNotFound):
        register_version(engine, training(parent=2), promote=False)


def test_a_number_is_never_given_twice(engine, model, training):
    delete_version(engine, model, 4)
    assert register_version(engine, training(), promote=False).version.number == 5


def test_the_number_of_a_version_that_an_older_release_registered_is_never_given_twice(engine, model, training):
    with writing(engine) as connection:
        connection.execute(models.update().values(last_number=0))  # as a release leaves it that does not know the column
    delete_version(engine, model, 4)
    assert register_version(engine, training(), promote=False).version.number == 5


def test_a_model_whose_versions_are_all_gone_is_still_listed(engine, model, training):
    for number in range(1, 5):
        delete_version(engine, model, number)
    assert (get_model(engine, model).latest, list_models(engine).items[0].latest) == (None, None)
    assert register_version(engine, training(), promote=None).version.number == 5


@pytest.mark.parametrize("change", [archive_version, delete_version])
def test_what_is_out_of_use_no_longer_waits_for_approval(engine, model, change):
    protect_alias(engine, model, "production", Protection(approval=True))
    promote_version(engine, model, 2, actor=ADA)
    change(engine, model, 2)
    assert list_aliases(engine, model).items[0].waiting is None
