"""Lays a version that would go live beside the one that is: columns, accuracy, and forecasts for the same coming steps.

Both forecast on their own example, with exogenous columns held at their last values, and are compared where their steps meet:
a version that has seen more rows begins later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from forecastle_registry.clearance import Outlook
from forecastle_registry.errors import ArtifactError
from forecastle_registry.gates import ColumnSkill, skill_of
from forecastle_registry.versions import Version
from forecastle_sdk import Notice
from forecastle_sdk.errors import ForecastleError

from .errors import PlatformError
from .golden import held_exog
from .serving.loading import LoadedVersion, Loader

STEPS = 12
REACH = 500  # steps after its own end in which a version that has seen fewer rows looks for the other's first

Stamp = str | int


@dataclass(frozen=True, slots=True)
class Change:
    """Something that the two versions do not have in common."""

    live: Any
    target: Any


@dataclass(frozen=True, slots=True)
class ColumnChanges:
    """Columns that only the target has (`added`), and that only the live version has (`removed`)."""

    added: list[str]
    removed: list[str]


@dataclass(frozen=True, slots=True)
class SchemaChanges:
    """What a client would have to ask otherwise; `frequency` and `index` (its kind) are None where they stay the same."""

    endog: ColumnChanges
    exog: ColumnChanges
    frequency: Change | None
    index: Change | None
    trained_until: Change


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How good one version was on rows it had not seen; `label` says with which exogenous values.

    `measured_of` is the ancestor from which its parameters are, None where it was measured itself.
    """

    label: str
    measured_of: int | None
    test_rows: int
    since: Stamp
    until: Stamp
    columns: dict[str, ColumnSkill]


@dataclass(frozen=True, slots=True)
class Largest:
    """Where two forecasts of a column differ most; `relative` is to the largest value of either there."""

    timestamp: Stamp
    absolute: float
    relative: float


@dataclass(frozen=True, slots=True)
class ColumnForecasts:
    """The means of one column, None for a version that lacks it; `difference` is target minus live."""

    live: list[float] | None
    target: list[float] | None
    difference: list[float] | None
    largest: Largest | None


@dataclass(frozen=True, slots=True)
class Forecasts:
    """The means of both versions by column, for the same timestamps."""

    timestamps: list[Stamp]
    columns: dict[str, ColumnForecasts]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A target beside what is live. Where nothing is, or it cannot be compared, `notices` say so and its side is None."""

    columns: SchemaChanges | None
    live_accuracy: Accuracy | None
    target_accuracy: Accuracy | None
    same_test_rows: bool
    forecasts: Forecasts
    notices: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a move would change, and what it would meet.

    `stack` is as it would be once nothing refuses it; `outlook.refusal` says what does now, None where the call would move.
    """

    model: str
    alias: str
    version: int
    previous: int | None
    stack: tuple[int, ...]
    etag: str | None
    outlook: Outlook
    comparison: Comparison

    @property
    def changed(self) -> bool:
        """Whether another version would be live."""
        return self.version != self.previous


def compare(loader: Loader, live: Version | None, target: Version) -> Comparison:
    """Compare a target, which has proved itself, with what is live, if anything is. Raises what loading the target raises."""
    notices: list[Notice] = []
    if live is None:
        notices.append(Notice("nothing-live", "nothing is live there as yet: there is nothing to compare with"))
    forecasts = _forecasts(None if live is None else _loaded(loader, live, notices), loader.load_version(target), notices)
    before, after = None if live is None else _accuracy(live.accuracy), _accuracy(target.accuracy)
    return Comparison(
        columns=None if live is None else _schema_changes(live.signature, target.signature),
        live_accuracy=before,
        target_accuracy=after,
        same_test_rows=_test_rows(before) is not None and _test_rows(before) == _test_rows(after),
        forecasts=forecasts,
        notices=tuple(notice.to_json() for notice in notices),
    )


def _loaded(loader: Loader, live: Version, notices: list[Notice]) -> LoadedVersion | None:
    """Load what is live; that it cannot be loaded may be why somebody wants another version."""
    try:
        return loader.load_version(live)
    except (ArtifactError, PlatformError, ForecastleError) as error:
        text = f"version {live.number}, which is live, cannot be loaded, so that its forecast is missing: {error}"
        notices.append(Notice("live-not-loaded", text))
        return None


def _schema_changes(live: Mapping[str, Any], target: Mapping[str, Any]) -> SchemaChanges:
    names = [[column["name"] for column in signature["exog"]] for signature in (live, target)]
    old, new = live["index"], target["index"]
    return SchemaChanges(
        endog=_column_changes(live["endog"], target["endog"]),
        exog=_column_changes(*names),
        frequency=None if old["freq"] == new["freq"] else Change(old["freq"], new["freq"]),
        index=None if old["kind"] == new["kind"] else Change(old["kind"], new["kind"]),
        trained_until=Change(old["last"], new["last"]),
    )


def _column_changes(live: list[str], target: list[str]) -> ColumnChanges:
    return ColumnChanges([name for name in target if name not in live], [name for name in live if name not in target])


def _accuracy(accuracy: Mapping[str, Any] | None) -> Accuracy | None:
    skill = skill_of(accuracy)
    if accuracy is None or skill is None:
        return None
    measured_of = accuracy.get("measured_of")
    return Accuracy(skill.label, measured_of, accuracy["test_rows"], accuracy["from"], accuracy["until"], skill.columns)


def _test_rows(accuracy: Accuracy | None) -> tuple[Stamp, Stamp] | None:
    return None if accuracy is None else (accuracy.since, accuracy.until)


def _forecasts(live: LoadedVersion | None, target: LoadedVersion, notices: list[Notice]) -> Forecasts:
    coming = _coming(target)
    common = [] if live is None else _common(_coming(live), coming)
    if live is not None and not common:
        notices.append(
            Notice("no-common-steps", "the two versions forecast no step in common: only the target's forecast is shown")
        )
    timestamps = common or coming[:STEPS]
    before = _means(live, timestamps, notices) if live is not None and common else {}
    after = _means(target, timestamps, notices)
    names = [*after, *(name for name in before if name not in after)]
    return Forecasts(timestamps, {name: _side_by_side(before.get(name), after.get(name), timestamps) for name in names})


def _coming(loaded: LoadedVersion) -> list[Stamp]:
    return list(loaded.signature.index.after(0, min(REACH, loaded.max_horizon)))


def _common(live: list[Stamp], target: list[Stamp]) -> list[Stamp]:
    known = set(live)
    return [stamp for stamp in target if stamp in known][:STEPS]


def _means(loaded: LoadedVersion, timestamps: list[Stamp], notices: list[Notice]) -> dict[str, np.ndarray]:
    """Return a version's mean (len(timestamps),) by column, for some of its coming steps; none where it cannot be had."""
    coming = _coming(loaded)
    steps = [coming.index(stamp) for stamp in timestamps]  # of months, every third where the other forecasts quarters
    horizon = steps[-1] + 1
    try:
        mean = loaded.forecaster.forecast(horizon, exog=held_exog(loaded.signature, horizon)).mean[steps]
    except ForecastleError as error:
        text = f"version {loaded.version.number} cannot forecast {horizon} steps with exog at its last values: {error}"
        notices.append(Notice("no-forecast", text))
        return {}
    return {name: mean[:, j] for j, name in enumerate(loaded.signature.endog)}


def _side_by_side(live: np.ndarray | None, target: np.ndarray | None, timestamps: list[Stamp]) -> ColumnForecasts:
    before, after = (None if side is None else [float(value) for value in side] for side in (live, target))
    if live is None or target is None:
        return ColumnForecasts(before, after, None, None)
    difference = target - live
    worst = int(np.argmax(np.abs(difference)))
    scale = max(np.abs(live).max(), np.abs(target).max())
    absolute = float(abs(difference[worst]))
    largest = Largest(timestamps[worst], absolute, absolute / float(scale) if scale > 0 else 0.0)
    return ColumnForecasts(before, after, [float(value) for value in difference], largest)
