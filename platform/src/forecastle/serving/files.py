"""Future exogenous values from an uploaded file: its columns, and its time column against the coming timestamps."""

from __future__ import annotations

from typing import Any

from forecastle_sdk import Index, Signature
from forecastle_sdk.errors import ExogError, HorizonError, InputError, Problem

from ..errors import pointer_to
from ..tables import Table, read_table, time_column
from .request import REPORTED


def exog_from_file(signature: Signature, content: bytes, limit: int) -> dict[str, list[Any]]:
    """Return the exog columns of a file. Raises as `future_from_file`."""
    return future_from_file(signature, content, limit)[0]


def future_from_file(signature: Signature, content: bytes, limit: int) -> tuple[dict[str, list[Any]], int]:
    """Return the exog columns of a CSV, Excel or Parquet file of at most `limit` rows, and the number of its rows.

    Raises `UnreadableTable`, `ExogError` for an unknown or absent column, and `InputError` for other times than the coming.
    """
    table = read_table(content, signature.exog_names)
    if len(table.rows) > limit:
        raise HorizonError(f"the file has {len(table.rows)} rows; at most {limit} steps are answered", code="horizon-too-large")
    time = time_column(table.header, (*signature.exog_names, *signature.endog))
    names = [name for name in table.header if name != time]
    unknown = [name for name in names if name not in signature.exog_names][:REPORTED]
    if unknown:
        wrong = "is neither an exogenous column of this version nor the time"
        problems = [Problem(pointer_to("file", name), wrong) for name in unknown]
        message = f"the file has columns that this version does not know: {', '.join(unknown)}"
        raise ExogError(message, code="exog-unknown", problems=problems)
    if time is not None:
        check_times(signature.index, table, time)
    return {name: table.numbers(name) for name in names}, len(table.rows)


def check_times(index: Index, table: Table, column: str) -> None:
    """Raise `InputError` that names the first row whose time is not the coming one."""
    cells = table.column(column)
    for i, (cell, expected) in enumerate(zip(cells, index.after(0, len(cells)), strict=True)):
        if not index.matches(str(cell), i + 1):
            shown = "nothing" if cell is None or not str(cell).strip() else cell
            problem = Problem(pointer_to("file", column, i), f"{shown} in row {table.first_row + i}; expected {expected}")
            message = f"the time column {column!r} does not go on where the training data ended: {problem.message}"
            raise InputError(message, code="times-do-not-match", problems=[problem])
