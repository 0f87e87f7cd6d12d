"""Reads a refusal as a client does, and holds every one to the same form."""

from typing import Any

from werkzeug.test import TestResponse

MEMBERS = {"type", "title", "status", "detail", "instance", "code", "request_id", "errors"}


def problem_of(answer: TestResponse, status: int, code: str) -> dict[str, Any]:
    """Return the problem details of an answer, which must have this status and this code."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    document: dict[str, Any] = answer.get_json()
    assert document["code"] == code, document
    assert document.keys() >= MEMBERS
    assert document["type"] == f"urn:forecastle:problem:{code}"
    assert document["status"] == status
    assert document["request_id"] == answer.headers["X-Request-ID"] != ""
    for item in document["errors"]:
        assert item.keys() == {"pointer", "message"}
        assert item["pointer"] == "" or item["pointer"].startswith("/")
        assert not item["pointer"].startswith(("/json", "/query"))  # a pointer is into what was sent, not into our parser
    return document


def words_of(document: dict[str, Any]) -> str:
    """Return all that a problem says to a person, and where it points."""
    return " ".join([document["detail"], *(f"{item['pointer']} {item['message']}" for item in document["errors"])])
