"""The calendar of training data: pandas' frequencies found again, every spelling of a time, and the row that is wrong."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from typing import Any

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from forecastle.training.calendars import index_of
from forecastle_sdk.errors import DataError, ForecastleError

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
ANCHORED = [f"{name}-{month}" for name in ("QS", "QE", "YS", "YE", "BQS", "BQE", "BYS", "BYE") for month in MONTHS]
FREQUENCIES = [*ANCHORED, *(f"W-{day}" for day in WEEKDAYS), "MS", "ME", "BMS", "BME", "D", "h", "min", "s"]

days = st.dates(date(1900, 1, 1), date(2090, 12, 31))
clocks = st.sampled_from(("00:00", "06:30", "23:59:59"))


def stamps_of(freq: str, start: str, periods: int) -> pd.DatetimeIndex:
    return pd.date_range(start, periods=periods, freq=freq, unit="us")


def texts_of(stamps: pd.DatetimeIndex) -> list[str]:
    return [stamp.isoformat() for stamp in stamps]


def as_pandas(stamps: Sequence[Any]) -> list[pd.Timestamp]:
    return [pd.Timestamp(stamp) for stamp in stamps]


@pytest.mark.filterwarnings("ignore:A future version of pandas will return a BaseOffset")
@given(st.sampled_from(FREQUENCIES), st.integers(1, 40), days, clocks, st.integers(3, 40))
@settings(max_examples=150, deadline=None)
def test_coming_stamps_are_those_of_the_frequency_that_pandas_infers(
    name: str, multiple: int, day: date, clock: str, rows: int
) -> None:
    stamps = stamps_of(f"{multiple}{name}", f"{day} {clock}", rows)
    inferred = pd.infer_freq(stamps)
    assume(inferred is not None)
    expected = stamps_of(inferred, str(stamps[-1]), 6)[1:]
    assert as_pandas(index_of(texts_of(stamps), "date").after(0, 5)) == list(expected)


@given(st.sampled_from([*FREQUENCIES, "B", "SMS", "SME"]), st.integers(1, 12), days, clocks, st.integers(1, 40))
@settings(max_examples=150, deadline=None)
def test_a_given_frequency_goes_on_as_pandas_does(name: str, multiple: int, day: date, clock: str, rows: int) -> None:
    assume(multiple == 1 or not name.startswith("SM"))  # pandas counts the halves of a month from its start date there
    stamps = stamps_of(f"{multiple}{name}", f"{day} {clock}", rows + 5)
    index = index_of(texts_of(stamps[:rows]), "date", f"{multiple}{name}")
    assert as_pandas(index.after(0, 5)) == list(stamps[rows:])


@given(days, st.integers(8, 60))
@settings(max_examples=60, deadline=None)
def test_business_days_are_found_as_soon_as_there_is_a_weekend(day: date, rows: int) -> None:
    stamps = stamps_of("B", str(day), rows + 5)
    index = index_of(texts_of(stamps[:rows]), "date")
    assert index.freq == "B"
    assert as_pandas(index.after(0, 5)) == list(stamps[rows:])


@pytest.mark.parametrize("freq", ["SMS-15", "SME-15"])
def test_halves_of_months_are_found(freq: str) -> None:
    assert index_of(texts_of(stamps_of(freq, "2020-01-01", 12)), "date").freq == freq


@given(st.sampled_from(FREQUENCIES), days, st.integers(9, 30), st.data())
@settings(max_examples=120, deadline=None)
def test_a_row_that_lacks_is_named_by_the_row_after_it(name: str, day: date, rows: int, data: st.DataObject) -> None:
    stamps = texts_of(stamps_of(name, str(day), rows))
    lacking = data.draw(st.integers(1, rows - 2))
    with pytest.raises(DataError, match=rf"^the time column 'date', row {lacking + 2}: .* was expected") as refused:
        index_of(stamps[:lacking] + stamps[lacking + 1 :], "date")
    assert refused.value.reason == "times-have-gaps"
    assert refused.value.problems[0].pointer == f"/date/{lacking + 2}"


@given(st.lists(st.one_of(st.text(max_size=12), st.integers(), st.floats(), st.none(), st.datetimes().map(str)), max_size=6))
@settings(max_examples=150, deadline=None)
def test_whatever_stands_in_the_column_the_refusal_is_one_of_ours(cells: list[Any]) -> None:
    assume(cells)
    for freq in (None, "MS"):
        with suppress(ForecastleError):
            index_of(cells, "date", freq)


SPELLINGS: dict[str, tuple[list[Any], str, str]] = {
    "iso dates": (["2009-10-01", "2009-11-01", "2009-12-01"], "MS", "2010-01-01"),
    "months": (["2009-10", "2009-11", "2009-12"], "MS", "2010-01-01"),
    "months with slashes": (["2009/10", "2009/11", "2009/12"], "MS", "2010-01-01"),
    "dates with slashes": (["2009/10/1", "2009/11/1", "2009/12/1"], "MS", "2010-01-01"),
    "quarters": (["2009Q2", "2009Q3", "2009Q4"], "QS-JAN", "2010-01-01"),
    "quarters with a dash": (["2009-Q2", "2009-q3", "2009 Q4"], "QS-JAN", "2010-01-01"),
    "german dates": (["1.10.2009", "1.11.2009", "1.12.2009"], "MS", "2010-01-01"),
    "compact dates": (["20091230", "20091231", "20100101"], "D", "2010-01-02"),
    "numbers that are dates": ([20091230, 20091231, 20100101], "D", "2010-01-02"),
    "iso weeks": (["2009-W51", "2009-W52", "2009-W53"], "W-MON", "2010-01-04"),
    "month ends": (["2009-10-31", "2009-11-30", "2009-12-31"], "ME", "2010-01-31"),
    "quarter ends": (["2009-06-30", "2009-09-30", "2009-12-31"], "QE-DEC", "2010-03-31"),
    "years as dates": (["2007-01-01", "2008-01-01", "2009-01-01"], "YS-JAN", "2010-01-01"),
    "midnights": (["2009-12-30T00:00", "2009-12-31T00:00:00", "2010-01-01 00:00:00"], "D", "2010-01-02"),
    "times": (["2009-12-31 22:00", "2009-12-31 22:15", "2009-12-31 22:30"], "15min", "2009-12-31T22:45:00"),
    "times in utc": (["2009-12-31T22:00Z", "2009-12-31T23:00Z", "2010-01-01T00:00Z"], "h", "2010-01-01T01:00:00+00:00"),
    "milliseconds": (["2010-01-01T00:00:00.000", "2010-01-01T00:00:00.250", "2010-01-01T00:00:00.500"], "250ms",
                     "2010-01-01T00:00:00.750000"),
}  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_times_are_read_as_people_write_them(spelling: str) -> None:
    cells, freq, coming = SPELLINGS[spelling]
    index = index_of(cells, "when")
    assert (index.freq, index.at(1)) == (freq, coming)


@pytest.mark.parametrize("cells", [["1959", "1960", "1961"], [1959.0, 1960.0, 1961.0], ["1959.0", "1960.0", "1961.0"]])
@pytest.mark.parametrize("column", ["year", "Year", "YEAR", "date"])
def test_numbers_in_a_column_of_years_are_years(cells: list[Any], column: str) -> None:
    assert index_of(cells, column).at(1) == "1962-01-01"


@pytest.mark.parametrize(
    ("cells", "freq", "coming"),
    [
        (["2009Q3", "2009Q4"], "QE", "2010-03-31"),
        (["2009-11", "2009-12"], "ME", "2010-01-31"),
        (["2009-11", "2009-12"], "M", "2010-01-31"),
        (["2008", "2009"], "YE", "2010-12-31"),
        (["2008", "2009"], "YS", "2010-01-01"),
        (["2009-11", "2009-12"], "BME", "2010-01-29"),
        (["2009-11", "2009-12"], "MS", "2010-01-01"),
        (["2009Q4"], "QS", "2010-01-01"),
    ],
)
def test_a_period_stands_where_the_given_frequency_has_its_date(cells: list[str], freq: str, coming: str) -> None:
    assert index_of(cells, "when", freq).at(1) == coming


def test_integers_count_with_their_step() -> None:
    index = index_of(["10", "15", "20"], "t")
    assert (index.kind, index.step, index.at(1)) == ("integer", 5, 25)


def test_one_integer_counts_by_one() -> None:
    assert index_of([7], "t").at(1) == 8


def berlin(start: str, periods: int) -> list[str]:
    return texts_of(pd.date_range(start, periods=periods, freq="h", tz="Europe/Berlin"))


@pytest.mark.parametrize("start", ["2024-03-30 12:00", "2024-10-26 12:00"])
def test_hours_over_a_change_of_the_clock_go_on_in_utc(start: str) -> None:
    hours = berlin(start, 48)
    index = index_of(hours, "time")
    assert (index.freq, index.zone) == ("h", "UTC")
    assert as_pandas(index.after(-48, 48)) == [pd.Timestamp(text).tz_convert("UTC") for text in hours]


def test_one_offset_for_all_rows_is_kept() -> None:
    index = index_of(["2024-01-01T00:00+05:30", "2024-01-02T00:00+05:30", "2024-01-03T00:00+05:30"], "time")
    assert index.at(1) == "2024-01-04T00:00:00+05:30"


@pytest.mark.parametrize(
    ("start", "row", "reason"), [("2024-10-26 12:00", 18, "times-unsorted"), ("2024-03-30 12:00", 16, "times-have-gaps")]
)
def test_local_hours_without_an_offset_are_refused_with_the_remedy(start: str, row: int, reason: str) -> None:
    naive = [text[:-6] for text in berlin(start, 48)]
    naive = naive if reason == "times-have-gaps" else [*naive[:15], naive[15].replace("02:00", "02:30"), *naive[15:]]
    with pytest.raises(DataError, match=f"row {row}: .*offset from UTC") as refused:
        index_of(naive, "time")
    assert refused.value.reason == reason


DAYS = ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05"]
MONTHLY = ["2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01", "2020-05-01"]
WRONG: dict[str, tuple[list[Any], str | None, str, str]] = {
    "doubled": ([*DAYS[:3], DAYS[2], DAYS[3]], None, "times-doubled", r"row 5: 2024-01-03 is there twice; keep one"),
    "unsorted": ([*DAYS[:2], DAYS[3], DAYS[2]], None, "times-unsorted", r"row 5: 2024-01-03 comes after 2024-01-04; sort"),
    "newest first": (DAYS[::-1], None, "times-unsorted", r"row 3: 2024-01-04 comes after 2024-01-05; sort"),
    "gap": ([*DAYS[:2], *DAYS[3:]], None, "times-have-gaps",
            r"row 4: 2024-01-04, where 2024-01-03 was expected .*frequency D, .*\); add"),
    "another time of day": (["2024-01-01 06:00", "2024-01-02 06:00", "2024-01-03 07:00", "2024-01-04 06:00"], None,
                            "times-mixed", r"row 4: 2024-01-03T07:00:00, where 2024-01-03T06:00:00 was expected"),
    "a row too many": ([*MONTHLY[:3], "2020-03-17", *MONTHLY[3:]], None, "times-have-gaps",
                       r"row 5: 2020-03-17, where 2020-04-01 was expected .*frequency MS, .*\); remove"),
    "mixed": (["2020-01-01", "2020-02-01", "2020-03-01", "2020-06-01", "2020-09-01", "2020-12-01"], None, "times-off-frequency",
              r"row 2: 2020-01-01 is no date of the frequency QS-MAR, which 3 of 5 steps follow"),
    "the fifteenth": (["2020-01-15", "2020-02-15", "2020-03-15", "2020-04-15"], None, "times-off-frequency",
                      r"row 2: 2020-01-15 is no date of the frequency MS"),
    "not a time": ([*DAYS[:2], "soon"], None, "time-not-understood", r"row 4: 'soon' is no time; expected one such as 2004-04"),
    "empty": ([DAYS[0], ""], None, "time-not-understood", r"row 3: nothing is no time"),
    "none": ([DAYS[0], None], None, "time-not-understood", r"row 3: nothing is no time"),
    "american": (["1/2/2024", "1/3/2024"], None, "time-not-understood", r"row 2: '1/2/2024' .*the year comes first"),
    "no such day": (["2023-02-29"], None, "time-not-understood", r"row 2: '2023-02-29' is no time"),
    "not in utc": (["0001-01-01T00:00+05:00"], None, "time-not-understood", r"row 2: .* is no time"),
    "two ways": (["2024-01-01T00:00", "2024-01-01T01:00Z"], None, "times-mixed", r"row 3: some times have an offset"),
    "integers doubled": (["1", "2", "2"], None, "times-doubled", r"row 4: 2 is there twice"),
    "integers unsorted": (["3", "2", "1"], None, "times-unsorted", r"row 3: 2 comes after 3; sort"),
    "integers with a gap": (["0", "2", "3", "4"], None, "times-have-gaps", r"row 3: 2 follows 0, where 1 was expected; add"),
    "integers too near": (["0", "2", "4", "5", "7"], None, "times-have-gaps", r"row 5: 5 follows 4, where 6 .*; remove"),
    "too few": (["2020-01-01", "2020-02-01"], None, "frequency-unknown", r"'date' has 2 rows, too few .* \(--freq\)"),
    "unknown frequency": (DAYS, "fortnightly", "frequency-unknown", r"'fortnightly' is not known; expected one of"),
    "another frequency": (DAYS, "MS", "times-mixed", r"row 3: 2024-01-02, where 2024-02-01 was expected \(frequency MS,"),
    "off the frequency": (MONTHLY, "ME", "times-off-frequency", r"row 2: 2020-01-01 is no date of the frequency ME"),
    "one row off the frequency": (["2020-01-15"], "MS", "times-off-frequency", r"row 2: 2020-01-15 is no date of"),
    "off the frequency later": (["2020-01-01", "2020-02-02"], "MS", "times-mixed", r"row 3: 2020-02-02, where 2020-02-01"),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_calendar_is_refused_with_its_row(fault: str) -> None:
    cells, freq, reason, message = WRONG[fault]
    with pytest.raises(DataError, match=message) as refused:
        index_of(cells, "date", freq)
    assert refused.value.reason == reason


def test_rows_are_counted_as_the_file_has_them() -> None:
    with pytest.raises(DataError, match="row 13: 'soon'"):
        index_of([*DAYS[:3], "soon"], "date", first_row=10)
