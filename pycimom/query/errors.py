"""What is said about a bad query."""

from __future__ import annotations

from cim_provider import CimError, Status


def invalid(message: str, position: int) -> CimError:
    """Return INVALID_QUERY with a sentence and where in the query it went wrong, counted from 1."""
    return CimError(Status.INVALID_QUERY, f"{message.rstrip('.')} (at character {position + 1}).")
