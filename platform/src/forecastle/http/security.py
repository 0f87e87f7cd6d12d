"""What the OpenAPI documents say of keys: the two ways to send one, and what an address answers to who may not use it."""

from __future__ import annotations

from typing import Any

SCHEMES: dict[str, Any] = {
    "key": {"type": "http", "scheme": "bearer", "bearerFormat": "fcst_…", "description": "A key of this installation"},
    "password": {"type": "http", "scheme": "basic", "description": "A key as the password, with any user name: for browsers"},
}
NEEDED: list[dict[str, list[str]]] = [{name: []} for name in SCHEMES]
REFUSALS = {"401": "UNAUTHORIZED", "403": "FORBIDDEN", "429": "TOO_MANY_REQUESTS"}


def documented(role: str) -> dict[str, Any]:
    """Return what an operation's document says of the role that it needs."""
    return {"security": NEEDED, "responses": dict(REFUSALS), "x-role": role}
