"""The audit log by HTTP and at the command line: it is read, filtered and verified, and nothing there changes it."""

import ast
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import flask
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy import Engine

from forecastle.moments import moment_from
from forecastle_registry.aliases import promote_version, roll_back
from forecastle_registry.archiving import delete_version
from forecastle_registry.engine import writing
from forecastle_registry.events import WHAT, list_events
from forecastle_registry.heads import HEADS_FILE, append_head, export_head
from forecastle_registry.tables import alias_stack, versions
from forecastle_registry.versions import Registered
from tests.command_line import ROOT, CommandLine
from tests.problems import problem_of, words_of

LOG = "/admin/events"
OF_SALES = "/admin/models/sales/events"
VERSIONS = "/models/sales/versions"


@pytest.fixture
def moves(engine: Engine, train: Callable[..., Registered]) -> list[datetime]:
    """Versions 1 and 2 of `sales` and one of `other`; the times of: promote 1, promote 2, rollback to 1."""
    train()
    train()
    train("other")
    promote_version(engine, "sales", 2, reason="better")
    roll_back(engine, "sales")
    return [event.at for event in reversed(list_events(engine, "sales").items) if event.what != "register"]


def listed(client: FlaskClient, address: str, **query: Any) -> list[tuple[str, str, int]]:
    answer = client.get(address, query_string=query)
    assert answer.status_code == 200, answer.text
    return [(event["what"], event["model"], event["version"]) for event in answer.get_json()["items"]]


def iso(moment: datetime) -> str:
    return moment.isoformat()


EVERYTHING = [
    ("rollback", "sales", 1),
    ("promote", "sales", 2),
    ("promote", "other", 1),
    ("register", "other", 1),
    ("register", "sales", 2),
    ("promote", "sales", 1),
    ("register", "sales", 1),
]


def test_the_log_is_listed_newest_first(client: FlaskClient, moves: list[datetime]) -> None:
    assert listed(client, LOG) == EVERYTHING
    assert listed(client, OF_SALES) == [event for event in EVERYTHING if event[1] == "sales"]


def test_a_line_says_who_what_when_from_where_and_why(client: FlaskClient, moves: list[datetime]) -> None:
    client.post("/admin/models/sales/promote", json={"version": 2, "reason": "better"})
    event = client.get(OF_SALES).get_json()["items"][0]
    told = {name: event[name] for name in ("who", "origin", "what", "model", "version", "alias", "reason")}
    assert told == {
        "who": "open",
        "origin": "127.0.0.1",
        "what": "promote",
        "model": "sales",
        "version": 2,
        "alias": "production",
        "reason": "better",
    }
    assert event["details"]["previous"] == 1
    assert moves[-1] < datetime.fromisoformat(event["at"]) <= datetime.now(UTC)


def test_the_log_is_filtered(client: FlaskClient, moves: list[datetime]) -> None:
    assert listed(client, LOG, what="rollback") == [("rollback", "sales", 1)]
    assert listed(client, LOG, version=2) == [("promote", "sales", 2), ("register", "sales", 2)]
    assert listed(client, LOG, alias="production", what="promote") == [e for e in EVERYTHING if e[0] == "promote"]
    assert listed(client, OF_SALES, who="nobody") == []
    assert listed(client, OF_SALES, since=iso(moves[1])) == EVERYTHING[:2]
    assert listed(client, OF_SALES, since=iso(moves[1]), until=iso(moves[2])) == [("promote", "sales", 2)]
    assert listed(client, LOG, until="2020-01-01") == []


def test_the_time_of_a_line_can_be_given_back(client: FlaskClient, moves: list[datetime]) -> None:
    at = client.get(OF_SALES).get_json()["items"][0]["at"]
    assert listed(client, OF_SALES, since=at) == [("rollback", "sales", 1)]


def test_the_log_is_paged(client: FlaskClient, moves: list[datetime]) -> None:
    found, after = [], None
    while True:
        query = {"limit": 3} | ({} if after is None else {"after": after})
        page = client.get(LOG, query_string=query).get_json()
        found += [(event["what"], event["model"], event["version"]) for event in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert found == EVERYTHING


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("model=sales", ["/model"]),
        ("what=nonsense", ["/what", "promote"]),
        ("what=promote&what=rollback", ["/what", "twice"]),
        ("since=yesterday", ["/since", "yesterday", "2026-05-03T12:00:00Z"]),
        ("since=2026-05-03T12:00:00", ["/since", "no zone"]),
        ("until=0001-01-01T00:00:00%2B14:00", ["/until", "all years"]),
        ("version=0", ["/version"]),
        ("version=99999999999", ["/version"]),
        ("alias=a%20b", ["/alias"]),
        ("who=%00", ["/who", "NUL"]),
        ("after=x", ["after"]),
        ("after=99999999999999", ["after"]),
        ("limit=0", ["/limit"]),
        ("limit=501", ["/limit"]),
        ("since=", ["/since"]),
    ],
)
def test_a_query_that_is_not_understood_is_refused(
    client: FlaskClient, moves: list[datetime], query: str, words: list[str]
) -> None:
    for address in (LOG, OF_SALES):
        document = problem_of(
            client.get(f"{address}?{query}"), 422, "parameter-doubled" if "twice" in words else "request-invalid"
        )
        assert all(word in words_of(document) for word in words), words_of(document)


def test_the_log_of_an_unknown_model_is_404(client: FlaskClient, moves: list[datetime]) -> None:
    for model in ("unknown", "a b", "%00", "x" * 101):
        problem_of(client.get(f"/admin/models/{model}/events"), 404, "model-not-found")


def test_no_method_but_get_is_known_there(client: FlaskClient, moves: list[datetime]) -> None:
    for address in (LOG, OF_SALES):
        for method in ("post", "put", "patch", "delete"):
            problem_of(getattr(client, method)(address), 405, "method-not-allowed")


def test_every_event_that_is_written_can_be_asked_for() -> None:
    sources = [path.read_text() for folder in ("registry", "platform") for path in (ROOT / folder / "src").rglob("*.py")]
    calls = [node for text in sources for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    logged = [call.args[2] for call in calls if getattr(call.func, "id", "") == "log_event"]
    written = {word.value for word in logged if isinstance(word, ast.Constant)}
    assert len(written) > 10
    assert written <= set(WHAT)


def live(client: FlaskClient, moment: str) -> list[tuple[int, list[str]]]:
    answer = client.get(VERSIONS, query_string={"live_at": moment})
    assert answer.status_code == 200, answer.text
    return [(version["number"], version["aliases"]) for version in answer.get_json()["items"]]


def test_what_was_live_at_a_time_is_told(client: FlaskClient, moves: list[datetime]) -> None:
    before = moves[0] - timedelta(microseconds=1)
    assert live(client, iso(before)) == []
    assert [live(client, iso(moment)) for moment in moves] == [[(n, ["production"])] for n in (1, 2, 1)]
    assert live(client, "2020-01-01") == []


def test_a_version_that_was_deleted_since_is_still_told(client: FlaskClient, engine: Engine, moves: list[datetime]) -> None:
    forget_stack(engine)
    delete_version(engine, "sales", 2)
    (gone,) = client.get(VERSIONS, query_string={"live_at": iso(moves[1])}).get_json()["items"]
    assert (gone["number"], gone["aliases"], gone["deleted"]) == (2, ["production"], True)
    assert (gone["plugin"], gone["parent"], gone["llf"], gone["artifact_size"]) == ("naive", None, None, None)
    assert datetime.fromisoformat(gone["created_at"]) < moves[1]
    (there,) = client.get(VERSIONS, query_string={"live_at": iso(moves[2])}).get_json()["items"]
    assert (there["number"], there["deleted"], there["plugin"]) == (1, False, "naive")
    assert gone.keys() == there.keys()


def test_a_version_whose_deletion_was_not_logged_is_told_by_its_number(
    client: FlaskClient, engine: Engine, moves: list[datetime]
) -> None:
    forget_stack(engine)
    with writing(engine) as connection:
        connection.execute(versions.delete().where(versions.c.model == "sales", versions.c.number == 2))
    (gone,) = client.get(VERSIONS, query_string={"live_at": iso(moves[1])}).get_json()["items"]
    assert (gone["number"], gone["aliases"], gone["deleted"], gone["plugin"]) == (2, ["production"], True, None)


def forget_stack(engine: Engine) -> None:
    """Let no stack name version 2, as after a rollback to a version below it."""
    with writing(engine) as connection:
        connection.execute(alias_stack.delete().where(alias_stack.c.version == 2))


@pytest.mark.parametrize(
    ("moment", "word"),
    [
        ("2026-05-03T12:00:00", "no zone"),
        ("2026-05-03T12:00:00 02:00", "no time"),
        ("noon", "no time"),
        ("2999-01-01T00:00:00Z", "still to come"),
        ("9999-12-31T23:59:59-10:00", "all years"),
    ],
)
def test_a_time_that_is_no_moment_of_the_past_is_refused(
    client: FlaskClient, moves: list[datetime], moment: str, word: str
) -> None:
    document = problem_of(client.get(VERSIONS, query_string={"live_at": moment}), 422, "request-invalid")
    assert word in words_of(document)


def test_what_was_live_of_an_unknown_model_is_404(client: FlaskClient) -> None:
    problem_of(client.get("/models/unknown/versions?live_at=2020-01-01"), 404, "model-not-found")


def test_a_date_is_its_midnight_in_utc_and_a_zone_is_heeded() -> None:
    assert moment_from("2026-05-03") == datetime(2026, 5, 3, tzinfo=UTC)
    assert moment_from(" 2026-05-03T02:00:00+02:00 ") == datetime(2026, 5, 3, tzinfo=UTC)


def test_every_listing_and_filter_is_documented(app: flask.Flask) -> None:
    document = app.test_client().get("/openapi.json").get_json()
    parameters = {
        path: {parameter.get("name") for parameter in document["paths"][path]["get"]["parameters"]}
        for path in ("/admin/events", "/admin/models/{model}/events", "/models/{model}/versions")
    }
    assert parameters["/admin/events"] == {"what", "who", "version", "alias", "since", "until", "limit", "after"}
    assert parameters["/admin/models/{model}/events"] >= parameters["/admin/events"]
    assert "live_at" in parameters["/models/{model}/versions"]


def test_the_command_lists_the_log_without_a_further_word(run: CommandLine, moves: list[datetime]) -> None:
    said = run("events")
    assert (said.status, said.err) == (0, "")
    header, *lines = said.out.splitlines()
    assert header.split() == ["id", "when", "(UTC)", "who", "from", "what", "model", "version", "alias", "details", "why"]
    assert len(lines) == len(EVERYTHING)
    assert run("events", "list").out == said.out
    assert len(run("events", "sales").out.splitlines()) == 6
    assert "better" in run("events", "sales", "--what", "promote").out


def test_the_command_filters_and_pages(run: CommandLine, moves: list[datetime]) -> None:
    def numbers(*arguments: object) -> list[tuple[str, int]]:
        document = json.loads(run("events", *arguments, "--json").out)
        return [(event["what"], event["version"]) for event in document["items"]]

    assert numbers("sales", "--since", iso(moves[1])) == [("rollback", 1), ("promote", 2)]
    assert numbers("--until", iso(moves[1]), "--version", 2) == [("register", 2)]
    assert numbers("--who", "nobody") == []
    assert numbers("--alias", "production", "--limit", 1) == [("rollback", 1)]
    assert "the same command with --after 7" in run("events", "--limit", 1).out
    assert numbers("--limit", 1, "--after", 7) == [("promote", 2)]


def test_the_command_names_what_a_line_is_about(run: CommandLine, moves: list[datetime]) -> None:
    run("keys", "create", "dashboard", "--role", "reader", "--models", "us-*")
    run("keys", "revoke", "dashboard")
    revoked, created = (line for line in run("events").out.splitlines() if " key-" in line)
    assert "key dashboard, role reader, models us-*" in created
    assert "key dashboard" in revoked
    run("protect", "sales", "--min-skill", 0, "--approval")
    assert "min skill 0.0, converged, approval" in run("events", "--what", "protect").out


def test_the_command_refuses_what_it_does_not_understand(run: CommandLine, moves: list[datetime]) -> None:
    assert "no zone" in run("events", "--since", "2026-05-03T12:00").error
    assert run("events", "--since", "soon").status == 2
    assert run("events", "--what", "nonsense").status == 2
    for option in ("--version", "--after"):
        assert "not in the range" in run("events", option, 2**31).error
    unknown = run("events", "unknown")
    assert (unknown.status, "no model 'unknown'" in unknown.error) == (1, True)
    assert run("events", "sales", "--who", "nobody").out == "There is no such event.\n"


def test_a_log_that_nobody_touched_verifies(run: CommandLine, engine: Engine, moves: list[datetime]) -> None:
    said = run("events", "verify")
    assert (said.status, said.err) == (0, "")
    assert said.out.splitlines()[0] == "7 events; compared with 0 kept heads."
    assert export_head(engine).mac in said.out
    found = json.loads(run("events", "verify", "--json").out)
    assert (found["verified"], found["count"], found["findings"]) == (True, 7, [])


def test_an_edited_line_fails_the_verification(run: CommandLine, engine: Engine, moves: list[datetime]) -> None:
    with writing(engine) as connection:
        connection.execute(sa.text("UPDATE events SET reason = 'worse' WHERE id = 6"))
    said = run("events", "verify")
    assert (said.status, said.out.splitlines()[0]) == (1, "edited: line 6 is not what was sealed")
    assert "does not verify (1 finding)" in said.error
    said = run("events", "verify", "--json")
    assert said.status == 1
    assert [(finding["kind"], finding["id"]) for finding in json.loads(said.out)["findings"]] == [("edited", 6)]


def test_a_head_that_was_kept_shows_what_was_cut_off(
    run: CommandLine, engine: Engine, home: Path, moves: list[datetime], tmp_path: Path
) -> None:
    kept = tmp_path / "heads.jsonl"
    kept.write_text(run("events", "head").out)
    assert run("events", "verify", "--head", kept).status == 0
    append_head(home / HEADS_FILE, export_head(engine))
    with writing(engine) as connection:
        connection.execute(sa.text("DELETE FROM events"))
        connection.execute(sa.text("DELETE FROM event_head"))
    said = run("events", "verify")
    assert (said.status, "the log ends at line 0" in said.out) == (1, True)
    (home / HEADS_FILE).unlink()
    assert run("events", "verify").status == 0  # nobody kept anything
    assert run("events", "verify", "--head", kept).status == 1


def test_half_a_line_among_the_heads_is_told(run: CommandLine, home: Path, moves: list[datetime]) -> None:
    (home / HEADS_FILE).write_text('{"id": 1, "at"')
    said = run("events", "verify")
    assert (said.status, "line 1 of" in said.error) == (0, True)


def test_a_file_without_heads_is_wrong_use(run: CommandLine, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("")
    assert run("events", "verify", "--head", empty).status == 2
    assert run("events", "verify", "--head", tmp_path / "nowhere").status == 2


def test_lines_without_a_seal_can_be_allowed(run: CommandLine, engine: Engine, moves: list[datetime]) -> None:
    with writing(engine) as connection:
        connection.execute(sa.text("UPDATE events SET mac = NULL"))
        connection.execute(sa.text("DELETE FROM event_head"))
    assert run("events", "verify").status == 1
    assert run("events", "verify", "--allow-unsealed").status == 0


def test_another_key_is_said_at_once(run: CommandLine, home: Path, moves: list[datetime]) -> None:
    (home / "signing.key").write_bytes(b"another key, as long as it must be, and more")
    said = run("events", "verify")
    assert (said.status, said.out.splitlines()[0].split(":")[0]) == (1, "key")
    (home / "signing.key").unlink()
    said = run("events", "verify")
    assert (said.status, "is not there" in said.error) == (1, True)
    assert not (home / "signing.key").exists()


@pytest.mark.parametrize("lost", [True, False])
def test_with_another_key_than_the_log_s_nothing_is_changed(
    run: CommandLine, client: FlaskClient, engine: Engine, home: Path, moves: list[datetime], lost: bool
) -> None:
    key = home / "signing.key"
    kept, before = key.read_bytes(), list_events(engine)
    key.unlink() if lost else key.write_bytes(b"another key, as long as it must be, and more")
    doctor = run("doctor")
    assert (doctor.status, ("key" if lost else "another key") in doctor.out) == (1, True)
    said = run("archive", "sales", 2)
    assert (said.status, "sealed with another key" in said.error) == (1, True)
    document = problem_of(client.post("/admin/models/sales/promote", json={"version": 2}), 503, "signing-key-unusable")
    assert "FORECASTLE_SIGNING_KEY_FILE" in document["detail"]
    assert list_events(engine) == before
    key.write_bytes(kept)
    assert run("archive", "sales", 2).status == 0
    assert run("events", "verify").status == 0


def test_a_log_whose_key_is_lost_begins_anew_once_its_head_is_deleted(
    run: CommandLine, engine: Engine, home: Path, moves: list[datetime]
) -> None:
    (home / "signing.key").unlink()
    with writing(engine) as connection:
        connection.exec_driver_sql("DELETE FROM event_head")
    assert run("archive", "sales", 2).status == 0
    assert [event.what for event in list_events(engine, limit=2).items] == ["archive", "seal"]
    assert run("events", "verify").status == 1


def test_what_was_live_is_listed_at_the_command_line(run: CommandLine, engine: Engine, moves: list[datetime]) -> None:
    found = json.loads(run("versions", "sales", "--live-at", iso(moves[1]), "--json").out)
    assert [(version["number"], version["aliases"]) for version in found["items"]] == [(2, ["production"])]
    forget_stack(engine)
    delete_version(engine, "sales", 2)
    said = run("versions", "sales", "--live-at", iso(moves[1]))
    assert "deleted since" in said.out
    assert said.out.splitlines()[0].endswith("live then as")
    assert run("versions", "sales", "--live-at", "2020-01-01").out == "No version of sales was live then.\n"
    assert run("versions", "sales", "--live-at", "2999-01-01").status == 2
    assert run("versions", "sales", 1, "--live-at", "2020-01-01").status == 2
