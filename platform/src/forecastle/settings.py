"""Every setting, read once from the environment: its name, its default, and how its text is understood."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forecastle_sdk.errors import Problem

from .errors import SettingsError
from .rates import MEMORY, SCHEMES, limits_from

PREFIX = "FORECASTLE_"
SHOW_TRACEBACK = PREFIX + "TRACEBACK"  # for whoever reports a bug of the command line
UNITS = {"": 1, "B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KIB": 1024, "MIB": 1024**2, "GIB": 1024**3}


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings as values; `sources` tells where each came from, for `forecastle doctor`."""

    home: Path
    database_url: str
    signing_key_file: Path
    artifacts: str = "database"
    open: bool = False
    allow_pickle: bool = False
    max_horizon: int = 1000
    max_upload: int = 10 * 1000**2
    cache: int = 256
    compute: str = "loky"
    stale_for: float = 0.0
    max_artifact: int = 256 * 1000**2
    rate_limit: str | None = None
    rate_storage: str = MEMORY
    sources: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its field in `Settings`, how its text is parsed, its default as text, and one line of help."""

    field: str
    parse: Callable[[str], Any]
    default: str
    help: str

    @property
    def name(self) -> str:
        """The environment variable's name."""
        return PREFIX + self.field.upper()


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:  # pathlib's word for ~ of somebody who has no home
        raise ValueError("expected a folder or file whose ~ is somebody's home") from None


def _truth(text: str) -> bool:
    values = {
        "true": True,
        "1": True,
        "yes": True,
        "on": True,
        "false": False,
        "0": False,
        "no": False,
        "off": False,
    }
    if text.strip().lower() not in values:
        raise ValueError("expected true or false")
    return values[text.strip().lower()]


def _positive(text: str) -> int:
    if not re.fullmatch(r"0*[1-9]\d{0,17}", text.strip(), re.ASCII):
        raise ValueError("expected a whole number of at least 1")
    return int(text)


def _size(text: str) -> int:
    parts = re.fullmatch(r"\s*(\d{1,12}(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    size = int(float(parts[1]) * UNITS.get(parts[2].upper(), 0)) if parts else 0
    if size < 1:
        raise ValueError("expected a size such as 10 MB")
    return size


def _store(text: str) -> str:
    if text != "database" and not text.startswith(("file:///", "s3://")):
        raise ValueError("expected database, file:///folder or s3://bucket/prefix")
    return text


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\s*\d{1,9}(\.\d+)?\s*s?\s*", text, re.ASCII):
        raise ValueError("expected a number of seconds, as 60")
    return float(text.strip().rstrip("s"))


def _limits(text: str) -> str:
    limits_from(text)
    return text


def _rate_storage(text: str) -> str:
    if not text.startswith(SCHEMES):
        raise ValueError("expected memory:// or redis://host:6379")
    return text


def _only(allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text != allowed:
            raise ValueError(f"this version of Forecastle knows {allowed!r} only")
        return text

    return parse


SETTINGS = (
    Setting("home", _path, "~/.local/share/forecastle", "the folder of the SQLite file and the signing key"),
    Setting("database_url", str, "", "where the registry is; SQLite in the home unless given"),
    Setting("artifacts", _store, "database", "where artifacts are kept: database, file:///folder or s3://bucket/prefix"),
    Setting("max_artifact", _size, "256 MB", "the largest artifact, packed and unpacked"),
    Setting("open", _truth, "false", "true: no key is needed, because others cannot reach this address"),
    Setting("allow_pickle", _truth, "false", "true: plugins may store pickles, signed with this installation's key"),
    Setting(
        "signing_key_file",
        _path,
        "",
        "the key that seals the audit log and signs pickles; signing.key in the home unless given",
    ),
    Setting("max_horizon", _positive, "1000", "the largest horizon of a forecast"),
    Setting("max_upload", _size, "10 MB", "the largest request body"),
    Setting("cache", _positive, "256", "how many versions a process keeps loaded"),
    Setting("compute", _only("loky"), "loky", "what runs the fits of a training"),
    Setting("rate_limit", _limits, "", "requests that a key may make, as 100/minute; no limit unless given"),
    Setting("rate_storage", _rate_storage, MEMORY, "where requests are counted: memory:// for each process, or redis://host"),
    Setting("stale_for", _seconds, "0", "seconds that loaded versions answer while the database is unreachable"),
)


def settings_from(environ: Mapping[str, str]) -> Settings:
    """Read the settings from `environ` (as `os.environ`), where an empty variable is as none.

    Raises `SettingsError` that names the first wrong variable, with a problem for each.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    problems: list[Problem] = []
    for setting in SETTINGS:
        try:
            text, sources[setting.name] = text_of(setting, environ)
            values[setting.field] = _parsed(setting, text) if text else None
        except SettingsError as error:
            problems.append(Problem(f"/{setting.name}", error.message))
    if problems:
        raise SettingsError(problems[0].message, problems=problems)
    home = values["home"]
    values["database_url"] = values["database_url"] or f"sqlite:///{home / 'forecastle.db'}"
    values["signing_key_file"] = values["signing_key_file"] or home / "signing.key"
    return Settings(**values, sources=sources)


def text_of(setting: Setting, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return a setting's text and where it came from. Raises `SettingsError`."""
    from_file = setting.name + "_FILE"
    text, path = environ.get(setting.name), environ.get(from_file)
    if text and path:
        raise SettingsError(f"both {setting.name} and {from_file} are set; keep one")
    if not path:
        return (text, "environment") if text else (setting.default, "default")
    try:
        content = Path(path).read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SettingsError(f"{from_file} names {path!r}, which cannot be read: {reason}") from None
    if not content:
        raise SettingsError(f"{from_file} names {path!r}, which is empty; write the value there")
    return content, from_file


def _parsed(setting: Setting, text: str) -> Any:
    try:
        return setting.parse(text)
    except ValueError as error:
        raise SettingsError(f"{setting.name} is {text!r:.80}: {error}") from None


def unknown_settings(environ: Mapping[str, str]) -> list[str]:
    """Return the variables that begin like a setting and are none: most often a slip of the pen."""
    known = {SHOW_TRACEBACK} | {name for setting in SETTINGS for name in (setting.name, setting.name + "_FILE")}
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known and "_TEST_" not in name)
