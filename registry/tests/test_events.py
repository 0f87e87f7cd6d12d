"""The log is read newest first, a page at a time, and outlives what it speaks of."""

import pytest

from forecastle_registry.actors import Actor
from forecastle_registry.engine import writing
from forecastle_registry.errors import NotPlainData
from forecastle_registry.events import list_events, log_event


@pytest.fixture
def log(engine):
    with writing(engine) as connection:
        for number in range(1, 6):
            log_event(connection, Actor("ada"), "promote", model="ab"[number % 2], version=number, details={"n": number})
    return engine


def test_the_log_is_newest_first_and_goes_on_where_it_ended(log):
    page = list_events(log, limit=2)
    assert [event.version for event in page.items] == [5, 4]
    assert [event.version for event in list_events(log, before=int(page.next)).items] == [3, 2, 1]


def test_a_models_log_has_its_own_lines_only(log):
    assert [event.details for event in list_events(log, "a").items] == [{"n": 4}, {"n": 2}]
    assert list_events(log, "unknown").items == []


def test_numbers_of_lines_are_never_used_again(log):
    with writing(log) as connection:
        connection.exec_driver_sql("DELETE FROM events")
        log_event(connection, Actor("ada"), "promote")
    assert [event.id for event in list_events(log).items] == [6]


def test_details_are_plain_data(engine):
    with pytest.raises(NotPlainData), writing(engine) as connection:
        log_event(connection, Actor("ada"), "promote", details={"when": object()})
