"""Every error that a plugin or the runtime raises on purpose: one small tree.

ForecastleError
├── DataError         the observations cannot be used
├── ParametersError   a training parameter is not understood
├── FitError          the observations are fine, yet no fit came of them
├── InputError        a request for a forecast cannot be answered as it stands
│   ├── HorizonError
│   ├── ExogError
│   ├── QuantilesError
│   └── ObservationsError
├── OverflowingForecast  finite input, an answer that is not finite
├── CapabilityError   the plugin does not declare what was asked of it
├── StateError        a stored state that this plugin cannot restore
└── Cancelled         the work was told to stop
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: `pointer` says where (a JSON pointer, as `/exog/unemp/3`), `message` what was expected."""

    pointer: str
    message: str


class ForecastleError(Exception):
    """The root: `code` is stable and machine-readable, the message says what to do next, `problems` say where."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, code: str | None = None, problems: Iterable[Problem] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.reason = code or type(self).code
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[object, ...]:
        # Errors travel from worker processes: the default would call the class with the message alone.
        return _rebuild, (type(self), self.message, self.reason, self.problems)


def _rebuild(kind: type[ForecastleError], message: str, code: str, problems: tuple[Problem, ...]) -> ForecastleError:
    return kind(message, code=code, problems=problems)


class DataError(ForecastleError):
    """The observations cannot be used for training."""

    code = "data-invalid"


class ParametersError(ForecastleError):
    """A training parameter is unknown, or its value is not understood."""

    code = "parameters-invalid"


class FitError(ForecastleError):
    """No fit came of valid data and parameters, as when no candidate of a search converged."""

    code = "fit-failed"


class InputError(ForecastleError):
    """A request for a forecast, a simulation or an append cannot be answered as it stands."""

    code = "input-invalid"


class HorizonError(InputError):
    """The horizon is below one or above what the version allows."""

    code = "horizon-invalid"


class ExogError(InputError):
    """Future exogenous values are missing, of the wrong shape, or not finite."""

    code = "exog-invalid"


class QuantilesError(InputError):
    """A quantile lies outside (0, 1), or is given twice."""

    code = "quantiles-invalid"


class ObservationsError(InputError):
    """Observations to append do not fit the version."""

    code = "observations-invalid"


class OverflowingForecast(InputError):
    """The input is finite, but the forecast from it is not."""

    code = "forecast-not-finite"


class CapabilityError(ForecastleError):
    """The plugin does not declare the capability that was asked for."""

    code = "capability-missing"


class StateError(ForecastleError):
    """A stored state is of a format, or of a shape, that this plugin cannot restore."""

    code = "state-invalid"


class Cancelled(ForecastleError):
    """The work was told to stop."""

    code = "cancelled"
