"""Reads what a spreadsheet writes: CSV in the forms that Excel has, Excel's own files, Parquet as an extra. No pandas.

A table is a header and rows of text, numbers, times or nothing. What a cell means is decided by who reads it.
"""

from __future__ import annotations

import csv
import io
import math
import re
import sys
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from forecastle_sdk.errors import Problem

from .errors import UnreadableTable, pointer_to

ENCODINGS = ("utf-8-sig", "cp1252", "cp932")  # what Excel writes; the first that reads the file and the wanted header wins
DELIMITERS = (",", ";", "\t")
EMPTY = "the file is empty; expected a header and rows"
MAX_CELLS = 10**7  # of a workbook, whose rows may be as wide as they say
MAX_UNPACKED = 100 * 1000**2  # an .xlsx is a zip file: what it may become
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
MISSING = ("nan", "na", "n/a", "#n/a", "null", ".")
TIME_NAMES = ("timestamp", "time", "date", "datetime", "ds", "period", "month", "quarter", "year", "day", "week", "index", "t")


@dataclass(frozen=True, slots=True)
class Table:
    """A header and its rows; `first_row` is the number of the first one in the file, as a person counts."""

    header: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    decimal_comma: bool = False
    first_row: int = 2

    def column(self, name: str) -> list[Any]:
        """Return the cells of a column."""
        j = self.header.index(name)
        return [row[j] for row in self.rows]

    def numbers(self, name: str, *, missing: bool = False) -> list[float]:
        """Return a column as floats; an empty cell is NaN where `missing`. Raises `UnreadableTable` naming column and row."""
        values, problems = [], []
        for i, cell in enumerate(self.column(name)):
            number = _number(cell, self.decimal_comma)
            if number is None or (math.isnan(number) and not missing):
                shown = "nothing" if _is_empty(cell) else repr(cell)
                problems.append(Problem(pointer_to(name, i), f"{shown} in row {self.first_row + i}; expected a number"))
                continue
            values.append(number)
        if problems:
            where = f"the column {name!r}: {problems[0].message}"
            raise UnreadableTable(where, code="cell-not-a-number", problems=problems[:20])
        return values


def _is_empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _number(cell: Any, decimal_comma: bool) -> float | None:
    """Return a cell as a number, NaN for an empty one, None for what is neither. Infinity is no number here."""
    if _is_empty(cell):
        return math.nan
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        return None if abs(cell) > sys.float_info.max else float(cell)
    text = str(cell).strip()
    if decimal_comma:
        text = text.replace(",", ".")
    if text.lower() in MISSING:
        return math.nan
    return float(text) if NUMBER.fullmatch(text) and math.isfinite(float(text)) else None


def read_table(content: bytes, wanted: Iterable[str] = ()) -> Table:
    """Read a CSV, Excel or Parquet file by what its bytes are. `wanted` names columns that the header should hold.

    Raises `UnreadableTable` for what is empty, binary, without a header, or has a doubled column.
    """
    if not content.strip(b"\0 \t\r\n"):
        raise UnreadableTable(EMPTY, code="file-empty")
    if content.startswith(b"PK\x03\x04"):
        table = _read_excel(content)
    elif content.startswith(b"PAR1"):
        table = _read_parquet(content)
    else:
        table = _read_csv(content, tuple(wanted))
    _check_header(table, set(wanted))
    return table


def time_column(header: Sequence[str], taken: Sequence[str]) -> str | None:
    """Return the column that holds the time, by its name; None where there is none."""
    for name in header:
        if name not in taken and (name.lower() in TIME_NAMES or not name):
            return name
    return None


def _check_header(table: Table, wanted: set[str]) -> None:
    numbers = [NUMBER.fullmatch(name.replace(",", ".")) is not None or not name for name in table.header]
    if all(numbers) or (any(numbers) and wanted and not wanted & set(table.header)):
        raise UnreadableTable("the first row holds numbers; expected a header with the columns' names", code="header-missing")
    name, count = Counter(table.header).most_common(1)[0]
    if count > 1:
        what = f"the column {name!r:.80} is there twice" if name else "two columns have no name"
        raise UnreadableTable(f"{what}; every column needs a name of its own", code="column-doubled")
    if not table.rows:
        raise UnreadableTable("the file has a header and no rows; expected one row for each step", code="file-without-rows")


def _read_csv(content: bytes, wanted: tuple[str, ...]) -> Table:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _parse_csv(_decoded(content, "utf-16"), wanted)
    if b"\0" in content:
        raise UnreadableTable("the file is binary; expected CSV text, or an .xlsx workbook", code="file-binary")
    tables = []
    for encoding in ENCODINGS:
        try:
            table = _parse_csv(content.decode(encoding), wanted)
        except UnicodeDecodeError:
            continue
        if set(wanted) <= set(table.header):
            return table
        tables.append(table)
    if not tables:
        raise UnreadableTable("the file is no text in UTF-8, cp1252 or cp932; save it as CSV UTF-8", code="file-binary")
    return tables[0]


def _decoded(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise UnreadableTable(f"the file is no text in {encoding}; save it as CSV UTF-8", code="file-binary") from None


def _parse_csv(text: str, wanted: tuple[str, ...]) -> Table:
    delimiter = max(DELIMITERS, key=lambda mark: _fit(text, mark, wanted))
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise UnreadableTable(f"the file is no CSV that can be read: {error}", code="file-unreadable") from None
    filled = [i for i, line in enumerate(lines) if any(cell.strip() for cell in line)]
    if not filled:
        raise UnreadableTable(EMPTY, code="file-empty")
    lines, first_row = lines[filled[0] : filled[-1] + 1], filled[0] + 2
    header = tuple(name.strip() for name in lines[0])
    for i, line in enumerate(lines[1:], start=first_row):
        if len(line) != len(header):
            message = f"row {i} has {len(line)} cells, the header has {len(header)}; check the separators and quotes"
            raise UnreadableTable(message, code="row-of-another-length")
    width = max(i + 1 for line in lines for i, cell in enumerate(line) if cell.strip())
    header, rows = header[:width], tuple(tuple(line[:width]) for line in lines[1:])  # Excel keeps columns that were emptied
    decimal_comma = delimiter != "," and any("," in cell for row in rows for cell in row)
    return Table(header, rows, decimal_comma, first_row)


def _fit(text: str, delimiter: str, wanted: tuple[str, ...]) -> tuple[int, int]:
    first = text.lstrip("\r\n").split("\n", 1)[0]
    names = {name.strip().strip('"') for name in first.split(delimiter)}
    return len(names & set(wanted)), first.count(delimiter)


def _read_excel(content: bytes) -> Table:
    import openpyxl  # here, because most requests hold no workbook

    _refuse_bomb(content)
    try:
        workbook = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
        sheet = workbook.worksheets[0]
        sheet.reset_dimensions()  # what the file says of its size need not be true
        lines = list(_bounded(sheet.iter_rows(values_only=True)))
    except UnreadableTable:
        raise
    except Exception as error:  # noqa: BLE001  openpyxl raises whatever its parsers raise on a broken workbook
        raise UnreadableTable(f"the workbook cannot be read ({type(error).__name__}); save it again as .xlsx or CSV") from None
    return _from_cells(lines)


def _bounded(lines: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    cells = 0
    for line in lines:
        cells += len(line)
        if cells > MAX_CELLS:
            raise UnreadableTable(f"the workbook has more than {MAX_CELLS:,} cells; save the table alone, as CSV")
        yield line


def _refuse_bomb(content: bytes) -> None:
    try:
        size = sum(member.file_size for member in zipfile.ZipFile(io.BytesIO(content)).infolist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        raise UnreadableTable("the file begins like a workbook and is none; save it again as .xlsx or CSV") from None
    if size > MAX_UNPACKED:
        raise UnreadableTable(f"the workbook unpacks to {size / 1e6:.0f} MB; at most {MAX_UNPACKED / 1e6:.0f} MB are read")


def _read_parquet(content: bytes) -> Table:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        message = "Parquet is not installed here (the extra forecastle-platform[parquet]); send CSV or .xlsx"
        raise UnreadableTable(message, code="parquet-not-installed") from None
    try:
        read = parquet.read_table(io.BytesIO(content))
    except (ArrowException, OSError):
        raise UnreadableTable("the Parquet file cannot be read; write it again") from None
    lines = [tuple(read.column_names), *zip(*(column.to_pylist() for column in read.columns), strict=True)]
    return _from_cells(lines)


def _from_cells(lines: Sequence[Sequence[Any]]) -> Table:
    """Return the table in the cells of a sheet, without the empty rows above and below it and the empty columns behind it."""
    widths = [max((i + 1 for i, cell in enumerate(line) if not _is_empty(cell)), default=0) for line in lines]
    filled = [i for i, width in enumerate(widths) if width]
    if not filled:
        raise UnreadableTable(EMPTY, code="file-empty")
    first, width = filled[0], max(widths)
    header, *rows = [
        tuple(_plain(line[i]) if i < len(line) else None for i in range(width)) for line in lines[first : filled[-1] + 1]
    ]
    return Table(tuple("" if name is None else str(name).strip() for name in header), tuple(rows), first_row=first + 2)


def _plain(cell: Any) -> Any:
    if isinstance(cell, datetime):
        midnight = cell.hour == cell.minute == cell.second == cell.microsecond == 0 and cell.tzinfo is None
        return cell.date().isoformat() if midnight else cell.isoformat()
    return cell.isoformat() if isinstance(cell, date) else cell
