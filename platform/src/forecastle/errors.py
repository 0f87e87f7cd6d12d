"""What the platform itself refuses, beside the errors of the sdk and of the registry.

PlatformError
├── SettingsError         a setting cannot be understood, or is not supported
├── DuplicatePlugin       two distributions offer a plugin of one name
├── PluginUnknown         no such plugin is installed
├── PluginUnavailable     the plugin of a model is gone, or is not usable
├── TargetRefused         a version that must not go live
├── GoldenMismatch        a loaded version does not reproduce its golden forecast
├── NothingReproduces     no version on an alias's stack can be served
├── NotAcceptable         no answer can be had in the form that was asked for
├── BackupRefused         a file is no backup that can be restored here, or one that would be overwritten
├── UnreadableTable       an uploaded file is no table that can be read
├── TooManyRequests       a key has asked as often as it may for now
├── KeyRefused            a key is needed, or the one that was given is not valid
└── AccessRefused         a foreign Host or Origin, an address that is not open, or a role too small
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from forecastle_sdk.errors import Problem


class PlatformError(Exception):
    """The root: a stable `reason` code, a message that says what to do next, and `problems` that say where."""

    code: ClassVar[str] = "platform-error"

    def __init__(self, message: str, *, code: str | None = None, problems: Iterable[Problem] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.reason = code or type(self).code
        self.problems = tuple(problems)


class SettingsError(PlatformError):
    """A setting cannot be understood, or asks for what this version does not do."""

    code = "settings-invalid"


class DuplicatePlugin(PlatformError):
    """Two distributions offer a plugin of the same name; one must be uninstalled."""

    code = "plugin-duplicate"


class PluginUnknown(PlatformError):
    """No plugin of that name is installed."""

    code = "plugin-not-found"


class PluginUnavailable(PlatformError):
    """The plugin that a model needs is not installed, or cannot be used."""

    code = "plugin-unavailable"


class GoldenMismatch(PlatformError):
    """A version was loaded, and its forecast is not the one recorded at training: it is not served."""

    code = "golden-mismatch"


class NothingReproduces(PlatformError):
    """Neither what is live nor what it would roll back to can be loaded; `cause` is the live version's own error."""

    code = "no-version-reproduces"

    def __init__(self, message: str, cause: Exception) -> None:
        super().__init__(message)
        self.cause = cause


class TargetRefused(PlatformError):
    """A version must not go live: it cannot be loaded, or does not reproduce its golden forecast."""

    code = "target-refused"


class NotAcceptable(PlatformError):
    """The client accepts none of the forms in which this answer can be had."""

    code = "not-acceptable"


class UnreadableTable(PlatformError):
    """A file is empty, binary, without a header, or of a kind that is not read here."""

    code = "file-unreadable"


class BackupRefused(PlatformError):
    """A file is not a backup, is damaged or of a later release, or is there already; nothing was changed."""

    code = "backup-refused"


class KeyRefused(PlatformError):
    """No key was given where one is needed, or the one that was given is unknown, expired or revoked."""

    code = "key-needed"


class AccessRefused(PlatformError):
    """The request comes from a page of another site, or under a foreign host name, or needs a key."""

    code = "access-refused"


class TooManyRequests(PlatformError):
    """A key, or an address, has asked as often as `limit` lets it; `retry_after` is in seconds."""

    code = "too-many-requests"

    def __init__(self, limit: str, retry_after: int) -> None:
        super().__init__(f"the limit of {limit} is reached; ask again in {retry_after} s")
        self.limit, self.retry_after = limit, retry_after


def pointer_to(*parts: object) -> str:
    """Return the JSON pointer (RFC 6901) to a place: its parts, in which a column's name may hold a slash."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
