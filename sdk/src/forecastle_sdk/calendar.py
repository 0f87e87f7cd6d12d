"""Where rows stand in time, and the stamps of coming steps by rule: pandas' frequencies without pandas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Index:
    """The position of the last row, and the rule by which the next ones follow.

    `last` is an ISO 8601 stamp (kind `time`) or an integer (kind `integer`). `freq` is pandas' spelling (`QS-JAN`, `MS`,
    `W-MON`, `B`, `D`, `h`, `15min`, multiples as `2W-SUN`), or None for an irregular calendar, whose coming stamps are `table`.
    `zone` is an IANA name or None for naive stamps. `step` is the distance between rows of an integer index.
    """

    kind: Literal["time", "integer"]
    last: str | int
    freq: str | None = None
    zone: str | None = None
    step: int = 1
    table: tuple[str, ...] = ()

    def after(self, k: int, horizon: int) -> list[str] | list[int]:
        """Return the stamps of steps k+1 … k+horizon after `last`: `after(0, 8)` are the next eight; negative k looks back."""
        raise NotImplementedError

    def at(self, k: int) -> str | int:
        """Return the stamp k steps after `last`; 0 is `last` itself, -1 the row before."""
        return self.after(k - 1, 1)[0]

    def shifted(self, rows: int) -> Index:
        """Return the index that stands `rows` later (or earlier, when negative)."""
        raise NotImplementedError

    @property
    def season(self) -> int:
        """The number of periods in the season that the frequency suggests (4 for quarters, 12 for months, 1 for none)."""
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """Return the index as a JSON object."""
        raise NotImplementedError

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Index:
        """Read back what `to_json` wrote."""
        raise NotImplementedError
