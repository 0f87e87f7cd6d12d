"""Every artifact of the corpus is refused with our own error, before anything is deserialized, and within bounds."""

import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import skops.io

from forecastle_registry.artifacts import digest_of
from forecastle_registry.errors import ArtifactCorrupt, ArtifactRefused
from forecastle_registry.plain import plain
from forecastle_registry.serializers import check_identity, dumps, identity_of, loads
from forecastle_registry.skops_format import write
from registry.tests.hostile import CAP, GOOD, STATE, Hostile, Mark, hostile_artifacts, many_places, members_of
from registry.tests.zips import deflated, stored, zeros, zip_of

KEY = b"the key of this installation, as long as it must be"
DECLARED = ("datetime.date",)

# What skops itself lets in beside what a plugin declares, none of which runs anything; the state is then still not the one that
# was registered.
TYPES_OF_SKOPS = {
    "a builtin type",
    "a bytearray",
    "a complex array scalar",
    "a default dict",
    "a masked array",
    "a random generator",
    "a set",
    "a slice",
    "a ufunc",
    "an ordered dict",
    "bytes",
    "numbers as keys",
}
HARMLESS = {
    "a schema of an older protocol, whose nodes are less strict",
    "a schema of the protocol before",
    "a schema one level too deep",
    "a schema that names its own trusted types",
    "a schema that trusts everything",
    "a schema with JSON within JSON",
    "a schema with a BytesNode",
    "a schema with a CachedNode",
    "a schema with a SetNode",
    "a schema with a byte order mark",
    "a schema with a list of lists of types",
    "a schema with a node that calls itself trusted",
    "a schema with doubled keys",
    "a schema with doubled keys in a node",
    "a schema with half a surrogate pair",
    "a schema with half a surrogate pair as a name",
    "a zip with a member called '1.npy\\x00.py'",
    "a zip with a member too many",
    "an array in a zip of its own",
    "an array of more rows than it says",
    "an array of objects, under the header of numbers",
    "an array of records",
    "an array of text that is none",
    "an array of truth values that are none",
    "an array of void",
}


@pytest.fixture(scope="module")
def mark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile") / "mark"


@pytest.fixture(scope="module")
def corpus(mark: Path) -> list[Hostile]:
    return hostile_artifacts(mark, KEY)


def refusal_of(hostile: Hostile, *, allow_pickle: bool = True, trusted_types: tuple[str, ...] = ()) -> ArtifactRefused:
    with pytest.raises(ArtifactRefused) as caught:
        loads(
            hostile.content,
            hostile.serializer,
            digest=digest_of(hostile.content),
            key=KEY,
            allow_pickle=allow_pickle,
            trusted_types=trusted_types,
            max_bytes=CAP,
        )
    return caught.value


def test_the_whole_corpus_is_refused_whether_pickle_is_on_or_off(corpus: list[Hostile], mark: Path) -> None:
    assert len(corpus) > 150
    assert len({hostile.name for hostile in corpus}) == len(corpus)
    for hostile in corpus:
        for allow_pickle in (True, False):
            refusal = refusal_of(hostile, allow_pickle=allow_pickle)
            assert refusal.digest == digest_of(hostile.content), hostile
            assert len(refusal.message) < 500, hostile
            assert plain(refusal.message, "message") == refusal.message, hostile  # so that the log can hold it
        assert not mark.exists(), hostile


def test_the_mark_would_have_been_seen(mark: Path, tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Mark(tmp_path / "mark")))
    assert (tmp_path / "mark").exists()


def test_what_the_corpus_is_made_of_is_read_when_nothing_is_changed() -> None:
    content = zip_of(GOOD)
    found = loads(content, "skops", digest=digest_of(content))
    assert identity_of(found, {}, b"") == identity_of(STATE, {}, b"")


def test_every_refusal_takes_a_moment(corpus: list[Hostile]) -> None:
    for hostile in corpus:
        start = time.process_time()
        refusal_of(hostile)
        assert time.process_time() - start < 2, hostile


LIMITED = """
import resource, sys
from pathlib import Path
from forecastle_registry.artifacts import digest_of
from forecastle_registry.errors import ArtifactRefused
from forecastle_registry.serializers import loads
from forecastle_registry.skops_format import read, write
read(write({"a": 1}), 1000)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[1]), used + int(sys.argv[1])))
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]), int(sys.argv[2])))
for path in sorted(Path(sys.argv[3]).iterdir()):
    data = path.read_bytes()
    for serializer in ("skops", "pickle"):
        try:
            loads(data, serializer, digest=digest_of(data), key=b"k" * 32, allow_pickle=True, max_bytes=int(sys.argv[4]))
        except ArtifactRefused:
            continue
        print("accepted", path.name, serializer)
print("done")
"""


def test_the_corpus_is_refused_within_bounds_of_memory_and_time(corpus: list[Hostile], tmp_path: Path) -> None:
    """256 MB beyond what the process has after its first load, for all of it; the cap of an artifact is 64 MB here."""
    for number, hostile in enumerate(corpus):
        if hostile.serializer == "skops":
            (tmp_path / f"{number:03}").write_bytes(hostile.content)
    command = [sys.executable, "-c", LIMITED, str(256 * 2**20), "60", str(tmp_path), str(CAP)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (finished.returncode, finished.stdout.strip()) == (0, "done"), finished.stderr


def test_an_artifact_cut_off_anywhere_is_refused() -> None:
    for serializer, content in small_artifacts().items():
        for length in range(len(content)):
            refusal_of(Hostile(f"{length} bytes", content[:length], serializer))


def test_an_artifact_with_one_byte_flipped_is_corrupt_wherever_it_is() -> None:
    for serializer, content in small_artifacts().items():
        digest = digest_of(content)
        for place in range(len(content)):
            flipped = content[:place] + bytes([content[place] ^ 0x40]) + content[place + 1 :]
            with pytest.raises(ArtifactCorrupt):
                loads(flipped, serializer, digest=digest, key=KEY, allow_pickle=True)


def test_one_byte_flipped_under_its_own_digest_is_refused_or_not_the_state_that_was_registered() -> None:
    content = small_artifacts()["skops"]
    registered = identity_of(STATE, {"endog": ["y"]}, content)
    for place in range(len(content)):
        for bit in range(8):
            flipped = content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]
            try:
                state = loads(flipped, "skops", digest=digest_of(flipped))
            except ArtifactRefused:
                continue
            check_identity(state, {"endog": ["y"]}, flipped, registered)  # a time in the zip, say: the very same state


def small_artifacts() -> dict[str, bytes]:
    return {"skops": write(STATE), "pickle": dumps([1, 2], "pickle", key=KEY, allow_pickle=True)}


def test_another_models_artifact_is_refused() -> None:
    registered = identity_of(STATE, {"endog": ["y"]}, b"")
    check_identity(STATE, {"endog": ["y"]}, b"", registered)
    for state, signature in (({**STATE, "level": np.arange(4.0)}, {"endog": ["y"]}), (STATE, {"endog": ["z"]}), (None, {})):
        with pytest.raises(ArtifactRefused, match="its row was changed") as caught:
            check_identity(state, signature, b"bytes", registered)
        assert caught.value.digest == digest_of(b"bytes")


def test_a_digest_that_is_none_refuses_too() -> None:
    for expected in ("", "0" * 64, "é" * 64):
        with pytest.raises(ArtifactRefused, match="its row was changed"):
            check_identity(STATE, {}, b"", expected)


def test_a_state_of_a_plugins_own_types_is_known_by_its_bytes() -> None:
    own = {"types": {1, 2}}
    registered = identity_of(own, {}, b"one")
    check_identity(own, {}, b"one", registered)
    with pytest.raises(ArtifactRefused, match="its row was changed"):
        check_identity(own, {}, b"another", registered)


def test_one_array_in_many_places_is_not_gone_through() -> None:
    content = many_places()
    assert len(content) < 100_000
    state = loads(content, "skops", digest=digest_of(content), max_bytes=CAP)
    assert state["x"][0] is state["x"][-1]
    start = time.process_time()
    with pytest.raises(ArtifactRefused, match="in so many places"):
        check_identity(state, {}, content, "0" * 64, max_bytes=CAP)
    assert time.process_time() - start < 5


def test_values_within_themselves_are_not_followed() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ArtifactRefused, match="nested too deep"):
        check_identity(endless, {}, b"", "0" * 64)


def test_where_a_plugin_declares_a_type_nothing_else_is_let_in(corpus: list[Hostile], mark: Path) -> None:
    """There skops itself reads, which trusts the types of Python, numpy and scikit-learn that it knows: none of those runs."""
    accepted = []
    for hostile in corpus:
        try:
            loads(
                hostile.content,
                hostile.serializer,
                digest=digest_of(hostile.content),
                key=KEY,
                allow_pickle=True,
                trusted_types=DECLARED,
                max_bytes=CAP,
            )
        except ArtifactRefused:
            continue
        finally:
            assert not mark.exists(), hostile
        accepted.append(hostile.name)
    assert {name for name in accepted if not name.startswith("skops: ")} <= HARMLESS
    assert {name.removeprefix("skops: ").removesuffix(", at the root") for name in accepted} <= HARMLESS | TYPES_OF_SKOPS


def test_a_sparse_array_that_unpacks_to_more_than_is_allowed_is_refused_before_skops_reads() -> None:
    trusted = ("scipy.sparse._csr.csr_matrix",)
    small = skops.io.dumps({"x": scipy.sparse.csr_matrix((2, 2))})
    assert loads(small, "skops", digest=digest_of(small), trusted_types=trusted)["x"].shape == (2, 2)
    bomb = zip_of([deflated("a.npy", b""), zeros("b.npy", CAP // 2**20 + 1)])
    for inner, words in ((bomb, "sparse arrays of more"), (b"no zip at all", "no zip file|before or after its zip")):
        members = [stored(name, inner if name.endswith(".npz") else content) for name, content in members_of(small).items()]
        content = zip_of(members)
        with pytest.raises(ArtifactRefused, match=words):
            loads(content, "skops", digest=digest_of(content), trusted_types=trusted, max_bytes=CAP)
