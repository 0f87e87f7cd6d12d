"""Protected aliases: who moves them, what the gate lets through, and how a second key approves."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest

from forecastle_registry.actors import Actor
from forecastle_registry.alias_states import list_aliases
from forecastle_registry.aliases import Moved, Waiting, get_alias, promote_version, roll_back
from forecastle_registry.engine import writing
from forecastle_registry.errors import AliasNotFound, AliasProtected, AliasUnprotected, GateClosed, ModelNotFound, NameRefused
from forecastle_registry.events import list_events
from forecastle_registry.protections import Protection, get_protection, list_protections, protect_alias, unprotect_alias
from forecastle_registry.tables import keys
from forecastle_registry.versions import register_version

ADA, BOB, EVE = (Actor(name, "203.0.113.7", prefix) for name, prefix in (("ada", "a1"), ("bob", "b2"), ("eve", "e3")))
TRAINER = Actor("tom", "203.0.113.7", "t4", admin=False)
KEYLESS = Actor("command line", "root@host")


@pytest.fixture
def model(engine, training):
    """Four versions of `m`, none of them live, the last of which did not converge."""
    for verdict in ("converged", "converged", "converged", "flat"):
        register_version(engine, training(verdict=verdict), promote=False)
    return "m"


def words(engine, count):
    return [(e.what, e.who, e.version) for e in reversed(list_events(engine, "m", limit=count).items)]


def test_a_protection_is_kept_and_told(engine):
    rules = Protection(min_skill=0.1, converged=False, max_age_days=40, approval=True)
    made = protect_alias(engine, "m", "production", rules, actor=ADA)
    assert get_protection(engine, "m", "production") == made
    assert (made.protection, made.created_by) == (rules, "ada")
    assert abs(made.created_at - datetime.now(UTC)) < timedelta(minutes=1)
    protect_alias(engine, "m", "candidate", Protection())
    assert [(found.alias, found.protection) for found in list_protections(engine, "m")] == [
        ("candidate", Protection()), ("production", rules),
    ]  # fmt: skip
    assert list_protections(engine, "other") == []
    assert get_protection(engine, "m", "other") is None


def test_protecting_is_an_event_with_what_was_and_what_is(engine):
    protect_alias(engine, "m", "production", Protection(), actor=ADA, reason="it is looked at")
    protect_alias(engine, "m", "production", Protection(min_skill=0.5), actor=BOB)
    protect_alias(engine, "m", "production", Protection(min_skill=0.5), actor=EVE)  # nothing changes, and nothing is said
    unprotect_alias(engine, "m", "production", actor=ADA)
    old = {"min_skill": None, "converged": True, "max_age_days": None, "approval": False}
    new = old | {"min_skill": 0.5}
    events = [(e.what, e.who, e.alias, e.reason, e.details) for e in reversed(list_events(engine, "m").items)]
    assert events == [
        ("protect", "ada", "production", "it is looked at", {"old": None, "new": old}),
        ("protect", "bob", "production", None, {"old": old, "new": new}),
        ("unprotect", "ada", "production", None, {"old": new, "new": None}),
    ]


def test_what_is_not_protected_cannot_be_unprotected(engine, model):
    for name, alias in ((model, "production"), (model, "no/name"), ("other", "production"), ("nul\0", "production")):
        with pytest.raises(AliasUnprotected):
            unprotect_alias(engine, name, alias)
        assert get_protection(engine, name, alias) is None


@pytest.mark.parametrize(("model", "alias"), [("a/b", "production"), ("m", "a/b")])
def test_only_what_can_have_a_name_is_protected(engine, model, alias):
    with pytest.raises(NameRefused):
        protect_alias(engine, model, alias, Protection())


def test_only_an_admin_moves_a_protected_alias(engine, model):
    promote_version(engine, model, 1, actor=TRAINER)
    promote_version(engine, model, 2, actor=TRAINER)
    protect_alias(engine, model, "production", Protection())
    for move in (lambda: promote_version(engine, model, 3, actor=TRAINER), lambda: roll_back(engine, model, actor=TRAINER)):
        with pytest.raises(AliasProtected, match="only an admin"):
            move()
    assert get_alias(engine, model).stack == (1, 2)
    promote_version(engine, model, 3, alias="candidate", actor=TRAINER)
    assert promote_version(engine, model, 2, actor=TRAINER).changed is False
    assert promote_version(engine, model, 3, actor=ADA).changed
    unprotect_alias(engine, model, "production")
    assert roll_back(engine, model, actor=TRAINER).alias.live == 2


def test_a_closed_gate_moves_nothing_and_gives_every_reason(engine, model):
    promote_version(engine, model, 1)
    protect_alias(engine, model, "production", Protection(min_skill=0.1))
    before = list_events(engine)
    with pytest.raises(GateClosed) as caught:
        promote_version(engine, model, 4, actor=ADA)
    assert (caught.value.number, caught.value.alias, len(caught.value.reasons)) == (4, "production", 2)
    assert "'flat'" in caught.value.message
    assert get_alias(engine, model).stack == (1,)
    assert list_events(engine) == before


def test_the_way_back_has_no_gate(engine, model):
    for number in (4, 1):
        promote_version(engine, model, number)
    protect_alias(engine, model, "production", Protection(min_skill=0.9, approval=True))
    assert roll_back(engine, model, actor=KEYLESS).alias.live == 4


def test_a_first_version_does_not_go_live_by_itself_as_a_protected_alias(engine, training):
    protect_alias(engine, "m", "production", Protection())
    found = register_version(engine, training(), promote=None)
    assert (found.live, found.refusal.code) == (False, "alias-protected")
    assert "does not go live by itself" in found.refusal.message
    with pytest.raises(AliasNotFound):
        get_alias(engine, "m")
    assert register_version(engine, training(model="other"), promote=None).live


def test_a_first_version_that_would_not_go_live_anyway_is_no_refusal(engine, training):
    protect_alias(engine, "m", "production", Protection())
    assert register_version(engine, training(verdict="flat"), promote=None).refusal is None
    assert register_version(engine, training(), promote=None).refusal is None


@pytest.mark.parametrize(
    ("protection", "verdict", "actor", "code"),
    [
        (Protection(), "converged", TRAINER, "alias-protected"),
        (Protection(), "flat", ADA, "gate-closed"),
        (Protection(approval=True), "converged", ADA, "approval-needed"),
    ],
)
def test_what_may_not_go_live_is_registered_all_the_same(engine, model, training, protection, verdict, actor, code):
    promote_version(engine, model, 1)
    protect_alias(engine, model, "production", protection)
    found = register_version(engine, training(verdict=verdict), promote=True, actor=actor)
    assert (found.version.number, found.live, found.refusal.code) == (5, False, code)
    assert get_alias(engine, model).stack == (1,)
    assert ("propose" in [what for what, _, _ in words(engine, 2)]) is (code == "approval-needed")


def test_what_the_gate_lets_through_goes_live_as_it_is_registered(engine, model, training):
    protect_alias(engine, model, "production", Protection())
    found = register_version(engine, training(), promote=True, actor=ADA)
    assert (found.live, found.refusal) == (True, None)


@pytest.fixture
def approved(engine, model):
    """Version 1 of `m` is live, and a second key must approve what follows."""
    promote_version(engine, model, 1)
    protect_alias(engine, model, "production", Protection(approval=True))
    return model


def test_a_second_key_approves(engine, approved):
    first = promote_version(engine, approved, 2, actor=ADA, reason="better")
    assert isinstance(first, Waiting)
    assert (first.live, first.proposal.version, first.proposal.proposed_by, first.proposal.key) == (1, 2, "ada", "a1")
    assert "'ada' proposed it" in first.proposal.needs
    assert get_alias(engine, approved).stack == (1,)
    second = promote_version(engine, approved, 2, actor=BOB, reason="so it is")
    assert isinstance(second, Moved)
    assert (second.previous, second.alias.stack) == (1, (1, 2))
    assert words(engine, 2) == [("propose", "ada", 2), ("promote", "bob", 2)]
    details = list_events(engine, approved, limit=1).items[0].details
    assert (details["proposed_by"], details["proposed_because"]) == ("ada", "better")
    assert list_aliases(engine, approved).items[0].waiting is None


def test_the_same_key_twice_is_no_approval(engine, approved):
    first = promote_version(engine, approved, 2, actor=ADA)
    again = promote_version(engine, approved, 2, actor=ADA)
    assert isinstance(again, Waiting)
    assert again.proposal == first.proposal
    assert [what for what, _, _ in words(engine, 10)].count("propose") == 1
    assert get_alias(engine, approved).stack == (1,)


def test_without_a_key_one_may_propose_and_not_approve(engine, approved):
    found = promote_version(engine, approved, 2, actor=KEYLESS)
    assert "proposed without a key" in found.proposal.needs
    assert isinstance(promote_version(engine, approved, 2, actor=Actor("open", "127.0.0.1")), Waiting)
    assert isinstance(promote_version(engine, approved, 2, actor=ADA), Waiting)  # hers is the first key
    assert isinstance(promote_version(engine, approved, 2, actor=KEYLESS), Waiting)
    assert get_alias(engine, approved).stack == (1,)
    assert promote_version(engine, approved, 2, actor=BOB).changed
    assert words(engine, 3) == [("propose", "command line", 2), ("propose", "ada", 2), ("promote", "bob", 2)]


def test_another_version_replaces_what_waits(engine, approved):
    promote_version(engine, approved, 2, actor=ADA)
    promote_version(engine, approved, 3, actor=BOB)
    event = list_events(engine, approved, limit=1).items[0]
    assert (event.what, event.version, event.details) == ("propose", 3, {"replaces": {"version": 2, "proposed_by": "ada"}})
    assert isinstance(promote_version(engine, approved, 2, actor=EVE), Waiting)
    assert get_alias(engine, approved).stack == (1,)


def test_a_proposal_counts_only_while_the_alias_has_not_moved(engine, model):
    for number in (1, 2):
        promote_version(engine, model, number)
    protect_alias(engine, model, "production", Protection(approval=True))
    promote_version(engine, model, 3, actor=ADA)
    roll_back(engine, model, actor=EVE)
    assert list_aliases(engine, model).items[0].waiting is None
    assert isinstance(promote_version(engine, model, 3, actor=BOB), Waiting)
    assert promote_version(engine, model, 3, actor=ADA).changed


@pytest.mark.parametrize("change", ["unprotected in between", "protected otherwise"])
def test_a_change_of_protection_forgets_what_waits(engine, approved, change):
    promote_version(engine, approved, 2, actor=ADA)
    if change == "unprotected in between":
        unprotect_alias(engine, approved, "production")
        protect_alias(engine, approved, "production", Protection(approval=True))
    else:
        protect_alias(engine, approved, "production", Protection(converged=False, approval=True))
    assert isinstance(promote_version(engine, approved, 2, actor=BOB), Waiting)


def test_an_alias_that_points_at_nothing_takes_approval_too(engine, model):
    protect_alias(engine, model, "candidate", Protection(approval=True))
    found = promote_version(engine, model, 1, alias="candidate", actor=ADA)
    assert found.live is None
    assert promote_version(engine, model, 1, alias="candidate", actor=BOB).alias.stack == (1,)


def test_the_gate_stands_before_the_approval_and_again_at_its_end(engine, approved):
    with pytest.raises(GateClosed):
        promote_version(engine, approved, 4, actor=ADA)
    assert list_aliases(engine, approved).items[0].waiting is None


def test_a_proposal_of_a_key_that_was_revoked_is_void(engine, approved):
    promote_version(engine, approved, 2, actor=ADA)
    now = datetime.now(UTC)
    row = {"prefix": "a1", "name": "ada", "role": "admin", "digest": "0" * 64, "created_at": now, "created_by": "x"}
    with writing(engine) as connection:
        connection.execute(keys.insert(), row | {"revoked_at": now})
    found = promote_version(engine, approved, 2, actor=BOB)
    assert isinstance(found, Waiting)
    assert found.proposal.proposed_by == "bob"


def test_two_keys_that_approve_at_once_make_one_move_and_one_event(engine, approved):
    promote_version(engine, approved, 2, actor=ADA)
    together = Barrier(2)

    def approve(actor):
        together.wait()
        return promote_version(engine, approved, 2, actor=actor)

    with ThreadPoolExecutor(2) as pool:
        moves = list(pool.map(approve, (BOB, EVE)))
    assert sorted(move.changed for move in moves) == [False, True]
    assert get_alias(engine, approved).stack == (1, 2)
    assert [what for what, _, _ in words(engine, 20)].count("promote") == 2  # version 1 was one of them


def test_aliases_are_listed_whole(engine, approved):
    promote_version(engine, approved, 3, alias="candidate")
    promote_version(engine, approved, 2, actor=ADA)
    protect_alias(engine, approved, "later", Protection())
    candidate, later, production = list_aliases(engine, approved).items
    assert (candidate.alias.stack, candidate.protected, candidate.waiting) == ((3,), None, None)
    assert (later.name, later.alias, later.protected.protection) == ("later", None, Protection())
    assert (production.alias.stack, production.waiting.version) == ((1,), 2)
    page = list_aliases(engine, approved, limit=2)
    assert ([state.name for state in page.items], page.next) == (["candidate", "later"], "later")
    assert [state.name for state in list_aliases(engine, approved, after=page.next, limit=2).items] == ["production"]


def test_the_aliases_of_a_model_that_is_not_there_are_those_that_are_protected(engine):
    for name in ("m", "no/name"):
        with pytest.raises(ModelNotFound):
            list_aliases(engine, name)
    protect_alias(engine, "m", "production", Protection())
    assert [state.name for state in list_aliases(engine, "m").items] == ["production"]
