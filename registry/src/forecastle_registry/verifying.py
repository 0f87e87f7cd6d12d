"""Goes through the audit log and finds what does not fit its seals: edited, missing, inserted, reordered, cut off.

A line's seal fits one line before it. Where it does not, the line before was replaced, removed, or moved, or this one was;
what the next line fits tells more, and in the end the few lines that fit nowhere are tried in each other's places.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from .engine import reading
from .errors import NotPlainData
from .heads import EMPTY, Head, read_head
from .seals import read_lines, seal

MAX_FINDINGS = 1000  # more are counted
_MAX_TRIED = 8  # so many seals a line may follow, where those before it do not fit
_MAX_DISPLACED = 12  # so many are tried in each other's places; two lines that were swapped break four seals


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with the log: `id` is a line's, None where it is about the whole, and `message` a sentence.

    `kind` is edited, missing, inserted, reordered, unsealed, rewritten (not what a head that was kept tells), cut-off,
    head (the log's own head is wrong) or key (sealed with another key).
    """

    kind: str
    id: int | None
    message: str


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
    with reading(engine) as connection:
        own = read_head(connection)
        walk = _Walk(key, allow_unsealed)
        awaited = _Awaited(heads, own)
        for line in read_lines(connection):
            walk.take(line)
            awaited.meet(walk, line)
        own = read_head(connection)
    if walk.is_anothers:
        return Verification(walk.count, walk.unsealed, walk.head, (_ANOTHERS,), 0)
    walk.try_elsewhere()
    if own is None and walk.head.count == 0:
        walk.summarize_unsealed()
    awaited.finish(walk, own)
    return Verification(walk.count, walk.unsealed, walk.head, tuple(walk.findings.values()), walk.more)


_ANOTHERS = Finding("key", None, "the log is sealed with another key: bring the signing key of the installation that wrote it")


@dataclass(frozen=True, slots=True)
class _Before:
    """A seal that the next line may follow, and what is true of the lines between if it does."""

    mac: str | None
    then: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class _Displaced:
    """A line that fits nothing so far, the seals it does not follow, and the numbers that are missing before it."""

    line: dict[str, Any]
    tried: tuple[str | None, ...]
    missing: range


class _Walk:
    """The chain as far as it was read. Of the lines themselves only a few are kept."""

    def __init__(self, key: bytes, allow_unsealed: bool) -> None:
        self.count, self.unsealed, self.more, self.head = 0, 0, 0, EMPTY
        self.findings: dict[object, Finding] = {}
        self._key, self._allow_unsealed = key, allow_unsealed
        self._before = [_Before(None)]
        self._last, self._fitting = 0, 0
        self._displaced: list[_Displaced] = []

    @property
    def is_anothers(self) -> bool:
        """Whether no seal at all is made with the key. A single one that does not fit may as well have been edited."""
        return self.head.count > 1 and self._fitting == 0 and not self._reordered()

    def take(self, line: dict[str, Any]) -> None:
        """Go on by a line."""
        self.count += 1
        if line["mac"] is None:
            self._unsealed(line)
        else:
            self.head = Head(line["id"], line["at"], line["mac"], self.head.count + 1)
            self._sealed(line)
        self._last = line["id"]

    def find(self, at: object, finding: Finding) -> None:
        """Keep what was found at a line, instead of what was found there before."""
        if at in self.findings or len(self.findings) < MAX_FINDINGS:
            self.findings[at] = finding
        else:
            self.more += 1

    def summarize_unsealed(self) -> None:
        """Say once, of a log from before there were seals, what is true of all its lines."""
        others = {at: finding for at, finding in self.findings.items() if finding.kind != "unsealed"}
        if len(others) < len(self.findings):
            message = f"none of the {self.unsealed} lines has a seal yet: the next event seals them"
            self.findings, self.more = {**others, "all": Finding("unsealed", None, message)}, 0

    def try_elsewhere(self) -> None:
        """Tell lines that stand in another's place from those that only follow them."""
        places = self._reordered()
        if all(number == was for number, was in places.items()):
            return
        for number, was in places.items():
            if number == was:  # it is where it was; what it followed is not
                self.findings.pop(number, None)
            else:
                self.find(number, Finding("reordered", number, f"line {number} was line {was} when it was sealed"))

    def _unsealed(self, line: dict[str, Any]) -> None:
        number = line["id"]
        self.unsealed += 1
        if not self._allow_unsealed:
            self.find(number, Finding("unsealed", number, f"line {number} has no seal"))
        lost = Finding("edited", number, f"the seal of line {number} was taken away")
        self._before.append(_Before(self._seal(self._before[0].mac, line), (lost,)))

    def _sealed(self, line: dict[str, Any]) -> None:
        for before in self._before:
            if self._seal(before.mac, line) == line["mac"]:
                self._fitting += 1
                for finding in before.then:
                    self.find(finding.id, finding)
                self._before = [_Before(line["mac"])]
                return
        self._does_not_fit(line)

    def _does_not_fit(self, line: dict[str, Any]) -> None:
        number, missing = line["id"], range(self._last + 1, line["id"])
        self.find(number, _edited_or_missing(number, missing, self._last in self.findings))
        tried = tuple(before.mac for before in self._before)
        if len(self._displaced) <= _MAX_DISPLACED:
            self._displaced.append(_Displaced(line, tried, missing))
        overwritten = Finding("edited", number, f"the seal of line {number} was overwritten")
        inserted = Finding("inserted", number, f"line {number} was not written by this installation")
        around = [_Before(before.mac, (*before.then, inserted)) for before in self._before]
        self._before = [_Before(line["mac"]), _Before(self._seal(tried[0], line), (overwritten,)), *around][:_MAX_TRIED]
        if self._fitting == 0 and len(self._displaced) > _MAX_DISPLACED:
            del self._before[1:]  # the key is another one, as it seems, and nothing would fit

    def _reordered(self) -> dict[int, int]:
        """Return which number each displaced line had when it was sealed, where that is found."""
        if len(self._displaced) > _MAX_DISPLACED:
            return {}
        numbers = {number for d in self._displaced for number in (d.line["id"], *d.missing[:_MAX_DISPLACED])}
        seals = {mac for d in self._displaced for mac in (d.line["mac"], *d.tried)}
        found = {}
        for line in (displaced.line for displaced in self._displaced):
            fitting = (n for n in sorted(numbers) for mac in seals if self._seal(mac, {**line, "id": n}) == line["mac"])
            number = next(fitting, None)
            if number is not None:
                found[line["id"]] = number
        return found

    def _seal(self, previous: str | None, line: dict[str, Any]) -> str | None:
        try:
            return seal(self._key, previous, line)
        except NotPlainData:  # no line of ours: a hand has written bytes there
            return None


class _Awaited:
    """The heads that the log must have, by the numbers of their lines: those that were kept, and the log's own."""

    def __init__(self, heads: Iterable[Head], own: Head | None) -> None:
        self._heads: dict[int, list[tuple[str, Head]]] = {}
        for source, head in (*(("kept", head) for head in heads), *([("own", own)] if own else [])):
            if head.id > 0:
                self._heads.setdefault(head.id, []).append((source, head))

    def meet(self, walk: _Walk, line: dict[str, Any]) -> None:
        """Compare a line that was just taken with the heads that tell of it."""
        for source, head in self._heads.pop(line["id"], ()):
            found = walk.findings.get(line["id"])
            rewritten = head.mac != line["mac"] and (found is None or found.kind == "unsealed")
            miscounted = head.mac == line["mac"] and head != walk.head and not walk.findings  # else the cause is known
            if rewritten or miscounted:
                walk.find(line["id"], _unlike(source, head, line["id"], rewritten))

    def finish(self, walk: _Walk, own: Head | None) -> None:
        """Report the heads whose lines never came, and a log whose own head is not its last line."""
        for number in sorted(self._heads):
            walk.find(("head", number), _absent(*self._heads[number][0], walk.head))
        if own is None and walk.head.count:
            message = "the log's own head is gone: whether lines at the end were cut off, only a head kept elsewhere tells"
            walk.find("head", Finding("head", None, message))
        if own is not None and own.id < walk.head.id:
            found = walk.findings.get(walk.head.id)
            if found is None or found.kind in ("edited", "missing"):  # what these say of a line was a guess
                walk.find(walk.head.id, _behind(own, walk.head, found is not None))


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


def _edited_or_missing(number: int, missing: range, broken_before: bool) -> Finding:
    if not missing:
        otherwise = f", or line {number - 1} is not what was there" if broken_before else ""
        return Finding("edited", number, f"line {number} is not what was sealed{otherwise}")
    lines = f"line {missing[0]} is" if len(missing) == 1 else f"lines {missing[0]} to {missing[-1]} are"
    return Finding("missing", missing[0], f"{lines} missing, or line {number} is not what was sealed")
