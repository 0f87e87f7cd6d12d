"""What this process could not load: not tried again for a moment, told to the log once, and forgotten when it loads."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from forecastle_registry.actors import Actor
from forecastle_registry.engine import writing
from forecastle_registry.errors import ArtifactCorrupt, ArtifactMissing, ArtifactRefused, RegistryError
from forecastle_registry.events import log_event
from forecastle_registry.skops_zip import shown
from forecastle_sdk.errors import StateError

from ..errors import GoldenMismatch

log = logging.getLogger(__name__)

# What lies with the version, so that an older one may serve. A store, a database or a plugin that is not there is no reason
# to answer from another version: that is over in a moment, or an operator's to mend.
UNLOADABLE = (ArtifactMissing, ArtifactCorrupt, ArtifactRefused, GoldenMismatch, StateError)

RETRY_AFTER = 2.0  # seconds: a version that was mended is served soon, and a thousand requests are not a thousand loads
REMEMBERED = 1000

Key = tuple[str, int, str]  # model, number, digest of the artifact


@dataclass(frozen=True, slots=True)
class Failure:
    """A version that did not load, and the error of `UNLOADABLE` that said so, `bare` where it is remembered."""

    model: str
    version: int
    digest: str
    error: Exception

    @property
    def code(self) -> str:
        """The error's stable code."""
        return code_of(self.error)

    @property
    def message(self) -> str:
        """What went wrong, as it can be stored and shown anywhere."""
        return message_of(self.error)


def code_of(error: Exception) -> str:
    """Return the stable code of an error of ours."""
    return str(getattr(error, "reason", None) or getattr(error, "code", "unknown"))


def message_of(error: Exception) -> str:
    """Return what an error says, short and of printable characters: it may quote an artifact."""
    return shown(str(error))


def bare(error: Exception) -> Exception:
    """Return an error without its traceback and causes: their frames would keep the artifact, and the request, in memory."""
    found = type(error).__new__(type(error), *error.args)
    found.__dict__.update(error.__dict__)
    return found


class Failures:
    """The failures of one process, at most `REMEMBERED` of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failed: OrderedDict[Key, tuple[Failure, float]] = OrderedDict()
        self._told: OrderedDict[tuple[str, int, str], None] = OrderedDict()
        self._untold: dict[Key, Failure] = {}

    def recent(self, key: Key) -> Failure | None:
        """Return the failure of a version that was tried within the last `RETRY_AFTER` seconds."""
        with self._lock:
            failure, at = self._failed.get(key, (None, 0.0))
            return failure if time.monotonic() - at < RETRY_AFTER else None

    def add(self, failure: Failure) -> None:
        """Remember a failure; one that this process has not told of yet is there for `take_untold`."""
        key = (failure.model, failure.version, failure.digest)
        told = (failure.model, failure.version, failure.code)
        with self._lock:
            self._failed[key] = failure, time.monotonic()
            self._failed.move_to_end(key)
            if told not in self._told:
                self._told[told] = None
                self._untold[key] = failure
            while len(self._failed) > REMEMBERED:
                self._failed.popitem(last=False)
            while len(self._told) > REMEMBERED:
                self._told.popitem(last=False)

    def take_untold(self, key: Key) -> Failure | None:
        """Return a failure that is to be told, to one caller only."""
        with self._lock:
            return self._untold.pop(key, None)

    def untell(self, failure: Failure) -> None:
        """Tell of a failure again when it is met again: the log could not be written."""
        with self._lock:
            self._told.pop((failure.model, failure.version, failure.code), None)

    def remove(self, key: Key) -> None:
        """Forget the failure of a version that loads."""
        with self._lock:
            self._failed.pop(key, None)

    def models(self) -> list[str]:
        """Return the models that have versions which did not load, the one that failed last first."""
        with self._lock:
            return list(dict.fromkeys(model for model, _, _ in reversed(self._failed)))


def write_event(engine: Engine, failure: Failure) -> bool:
    """Write a failure into the audit log; return whether that was possible. A request must not fail for it."""
    what = "golden-mismatch" if isinstance(failure.error, GoldenMismatch) else "artifact-refused"
    actor = Actor("serving", socket.gethostname()[:200], admin=False)
    details = {"code": failure.code, "message": failure.message, "digest": failure.digest}
    log.error("version %d of %s is not served: %s", failure.version, failure.model, failure.message)
    try:
        with writing(engine) as connection:
            log_event(connection, actor, what, model=failure.model, version=failure.version, details=details)
    except (RegistryError, SQLAlchemyError) as error:
        log.warning("the audit log cannot say so: %s", error)
        return False
    return True
