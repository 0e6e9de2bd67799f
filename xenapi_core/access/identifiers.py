"""What users are called as subjects: by whom they are known, and their name there."""

from __future__ import annotations


def identifier(authentication: str, name: str) -> str:
    """Return the subject identifier of a user of doors with an authentication, such as "local/operator"."""
    return f"{authentication}/{name}"


def parts(subject_identifier: str) -> tuple[str, str]:
    """Return the authentication and the name of a subject identifier; both are empty if it is none."""
    authentication, _, name = subject_identifier.partition("/")
    return (authentication, name) if name else ("", "")
