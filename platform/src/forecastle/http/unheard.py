"""Answers what waitress refuses before the application hears of it, with the same problem details as everything else."""

from __future__ import annotations

import secrets
from typing import Any

import orjson
from waitress.channel import HTTPChannel
from waitress.task import ErrorTask

from .problems import CONTENT_TYPE, HTTP_CODES, body_too_large, problem_document


class ProblemTask(ErrorTask):
    """Writes the error that waitress found in a request."""

    def execute(self) -> None:
        """Answer, and close the connection: what follows on it cannot be understood."""
        error = self.request.error
        status = 400 if error.code == 501 else error.code  # a transfer coding that nobody has is the client's mistake
        detail = f"{error.reason}: {error.body}"
        if status == 413:
            detail = body_too_large(self.channel.max_upload)
        request_id = secrets.token_hex(8)
        path = getattr(self.request, "path", "").encode("latin-1", "replace").decode("utf-8", "replace")  # as WSGI has it
        document = problem_document(status, HTTP_CODES.get(status, "http-error"), detail, path, request_id)
        body = orjson.dumps(document)
        self.status = f"{status} {document['title']}"
        self.response_headers += [("Content-Type", CONTENT_TYPE), ("X-Request-ID", request_id)]
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class ProblemChannel(HTTPChannel):
    """A connection whose errors are problems; `max_upload` is the largest body in bytes that the application takes."""

    error_task_class = ProblemTask

    def __init__(self, *arguments: Any, max_upload: int, **options: Any) -> None:
        self.max_upload = max_upload
        super().__init__(*arguments, **options)
