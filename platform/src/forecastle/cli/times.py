"""Times as arguments of commands."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from ..moments import moment_from


class Moment(click.ParamType):
    """A time with its zone, or a date; with `past` none that is still to come."""

    name = "time"

    def __init__(self, *, past: bool = False) -> None:
        self._past = past

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read a time."""
        try:
            return value if isinstance(value, datetime) else moment_from(value, past=self._past)
        except ValueError as error:
            self.fail(str(error), param, ctx)
