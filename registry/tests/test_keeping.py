"""Artifacts are copied from store to store, verified, and freed where nothing needs them."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from forecastle_registry.actors import Actor
from forecastle_registry.artifacts import claim_artifact, digest_of
from forecastle_registry.engine import reading, writing
from forecastle_registry.errors import ArtifactMissing, StoreUnusable
from forecastle_registry.events import list_events
from forecastle_registry.garbage import collect_garbage
from forecastle_registry.keeping import copy_artifacts, verify_artifacts
from forecastle_registry.stores import DatabaseStore, DirectoryStore
from forecastle_registry.tables import alias_stack, aliases, artifacts, versions
from forecastle_registry.versions import register_version

CONTENTS = [b"one", b"two", b"three", b"four", b"five"]
AT_ONCE = timedelta(0)
ADA = Actor("ada", "10.0.0.1")


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "artifacts").mkdir()
    return DirectoryStore(tmp_path / "artifacts")


@pytest.fixture
def database(engine, training):
    """The database as a store, with five versions and two that share their artifact with others."""
    for content in [*CONTENTS, b"one", b"two"]:
        register_version(engine, training(artifact=content), promote=None)
    return DatabaseStore(engine)


def digests(store):
    return [item.digest for item in store.stored()]


def logged(engine, what):
    return [event for event in list_events(engine).items if event.what == what]


def damage(store, content, damaged):
    place = store._folder / digest_of(content)[:2] / digest_of(content)[2:]
    place.write_bytes(damaged) if damaged is not None else place.unlink()


def test_every_artifact_is_copied_once_and_read_back(engine, database, directory):
    copied = copy_artifacts(engine, database, directory, actor=ADA)
    assert (copied.copied, copied.already, copied.size, copied.findings, copied.left) == (5, 0, 19, (), 0)
    assert digests(directory) == sorted(map(digest_of, CONTENTS)) == digests(database)
    (event,) = logged(engine, "artifacts-copy")
    assert (event.who, event.origin) == ("ada", "10.0.0.1")
    assert event.details == {"from": "database", "to": directory.name, "copied": 5, "bytes": 19, "failed": 0}


def test_a_copy_goes_both_ways(engine, database, directory):
    copy_artifacts(engine, database, directory)
    with writing(engine) as connection:
        connection.execute(artifacts.update().values(content=None))
    assert digests(database) == []
    assert copy_artifacts(engine, directory, database).copied == 5
    assert database.get(digest_of(b"one")) == b"one"


def test_a_copy_that_is_repeated_copies_what_is_not_there_whole(engine, database, directory):
    copy_artifacts(engine, database, directory)
    assert (copy_artifacts(engine, database, directory).already, len(logged(engine, "artifacts-copy"))) == (5, 1)
    damage(directory, b"one", b"onE")
    damage(directory, b"two", None)
    again = copy_artifacts(engine, database, directory)
    assert (again.copied, again.already) == (2, 3)
    assert verify_artifacts(engine, directory).findings == ()


def test_a_copy_may_be_interrupted_at_any_artifact(engine, database, directory):
    class Interrupted(DirectoryStore):
        """A store whose third put is interrupted by the person in front of it."""

        puts = 0

        def put(self, digest, content):
            self.puts += 1
            if self.puts == 3:
                raise KeyboardInterrupt
            super().put(digest, content)

    with pytest.raises(KeyboardInterrupt):
        copy_artifacts(engine, database, Interrupted(directory._folder))
    assert logged(engine, "artifacts-copy")[0].details["copied"] == 2
    assert (copy_artifacts(engine, database, directory).already, verify_artifacts(engine, directory).whole) == (2, 5)


def test_what_cannot_be_copied_is_told_with_the_versions_that_need_it_and_the_rest_goes_on(
    engine, database, directory, tmp_path
):
    copy_artifacts(engine, database, directory)
    damage(directory, b"one", b"damaged")
    damage(directory, b"three", None)
    (tmp_path / "other").mkdir()
    copied = copy_artifacts(engine, directory, DirectoryStore(tmp_path / "other"))
    assert copied.copied == 3
    assert sorted((finding.code, finding.versions) for finding in copied.findings) == [
        ("artifact-corrupt", (("m", 1), ("m", 6))),
        ("artifact-missing", (("m", 3),)),
    ]


def test_a_store_that_keeps_failing_is_not_asked_for_the_rest(engine, database, tmp_path):
    gone = DirectoryStore(tmp_path / "no mount")
    copied = copy_artifacts(engine, database, gone)
    assert [finding.code for finding in copied.findings] == ["artifact-store-unusable"] * 3
    assert (copied.copied, copied.left, logged(engine, "artifacts-copy")) == (0, 2, [])
    assert verify_artifacts(engine, gone).left == 2


def test_progress_is_told_from_nothing_to_all(engine, database, directory):
    told = []
    copy_artifacts(engine, database, directory, progress=lambda *step: told.append(step[:2]))
    assert told == [(done, 5) for done in range(6)]


def test_a_store_is_verified_by_reading_it(engine, database, directory):
    copy_artifacts(engine, database, directory)
    assert (verify_artifacts(engine, directory).whole, verify_artifacts(engine, directory).size) == (5, 19)
    damage(directory, b"two", b"twO")
    damage(directory, b"five", None)
    verified = verify_artifacts(engine, directory)
    assert verified.whole == 3
    assert sorted((finding.code, finding.digest, finding.versions) for finding in verified.findings) == [
        ("artifact-corrupt", digest_of(b"two"), (("m", 2), ("m", 7))),
        ("artifact-missing", digest_of(b"five"), (("m", 5),)),
    ]


def test_an_installation_without_versions_is_whole(engine, directory, tmp_path):
    assert verify_artifacts(engine, directory).whole == 0
    assert copy_artifacts(engine, DatabaseStore(engine), directory).copied == 0


def forget_version(engine, number):
    """Delete a version's row as the registry does."""
    with writing(engine) as connection:
        connection.execute(alias_stack.delete())
        connection.execute(aliases.delete())
        connection.execute(versions.delete().where(versions.c.number == number))


def make_old(engine, store):
    """Let everything have been written two hours ago."""
    two_hours_ago = datetime.now(UTC) - timedelta(hours=2)
    with writing(engine) as connection:
        connection.execute(artifacts.update().values(created_at=two_hours_ago))
    if isinstance(store, DirectoryStore):
        import os

        for item in store.stored():
            os.utime(store._folder / item.digest[:2] / item.digest[2:], (two_hours_ago.timestamp(),) * 2)


@pytest.fixture(params=["database", "directory"])
def store(request, engine, database, directory):
    """The installation's store, with an artifact that no version names any more."""
    if request.param == "database":
        forget_version(engine, 4)
        return database
    copy_artifacts(engine, database, directory)
    with writing(engine) as connection:
        connection.execute(artifacts.update().values(content=None))
    forget_version(engine, 4)
    return directory


def rows(engine):
    with reading(engine) as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(artifacts)).scalar()


def test_what_no_version_names_is_removed_with_its_row(engine, store):
    make_old(engine, store)
    collected = collect_garbage(engine, store, actor=ADA)
    assert (collected.unneeded, collected.bytes, collected.moved, collected.leftovers) == (1, 4, 0, 0)
    assert digest_of(b"four") not in digests(store)
    assert rows(engine) == len(digests(store)) == 4
    (event,) = logged(engine, "artifacts-gc")
    assert (event.who, event.details["store"], event.details["unneeded"]) == ("ada", store.name, 1)


def test_what_is_young_stays(engine, store):
    assert collect_garbage(engine, store).unneeded == 0
    assert digest_of(b"four") in digests(store)
    assert logged(engine, "artifacts-gc") == []


def test_what_a_registration_has_claimed_stays_however_old_its_bytes_are(engine, directory):
    directory.put(digest_of(b"wanted again"), b"wanted again")
    make_old(engine, directory)
    claim_artifact(engine, digest_of(b"wanted again"), 12)
    assert collect_garbage(engine, directory).unneeded == 0
    assert directory.get(digest_of(b"wanted again")) == b"wanted again"


def test_a_dry_run_tells_and_removes_nothing(engine, store):
    make_old(engine, store)
    assert collect_garbage(engine, store, dry_run=True).unneeded == 1
    assert (len(digests(store)), rows(engine), logged(engine, "artifacts-gc")) == (5, 5, [])


def test_an_artifact_without_a_row_is_removed_once_it_is_old(engine, directory):
    directory.put(digest_of(b"lost"), b"lost")
    directory.put(digest_of(b"wanted"), b"wanted")
    claim_artifact(engine, digest_of(b"wanted"), 6)
    assert collect_garbage(engine, directory).unneeded == 0
    make_old(engine, directory)
    claim_artifact(engine, digest_of(b"wanted"), 6)
    assert collect_garbage(engine, directory).unneeded == 1
    assert (digests(directory), rows(engine)) == ([digest_of(b"wanted")], 1)


def test_nothing_is_removed_from_a_store_that_holds_only_what_was_never_ours(engine, database, directory, tmp_path):
    """So is another installation's, to which this one's settings lead by mistake."""
    (tmp_path / "other").mkdir()
    other = DirectoryStore(tmp_path / "other")
    other.put(digest_of(b"theirs"), b"theirs")
    for dry_run in (True, False):
        with pytest.raises(StoreUnusable, match="was ever this installation's, so nothing was removed"):
            collect_garbage(engine, other, older_than=AT_ONCE, dry_run=dry_run)
    assert digests(other) == [digest_of(b"theirs")]


def test_what_a_killed_write_left_is_removed(engine, directory):
    directory.put(digest_of(b"lost"), b"lost")
    claim_artifact(engine, digest_of(b"lost"), 4)
    (directory._folder / "partial" / "left").write_bytes(b"half")
    assert collect_garbage(engine, directory, older_than=AT_ONCE).leftovers == 1
    assert logged(engine, "artifacts-gc")[0].details["leftovers"] == 1


def test_what_was_moved_is_freed_where_the_new_store_has_it_whole(engine, database, directory):
    copy_artifacts(engine, database, directory)
    damage(directory, b"one", b"damaged")
    damage(directory, b"two", None)
    assert collect_garbage(engine, database, current=directory, dry_run=True).moved == 3
    collected = collect_garbage(engine, database, current=directory)
    assert (collected.moved, collected.kept, collected.bytes) == (3, 2, 13)
    assert digests(database) == sorted([digest_of(b"one"), digest_of(b"two")])
    assert rows(engine) == 5
    with pytest.raises(ArtifactMissing, match="put elsewhere"):
        database.get(digest_of(b"three"))
    copy_artifacts(engine, database, directory)
    assert collect_garbage(engine, database, current=directory).kept == 0
    assert verify_artifacts(engine, directory).whole == 5


def test_one_place_under_two_names_is_never_freed(engine, database, directory, tmp_path):
    copy_artifacts(engine, database, directory)
    (tmp_path / "link").symlink_to(directory._folder)
    for other in (DirectoryStore(tmp_path / "link"), DirectoryStore(directory._folder)):
        with pytest.raises(StoreUnusable, match="are one place: nothing was removed"):
            collect_garbage(engine, other, current=directory, older_than=AT_ONCE)
    assert len(digests(directory)) == 5


def test_nothing_is_freed_while_the_new_store_is_unusable(engine, database, tmp_path):
    with pytest.raises(StoreUnusable):
        collect_garbage(engine, database, current=DirectoryStore(tmp_path / "gone"))
    assert len(digests(database)) == 5
