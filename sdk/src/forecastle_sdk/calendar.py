"""Where rows stand in time, and the stamps of coming steps by rule: pandas' frequencies without pandas."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal

from .errors import DataError, HorizonError
from .frequencies import DAY, Frequency, Months, fitting, frequency
from .stamps import MIDNIGHT, Period, in_zone, moment, period, zone

LARGEST = 2**63 - 1  # what JSON readers and databases take as an integer


@dataclass(frozen=True, slots=True)
class Index:
    """The position of the last row, and the rule by which the next ones follow.

    `last` is an ISO 8601 stamp (kind `time`) or an integer (kind `integer`). `freq` is pandas' spelling (`QS-JAN`, `MS`,
    `W-MON`, `B`, `D`, `h`, `15min`, multiples as `2W-SUN`), or None for an irregular calendar, whose coming stamps are `table`
    (it may begin before `last`; then the rows before are known too).
    `zone` is an IANA name or None for naive stamps. `step` is the distance between rows of an integer index.

    Both are kept in one spelling: `last` as `2004-04-01` when steps are days or longer, at midnight and without zone, else
    with the time, and in a zone with the offset; `freq` as pandas spells it today. Steps of a day and longer keep the wall time
    of `last` over changes of the clock, shorter ones are elapsed time. A wall time that the clock skips is written with the
    offset that held before (`2024-03-31T02:30:00+01:00`, the instant that the clock shows as 03:30); of one that it repeats,
    the first is meant. Raises `DataError` when the parts do not agree, as when `last` is no date of `freq`.
    """

    kind: Literal["time", "integer"]
    last: str | int
    freq: str | None = None
    zone: str | None = None
    step: int = 1
    table: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind == "integer":
            _check_integer(self)
        elif self.kind == "time":
            for name, value in _checked_time(self).items():
                object.__setattr__(self, name, value)
        else:
            raise DataError(f"the index has the kind {self.kind!r}; expected 'time' or 'integer'", code="index-invalid")

    def after(self, k: int, horizon: int) -> list[str] | list[int]:
        """Return the stamps of steps k+1 … k+horizon after `last`: `after(0, 8)` are the next eight; negative k looks back.

        Raises `HorizonError` where the calendar ends: after the year 9999, or at the end of the table.
        """
        if isinstance(self.last, int):
            return _integers(self.last, self.step, k, horizon)
        if self.freq is None:
            return _tabled(self, k, horizon)
        try:
            return list(_written(self.last, self.freq, self.zone, k, horizon))
        except (ValueError, OverflowError):
            raise HorizonError(
                f"steps {k + 1} to {k + horizon} after {self.last} leave the years 1 to 9999; ask for fewer",
                code="horizon-past-calendar",
            ) from None

    def at(self, k: int) -> str | int:
        """Return the stamp k steps after `last`; 0 is `last` itself, -1 the row before."""
        return self.after(k - 1, 1)[0]

    def shifted(self, rows: int) -> Index:
        """Return the index that stands `rows` later (or earlier, when negative)."""
        if rows == 0:
            return self
        last = self.at(rows)
        if self.kind == "time" and self.freq is None and self.last not in self.table:
            return replace(self, last=last, table=(str(self.last), *self.table))  # so that `last` can be come back to
        return replace(self, last=last)

    def position(self, text: str | int) -> int | None:
        """Return the k for which `at(k)` is the stamp that `text` names, or None when it names no stamp of this index.

        Besides ISO 8601, `2009/10/1`, `1.10.2009` and, on a calendar of months, quarters or years, `2009-10`, `2009Q4` and
        `2009` are understood.
        """
        try:
            return _position(self, text)
        except (ValueError, OverflowError, HorizonError):
            return None

    def matches(self, text: str | int, k: int) -> bool:
        """Tell whether `text` names the stamp `at(k)`, in any spelling that `position` understands.

        Without an offset it is wall time, so that an hour which the clock repeats is matched twice. Of an index without a zone
        the wall time is compared, whatever the offset.
        """
        if self.position(text) == k:
            return True
        if self.zone is None:
            return False
        try:
            return moment(str(text)) == datetime.fromisoformat(str(self.at(k))).replace(tzinfo=None)
        except (ValueError, HorizonError):
            return False

    @property
    def season(self) -> int:
        """The number of periods in the season that the frequency suggests (4 for quarters, 12 for months, 1 for none)."""
        return 1 if self.freq is None else frequency(self.freq).season

    def to_json(self) -> dict[str, Any]:
        """Return the index as a JSON object."""
        return {
            "kind": self.kind,
            "last": self.last,
            "freq": self.freq,
            "zone": self.zone,
            "step": self.step,
            "table": list(self.table),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Index:
        """Read back what `to_json` wrote."""
        return cls(**{**document, "table": tuple(document.get("table", ()))})


def _check_integer(index: Index) -> None:
    try:
        last, step = operator.index(index.last), operator.index(index.step)  # type: ignore[arg-type]  # a text is refused here
    except TypeError:
        raise DataError(f"the integer index has last {index.last!r} and step {index.step!r}", code="index-invalid") from None
    if index.freq is not None or index.zone is not None or index.table:
        raise DataError("an integer index has no frequency, no zone and no table", code="index-invalid")
    if step < 1:
        raise DataError(f"the integer index has the step {step}; expected at least 1", code="index-invalid")
    object.__setattr__(index, "last", last)
    object.__setattr__(index, "step", step)


def _checked_time(index: Index) -> dict[str, Any]:
    """Return last, freq and table in their one spelling. Raises `DataError`."""
    if index.freq is None:
        return _checked_table(index)
    if index.table:
        raise DataError("an index has a frequency or a table of stamps, not both", code="index-invalid")
    rhythm = frequency(index.freq)
    last = _read(index, index.last)
    if rhythm.rule is not None and rhythm.rule.number(last.date()) is None:
        fits = " or ".join(repr(name) for name in list(fitting(last.date(), rhythm))[:2])
        raise DataError(
            f"{index.last} is no date of the frequency {rhythm.spelling!r}; it is one of {fits}", code="index-off-frequency"
        )
    text = last.date().isoformat() if _is_date(rhythm, last) else last.isoformat()
    return {"last": text, "freq": rhythm.spelling}


def _checked_table(index: Index) -> dict[str, Any]:
    stamps = [_read(index, text) for text in (index.last, *index.table)]
    last, *coming = [_instant(stamp) for stamp in stamps]
    for earlier, later in pairwise(coming):
        if not earlier < later:
            raise DataError(f"the table of stamps has {later} after {earlier}; expected them in order", code="index-invalid")
    if coming and last not in coming and last > coming[0]:
        raise DataError(f"{index.last} is not in the table of stamps, nor before it", code="index-invalid")
    dates = all(stamp.tzinfo is None and stamp.time() == MIDNIGHT for stamp in stamps)
    texts = [stamp.date().isoformat() if dates else stamp.isoformat() for stamp in stamps]
    return {"last": texts[0], "table": tuple(texts[1:])}


def _read(index: Index, text: object) -> datetime:
    """Return a stamp in the index's zone. Raises `DataError`."""
    if not isinstance(text, str):
        raise DataError(f"the stamp {text!r} is not a text; expected ISO 8601, as '2004-04-01'", code="index-invalid")
    where = None if index.zone is None else zone(index.zone)
    try:
        stamp = moment(text)
        if where is not None:
            return in_zone(stamp, where)
    except (ValueError, OverflowError):
        what = f"the stamp {text!r} is not understood; expected ISO 8601, as '2004-04-01'"
        raise DataError(what, code="index-invalid") from None
    if stamp.tzinfo is not None:
        raise DataError(f"the stamp {text!r} has an offset, but the index has no zone; name it", code="index-invalid")
    return stamp


def _is_date(rhythm: Frequency, stamp: datetime) -> bool:
    return rhythm.rule is not None and stamp.tzinfo is None and stamp.time() == MIDNIGHT


def _integers(last: int, step: int, k: int, horizon: int) -> list[int]:
    if abs(last + step * (k + horizon)) > LARGEST:
        message = f"steps up to {k + horizon} after {last} leave the integers; ask for fewer"
        raise HorizonError(message, code="horizon-past-calendar")
    return [last + step * i for i in range(k + 1, k + horizon + 1)]


def _tabled(index: Index, k: int, horizon: int) -> list[str]:
    stamps = index.table if index.last in index.table else (str(index.last), *index.table)
    start = stamps.index(str(index.last)) + k + 1
    if start < 0 or start + horizon > len(stamps):
        raise HorizonError(
            f"the calendar is a table, which knows {len(stamps) - start + k} steps after {index.last} and not steps "
            f"{k + 1} to {k + horizon}; train with a longer table",
            code="horizon-past-calendar",
        )
    return list(stamps[start : start + horizon])


@lru_cache(maxsize=128)  # one question is asked again and again: the next steps of a version that is served
def _written(last: str, freq: str, where: str | None, k: int, horizon: int) -> list[str]:
    """Return the stamps of these steps after `last`, which is in its one spelling."""
    stamp = datetime.fromisoformat(last)
    if where is not None:
        stamp = in_zone(stamp, zone(where))
    rhythm = frequency(freq)
    rule, multiple, steps = rhythm.rule, rhythm.multiple, range(k + 1, k + horizon + 1)
    if rule is None:
        return _elapsed(stamp, (rhythm.length or DAY) * multiple, steps)
    number = rule.number(stamp.date()) or 0
    dates = [rule.date(number + step * multiple) for step in steps]
    if len(last) == len("2004-04-01"):
        return [day.isoformat() for day in dates]
    clock, tz = stamp.time(), stamp.tzinfo
    return [datetime.combine(day, clock, tz).isoformat() for day in dates]


def _elapsed(stamp: datetime, length: timedelta, steps: range) -> list[str]:
    if stamp.tzinfo is None:
        return [(stamp + step * length).isoformat() for step in steps]
    instant, tz = stamp.astimezone(UTC), stamp.tzinfo
    return [(instant + step * length).astimezone(tz).isoformat() for step in steps]


def _position(index: Index, text: str | int) -> int | None:
    """Return as `Index.position`, or raise ValueError, OverflowError or HorizonError for what names no stamp."""
    if isinstance(index.last, int):
        steps, rest = divmod(int(text) - index.last, index.step)
        return None if rest else steps
    named = period(str(text))
    stamp = moment(str(text)) if named is None else None
    if index.freq is None:
        return _tabled_position(index, stamp)
    rhythm = frequency(index.freq)
    if named is not None:
        stamp = _of_period(rhythm, named, datetime.fromisoformat(index.last))
    return None if stamp is None else _counted(index, rhythm, stamp)


def _counted(index: Index, rhythm: Frequency, stamp: datetime) -> int | None:
    last, stamp = _placed(index, datetime.fromisoformat(str(index.last))), _placed(index, stamp)
    if rhythm.rule is None:
        apart = _instant(stamp) - _instant(last)
        steps, off = divmod(apart, (rhythm.length or DAY) * rhythm.multiple)
        return None if off else steps
    number, start = rhythm.rule.number(stamp.date()), rhythm.rule.number(last.date())
    if number is None or start is None:
        return None
    steps, rest = divmod(number - start, rhythm.multiple)
    if rest or _instant(_placed(index, datetime.fromisoformat(str(index.at(steps))))) != _instant(stamp):
        return None
    return steps


def _tabled_position(index: Index, stamp: datetime | None) -> int | None:
    stamps = index.table if index.last in index.table else (str(index.last), *index.table)
    instants = [_instant(_placed(index, datetime.fromisoformat(text))) for text in stamps]
    if stamp is None or _instant(_placed(index, stamp)) not in instants:
        return None
    return instants.index(_instant(_placed(index, stamp))) - stamps.index(str(index.last))


def _of_period(rhythm: Frequency, named: Period, last: datetime) -> datetime | None:
    """Return the one stamp in a period, at the time of day of `last`; None when there is none, or more than one."""
    rule = rhythm.rule
    if not isinstance(rule, Months):
        return None
    if named.months == 3 and not rhythm.spelling.endswith(("QS-JAN", "QE-DEC")):
        return None  # 2009Q4 of another fiscal year may be any of two quarters
    number = -((rule.anchor + 1 - named.month - named.year * 12) // rule.every)
    day = rule.date(number)
    alone = named.has(day) and not named.has(rule.date(number + 1))
    return datetime.combine(day, last.time()) if alone else None


def _placed(index: Index, stamp: datetime) -> datetime:
    return stamp.replace(tzinfo=None) if index.zone is None else in_zone(stamp, zone(index.zone))


def _instant(stamp: datetime) -> datetime:
    """Return what orders stamps: Python compares two of one zone by their wall time."""
    return stamp if stamp.tzinfo is None else stamp.astimezone(UTC)
