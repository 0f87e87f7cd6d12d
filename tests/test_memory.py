"""While the database is unreachable, what it told last is told again: for FORECASTLE_STALE_FOR at most, and never a guess."""

import threading
import time
from collections.abc import Callable

import pytest

from forecastle.memory import PAUSE, Memory
from forecastle_registry.errors import DatabaseBehind, DatabaseUnusable, ModelNotFound


def gone() -> int:
    raise DatabaseUnusable("gone; start it")


def test_without_the_setting_nothing_is_remembered() -> None:
    memory = Memory(0)
    assert memory.read("key", lambda: 1).value == 1
    with pytest.raises(DatabaseUnusable):
        memory.read("key", gone)


def test_what_was_told_last_is_told_again_with_its_age() -> None:
    memory = Memory(60)
    for value in (1, 2):
        assert memory.read("key", lambda value=value: value).age is None  # type: ignore[misc]
    told = memory.read("key", gone)
    assert told.value == 2
    assert told.age is not None
    assert [notice.code for notice in told.notices] == ["stale"]


def test_what_was_never_read_is_an_error_with_the_reason() -> None:
    memory = Memory(60)
    memory.read("key", lambda: 1)
    for _ in range(2):
        with pytest.raises(DatabaseUnusable, match="gone; start it"):
            memory.read("another", gone)


def test_it_is_told_for_so_many_seconds_only() -> None:
    memory = Memory(0.2)
    memory.read("key", lambda: 1)
    assert memory.read("key", gone).value == 1
    time.sleep(0.25)
    with pytest.raises(DatabaseUnusable):
        memory.read("key", gone)


def test_after_a_failure_the_database_is_left_alone_for_a_moment_and_then_asked_by_one() -> None:
    memory, asked = Memory(60), []

    def ask() -> int:
        asked.append(time.monotonic())
        return gone()

    memory.read("key", lambda: 1)
    for _ in range(50):
        memory.read("key", ask)
    assert len(asked) == 1
    time.sleep(PAUSE)
    hold, results = threading.Event(), []

    def ask_slowly() -> int:
        asked.append(time.monotonic())
        hold.wait(5)
        return 2

    slow = threading.Thread(target=lambda: results.append(memory.read("key", ask_slowly)))
    slow.start()
    while len(asked) < 2:
        time.sleep(0.01)
    assert memory.read("key", ask).age is not None  # it does not wait for the one that asks
    hold.set()
    slow.join()
    assert len(asked) == 2
    assert results[0].age is None
    assert memory.read("key", lambda: 3).value == 3


def test_a_change_makes_what_was_read_before_it_untold() -> None:
    memory = Memory(60)
    memory.read("key", lambda: 1)
    memory.forget()
    with pytest.raises(DatabaseUnusable):
        memory.read("key", gone)


def test_a_read_that_began_before_a_change_and_ended_after_it_is_not_told() -> None:
    memory = Memory(60)

    def meanwhile() -> int:
        memory.forget()
        return 1

    memory.read("key", meanwhile)
    with pytest.raises(DatabaseUnusable):
        memory.read("key", gone)


@pytest.mark.parametrize(("newer", "told"), [(1, 1), (2, None)], ids=["the same", "another"])
def test_of_two_reads_at_once_neither_is_told_unless_they_agree(newer: int, told: int | None) -> None:
    memory = Memory(60)

    def slow() -> int:
        memory.read("key", lambda: newer)
        return 1

    memory.read("key", slow)
    if told is None:
        with pytest.raises(DatabaseUnusable):
            memory.read("key", gone)
    else:
        assert memory.read("key", gone).value == told


def test_two_reads_that_disputed_are_over_with_the_next_one() -> None:
    memory = Memory(60)
    memory.read("key", lambda: memory.read("key", lambda: 2) and 1)
    memory.read("key", lambda: 2)
    assert memory.read("key", gone).value == 2


@pytest.mark.parametrize("error", [DatabaseBehind("0001", "0002"), ModelNotFound("m")], ids=["behind", "not found"])
def test_an_answer_that_is_an_error_is_no_outage(error: Exception) -> None:
    memory = Memory(60)
    memory.read("key", lambda: 1)

    def refuse() -> int:
        raise error

    with pytest.raises(type(error)):
        memory.read("key", refuse)
    assert memory.read("key", lambda: 2).age is None


def test_no_more_is_remembered_than_there_is_room_for() -> None:
    memory = Memory(60, size=2)
    for key in ("a", "b", "c"):
        memory.read(key, lambda: 1)
    told: list[Callable[[], object]] = [lambda: memory.read("b", gone), lambda: memory.read("c", gone)]
    assert all(tell() for tell in told)
    with pytest.raises(DatabaseUnusable):
        memory.read("a", gone)


def test_what_does_not_matter_makes_nothing_forgotten_that_does() -> None:
    memory = Memory(60, size=3)
    for key in ("a", "b"):
        memory.read(key, lambda: 1)
    for number in range(10):
        memory.read(number, lambda: 2, matters=lambda told: told == 1)
    for key in ("c", "d"):
        memory.read(key, lambda: 1)
    assert [memory.read(key, gone).value for key in ("b", "c", "d")] == [1, 1, 1]
