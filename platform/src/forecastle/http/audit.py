"""`/admin/events`: the audit log, to be read and by nobody changed."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from forecastle_registry.events import EventFilter, list_events
from forecastle_registry.plain import is_name
from forecastle_registry.versions import get_model

from ..describing import event_document, page
from .access import Role, needs
from .audit_schemas import EventSchema, EventsQuerySchema
from .blueprints import Blueprint
from .query import number_after
from .schemas import page_of
from .services import services

blueprint = Blueprint("audit", __name__, url_prefix="/admin", description="Who did what, when, from where, why")

EventPage = page_of(EventSchema, "EventPage")


@blueprint.route("/events")
@blueprint.arguments(EventsQuerySchema, location="query")
@blueprint.response(200, EventPage)
@needs(Role.ADMIN)
def list_all(query: dict[str, Any]) -> dict[str, Any]:
    """List the audit log, newest first."""
    return _listed(query, None)


@blueprint.route("/models/<string:model>/events")
@blueprint.arguments(EventsQuerySchema, location="query")
@blueprint.response(200, EventPage)
@needs(Role.ADMIN)
def list_of_model(query: dict[str, Any], model: str) -> dict[str, Any]:
    """List the audit log of one model, newest first; of one that is gone too."""
    if not is_name(model) or not list_events(services().engine, model, limit=1).items:
        get_model(services().engine, model)  # which says that there is none
    return _listed(query, model)


def _listed(query: dict[str, Any], model: str | None) -> dict[str, Any]:
    wanted = EventFilter(**{field.name: query.get(field.name) for field in fields(EventFilter)})
    found = list_events(services().engine, model, matching=wanted, before=number_after(query), limit=query["limit"])
    return page(found, event_document)
