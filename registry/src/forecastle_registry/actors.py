"""Who does something, for the log and for the rules of protected aliases."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who acts: `name` is a key's name or how they came in, `origin` from where, `key` the key's prefix, if any.

    `admin` says whether they may move a protected alias.
    """

    name: str
    origin: str | None = None
    key: str | None = None
    admin: bool = True


LOCAL = Actor("local")
KEYLESS = ("local", "open", "serving", "command line")  # the names of actors without a key, so no key's name
