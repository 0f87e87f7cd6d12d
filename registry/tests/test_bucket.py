"""A bucket that throttles, breaks connections or says nothing: tried again, or refused in time; never half an artifact."""

import os
import subprocess
import sys
import time
import uuid

import pytest

from forecastle_registry.artifacts import digest_of
from forecastle_registry.errors import ArtifactCorrupt, ArtifactMissing, StoreUnusable
from forecastle_registry.stores import BucketStore, bucket
from registry.tests.buckets import BUCKET, PAGE, running_proxy

CONTENT = bytes(range(256)) * 400
DIGEST = digest_of(CONTENT)
SECRET = "secret-of-the-tests"


@pytest.fixture
def prefix(s3, monkeypatch):
    """A prefix that no other test uses, with the server's own address in the environment."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key-of-the-tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    return uuid.uuid4().hex


@pytest.fixture
def proxy(s3):
    with running_proxy(s3) as proxy:
        yield proxy


@pytest.fixture
def store(prefix, proxy, monkeypatch):
    """A store behind the proxy."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
    monkeypatch.setattr(bucket, "WAIT_SECONDS", 0.01)
    return BucketStore(BUCKET, prefix)


@pytest.fixture
def hasty(monkeypatch):
    """Wait for an answer no longer than a test may."""
    monkeypatch.setattr(bucket, "ATTEMPT_SECONDS", 0.5)
    monkeypatch.setattr(bucket, "RETRY_SECONDS", 1)


FAULTS = [503, 429, 500, "cut-request", "no-answer"]


@pytest.mark.parametrize("fault", FAULTS)
def test_what_fails_for_a_moment_is_tried_again(store, proxy, fault):
    for call in (
        lambda: store.put(DIGEST, CONTENT),
        lambda: store.get(DIGEST),
        lambda: list(store.stored()),
        lambda: store.delete(DIGEST),
    ):
        proxy.faults.extend([fault, fault])
        call()
        assert not proxy.faults


def test_an_answer_that_breaks_off_is_asked_for_again(store, proxy):
    store.put(DIGEST, CONTENT)
    proxy.faults.extend(["cut-answer", "cut-answer"])
    assert store.get(DIGEST) == CONTENT
    proxy.faults.extend(["cut-answer"] * 100)
    with pytest.raises(StoreUnusable):
        store.get(DIGEST)


def test_a_listing_that_breaks_off_goes_on_where_it_was(store, proxy):
    contents = [bytes(size) for size in range(PAGE * 3)]
    for content in contents:
        store.put(digest_of(content), content)
    proxy.faults.extend(["cut-answer", "cut-answer", None, "cut-answer"])
    assert [item.digest for item in store.stored()] == sorted(map(digest_of, contents))
    assert not proxy.faults
    proxy.faults.extend(["cut-answer"] * 100)
    with pytest.raises(StoreUnusable):
        list(store.stored())


@pytest.mark.parametrize("fault", FAULTS)
def test_what_keeps_failing_is_unusable_and_tells_no_secret(store, proxy, fault):
    proxy.faults.extend([fault] * 100)
    before = time.monotonic()
    for call in (lambda: store.put(DIGEST, CONTENT), lambda: store.get(DIGEST), lambda: list(store.stored())):
        with pytest.raises(StoreUnusable, match=r"cannot be used \(.+\): see that the bucket is there") as caught:
            call()
        assert store.name in caught.value.message
        assert SECRET not in caught.value.message
        assert len(caught.value.message) < 300
    assert time.monotonic() - before < 30
    assert len(proxy.seen) <= 3 * (bucket.RETRIES + 1)


def test_a_server_that_says_nothing_is_given_up_in_time(hasty, store, proxy):
    proxy.faults.extend(["silence"] * 100)
    before = time.monotonic()
    for call in (lambda: store.put(DIGEST, CONTENT), lambda: store.get(DIGEST), lambda: list(store.stored())):
        with pytest.raises(StoreUnusable):
            call()
    assert time.monotonic() - before < 10


def test_a_thread_hangs_for_20_seconds_at_most():
    assert bucket.RETRY_SECONDS + bucket.ATTEMPT_SECONDS <= 20


def test_half_an_answer_that_looks_whole_is_not_handed_out(store, proxy):
    store.put(DIGEST, CONTENT)
    proxy.faults.append("short-answer")
    with pytest.raises(ArtifactCorrupt):
        store.get(DIGEST)
    assert store.get(DIGEST) == CONTENT


def test_a_write_that_broke_lists_nothing(hasty, store, proxy):
    proxy.faults.extend(["cut-request"] * 100)
    with pytest.raises(StoreUnusable):
        store.put(DIGEST, CONTENT)
    proxy.faults.clear()
    assert list(store.stored()) == []
    store.put(DIGEST, CONTENT)
    assert store.get(DIGEST) == CONTENT


def test_a_large_artifact_is_read_in_parts_each_with_its_own_time(store, proxy, monkeypatch):
    content = bytes(3 * 2**20)
    store.put(digest_of(content), content)
    monkeypatch.setattr(bucket, "PART_BYTES", 2**20)
    proxy.seen.clear()
    assert store.get(digest_of(content)) == content
    assert len(proxy.seen) == 4  # one that tells the size, and three parts


def test_addresses_are_in_path_style(store, proxy, prefix):
    store.put(DIGEST, CONTENT)
    assert proxy.seen == [f"PUT /{BUCKET}/{prefix}/{DIGEST}"]


def test_strange_objects_under_the_prefix_are_left_alone(store):
    for name in ("README", "a/b", f"{DIGEST}.old", f"old/{DIGEST}"):
        store._client.put(name, b"not ours")
    store.put(DIGEST, CONTENT)
    assert [item.digest for item in store.stored()] == [DIGEST]


def test_two_prefixes_are_two_stores(prefix):
    one, other = BucketStore(BUCKET, prefix), BucketStore(BUCKET, f"{prefix}-other")
    one.put(DIGEST, CONTENT)
    with pytest.raises(ArtifactMissing):
        other.get(DIGEST)
    assert list(other.stored()) == []


@pytest.mark.parametrize("call", ["put", "get", "stored", "delete"])
def test_a_bucket_that_is_not_there_is_unusable_not_empty(prefix, call):
    store = BucketStore("no-such-bucket")
    calls = {
        "put": lambda: store.put(DIGEST, CONTENT),
        "get": lambda: store.get(DIGEST),
        "stored": lambda: list(store.stored()),
        "delete": lambda: store.delete(DIGEST),
    }
    with pytest.raises(StoreUnusable, match="404 Not Found, NoSuchBucket"):
        calls[call]()


def test_what_is_not_found_by_another_kind_of_server_is_not_an_artifact_that_is_missing(store, proxy):
    proxy.faults.append(404)  # with another code than S3's
    with pytest.raises(StoreUnusable, match="404"):
        store.get(DIGEST)


def test_a_server_that_is_gone_is_unusable(prefix, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(StoreUnusable, match="error sending request"):
        BucketStore(BUCKET).get(DIGEST)


def test_without_credentials_the_error_says_so(prefix, proxy, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"{proxy.address}/169.254.169.254")  # the address that it has in a cloud
    proxy.faults.extend([403] * 10)
    with pytest.raises(StoreUnusable, match="AWS_ACCESS_KEY_ID is not set"):
        BucketStore(BUCKET).get(DIGEST)


@pytest.mark.parametrize(("name", "value"), [("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")])
def test_variables_that_do_not_fit_are_told_at_once_and_without_a_secret(prefix, monkeypatch, name, value):
    monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    with pytest.raises(StoreUnusable, match="AWS_… variables do not lead to the bucket 'artifacts'") as caught:
        BucketStore(BUCKET)
    assert SECRET not in caught.value.message


ENDPOINTS_THAT_ARE_NONE = ["127.0.0.1:9000", "minio", "//h", "http://", "http://a b/", "http://[::1", "http://h:99999", "ftp://h",
                           "http://ü.example", "http://me:secret@h"]  # fmt: skip


@pytest.mark.parametrize("address", ENDPOINTS_THAT_ARE_NONE)
def test_an_address_that_is_none_is_told_at_once(prefix, monkeypatch, address):
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    with pytest.raises(StoreUnusable, match="AWS_ENDPOINT_URL is no address of a server: give one such as https://host"):
        BucketStore(BUCKET)


@pytest.mark.parametrize(
    "name", ["AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"]
)
def test_a_line_break_at_the_end_of_a_variable_is_told_at_once(prefix, s3, monkeypatch, name):
    monkeypatch.setenv(name, s3 + "\n" if name == "AWS_ENDPOINT_URL" else "us-east-1\n")
    with pytest.raises(StoreUnusable, match=f"{name} holds a line break") as caught:
        BucketStore(BUCKET)
    assert "us-east" not in caught.value.message


def test_an_address_in_capitals_or_with_a_path_is_one(prefix, s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.replace("http", "HTTP") + "/")
    store = BucketStore(BUCKET, prefix)
    store.put(DIGEST, CONTENT)
    assert store.get(DIGEST) == CONTENT


def test_what_obstore_panics_at_is_unusable(prefix, monkeypatch):
    monkeypatch.setattr(bucket, "_check_variables", lambda: None)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "minio:9000")
    store = BucketStore(BUCKET)
    for call in (lambda: store.put(DIGEST, CONTENT), lambda: store.get(DIGEST), lambda: list(store.stored())):
        with pytest.raises(StoreUnusable, match="cannot be used"):
            call()


def test_without_obstore_the_error_says_what_to_install():
    program = """if True:
        import sys
        sys.modules["obstore"] = None
        from forecastle_registry.errors import StoreUnusable
        from forecastle_registry.stores import open_store
        try:
            open_store("s3://bucket/prefix", None)
        except StoreUnusable as error:
            print(error.message)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=dict(os.environ))
    assert "obstore" in done.stdout
    assert "pip install 'forecastle-registry[s3]'" in done.stdout


FORK = """
import os, signal, sys
from forecastle_registry.errors import RegistryError
from forecastle_registry.stores import BucketStore
store = BucketStore(sys.argv[1], "fork")  # as a server has that loads its application before it forks
def ask():
    try:
        store.get("f" * 64)
    except RegistryError as error:
        print(error.code, error.message, flush=True)
if sys.argv[2] == "used":
    ask()
if os.fork() == 0:
    signal.alarm(20)
    ask()
    os._exit(0)
sys.exit(os.wait()[1])
"""


@pytest.mark.parametrize(
    ("before", "told"),
    [("used", ["artifact-missing", "artifact-store-unusable this process was forked"]), ("unused", ["artifact-missing"])],
)
def test_a_process_that_was_forked_from_one_that_had_used_a_bucket_does_not_hang(prefix, before, told):
    done = subprocess.run([sys.executable, "-c", FORK, BUCKET, before], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert [line.startswith(start) for line, start in zip(lines, told, strict=True)] == [True] * len(told)


def test_obstore_is_imported_only_for_a_bucket():
    program = "import sys, forecastle_registry.stores; print('obstore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout == b"False\n"
