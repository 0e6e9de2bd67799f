"""What can go wrong when the Xen-API is used."""

from __future__ import annotations

from collections.abc import Sequence

_ABOUT_SESSIONS = frozenset({"SESSION_INVALID", "SESSION_NOT_REGISTERED", "DEBUG_FAIL"})
"""Codes whose parameter is the reference of a session: a secret, which no text tells, since texts are logged."""


class XenApiError(Exception):
    """The Xen-API refused a call: a code for programs (e.g. ``VM_BAD_POWER_STATE``) and its parameters."""

    def __init__(self, code: str, parameters: Sequence[str] = ()) -> None:
        self.code = code
        self.parameters = tuple(parameters)
        told = () if code in _ABOUT_SESSIONS else self.parameters
        detail = f" ({', '.join(told)})" if told else ""
        super().__init__(f"The Xen-API refused the call: {code}{detail}.")


class XenApiUnavailable(Exception):  # noqa: N818 (a state of the server, which the name says)
    """The Xen-API cannot be reached, or what answers does not speak it; the text is a sentence for people."""
