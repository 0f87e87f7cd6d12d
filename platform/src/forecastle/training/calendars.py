"""From a column of times to an index: what the frequency is, or which row does not follow it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any, NoReturn

from forecastle_sdk import Index
from forecastle_sdk.errors import DataError, HorizonError, Problem
from forecastle_sdk.stamps import moment, period

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
DAY = 86_400
UNITS = ((3600, "h"), (60, "min"), (1, "s"))


def index_of(cells: Sequence[Any], column: str, freq: str | None = None, first_row: int = 2) -> Index:
    """Return the index that stands at the last row of a column of times or integers.

    `freq` is pandas' spelling, or None to infer it; `first_row` is the number of the first cell's row as a person counts.
    Raises `DataError` that names the row: not a time, doubled, unsorted, a gap, or mixed frequencies.
    """
    if freq is None and column.lower() != "year" and all(_is_integer(cell) for cell in cells):
        return _integer_index([int(cell) for cell in cells], column, first_row)
    stamps = [_stamp(cell, column, first_row + i) for i, cell in enumerate(cells)]
    zone = _zone_of(stamps, column, first_row)
    if zone is not None:
        stamps = [stamp.astimezone(UTC) for stamp in stamps]
    _check_order(stamps, column, first_row)
    if freq is not None:
        return _given(stamps, freq, zone, column, first_row)
    return _inferred(stamps, zone, column, first_row)


def _is_integer(cell: Any) -> bool:
    if isinstance(cell, float):
        return cell.is_integer()
    return (isinstance(cell, int) and not isinstance(cell, bool)) or (
        isinstance(cell, str) and cell.strip().lstrip("-").isdigit()
    )


def _integer_index(values: list[int], column: str, first_row: int) -> Index:
    step = values[1] - values[0] if len(values) > 1 else 1
    for i in range(1, len(values)):
        if values[i] - values[i - 1] != step or step < 1:
            _refuse(
                column,
                first_row + i,
                f"{values[i]} follows {values[i - 1]}; expected {values[i - 1] + max(step, 1)}",
                "times-have-gaps",
            )
    return Index("integer", values[-1], step=step)


def _stamp(cell: Any, column: str, row: int) -> datetime:
    text = str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()
    try:
        if found := period(text):
            return datetime(found.year, found.month, 1)
        return moment(text)
    except ValueError:
        shown = "nothing" if cell is None or not text else repr(text)
        _refuse(
            column,
            row,
            f"{shown} is no time; expected one such as 2004-04-01, 2004-04, 2004Q2 or 2004-04-01T13:00",
            "time-not-understood",
        )


def _zone_of(stamps: Sequence[datetime], column: str, first_row: int) -> str | None:
    aware = [stamp.tzinfo is not None for stamp in stamps]
    if any(aware) and not all(aware):
        row = aware.index(not aware[0])
        _refuse(
            column,
            first_row + row,
            "some times have an offset from UTC and some have none; write all in one way",
            "times-mixed",
        )
    return "UTC" if aware and aware[0] else None


def _check_order(stamps: Sequence[datetime], column: str, first_row: int) -> None:
    for i in range(1, len(stamps)):
        if stamps[i] == stamps[i - 1]:
            _refuse(column, first_row + i, f"{_text(stamps[i])} is there twice; keep one row for each time", "times-doubled")
        if stamps[i] < stamps[i - 1]:
            message = f"{_text(stamps[i])} comes after {_text(stamps[i - 1])}; sort the rows by time, oldest first"
            _refuse(column, first_row + i, message, "times-unsorted")


def _given(stamps: Sequence[datetime], freq: str, zone: str | None, column: str, first_row: int) -> Index:
    last = stamps[-1]
    if (
        zone is None and last.day == 1 and freq[:2] in ("QE", "ME", "YE")
    ):  # 2004Q2 and 2004-06 name the period, not its first day
        return _from_periods(stamps, freq, column, first_row)
    index = Index("time", last.isoformat(), freq, zone)
    _check_gaps(stamps, index, column, first_row)
    return index


def _from_periods(stamps: Sequence[datetime], freq: str, column: str, first_row: int) -> Index:
    starts = {"QE": "QS", "ME": "MS", "YE": "YS"}[freq[:2]]
    index = _inferred(stamps, None, column, first_row)
    if index.freq is None or not index.freq.startswith(starts):
        _refuse(column, first_row, f"the times do not follow the frequency {freq}; they look like {index.freq}", "times-mixed")
    months = {"QE": 3, "ME": 1, "YE": 12}[freq[:2]]
    month = stamps[-1].year * 12 + stamps[-1].month - 1 + months
    return Index("time", (datetime(month // 12, month % 12 + 1, 1) - timedelta(days=1)).isoformat(), freq)


def _inferred(stamps: Sequence[datetime], zone: str | None, column: str, first_row: int) -> Index:
    if len(stamps) < 3:
        raise DataError(f"{len(stamps)} rows are too few to infer a frequency; give it (--freq)", code="frequency-unknown")
    fitting: tuple[float, Index] | None = None
    for freq in _candidates(stamps):
        try:
            index = Index("time", stamps[-1].isoformat(), freq, zone)
            score = _overlap(stamps, index)
        except (DataError, HorizonError):
            continue
        if score == 1.0:
            return index
        if fitting is None or score > fitting[0]:
            fitting = score, index
    if fitting is None or fitting[0] < 0.5:
        raise DataError(
            f"the times of {column!r} follow no frequency, or several; make the steps equal, or give it (--freq)",
            code="times-mixed",
        )
    _check_gaps(stamps, fitting[1], column, first_row)
    return fitting[1]


def _candidates(stamps: Sequence[datetime]) -> Iterator[str]:
    """Yield the frequencies that the middle step suggests."""
    step = median((later - earlier).total_seconds() for earlier, later in pairwise(stamps))
    days, last = step / DAY, stamps[-1]
    if days >= 27:
        yield from _monthly(round(days / 30.44), last)
    if days >= 1 and step % DAY == 0:
        whole = int(days)
        if whole % 7 == 0:
            yield _multiple(whole // 7, f"W-{WEEKDAYS[last.weekday()]}")
        yield _multiple(whole, "D")
        if whole == 1:
            yield "B"
    for seconds, unit in UNITS:
        if step % seconds == 0 and step:
            yield _multiple(int(step // seconds), unit)


def _monthly(months: int, last: datetime) -> Iterator[str]:
    for kind in ("S", "E"):
        if months == 1:
            yield f"M{kind}"
        elif months == 3:
            yield from (f"Q{kind}-{month}" for month in (("JAN", "FEB", "MAR") if kind == "S" else ("DEC", "OCT", "NOV")))
        elif months % 12 == 0:
            yield _multiple(months // 12, f"Y{kind}-{MONTHS[last.month - 1]}")
        else:
            yield _multiple(months, f"M{kind}")


def _multiple(count: int, unit: str) -> str:
    return unit if count == 1 else f"{count}{unit}"


def _overlap(stamps: Sequence[datetime], index: Index) -> float:
    """Return the share of rows that are where the frequency puts them, counted from the last row back."""
    there = {_comparable(stamp) for stamp in index.after(-2 * len(stamps), 2 * len(stamps))}
    first = next((i for i, stamp in enumerate(stamps) if stamp in there), len(stamps))
    inside = sum(stamp in there for stamp in stamps)
    spanned = sum(stamp >= stamps[first] for stamp in there) if first < len(stamps) else 1
    return inside / max(len(stamps), spanned)


def _check_gaps(stamps: Sequence[datetime], index: Index, column: str, first_row: int) -> None:
    forward = Index("time", stamps[0].isoformat(), index.freq, index.zone)
    expected = [_comparable(stamp) for stamp in forward.after(-1, len(stamps))]
    for i, (stamp, due) in enumerate(zip(stamps, expected, strict=True)):
        if stamp != due:
            what = (
                "add the rows that lack (an endogenous cell may be empty)"
                if stamp > due
                else "remove the row, or give the frequency"
            )
            message = f"{_text(stamp)}, where {_text(due)} was expected (frequency {index.freq}); {what}"
            _refuse(column, first_row + i, message, "times-have-gaps")


def _comparable(text: str | int) -> datetime:
    stamp = datetime.fromisoformat(str(text))
    return stamp.astimezone(UTC) if stamp.tzinfo else stamp


def _text(stamp: datetime) -> str:
    return (
        stamp.date().isoformat()
        if stamp.tzinfo is None and not (stamp.hour or stamp.minute or stamp.second)
        else stamp.isoformat()
    )


def _refuse(column: str, row: int, message: str, code: str) -> NoReturn:
    where = f"the time column {column!r}, row {row}: {message}"
    raise DataError(where, code=code, problems=[Problem(f"/{column}/{row}", message)])
