"""The calendar says the same as pandas wherever pandas has a word, and keeps its own rules at the clock's changes."""

import contextlib
import json

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from forecastle_sdk.calendar import Index
from forecastle_sdk.errors import DataError, HorizonError
from forecastle_sdk.frequencies import MONTHS, TODAY, WEEKDAYS, frequency

BERLIN = "Europe/Berlin"
ANCHORED = [f"{name}-{month}" for name in ("YS", "YE", "QS", "QE", "BYS", "BYE", "BQS", "BQE") for month in MONTHS]
PLAIN = ["MS", "ME", "BMS", "BME", "SMS", "SME", "SMS-2", "SME-27", "D", "B", *(f"W-{day}" for day in WEEKDAYS)]
SHORT = ["h", "min", "s", "ms", "us"]
HOURLY = [BERLIN, "America/New_York", "Asia/Kolkata", "UTC"]  # zones whose clock changes by an hour, if at all
ZONES = [*HOURLY, "Australia/Lord_Howe"]
SPELLINGS = {
    "QS": "QS-JAN", "QS-OCT": "QS-JAN", "QE-MAR": "QE-DEC", "Q-FEB": "QE-NOV", "BQS-NOV": "BQS-FEB", "M": "ME",
    "A-JUN": "YE-JUN", "AS": "YS-JAN", "W": "W-SUN", "2W": "2W-SUN", "15T": "15min", "SM": "SME-15", "1D": "D",
}  # fmt: skip
SEASONS = {
    "YS": 1, "QE": 4, "2QS": 2, "MS": 12, "3ME": 4, "5MS": 1, "SMS": 24, "W": 52, "2W": 26, "B": 5, "5B": 52, "D": 7, "2D": 1,
    "7D": 52, "h": 24, "6h": 4, "24h": 7, "7h": 1, "15min": 96, "min": 1440, "s": 3600, "900s": 96, "7s": 1,
}  # fmt: skip

steady = settings(deadline=None, derandomize=True)  # a busy machine is no failure, and what fails once fails again
multiples = st.sampled_from(["", "2", "3", "15"])
days = st.dates(pd.Timestamp("1900-01-01").date(), pd.Timestamp("2100-01-01").date())
moments = st.datetimes(pd.Timestamp("1990-01-01").to_pydatetime(), pd.Timestamp("2037-01-01").to_pydatetime())


@steady
@given(name=st.sampled_from(ANCHORED + PLAIN), multiple=multiples, day=days, seen=st.integers(0, 11))
def test_days_and_longer_are_those_of_pandas(name, multiple, day, seen):
    steps = pd.tseries.frequencies.to_offset(multiple + name)
    start = pd.tseries.frequencies.to_offset(name).rollforward(pd.Timestamp(day))
    stamps = [stamp.date().isoformat() for stamp in pd.date_range(start, periods=24, freq=steps)]
    index = Index("time", stamps[seen], multiple + name)
    assert index.after(0, 23 - seen) == stamps[seen + 1 :]
    assert index.after(-seen - 1, 24) == stamps
    assert [index.position(stamp) for stamp in stamps] == list(range(-seen, 24 - seen))


@steady
@given(name=st.sampled_from(ANCHORED + PLAIN + SHORT), multiple=multiples)
def test_frequencies_are_spelled_as_pandas_spells_them(name, multiple):
    spelling = frequency(multiple + name).spelling
    offset = pd.tseries.frequencies.to_offset
    assert offset(spelling).freqstr == spelling
    if name[0] != "Q" and name[:2] != "BQ":  # quarters of another anchor may fall on the same dates, and get one spelling
        assert offset(spelling) == offset(multiple + name)


@pytest.mark.parametrize("old", sorted(TODAY))
def test_old_spellings_are_read_as_the_ones_of_today(old):
    assert frequency(old) == frequency(TODAY[old])


@pytest.mark.parametrize(("given", "kept"), SPELLINGS.items())
def test_every_rule_has_one_spelling(given, kept):
    assert frequency(given).spelling == kept


@pytest.mark.parametrize(
    "spelling", ["", "X", "0D", "-1D", "1.5h", "QS-FOO", "D-MON", "MS-JAN", "W-JAN", "SMS-1", "h-1", "1D12h", "C"]
)
def test_an_unknown_frequency_is_refused(spelling):
    with pytest.raises(DataError, match="expected one of") as refusal:
        frequency(spelling)
    assert refusal.value.reason == "frequency-unknown"


@steady
@given(name=st.sampled_from(SHORT), multiple=multiples, start=moments, zone=st.sampled_from([None, *ZONES]))
def test_hours_and_shorter_are_those_of_pandas(name, multiple, start, zone):
    first = pd.Timestamp(start) if zone is None else pd.Timestamp(start, tz="UTC").tz_convert(zone)
    stamps = pd.date_range(first, periods=9, freq=multiple + name)
    index = Index("time", first.isoformat(), multiple + name, zone)
    assert [pd.Timestamp(stamp) for stamp in index.after(-1, 9)] == list(stamps)
    assert [index.position(stamp.isoformat()) for stamp in stamps] == list(range(9))


@steady
@given(name=st.sampled_from(["D", "B", "W-SUN", "MS"]), start=moments, zone=st.sampled_from(HOURLY))
@example(name="D", start=pd.Timestamp("2024-03-25 02:30").to_pydatetime(), zone=BERLIN)
@example(name="D", start=pd.Timestamp("2024-10-25 02:30").to_pydatetime(), zone=BERLIN)
def test_days_and_longer_keep_their_wall_time(name, start, zone):
    first = pd.tseries.frequencies.to_offset(name).rollforward(pd.Timestamp(start))
    wall = pd.date_range(first, periods=200, freq=name)
    index = Index("time", first.isoformat(), name, zone)
    stamps = index.after(-1, 200)
    assert [pd.Timestamp(stamp).tz_localize(None) for stamp in stamps] == list(wall)
    instants = wall.tz_localize(zone, nonexistent=pd.Timedelta(hours=1), ambiguous=[True] * len(wall))
    assert [pd.Timestamp(stamp) for stamp in stamps] == list(instants)
    assert index.position(stamps[-1]) == 199
    assert index.shifted(199).after(-200, 200) == stamps


def test_a_wall_time_that_the_clock_skips_is_written_with_the_offset_before():
    index = Index("time", "2024-03-30T02:30:00", "D", BERLIN)
    assert index.after(-1, 3) == ["2024-03-30T02:30:00+01:00", "2024-03-31T02:30:00+01:00", "2024-04-01T02:30:00+02:00"]
    assert index.shifted(1).after(0, 1) == ["2024-04-01T02:30:00+02:00"]
    assert index.matches("2024-03-31T03:30:00+02:00", 1)


def test_a_clock_may_change_by_half_an_hour():
    index = Index("time", "2026-10-03T02:15:00", "D", "Australia/Lord_Howe")
    assert index.after(0, 2) == ["2026-10-04T02:15:00+10:30", "2026-10-05T02:15:00+11:00"]
    assert index.matches("2026-10-04T02:45:00+11:00", 1)


def test_of_a_wall_time_that_the_clock_repeats_the_first_is_meant():
    index = Index("time", "2024-10-26T02:30:00", "D", BERLIN)
    assert index.at(1) == "2024-10-27T02:30:00+02:00"
    assert Index("time", "2024-10-27 02:30", "h", BERLIN).last == "2024-10-27T02:30:00+02:00"
    hours = Index("time", "2024-10-27T01:00:00", "h", BERLIN)
    assert hours.after(0, 3) == ["2024-10-27T02:00:00+02:00", "2024-10-27T02:00:00+01:00", "2024-10-27T03:00:00+01:00"]
    assert hours.matches("2024-10-27 02:00", 1)
    assert hours.matches("2024-10-27 02:00", 2)
    assert not hours.matches("2024-10-27 02:00+01:00", 1)


@pytest.mark.parametrize(
    ("last", "freq", "zone", "kept"),
    [
        ("2004-01-01T00:00:00", "QS", None, "2004-01-01"),
        ("2004-01-01 06:00", "QS", None, "2004-01-01T06:00:00"),
        ("2004-01-01", "h", None, "2004-01-01T00:00:00"),
        ("2004-01-01", "D", BERLIN, "2004-01-01T00:00:00+01:00"),
        ("2004-01-01T00:00:00Z", "h", BERLIN, "2004-01-01T01:00:00+01:00"),
        ("2004-01-01T00:00:00+05:30", "D", "+05:30", "2004-01-01T00:00:00+05:30"),
    ],
)
def test_a_stamp_has_one_spelling(last, freq, zone, kept):
    index = Index("time", last, freq, zone)
    assert index.last == index.at(0) == kept
    assert index == Index("time", kept, freq, zone)


@pytest.mark.parametrize(
    ("last", "freq", "hint"),
    [
        ("2004-02-01", "QS-JAN", "'QS-FEB' or 'MS'"),
        ("2004-01-01", "ME", "'MS' or 'QS-JAN'"),
        ("2004-03-31", "MS", "'ME' or 'QE-DEC'"),
        ("2004-01-06", "W-MON", "'W-TUE' or 'B'"),
        ("2004-01-03", "2B", "'2W-SAT' or '2D'"),
    ],
)
def test_a_stamp_off_its_frequency_is_refused_with_one_that_fits(last, freq, hint):
    with pytest.raises(DataError, match=hint) as refusal:
        Index("time", last, freq)
    assert refusal.value.reason == "index-off-frequency"


@pytest.mark.parametrize(
    "arguments",
    [
        ("time", 3, "D"),
        ("time", "yesterday", "D"),
        ("time", "2004-01-01", "D", "Mars/Olympus"),
        ("time", "2004-01-01", "D", "../etc/passwd"),
        ("time", "2004-01-01T00:00:00+01:00", "D"),
        ("time", "2004-01-01", "D", None, 1, ("2004-01-02",)),
        ("time", "2004-01-01", None, None, 1, ("2004-01-03", "2004-01-02")),
        ("time", "2004-01-03", None, None, 1, ("2004-01-02", "2004-01-05")),
        ("integer", "3"),
        ("integer", 3.0),
        ("integer", 3, "D"),
        ("integer", 3, None, None, 0),
        ("decimal", 3),
    ],
)
def test_an_index_whose_parts_do_not_agree_is_refused(arguments):
    with pytest.raises(DataError):
        Index(*arguments)


odd_texts = st.text(max_size=12) | st.from_regex(
    r"[0-9]{1,5}[-/.Q][0-9]{1,3}([-/.][0-9]{1,4})?([T ][0-9:.+-Z]{0,9})?", fullmatch=True
)


@steady
@given(text=odd_texts, freq=st.sampled_from([None, "YS", "QE", "MS", "D", "h"]), zone=st.sampled_from([None, BERLIN]))
@example(text="0001-01-01T00:00:00+14:00", freq="h", zone=BERLIN)
@example(text="9999-12-31T23:00:00-11:00", freq="h", zone=BERLIN)
def test_any_text_is_a_stamp_or_refused(text, freq, zone):
    with contextlib.suppress(DataError):
        Index("time", text, freq, zone)
    index = Index("time", "2004-12-31" if freq == "QE" else "2004-01-01", freq, zone)
    position = index.position(text)
    assert index.matches(text, 0 if position is None else position) == (position is not None)


def test_integers_go_on_by_their_step():
    index = Index("integer", 10, step=5)
    assert index.after(0, 3) == [15, 20, 25]
    assert index.after(-3, 2) == [0, 5]
    assert index.shifted(-2) == Index("integer", 0, step=5)
    assert [index.position(text) for text in ("20", 5, "12", "x", "2.5")] == [2, -1, None, None, None]


def test_the_calendar_ends_after_the_year_9999():
    for index in (
        Index("time", "9999-10-01", "QS"),
        Index("time", "9999-12-30", "D"),
        Index("time", "9999-12-31T20:00", "h", BERLIN),
    ):
        with pytest.raises(HorizonError, match="years 1 to 9999"):
            index.after(0, 10**6)
    with pytest.raises(HorizonError, match="years 1 to 9999"):
        Index("time", "0001-01-01", "YS").at(-1)
    with pytest.raises(HorizonError, match="ask for fewer"):
        Index("integer", 2**63 - 2).after(0, 2)


def test_an_irregular_calendar_goes_along_its_table():
    index = Index("time", "2004-01-02", table=("2004-01-05", "2004-01-07", "2004-01-14"))
    assert index.after(0, 2) == ["2004-01-05", "2004-01-07"]
    assert index.position("7.1.2004") == 2
    later = index.shifted(2)
    assert later.at(0) == "2004-01-07"
    assert later.after(-3, 4) == ["2004-01-02", *index.table]
    assert later.shifted(-2).last == index.last
    for asked in (lambda: later.after(0, 2), lambda: index.at(-1)):
        with pytest.raises(HorizonError, match="train with a longer table"):
            asked()


@pytest.mark.parametrize(
    ("freq", "last", "text", "position"),
    [
        ("QS", "2009-01-01", "2009Q4", 3),
        ("QS", "2009-01-01", "2009-Q4", 3),
        ("QE", "2009-03-31", "2009q4", 3),
        ("QE", "2009-03-31", "2009-12", 3),
        ("QE", "2009-03-31", "2009-11", None),
        ("QS-FEB", "2009-02-01", "2009Q4", None),
        ("MS", "2009-01-01", "2009-10", 9),
        ("ME", "2009-01-31", "2009/10", 9),
        ("BME", "2009-01-30", "2009-10", 9),
        ("MS", "2009-01-01", "2009Q4", None),
        ("MS", "2009-01-01", "2009", None),
        ("MS", "2009-01-01", "2009-13", None),
        ("YE", "2009-12-31", "2011", 2),
        ("D", "2009-01-01", "2009-01", None),
        ("D", "2009-01-01", "2009/1/3", 2),
        ("D", "2009-01-01", "3.1.2009", 2),
        ("D", "2009-01-01", "20090103", 2),
        ("D", "2009-01-01", " 2009-01-03 00:00:00 ", 2),
        ("D", "2009-01-01", "2009-01-03T00:00:00.000000000", 2),
        ("D", "2009-01-01", "2009-01-03 00:00:00+00:00", 2),
        ("D", "2009-01-01", "2009-01-03 06:00", None),
        ("D", "2009-01-01", "1/3/2009", None),
        ("D", "2009-01-01", "", None),
        ("2D", "2009-01-01", "2009-01-04", None),
        ("h", "2009-01-01", "2009-01-01 05:00", 5),
        ("h", "2009-01-01", "2009-01-01T05:30", None),
        ("W-MON", "2009-01-05", "2009-W03", 1),
    ],
)
def test_stamps_are_recognized_as_people_and_spreadsheets_write_them(freq, last, text, position):
    index = Index("time", last, freq)
    assert index.position(text) == position
    assert index.matches(text, 2 if position is None else position) == (position is not None)


@pytest.mark.parametrize(("freq", "season"), SEASONS.items())
def test_the_frequency_suggests_a_season(freq, season):
    assert frequency(freq).season == season


def test_integers_and_tables_suggest_no_season():
    assert Index("integer", 3).season == Index("time", "2004-01-01", table=("2004-01-09",)).season == 1


@pytest.mark.parametrize(
    "index",
    [
        Index("time", "2004-01-01", "QS"),
        Index("time", "2004-01-01T01:00", "15min", BERLIN),
        Index("integer", 3, step=2),
        Index("time", "2004-01-01", table=("2004-01-05", "2004-01-07")),
    ],
)
def test_an_index_survives_json_and_can_be_a_key(index):
    assert Index.from_json(json.loads(json.dumps(index.to_json()))) == index
    assert {index: 1}[Index.from_json(index.to_json())] == 1


def test_the_stamps_are_the_receivers_own():
    index = Index("time", "2004-01-01", "QS")
    index.after(0, 2).clear()
    assert index.after(0, 2) == ["2004-04-01", "2004-07-01"]
