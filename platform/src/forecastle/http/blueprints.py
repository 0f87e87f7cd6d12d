"""flask-smorest's blueprint and Api with our parser and our error payload."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar

import flask_smorest
from flask_smorest.utils import prepare_response

from .problems import CONTENT_TYPE, ProblemSchema
from .reading import StrictParser
from .security import SCHEMES


class Blueprint(flask_smorest.Blueprint):
    """A blueprint whose requests are read strictly."""

    ARGUMENTS_PARSER = StrictParser()


class Api(flask_smorest.Api):
    """The platform's document: every error in it is a problem."""

    ERROR_SCHEMA = ProblemSchema

    OPTIONS: ClassVar[dict[str, Any]] = {
        "info": {
            "description": "Forecasts from versioned models. Every model has its own page: `/models/{model}/docs`.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "components": {"securitySchemes": SCHEMES},
    }

    def _register_responses(self) -> None:
        for name, description in [
            ("DEFAULT_ERROR", "Problem details"),
            *((status.name, status.phrase) for status in HTTPStatus),
        ]:
            response = {"description": description, "schema": self.ERROR_SCHEMA}
            prepare_response(response, self.spec, CONTENT_TYPE)
            self.spec.components.response(name, response, lazy=True)

    def _register_error_handlers(self) -> None:
        """Leave errors to `problems.register`: there is one payload, whoever raises."""
