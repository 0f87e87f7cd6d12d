"""What reads of the database told, for answers while it is unreachable: FORECASTLE_STALE_FOR says for how long.

Only what a forecast needs is read through here. What is remembered is what the newest read told, and its age counts from when
that read began; where two reads overlapped and told different things, nothing is remembered until the next one.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from forecastle_registry.errors import DatabaseAhead, DatabaseBehind, DatabaseUnusable, RegistryError
from forecastle_sdk import Notice

T = TypeVar("T")

SIZE = 10_000  # reads that are remembered; each is a few hundred bytes
PAUSE = 1.0  # s after a failure in which nobody looks again
PATIENCE = 5.0  # s that one request may take to look again, while the others answer from memory


@dataclass(frozen=True, slots=True)
class Told(Generic[T]):
    """What a read told; `age` is the seconds since it began where it comes from memory, None where it was made just now."""

    value: T
    age: float | None = None

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What a person should know about it."""
        if self.age is None:
            return ()
        return (Notice("stale", f"the database is unreachable: this is what it told {self.age:.0f} s ago"),)


@dataclass(slots=True)
class _Read:
    """A read of the past, by the monotonic clock; where reads told different things at once, `value` is nobody's."""

    value: Any
    began: float
    ended: float
    disputed: bool = False


class Memory:
    """Reads the database, and remembers for `seconds` what it told; with 0 nothing is ever remembered."""

    def __init__(self, seconds: float, size: int = SIZE) -> None:
        self._seconds, self._size = seconds, size
        self._reads: OrderedDict[Hashable, _Read] = OrderedDict()
        self._lock = threading.Lock()
        self._outage: DatabaseUnusable | None = None
        self._look_again = 0.0
        self._forgotten = 0.0

    def read(self, key: Hashable, read: Callable[[], T], *, matters: Callable[[T], bool] = lambda _: True) -> Told[T]:
        """Return what `read` tells; while the database is unreachable, what it told under this key at most `seconds` ago.

        What does not matter is the first to be forgotten where too much was read, and makes nothing forgotten that does.
        Raises what `read` raises, and `DatabaseUnusable` where nothing is remembered.
        """
        if not self._seconds:
            return Told(read())
        began = time.monotonic()
        if (outage := self._known_outage(began)) is not None:
            return self._recall(key, outage)
        try:
            value = read()
        except RegistryError as error:
            if not isinstance(error, DatabaseUnusable) or isinstance(error, DatabaseBehind | DatabaseAhead):
                self._note_answer()  # that there is no such model is an answer too
                raise
            self._note_outage(error)
            return self._recall(key, error)
        self._note_answer()
        self._remember(key, _Read(value, began, time.monotonic()), matters(value))
        return Told(value)

    def forget(self) -> None:
        """Remember nothing that was read before now, because something has changed."""
        with self._lock:
            self._forgotten = time.monotonic()

    def _known_outage(self, now: float) -> DatabaseUnusable | None:
        """Return why the database need not be asked now. After a pause one request looks again, and the others go on."""
        with self._lock:
            if self._outage is None:
                return None
            if now < self._look_again:
                return self._outage
            self._look_again = now + PATIENCE
            return None

    def _note_outage(self, error: DatabaseUnusable) -> None:
        with self._lock:
            self._outage, self._look_again = error, time.monotonic() + PAUSE

    def _note_answer(self) -> None:
        with self._lock:
            self._outage = None

    def _remember(self, key: Hashable, new: _Read, matters: bool) -> None:
        with self._lock:
            old = self._reads.get(key)
            if old is None or new.began >= old.ended:
                self._reads[key] = new
            elif old.value == new.value:
                old.began, old.ended = max(old.began, new.began), max(old.ended, new.ended)
            elif not old.disputed:
                self._reads[key] = _Read(None, new.began, max(old.ended, new.ended), disputed=True)
            self._reads.move_to_end(key, last=matters)
            while len(self._reads) > self._size:
                self._reads.popitem(last=False)

    def _recall(self, key: Hashable, outage: DatabaseUnusable) -> Told[Any]:
        now = time.monotonic()
        with self._lock:
            found = self._reads.get(key)
            if found is None or found.disputed or found.began < max(self._forgotten, now - self._seconds):
                raise DatabaseUnusable(outage.message)
            return Told(found.value, now - found.began)
