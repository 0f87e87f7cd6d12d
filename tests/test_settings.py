"""The settings: every one of the table, in every spelling, with where it came from."""

from pathlib import Path
from typing import Any

import pytest

from forecastle.errors import SettingsError
from forecastle.settings import SETTINGS, settings_from, unknown_settings

DEFAULTS: dict[str, Any] = {
    "artifacts": "database",
    "open": False,
    "allow_pickle": False,
    "max_horizon": 1000,
    "max_upload": 10_000_000,
    "cache": 256,
    "compute": "loky",
    "stale_for": 0.0,
    "max_artifact": 256_000_000,
    "rate_limit": None,
    "rate_storage": "memory://",
}
OTHERS = {
    "home": "/srv/forecastle",
    "database_url": "postgresql+psycopg://me@db/forecastle",
    "artifacts": "s3://bucket/prefix",
    "open": "true",
    "allow_pickle": "true",
    "signing_key_file": "/run/key",
    "max_horizon": "24",
    "max_upload": "1 MB",
    "cache": "2",
    "compute": "loky",
    "stale_for": "60",
    "max_artifact": "1 MB",
    "rate_limit": "100/minute",
    "rate_storage": "redis://127.0.0.1",
}


def test_the_table_of_settings_is_whole() -> None:
    assert {setting.field for setting in SETTINGS} == OTHERS.keys()
    assert all(setting.help for setting in SETTINGS)


@pytest.mark.parametrize("field", DEFAULTS)
def test_a_setting_that_is_not_given_has_its_default(field: str) -> None:
    settings = settings_from({})
    assert getattr(settings, field) == DEFAULTS[field]
    assert settings.sources[f"FORECASTLE_{field.upper()}"] == "default"


def test_the_home_is_where_data_of_a_user_belongs() -> None:
    settings = settings_from({})
    home = Path.home() / ".local/share/forecastle"
    assert settings.home == home
    assert settings.database_url == f"sqlite:///{home}/forecastle.db"
    assert settings.signing_key_file == home / "signing.key"


def test_database_and_key_move_with_the_home(tmp_path: Path) -> None:
    settings = settings_from({"FORECASTLE_HOME": str(tmp_path)})
    assert settings.database_url == f"sqlite:///{tmp_path}/forecastle.db"
    assert settings.signing_key_file == tmp_path / "signing.key"


def test_a_relative_home_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert settings_from({"FORECASTLE_HOME": "var"}).home == tmp_path / "var"


@pytest.mark.parametrize("field", OTHERS)
def test_every_setting_is_read_from_its_variable(field: str) -> None:
    name = f"FORECASTLE_{field.upper()}"
    settings = settings_from({name: OTHERS[field]})
    assert settings.sources[name] == "environment"
    assert getattr(settings, field) == parsed(field)


@pytest.mark.parametrize("field", OTHERS)
def test_every_setting_is_read_from_the_file_that_another_variable_names(field: str, tmp_path: Path) -> None:
    name = f"FORECASTLE_{field.upper()}"
    path = tmp_path / "secret"
    path.write_text(OTHERS[field] + "\n")
    settings = settings_from({f"{name}_FILE": str(path)})
    assert settings.sources[name] == f"{name}_FILE"
    assert getattr(settings, field) == parsed(field)


def parsed(field: str) -> Any:
    values: dict[str, Any] = {
        "home": Path("/srv/forecastle"),
        "open": True,
        "allow_pickle": True,
        "signing_key_file": Path("/run/key"),
        "max_horizon": 24,
        "max_upload": 1_000_000,
        "cache": 2,
        "stale_for": 60.0,
        "max_artifact": 1_000_000,
    }
    return values.get(field, OTHERS[field])


@pytest.mark.parametrize("field", OTHERS)
def test_both_a_value_and_its_file_are_one_too_many(field: str, tmp_path: Path) -> None:
    name = f"FORECASTLE_{field.upper()}"
    with pytest.raises(SettingsError, match=f"both {name} and {name}_FILE are set; keep one"):
        settings_from({name: OTHERS[field], f"{name}_FILE": str(tmp_path / "secret")})


@pytest.mark.parametrize("field", OTHERS)
def test_an_empty_variable_is_as_none(field: str) -> None:
    name = f"FORECASTLE_{field.upper()}"
    settings = settings_from({name: "", f"{name}_FILE": ""})
    assert getattr(settings, field) == getattr(settings_from({}), field)
    assert settings.sources[name] == "default"


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("1000", 1000), ("10MB", 10**7), ("10 MB", 10**7), ("1.5 mb", 1_500_000), ("2KiB", 2048), ("1 GiB", 2**30)],
)
def test_sizes_are_written_as_people_do(text: str, size: int) -> None:
    assert settings_from({"FORECASTLE_MAX_UPLOAD": text}).max_upload == size


@pytest.mark.parametrize("text", ["true", "TRUE", "1", "yes", "on"])
def test_these_mean_true(text: str) -> None:
    assert settings_from({"FORECASTLE_OPEN": text}).open is True


@pytest.mark.parametrize("text", ["false", "False", "0", "no", "off"])
def test_these_mean_false(text: str) -> None:
    assert settings_from({"FORECASTLE_OPEN": text}).open is False


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("OPEN", "perhaps", "true or false"),
        ("ALLOW_PICKLE", "y e s", "true or false"),
        ("MAX_HORIZON", "0", "a whole number of at least 1"),
        ("MAX_HORIZON", "ten", "a whole number of at least 1"),
        ("MAX_HORIZON", "1.5", "a whole number of at least 1"),
        ("CACHE", "-1", "a whole number of at least 1"),
        ("CACHE", "9" * 5000, "a whole number of at least 1"),
        ("MAX_UPLOAD", "big", "a size such as 10 MB"),
        ("MAX_UPLOAD", "0", "a size such as 10 MB"),
        ("MAX_UPLOAD", "10 XB", "a size such as 10 MB"),
        ("MAX_UPLOAD", "9" * 500, "a size such as 10 MB"),
        ("COMPUTE", "dask://host:8786", "'loky' only"),
        ("HOME", "~nobody-has-this-name/x", "somebody's home"),
    ],
)
def test_a_value_that_is_not_understood_is_named_with_what_was_expected(name: str, text: str, expected: str) -> None:
    with pytest.raises(SettingsError, match=f"^FORECASTLE_{name} is '.*{expected}"):
        settings_from({f"FORECASTLE_{name}": text})


def test_every_wrong_setting_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        settings_from({"FORECASTLE_OPEN": "perhaps", "FORECASTLE_CACHE": "none", "FORECASTLE_HOME": "/srv"})
    assert [problem.pointer for problem in refused.value.problems] == ["/FORECASTLE_OPEN", "/FORECASTLE_CACHE"]


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file"), (b"\xff\xfe\x00", "it is no text"), (b" \n", "is empty")]
)
def test_a_file_that_cannot_be_read_is_named(content: bytes | None, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=f"FORECASTLE_DATABASE_URL_FILE names '{path}', which .*{reason}"):
        settings_from({"FORECASTLE_DATABASE_URL_FILE": str(path)})


def test_what_begins_like_a_setting_and_is_none_is_told() -> None:
    environ = {"FORECASTLE_HOEM": "x", "FORECASTLE_OPEN": "true", "FORECASTLE_CACHE_FILE": "f", "FORECASTLE_TRACEBACK": "1"}
    assert unknown_settings({**environ, "FORECASTLE_TEST_EVERYTHING": "1", "PATH": "/bin"}) == ["FORECASTLE_HOEM"]
