"""Reads a moment as people and programs write it, with its zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime

DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
EXAMPLE = "2026-05-03T12:00:00Z"
HINT = f"give one as {EXAMPLE}, or a date, which is its midnight in UTC"


def moment_from(text: str, *, past: bool = False) -> datetime:
    """Return a moment in UTC; a date alone is its midnight in UTC. `past` refuses what is still to come.

    Raises ValueError with a sentence.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r:.40} is no time; {HINT}") from None
    if DATE.fullmatch(text.strip()):
        found = found.replace(tzinfo=UTC)
    if found.tzinfo is None:
        raise ValueError(f"{text!r:.40} has no zone, so it is another moment in every place; {HINT}")
    try:
        moment = found.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r:.40} is before or after all years; {HINT}") from None
    if past and moment > datetime.now(UTC):
        raise ValueError(f"{text!r:.40} is still to come, and nobody knows what will be live then")
    return moment
