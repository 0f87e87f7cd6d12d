"""Judges a load on servers whose alias moves meanwhile: was each answer from a version that was live within its request?

A version is live from the *call* of the move that made it so to the *return* of the move that ended it. In between nobody can
tell from outside which one counts; before and after, everybody must. All times are `time.monotonic()` of one machine.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Mean = Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class Move:
    """A promotion or rollback that was answered with 200; `live` is the version that it made live."""

    called: float
    returned: float
    live: int


@dataclass(frozen=True, slots=True)
class Answer:
    """A forecast: when its request began to be sent and when it was read to its end, and what it said.

    `server` is the URL of the one that was asked. Of a request that failed, `version` and `mean` are None, and `said` is why.
    """

    begun: float
    ended: float
    server: str
    status: int
    version: int | None
    mean: Mean | None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Life:
    """A time in which a version may answer, its borders included."""

    version: int
    since: float
    until: float


def lives_of(first: int, moves: Iterable[Move]) -> list[Life]:
    """Return when each version was live, `first` before all moves. Both `since` and `until` ascend."""
    found = []
    version, since = first, -math.inf
    for move in moves:
        if move.live != version:
            found.append(Life(version, since, move.returned))
            version, since = move.live, move.called
    return [*found, Life(version, since, math.inf)]


def allowed_versions(answer: Answer, lives: Sequence[Life]) -> set[int]:
    """Return the versions that were live at any time within a request."""
    found = set()
    for life in lives[bisect_left(lives, answer.begun, key=lambda life: life.until) :]:
        if life.since > answer.ended:
            break
        found.add(life.version)
    return found


def violations(answers: Iterable[Answer], lives: Sequence[Life], means: Mapping[int, Mean]) -> list[str]:
    """Return a sentence for each answer that failed, is from a wrong version, or has other numbers than its version."""
    return [sentence for answer in answers if (sentence := _violation(answer, lives, means))]


def _violation(answer: Answer, lives: Sequence[Life], means: Mapping[int, Mean]) -> str | None:
    if answer.status != 200 or answer.version is None:
        return f"{answer.server} failed with {answer.status}: {answer.said}"
    allowed = allowed_versions(answer, lives)
    if answer.version not in allowed:
        left = max((life.until for life in lives if life.version == answer.version and life.until < answer.begun), default=None)
        ago = "which was not live before" if left is None else f"which was left {1000 * (answer.begun - left):.1f} ms before"
        return f"{answer.server} began an answer from version {answer.version}, {ago}; allowed are {sorted(allowed)}"
    if answer.mean != means[answer.version]:
        return f"{answer.server} says version {answer.version}, and answers other numbers than that version"
    return None
