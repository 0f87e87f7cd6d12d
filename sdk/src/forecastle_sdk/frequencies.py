"""Frequencies in pandas' spelling, without pandas: which dates lie on one, and how they are counted.

A spelling (`2W-MON`) is a multiple (2), a name (`W`) and an anchor (`MON`). Days and longer are a `Rule`, which numbers its
dates one after the other; shorter ones are a fixed length of elapsed time. Months and weeks are numbered from year 1, so that
any horizon is one addition away.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Protocol

from .errors import DataError

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
WEEKS_OF_A_YEAR = 52
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


class Rule(Protocol):
    """Dates that follow each other, numbered without a hole: `number(date(n)) == n`."""

    def number(self, day: date) -> int | None:
        """Return the number of `day`, or None when it is not one of the rule's dates."""

    def date(self, number: int) -> date:
        """Return the date of that number. Raises `ValueError` or `OverflowError` outside the years 1 to 9999."""

    def season(self, multiple: int) -> int:
        """Return how many steps of `multiple` dates make a season; 1 when they do not make a whole number."""


@dataclass(frozen=True, slots=True)
class Months:
    """One date every `every` months, the first of them in month `anchor` (0: January), on the day that `edge` gives."""

    every: int
    anchor: int
    edge: Callable[[int, int], int]

    def number(self, day: date) -> int | None:
        """See `Rule`."""
        number, rest = divmod(day.year * 12 + day.month - 1 - self.anchor, self.every)
        return number if rest == 0 and day.day == self.edge(day.year, day.month) else None

    def date(self, number: int) -> date:
        """See `Rule`."""
        year, month = divmod(number * self.every + self.anchor, 12)
        if not 1 <= year <= 9999:
            raise ValueError(f"year {year} is out of range")
        return date(year, month + 1, self.edge(year, month + 1))

    def season(self, multiple: int) -> int:
        """See `Rule`."""
        return _whole(12, self.every * multiple)


@dataclass(frozen=True, slots=True)
class HalfMonths:
    """Two dates every month, on the days that the two edges give."""

    edges: tuple[Callable[[int, int], int], Callable[[int, int], int]]

    def number(self, day: date) -> int | None:
        """See `Rule`."""
        days = [edge(day.year, day.month) for edge in self.edges]
        return (day.year * 12 + day.month - 1) * 2 + days.index(day.day) if day.day in days else None

    def date(self, number: int) -> date:
        """See `Rule`."""
        months, half = divmod(number, 2)
        year, month = divmod(months, 12)
        if not 1 <= year <= 9999:
            raise ValueError(f"year {year} is out of range")
        return date(year, month + 1, self.edges[half](year, month + 1))

    def season(self, multiple: int) -> int:
        """See `Rule`."""
        return _whole(24, multiple)


@dataclass(frozen=True, slots=True)
class Days:
    """One date every `every` days; for weeks `anchor` is the weekday (0: Monday)."""

    every: int = 1
    anchor: int = 0

    def number(self, day: date) -> int | None:
        """See `Rule`."""
        number, rest = divmod(day.toordinal() - 1 - self.anchor, self.every)  # ordinal 1, the first of year 1, was a Monday
        return None if rest else number

    def date(self, number: int) -> date:
        """See `Rule`."""
        return date.fromordinal(number * self.every + self.anchor + 1)

    def season(self, multiple: int) -> int:
        """See `Rule`."""
        weeks, rest = divmod(self.every * multiple, 7)
        return _whole(7, self.every * multiple) if rest else _whole(WEEKS_OF_A_YEAR, weeks)


@dataclass(frozen=True, slots=True)
class Weekdays:
    """Monday to Friday; holidays are not known to it, as they are not to pandas' `B`."""

    def number(self, day: date) -> int | None:
        """See `Rule`."""
        week, weekday = divmod(day.toordinal() - 1, 7)
        return week * 5 + weekday if weekday < 5 else None

    def date(self, number: int) -> date:
        """See `Rule`."""
        week, weekday = divmod(number, 5)
        return date.fromordinal(week * 7 + weekday + 1)

    def season(self, multiple: int) -> int:
        """See `Rule`."""
        weeks, rest = divmod(multiple, 5)
        return _whole(5, multiple) if rest else _whole(WEEKS_OF_A_YEAR, weeks)


@dataclass(frozen=True, slots=True)
class Frequency:
    """A frequency that was understood: `spelling` is pandas' own of today; either `rule` or `length` is set."""

    spelling: str
    multiple: int
    rule: Rule | None = None
    length: timedelta | None = None

    @property
    def season(self) -> int:
        """The steps in a season: a year for months, quarters and weeks, a week for days, a day for shorter ones, else 1."""
        if self.rule is not None:
            return self.rule.season(self.multiple)
        step = (self.length or DAY) * self.multiple
        if step % DAY == timedelta(0):
            return Days().season(step // DAY)
        return _whole(DAY if step >= timedelta(minutes=1) else HOUR, step)  # of seconds, a day has too many to be a season


def _whole(season: int | timedelta, step: int | timedelta) -> int:
    count, rest = divmod(season, step)  # type: ignore[operator]  # both are of one type
    return count if not rest and count > 1 else 1


def _first(year: int, month: int) -> int:
    return 1


def _last(year: int, month: int) -> int:
    return monthrange(year, month)[1]


def _first_weekday(year: int, month: int) -> int:
    weekday = monthrange(year, month)[0]
    return 1 if weekday < 5 else 8 - weekday


def _last_weekday(year: int, month: int) -> int:
    first, days = monthrange(year, month)
    return days - max((first + days - 1) % 7 - 4, 0)


@lru_cache(maxsize=32)  # equal rules are to be equal
def _day(number: int) -> Callable[[int, int], int]:
    return lambda year, month: number


EDGES = {"S": _first, "E": _last}
WEEKDAY_EDGES = {"S": _first_weekday, "E": _last_weekday}
EVERY = {"M": 1, "Q": 3, "Y": 12}
LENGTHS = {
    "h": HOUR,
    "min": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
    "us": timedelta(microseconds=1),
}
TODAY = {  # what pandas called them until 2.2
    "A": "YE", "Y": "YE", "AS": "YS", "BA": "BYE", "BY": "BYE", "BAS": "BYS",
    "Q": "QE", "BQ": "BQE", "M": "ME", "BM": "BME", "SM": "SME",
    "H": "h", "T": "min", "S": "s", "L": "ms", "U": "us", "d": "D", "b": "B", "w": "W",
}  # fmt: skip
KNOWN = "YS, YE, QS, QE, MS, ME, SMS, SME, W-MON, B, D, h, min, s, and multiples such as 15min"


@lru_cache(maxsize=256)
def frequency(spelling: str) -> Frequency:
    """Return what a spelling means. Old ones (`Q`, `H`, `T`) are read as what pandas calls them today.

    Quarters that fall on the same dates get one spelling: `QS-OCT` is `QS-JAN`, `QE` is `QE-DEC`. Raises `DataError`.
    """
    parts = re.fullmatch(r"(\d{0,6})([A-Za-z]+)(?:-([A-Z0-9]+))?", spelling)
    if parts is None or parts[1].strip("0") == "" != parts[1]:
        raise _unknown(spelling)
    multiple = int(parts[1] or 1)
    name = TODAY.get(parts[2], parts[2])
    if name in LENGTHS and parts[3] is None:
        return Frequency(_spelled(multiple, name), multiple, length=LENGTHS[name])
    try:
        canonical, rule = _rule(name, parts[3])
    except (KeyError, ValueError):
        raise _unknown(spelling) from None
    return Frequency(_spelled(multiple, canonical), multiple, rule=rule)


def _unknown(spelling: str) -> DataError:
    return DataError(f"the frequency {spelling!r} is not known; expected one of {KNOWN}", code="frequency-unknown")


def _spelled(multiple: int, name: str) -> str:
    return name if multiple == 1 else f"{multiple}{name}"


def _rule(name: str, anchor: str | None) -> tuple[str, Rule]:
    """Return name and rule; KeyError or ValueError when there is none."""
    if name == "W":
        weekday = WEEKDAYS.index(anchor or "SUN")
        return f"W-{WEEKDAYS[weekday]}", Days(7, weekday)
    if name in ("SMS", "SME"):
        return _half_months(name, int(anchor or 15))
    if name in ("D", "B") and anchor is None:
        return name, Days() if name == "D" else Weekdays()
    return _months(name, anchor)


def _half_months(name: str, day: int) -> tuple[str, Rule]:
    if not 2 <= day <= 27:
        raise ValueError(day)
    edges = (_first, _day(day)) if name == "SMS" else (_day(day), _last)
    return f"{name}-{day}", HalfMonths(edges)


def _months(name: str, anchor: str | None) -> tuple[str, Rule]:
    edges, bare = (WEEKDAY_EDGES, name[1:]) if name.startswith("B") else (EDGES, name)
    unit, edge = bare[:-1], bare[-1:]
    every = EVERY[unit]
    if unit == "M":
        if anchor is not None:
            raise ValueError(anchor)
        return name, Months(1, 0, edges[edge])
    month = MONTHS.index(anchor or ("JAN" if edge == "S" else "DEC")) % every
    shown = month if edge == "S" or every == 12 else month + 12 - every
    return f"{name}-{MONTHS[shown]}", Months(every, month, edges[edge])


def fitting(day: date, instead_of: Frequency) -> Iterator[str]:
    """Yield the spellings of frequencies that have `day` among their dates, those of the same length first."""
    month, weekday = MONTHS[day.month - 1], WEEKDAYS[day.weekday()]
    names = [f"QS-{month}", f"QE-{month}", "MS", "ME", f"YS-{month}", f"YE-{month}", f"W-{weekday}", "B", "D"]
    unit = instead_of.spelling.lstrip("0123456789")[0]
    for name in sorted(names, key=lambda name: name[0] != unit):
        found = frequency(_spelled(instead_of.multiple, name))
        if found.rule is not None and found.rule.number(day) is not None:
            yield found.spelling
