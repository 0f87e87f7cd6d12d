"""`/health`: whether the process lives, and whether it can answer."""

from __future__ import annotations

from typing import Any

import marshmallow
from marshmallow import fields

from ..database import require_current
from .access import Role, needs
from .blueprints import Blueprint
from .services import services

blueprint = Blueprint("health", __name__, url_prefix="/health", description="For load balancers and people")


class HealthSchema(marshmallow.Schema):
    """How the process is."""

    status = fields.String(required=True, metadata={"example": "ok"})


@blueprint.route("/live")
@blueprint.response(200, HealthSchema)
@needs(Role.PUBLIC)
def live() -> dict[str, Any]:
    """Tell that the process answers at all."""
    return {"status": "ok"}


@blueprint.route("/ready")
@blueprint.response(200, HealthSchema)
@needs(Role.PUBLIC)
def ready() -> dict[str, Any]:
    """Tell that the database answers and is up to date; no model is needed for that."""
    require_current(services().engine)
    return {"status": "ok"}
