"""Artifacts as objects of an S3-compatible bucket, `prefix/<digest>`, by obstore (extra `forecastle-registry[s3]`).

Address and credentials come from the environment, as other tools read them: AWS_ENDPOINT_URL, AWS_REGION,
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and so on. Addresses are in path style. What fails for a moment (throttling, a
broken connection, a 5xx) is tried again, within bounds: a request thread must not hang.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

from ..artifacts import MAX_ARTIFACT_BYTES, REMEDY, check_digest, check_is_digest, check_size, is_digest
from ..errors import ArtifactMissing, StoreUnusable
from .contract import StoredArtifact

CONNECT_SECONDS = 5
ATTEMPT_SECONDS = 10  # for a request with its answer, of at most a part
RETRY_SECONDS = 10  # after which no further attempt begins: all in all it is 20 seconds
RETRIES = 4
WAIT_SECONDS = 0.1  # before the first of them, and three times as long before each further one, more or less
PART_BYTES = 8 * 2**20  # larger artifacts go and come in parts, so that a slow line has time for each
NO_SUCH_KEY = "<Code>NoSuchKey</Code>"  # a missing bucket, and a strange server, are "not found" as well
METADATA_SERVICE = "169.254.169.254"  # which obstore asks for credentials where the environment has none
PANIC = "PanicException"  # which is no Exception, of a module that cannot be imported: obstore met what it did not expect
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
ENDPOINT = re.compile(r"https?://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>\d{1,5}))?(?:/[\x21-\x7e]*)?", re.IGNORECASE)
BROKEN_OFF = "body error"  # so obstore calls a page of a listing that ended too soon, for which it does not ask again

_owner: list[int] = []  # the process whose threads do obstore's work, once there is one: a fork does not have them


class BucketStore:
    """A bucket of any S3-compatible store, or a prefix of one."""

    def __init__(self, bucket: str, prefix: str = "") -> None:
        self.name = f"s3://{bucket}/{prefix}".rstrip("/")
        self._client = _client(bucket, prefix)

    def put(self, digest: str, content: bytes) -> None:
        """Keep bytes."""
        check_is_digest(digest)
        with self._usable():
            self._client.put(digest, content, chunk_size=PART_BYTES, max_concurrency=2)

    def get(self, digest: str, *, max_bytes: int = MAX_ARTIFACT_BYTES) -> bytes:
        """Return bytes, verified."""
        check_is_digest(digest)
        with self._usable(digest):
            found = self._client.get(digest)
            size = found.meta["size"]
            check_size(size, digest, max_bytes)
            content = bytes(found.bytes()) if size <= PART_BYTES else self._parts(digest, size)
        check_digest(content, digest)
        return content

    def _parts(self, digest: str, size: int) -> bytes:
        starts = range(0, size, PART_BYTES)
        return b"".join(self._client.get_range(digest, start=start, length=PART_BYTES) for start in starts)

    def stored(self) -> Iterator[StoredArtifact]:
        """Go through everything that is kept, page by page."""
        last, failures = None, 0
        while True:
            try:
                for item in self._listed(last):
                    last, failures = item["path"], 0
                    if is_digest(item["path"]):
                        yield StoredArtifact(item["path"], item["size"], item["last_modified"])
                return
            except StoreUnusable as error:
                failures += 1
                if failures > RETRIES or BROKEN_OFF not in error.message:
                    raise

    def _listed(self, after: str | None) -> Iterator[Any]:
        with self._usable():
            for page in self._client.list(offset=after):
                yield from page

    def delete(self, digest: str) -> None:
        """Remove bytes."""
        check_is_digest(digest)
        with suppress(ArtifactMissing), self._usable(digest):  # most stores say nothing, some that it is not there
            self._client.delete(digest)

    def sweep(self, before: datetime, *, dry_run: bool = False) -> int:
        """Find nothing: an object is there whole or not at all. Parts that were never joined are the bucket's own to expire."""
        return 0

    @contextmanager
    def _usable(self, digest: str | None = None) -> Iterator[None]:
        """Turn obstore's errors into ours, which tell nothing that a server's answer may hold but its code."""
        from obstore.exceptions import BaseError

        self._refuse_fork()
        try:
            yield
        except BaseException as error:
            if not (isinstance(error, BaseError | OSError) or type(error).__name__ == PANIC):  # a timeout is an OSError
                raise
            if digest is not None and NO_SUCH_KEY in str(error):
                raise ArtifactMissing(f"the artifact {digest[:12]}… is not in {self.name}: {REMEDY}", digest) from None
            raise StoreUnusable(
                f"the artifact store {self.name} cannot be used ({_reason(str(error))}): see that the bucket is there, and that"
                " the AWS_… variables are right"
            ) from None

    def _refuse_fork(self) -> None:
        """Raise where obstore would wait for ever."""
        if not _owner:
            _owner.append(os.getpid())
        elif _owner[0] != os.getpid():
            raise StoreUnusable(
                f"this process was forked from one that had used the artifact store {self.name}, which does not survive a fork:"
                " load nothing before the server forks (as gunicorn's --preload does)"
            )


def _client(bucket: str, prefix: str) -> Any:
    try:
        from obstore.exceptions import BaseError
        from obstore.store import S3Store
    except ModuleNotFoundError as error:
        remedy = "pip install 'forecastle-registry[s3]'"
        raise StoreUnusable(f"an artifact store in a bucket needs {error.name}, which is missing: {remedy}") from error
    _check_variables()
    try:
        return S3Store(bucket, prefix=prefix or None, **_options())
    except (BaseError, ValueError) as error:
        missing = re.search(r"Missing \w+", str(error))
        found = missing[0] if missing else "one of them is not understood"
        raise StoreUnusable(f"the AWS_… variables do not lead to the bucket {bucket!r} ({found}): correct them") from None


def _check_variables() -> None:
    """Refuse at the start what obstore would panic at with the first request: a slip, or a file's last line break."""
    for name, value in os.environ.items():
        if name.startswith("AWS_") and not value.isprintable():
            raise StoreUnusable(f"{name} holds a line break, or another character that cannot be seen: remove it")
    for name in ENDPOINTS:
        if endpoint := os.environ.get(name):
            found = ENDPOINT.fullmatch(endpoint)
            if found is None or int(found["port"] or 0) > 65535:
                raise StoreUnusable(f"{name} is no address of a server: give one such as https://host or http://host:9000")


def _options() -> dict[str, Any]:
    endpoint = next((os.environ[name] for name in ENDPOINTS if os.environ.get(name)), "")
    plain_http = endpoint.lower().startswith("http://")
    allow_http = os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("true", "1") or plain_http
    return {
        "disable_bulk_delete": True,  # not every store has it
        "client_options": {
            "allow_http": allow_http,
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "timeout": timedelta(seconds=ATTEMPT_SECONDS),
        },
        "retry_config": {
            "max_retries": RETRIES,
            "retry_timeout": timedelta(seconds=RETRY_SECONDS),
            "backoff": {"init_backoff": timedelta(seconds=WAIT_SECONDS), "max_backoff": timedelta(seconds=2), "base": 3},
        },
    }


def _reason(text: str) -> str:
    """Return the server's status and code, or what happened to the connection: never its whole answer."""
    if METADATA_SERVICE in text:
        return "AWS_ACCESS_KEY_ID is not set, and this machine has no role that would do instead"
    status = re.search(r"status code: (\d{3}(?: [A-Za-z ]+)?)", text)
    code = re.search(r"<Code>(\w{1,60})</Code>", text)
    found = [match[1] for match in (status, code) if match]
    if not found:
        kind = re.search(r"HTTP error: ([\w ]{1,80})", text)
        found = [kind[1] if kind else "no answer"]
    return ", ".join(found)
