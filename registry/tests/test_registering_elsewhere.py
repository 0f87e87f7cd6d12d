"""A version and its artifact in another store come to be together, whatever fails in between; and a full database."""

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa

from forecastle_registry.artifacts import claim_artifact, digest_of, hold_artifact
from forecastle_registry.engine import reading, writing
from forecastle_registry.errors import ArtifactMissing, DatabaseUnusable, PluginMismatch, StoreUnusable
from forecastle_registry.events import list_events
from forecastle_registry.garbage import collect_garbage
from forecastle_registry.stores import DatabaseStore, DirectoryStore
from forecastle_registry.tables import artifacts
from forecastle_registry.versions import get_version, register_version, version_count

DIGEST = digest_of(b"bytes")
AT_ONCE = timedelta(0)


@pytest.fixture
def store(tmp_path):
    (tmp_path / "artifacts").mkdir()
    return DirectoryStore(tmp_path / "artifacts")


def contents(engine):
    with reading(engine) as connection:
        return connection.execute(sa.select(artifacts.c.content)).scalars().all()


def test_the_database_refers_to_what_another_store_has(engine, training, store):
    version = register_version(engine, training(), promote=None, store=store).version
    assert store.get(version.artifact_digest) == b"bytes"
    assert contents(engine) == [None]
    with pytest.raises(ArtifactMissing, match="put elsewhere"):
        DatabaseStore(engine).get(version.artifact_digest)


def test_equal_artifacts_of_two_versions_are_stored_once(engine, training, store):
    for _ in range(2):
        register_version(engine, training(), promote=None, store=store)
    assert len(list(store.stored())) == len(contents(engine)) == 1


def test_what_the_database_has_stays_there_when_the_same_goes_elsewhere_and_the_other_way_round(engine, training, store):
    register_version(engine, training(), promote=None)
    register_version(engine, training(), promote=None, store=store)
    assert DatabaseStore(engine).get(DIGEST) == store.get(DIGEST) == b"bytes"
    register_version(engine, training(artifact=b"other"), promote=None, store=store)
    register_version(engine, training(artifact=b"other"), promote=None)
    assert DatabaseStore(engine).get(digest_of(b"other")) == store.get(digest_of(b"other")) == b"other"


def test_a_put_that_fails_leaves_no_version(engine, training, tmp_path):
    gone = DirectoryStore(tmp_path / "no mount")
    with pytest.raises(StoreUnusable):
        register_version(engine, training(), promote=None, store=gone)
    assert version_count(engine) == 0
    assert list_events(engine).items == []
    assert collect_garbage(engine, DatabaseStore(engine), older_than=AT_ONCE).unneeded == 1  # the row that claimed it
    assert contents(engine) == []


def test_nothing_is_put_below_a_mount_that_is_missing(engine, training, store, tmp_path):
    """Its folder is there, and empty: an artifact that went there would be hidden by the mount as soon as that is back."""
    register_version(engine, training(), promote=None, store=store)
    folder, disk = tmp_path / "artifacts", tmp_path / "unmounted"
    folder.rename(disk)
    folder.mkdir()
    with pytest.raises(StoreUnusable, match="mounted"):
        register_version(engine, training(artifact=b"other"), promote=None, store=store)
    assert list(folder.iterdir()) == []
    folder.rmdir()
    disk.rename(folder)
    assert register_version(engine, training(artifact=b"other"), promote=None, store=store).version.number == 2


def test_a_transaction_that_fails_leaves_only_what_the_collection_removes(engine, training, store):
    register_version(engine, training(), promote=None, store=store)
    with pytest.raises(PluginMismatch):
        register_version(engine, training(plugin="other", artifact=b"unneeded"), promote=None, store=store)
    assert version_count(engine) == 1
    assert len(list(store.stored())) == 2
    collected = collect_garbage(engine, store, older_than=AT_ONCE)
    assert (collected.unneeded, collected.bytes) == (1, 8)
    assert [item.digest for item in store.stored()] == [DIGEST]
    assert len(contents(engine)) == 1


def test_an_artifact_that_was_collected_while_it_was_registered_makes_no_version(engine, training, tmp_path):
    class CollectedAtOnce(DirectoryStore):
        """A store from which everything is removed as soon as it was put."""

        def put(self, digest, content):
            super().put(digest, content)
            collect_garbage(engine, self, older_than=AT_ONCE)

    (tmp_path / "artifacts").mkdir()
    with pytest.raises(StoreUnusable, match="removed by `forecastle artifacts gc` while it was registered: try again"):
        register_version(engine, training(), promote=None, store=CollectedAtOnce(tmp_path / "artifacts"))
    assert version_count(engine) == 0


def test_a_collection_waits_for_a_version_that_is_about_to_refer_to_an_artifact(engine, training, store):
    register_version(engine, training(), promote=None, store=store)
    claim_artifact(engine, digest_of(b"wanted"), 6)
    store.put(digest_of(b"wanted"), b"wanted")
    collected = []
    with writing(engine) as connection:
        hold_artifact(connection, digest_of(b"wanted"))
        collection = threading.Thread(target=lambda: collected.append(collect_garbage(engine, store, older_than=AT_ONCE)))
        collection.start()
        collection.join(0.5)
        assert collection.is_alive()
        name_it(connection, training(artifact=b"wanted"))
    collection.join(20)
    assert collected[0].unneeded == 0
    assert store.get(digest_of(b"wanted")) == b"wanted"


def name_it(connection, new):
    """Let version 2 name an artifact, as the end of a registration does."""
    from forecastle_registry.tables import versions

    row = connection.execute(sa.select(versions)).mappings().one()
    connection.execute(versions.insert(), dict(row) | {"number": 2, "artifact_digest": digest_of(new.artifact)})


def test_versions_that_are_registered_while_garbage_is_collected_keep_their_artifacts(engine, training, store):
    first = register_version(engine, training(), promote=None, store=store)  # else the store may look like somebody else's
    registered, stop = [first.version], threading.Event()

    def collect():
        while not stop.is_set():
            collect_garbage(engine, store, older_than=AT_ONCE)

    collecting = threading.Thread(target=collect)
    collecting.start()
    try:
        for number in range(30):
            try:
                new = training(artifact=b"%d" % (number // 3))
                registered.append(register_version(engine, new, promote=None, store=store).version)
            except StoreUnusable:  # as somebody deserves who keeps nothing for any time
                continue
    finally:
        stop.set()
        collecting.join(20)
    for version in registered:
        assert digest_of(store.get(version.artifact_digest)) == get_version(engine, "m", version.number).artifact_digest
    assert version_count(engine) == len(registered)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_full_disk_while_an_artifact_is_written_leaves_nothing_half_made(engine, training):
    register_version(engine, training(), promote=None)
    sa.event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count = 120"))
    engine.dispose()
    for _ in range(3):
        with pytest.raises(DatabaseUnusable, match="database or disk is full"):
            register_version(engine, training(artifact=bytes(10**6)), promote=True)
    assert version_count(engine) == 1
    assert [event.what for event in list_events(engine).items] == ["promote", "register"]
    assert [item.digest for item in DatabaseStore(engine).stored()] == [DIGEST]
    assert register_version(engine, training(artifact=b"small"), promote=True).version.number == 2
    assert DatabaseStore(engine).get(digest_of(b"small")) == b"small"
