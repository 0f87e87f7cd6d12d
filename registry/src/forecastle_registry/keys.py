"""The keys with which others may ask: made and revoked here with their events, and read for every request in one query.

A key is `fcst_<prefix>_<secret>`. The prefix finds its row; the row holds the SHA-256 of the whole, never the key itself.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

import sqlalchemy as sa

from .actors import KEYLESS, LOCAL, Actor
from .aliases import LIVE, PRODUCTION, Live
from .engine import first_row, reading, writing
from .errors import KeyNameTaken, KeyNotFound, KeyTermsRefused, LastAdminKey
from .events import log_event
from .pages import Page, page_of
from .plain import check_name, is_name
from .tables import keys, time_text

ROLES = ("reader", "trainer", "admin")  # each may do what those before it may
ADMIN = ROLES[-1]
KEY = re.compile(r"fcst_([0-9a-f]{8})_[A-Za-z0-9_-]{43}")
PATTERN = re.compile(r"[A-Za-z0-9._*?!\[\]-]{1,200}")
LONGEST = 200  # of `models` and of `limits`, as the table has them
NOTED_EVERY = timedelta(minutes=1)
ATTEMPTS = 5
_NO_DIGEST = "0" * 64


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret. Times are aware, in UTC.

    `models` is the scope: glob patterns of model names, separated by commas; None is every model. `limits` is text for
    whoever counts requests.
    """

    prefix: str
    name: str
    role: str
    digest: str = field(repr=False)
    models: str | None
    limits: str | None
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def is_expired(self, now: datetime) -> bool:
        """Tell whether its time is over."""
        return self.expires_at is not None and self.expires_at <= now

    def covers(self, model: str) -> bool:
        """Tell whether a model is within this key's scope."""
        return self.models is None or any(fnmatchcase(model, pattern) for pattern in self.models.split(","))


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """A key that was just made, with the secret that is shown this once."""

    key: Key
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Admission:
    """What the database says as a request begins: all of one moment, because it is one read.

    `key` is the row that the prefix names, whoever presents it: whether the secret is that key, and is still good, is for
    `is_key`, `Key.is_expired` and `Key.revoked_at` to say. `any_key` tells whether a key was ever made, revoked ones
    among them. `live` is what the alias points at, None where no model was asked for, or nothing is live.
    """

    key: Key | None
    any_key: bool
    live: Live | None


_COLUMNS = [keys.c[f.name] for f in fields(Key)]
_TIMES = ("created_at", "expires_at", "revoked_at", "last_used_at")
_TOP = LIVE.subquery("top")
_ONE = sa.select(sa.exists(sa.select(keys.c.prefix)).label("any_key")).subquery("one")  # a row, whatever else there is
# Times stay text: on the short way to SQLite nobody converts them, so nobody does on the way to Postgres either.
_ADMISSION = sa.select(
    _ONE.c.any_key,
    *_TOP.c,
    *(sa.type_coerce(column, sa.String) if column.name in _TIMES else column for column in _COLUMNS),
).select_from(
    _ONE.outerjoin(_TOP, sa.true()).outerjoin(keys, keys.c.prefix == sa.bindparam("prefix")),
)


def admit(engine: sa.Engine, prefix: str | None, model: str | None = None, alias: str = PRODUCTION) -> Admission:
    """Read the key of a prefix, whether there is any key, and what an alias points at, in one query in autocommit.

    This is the one read on a forecast's way; whatever lets a server answer without the database wraps this function and keeps
    its answers by `(prefix, model, alias)`. Raises `DatabaseUnusable`.
    """
    named = model is not None and is_name(model) and is_name(alias)
    parameters = {"prefix": prefix, "model": model if named else None, "alias": alias if named else None}
    row = first_row(engine, _ADMISSION, parameters)
    assert row is not None  # `_ONE` has exactly one row
    any_key, version, plugin, digest, *rest = row
    live = None if version is None or model is None else Live(model, alias, version, plugin, digest)
    return Admission(None if rest[0] is None else _key_of(rest), bool(any_key), live)


def prefix_of(secret: str) -> str | None:
    """Return the prefix of what has the form of a key, else None."""
    parts = KEY.fullmatch(secret)
    return parts[1] if parts else None


def digest_of_key(secret: str) -> str:
    """Return the SHA-256 of a whole key, as it is stored."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def is_key(secret: str, key: Key | None) -> bool:
    """Tell whether `secret` is `key`, in a time that depends neither on how much of it is right nor on there being a row."""
    return hmac.compare_digest(digest_of_key(secret), _NO_DIGEST if key is None else key.digest) and key is not None


def create_key(
    engine: sa.Engine,
    name: str,
    role: str,
    *,
    models: str | None = None,
    expires_at: datetime | None = None,
    limits: str | None = None,
    actor: Actor = LOCAL,
) -> CreatedKey:
    """Make a key, with its event. The first one closes an installation that was open.

    Raises `NameRefused`, `KeyNameTaken`, or `KeyTermsRefused` for a name, role, scope or expiry that no key can have.
    """
    check_name(name)
    if name.lower() in KEYLESS:
        raise KeyTermsRefused(f"{name!r} is what the audit log says of who has no key; give another name")
    terms = {"role": role, "models": _scope(models), "limits": limits, "expires_at": expires_at}
    _check_terms(role, expires_at, limits)
    now = datetime.now(UTC)
    rest = {"name": name, **terms, "created_at": now, "created_by": actor.name, "revoked_at": None, "last_used_at": None}
    with writing(engine) as connection:
        created = _insert(connection, rest)
        told = terms | {"key": name, "prefix": created.key.prefix, "expires_at": expires_at and time_text(expires_at)}
        log_event(connection, actor, "key-create", details=told)
    return created


def revoke_key(engine: sa.Engine, name: str, *, keep_admin: bool = False, actor: Actor = LOCAL) -> Key:
    """Revoke a key, with its event, and return it; one that is revoked already stays as it is. Its row is kept for ever.

    Raises `KeyNotFound`; with `keep_admin` also `LastAdminKey` for the last key that could make another one.
    """
    with writing(engine) as connection:
        admins = _good_admins(connection) if keep_admin else []  # before the key itself: all hold them in one order
        key = _read_key(connection, name)
        if key.revoked_at is not None:
            return key
        if admins == [key.prefix]:
            raise LastAdminKey(name)
        now = datetime.now(UTC)
        connection.execute(keys.update().where(keys.c.prefix == key.prefix).values(revoked_at=now))
        log_event(connection, actor, "key-revoke", details={"key": name, "prefix": key.prefix})
        return _read_key(connection, name)


def get_key(engine: sa.Engine, name: str) -> Key:
    """Return a key by its name. Raises `KeyNotFound`."""
    with reading(engine) as connection:
        return _read_key(connection, name)


def list_keys(engine: sa.Engine, *, after: str | None = None, limit: int = 50) -> Page[Key]:
    """Return the keys by name, revoked ones too; `after` is a name: go on behind it."""
    query = sa.select(*_COLUMNS).order_by(keys.c.name).limit(limit + 1)
    if after is not None:
        query = query.where(keys.c.name > after)
    with reading(engine) as connection:
        found = [Key(**row) for row in connection.execute(query).mappings()]
    return page_of(found, limit, lambda key: key.name)


def has_admin(engine: sa.Engine) -> bool:
    """Tell whether some key that is still good can make and revoke keys."""
    with reading(engine) as connection:
        return bool(_good_admins(connection))


def note_use(engine: sa.Engine, prefix: str, at: datetime) -> bool:
    """Store when a key was used, unless a use within a minute of that stands there; tell whether it was stored."""
    due = keys.c.last_used_at.is_(None) | (keys.c.last_used_at < at - NOTED_EVERY)
    with writing(engine) as connection:
        stored = connection.execute(keys.update().where(keys.c.prefix == prefix, due).values(last_used_at=at))
    return bool(stored.rowcount)


def _key_of(row: Sequence[Any]) -> Key:
    """Return a key from its part of a row of `_ADMISSION`, in which times are text; this is on every request's way."""
    prefix, name, role, digest, models, limits, made, maker, expires, revoked, used = row
    times = _time(expires), _time(revoked), _time(used)
    return Key(prefix, name, role, digest, models, limits, datetime.fromisoformat(made), maker, *times)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _insert(connection: sa.Connection, rest: Mapping[str, Any]) -> CreatedKey:
    """Insert a key under a prefix that no other has: of two that are made at once, the database lets one pass."""
    for _ in range(ATTEMPTS):
        prefix = secrets.token_hex(4)
        secret = f"fcst_{prefix}_{secrets.token_urlsafe(32)}"
        key = Key(prefix=prefix, digest=digest_of_key(secret), **rest)
        try:
            with connection.begin_nested():
                connection.execute(keys.insert(), asdict(key))
        except sa.exc.IntegrityError:
            if connection.execute(sa.select(keys.c.name).where(keys.c.name == key.name)).first():
                raise KeyNameTaken(key.name) from None
        else:
            return CreatedKey(key, secret)
    raise AssertionError("no free prefix among 2**32")


def _scope(models: str | None) -> str | None:
    """Return the patterns without blanks. Raises `KeyTermsRefused`."""
    if models is None:
        return None
    patterns = [pattern.strip() for pattern in models.split(",")]
    if len(models) > LONGEST or not all(map(PATTERN.fullmatch, patterns)):
        raise KeyTermsRefused(f"{models!r:.80} is no scope; give patterns of model names separated by commas, as sales-*,stock")
    return ",".join(patterns)


def _check_terms(role: str, expires_at: datetime | None, limits: str | None) -> None:
    if role not in ROLES:
        raise KeyTermsRefused(f"{role!r:.40} is no role; choose one of {', '.join(ROLES)}")
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise KeyTermsRefused(f"a key that expires at {time_text(expires_at)} would be of no use; give a time to come")
    if limits is not None and not 0 < len(limits) <= LONGEST:
        raise KeyTermsRefused(f"the limits have {len(limits)} characters; expected 1 to {LONGEST}")


def _read_key(connection: sa.Connection, name: str) -> Key:
    query = sa.select(*_COLUMNS).where(keys.c.name == name).with_for_update()
    row = connection.execute(query).mappings().first() if is_name(name) else None
    if row is None:
        raise KeyNotFound(name)
    return Key(**row)


def _good_admins(connection: sa.Connection) -> list[str]:
    """Return the prefixes of the keys that can make others, and hold their rows until the transaction ends."""
    now = datetime.now(UTC)
    good = keys.c.revoked_at.is_(None) & (keys.c.expires_at.is_(None) | (keys.c.expires_at > now))
    query = sa.select(keys.c.prefix).where(keys.c.role == ADMIN, keys.c.models.is_(None), good).order_by(keys.c.prefix)
    return list(connection.execute(query.with_for_update()).scalars())
