"""How work that takes a while tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

STEPS = 100  # how often it is told at most

Progress = Callable[[int, int, str], None]
"""Told how much is done, of how much, and what is being done."""


def quiet(done: int, total: int, what: str) -> None:
    """Tell nobody of any progress."""
