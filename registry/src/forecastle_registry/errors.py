"""Every error that the registry raises on purpose: one small tree.

RegistryError
├── ModelNotFound
├── VersionNotFound
├── AliasNotFound         the model is there, the alias points at nothing
├── NameRefused           no model or alias can have this name
├── PluginMismatch        the model belongs to another plugin
├── VersionArchived       the version may no longer go live
├── VersionInUse          an alias or another version needs it
├── AliasProtected        only an admin's key moves it
├── AliasUnprotected      nothing protects it
├── GateClosed            the version is not what a protected alias asks for
├── KeyNotFound
├── KeyNameTaken          names are given once, so that the log stays readable
├── KeyTermsRefused       no key can have this role, scope, expiry or limit
├── LastAdminKey          without it nobody could make a key over HTTP
├── NothingToRollBackTo
├── StaleAlias            the alias moved since the caller looked
├── NotPlainData          what was given cannot be stored
├── DatabaseNotEmpty      something would be overwritten
├── StoreUnusable         the artifact store cannot be reached, or is full
├── ArtifactError
│   ├── ArtifactMissing   the bytes are not there
│   ├── ArtifactCorrupt   the bytes are not those that were stored
│   └── ArtifactRefused   the bytes are whole, and not to be trusted
├── SigningKeyUnusable
└── DatabaseUnusable      unreachable, locked, full, or on a file system that cannot hold it
    ├── DatabaseBehind    its tables are not those of this release
    └── DatabaseAhead     its tables are those of a later release
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from .aliases import Alias


class RegistryError(Exception):
    """The root: `code` is stable and machine-readable, the message says what to do next."""

    code: ClassVar[str] = "registry-error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors travel from worker processes: the default would call the class with the message alone.
        return _rebuild, (type(self), self.message), self.__dict__


def _rebuild(kind: type[RegistryError], message: str) -> RegistryError:
    error = kind.__new__(kind, message)
    RegistryError.__init__(error, message)
    return error


class ModelNotFound(RegistryError):
    """No model has this name."""

    code = "model-not-found"

    def __init__(self, model: str) -> None:
        super().__init__(f"there is no model {model!r}; `forecastle models` lists those that there are")
        self.model = model


class VersionNotFound(RegistryError):
    """The model has no version of this number."""

    code = "version-not-found"

    def __init__(self, model: str, number: int) -> None:
        super().__init__(f"the model {model!r} has no version {number}; `forecastle versions {model}` lists those that it has")
        self.model, self.number = model, number


class AliasNotFound(RegistryError):
    """The model has no such alias: nothing was ever promoted to it."""

    code = "alias-not-found"

    def __init__(self, model: str, alias: str) -> None:
        super().__init__(
            f"the model {model!r} has no version live as {alias!r}; promote one: `forecastle promote {model} N --alias {alias}`"
        )
        self.model, self.alias = model, alias


class NameRefused(RegistryError):
    """A model or an alias cannot have this name."""

    code = "name-refused"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name[:80]!r} cannot be a name; use up to 100 letters (a-z, A-Z), digits, dots, dashes and underscores,"
            " a letter or digit first"
        )
        self.name = name


class PluginMismatch(RegistryError):
    """The model belongs to another plugin than the one that was given."""

    code = "plugin-mismatch"

    def __init__(self, model: str, plugin: str, given: str) -> None:
        super().__init__(f"the model {model!r} belongs to the plugin {plugin!r}, not to {given!r}; choose another model name")
        self.model, self.plugin, self.given = model, plugin, given


class VersionArchived(RegistryError):
    """An archived version cannot go live."""

    code = "version-archived"

    def __init__(self, model: str, number: int) -> None:
        super().__init__(
            f"version {number} of the model {model!r} is archived; choose one that is not"
            f", or restore it: `forecastle archive {model} {number} --undo`"
        )
        self.model, self.number = model, number


class VersionInUse(RegistryError):
    """A version is named by an alias's stack, or is the parent of another: `users` says by which."""

    code = "version-in-use"

    def __init__(self, model: str, number: int, users: tuple[str, ...], remedy: str) -> None:
        super().__init__(f"version {number} of the model {model!r} is needed by {', '.join(users)}; {remedy}")
        self.model, self.number, self.users = model, number, users


class AliasProtected(RegistryError):
    """A protected alias is moved by an admin's key only."""

    code = "alias-protected"

    def __init__(self, model: str, alias: str) -> None:
        super().__init__(f"{alias!r} of the model {model!r} is protected: only an admin moves it; ask one")
        self.model, self.alias = model, alias


class AliasUnprotected(RegistryError):
    """There is no protection to be shown or taken away."""

    code = "alias-not-protected"

    def __init__(self, model: str, alias: str) -> None:
        super().__init__(
            f"{alias!r} of the model {model!r} is not protected; `forecastle protect {model} --alias {alias}` protects it"
        )
        self.model, self.alias = model, alias


class GateClosed(RegistryError):
    """A version does not meet what a protected alias asks for; `reasons` has a sentence for each condition that fails."""

    code = "gate-closed"

    def __init__(self, model: str, number: int, alias: str, reasons: tuple[str, ...]) -> None:
        super().__init__(f"version {number} of {model!r} may not go live as {alias!r}: {'; '.join(reasons)}")
        self.model, self.number, self.alias, self.reasons = model, number, alias, reasons


class KeyNotFound(RegistryError):
    """No key has this name."""

    code = "key-not-found"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no key {name!r}; `forecastle keys list` shows those that there are")
        self.name = name


class KeyNameTaken(RegistryError):
    """A key has this name already, or had it."""

    code = "key-name-taken"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a key {name!r} already, or there was; choose another name, so that the log stays readable")
        self.name = name


class KeyTermsRefused(RegistryError):
    """A key was asked for with a role, a scope, an expiry or limits that no key can have."""

    code = "key-terms-refused"


class LastAdminKey(RegistryError):
    """The key is the last one that is good, has the role admin, and no scope."""

    code = "last-admin-key"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name!r} is the last admin's key without a scope: make another one first, or revoke it on the server itself"
            f" (`forecastle keys revoke {name} --yes`)"
        )
        self.name = name


class NothingToRollBackTo(RegistryError):
    """Below the live version there is none to go back to, or not the one that was asked for."""

    code = "nothing-to-roll-back-to"

    def __init__(self, model: str, alias: str, to: int | None) -> None:
        wanted = "nothing" if to is None else f"no version {to}"
        super().__init__(
            f"there is {wanted} below the live version on the stack of {alias!r} of the model {model!r}; "
            "promote the version that should be live"
        )
        self.model, self.alias, self.to = model, alias, to


class StaleAlias(RegistryError):
    """The alias is not what the caller believed; `current` is what it is now, None when it points at nothing."""

    code = "alias-stale"

    def __init__(self, model: str, alias: str, current: Alias | None) -> None:
        now = "points at nothing" if current is None else f"now points at version {current.live} (ETag {current.etag})"
        super().__init__(f"{alias!r} of the model {model!r} has moved since you looked: it {now}; look again, then decide")
        self.model, self.alias, self.current = model, alias, current


class NotPlainData(RegistryError):
    """A value holds something other than None, bool, int, float, str, lists, string-keyed dicts and (in a state) arrays."""

    code = "not-plain-data"

    def __init__(self, where: str, found: str) -> None:
        super().__init__(f"{where} is {found}; convert it to plain data first (int(x), float(x), str(x), .tolist())")
        self.where, self.found = where, found


class DatabaseNotEmpty(RegistryError):
    """The database that was to be filled holds something."""

    code = "database-not-empty"


class StoreUnusable(RegistryError):
    """The artifact store cannot be reached, written to, or is not understood."""

    code = "artifact-store-unusable"


class ArtifactError(RegistryError):
    """Something is wrong with an artifact; `digest` is its SHA-256 where that is known, else None."""

    code = "artifact-error"

    def __init__(self, message: str, digest: str | None = None) -> None:
        super().__init__(message)
        self.digest = digest


class ArtifactMissing(ArtifactError):
    """No artifact of this digest is stored."""

    code = "artifact-missing"


class ArtifactCorrupt(ArtifactError):
    """The bytes do not have the digest under which they were stored."""

    code = "artifact-corrupt"


class ArtifactRefused(ArtifactError):
    """The bytes are whole, yet hold more than plain data, exceed a limit, or are not signed by this installation."""

    code = "artifact-refused"


class SigningKeyUnusable(RegistryError):
    """The file of the signing key cannot be read or made, holds no key, or another one than the log is sealed with."""

    code = "signing-key-unusable"


class DatabaseUnusable(RegistryError):
    """The database cannot be used: unreachable, locked, full, of an unknown kind, or on a network file system."""

    code = "database-unusable"


class DatabaseBehind(DatabaseUnusable):
    """The database's tables are not those of this release; `found` and `expected` are revisions, None where unknown."""

    code = "database-behind"

    def __init__(self, found: str | None = None, expected: str | None = None) -> None:
        super().__init__(f"{self._found(found, expected)}: run `forecastle db upgrade`")
        self.found, self.expected = found, expected

    @staticmethod
    def _found(found: str | None, expected: str | None) -> str:
        if expected is None:
            return "the database's tables are not those of this release"
        at = "the database has no tables yet" if found is None else f"the database is at revision {found}"
        return f"{at}, this release needs revision {expected}"


class DatabaseAhead(DatabaseUnusable):
    """The database's tables are those of a later release."""

    code = "database-ahead"
