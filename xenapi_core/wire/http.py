"""The Xen-API over HTTP: requests in, answers out, whatever happens in between."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import structlog

from netserve import origins
from netserve.doors import Door
from netserve.messages import Handler, Peer, Request, Response
from xenapi_core.access.sessions import PEER
from xenapi_core.datamodel.call import Caller
from xenapi_core.datamodel.errors import XenApiError
from xenapi_core.datamodel.roles import READ_ONLY
from xenapi_core.limits import DEFAULT, Limits
from xenapi_core.wire import jsonrpc, xmlrpc
from xenapi_core.wire.codec import Incoming, MalformedError
from xenapi_core.wire.dispatch import Answer, Dispatcher, Visitor

log = structlog.get_logger(__name__)

SLICE = 0.004
"""Seconds of writing an answer after which others get their turn."""

JSON_PATHS = ("/jsonrpc", "/json")
"""Where JSON-RPC is spoken, here and below; everywhere else it is XML-RPC."""

METHODS = "POST, OPTIONS"

Success = Callable[[Answer], Iterable[bytes]]
Failure = Callable[[Sequence[str]], Sequence[bytes]]


class Observer(Protocol):
    """Whoever counts calls."""

    def answered(self, method: str, code: str, seconds: float) -> None:
        """Count a call: the method as it was asked for, the code of its error (empty if none), how long it took."""

    def malformed(self) -> None:
        """Count what was no call."""


class XenApiHandler:
    """Answers HTTP requests: a POST is a JSON-RPC call on the paths of those, an XML-RPC call on any other."""

    def __init__(
        self, dispatcher: Dispatcher, xml: xmlrpc.Encoder, json: jsonrpc.Encoder, limits: Limits = DEFAULT
    ) -> None:
        self._dispatcher = dispatcher
        self._limits = limits
        self._xml = xml
        self._json = json
        self.downloads: dict[str, Handler] = {}
        """By path: who answers GET requests."""
        self.observer: Observer | None = None
        self.under_way = 0
        """How many calls are being answered."""

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        if request.method == "OPTIONS":
            return Response(204, (("Allow", METHODS), *origins.preflight(request, METHODS)))
        download = self.downloads.get(request.target.partition("?")[0]) if request.method == "GET" else None
        if request.method != "POST" and download is None:
            return Response(405, (("Allow", METHODS),))
        if origins.refused(request):
            log.warning("origin_refused", door=request.door.name, origin=(request.headers.get("origin") or "")[:80])
            return Response(403, origins.sharing(request))
        if not _welcome(request.door, request.peer):
            log.warning("peer_refused", door=request.door.name, uid=request.peer.uid)
            return Response(403)
        if download is not None:
            return await download(request)
        if len(request.body) > self._limits.body_size:
            return Response(413)
        return await (self._answer_json(request) if _is_json(request.target) else self._answer_xml(request))

    async def _answer_xml(self, request: Request) -> Response:
        encoder = self._xml

        def success(answer: Answer) -> Iterable[bytes]:
            return (encoder.bare if answer.bare else encoder.success)(answer.value, answer.type)

        try:
            incoming = xmlrpc.decode(request.body, self._limits)
        except MalformedError as error:
            self._malformed(request, error)
            body: Sequence[bytes] = encoder.fault(error)
        else:
            body = await self._answer(incoming, _visitor(request), success, encoder.failure)
        return _response(request, encoder.content_type, body)

    async def _answer_json(self, request: Request) -> Response:
        """Answer a call or a batch; a body that is neither, and a single call that is malformed, has the status 500."""
        content_type = self._json.content_type
        try:
            calls = jsonrpc.decode(request.body, self._limits)
        except MalformedError as error:
            self._malformed(request, error)
            return _response(request, content_type, self._json.fault(jsonrpc.NOBODY, error), 500)
        if isinstance(calls, tuple):
            malformed = isinstance(calls[1], MalformedError)
            answer = await self._answer_one(calls, request)
            return _response(request, content_type, answer, 500 if malformed else 200) if answer else _nothing(request)
        body: list[bytes] = []
        for call in calls:
            answer = await self._answer_one(call, request)
            body += [b"," if body else b"[", *answer] if answer else []
        return _response(request, content_type, [*body, b"]"]) if body else _nothing(request)

    async def _answer_one(self, call: jsonrpc.Request, request: Request) -> Sequence[bytes]:
        """Return the answer to one call; nothing to a notification, which is carried out all the same."""
        envelope, incoming = call
        encoder = self._json
        if isinstance(incoming, MalformedError):
            self._malformed(request, incoming)
            return () if envelope.id is None else encoder.fault(envelope, incoming)

        def success(answer: Answer) -> Iterable[bytes]:
            return () if envelope.id is None else encoder.success(envelope, answer.value, answer.type)

        def failure(description: Sequence[str]) -> Sequence[bytes]:
            return () if envelope.id is None else encoder.failure(envelope, description)

        return await self._answer(incoming, _visitor(request), success, failure)

    async def _answer(
        self, incoming: Incoming, visitor: Visitor, success: Success, failure: Failure
    ) -> Sequence[bytes]:
        begun, code = time.perf_counter(), ""
        self.under_way += 1
        try:
            return await _collected(success(await self._dispatcher.answer(incoming, visitor)))
        except XenApiError as error:
            code = error.code
            return failure(error.description)
        except Exception as error:
            code = "INTERNAL_ERROR"
            log.exception("call_failed", method=incoming.method)
            return failure(["INTERNAL_ERROR", f"{type(error).__name__}: {error}"])
        except asyncio.CancelledError:
            code = "cancelled"
            raise
        finally:
            self.under_way -= 1
            if self.observer is not None:
                self.observer.answered(incoming.method, code, time.perf_counter() - begun)

    def _malformed(self, request: Request, error: MalformedError) -> None:
        """Tell that somebody sends what is no call, but not in its own words: they may be a secret's."""
        log.info("request_malformed", address=request.peer.address or "unix", code=error.code, size=len(request.body))
        if self.observer is not None:
            self.observer.malformed()


async def _collected(pieces: Iterable[bytes]) -> Sequence[bytes]:
    """Return pieces that take time to make as a body, and let others run meanwhile."""
    body: list[bytes] = []
    begun = time.perf_counter()
    for piece in pieces:
        body.append(piece)
        if len(body) % 32 == 0 and time.perf_counter() - begun > SLICE:
            await asyncio.sleep(0)
            begun = time.perf_counter()
    return body


def _response(request: Request, content_type: str, body: Sequence[bytes], status: int = 200) -> Response:
    return Response(status, (("Content-Type", content_type), *origins.sharing(request)), body)


def _nothing(request: Request) -> Response:
    return Response(204, origins.sharing(request))


def _is_json(target: str) -> bool:
    path = target.partition("?")[0]
    return any(path == known or path.startswith(f"{known}/") for known in JSON_PATHS)


def _welcome(door: Door, peer: Peer) -> bool:
    """Whether a door lets somebody in: one that trusts its peers has to know that it can."""
    return door.authentication != PEER or peer.uid in (0, os.getuid())


def _visitor(request: Request) -> Visitor:
    trusted = request.door.authentication == PEER
    return Visitor(
        Caller("", READ_ONLY, trusted=trusted, address=request.peer.address or ""), request.door.authentication
    )
