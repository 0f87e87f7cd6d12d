"""The strict reader on damaged artifacts: plain data or our own error, in time, and never anything else."""

import random
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import skops.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecastle_registry.artifacts import digest_of
from forecastle_registry.errors import ArtifactRefused
from forecastle_registry.serializers import identity_of, loads
from registry.tests.fuzz import check
from registry.tests.mutations import BASES, mutated
from registry.tests.zips import deflated, zip_of

ROOT = Path(__file__).resolve().parents[2]
patient = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


def drawn(data: Any) -> bytes:
    """Return a damaged artifact whose numbers hypothesis chooses, so that it can make them smaller."""
    return mutated(lambda n: data.draw(st.integers(0, n - 1)))


@patient
@given(st.data())
def test_a_damaged_artifact_is_plain_data_or_refused(data: Any) -> None:
    check(drawn(data))


@patient
@given(st.data())
def test_what_is_read_of_a_damaged_artifact_is_what_skops_reads(data: Any) -> None:
    artifact = drawn(data)
    try:
        state = loads(artifact, "skops", digest=digest_of(artifact), max_bytes=2**22)
    except ArtifactRefused:
        return
    assert identity_of(state, {}, b"") == identity_of(skops.io.loads(artifact), {}, b"")


@patient
@given(st.data())
def test_a_damaged_artifact_for_a_plugins_own_types_is_data_or_refused_too(data: Any) -> None:
    artifact = drawn(data)
    with suppress(ArtifactRefused):
        loads(artifact, "skops", digest=digest_of(artifact), trusted_types=("datetime.date",), max_bytes=2**22)


def test_the_damage_is_neither_none_nor_all() -> None:
    """A fuzzer whose inputs are all refused at the door has seen nothing of the house."""
    rng = random.Random(1)
    refusals: dict[str, int] = {}
    plain = 0
    for _ in range(2000):
        artifact = mutated(rng.randrange)
        try:
            loads(artifact, "skops", digest=digest_of(artifact))
            plain += 1
        except ArtifactRefused as refusal:
            words = re.sub(r"[^a-z ]|\(.*", "", refusal.message)[:60]
            refusals[words] = refusals.get(words, 0) + 1
    assert plain > 50
    assert len(refusals) > 25
    assert max(refusals.values()) < 1000


def test_every_base_is_read_when_nothing_is_damaged() -> None:
    for members in BASES:
        assert check(zip_of([deflated(name, content) for name, content in members.items()]))


def test_the_command_fuzzes_within_bounds_of_memory(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "registry.tests.fuzz", "--seconds", "2", "--seed", "7", "--patience", "10"]
    environment = {"PYTHONPATH": f"{ROOT}", "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    finished = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert re.fullmatch(r"[\d,]+ artifacts, of which [\d,]+ were data; seed 7\n", finished.stdout)
    assert list(tmp_path.iterdir()) == []


def test_the_check_itself_notices_what_takes_too_long() -> None:
    good = zip_of([deflated(name, content) for name, content in BASES[0].items()])
    with pytest.raises(AssertionError, match=r"\d s"):
        check(good, patience=0.0)
