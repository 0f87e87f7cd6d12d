"""The installation's keys as a server sees them: whether it is open, whose key is presented, and when a key was last used."""

from __future__ import annotations

import logging
import queue
import threading
from datetime import UTC, datetime

from sqlalchemy import Engine

from forecastle_registry.aliases import PRODUCTION
from forecastle_registry.errors import RegistryError
from forecastle_registry.keys import NOTED_EVERY, Admission, Key, admit, is_key, note_use, prefix_of

from .errors import AccessRefused, KeyRefused
from .memory import Memory, Told
from .settings import Settings

log = logging.getLogger(__name__)

OURS = "fcst_"  # how every key begins: while a server is open, whatever else a browser or a proxy sends is no key of ours
WAITING = 1000  # uses that wait to be written; the next ones are forgotten, and the key's next request tells again

CLOSED = (
    "no key has been created, and this address may be reached by others: create one on the server itself "
    "(`forecastle keys create NAME --role admin`), bind to 127.0.0.1, or set FORECASTLE_OPEN=true where only you can reach it"
)
OPEN = "no key has been created, so whoever reaches this address may do everything"
OPEN_ANYWAY = "FORECASTLE_OPEN is true, so whoever reaches this address may do everything, though there are keys"
NEEDED = "a key is needed: send it as `Authorization: Bearer KEY`; an admin creates one with `forecastle keys create`"
INVALID = "this is not a key of this installation; look at how it was copied, or ask an admin for another one"


class Keyring:
    """Decides who may in at all. What they may do there is for their key's role and scope to say."""

    def __init__(self, engine: Engine, settings: Settings, memory: Memory, *, loopback: bool) -> None:
        self._engine, self._always_open, self._loopback = engine, settings.open, loopback
        self._memory = memory
        self._any_key = False
        self._uses = Uses(engine)

    def admit(self, secret: str | None, model: str | None = None, alias: str = PRODUCTION) -> Admission:
        """Read what a request needs to begin with. Nothing else on a forecast's way reads the database.

        Raises `DatabaseUnusable`.
        """
        admission = admit(self._engine, None if secret is None else prefix_of(secret), model, alias)
        self._any_key = admission.any_key
        return admission

    def recall(self, secret: str | None, model: str | None) -> Told[Admission]:
        """Read as `admit` does; while the database is unreachable, return what it told. For what changes nothing only.

        Raises `DatabaseUnusable`.
        """
        key = "admission", None if secret is None else prefix_of(secret), model
        return self._memory.read(key, lambda: self.admit(secret, model), matters=self._lets_somebody_in)

    def authenticate(self, secret: str | None, admission: Admission) -> Key | None:
        """Return the key that was presented, None for somebody without one where the server is open.

        Raises `KeyRefused`, or `AccessRefused` while nobody can have a key and the server is not open.
        """
        is_open = self._is_open(admission.any_key)
        if not (is_open or admission.any_key):
            raise AccessRefused(CLOSED, code="closed")
        if secret is None or (is_open and not secret.startswith(OURS)):
            if not is_open:
                raise KeyRefused(NEEDED)
            return None
        key = verified(secret, admission.key, now := datetime.now(UTC))
        self._uses.note(key, now)
        return key

    def require_open_or_key(self) -> None:
        """Raise `AccessRefused` for a server that anyone could drive, and nobody with a key."""
        if not (self._is_open(False) or self.admit(None).any_key):
            raise AccessRefused(CLOSED, code="closed")

    def why_open(self, admission: Admission | None = None) -> str | None:
        """Return why whoever reaches the server needs no key; None where they need one. Reads where there is no admission."""
        any_key = (admission or self.admit(None)).any_key
        if not self._is_open(any_key):
            return None
        return OPEN_ANYWAY if any_key else OPEN

    def seemed_open(self) -> bool:
        """Tell what the last read told, without reading: enough to say that a server is closed."""
        return self._is_open(self._any_key)

    def _lets_somebody_in(self, admission: Admission) -> bool:
        """Tell whether an admission matters later: who has no key can ask under any number of prefixes and models."""
        return admission.key is not None or self._is_open(admission.any_key)

    def _is_open(self, any_key: bool) -> bool:
        return self._always_open or (self._loopback and not any_key)


def verified(secret: str, key: Key | None, now: datetime) -> Key:
    """Return `key` when `secret` is that key, and it is still good. Raises `KeyRefused`.

    Only who has the whole secret is told that a key was revoked or has expired.
    """
    if not is_key(secret, key) or key is None:
        raise KeyRefused(INVALID, code="key-invalid")
    if key.revoked_at is not None:
        raise KeyRefused(f"the key {key.name!r} was revoked; ask an admin for another one", code="key-revoked")
    if key.is_expired(now):
        raise KeyRefused(f"the key {key.name!r} has expired; ask an admin for another one", code="key-expired")
    return key


class Uses:
    """Writes when keys were last used, off the requests' way: at most once a minute for each key, over all processes.

    Every process tells, where the row that it has just read is older than a minute, and the update itself looks again. The
    thread starts with the first use, so that a server may fork before it; a use that cannot be written is forgotten.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._told: dict[str, datetime] = {}
        self._waiting: queue.Queue[tuple[str, datetime]] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def note(self, key: Key, now: datetime) -> None:
        """Have a use written, if it is due. Returns at once."""
        last = max(filter(None, (key.last_used_at, self._told.get(key.prefix))), default=None)
        if last is not None and now - last < NOTED_EVERY:
            return
        if len(self._told) >= WAITING:
            self._told.clear()
        self._told[key.prefix] = now
        self._start()
        try:
            self._waiting.put_nowait((key.prefix, now))
        except queue.Full:
            log.warning("when the key %r was used was not noted: too many uses wait to be written", key.name)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():  # a child of a fork has none of its parent's threads
                self._thread = threading.Thread(target=self._write, name="key-uses", daemon=True)
                self._thread.start()

    def _write(self) -> None:
        while True:
            prefix, at = self._waiting.get()
            try:
                note_use(self._engine, prefix, at)
            except RegistryError as error:
                log.warning("when a key was used was not noted: %s", error.message)
