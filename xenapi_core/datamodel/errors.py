"""The error catalogue: every code once, with the names of its parameters and a sentence for people.

The sentence may name parameters in braces.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ErrorCode:
    """An error of the API: what its parameters are, and what it means."""

    parameters: tuple[str, ...]
    sentence: str


ERRORS: dict[str, ErrorCode] = {
    "EVENTS_LOST": ErrorCode((), "Some events have been lost, because the client read them too slowly."),
    "EVENT_FROM_TOKEN_PARSE_FAILURE": ErrorCode(("token",), "The token {token} is not one that event.from gave."),
    "EVENT_SUBSCRIPTION_PARSE_FAILURE": ErrorCode(
        ("subscription",), "The subscription {subscription} is neither *, nor a class, nor a class and a reference."
    ),
    "HANDLE_INVALID": ErrorCode(("class", "handle"), "There is no {class} with the reference {handle}."),
    "INTERNAL_ERROR": ErrorCode(("message",), "The server failed to do this: {message}."),
    "INVALID_VALUE": ErrorCode(("field", "value"), "The value {value} is not valid for {field}."),
    "MAP_DUPLICATE_KEY": ErrorCode(
        ("type", "param_name", "uuid", "key"), "The map {param_name} of the {type} already has the key {key}."
    ),
    "MESSAGE_METHOD_UNKNOWN": ErrorCode(("method",), "There is no message {method}."),
    "MESSAGE_PARAMETER_COUNT_MISMATCH": ErrorCode(
        ("method", "expected", "received"),
        "The message {method} takes {expected} parameters, {received} were given.",
    ),
    "MESSAGE_REMOVED": ErrorCode((), "This message existed in earlier versions and has been removed."),
    "OPERATION_NOT_ALLOWED": ErrorCode(("reason",), "This is not allowed: {reason}."),
    "OTHER_OPERATION_IN_PROGRESS": ErrorCode(
        ("class", "object", "operation_type", "operation_ref"),
        "The {class} {object} is busy with the operation {operation_type}.",
    ),
    "PERMISSION_DENIED": ErrorCode(("message",), "Not permitted: {message}."),
    "RBAC_PERMISSION_DENIED": ErrorCode(
        ("permission", "message"), "Your role does not include the permission {permission}: {message}."
    ),
    "SESSION_AUTHENTICATION_FAILED": ErrorCode(("user", "message"), "The user name or the password is wrong."),
    "SESSION_INVALID": ErrorCode(("handle",), "The session is not valid: it has ended, or never was."),
    "SESSION_NOT_REGISTERED": ErrorCode(("handle",), "This session is not registered to receive events."),
    "TASK_CANCELLED": ErrorCode(("task",), "The task {task} was cancelled."),
    "UUID_INVALID": ErrorCode(("class", "uuid"), "There is no {class} with the uuid {uuid}."),
}


class XenApiError(Exception):
    """An error that a client of the API receives: a code of the catalogue and its parameters, as strings.

    Raising a code that the catalogue does not have is a mistake of the program (ValueError).
    """

    def __init__(self, code: str, *parameters: object) -> None:
        if code not in ERRORS:
            raise ValueError(f"{code} is not in the error catalogue")
        super().__init__(code, *parameters)
        self.code = code
        self.parameters = tuple(str(parameter) for parameter in parameters)

    @property
    def description(self) -> list[str]:
        """The ErrorDescription of the wire: the code, then its parameters."""
        return [self.code, *self.parameters]

    def __str__(self) -> str:
        known = ERRORS[self.code]
        named = dict(zip(known.parameters, self.parameters, strict=False))
        return known.sentence.format_map(_Named(named))


class _Named(dict[str, str]):
    """Parameters by name, for sentences; one that was not given stands as "?"."""

    def __missing__(self, key: str) -> str:
        return "?"
