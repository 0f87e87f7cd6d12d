"""Errors say what to do next, and survive the way between processes."""

import pickle

import pytest

from forecastle_registry import errors
from forecastle_registry.aliases import Alias
from forecastle_registry.errors import RegistryError

EXAMPLES = [
    errors.ModelNotFound("m"),
    errors.VersionNotFound("m", 3),
    errors.AliasNotFound("m", "production"),
    errors.NameRefused("a/b"),
    errors.PluginMismatch("m", "naive", "other"),
    errors.VersionArchived("m", 3),
    errors.NothingToRollBackTo("m", "production", None),
    errors.NothingToRollBackTo("m", "production", 2),
    errors.StaleAlias("m", "production", Alias("m", "production", (1, 2), 2)),
    errors.StaleAlias("m", "production", None),
    errors.VersionInUse("m", 3, ("the alias production",), "promote another one first"),
    errors.AliasProtected("m", "production"),
    errors.AliasUnprotected("m", "production"),
    errors.GateClosed("m", 3, "production", ("its verdict is flat; train it again",)),
    errors.KeyNotFound("ada"),
    errors.KeyNameTaken("ada"),
    errors.KeyTermsRefused("no role; choose another one"),
    errors.LastAdminKey("ada"),
    errors.DatabaseNotEmpty("it holds 3 models; give an empty one"),
    errors.StoreUnusable("full; make room"),
    errors.NotPlainData("state.x", "a set"),
    errors.ArtifactMissing("not stored; train again", "0" * 64),
    errors.ArtifactCorrupt("changed; train again", "0" * 64),
    errors.ArtifactRefused("no; train again"),
    errors.SigningKeyUnusable("short; move it away"),
    errors.DatabaseUnusable("gone; start it"),
    errors.DatabaseBehind("0001", "0002"),
    errors.DatabaseAhead("later; upgrade Forecastle"),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_survives_the_way_between_processes(error):
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


def test_every_error_has_a_code_of_its_own():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, RegistryError)]
    assert {type(error) for error in EXAMPLES} | {RegistryError, errors.ArtifactError} == set(kinds)
    assert len({kind.code for kind in kinds}) == len(kinds)
