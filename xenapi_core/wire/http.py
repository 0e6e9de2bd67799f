"""The Xen-API over HTTP: requests in, answers out, whatever happens in between."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Sequence

import structlog

from netserve.doors import Door
from netserve.messages import Peer, Request, Response
from xenapi_core.access.sessions import PEER
from xenapi_core.datamodel.call import Caller
from xenapi_core.datamodel.errors import XenApiError
from xenapi_core.datamodel.roles import READ_ONLY
from xenapi_core.wire import xmlrpc
from xenapi_core.wire.codec import Incoming, MalformedError
from xenapi_core.wire.dispatch import Dispatcher, Visitor

log = structlog.get_logger(__name__)

MAX_BODY = 2 * 1024 * 1024
"""Bytes of a call; longer requests are refused, so that reading one never takes long."""

SLICE = 0.004
"""Seconds of writing an answer after which others get their turn."""


class XenApiHandler:
    """Answers HTTP requests: a POST to any path is an XML-RPC call."""

    def __init__(self, dispatcher: Dispatcher, encoder: xmlrpc.Encoder) -> None:
        self._dispatcher = dispatcher
        self._encoder = encoder

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        if request.method != "POST":
            return Response(405, (("Allow", "POST"),))
        if not _welcome(request.door, request.peer):
            log.warning("peer_refused", door=request.door.name, uid=request.peer.uid)
            return Response(403)
        if len(request.body) > MAX_BODY:
            return Response(413)
        try:
            incoming = xmlrpc.decode(request.body)
        except MalformedError as error:
            log.info("request_malformed", address=request.peer.address or "unix", reason=str(error))
            return self._response(self._encoder.fault(error))
        return self._response(await self._answer(incoming, _visitor(request)))

    def _response(self, body: Sequence[bytes]) -> Response:
        return Response(200, (("Content-Type", self._encoder.content_type),), body)

    async def _answer(self, incoming: Incoming, visitor: Visitor) -> Sequence[bytes]:
        try:
            answer = await self._dispatcher.answer(incoming, visitor)
            write = self._encoder.bare if answer.bare else self._encoder.success
            return await _collected(write(answer.value, answer.type))
        except XenApiError as error:
            return self._encoder.failure(error.description)
        except Exception as error:
            log.exception("call_failed", method=incoming.method)
            return self._encoder.failure(["INTERNAL_ERROR", f"{type(error).__name__}: {error}"])


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


def _welcome(door: Door, peer: Peer) -> bool:
    """Whether a door lets somebody in: one that trusts its peers has to know that it can."""
    return door.authentication != PEER or peer.uid in (0, os.getuid())


def _visitor(request: Request) -> Visitor:
    trusted = request.door.authentication == PEER
    return Visitor(
        Caller("", READ_ONLY, trusted=trusted, address=request.peer.address or ""), request.door.authentication
    )
