"""`/health`: whether the process lives, and whether it can answer."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import marshmallow
from marshmallow import fields, validate

from ..database import require_current
from ..serving.checking import known_problems
from .access import Role, needs, visitor
from .blueprints import Blueprint
from .schemas import LiveProblemSchema
from .services import services

blueprint = Blueprint("health", __name__, url_prefix="/health", description="For load balancers and people")


class HealthSchema(marshmallow.Schema):
    """That the process answers."""

    status = fields.String(required=True, metadata={"example": "ok"})


class ReadinessSchema(marshmallow.Schema):
    """Whether the process answers, and whether every version that it was asked for loads."""

    status = fields.String(
        required=True,
        validate=validate.OneOf(["ok", "degraded"]),
        metadata={
            "description": "`degraded`: it answers, but not with every version that is live, or from memory",
            "example": "ok",
        },
    )
    problems = fields.List(
        fields.Nested(LiveProblemSchema),
        required=True,
        metadata={
            "description": "The live versions that this process met and cannot load, of the models that the caller may see: "
            "none without a key where one is needed"
        },
    )


@blueprint.route("/live")
@blueprint.response(200, HealthSchema)
@needs(Role.PUBLIC)
def live() -> dict[str, Any]:
    """Tell that the process answers at all."""
    return {"status": "ok"}


@blueprint.route("/ready")
@blueprint.response(200, ReadinessSchema)
@needs(Role.PUBLIC)
def ready() -> dict[str, Any]:
    """Tell that the database answers and is up to date, and which live versions do not load here; no model is needed.

    Which they are is for those to know who may see their models: a load balancer without a key reads the status.

    While the database is unreachable, a server that FORECASTLE_STALE_FOR lets answer from memory is `degraded`, not away.
    """
    found = services()
    told = found.forecasting.memory.read("revision", lambda: require_current(found.engine))
    if told.age is not None:
        return {"status": "degraded", "problems": []}
    problems = known_problems(found.engine, found.forecasting.loader)
    looks = visitor() if problems else None
    shown = [asdict(problem) for problem in problems if looks is not None and looks.sees(problem.model)]
    return {"status": "degraded" if problems else "ok", "problems": shown}
