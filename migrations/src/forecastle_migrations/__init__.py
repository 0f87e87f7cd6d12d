"""Alembic's environment and revisions for a Forecastle database; its script location is `forecastle_migrations:`."""

__version__ = "0.1.0"
