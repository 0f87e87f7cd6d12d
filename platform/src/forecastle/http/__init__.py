"""The HTTP side: views that read a request, call a service, and write its answer. `create_app` builds it all."""

from .app import create_app

__all__ = ["create_app"]
