"""CIM-XML over HTTP (DSP0200 6 and 7): users, headers, and how failures are told."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import zlib
from collections.abc import Sequence
from time import perf_counter_ns
from urllib.parse import quote

import structlog

from cim_provider import Authenticator, CimError, Principal, Status
from netserve.messages import Headers as RequestHeaders
from netserve.messages import Request, Response
from netserve.throttle import Throttle, TooManyAttemptsError
from pycimom.cimobject import decode, names_object
from pycimom.cimom import Cimom
from pycimom.cimxml import responses
from pycimom.cimxml.requests import DEPTH, ELEMENTS, BadMessageError, Call, parse_call
from pycimom.intrinsic import INTRINSIC
from pycimom.query import LANGUAGES
from pycimom.statistics import Statistics

log = structlog.get_logger(__name__)

EXTENSION = "http://www.dmtf.org/cim/mapping/http/v1.0"
METHODS = "POST, M-POST, OPTIONS"
FUNCTIONAL_GROUPS = (
    "basic-read, basic-write, schema-manipulation, instance-manipulation, association-traversal, query-execution, "
    "qualifier-declaration, indication"
)
PARSED_AT_ONCE = 1 << 17
"""Messages beyond this size are parsed in a thread."""
JOINED = 1 << 18
"""Answers up to this size are sent as one byte string."""
WORTH_COMPRESSING = 1024
COMPRESSION = 1
"""The fastest level of zlib."""

_MAN = re.compile(rf'\s*"?{re.escape(EXTENSION)}"?\s*;\s*ns\s*=\s*"?(\d+)"?\s*')
_MEDIA_TYPE = re.compile(r"\s*(?:application|text)/xml\s*(?:;(.*))?", re.IGNORECASE)
_CHARSET = re.compile(r'\s*charset\s*=\s*"?([^";\s]*)"?\s*', re.IGNORECASE)
_ACCEPTABLE = re.compile(r"(?:\*/\*|(?:application|text)/(?:\*|xml))\s*(?:;.*)?", re.IGNORECASE)
_HTTP_METHODS = frozenset({"GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT"})

Headers = Sequence[tuple[str, str]]


class _RefusedError(Exception):
    """A request that is answered by HTTP alone."""

    def __init__(self, status: int, why: str, cim_error: str | None = None, headers: Headers = ()) -> None:
        super().__init__(why)
        self.response = _refusal(status, why, cim_error, headers)


class CimXmlHandler:
    """A netserve handler that answers CIM-XML."""

    def __init__(
        self,
        cimom: Cimom,
        authenticator: Authenticator,
        realm: str,
        statistics: Statistics,
        *,
        gzip: bool = False,
        nesting: int = DEPTH,
        elements: int = ELEMENTS,
        throttle: Throttle | None = None,
    ) -> None:
        """``gzip``: whether answers are compressed for clients that accept it.

        ``nesting`` and ``elements`` are the most that a message may have.
        """
        self._limits = nesting, elements
        self._cimom = cimom
        self._statistics = statistics
        self._gzip = gzip
        self._authenticator = authenticator
        self._throttle = throttle or Throttle()
        self._unauthorized = _refusal(
            401, "A user name and a password are needed.", headers=[("WWW-Authenticate", f'Basic realm="{realm}"')]
        )

    async def __call__(self, request: Request) -> Response:
        """Answer a request."""
        began = perf_counter_ns()
        try:
            if request.method == "OPTIONS":
                return _options()
            prefix = _prefix(request)
            principal = await self._authenticate(request)
            if principal is None:
                return self._unauthorized
            if len(request.body) <= PARSED_AT_ONCE:
                call = _call(request, prefix, *self._limits)
            else:
                call = await asyncio.to_thread(_call, request, prefix, *self._limits)
            with self._statistics.watch() as provider_time:
                content = await self._cimom.answer(call, principal, request.peer.address)
        except _RefusedError as refused:
            return refused.response
        except BadMessageError as bad:
            return _refusal(bad.status, str(bad), bad.cim_error)
        pieces = responses.answer(call, content)
        size = sum(map(len, pieces))
        elapsed = perf_counter_ns() - began
        operation = "InvokeMethod" if call.target is not None else call.name if call.name in INTRINSIC else "Unknown"
        self._statistics.count(operation, elapsed, provider_time.spent, len(request.body), size)
        headers = _answer_headers(prefix, elapsed // 1000)
        if self._gzip:
            headers.append(("Vary", "Accept-Encoding"))
            if size >= WORTH_COMPRESSING and _accepts_gzip(request.headers):
                headers.append(("Content-Encoding", "gzip"))
                return Response(200, headers, await asyncio.to_thread(_compress, pieces))
        return Response(200, headers, b"".join(pieces) if size <= JOINED else pieces)

    async def _authenticate(self, request: Request) -> Principal | None:
        scheme, _, encoded = (request.headers.get("authorization") or "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        if not colon:
            return None
        try:
            async with self._throttle.attempt(user, request.peer.address or "") as attempt:
                try:
                    principal = await self._authenticator.authenticate(user, password)
                except CimError as error:
                    attempt.undecided = error.status is not Status.ACCESS_DENIED
                    raise
                attempt.succeeded = True
                return principal
        except TooManyAttemptsError:
            log.warning("login_refused", user=user, address=request.peer.address, reason="too many attempts")
            raise _RefusedError(503, "Too many attempts to log in are waiting.") from None
        except CimError as error:
            if error.status is Status.ACCESS_DENIED:
                return None
            raise _RefusedError(503, error.description) from None
        except Exception:
            log.exception("authentication_failed")
            raise _RefusedError(503, "Users cannot be recognised at the moment.") from None


def _prefix(request: Request) -> str:
    """Return what stands before the CIM headers: nothing for POST, the namespace of the extension for M-POST."""
    if request.method == "POST":
        return ""
    if request.method == "M-POST":
        for man in request.headers.all("man"):
            if found := _MAN.fullmatch(man):
                return f"{found[1]}-"
        raise _RefusedError(510, f"M-POST needs the header Man: {EXTENSION}; ns=NN.")
    if request.method in _HTTP_METHODS:
        raise _RefusedError(405, f"{request.method} is not allowed here.", headers=[("Allow", METHODS)])
    raise _RefusedError(501, "The HTTP method is not known.", headers=[("Allow", METHODS)])


def _call(request: Request, prefix: str, nesting: int, elements: int) -> Call:
    """Check the headers, read the message, and check that both say the same (DSP0200 6.3)."""

    def header(name: str) -> str | None:
        values = list(request.headers.all(prefix + name))
        if len(values) > 1:
            error = "unsupported-operation" if name == "CIMOperation" else "header-mismatch"
            raise _RefusedError(400, f"The header {name} is given {len(values)} times.", error)
        return values[0].strip() if values else None

    _check_media_types(request)
    operation = header("CIMOperation")
    if operation is None:
        raise _RefusedError(400, "The header CIMOperation is missing.")
    if operation.lower() != "methodcall":
        raise _RefusedError(400, f"CIMOperation is MethodCall, not {operation}.", "unsupported-operation")
    if header("CIMBatch") is not None:
        raise _RefusedError(501, "Several requests in one message are not supported.", "multiple-requests-unsupported")
    method, object_ = header("CIMMethod"), header("CIMObject")
    version = header("CIMProtocolVersion")
    call = parse_call(request.body, nesting, elements)
    if version is not None and version != call.protocol_version:
        raise _mismatch("CIMProtocolVersion", version, call.protocol_version)
    if not method or decode(method) != call.name:
        raise _mismatch("CIMMethod", method, call.name)
    if not object_ or not names_object(object_, call):
        raise _mismatch("CIMObject", object_, call.namespace if call.target is None else call.target.class_name)
    return call


def _check_media_types(request: Request) -> None:
    content_type = _MEDIA_TYPE.fullmatch(request.headers.get("content-type") or "")
    if content_type is None:
        raise _RefusedError(415, "Content-Type is application/xml or text/xml.")
    for parameter in (content_type[1] or "").split(";"):
        charset = _CHARSET.fullmatch(parameter)
        if charset is not None and charset[1].lower() not in ("utf-8", "utf8"):
            raise _RefusedError(415, f"The character set is utf-8, not {charset[1]}.")
    accepted = [item.strip() for value in request.headers.all("accept") for item in value.split(",")]
    if accepted and not any(_ACCEPTABLE.fullmatch(item) for item in accepted):
        raise _RefusedError(406, "The answer is application/xml, which the header Accept excludes.")


def _mismatch(name: str, header: str | None, body: str) -> _RefusedError:
    said = f"says {header}" if header else "is missing"
    return _RefusedError(400, f"The header {name} {said}, the message {body}.", "header-mismatch")


def _answer_headers(prefix: str, microseconds: int) -> list[tuple[str, str]]:
    headers = [
        ("Content-Type", 'application/xml; charset="utf-8"'),
        ("Cache-Control", "no-cache"),
        ("WBEMServerResponseTime", str(microseconds)),
        (f"{prefix}CIMOperation", "MethodResponse"),
    ]
    if prefix:
        headers += [("Ext", ""), ("Man", f"{EXTENSION}; ns={prefix[:-1]}")]
    return headers


def _accepts_gzip(headers: RequestHeaders) -> bool:
    """Whether the client takes gzip (RFC 9110 12.5.3); a coding with the weight 0 is refused."""
    for value in headers.all("accept-encoding"):
        for coding in value.split(","):
            name, _, weight = coding.partition(";")
            if name.strip().lower() in ("gzip", "x-gzip", "*"):
                return not re.fullmatch(r"\s*q\s*=\s*0(?:\.0*)?\s*", weight, re.IGNORECASE)
    return False


def _compress(pieces: Sequence[bytes]) -> bytes:
    compressor = zlib.compressobj(COMPRESSION, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return b"".join([*map(compressor.compress, pieces), compressor.flush()])


def _refusal(status: int, why: str, cim_error: str | None = None, headers: Headers = ()) -> Response:
    detail = [("CIMError", cim_error), ("PGErrorDetail", quote(why[:500]))] if cim_error else []
    return Response(
        status,
        [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-cache"), *detail, *headers],
        f"{why}\n".encode(errors="replace"),
    )


def _options() -> Response:
    """Say what the server can do (DSP0200 7.5.2)."""
    return Response(
        200,
        [
            ("Allow", METHODS),
            ("Opt", f"{EXTENSION}; ns=77"),
            ("77-CIMProtocolVersion", "1.0"),
            ("77-CIMSupportedFunctionalGroups", FUNCTIONAL_GROUPS),
            ("77-CIMSupportedQueryLanguages", ", ".join(LANGUAGES)),
            ("77-CIMValidation", "loosely-validating"),
        ],
    )
