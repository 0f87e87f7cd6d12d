"""What Forecastle remembers: models, versions, aliases, events and artifacts."""

__version__ = "0.1.0"
