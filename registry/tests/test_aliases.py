"""An alias moves as the truth table says, and as a plain list would."""

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count, pairwise

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from forecastle_registry.actors import Actor
from forecastle_registry.aliases import Alias, get_alias, live_version, promote_version, roll_back, stack_after_rollback
from forecastle_registry.engine import writing
from forecastle_registry.errors import (
    AliasNotFound,
    ModelNotFound,
    NameRefused,
    NothingToRollBackTo,
    StaleAlias,
    VersionArchived,
    VersionNotFound,
)
from forecastle_registry.events import list_events
from forecastle_registry.versions import register_version

VERSIONS = 4


@pytest.fixture
def model(engine, training):
    for _ in range(VERSIONS):
        register_version(engine, training(), promote=False)
    return "m"


def test_the_truth_table(engine, model):
    for number in (1, 2, 3):
        promote_version(engine, model, number)
    assert get_alias(engine, model).stack == (1, 2, 3)
    assert roll_back(engine, model).alias.stack == (1, 2)
    assert roll_back(engine, model).alias.stack == (1,)
    assert promote_version(engine, model, 4).alias.stack == (1, 4)
    assert roll_back(engine, model).alias.stack == (1,)
    with pytest.raises(NothingToRollBackTo) as caught:
        roll_back(engine, model)
    assert (caught.value.model, caught.value.alias, caught.value.to) == (model, "production", None)
    assert live_version(engine, model).version_number == 1


def test_a_move_says_what_was_live_before(engine, model):
    first = promote_version(engine, model, 1)
    assert (first.previous, first.changed, first.alias.live) == (None, True, 1)
    assert promote_version(engine, model, 2).previous == 1
    back = roll_back(engine, model)
    assert (back.previous, back.changed, back.alias.live) == (2, True, 1)


def test_promoting_what_is_live_changes_nothing_and_is_no_event(engine, model):
    promote_version(engine, model, 1)
    before, events = get_alias(engine, model), list_events(engine)
    again = promote_version(engine, model, 1)
    assert (again.alias, again.previous, again.changed) == (before, 1, False)
    assert get_alias(engine, model) == before
    assert list_events(engine) == events


@pytest.mark.parametrize(
    ("stack", "to", "target"),
    [
        ((1, 2, 3), None, 2),
        ((1, 2, 3), 1, 1),
        ((1, 2, 1), 1, 1),
        ((2, 1, 2, 3, 2), 2, 2),
        ((1, 2), 2, None),
        ((1,), None, None),
        ((1,), 1, None),
        ((1, 2), 3, None),
    ],
)
def test_a_rollback_goes_to_the_nearest_below_the_top(stack, to, target):
    alias = Alias("m", "production", stack, len(stack))
    if target is None:
        with pytest.raises(NothingToRollBackTo):
            stack_after_rollback(alias, to)
    else:
        assert stack_after_rollback(alias, to)[-1] == target


def test_a_rollback_to_a_version_drops_all_above_the_nearest(engine, model):
    for number in (2, 1, 2, 3, 4):
        promote_version(engine, model, number)
    assert roll_back(engine, model, to=2).alias.stack == (2, 1, 2)
    assert roll_back(engine, model, to=2).alias.stack == (2,)


def test_aliases_of_a_model_move_apart_from_each_other(engine, model):
    promote_version(engine, model, 1)
    promote_version(engine, model, 2, alias="candidate")
    assert live_version(engine, model, "production").version_number == 1
    assert live_version(engine, model, "candidate").version_number == 2
    assert get_alias(engine, model, "candidate").stack == (2,)


def test_moves_are_in_the_log_with_who_and_why(engine, model):
    promote_version(engine, model, 1, actor=Actor("ada"), reason="new data")
    promote_version(engine, model, 2, actor=Actor("ada"))
    roll_back(engine, model, actor=Actor("bob"), reason="looks wrong")
    lines = [
        (e.what, e.who, e.version, e.alias, e.reason, e.details["previous"]) for e in list_events(engine, model, limit=3).items
    ]
    assert lines == [
        ("rollback", "bob", 1, "production", "looks wrong", 2),
        ("promote", "ada", 2, "production", None, 1),
        ("promote", "ada", 1, "production", "new data", None),
    ]


def test_live_tells_enough_to_find_the_forecaster(engine, model):
    promote_version(engine, model, 2)
    live = live_version(engine, model, "production")
    assert (live.model, live.alias, live.version_number, live.plugin) == (model, "production", 2, "naive")
    assert len(live.artifact_digest) == 64


def test_an_alias_that_points_at_nothing_is_told_from_a_model_that_is_not_there(engine, model):
    for alias in ("production", "no/name", "\ud800"):
        with pytest.raises(AliasNotFound) as caught:
            live_version(engine, model, alias)
        assert (caught.value.model, caught.value.alias) == (model, alias)
        with pytest.raises(AliasNotFound):
            get_alias(engine, model, alias)
        with pytest.raises(AliasNotFound):
            roll_back(engine, model, alias=alias)
    with pytest.raises(ModelNotFound):
        live_version(engine, "nothing", "production")
    with pytest.raises(ModelNotFound):
        roll_back(engine, "nothing")


@pytest.mark.parametrize("number", [0, -1, VERSIONS + 1, 10**30])
def test_a_version_that_is_not_there_cannot_go_live(engine, model, number):
    with pytest.raises(VersionNotFound):
        promote_version(engine, model, number)
    with pytest.raises(AliasNotFound):
        get_alias(engine, model)


def test_an_alias_needs_a_name_that_an_address_can_hold(engine, model):
    with pytest.raises(NameRefused):
        promote_version(engine, model, 1, alias="a/b")


def archive(engine, number):
    with writing(engine) as connection:
        connection.exec_driver_sql(f"UPDATE versions SET archived_at = '2026-11-23T05:15:47.123456Z' WHERE number = {number}")


def test_an_archived_version_is_refused_before_anything_moves(engine, model):
    promote_version(engine, model, 1)
    promote_version(engine, model, 2)
    archive(engine, 1)
    before = get_alias(engine, model)
    with pytest.raises(VersionArchived):
        roll_back(engine, model)
    with pytest.raises(VersionArchived):
        promote_version(engine, model, 1)
    assert get_alias(engine, model) == before


def test_every_move_changes_the_etag_and_no_two_aliases_share_one(engine, model):
    etags = [promote_version(engine, model, number).alias.etag for number in (1, 2)]
    etags += [roll_back(engine, model).alias.etag, promote_version(engine, model, 1, alias="candidate").alias.etag]
    assert len(set(etags)) == 4
    assert get_alias(engine, model).etag == etags[2]


def test_a_move_from_what_is_no_longer_there_is_refused(engine, model):
    seen = promote_version(engine, model, 1).alias.etag
    promote_version(engine, model, 2, if_match=seen)
    for move in (lambda: promote_version(engine, model, 3, if_match=seen), lambda: roll_back(engine, model, if_match=seen)):
        with pytest.raises(StaleAlias) as caught:
            move()
        assert caught.value.current == get_alias(engine, model)
    assert get_alias(engine, model).stack == (1, 2)
    assert roll_back(engine, model, if_match="*").alias.stack == (1,)


def test_an_etag_for_an_alias_that_points_at_nothing_is_stale(engine, model):
    for etag in ("production.1", "*"):
        with pytest.raises(StaleAlias) as caught:
            promote_version(engine, model, 1, if_match=etag)
        assert caught.value.current is None


@contextmanager
def traced(engine, folder):
    """Give what the driver sends to the database, each statement a text; for Postgres, from libpq's trace of its protocol."""
    statements = []
    raw = engine.raw_connection()
    driver = raw.driver_connection
    raw.close()
    if engine.dialect.name == "sqlite":
        driver.set_trace_callback(statements.append)
        yield statements
        driver.set_trace_callback(None)
    else:
        with (folder / "trace").open("w+") as file:
            driver.pgconn.trace(file.fileno())
            yield statements
            driver.pgconn.untrace()
            file.seek(0)
            statements += re.findall(r'\tF\t\d+\t(?:Parse|Query)\t(?: "")? "([^"]*)"', file.read())


def test_the_read_of_a_forecast_is_one_statement(engine, model, tmp_path):
    promote_version(engine, model, 1)
    with traced(engine, tmp_path) as statements:
        live_version(engine, model, "production")
    assert len(statements) == 1, statements
    assert statements[0].startswith("SELECT")


class Moves(RuleBasedStateMachine):
    """The registry beside a list, through any sequence of moves, across processes' worth of fresh reads."""

    def __init__(self, engine: sa.Engine, model: str, alias: str) -> None:
        super().__init__()
        self.engine, self.model, self.alias = engine, model, alias
        self.stack: list[int] = []
        self.moves = 0

    @rule(number=st.integers(1, VERSIONS))
    def promote(self, number: int) -> None:
        moved = promote_version(self.engine, self.model, number, alias=self.alias)
        assert moved.changed is (self.stack[-1:] != [number])
        if moved.changed:
            self.stack.append(number)
            self.moves += 1

    @rule(to=st.none() | st.integers(1, VERSIONS))
    def back(self, to: int | None) -> None:
        below = self.stack[:-1]
        while below and to not in (None, below[-1]):
            below.pop()
        if below:
            assert roll_back(self.engine, self.model, alias=self.alias, to=to).alias.live == below[-1]
            self.stack = below
            self.moves += 1
        else:
            with pytest.raises((NothingToRollBackTo, AliasNotFound)):
                roll_back(self.engine, self.model, alias=self.alias, to=to)

    @invariant()
    def reads_agree(self) -> None:
        if self.stack:
            alias = get_alias(self.engine, self.model, self.alias)
            assert (list(alias.stack), alias.revision) == (self.stack, self.moves)
            assert live_version(self.engine, self.model, self.alias).version_number == self.stack[-1]
        else:
            with pytest.raises(AliasNotFound):
                get_alias(self.engine, self.model, self.alias)


def test_any_sequence_of_moves_equals_a_plain_list(engine, model):
    names = count()
    quick = settings(
        max_examples=25, stateful_step_count=20, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(lambda: Moves(engine, model, f"alias-{next(names)}"), settings=quick)


def test_moves_at_once_are_made_one_after_the_other(engine, model):
    promote_version(engine, model, 1)

    def move(number):
        try:
            return promote_version(engine, model, 1 + number % VERSIONS) if number % 3 else roll_back(engine, model)
        except NothingToRollBackTo:
            return None

    with ThreadPoolExecutor(4) as pool:
        made = [moved for moved in pool.map(move, range(40)) if moved is not None and moved.changed]
    made.sort(key=lambda moved: moved.alias.revision)
    assert [moved.alias.revision for moved in made] == list(range(2, 2 + len(made)))
    stacks = [(1,), *(moved.alias.stack for moved in made)]
    for (*before,), (*after,) in pairwise(stacks):
        assert after[: len(before)] == before or before[: len(after)] == after
        assert abs(len(after) - len(before)) == 1
    told = [tuple(event.details["stack"]) for event in list_events(engine, model, limit=len(stacks)).items]
    assert told[::-1] == stacks
