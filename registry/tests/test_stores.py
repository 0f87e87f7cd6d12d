"""Every artifact store does the same, whatever it keeps the bytes in."""

import re
import subprocess
import sys
import threading
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from forecastle_registry.artifacts import digest_of
from forecastle_registry.engine import reading, writing
from forecastle_registry.errors import ArtifactCorrupt, ArtifactMissing, ArtifactRefused, StoreUnusable
from forecastle_registry.stores import DatabaseStore, DirectoryStore, open_store
from forecastle_registry.tables import artifacts
from registry.tests.buckets import BUCKET, PAGE

CONTENT = bytes(range(256)) * 40
DIGEST = digest_of(CONTENT)
NAMES_THAT_ARE_NONE = ["", "../../etc/passwd", "f" * 63, "F" * 64, "f" * 64 + "\n", "f" * 65, "ab/" + "c" * 61]


@pytest.fixture
def credentials(s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key-of-the-tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-tests")
    monkeypatch.setenv("AWS_REGION", "us-east-1")


def put(store, *contents):
    for content in contents:
        store.put(digest_of(content), content)


def replace_stored(store, engine, digest, content):
    """Change what is stored, behind the store's back."""
    if isinstance(store, DatabaseStore):
        with writing(engine) as connection:
            connection.execute(artifacts.update().where(artifacts.c.digest == digest).values(content=content))
    elif isinstance(store, DirectoryStore):
        (Path(store.name.removeprefix("file://")) / digest[:2] / digest[2:]).write_bytes(content)
    else:
        store._client.put(digest, content)


class TestEveryStore:
    @pytest.fixture(params=["sqlite", "postgres", "directory", "bucket"])
    def kind(self, request):
        return request.param

    @pytest.fixture
    def url(self, kind, tmp_path, request):
        if kind == "postgres":
            with request.getfixturevalue("postgres").database() as made:
                yield made
        else:
            yield f"sqlite:///{tmp_path}/registry.db"

    @pytest.fixture
    def address(self, kind, tmp_path, request):
        """The store as the setting names it; a place that no other test uses."""
        if kind == "bucket":
            request.getfixturevalue("credentials")
            return f"s3://{BUCKET}/{uuid.uuid4().hex}/deep"
        (tmp_path / "artifacts").mkdir()
        return f"file://{tmp_path}/artifacts" if kind == "directory" else "database"

    @pytest.fixture
    def store(self, address, engine):
        return open_store(address, engine)

    def test_it_is_called_as_the_setting_names_it(self, store, address):
        assert store.name == address

    @pytest.mark.parametrize("content", [b"", b"\0", CONTENT], ids=len)
    def test_what_was_put_is_given_back(self, store, content):
        put(store, content)
        found = store.get(digest_of(content))
        assert found == content
        assert type(found) is bytes

    def test_nothing_is_there_at_first(self, store):
        put(store, b"so that it exists")
        with pytest.raises(ArtifactMissing) as caught:
            store.get(DIGEST)
        assert caught.value.digest == DIGEST

    def test_putting_again_is_harmless(self, store):
        put(store, CONTENT, CONTENT)
        assert [item.digest for item in store.stored()] == [DIGEST]

    def test_everything_is_listed_in_order_with_size_and_time(self, store):
        contents = [bytes(size) for size in range(PAGE * 3 + 1)]
        before = datetime.now(UTC) - timedelta(seconds=5)
        put(store, *contents)
        found = list(store.stored())
        assert [(item.digest, item.size) for item in found] == sorted((digest_of(c), len(c)) for c in contents)
        assert all(before < item.stored_at < datetime.now(UTC) + timedelta(seconds=5) for item in found)

    def test_putting_again_renews_the_time(self, store):
        put(store, CONTENT)
        (first,) = store.stored()
        threading.Event().wait(1.1)  # S3 counts in seconds
        put(store, CONTENT)
        (second,) = store.stored()
        assert second.stored_at > first.stored_at

    @pytest.mark.parametrize("damage", [b"", CONTENT[:-1], CONTENT + b"\0", b"\1" + CONTENT[1:]], ids=len)
    def test_bytes_that_changed_are_not_handed_out_until_they_are_put_again(self, store, engine, damage):
        put(store, CONTENT)
        replace_stored(store, engine, DIGEST, damage)
        with pytest.raises(ArtifactCorrupt, match="backup") as caught:
            store.get(DIGEST)
        assert caught.value.digest == DIGEST
        put(store, CONTENT)
        assert store.get(DIGEST) == CONTENT

    def test_what_is_above_the_cap_is_refused(self, store):
        put(store, CONTENT)
        assert store.get(DIGEST, max_bytes=len(CONTENT)) == CONTENT
        with pytest.raises(ArtifactRefused, match=f"{len(CONTENT):,} bytes"):
            store.get(DIGEST, max_bytes=len(CONTENT) - 1)

    def test_what_was_deleted_is_gone_and_can_be_put_again(self, store):
        put(store, CONTENT, b"other")
        store.delete(DIGEST)
        store.delete(DIGEST)
        store.delete("f" * 64)
        assert [item.digest for item in store.stored()] == [digest_of(b"other")]
        with pytest.raises(ArtifactMissing):
            store.get(DIGEST)
        put(store, CONTENT)
        assert store.get(DIGEST) == CONTENT

    @pytest.mark.parametrize("name", NAMES_THAT_ARE_NONE)
    def test_what_is_no_digest_is_refused(self, store, name):
        for call in (lambda: store.put(name, b""), lambda: store.get(name), lambda: store.delete(name)):
            with pytest.raises(ArtifactRefused, match="no SHA-256"):
                call()

    def test_large_artifacts_come_back_whole(self, store):
        content = bytes(9 * 2**20) + b"the end"  # more than a part of a bucket's object
        put(store, content)
        assert store.get(digest_of(content)) == content

    def test_nothing_is_left_behind_by_writes_that_ended(self, store):
        put(store, CONTENT)
        assert store.sweep(datetime.now(UTC) + timedelta(days=1)) == 0

    def test_processes_may_put_and_get_the_same_at_once(self, store, address, url):
        started = [subprocess.Popen([sys.executable, "-c", PUT_AND_GET, url, address]) for _ in range(3)]
        assert [process.wait(60) for process in started] == [0, 0, 0]
        assert store.get(DIGEST) == CONTENT
        assert [item.digest for item in store.stored()] == [DIGEST]


PUT_AND_GET = """
import sys
from forecastle_registry.artifacts import digest_of
from forecastle_registry.engine import open_engine
from forecastle_registry.stores import open_store
store = open_store(sys.argv[2], open_engine(sys.argv[1]))
content = bytes(range(256)) * 40
for _ in range(10):
    store.put(digest_of(content), content)
    assert store.get(digest_of(content)) == content
"""


@pytest.mark.parametrize(
    "address",
    [
        "",
        "Database",
        "/var/lib/artifacts",
        "file://artifacts",
        "file:///",
        "file:///a\0b",
        "s3://",
        "s3:///prefix",
        "s3://bucket//prefix",
        "s3://bucket/../other",
        "s3://bucket/a/./b",
        "s3://bucket/prefix?x=1",
        "https://bucket.example/prefix",
    ],
)
def test_what_names_no_store_is_refused(engine, address):
    with pytest.raises(StoreUnusable, match="file:///folder or s3://bucket/prefix"):
        open_store(address, engine)


def test_a_secret_in_the_address_is_not_repeated(engine):
    with pytest.raises(StoreUnusable) as caught:
        open_store("s3://me:secret@bucket/prefix", engine)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("address", ["s3://bucket", "s3://bucket/", "s3://bucket/a/b_c.d-e", "s3://bucket/a/b/"])
def test_a_bucket_may_have_a_prefix(engine, address, monkeypatch):
    assert open_store(address, engine).name == address.rstrip("/")


def test_a_folder_may_have_any_name(engine, tmp_path):
    folder = tmp_path / "a b%20ä?#"
    folder.mkdir()
    store = open_store(DirectoryStore(folder).name, engine)
    put(store, CONTENT)
    assert (folder / DIGEST[:2] / DIGEST[2:]).read_bytes() == CONTENT
    assert re.fullmatch(r"[\x21-\x7e]+", store.name)


def test_content_that_is_elsewhere_says_how_to_get_it(engine):
    put(DatabaseStore(engine), CONTENT)
    with writing(engine) as connection:
        connection.execute(artifacts.update().values(content=None))
    with pytest.raises(ArtifactMissing, match=r"FORECASTLE_ARTIFACTS says database.*put elsewhere.*artifacts copy"):
        DatabaseStore(engine).get(DIGEST)
    with reading(engine) as connection:
        assert connection.execute(artifacts.select()).first() is not None
