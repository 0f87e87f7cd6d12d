"""Counts requests against the limits of their key, where there are any; nothing is imported or counted until a limit is met.

A limit is a fixed window, `10/second` or `10000/day`, that begins with the first request in it. Several are separated by
semicolons: the long one is a quota.
"""

from __future__ import annotations

import logging
import threading
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from .errors import SettingsError, TooManyRequests

if TYPE_CHECKING:
    from limits import RateLimitItem

    from forecastle_registry.keys import Key

log = logging.getLogger(__name__)

MEMORY = "memory://"
SCHEMES = (MEMORY, "redis://", "rediss://", "redis+unix://")
SECONDS = 1  # that a request waits for redis, at most
PAUSE = 5.0  # seconds without counting after redis did not answer: a limit is no reason for an outage
MOST = 10**12  # requests in a window, and how many seconds it may have: what redis can count
LONGEST = 10 * 366 * 86400
REMEDY = "give one as 100/minute, or several as 10/second; 10000/day"


class Rates:
    """The limits of an installation: a key's own, or the setting's for everybody, then by key, or by address without one."""

    def __init__(self, default: str | None, storage: str) -> None:
        self._default, self._storage = default, storage
        self._counter: Any = None
        self._lock = threading.Lock()
        self._silent_until = 0.0
        if default is not None or storage != MEMORY:
            self._open()

    def count(self, key: Key | None, address: str | None) -> None:
        """Count a request. Raises `TooManyRequests` where its key, or its address, has had as many as it may."""
        text = self._default if key is None or key.limits is None else key.limits
        if text is None or time.monotonic() < self._silent_until:
            return
        who = f"address:{address}" if key is None else f"key:{key.prefix}"
        try:
            self._hit(text, who)
        except TooManyRequests:
            raise
        except ValueError as error:  # of a row that another release wrote
            log.error("the limits of the key %r are not understood (%s) and do not count", key and key.name, error)
        except Exception as error:  # noqa: BLE001  the border to redis' client, which raises its own kinds
            self._silent_until = time.monotonic() + PAUSE
            log.error("requests are not counted, because %s does not answer: %s", self._storage.split("@")[-1], error)

    def _hit(self, text: str, who: str) -> None:
        counter = self._counter or self._open()
        for item in limits_from(text):
            if not counter.hit(item, who):
                reset, _ = counter.get_window_stats(item, who)
                raise TooManyRequests(str(item), max(1, round(reset - time.time() + 0.5)))

    def _open(self) -> Any:
        with self._lock:
            if self._counter is None:
                from limits.errors import ConfigurationError
                from limits.storage import storage_from_string
                from limits.strategies import FixedWindowRateLimiter

                patience = {} if self._storage == MEMORY else {"socket_timeout": SECONDS, "socket_connect_timeout": SECONDS}
                try:
                    storage = storage_from_string(self._storage, **patience)
                except (ConfigurationError, ValueError) as error:
                    where = self._storage.split("@")[-1]
                    message = f"FORECASTLE_RATE_STORAGE is {where!r}, which cannot be used: {error}"
                    raise SettingsError(f"{message}; pip install 'forecastle-platform[redis]' brings its client") from None
                self._counter = FixedWindowRateLimiter(storage)
        return self._counter


@lru_cache(maxsize=256)
def limits_from(text: str) -> tuple[RateLimitItem, ...]:
    """Read limits, the shortest window first. Raises ValueError with a sentence."""
    from limits import parse_many

    try:
        found = parse_many(text)
    except ValueError:
        raise ValueError(f"{text!r:.80} is no limit; {REMEDY}") from None
    if any(item.amount < 1 for item in found):
        raise ValueError(f"{text!r:.80} would let no request through; {REMEDY}")
    if not all(item.amount <= MOST and 1 <= item.get_expiry() <= LONGEST for item in found):
        raise ValueError(f"{text!r:.80} cannot be counted: at most {MOST} requests, in a second to ten years; {REMEDY}")
    return tuple(sorted(found, key=lambda item: item.get_expiry()))
