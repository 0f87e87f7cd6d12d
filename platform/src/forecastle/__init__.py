"""Forecastle's platform: training, serving, and the way back. `forecastle.http.create_app` builds the application."""

__version__ = "0.1.0"
