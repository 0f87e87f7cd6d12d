"""How a stamp is written and read: ISO 8601 in, and what spreadsheets write; one canonical spelling out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from .errors import DataError

MIDNIGHT = time(0)
YEAR_FIRST = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ]+(.+))?")
DAY_FIRST = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?: +(.+))?")  # with dots the day always comes first; with slashes not
PERIOD = re.compile(r"(\d{4})(?:[-/ ]?Q([1-4])|[-/](\d{1,2}))?", re.IGNORECASE)
OFFSET = re.compile(r"(?:UTC)?([+-])(\d\d):?(\d\d)")


@lru_cache(maxsize=256)
def zone(name: str) -> tzinfo:
    """Return the time zone of an IANA name, or of a fixed offset such as `+05:30`. Raises `DataError`."""
    fixed = OFFSET.fullmatch(name)
    if fixed:
        minutes = int(fixed[2]) * 60 + int(fixed[3])
        return timezone(timedelta(minutes=-minutes if fixed[1] == "-" else minutes))
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # what zoneinfo raises for an unknown, a malformed and a directory's name
        message = f"the time zone {name!r} is not known; expected an IANA name such as 'Europe/Berlin', or 'UTC'"
        raise DataError(message, code="zone-unknown") from None


def moment(text: str) -> datetime:
    """Return a date or a date with a time as a datetime, with its offset where the text has one. Raises `ValueError`."""
    text = text.strip()
    for pattern, order in ((YEAR_FIRST, (1, 2, 3)), (DAY_FIRST, (3, 2, 1))):
        found = pattern.fullmatch(text)
        if found:
            day = date(*(int(found[group]) for group in order))
            return datetime.combine(day, time.fromisoformat(found[4].replace(" ", "")) if found[4] else MIDNIGHT)
    return datetime.fromisoformat(text)


def in_zone(stamp: datetime, where: tzinfo) -> datetime:
    """Return a stamp in a zone: wall time when it has no offset, else that instant.

    A wall time that the clock skips or repeats keeps its spelling when the offset is one that the zone knows for it.
    """
    wall = stamp.replace(tzinfo=where)
    if stamp.tzinfo is None:
        return wall
    for fold in (0, 1):
        folded = wall.replace(fold=fold)
        if folded.utcoffset() == stamp.utcoffset():
            return folded
    return stamp.astimezone(where)


@dataclass(frozen=True, slots=True)
class Period:
    """A month, a quarter or a year, as `2009-10`, `2009Q4` or `2009` name it; `months` is its length."""

    year: int
    month: int
    months: int

    def has(self, day: date) -> bool:
        """Tell whether a day lies in the period."""
        return 0 <= (day.year - self.year) * 12 + day.month - self.month < self.months


def period(text: str) -> Period | None:
    """Return the period that a text names, or None when it names none."""
    found = PERIOD.fullmatch(text.strip())
    if found is None:
        return None
    if found[2]:
        return Period(int(found[1]), int(found[2]) * 3 - 2, 3)
    if found[3]:
        return Period(int(found[1]), int(found[3]), 1) if 1 <= int(found[3]) <= 12 else None
    return Period(int(found[1]), 1, 12)
