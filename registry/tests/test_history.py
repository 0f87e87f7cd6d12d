"""What was live at a time is read from the events, also of versions that were deleted since."""

from datetime import UTC, datetime, timedelta

import pytest

from forecastle_registry.aliases import promote_version, roll_back
from forecastle_registry.engine import writing
from forecastle_registry.errors import ModelNotFound
from forecastle_registry.events import EventFilter, list_events
from forecastle_registry.history import live_at, versions_live_at
from forecastle_registry.tables import alias_stack, versions
from forecastle_registry.versions import register_version

TICK = timedelta(microseconds=1)


@pytest.fixture
def moves(engine, training):
    """The times of: promote 1, promote 2, promote 2 as staging, rollback to 1, promote 3."""
    for _ in range(3):
        register_version(engine, training(), promote=False)
    register_version(engine, training(model="other"), promote=True)
    promote_version(engine, "m", 1)
    promote_version(engine, "m", 2)
    promote_version(engine, "m", 2, alias="staging")
    roll_back(engine, "m")
    promote_version(engine, "m", 3)
    return [event.at for event in reversed(list_events(engine, "m").items) if event.what != "register"]


def test_what_was_live_is_known_for_every_moment(engine, moves):
    known = [
        {"production": 1},
        {"production": 2},
        {"production": 2, "staging": 2},
        {"production": 1, "staging": 2},
        {"production": 3, "staging": 2},
    ]
    assert live_at(engine, "m", moves[0] - TICK) == {}
    for moment, following, live in zip(moves, [*moves[1:], datetime.now(UTC)], known, strict=True):
        assert live_at(engine, "m", moment) == live
        assert live_at(engine, "m", max(moment, following - TICK)) == live


def test_versions_live_at_a_moment_have_the_aliases_of_then(engine, moves):
    page = versions_live_at(engine, "m", moves[3])
    assert [(then.number, then.aliases) for then in page.items] == [(2, ("staging",)), (1, ("production",))]
    assert [(then.version.number, then.version.aliases) for then in page.items] == [(2, ("staging",)), (1, ("production",))]
    assert page.next is None


def test_versions_live_at_a_moment_are_paged(engine, moves):
    first = versions_live_at(engine, "m", moves[3], limit=1)
    assert ([then.number for then in first.items], first.next) == ([2], "2")
    rest = versions_live_at(engine, "m", moves[3], before=2, limit=1)
    assert ([then.number for then in rest.items], rest.next) == ([1], None)


def test_a_version_that_was_deleted_since_is_still_named(engine, moves):
    with writing(engine) as connection:
        connection.execute(alias_stack.delete().where(alias_stack.c.version == 2))
        connection.execute(versions.delete().where(versions.c.model == "m", versions.c.number == 2))
    (then,) = versions_live_at(engine, "m", moves[1]).items
    assert (then.number, then.aliases, then.version) == (2, ("production",), None)


def test_an_unknown_model_was_never_there(engine):
    for model in ("unknown", "a b", "x\0"):
        with pytest.raises(ModelNotFound):
            live_at(engine, model, datetime.now(UTC))
        with pytest.raises(ModelNotFound):
            versions_live_at(engine, model, datetime.now(UTC))


def test_the_log_can_be_filtered(engine, moves):
    def listed(**wanted):
        return [(event.what, event.version) for event in list_events(engine, "m", matching=EventFilter(**wanted)).items]

    assert listed(what="rollback") == [("rollback", 1)]
    assert listed(alias="staging") == [("promote", 2)]
    assert listed(version=2, alias="production") == [("promote", 2)]
    assert listed(who="nobody") == []
    assert listed(since=moves[3]) == [("promote", 3), ("rollback", 1)]
    assert listed(since=moves[2], until=moves[3]) == [("promote", 2)]
