"""The one shape of a listing: some items, and where to go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")

MANY = 500  # items of a page, for who reads a listing to its end


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A part of a listing; `next` is what to ask for the following part with, None at the end."""

    items: list[Item]
    next: str | None


def page_of(found: Sequence[Item], limit: int, cursor: Callable[[Item], object]) -> Page[Item]:
    """Cut a page from up to `limit + 1` items that were read: the one too many tells that there are more."""
    items = list(found[:limit])
    return Page(items, str(cursor(items[-1])) if items and len(found) > limit else None)


def every(read: Callable[[str | None], Page[Item]]) -> list[Item]:
    """Return all items of a listing, page by page; `read` gets what to go on behind, None at first."""
    page = read(None)
    found = list(page.items)
    while page.next is not None:
        page = read(page.next)
        found += page.items
    return found


def page_where(
    read: Callable[[str | None], Page[Item]],
    wanted: Callable[[Item], bool],
    cursor: Callable[[Item], str],
    *,
    after: str | None,
    limit: int,
) -> Page[Item]:
    """Return a full page of what is wanted of a listing, reading on behind `after` as far as that takes."""
    found: list[Item] = []
    while len(found) <= limit:
        page = read(after)
        found += filter(wanted, page.items)
        if page.next is None:
            break
        after = page.next
    return page_of(found, limit, cursor)
