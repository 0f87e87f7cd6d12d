"""The chain of seals as the log is gone through: which line fits, and what is wrong where one does not.

A line's seal fits one line before it. Where it does not, the line before was replaced, removed, or moved, or this one was;
what the next line fits tells more, and in the end the few lines that fit nowhere are tried in each other's places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .errors import NotPlainData
from .heads import EMPTY, Head
from .seals import seal

MAX_FINDINGS = 1000  # more are counted
_MAX_TRIED = 8  # so many seals a line may follow, where those before it do not fit
_MAX_DISPLACED = 12  # so many are tried in each other's places; two lines that were swapped break four seals
_LONG = 12  # where more lines in a row do not fit, the key is told of instead of each


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


class Chain:
    """The chain as far as it was read. Of the lines themselves only a few are kept."""

    def __init__(self, key: bytes, allow_unsealed: bool) -> None:
        self.count, self.unsealed, self.more, self.head = 0, 0, 0, EMPTY
        self.findings: dict[object, Finding] = {}
        self._key, self._allow_unsealed = key, allow_unsealed
        self._before = [_Before(None)]
        self._last, self._fitting = 0, 0
        self._run: list[int] = []  # the numbers of the first lines that do not fit, since one did
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
            self.head = Head(line["id"], str(line["at"]), str(line["mac"]), self.head.count + 1)  # bytes, where a hand was
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
        ends = [before for before in (self._before[0], self._before[-1]) if len(before.then) < _MAX_TRIED]
        without = [_Before(self._seal(before.mac, line), (*before.then, lost)) for before in dict.fromkeys(ends)]
        self._before = [*self._before[: _MAX_TRIED // 2], *without]

    def _sealed(self, line: dict[str, Any]) -> None:
        for before in self._before:
            if self._seal(before.mac, line) == line["mac"]:
                self._fitting += 1
                for finding in before.then:
                    self.find(finding.id, finding)
                self._before, self._run = [_Before(line["mac"])], []
                return
        self._does_not_fit(line)

    def _does_not_fit(self, line: dict[str, Any]) -> None:
        number, missing = line["id"], range(self._last + 1, line["id"])
        self._run.append(number)
        if len(self._run) > _LONG:
            self._tell_run(line)
            return
        self.find(number, _edited_or_missing(number, missing, self._last in self.findings))
        tried = tuple(before.mac for before in self._before)
        if len(self._displaced) <= _MAX_DISPLACED:
            self._displaced.append(_Displaced(line, tried, missing))
        overwritten = Finding("edited", number, f"the seal of line {number} was overwritten")
        inserted = Finding("inserted", number, f"line {number} was not written by this installation")
        around = [_Before(before.mac, (*before.then, inserted)) for before in self._before]
        self._before = [_Before(line["mac"]), _Before(self._seal(tried[0], line), (overwritten,)), *around][:_MAX_TRIED]

    def _tell_run(self, line: dict[str, Any]) -> None:
        """Report lines in a row of which none fits as one finding: the key is another one, as it seems."""
        for number in self._run[1:]:
            self.findings.pop(number, None)
        del self._run[1 + _LONG :]
        first, last = self._run[0], line["id"]
        message = f"lines {first} to {last} are sealed with another key, or none of them is what was sealed"
        self.find(first, Finding("key", first, message))
        self._before = [_Before(line["mac"])]

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


def _edited_or_missing(number: int, missing: range, broken_before: bool) -> Finding:
    if not missing:
        otherwise = f", or line {number - 1} is not what was there" if broken_before else ""
        return Finding("edited", number, f"line {number} is not what was sealed{otherwise}")
    lines = f"line {missing[0]} is" if len(missing) == 1 else f"lines {missing[0]} to {missing[-1]} are"
    return Finding("missing", missing[0], f"{lines} missing, or line {number} is not what was sealed")
