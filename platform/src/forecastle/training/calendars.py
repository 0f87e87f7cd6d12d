"""From a column of times to an index: what the frequency is, or which row does not follow it.

1. Integers that are no dates are counted. Everything else is read as times, all with an offset from UTC or all without.
2. The times must ascend.
3. A frequency fits when every row is one step after the row before. Without a given one those are tried that the middle step
   suggests; where none fits, the one that fits most rows says which row is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from statistics import median
from typing import Any, NoReturn

from forecastle_sdk import Index
from forecastle_sdk.errors import DataError, Problem
from forecastle_sdk.frequencies import DAY, MONTHS, WEEKDAYS, Frequency, Months, frequency
from forecastle_sdk.stamps import MIDNIGHT, Period, moment, period

YEAR_NAMES = ("year", "years", "date")  # in a column called so, 1959 is a year; elsewhere it is a number that counts
INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
YEAR = re.compile(r"\d{4}", re.ASCII)
COMPACT = re.compile(r"(1[6-9]|2[01])\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])", re.ASCII)  # 20040401
UNITS = {name: timedelta(**{unit: 1}) for name, unit in {"h": "hours", "min": "minutes", "s": "seconds"}.items()}
UNITS |= {"ms": timedelta(milliseconds=1), "us": timedelta(microseconds=1)}
LARGEST_MULTIPLE = 10**6  # what a frequency may be a multiple of
MONTH = 30.44  # days
SPELLINGS = "2004-04-01, 2004-04, 2004Q2, 1.4.2004 or 2004-04-01T13:00"
CLOCK_CHANGES = "; where the clock was changed, write each time with its offset from UTC"
LACKING = "add the rows that lack (an endogenous cell may be empty), or give the frequency (--freq)"
SURPLUS = "remove the row, or give the frequency (--freq)"


@dataclass(frozen=True, slots=True)
class Times:
    """A column of times in one zone (None: without), and the number of its first row, as a person counts in the file."""

    column: str
    first_row: int
    stamps: Sequence[datetime]
    zone: str | None

    def refuse(self, i: int, message: str, code: str) -> NoReturn:
        """Raise `DataError` about the stamp `i`, counted from 0."""
        _refuse(self.column, self.first_row + i, message, code)


def index_of(cells: Sequence[Any], column: str, freq: str | None = None, first_row: int = 2) -> Index:
    """Return the index that stands at the last row of a column of times or integers.

    `freq` is pandas' spelling, or None to infer it; `first_row` is the number of the first cell's row as a person counts.
    Raises `DataError` that names the row: not a time, doubled, unsorted, a gap, or mixed frequencies.
    """
    texts = [_text_of(cell) for cell in cells]
    if freq is None and _count(texts, column):
        return _integer_index([int(text) for text in texts], column, first_row)
    rhythm = None if freq is None else frequency(freq)
    times = _times(texts, column, first_row, rhythm)
    _check_order(times)
    if rhythm is None:
        return _inferred(times)
    if not all(_follows(times.stamps, rhythm)):
        _refuse_steps(times, rhythm)
    return _index(times, rhythm)


def _text_of(cell: Any) -> str:
    """Return a cell as text; 1959.0 is 1959, as it stands in a file that was written from floats."""
    text = "" if cell is None else str(cell).strip()
    return text[:-2] if text.endswith(".0") and INTEGER.fullmatch(text[:-2]) else text


def _count(texts: Sequence[str], column: str) -> bool:
    """Tell whether these are numbers that count, and no dates or years."""
    if not all(INTEGER.fullmatch(text) for text in texts):
        return False
    years = column.lower() in YEAR_NAMES and all(YEAR.fullmatch(text) for text in texts)
    return not years and not all(COMPACT.fullmatch(text) for text in texts)


def _integer_index(values: Sequence[int], column: str, first_row: int) -> Index:
    step = max(1, int(median(later - earlier for earlier, later in pairwise(values)))) if len(values) > 1 else 1
    for row, (earlier, later) in enumerate(pairwise(values), start=first_row + 1):
        if later == earlier:
            _refuse(column, row, f"{later} is there twice; keep one row for each", "times-doubled")
        if later < earlier:
            _refuse(column, row, f"{later} comes after {earlier}; sort the rows, the smallest first", "times-unsorted")
        if later - earlier != step:
            what = LACKING if later > earlier + step else SURPLUS
            message = f"{later} follows {earlier}, where {earlier + step} was expected; {what.partition(', or')[0]}"
            _refuse(column, row, message, "times-have-gaps")
    return Index("integer", values[-1], step=step)


def _times(texts: Sequence[str], column: str, first_row: int, rhythm: Frequency | None) -> Times:
    stamps = []
    for row, text in enumerate(texts, start=first_row):
        try:
            stamps.append(_stamp(text, rhythm))
        except (ValueError, OverflowError):
            shown = repr(text) if text else "nothing"
            slashes = "; with slashes the year comes first, because day and month are told apart nowhere" if "/" in text else ""
            message = f"{shown:.60} is no time; expected one such as {SPELLINGS}{slashes}"
            _refuse(column, row, message, "time-not-understood")
    aware = [stamp.tzinfo is not None for stamp in stamps]
    if any(aware) and not all(aware):
        message = "some times have an offset from UTC and some have none; write all in one way"
        _refuse(column, first_row + aware.index(not aware[0]), message, "times-mixed")
    return Times(column, first_row, *_in_one_zone(stamps))


def _stamp(text: str, rhythm: Frequency | None) -> datetime:
    """Return a text's stamp. A period stands for its first day, or for its only date of a given frequency."""
    named = period(text)
    if named is None:
        stamp = moment(text)
        if stamp.tzinfo is not None:
            stamp.astimezone(UTC)  # raises for what has no time in UTC, at both ends of the calendar
        return stamp
    day = None if rhythm is None else _only_date(named, rhythm)
    return datetime.combine(day or date(named.year, named.month, 1), MIDNIGHT)


def _only_date(named: Period, rhythm: Frequency) -> date | None:
    if rhythm.rule is None:
        return None
    first = date(named.year, named.month, 1)
    days = (first + timedelta(days=i) for i in range(31 * named.months))
    found = [day for day in days if named.has(day) and rhythm.rule.number(day) is not None]
    return found[0] if len(found) == 1 else None


def _in_one_zone(stamps: Sequence[datetime]) -> tuple[Sequence[datetime], str | None]:
    """Return the stamps with their zone: the offset that all have, else UTC; None where they have none."""
    offsets = {stamp.utcoffset() for stamp in stamps}
    if offsets == {None}:
        return stamps, None
    zone = stamps[0].strftime("%z") if len(offsets) == 1 else "+0000"
    if zone == "+0000" or len(zone) > len("+0000"):  # an offset with seconds has no name
        return [stamp.astimezone(UTC) for stamp in stamps], "UTC"
    return stamps, f"{zone[:3]}:{zone[3:]}"


def _check_order(times: Times) -> None:
    for i, (earlier, later) in enumerate(pairwise(times.stamps), start=1):
        hint = CLOCK_CHANGES if times.zone is None and later.time() != MIDNIGHT else ""
        if later == earlier:
            times.refuse(i, f"{_shown(later)} is there twice; keep one row for each time{hint}", "times-doubled")
        if later < earlier:
            message = f"{_shown(later)} comes after {_shown(earlier)}; sort the rows by time, oldest first{hint}"
            times.refuse(i, message, "times-unsorted")


def _inferred(times: Times) -> Index:
    if len(times.stamps) < 3:
        count = len(times.stamps)
        message = f"the time column {times.column!r} has {count} rows, too few to infer a frequency; give it (--freq)"
        raise DataError(message, code="frequency-unknown")
    rhythms = [frequency(name) for name in _candidates(times.stamps)]
    shares = [sum(_follows(times.stamps, rhythm)) for rhythm in rhythms]
    if max(shares) == len(times.stamps) - 1:
        return _index(times, rhythms[shares.index(max(shares))])
    monthly = _apart(times.stamps) >= 27 * DAY  # a message about 31 days would help nobody, though some months have them
    told = [i for i, rhythm in enumerate(rhythms) if not monthly or isinstance(rhythm.rule, Months)]
    dates = [sum(number is not None for number in _numbers(times.stamps, rhythm)) for rhythm in rhythms]
    _refuse_steps(times, rhythms[max(told, key=lambda i: (shares[i], dates[i]))])


def _apart(stamps: Sequence[datetime]) -> timedelta:
    """Return the middle one of the steps, which is one that occurs."""
    steps = sorted(later - earlier for earlier, later in pairwise(stamps))
    return steps[len(steps) // 2]


def _candidates(stamps: Sequence[datetime]) -> Iterator[str]:
    """Yield the frequencies that the middle step suggests, calendar months before days, days before hours."""
    step, last = _apart(stamps), stamps[-1]
    if step >= 27 * DAY:
        yield from _of_months(round(step / DAY / MONTH), last)
    elif 13 * DAY <= step <= 17 * DAY:
        yield from ("SMS-15", "SME-15")
    if step >= DAY and not step % DAY:
        if not step % (7 * DAY):
            yield _multiple(step // (7 * DAY), f"W-{WEEKDAYS[last.weekday()]}")
        yield _multiple(step // DAY, "D")
        yield "B"
    else:
        yield _of_the_clock(step)


def _of_the_clock(step: timedelta) -> str:
    """Return the step in the largest unit that divides it, or the nearest whole seconds or days to name in a refusal."""
    for unit, length in UNITS.items():
        if not step % length and step // length < LARGEST_MULTIPLE:
            return _multiple(step // length, unit)
    return "D" if step > DAY else _multiple(max(1, round(step / UNITS["s"])), "s")


def _of_months(months: int, last: datetime) -> Iterator[str]:
    month = MONTHS[last.month - 1]
    for edge in ("S", "E", "BS", "BE"):
        business, edge = edge[:-1], edge[-1]
        if months % 12 == 0:
            yield _multiple(months // 12, f"{business}Y{edge}-{month}")
        elif months == 3:
            yield f"{business}Q{edge}-{month}"
        else:
            yield _multiple(months, f"{business}M{edge}")


def _multiple(count: int, unit: str) -> str:
    return unit if count == 1 else f"{count}{unit}"


def _follows(stamps: Sequence[datetime], rhythm: Frequency) -> list[bool]:
    """Return for each stamp but the first whether it is one step after the one before; for a lone one, whether it is a date."""
    numbers = _numbers(stamps, rhythm)
    if len(numbers) == 1:
        return [numbers[0] is not None]
    return [a is not None and b is not None and b - a == rhythm.multiple for a, b in pairwise(numbers)]


def _numbers(stamps: Sequence[datetime], rhythm: Frequency) -> list[int | None]:
    """Return the number of each stamp in a frequency, None for what is no date of it, or has another time of day."""
    if rhythm.rule is not None:
        rule, clock = rhythm.rule, _usual_clock(stamps)
        return [rule.number(stamp.date()) if stamp.time() == clock else None for stamp in stamps]
    parts = [divmod(stamp - stamps[0], rhythm.length or DAY) for stamp in stamps]
    return [None if rest else number for number, rest in parts]


def _usual_clock(stamps: Sequence[datetime]) -> time:
    clocks = [stamp.time() for stamp in stamps]
    return max(dict.fromkeys(clocks), key=clocks.count)


def _refuse_steps(times: Times, rhythm: Frequency) -> NoReturn:
    """Refuse the first row that is not one step after the row before."""
    stamps, follows = times.stamps, _follows(times.stamps, rhythm)
    i, common = follows.index(False), f"{rhythm.spelling}, which {sum(follows)} of {len(follows)} steps follow"
    if _numbers(stamps, rhythm)[i] is None:
        message = f"{_shown(stamps[i])} is no date of the frequency {common}; write it as one, or give another (--freq)"
        times.refuse(i, message, "times-off-frequency")
    here, due = stamps[i + 1], datetime.fromisoformat(str(_at(stamps[i], times, rhythm).at(1)))
    remedy = (LACKING if here > due else SURPLUS) + (CLOCK_CHANGES if times.zone is None and rhythm.rule is None else "")
    mixed = 2 * sum(follows) < len(follows)
    message = f"{_shown(here)}, where {_shown(due)} was expected (frequency {common}); {remedy}"
    times.refuse(i + 1, message, "times-mixed" if mixed else "times-have-gaps")


def _index(times: Times, rhythm: Frequency) -> Index:
    return _at(times.stamps[-1], times, rhythm)


def _at(stamp: datetime, times: Times, rhythm: Frequency) -> Index:
    return Index("time", stamp.isoformat(), rhythm.spelling, times.zone)


def _shown(stamp: datetime) -> str:
    return stamp.date().isoformat() if stamp.tzinfo is None and stamp.time() == MIDNIGHT else stamp.isoformat()


def _refuse(column: str, row: int, message: str, code: str) -> NoReturn:
    where = f"the time column {column!r}, row {row}: {message}"
    raise DataError(where, code=code, problems=[Problem(f"/{column}/{row}", message)])
