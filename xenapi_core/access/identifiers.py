"""What the users of the users file are called as subjects."""

from __future__ import annotations

PREFIX = "local/"


def identifier(name: str) -> str:
    """Return the subject identifier of a local user."""
    return PREFIX + name


def name_of(subject_identifier: str) -> str | None:
    """Return the name of the local user with a subject identifier, None if it is no such identifier."""
    name = subject_identifier.removeprefix(PREFIX)
    return name if name and name != subject_identifier else None
