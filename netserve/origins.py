"""Web pages of other sites: which of them may call at a door (Fetch standard, "CORS protocol").

A browser says with every POST whose page it comes from. Without being asked it sends simple ones for any page, to
servers on loopback too, and only hides the answers; a page whose name is made to resolve to this machine even reads
them. So a request that names an origin which the door does not list is refused before anything is done. Programs that
are no browsers name none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from netserve.messages import Headers, Request

ANY = "*"
"""Stands for every origin."""
PREFLIGHT_HOLDS = 600
"""Seconds for which a browser need not ask again."""

_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?")
_VARY = ("Vary", "Origin")

Fields = Sequence[tuple[str, str]]


def is_origin(text: str) -> bool:
    """Whether a text can be listed: "*", or scheme, host and perhaps port as browsers write them, without a path."""
    return text == ANY or _ORIGIN.fullmatch(text) is not None


def refused(request: Request) -> bool:
    """Whether a request comes from a web page that may not call."""
    return not all(_allowed(request, origin) for origin in request.headers.all("origin"))


def sharing(request: Request) -> Fields:
    """Return the header fields of an answer that let the page which asked read it."""
    if not request.door.allowed_origins:
        return ()
    origin = request.headers.get("origin")
    if origin is None or not _allowed(request, origin):
        return (_VARY,)
    return (("Access-Control-Allow-Origin", origin), _VARY)


def preflight(request: Request, methods: str, headers: str = "Content-Type") -> Fields:
    """Return the header fields that answer the question whether a page may call with these methods and headers."""
    shared = sharing(request)
    if len(shared) < 2 or not _asks(request.headers):
        return shared
    return (
        *shared,
        ("Access-Control-Allow-Methods", methods),
        ("Access-Control-Allow-Headers", headers),
        ("Access-Control-Max-Age", str(PREFLIGHT_HOLDS)),
    )


def _allowed(request: Request, origin: str) -> bool:
    known = request.door.allowed_origins
    return origin in known or (ANY in known and origin != "null")


def _asks(headers: Headers) -> bool:
    return headers.get("access-control-request-method") is not None
