"""A backup is one file, taken while serving, from which a new installation starts; a file that is none changes nothing."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy import Engine

from forecastle.backups import Restored, back_up, restore_backup
from forecastle.copying import opened
from forecastle.database import expected_revision, open_database
from forecastle.errors import BackupRefused, PlatformError
from forecastle.http import create_app
from forecastle.http.services import EXTENSION
from forecastle.plugins import Catalogue
from forecastle.settings import Settings, settings_from
from forecastle.unfinished import LOCK, PREFIX
from forecastle_registry.actors import Actor
from forecastle_registry.aliases import get_alias, promote_version, roll_back
from forecastle_registry.copying import check_empty
from forecastle_registry.engine import current_revision, reading, writing
from forecastle_registry.errors import ArtifactError, DatabaseAhead, DatabaseNotEmpty, ModelNotFound, SigningKeyUnusable
from forecastle_registry.events import list_events
from forecastle_registry.heads import HEADS_FILE, read_heads
from forecastle_registry.signing import signing_key
from forecastle_registry.tables import artifacts
from forecastle_registry.verifying import verify_events
from forecastle_registry.versions import Registered, list_versions
from registry.tests.dying import Mortals
from tests.naive import EXOG_OF_THREE, monthly_sales, train_naive

ME = Actor("me", "a test")
BODY = {"horizon": 3, "exog": EXOG_OF_THREE}


def quiet(done: int, total: int, what: str) -> None:
    """Report nothing."""


def backed_up(settings: Settings, engine: Engine, path: Path, **options: Any) -> Any:
    return back_up(settings, engine, path, actor=ME, progress=quiet, **options)


def restored(settings: Settings, path: Path, **options: Any) -> Restored:
    return restore_backup(settings, path, actor=ME, progress=quiet, **options)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "forecastle.backup"


@pytest.fixture
def moved(train: Callable[..., Registered], engine: Engine) -> Engine:
    """A registry with three versions of `sales`, the second live after a rollback, and one of `other`."""
    for shift in (0, 1, 2):
        train(data=monthly_sales(shift=shift), promote=True)
    train("other", promote=True)
    roll_back(engine, "sales", reason="at night")
    return engine


@pytest.fixture
def backup(settings: Settings, moved: Engine, file: Path) -> Path:
    """A backup of it."""
    backed_up(settings, moved, file)
    return file


@pytest.fixture
def elsewhere(tmp_path: Path) -> Settings:
    """The settings of a machine where nothing is yet."""
    return settings_from({"FORECASTLE_HOME": str(tmp_path / "elsewhere")})


@pytest.fixture
def answers(catalogue: Catalogue) -> Iterator[Callable[[Settings], list[bytes]]]:
    """Ask an installation all that a backup must keep: the forecasts of each version, and what is live."""
    apps = []

    def ask(settings: Settings) -> list[bytes]:
        app = create_app(settings, loopback=True, plugins=catalogue)
        apps.append(app)
        client: FlaskClient = app.test_client()
        found = [client.post("/models/sales/forecast", json=BODY), client.post("/models/other/forecast", json=BODY)]
        found += [client.post(f"/models/sales/versions/{number}/forecast", json=BODY) for number in (1, 2, 3)]
        found += [client.get(address) for address in ("/models", "/models/sales/versions", "/models/sales/versions/2")]
        assert [answer.status_code for answer in found] == [200] * len(found)
        return [answer.data for answer in found]

    yield ask
    for app in apps:
        app.extensions[EXTENSION].engine.dispose()


def is_untouched(settings: Settings) -> bool:
    return not settings.home.exists() or not any(settings.home.iterdir())


def test_a_new_machine_serves_the_same_bytes_from_a_backup(
    settings: Settings, backup: Path, elsewhere: Settings, answers: Callable[[Settings], list[bytes]]
) -> None:
    log = restored(elsewhere, backup).log
    assert log is not None
    assert not log.findings
    assert answers(elsewhere) == answers(settings)


def test_the_log_of_a_restored_installation_goes_on_under_the_same_key(backup: Path, elsewhere: Settings) -> None:
    restored(elsewhere, backup)
    engine = open_database(elsewhere)
    promote_version(engine, "sales", 3, actor=ME)
    heads = read_heads(elsewhere.home / HEADS_FILE).heads
    log = verify_events(engine, signing_key(elsewhere.signing_key_file), heads)
    assert not log.findings
    assert [event.what for event in list_events(engine).items][:3] == ["promote", "restore-backup", "rollback"]
    engine.dispose()


def test_a_backup_says_what_it_is_of_and_is_its_owners_only(settings: Settings, moved: Engine, file: Path) -> None:
    manifest = backed_up(settings, moved, file)
    assert (file.stat().st_mode & 0o777) == 0o600
    with zipfile.ZipFile(file) as archive:
        document = json.loads(archive.read("manifest.json"))
        for name, member in document["members"].items():
            assert member == {"size": len(archive.read(name)), "sha256": hashlib.sha256(archive.read(name)).hexdigest()}
        assert (
            set(archive.namelist())
            == {"manifest.json", *document["members"]}
            == {"manifest.json", "registry.db", "signing.key"}
        )
    assert document["rows"] == manifest.rows
    assert (document["format"], document["revision"], document["rows"]["versions"]) == (1, expected_revision(), 4)
    assert [path.name for path in file.parent.iterdir() if "backup" in path.name] == [file.name]


def test_a_backup_keeps_the_head_of_the_log_and_is_an_event(settings: Settings, moved: Engine, file: Path) -> None:
    last = list_events(moved).items[0]
    manifest = backed_up(settings, moved, file)
    assert manifest.head.id == last.id
    assert read_heads(settings.home / HEADS_FILE).heads == (manifest.head,)
    event = list_events(moved).items[0]
    assert (event.what, event.who, event.details["file"], event.details["head"]["id"]) == ("backup", "me", file.name, last.id)


def test_a_backup_replaces_no_file_unless_forced(settings: Settings, moved: Engine, file: Path) -> None:
    file.write_text("precious")
    with pytest.raises(BackupRefused, match=r"is there already; .*--force"):
        backed_up(settings, moved, file)
    assert file.read_text() == "precious"
    backed_up(settings, moved, file, force=True)
    assert zipfile.is_zipfile(file)


def test_a_backup_replaces_nothing_that_is_no_file_even_if_forced(settings: Settings, moved: Engine, tmp_path: Path) -> None:
    device = tmp_path / "device"
    os.mkfifo(device)
    for path in (device, tmp_path):
        with pytest.raises(BackupRefused, match="is no file"):
            backed_up(settings, moved, path, force=True)
    assert device.is_fifo()


def test_a_backup_into_a_folder_that_is_not_there_says_so(settings: Settings, moved: Engine, tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match=r"cannot be written: .*No such file or directory"):
        backed_up(settings, moved, tmp_path / "no" / "such" / "file")
    assert list_events(moved).items[0].what == "rollback"


def test_a_backup_in_the_middle_of_work_is_whole_and_disturbs_nobody(
    settings: Settings, moved: Engine, elsewhere: Settings, catalogue: Catalogue, file: Path
) -> None:
    done, failures = threading.Event(), list[object]()
    app = create_app(settings, loopback=True, plugins=catalogue)

    def work(step: Callable[[int], object]) -> None:
        for i in range(10**6):
            if done.is_set():
                return
            try:
                step(i)
            except Exception as error:  # noqa: BLE001  whatever it is, the test reports it
                failures.append(error)
                return

    def ask(i: int) -> None:
        answer = app.test_client().post("/models/sales/forecast", json=BODY)
        assert answer.status_code == 200, answer.data

    steps: list[Callable[[int], object]] = [
        ask,
        lambda i: train_naive(moved, settings, data=monthly_sales(shift=3 + i), promote=i % 2 == 0),
        lambda i: promote_version(moved, "other" if i % 2 else "sales", 1, actor=ME, alias=f"a{i}"),
    ]
    threads = [threading.Thread(target=work, args=(step,)) for step in steps]
    for thread in threads:
        thread.start()
    try:
        manifests = [backed_up(settings, moved, file, force=True) for _ in range(5)]
    finally:
        done.set()
        for thread in threads:
            thread.join()
    app.extensions[EXTENSION].engine.dispose()
    assert not failures
    assert (
        manifests[0].rows["versions"] < manifests[-1].rows["versions"] < len(list_versions(moved, "sales", limit=500).items) + 1
    )
    log = restored(elsewhere, file).log
    assert log is not None
    assert not log.findings
    engine = open_database(elsewhere)
    assert get_alias(engine, "sales").stack[-1] <= manifests[-1].rows["versions"]
    engine.dispose()


@pytest.mark.parametrize(("kept_in", "restored_to"), [("file", "database"), ("database", "file"), ("file", "file")])
def test_a_backup_has_the_artifacts_of_any_store_and_restores_to_any(
    settings: Settings,
    tmp_path: Path,
    elsewhere: Settings,
    catalogue: Catalogue,
    file: Path,
    kept_in: str,
    restored_to: str,
    answers: Callable[[Settings], list[bytes]],
) -> None:
    def in_store(settings: Settings, kind: str, name: str) -> Settings:
        (tmp_path / name).mkdir()
        return settings if kind == "database" else replace(settings, artifacts=f"file://{tmp_path / name}")

    settings = in_store(settings, kept_in, "store-a")
    elsewhere = in_store(elsewhere, restored_to, "store-b")
    engine = open_database(settings)
    for shift in (0, 1, 2):
        train_naive(engine, settings, data=monthly_sales(shift=shift), promote=True)
    train_naive(engine, settings, "other", promote=True)
    assert backed_up(settings, engine, file).rows["artifacts"] == 4 - 1  # `other` is fitted to the first data
    expected = answers(settings)
    engine.dispose()
    restored(elsewhere, file)
    assert answers(elsewhere) == expected
    target = open_database(elsewhere)
    with reading(target) as connection:
        in_rows = connection.execute(sa.select(artifacts.c.content.is_not(None))).scalars().all()
    assert set(in_rows) == {restored_to == "database"}
    target.dispose()


def test_a_damaged_artifact_stops_a_backup_unless_it_may_be_left_out(
    settings: Settings, moved: Engine, elsewhere: Settings, file: Path
) -> None:
    with writing(moved) as connection:
        digest = connection.execute(sa.select(artifacts.c.digest).order_by(artifacts.c.digest)).scalars().first()
        connection.execute(artifacts.update().where(artifacts.c.digest == digest).values(content=b"damaged"))
    with pytest.raises(ArtifactError, match=r"--skip-damaged"):
        backed_up(settings, moved, file)
    assert not file.exists()
    assert backed_up(settings, moved, file, skip_damaged=True).left_out == (digest,)
    assert restored(elsewhere, file).manifest.left_out == (digest,)


@pytest.mark.on_sqlite
def test_without_its_key_a_backup_is_restored_only_where_the_key_is_or_is_lost(
    settings: Settings, moved: Engine, elsewhere: Settings, file: Path
) -> None:
    assert "signing.key" not in backed_up(settings, moved, file, with_key=False).members
    with pytest.raises(SigningKeyUnusable, match=r"bring the installation's to .*--without-key"):
        restored(elsewhere, file)
    assert not elsewhere.signing_key_file.exists()
    assert restored(elsewhere, file, without_key=True).log is None
    with opened(elsewhere) as engine:
        assert [event.what for event in list_events(engine, limit=2).items] == ["restore-backup", "seal"]
    third = settings_from({"FORECASTLE_HOME": str(elsewhere.home.with_name("third"))})
    third.home.mkdir()
    third.signing_key_file.write_bytes(settings.signing_key_file.read_bytes())
    log = restored(third, file).log
    assert log is not None
    assert not log.findings


def test_another_key_than_that_of_the_backup_is_not_replaced(backup: Path, elsewhere: Settings) -> None:
    elsewhere.home.mkdir()
    elsewhere.signing_key_file.write_bytes(b"another key, of at least thirty-two bytes")
    with pytest.raises(SigningKeyUnusable, match="another signing key than the backup"):
        restored(elsewhere, backup)
    assert elsewhere.signing_key_file.read_bytes().startswith(b"another")


def test_a_restored_key_is_its_owners_only(settings: Settings, backup: Path, elsewhere: Settings) -> None:
    restored(elsewhere, backup)
    assert elsewhere.signing_key_file.read_bytes() == settings.signing_key_file.read_bytes()
    assert (elsewhere.signing_key_file.stat().st_mode & 0o777) == 0o600


def test_an_installation_that_holds_something_is_not_restored_over(settings: Settings, backup: Path, moved: Engine) -> None:
    before = list_events(moved).items
    with pytest.raises(DatabaseNotEmpty, match="versions 4"):
        restored(settings, backup)
    assert list_events(moved).items == before


def test_a_backup_of_the_release_before_is_brought_up_to_date(
    settings: Settings, backup: Path, elsewhere: Settings, answers: Callable[[Settings], list[bytes]], tmp_path: Path
) -> None:
    earlier = rewritten(backup, tmp_path / "earlier", database=downgrade)
    log = restored(elsewhere, earlier).log
    assert log is not None
    assert answers(elsewhere) == answers(settings)


# The jobs of processes that are killed.


@pytest.fixture
def litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let those who are killed leave what they have unpacked in a folder of this test."""
    folder = tmp_path / "litter"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def restore_there(home: str, file: str) -> None:
    restored(settings_from({"FORECASTLE_HOME": home}), Path(file))


def back_up_there(home: str, file: str) -> None:
    settings = settings_from({"FORECASTLE_HOME": home})
    engine = open_database(settings)
    backed_up(settings, engine, Path(file), force=True)
    engine.dispose()


def test_a_restore_that_is_killed_leaves_nothing_or_all_and_can_be_run_again(
    backup: Path, elsewhere: Settings, litter: Path
) -> None:
    deaths = 0
    with Mortals("tests.test_backups:restore_there", elsewhere.home) as mortals:
        for step in count(1, 3):
            died = mortals.kill_at(step, home=str(elsewhere.home), file=str(backup))
            engine = open_database(elsewhere)
            numbers = versions_in(engine)
            engine.dispose()
            assert numbers in ([], [3, 2, 1])
            if numbers:
                break
            assert died
            assert [(path / "signing.key").exists() for path in litter.iterdir()] == [True]  # of the last one only
            deaths += 1
        assert not mortals.kill_at(10**9, home=str(elsewhere.home / "another"), file=str(backup))
    assert deaths > 8
    assert not holding(litter)
    engine = open_database(elsewhere)
    assert not verify_events(engine, signing_key(elsewhere.signing_key_file)).findings
    engine.dispose()


def holding(parent: Path) -> set[Path]:
    """Return the folders that killed processes left and that hold something; a death on the way to the lock leaves none."""
    return {path.parent for path in parent.glob(f"{PREFIX}*/*") if not path.name.startswith(LOCK)}


def versions_in(engine: Engine) -> list[int]:
    if current_revision(engine) is None:
        return []
    try:
        return [version.number for version in list_versions(engine, "sales").items]
    except ModelNotFound:
        check_empty(engine)
        return []


@pytest.mark.on_sqlite
def test_a_backup_that_is_killed_leaves_the_one_that_was_there_or_is_whole(
    settings: Settings, backup: Path, elsewhere: Settings, litter: Path
) -> None:
    before, deaths = backup.read_bytes(), 0
    with Mortals("tests.test_backups:back_up_there", backup.parent) as mortals:
        for step in count(1):
            if not mortals.kill_at(step, home=str(settings.home), file=str(backup)):
                break
            deaths += 1
            with zipfile.ZipFile(backup) as archive:
                assert archive.testzip() is None
            assert len(holding(litter)) <= 1  # of the last one only
            assert len(holding(backup.parent)) <= 1
            if backup.read_bytes() != before:
                break
        assert not mortals.kill_at(10**9, home=str(settings.home), file=str(backup))
    assert deaths > 20
    assert not [*holding(litter), *holding(backup.parent)]
    assert not restored(elsewhere, backup).manifest.left_out


# What somebody may bring instead of a backup. Each edits the members; digests and manifest then fit, unless it is about them.


def rewritten(
    backup: Path,
    target: Path,
    *,
    database: Callable[[Path], object] | None = None,
    manifest: Callable[[dict[str, Any]], object] = lambda document: None,
    members: Callable[[dict[str, bytes]], object] = lambda contents: None,
    compression: int = zipfile.ZIP_STORED,
) -> Path:
    """Write another file from a backup's members."""
    with zipfile.ZipFile(backup) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    document = json.loads(contents.pop("manifest.json"))
    if database is not None:
        scratch = target.with_suffix(".db")
        scratch.write_bytes(contents["registry.db"])
        document["revision"] = database(scratch) or document["revision"]
        contents["registry.db"] = scratch.read_bytes()
        contents_now = {name: {"size": len(c), "sha256": hashlib.sha256(c).hexdigest()} for name, c in contents.items()}
        document["members"] = contents_now
    manifest(document)
    members(contents)
    with zipfile.ZipFile(target, "w", compression) as archive:
        archive.writestr("manifest.json", json.dumps(document))
        for name, content in contents.items():
            archive.writestr(name, content)
    return target


def sql(*statements: str) -> Callable[[Path], None]:
    def run(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()
            connection.execute("PRAGMA journal_mode = DELETE")

    return run


def downgrade(path: Path) -> str:
    """Bring a database to the revision of the release before."""
    from alembic import command
    from alembic.config import Config

    engine = open_database(settings_from({"FORECASTLE_DATABASE_URL": f"sqlite:///{path}"}))
    config = Config()
    config.set_main_option("script_location", "forecastle_migrations:")
    config.attributes["engine"] = engine
    command.downgrade(config, "0002")
    engine.dispose()
    return "0002"


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def flip_artifact(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        (digest, content) = connection.execute("SELECT digest, content FROM artifacts").fetchone()
        connection.execute("UPDATE artifacts SET content = ? WHERE digest = ?", (flipped(content, 9), digest))
        connection.commit()


def without_names(document: dict[str, Any]) -> None:
    document["members"]["../../escaped"] = document["members"]["signing.key"]


HOSTILE: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "no zip file": (lambda backup, bad: bad.write_bytes(b"nothing of that kind" * 99), "no backup at all"),
    "an empty file": (lambda backup, bad: bad.write_bytes(b""), "no backup at all"),
    "another zip file": (
        lambda backup, bad: rewritten(backup, bad, members=lambda c: (c.clear(), c.update(a=b"b"))), "which no backup does"
    ),
    "a truncated file": (lambda backup, bad: bad.write_bytes(backup.read_bytes()[:-4000]), "no backup at all"),
    "a byte that was flipped": (lambda backup, bad: bad.write_bytes(flipped(backup.read_bytes(), 9000)), "damaged"),
    "an edited database": (
        lambda backup, bad: rewritten(backup, bad, members=lambda c: c.update({"registry.db": flipped(c["registry.db"], 99)})),
        "not the one that its manifest",
    ),
    "a name that leads elsewhere": (
        lambda backup, bad: rewritten(backup, bad, members=lambda c: c.update({"../../escaped": b"x"}), manifest=without_names),
        "which no backup does",
    ),
    "an absolute name": (
        lambda backup, bad: rewritten(backup, bad, members=lambda c: c.update({"/tmp/escaped": b"x"})), "which no backup does"
    ),
    "a compressed member": (lambda backup, bad: rewritten(backup, bad, compression=zipfile.ZIP_DEFLATED), "compressed"),
    "no manifest": (lambda backup, bad: only(bad, "registry.db"), "no backup"),
    "a manifest that is a list": (lambda backup, bad: only(bad, "registry.db", b"[]"), "not understood"),
    "a manifest that nests deeply": (lambda backup, bad: only(bad, "registry.db", b"[" * 10**5), "not understood"),
    "a manifest without end": (lambda backup, bad: only(bad, "registry.db", b" " * (2**22 + 1)), "has 4,194,305 bytes"),
    "a manifest of another kind": (
        lambda backup, bad: rewritten(backup, bad, manifest=lambda d: d.update(rows={"models": "many"})), "not understood"
    ),
    "a member that the manifest does not know": (
        lambda backup, bad: rewritten(backup, bad, manifest=lambda d: d["members"].pop("signing.key")), "other members"
    ),
    "a format of a later release": (lambda backup, bad: rewritten(backup, bad, manifest=lambda d: d.update(format=2)), "later"),
    "a database of another revision": (
        lambda backup, bad: rewritten(backup, bad, manifest=lambda d: d.update(revision="0001")), "not at the revision"
    ),
    "a database that is none": (
        lambda backup, bad: rewritten(backup, bad, database=lambda path: path.write_bytes(b"no") and None), "damaged"
    ),
    "a database with a trigger": (
        lambda backup, bad: rewritten(
            backup, bad, database=sql("CREATE TRIGGER t AFTER INSERT ON models BEGIN DELETE FROM events; END")
        ),
        "it has the trigger",
    ),
    "a view for a table": (
        lambda backup, bad: rewritten(
            backup, bad, database=sql("DROP TABLE keys", "CREATE VIEW keys AS SELECT randomblob(9) AS prefix")
        ),
        "it has the view",
    ),
    "an artifact with another's bytes": (lambda backup, bad: rewritten(backup, bad, database=flip_artifact), "SHA-256"),
    "an artifact that is not there": (
        lambda backup, bad: rewritten(backup, bad, database=sql("UPDATE artifacts SET content = NULL")), "is not in it"
    ),
}  # fmt: skip


def only(path: Path, name: str, manifest: bytes | None = None) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, b"")
        if manifest is not None:
            archive.writestr("manifest.json", manifest)


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_no_whole_backup_changes_nothing(backup: Path, elsewhere: Settings, tmp_path: Path, what: str) -> None:
    make, reason = HOSTILE[what]
    bad = tmp_path / "bad"
    make(backup, bad)
    with pytest.raises(BackupRefused, match=reason):
        restored(elsewhere, bad)
    assert is_untouched(elsewhere)
    assert not list(tmp_path.rglob("escaped"))


def test_a_zip_that_names_a_member_twice_is_refused(backup: Path, elsewhere: Settings, tmp_path: Path) -> None:
    bad = rewritten(backup, tmp_path / "bad")
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(bad, "a") as archive:
        archive.writestr("signing.key", b"another")
    with pytest.raises(BackupRefused, match="or twice"):
        restored(elsewhere, bad)
    assert is_untouched(elsewhere)


def test_a_backup_of_a_later_release_is_left_alone(backup: Path, elsewhere: Settings, tmp_path: Path) -> None:
    def later(path: Path) -> str:
        sql("UPDATE alembic_version SET version_num = '9999'")(path)
        return "9999"

    bad = rewritten(backup, tmp_path / "bad", database=later)
    with pytest.raises(DatabaseAhead, match="revision 9999"):
        restored(elsewhere, bad)
    assert is_untouched(elsewhere)
