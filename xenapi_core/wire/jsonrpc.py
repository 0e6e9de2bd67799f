"""JSON-RPC 1.0 and 2.0: request bodies to calls, results to bodies.

A request says by its member ``jsonrpc`` which of the two it is. Parameters are an array, the session first. A
notification (2.0: without an id; 1.0: with the id null) is carried out and gets no answer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from xenapi_core.datamodel.types import BOOL, DATETIME, FLOAT, INT, INT32, VOID, Type
from xenapi_core.limits import DEFAULT, Limits
from xenapi_core.wire.codec import Incoming, MalformedError, holds_more
from xenapi_core.wire.encoder import RecordEncoder, Syntax

CONTENT_TYPE = "application/json"

INVALID_REQUEST = -32600
INVALID_PARAMS = -32602
FAILED = 1
"""The code of every error of the API in JSON-RPC 2.0: its message is the API's code."""


@dataclass(frozen=True)
class Envelope:
    """What an answer has to repeat of its request."""

    version: int
    id: str | None
    """As JSON; None for a notification, which gets no answer."""


NOBODY = Envelope(2, "null")
"""For a request that does not tell."""

Request = tuple[Envelope, Incoming | MalformedError]
"""One request of a body; a malformed one is answered with its error."""

# --- requests


def decode(body: bytes, limits: Limits = DEFAULT) -> Request | list[Request]:
    """Return the request of a body, or those of a batch; MalformedError if it is neither."""
    if _is_crowded(body, limits.values):
        raise MalformedError(f"The request holds more than {limits.values} values.")
    try:
        value = json.loads(body.decode(), parse_constant=_refused, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"The request is not well-formed JSON: {error}.") from error
    _check(value, limits.nesting)
    if not isinstance(value, list):
        return _request(value)
    if not 0 < len(value) <= limits.batch:
        raise MalformedError(f"A batch holds 1 to {limits.batch} calls.", INVALID_REQUEST)
    return [_request(item) for item in value]


_BETWEEN = (b",", b"[", b"{")
"""Signs of which there is one before each value but a member's, and before each member."""


def _is_crowded(body: bytes, values: int) -> bool:
    """Return whether a request would take long to read, at the price of a few searches.

    A member is a key and a value, so two texts at most, a colon and a comma; what texts hold does not count.
    """
    if not holds_more(body, _BETWEEN, 2 * values):
        return False
    plain = body.replace(rb"\\", b"").replace(rb"\"", b"")
    return holds_more(plain, [b'"'], 4 * values) or holds_more(b"".join(plain.split(b'"')[::2]), _BETWEEN, 2 * values)


def _refused(text: str) -> None:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large a number")
    return number


def _check(value: Any, depth: int) -> None:
    """Refuse values that are nested too deeply, and texts that no UTF-8 can say."""
    if depth < 0:
        raise MalformedError("Values are nested too deeply.")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise MalformedError("A text holds half a character (a lone surrogate).") from error
    elif isinstance(value, list):
        for item in value:
            _check(item, depth - 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check(key, depth)
            _check(item, depth - 1)


def _request(value: Any) -> Request:
    if not isinstance(value, dict):
        return NOBODY, MalformedError("The request is no object.", INVALID_REQUEST)
    if "jsonrpc" not in value and "id" not in value:
        return NOBODY, MalformedError("The request has no id.", INVALID_REQUEST)
    version = 2 if "jsonrpc" in value else 1
    number, problem = value.get("id"), _problem(value, version)
    if isinstance(number, list | dict | bool):
        return Envelope(version, "null"), MalformedError("The id is neither text nor number.", INVALID_REQUEST)
    silent = "id" not in value if version == 2 else number is None
    if silent and (problem is None or problem.code == INVALID_PARAMS):
        envelope = Envelope(version, None)
    else:
        envelope = Envelope(version, json.dumps(number))
    return envelope, problem or Incoming(value["method"], value.get("params", []))


def _problem(value: dict[str, Any], version: int) -> MalformedError | None:
    """Return why a request is none, None if it is one."""
    method, parameters = value.get("method"), value.get("params", [])
    if value.get("jsonrpc", "2.0") != "2.0":
        return MalformedError("The version of JSON-RPC is not known.", INVALID_REQUEST)
    if not isinstance(method, str) or not method:
        return MalformedError("The request has no method.", INVALID_REQUEST)
    if isinstance(parameters, dict) and version == 2:
        return MalformedError("The params are no array: names of parameters are not taken.", INVALID_PARAMS)
    if not isinstance(parameters, list):
        return MalformedError("The params are no array.", INVALID_REQUEST)
    return None


# --- answers


def _float(value: float) -> str:
    return repr(float(value)) if math.isfinite(value) else "null"


def _moment(value: datetime) -> str:
    return f'"{value:%Y%m%dT%H:%M:%SZ}"'


_SYNTAX = Syntax(
    scalars={
        BOOL: lambda value: "true" if value else "false",
        INT: str,
        INT32: str,
        FLOAT: _float,
        DATETIME: _moment,
        VOID: lambda value: '""',
    },
    other=lambda value: quoted(str(value)),
    name=quoted,
    array=("[", "]"),
    no_items="[]",
    struct=("{", "}"),
    no_members="{}",
    member=("", ":", ""),
    separator=",",
)


class Encoder(RecordEncoder):
    """Writes JSON-RPC answers, each in the version of its request."""

    content_type = CONTENT_TYPE
    syntax = _SYNTAX

    def success(self, envelope: Envelope, value: Any, kind: Type) -> Iterator[bytes]:
        """Yield the body of an answer with a value."""
        yield b'{"jsonrpc":"2.0","result":' if envelope.version == 2 else b'{"error":null,"result":'
        yield from self.pieces(value, kind)
        yield f',"id":{envelope.id}}}'.encode()

    def failure(self, envelope: Envelope, description: Sequence[str]) -> list[bytes]:
        """Return the body of an answer with an error."""
        if envelope.version == 1:
            return [f'{{"error":{json.dumps(description)},"result":null,"id":{envelope.id}}}'.encode()]
        code, *parameters = description
        return [_error(envelope, FAILED, code, parameters)]

    def fault(self, envelope: Envelope, error: MalformedError) -> list[bytes]:
        """Return the body that tells that a request was malformed."""
        if envelope.version == 1:
            return self.failure(envelope, ["INVALID_VALUE", "request", str(error)])
        return [_error(envelope, error.code, str(error), [])]


def _error(envelope: Envelope, code: int, text: str, data: Sequence[str]) -> bytes:
    error = json.dumps({"code": code, "message": text, "data": list(data)}, separators=(",", ":"))
    return f'{{"jsonrpc":"2.0","error":{error},"id":{envelope.id}}}'.encode()
