"""What mod_wsgi loads: touching this file replaces the application's processes without losing a request."""

from forecastle.wsgi import application

__all__ = ["application"]
