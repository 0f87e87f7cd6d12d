"""Whoever can write to the database but has not the key cannot change the log unseen: each way is tried with plain SQL."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecastle_registry.actors import Actor
from forecastle_registry.chain import MAX_FINDINGS
from forecastle_registry.engine import open_engine, reading, writing
from forecastle_registry.errors import SigningKeyUnusable
from forecastle_registry.events import list_events, log_event
from forecastle_registry.heads import EMPTY, Head, append_head, export_head, read_heads
from forecastle_registry.seals import BATCH
from forecastle_registry.tables import event_head, events, metadata
from forecastle_registry.verifying import verify_events
from registry.tests.conftest import KEY

ADA = Actor("ada", "10.0.0.7")


def write(engine, count, **values):
    with writing(engine) as connection:
        for number in range(1, count + 1):
            row = {"model": "m", "version": number, "alias": "production", "reason": "why", "details": {"n": number}, **values}
            log_event(connection, ADA, "promote", **row)


def tamper(engine, sql, **binds):
    with writing(engine) as connection:
        assert connection.execute(sa.text(sql), binds).rowcount, "nothing was changed"


def found(engine, *heads, **options):
    return [(finding.kind, finding.id) for finding in verify_events(engine, KEY, heads, **options).findings]


@pytest.fixture
def log(engine):
    """An engine whose log has eight lines."""
    write(engine, 8)
    return engine


def test_a_log_that_nobody_touched_verifies(log):
    verification = verify_events(log, KEY, [export_head(log)])
    assert (verification.findings, verification.count, verification.unsealed) == ((), 8, 0)
    assert verification.head == export_head(log)
    assert verification.head.count == 8


def test_an_empty_log_verifies(engine):
    assert verify_events(engine, KEY, [EMPTY]).findings == ()
    assert export_head(engine) == EMPTY


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", "'2026-01-01T00:00:00.000000Z'"),
        ("at", "replace(at, 'T', ' ')"),
        ("who", "'eve'"),
        ("origin", "NULL"),
        ("origin", "''"),
        ("what", "'rollback'"),
        ("model", "'n'"),
        ("version", "9"),
        ("alias", "NULL"),
        ("reason", "'because'"),
        ("details", "'{\"n\": 6}'"),
        ("details", '\'{"n": 6, "n": 5}\''),
        ("details", '\'{"n": "5"}\''),
        ("mac", "replace(mac, substr(mac, 1, 4), 'ffff')"),
        ("mac", "NULL"),
    ],
)
def test_an_edited_line_is_found(log, column, value):
    tamper(log, f"UPDATE events SET {column} = {value} WHERE id = 5")
    assert found(log) == [("edited", 5)]
    assert found(log, allow_unsealed=True) == [("edited", 5)]


@pytest.mark.parametrize("number", [1, 8])
def test_an_edited_line_is_found_at_both_ends(log, number):
    tamper(log, "UPDATE events SET who = 'eve' WHERE id = :n", n=number)
    assert found(log) == [("edited", number)]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)  # Postgres takes no such thing
@pytest.mark.parametrize("wrong", ["'nonsense'", "'{\"n\": NaN}'", "x'7b7d'"])
def test_details_that_are_no_json_are_found(log, wrong):
    tamper(log, f"UPDATE events SET details = {wrong} WHERE id = 2")
    assert found(log) == [("edited", 2)]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)  # Postgres takes no such thing
@pytest.mark.parametrize("column", ["at", "who", "reason", "details", "mac"])
def test_bytes_that_are_no_text_are_found_and_stop_nothing(log, column):
    tamper(log, f"UPDATE events SET {column} = CAST(x'ff41fe' AS TEXT) WHERE id = 7")
    assert ("edited", 7) in found(log)
    write(log, 1)
    assert ("edited", 7) in found(log)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_bytes_that_are_no_text_in_the_head_are_found(log):
    tamper(log, "UPDATE event_head SET mac = CAST(x'ff41fe' AS TEXT)")
    assert found(log) == [("head", 8)]


@pytest.mark.parametrize(("first", "last"), [(1, 1), (4, 4), (3, 6), (1, 7)])
def test_dropped_lines_are_found(log, first, last):
    tamper(log, "DELETE FROM events WHERE id BETWEEN :first AND :last", first=first, last=last)
    assert found(log) == [("missing", first)]


@pytest.mark.parametrize(("one", "other"), [(4, 5), (2, 7), (1, 2), (7, 8), (1, 8)])
def test_lines_in_each_others_places_are_found(log, one, other):
    for old, new in ((one, 99), (other, one), (99, other)):
        tamper(log, "UPDATE events SET id = :new WHERE id = :old", old=old, new=new)
    assert sorted(found(log)) == [("reordered", one), ("reordered", other)]


def test_a_line_that_was_moved_to_the_end_is_found(log):
    tamper(log, "UPDATE events SET id = 50 WHERE id = 5")
    assert ("reordered", 50) in found(log)


@pytest.mark.parametrize("number", [0, 9, 20])
def test_an_inserted_line_is_found(log, number):
    tamper(log, COPY_OF_LINE_3, n=number)
    assert found(log) == [("inserted", number)]


def test_a_line_that_took_anothers_place_is_found(log):
    tamper(log, "DELETE FROM events WHERE id = 5")
    tamper(log, COPY_OF_LINE_3, n=5)
    assert found(log) == [("edited", 5), ("edited", 6)]


COPY_OF_LINE_3 = """
INSERT INTO events (id, at, who, origin, what, model, version, alias, reason, details, mac)
SELECT :n, at, 'eve', origin, what, model, version, alias, reason, details, mac FROM events WHERE id = 3
"""


def test_lines_cut_off_at_the_end_are_found(log):
    tamper(log, "DELETE FROM events WHERE id > 6")
    assert found(log) == [("cut-off", 8)]


def test_lines_cut_off_with_the_head_moved_back_are_found_by_a_head_that_was_kept(log):
    kept = export_head(log)
    earlier = verify_events(log, KEY).head
    with reading(log) as connection:
        mac, at = connection.execute(
            sa.select(events.c.mac, sa.type_coerce(events.c.at, sa.String)).where(events.c.id == 6)
        ).one()
    tamper(log, "DELETE FROM events WHERE id > 6")
    tamper(log, "UPDATE event_head SET id = 6, mac = :mac, at = :at, count = 6", mac=mac, at=at)
    assert found(log) == []
    assert found(log, kept) == [("cut-off", earlier.id)]
    write(log, 4)  # and the log goes on
    assert found(log) == []
    assert found(log, kept) != []


def test_a_deleted_head_with_the_last_lines_is_found(log):
    kept = export_head(log)
    tamper(log, "DELETE FROM event_head")
    tamper(log, "DELETE FROM events WHERE id > 6")
    assert found(log) == [("head", None)]
    assert found(log, kept) == [("cut-off", 8), ("head", None)]
    write(log, 1)  # which begins a head again, and says so
    assert list_events(log).items[1].what == "seal"
    assert found(log, kept) != []


def test_a_deleted_head_does_not_get_an_edited_line_sealed_anew(log):
    tamper(log, "UPDATE events SET who = 'eve' WHERE id = 5")
    tamper(log, "DELETE FROM event_head")
    write(log, 1)
    assert found(log) == [("edited", 5)]


def test_a_log_that_was_deleted_as_a_whole_is_found_by_a_head_that_was_kept(log):
    kept = export_head(log)
    tamper(log, "DELETE FROM event_head")
    tamper(log, "DELETE FROM events")
    assert found(log, kept) == [("cut-off", 8)]


@pytest.mark.parametrize("change", ["count = 3", "at = '2020-01-01T00:00:00.000000Z'", "mac = 'ff'"])
def test_a_head_that_was_edited_is_found(log, change):
    tamper(log, f"UPDATE event_head SET {change}")
    assert found(log) == [("head", 8)]


def test_a_head_that_was_moved_back_is_found(log):
    tamper(log, "UPDATE event_head SET id = 7, count = 7, mac = (SELECT mac FROM events WHERE id = 7)")
    assert ("head", 8) in found(log)


def test_a_log_that_was_sealed_anew_is_found_by_a_head_that_was_kept(log):
    kept = export_head(log)
    tamper(log, "UPDATE events SET who = 'eve', mac = NULL")
    tamper(log, "DELETE FROM event_head")
    write(log, 1)
    assert found(log) == []
    assert found(log, kept) == [("rewritten", 8)]
    begun = list_events(log).items[1]
    assert (begun.what, begun.details["count"]) == ("seal", 8)


def test_another_key_is_one_finding(log):
    assert [(f.kind, f.id) for f in verify_events(log, b"another" * 8, [export_head(log)]).findings] == [("key", None)]


def test_a_key_that_changed_is_one_finding(engine, url):
    write(engine, 20)
    tamper(engine, "DELETE FROM event_head")
    other = open_engine(url, key=lambda: b"another" * 8)
    write(other, 20)
    other.dispose()
    assert found(engine) == [("key", 21)]
    (finding,) = verify_events(engine, b"another" * 8).findings
    assert (finding.kind, finding.id) == ("key", 1)
    assert "lines 1 to 20 " in finding.message


def test_nothing_is_written_with_another_key_than_the_log_s(log, url):
    other = open_engine(url, key=lambda: b"another" * 8)
    with pytest.raises(SigningKeyUnusable, match="sealed with another key"):
        write(other, 1)
    other.dispose()
    assert (found(log), list_events(log).items[0].id) == ([], 8)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_lines_that_were_edited_do_not_stop_the_next_one(log, count):
    tamper(log, "UPDATE events SET who = 'eve' WHERE id BETWEEN :first AND 8", first=9 - count)
    write(log, 1)
    assert list_events(log).items[0].id == 9


def test_seals_that_were_taken_away_from_lines_in_a_row_are_found(log):
    tamper(log, "UPDATE events SET mac = NULL WHERE id BETWEEN 4 AND 6")
    assert found(log, allow_unsealed=True) == [("edited", 4), ("edited", 5), ("edited", 6)]


def test_a_line_without_a_seal_is_told_and_can_be_allowed(log):
    as_the_release_before = {"who": "ada", "what": "promote", "details": {}, "at": datetime.now(UTC)}
    with writing(log) as connection:
        connection.execute(events.insert(), as_the_release_before)
    write(log, 1)
    assert found(log) == [("unsealed", 9)]
    assert found(log, allow_unsealed=True) == []
    assert verify_events(log, KEY).unsealed == 1


def test_lines_from_before_there_were_seals_are_sealed_by_the_next_event(log):
    kept = export_head(log)
    tamper(log, "UPDATE events SET mac = NULL")
    tamper(log, "DELETE FROM event_head")
    assert found(log) == [("unsealed", None)]
    assert found(log, kept) == [("rewritten", 8), ("unsealed", None)]
    assert found(log, allow_unsealed=True) == []
    write(log, 2)
    verification = verify_events(log, KEY)
    assert (verification.findings, verification.count) == ((), 11)
    assert [event.what for event in list_events(log).items][:3] == ["promote", "promote", "seal"]


def test_a_copied_database_verifies(log, tmp_path):
    copy = open_engine(f"sqlite:///{tmp_path}/copy.db", key=lambda: KEY)
    with writing(copy) as connection, reading(log) as source:
        metadata.create_all(connection)
        for table in (events, event_head):
            connection.execute(table.insert(), [dict(row) for row in source.execute(sa.select(table)).mappings()])
    write(copy, 2)
    verification = verify_events(copy, KEY, [export_head(log)])
    copy.dispose()
    assert (verification.findings, verification.count) == ((), 10)


def test_times_never_go_back(log):
    tamper(log, "UPDATE event_head SET at = '2100-01-01T00:00:00.000000Z'")
    write(log, 2)
    times = [event.at for event in list_events(log).items]
    assert times == sorted(times, reverse=True)
    assert times[0].year == 2100


def test_details_of_every_kind_verify(engine):
    write(engine, 1, details={"a": [1, -0.0, 1e300, 0.1, None, True, "é\U0001f600"], "b": {"": {}}, "c": 2**70}, reason="ü\n")
    assert found(engine) == []


def test_without_the_key_nothing_is_written(engine, url):
    keyless = open_engine(url)
    with pytest.raises(SigningKeyUnusable, match="without the installation's key"):
        write(keyless, 1)
    keyless.dispose()
    assert list_events(engine).items == []


WRITE = """
import sys
from forecastle_registry.actors import Actor
from forecastle_registry.chain import MAX_FINDINGS
from forecastle_registry.engine import open_engine, writing
from forecastle_registry.events import log_event
engine = open_engine(sys.argv[1], key=lambda: sys.argv[2].encode())
sys.stdin.readline()
for number in range(25):
    with writing(engine) as connection:
        log_event(connection, Actor("ada"), "promote", version=number)
"""


def test_processes_that_write_at_once_make_one_chain(engine, url):
    command = [sys.executable, "-c", WRITE, url, KEY.decode()]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, text=True) for _ in range(4)]
    for process in started:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in started:
        process.communicate(timeout=120)
        assert process.returncode == 0
    verification = verify_events(engine, KEY)
    assert (verification.findings, verification.head.count) == ((), 100)


def test_a_long_log_is_read_in_batches(engine):
    write(engine, BATCH + 5)
    assert verify_events(engine, KEY).count == BATCH + 5
    tamper(engine, "UPDATE events SET mac = NULL, who = 'eve' WHERE id > 2")
    verification = verify_events(engine, KEY)
    assert len(verification.findings) == MAX_FINDINGS
    assert verification.more > 0


EDITS = {"who": "eve", "origin": None, "what": "x", "model": "z", "version": 77, "alias": "z", "reason": None, "mac": None}
CHANGES = st.one_of(
    st.tuples(st.just("edit"), st.sampled_from(sorted(EDITS)), st.integers(0, 9)),
    st.tuples(st.sampled_from(["drop", "insert"]), st.integers(0, 9), st.just(0)),
    st.tuples(st.just("swap"), st.integers(0, 9), st.integers(1, 9)),
)
LINES = st.lists(
    st.tuples(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5), st.integers()), min_size=2, max_size=6
)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=LINES, change=CHANGES)
def test_any_single_change_of_any_log_is_found(engine, lines, change):
    with writing(engine) as connection:
        connection.execute(events.delete())
        connection.execute(event_head.delete())
        for text, number in lines:
            log_event(
                connection,
                Actor(f"a{text}", text),
                "promote",
                reason=text,
                model="m",
                version=1,
                alias="a",
                details={"n": number},
            )
        ids = list(connection.execute(sa.select(events.c.id).order_by(events.c.id)).scalars())
    assert found(engine) == []
    with writing(engine) as connection:
        apply(connection, ids, *change)
    assert found(engine) != []


def apply(connection, ids, kind, one, other):
    if kind == "edit":
        this = ids[other % len(ids)]
        connection.execute(events.update().where(events.c.id == this).values({one: EDITS[one]}))
    elif kind == "drop":
        connection.execute(events.delete().where(events.c.id == ids[one % len(ids)]))
    elif kind == "insert":
        connection.execute(
            sa.text(COPY_OF_LINE_3.replace("id = 3", "id = :source")), {"n": ids[-1] + 1, "source": ids[one % len(ids)]}
        )
    else:
        a = ids[one % len(ids)]
        b = ids[(one + 1 + other % (len(ids) - 1)) % len(ids)]
        for old, new in ((a, 10**6), (b, a), (10**6, b)):
            connection.execute(events.update().where(events.c.id == old).values(id=new))


def test_heads_are_kept_in_a_file(log, tmp_path):
    path = tmp_path / "heads.jsonl"
    assert read_heads(path).heads == ()
    first = export_head(log)
    append_head(path, first)
    write(log, 1)
    append_head(path, export_head(log))
    assert read_heads(path).heads == (first, export_head(log))
    assert read_heads(path).unreadable == ()
    assert json.loads(path.read_text().splitlines()[0]) == {"id": 8, "at": first.at, "mac": first.mac, "count": 8}


def test_half_a_line_in_the_file_of_heads_is_told_and_loses_no_other(log, tmp_path):
    path = tmp_path / "heads.jsonl"
    append_head(path, export_head(log))
    path.write_bytes(path.read_bytes() + b'{"id": 9, "at": "20')
    append_head(path, Head(9, "2026-01-01T00:00:00.000000Z", "ab", 9))
    kept = read_heads(path)
    assert [head.id for head in kept.heads] == [8, 9]
    assert kept.unreadable == (2,)
