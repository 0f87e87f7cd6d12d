"""Verifies the audit log: its chain of seals, and that it has the lines which heads kept elsewhere tell of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from .chain import Chain, Finding
from .engine import damaged_text_as_bytes, reading
from .heads import Head, read_head
from .seals import read_lines


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found: `count` lines, `unsealed` of them without a seal; `head` is the last one that has a seal.

    `more` counts findings beyond the thousand that `findings` has.
    """

    count: int
    unsealed: int
    head: Head
    findings: tuple[Finding, ...]
    more: int


def verify_events(engine: sa.Engine, key: bytes, heads: Iterable[Head] = (), *, allow_unsealed: bool = False) -> Verification:
    """Check every line of the log, and that it has those which `heads`, kept elsewhere, tell of.

    Others may write meanwhile. Lines without a seal, as the release before this one writes them, are findings unless
    allowed. Raises `DatabaseUnusable`.
    """
    with reading(engine) as connection, damaged_text_as_bytes(connection):
        own = read_head(connection)
        chain = Chain(key, allow_unsealed)
        awaited = _Awaited(heads, own)
        for line in read_lines(connection):
            chain.take(line)
            awaited.meet(chain, line)
        own = read_head(connection)
    if chain.is_anothers:
        return Verification(chain.count, chain.unsealed, chain.head, (_ANOTHERS,), 0)
    chain.try_elsewhere()
    if own is None and chain.head.count == 0:
        chain.summarize_unsealed()
    awaited.finish(chain, own)
    return Verification(chain.count, chain.unsealed, chain.head, tuple(chain.findings.values()), chain.more)


_ANOTHERS = Finding("key", None, "the log is sealed with another key: bring the signing key of the installation that wrote it")


class _Awaited:
    """The heads that the log must have, by the numbers of their lines: those that were kept, and the log's own."""

    def __init__(self, heads: Iterable[Head], own: Head | None) -> None:
        self._heads: dict[int, list[tuple[str, Head]]] = {}
        for source, head in (*(("kept", head) for head in heads), *([("own", own)] if own else [])):
            if head.id > 0:
                self._heads.setdefault(head.id, []).append((source, head))

    def meet(self, chain: Chain, line: dict[str, Any]) -> None:
        """Compare a line that was just taken with the heads that tell of it."""
        for source, head in self._heads.pop(line["id"], ()):
            found = chain.findings.get(line["id"])
            rewritten = head.mac != line["mac"] and (found is None or found.kind == "unsealed")
            miscounted = head.mac == line["mac"] and head != chain.head and not chain.findings  # else the cause is known
            if rewritten or miscounted:
                chain.find(line["id"], _unlike(source, head, line["id"], rewritten))

    def finish(self, chain: Chain, own: Head | None) -> None:
        """Report the heads whose lines never came, and a log whose own head is not its last line."""
        for number in sorted(self._heads):
            chain.find(("head", number), _absent(*self._heads[number][0], chain.head))
        if own is None and chain.head.count:
            message = "the log's own head is gone: whether lines at the end were cut off, only a head kept elsewhere tells"
            chain.find("head", Finding("head", None, message))
        if own is not None and own.id < chain.head.id:
            found = chain.findings.get(chain.head.id)
            if found is None or found.kind in ("edited", "missing"):  # what these say of a line was a guess
                chain.find(chain.head.id, _behind(own, chain.head, found is not None))


def _unlike(source: str, head: Head, number: int, rewritten: bool) -> Finding:
    if source == "own":
        return Finding("head", number, f"the log's own head does not tell of line {number} as it is")
    if rewritten:
        return Finding("rewritten", number, f"line {number} has another seal than when its head was kept ({head.at})")
    return Finding("rewritten", number, f"up to line {number} there were {head.count} sealed lines when its head was kept")


def _absent(source: str, head: Head, last: Head) -> Finding:
    whose = "the log's own head" if source == "own" else f"a head that was kept ({head.at})"
    if head.id > last.id:
        return Finding(
            "cut-off", head.id, f"the log ends at line {last.id}, but {whose} is line {head.id}: its end was cut off"
        )
    return Finding("missing", head.id, f"line {head.id} is missing, but {whose} tells of it")


def _behind(own: Head, last: Head, broken: bool) -> Finding:
    if broken:
        return Finding(
            "inserted", last.id, f"line {last.id} was not written by this installation: the log ends at line {own.id}"
        )
    return Finding("head", last.id, f"the log's own head is line {own.id}, but lines up to {last.id} are sealed")
