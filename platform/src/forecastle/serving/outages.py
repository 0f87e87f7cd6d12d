"""What happens to requests while the artifact store is away: one of them waits for it, and the others are told at once.

A store that says nothing takes its time to fail, twenty seconds for a bucket. If every request that needs it waited so long,
all threads would, and nobody would be left to answer with the versions that are loaded.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from forecastle_registry.errors import ArtifactError, StoreUnusable

T = TypeVar("T")

PAUSE = 2.0  # s at most after a failure in which nobody asks; what failed quickly may be asked as quickly again
PATIENCE = 20.0  # s that one request may take to ask, while the others are told what was known before


class Outage:
    """The outage of one store, if there is one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reason: str | None = None
        self._ask_again = 0.0

    def ask(self, read: Callable[[], T]) -> T:
        """Return what `read` gives. Raises what it raises, and `StoreUnusable` at once where the store is known to be away."""
        began = time.monotonic()
        self._refuse_if_known(began)
        try:
            found = read()
        except StoreUnusable as error:
            now = time.monotonic()
            self._note(error.message, now + min(now - began, PAUSE))
            raise
        except ArtifactError:  # which is an answer too
            self._note(None)
            raise
        self._note(None)
        return found

    def _refuse_if_known(self, now: float) -> None:
        with self._lock:
            if self._reason is None:
                return
            if now < self._ask_again:
                raise StoreUnusable(self._reason)
            self._ask_again = now + PATIENCE

    def _note(self, reason: str | None, ask_again: float = 0.0) -> None:
        with self._lock:
            self._reason, self._ask_again = reason, ask_again
