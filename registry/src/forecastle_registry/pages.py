"""The one shape of a listing: some items, and where to go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A part of a listing; `next` is what to ask for the following part with, None at the end."""

    items: list[Item]
    next: str | None


def page_of(found: Sequence[Item], limit: int, cursor: Callable[[Item], object]) -> Page[Item]:
    """Cut a page from up to `limit + 1` items that were read: the one too many tells that there are more."""
    items = list(found[:limit])
    return Page(items, str(cursor(items[-1])) if items and len(found) > limit else None)
