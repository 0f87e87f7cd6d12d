"""Every setting, read once from the environment: its name, its default, and how its text is understood."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import SettingsError

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
    stale_for: str = "0"
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
    return Path(text).expanduser().absolute()


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
        "": False,
    }
    if text.strip().lower() not in values:
        raise ValueError("expected true or false")
    return values[text.strip().lower()]


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError("expected a whole number of at least 1")
    return number


def _size(text: str) -> int:
    parts = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if parts is None or parts[2].upper() not in UNITS:
        raise ValueError("expected a size such as 10 MB")
    return int(float(parts[1]) * UNITS[parts[2].upper()])


def _only(allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text != allowed:
            raise ValueError(f"this version of Forecastle knows {allowed!r} only")
        return text

    return parse


SETTINGS = (
    Setting("home", _path, "~/.local/share/forecastle", "the folder of the SQLite file and the signing key"),
    Setting("database_url", str, "", "where the registry is; SQLite in the home unless given"),
    Setting("artifacts", _only("database"), "database", "where artifacts are kept"),
    Setting("open", _truth, "false", "true: no key is needed, because others cannot reach this address"),
    Setting("allow_pickle", _truth, "false", "true: plugins may store pickles, signed with this installation's key"),
    Setting("signing_key_file", _path, "", "the key that signs pickles; signing.key in the home unless given"),
    Setting("max_horizon", _positive, "1000", "the largest horizon of a forecast"),
    Setting("max_upload", _size, "10 MB", "the largest request body"),
    Setting("cache", _positive, "256", "how many versions a process keeps loaded"),
    Setting("compute", _only("loky"), "loky", "where the fits of a training run"),
    Setting("stale_for", _only("0"), "0", "seconds that loaded versions answer while the database is unreachable"),
)


def settings_from(environ: Mapping[str, str]) -> Settings:
    """Read the settings from `environ` (as `os.environ`). Raises `SettingsError` that names the variable."""
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for setting in SETTINGS:
        text, sources[setting.name] = _text_of(setting, environ)
        try:
            values[setting.field] = setting.parse(text) if text else None
        except ValueError as error:
            raise SettingsError(f"{setting.name} is {text!r}: {error}") from None
    home = values["home"]
    values["database_url"] = values["database_url"] or f"sqlite:///{home / 'forecastle.db'}"
    values["signing_key_file"] = values["signing_key_file"] or home / "signing.key"
    return Settings(**values, sources=sources)


def _text_of(setting: Setting, environ: Mapping[str, str]) -> tuple[str, str]:
    from_file = setting.name + "_FILE"
    if setting.name in environ and from_file in environ:
        raise SettingsError(f"both {setting.name} and {from_file} are set; keep one")
    if from_file in environ:
        try:
            return Path(environ[from_file]).read_text().strip(), from_file
        except OSError as error:
            raise SettingsError(f"{from_file} names {environ[from_file]!r}, which cannot be read: {error.strerror}") from None
    if setting.name in environ:
        return environ[setting.name], "environment"
    return setting.default, "default"


def unknown_settings(environ: Mapping[str, str]) -> list[str]:
    """Return the variables that begin like a setting and are none: most often a slip of the pen."""
    known = {SHOW_TRACEBACK} | {name for setting in SETTINGS for name in (setting.name, setting.name + "_FILE")}
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known and "_TEST_" not in name)
