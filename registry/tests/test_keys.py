"""Keys: made once, stored as a digest, read together with what is live, revoked for good."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
import sqlalchemy as sa

from forecastle_registry.actors import Actor
from forecastle_registry.aliases import Live, live_version, promote_version
from forecastle_registry.engine import writing
from forecastle_registry.errors import DatabaseBehind, KeyNameTaken, KeyNotFound, KeyTermsRefused, LastAdminKey, NameRefused
from forecastle_registry.events import list_events
from forecastle_registry.keys import (
    ROLES,
    admit,
    create_key,
    digest_of_key,
    get_key,
    has_admin,
    is_key,
    list_keys,
    note_use,
    prefix_of,
    revoke_key,
)
from forecastle_registry.pages import page_of, page_where
from forecastle_registry.tables import keys
from forecastle_registry.versions import register_version

OPS = Actor("ops", "10.0.0.7")
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def test_a_key_is_shown_once_and_stored_as_its_digest(engine):
    created = create_key(engine, "ada", "reader", models="sales-*, stock", limits="10/minute", actor=OPS)
    assert re.fullmatch(r"fcst_[0-9a-f]{8}_[A-Za-z0-9_-]{43}", created.secret)
    assert prefix_of(created.secret) == created.key.prefix
    assert created.key.digest == digest_of_key(created.secret)
    assert created.secret not in repr(created)
    assert (created.key.models, created.key.limits, created.key.created_by) == ("sales-*,stock", "10/minute", "ops")
    assert get_key(engine, "ada") == created.key
    with engine.connect() as connection:
        rows = (
            connection.execute(sa.text("SELECT * FROM keys")).all() + connection.execute(sa.text("SELECT * FROM events")).all()
        )
    assert created.secret[len("fcst_00000000_") :] not in str(rows)


def test_making_and_revoking_are_events_without_the_secret(engine):
    expires = datetime.now(UTC) + timedelta(days=90)
    created = create_key(engine, "ada", "admin", expires_at=expires, actor=OPS)
    revoke_key(engine, "ada", actor=OPS)
    revoked, made = list_events(engine).items
    assert (made.what, made.who, made.origin) == ("key-create", "ops", "10.0.0.7")
    assert made.details.items() >= {"key": "ada", "prefix": created.key.prefix, "role": "admin", "models": None}.items()
    assert made.details["expires_at"].endswith("Z")
    assert (revoked.what, revoked.details) == ("key-revoke", {"key": "ada", "prefix": created.key.prefix})


def test_one_read_tells_the_key_whether_there_is_any_and_what_is_live(engine, training):
    assert admit(engine, None) == admit(engine, "00000000", "m")
    assert admit(engine, None).any_key is False
    register_version(engine, training(), promote=True)
    created = create_key(engine, "ada", "reader", expires_at=datetime.now(UTC) + timedelta(days=1))
    found = admit(engine, created.key.prefix, "m")
    assert (found.key, found.any_key, found.live) == (created.key, True, live_version(engine, "m"))
    assert isinstance(found.live, Live)
    stranger = admit(engine, "00000000", "m")
    assert (stranger.key, stranger.any_key, stranger.live) == (None, True, found.live)


@pytest.mark.parametrize(("model", "alias"), [("m", "staging"), ("n", "production"), ("a\0b", "production"), ("m", "\ud800")])
def test_where_nothing_is_live_the_read_says_so(engine, training, model, alias):
    register_version(engine, training(), promote=True)
    assert admit(engine, None, model, alias).live is None


def test_what_is_live_follows_every_move(engine, training):
    for _ in range(3):
        register_version(engine, training(), promote=False)
    for number in (2, 1, 3):
        promote_version(engine, "m", number)
        promote_version(engine, "m", 4 - number, alias="staging")
        assert admit(engine, None, "m").live == live_version(engine, "m")
        assert admit(engine, None, "m", "staging").live == live_version(engine, "m", "staging")


def test_a_revoked_key_counts_as_one_that_was_made(engine):
    create_key(engine, "ada", "admin")
    revoked = revoke_key(engine, "ada")
    assert revoked.revoked_at is not None
    assert admit(engine, revoked.prefix).key == revoked
    assert admit(engine, None).any_key is True


def test_revoking_twice_changes_nothing_and_is_one_event(engine):
    create_key(engine, "ada", "reader")
    assert revoke_key(engine, "ada") == revoke_key(engine, "ada")
    assert [event.what for event in list_events(engine).items] == ["key-revoke", "key-create"]


def test_only_the_secret_itself_is_the_key(engine):
    ada, bob = create_key(engine, "ada", "reader"), create_key(engine, "bob", "admin")
    assert is_key(ada.secret, ada.key)
    assert not is_key(ada.secret[:-1] + ("A" if ada.secret[-1] != "A" else "B"), ada.key)
    assert not is_key(ada.secret, bob.key)
    assert not is_key(ada.key.digest, ada.key)
    assert not is_key(f"fcst_{ada.key.prefix}_{ada.key.digest[:43]}", ada.key)
    assert not is_key(ada.secret, None)
    assert not is_key("\ud800", ada.key)
    nothing = replace(ada.key, digest="0" * 64)
    assert not is_key("0" * 64, nothing)


@pytest.mark.parametrize(
    "text", ["", "fcst_", "fcst_0123abcd_", "fcst_0123ABCD_" + "x" * 43, "fcst_0123abcd_" + "x" * 44 + "\n"]
)
def test_what_has_not_the_form_of_a_key_has_no_prefix(text):
    assert prefix_of(text) is None


@pytest.mark.parametrize(
    ("scope", "inside", "outside"),
    [
        (None, ["a", "B"], []),
        ("sales", ["sales"], ["sales-eu", "Sales"]),
        ("sales-*", ["sales-", "sales-eu"], ["sales", "SALES-eu"]),
        ("sales-?, stock", ["sales-1", "stock"], ["sales-12", "stocks"]),
        ("us-[a-m]*", ["us-gdp"], ["us-unemp"]),
    ],
)
def test_a_scope_is_patterns_of_names(engine, scope, inside, outside):
    key = create_key(engine, "ada", "reader", models=scope).key
    assert all(map(key.covers, inside))
    assert not any(map(key.covers, outside))


@pytest.mark.parametrize(
    "terms",
    [
        {"role": "root"},
        {"role": "public"},
        {"models": ""},
        {"models": "a,,b"},
        {"models": "a b"},
        {"models": "a," * 101 + "a"},
        {"expires_at": datetime(2020, 1, 1, tzinfo=UTC)},
        {"limits": ""},
        {"limits": "1" * 201},
    ],
)
def test_terms_that_no_key_can_have_are_refused(engine, terms):
    with pytest.raises(KeyTermsRefused):
        create_key(engine, "ada", **{"role": "reader", **terms})
    assert admit(engine, None).any_key is False


def test_a_name_is_given_once_for_ever(engine):
    create_key(engine, "ada", "reader")
    revoke_key(engine, "ada")
    with pytest.raises(KeyNameTaken):
        create_key(engine, "ada", "admin")
    with pytest.raises(NameRefused):
        create_key(engine, "a/b", "admin")


@pytest.mark.parametrize("name", ["open", "serving", "local", "Open"])
def test_no_key_is_called_what_the_log_says_of_who_has_none(engine, name):
    with pytest.raises(KeyTermsRefused, match="audit log"):
        create_key(engine, name, "reader")


def test_of_two_that_take_one_name_at_once_one_gets_it(engine):
    def make(_):
        try:
            return create_key(engine, "ada", "reader")
        except KeyNameTaken:
            return None

    with ThreadPoolExecutor(4) as people:
        made = [key for key in people.map(make, range(4)) if key]
    assert [get_key(engine, "ada")] == [created.key for created in made]


@pytest.mark.parametrize("name", ["nobody", "a/b", "\0"])
def test_an_unknown_key_is_not_found(engine, name):
    for read in (get_key, revoke_key):
        with pytest.raises(KeyNotFound):
            read(engine, name)


def test_the_last_key_that_can_make_others_is_kept_unless_that_is_meant(engine):
    create_key(engine, "boss", "admin")
    create_key(engine, "scoped", "admin", models="sales-*")
    create_key(engine, "reader", "reader")
    revoke_key(engine, "reader", keep_admin=True)
    revoke_key(engine, "scoped", keep_admin=True)
    with pytest.raises(LastAdminKey):
        revoke_key(engine, "boss", keep_admin=True)
    assert has_admin(engine)
    create_key(engine, "second", "admin", expires_at=datetime.now(UTC) + timedelta(days=1))
    revoke_key(engine, "boss", keep_admin=True)
    revoke_key(engine, "second")
    assert not has_admin(engine)


def test_of_two_admins_who_revoke_each_other_at_once_one_stays(engine):
    for number in range(20):
        pair = [f"{name}-{number}" for name in ("ada", "bob")]
        for name in pair:
            create_key(engine, name, "admin")
        meet = Barrier(2)

        def revoke(name, meet=meet):
            meet.wait()
            try:
                return revoke_key(engine, name, keep_admin=True)
            except LastAdminKey:
                return None

        with ThreadPoolExecutor(2) as people:
            (gone,) = filter(None, people.map(revoke, pair))
        assert has_admin(engine)
        revoke_key(engine, next(name for name in pair if name != gone.name))


def test_an_expired_admin_key_can_make_no_others(engine):
    create_key(engine, "old", "admin")
    with writing(engine) as connection:
        connection.execute(keys.update().values(expires_at=NOW - timedelta(days=1000)))
    assert not has_admin(engine)
    create_key(engine, "boss", "admin")
    with pytest.raises(LastAdminKey):
        revoke_key(engine, "boss", keep_admin=True)


def test_keys_are_listed_by_name_page_by_page(engine):
    for name in ("cy", "ada", "bob"):
        create_key(engine, name, "reader")
    first = list_keys(engine, limit=2)
    assert [key.name for key in first.items] == ["ada", "bob"]
    rest = list_keys(engine, after=first.next, limit=2)
    assert ([key.name for key in rest.items], rest.next) == (["cy"], None)


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_page_of_what_is_wanted_is_full_and_says_whether_there_is_more(size):
    numbers = [f"{n:03}" for n in range(20)]

    def read(after):
        rest = [number for number in numbers if after is None or number > after]
        return page_of(rest[: size + 1], size, str)

    def page(after, limit):
        return page_where(read, lambda number: int(number) % 3 == 0, str, after=after, limit=limit)

    assert (page(None, 3).items, page(None, 3).next) == (["000", "003", "006"], "006")
    assert (page("006", 3).items, page("006", 3).next) == (["009", "012", "015"], "015")
    assert (page("015", 3).items, page("015", 3).next) == (["018"], None)
    assert page(None, 7) == page(None, 50)


def test_a_use_is_stored_once_a_minute(engine):
    prefix = create_key(engine, "ada", "reader").key.prefix
    assert note_use(engine, prefix, NOW)
    assert not note_use(engine, prefix, NOW + timedelta(seconds=59))
    assert not note_use(engine, prefix, NOW - timedelta(hours=1))
    assert note_use(engine, prefix, NOW + timedelta(seconds=61))
    assert get_key(engine, "ada").last_used_at == NOW + timedelta(seconds=61)
    assert not note_use(engine, "00000000", NOW)


def test_a_key_ends_at_its_time(engine):
    key = replace(create_key(engine, "ada", "reader").key, expires_at=NOW)
    assert not key.is_expired(NOW - timedelta(microseconds=1))
    assert key.is_expired(NOW)
    assert not replace(key, expires_at=None).is_expired(NOW)


def test_a_database_of_the_release_before_says_so(engine):
    with writing(engine) as connection:
        keys.drop(connection)
    with pytest.raises(DatabaseBehind):
        admit(engine, None)


def test_the_roles_are_those_of_the_documentation():
    assert ROLES == ("reader", "trainer", "admin")
