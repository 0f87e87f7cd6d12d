"""An artifact is handed out only when its bytes are those that were stored."""

import pytest

from forecastle_registry.artifacts import digest_of
from forecastle_registry.engine import writing
from forecastle_registry.errors import ArtifactCorrupt, ArtifactMissing, ArtifactRefused
from forecastle_registry.stores import DatabaseStore
from forecastle_registry.tables import artifacts
from forecastle_registry.versions import register_version


@pytest.fixture
def digest(engine, training):
    return register_version(engine, training(artifact=b"some bytes"), promote=None).version.artifact_digest


def test_an_artifact_is_found_by_the_digest_of_its_bytes(engine, digest):
    assert digest == digest_of(b"some bytes")
    assert DatabaseStore(engine).get(digest) == b"some bytes"


def test_bytes_that_changed_are_not_handed_out(engine, digest):
    with writing(engine) as connection:
        connection.execute(artifacts.update().values(content=b"\0"))
    with pytest.raises(ArtifactCorrupt, match="backup") as caught:
        DatabaseStore(engine).get(digest)
    assert caught.value.digest == digest


def test_an_artifact_that_is_not_there_is_missing(engine):
    with pytest.raises(ArtifactMissing) as caught:
        DatabaseStore(engine).get("f" * 64)
    assert caught.value.digest == "f" * 64


def test_the_cap_counts_the_bytes_themselves_not_what_the_row_says(engine, digest):
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE artifacts SET size = 1")
    assert DatabaseStore(engine).get(digest, max_bytes=10) == b"some bytes"
    with pytest.raises(ArtifactRefused, match="10 bytes"):
        DatabaseStore(engine).get(digest, max_bytes=9)
