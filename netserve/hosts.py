"""Allowed hosts: who may come to a door, by address and by name.

Expressions are searched in the address of whoever comes, and in the names that the address has. A name counts only if
it resolves back to the address: everybody can name an own address as they like.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor

import regex
import structlog

log = structlog.get_logger(__name__)

LOOKUP_LIMIT = 5.0
"""Seconds that an answer may take; whoever is not known by then is refused."""
REMEMBERED = 60.0
"""Seconds for which an answer holds."""
KEPT = 10_000
"""How many addresses are remembered."""
WAITING = 256
"""How many addresses may be looked up at the same time; more are refused."""
LONGEST_EXPRESSION = 512
LONGEST_NAME = 253
"""What a name may have in the DNS."""
MOST_NAMES = 8
"""How many names of one address are looked at."""
SEARCH_LIMIT = 0.1
"""Seconds that one search may take: some expressions take for ever on a text made for them."""

_threads = ThreadPoolExecutor(4, "allowed-hosts")

Lookup = Callable[[str], Collection[str]]


def compiled(expression: str) -> regex.Pattern[str]:
    """Return an expression, ready to search with; ValueError says what is wrong with it."""
    if len(expression) > LONGEST_EXPRESSION:
        raise ValueError(f"it has more than {LONGEST_EXPRESSION} characters")
    try:
        return regex.compile(expression, regex.IGNORECASE)
    except (regex.error, RecursionError, OverflowError) as error:
        raise ValueError(str(error)) from error


def verified_names(address: str) -> list[str]:
    """Return the names of an address that resolve back to it. Takes a while: not on the event loop."""
    try:
        name, aliases, _ = socket.gethostbyaddr(address)
    except (OSError, UnicodeError):
        return []
    names = [each.rstrip(".") for each in [name, *aliases][:MOST_NAMES]]
    return [each for each in names if len(each) <= LONGEST_NAME and _resolves_to(each, address)]


def _resolves_to(name: str, address: str) -> bool:
    with contextlib.suppress(OSError, UnicodeError, ValueError):
        wanted = ipaddress.ip_address(address)
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        return any(ipaddress.ip_address(each[4][0]) == wanted for each in found)
    return False


class AllowedHosts:
    """Says which addresses may come in. Only of the event loop."""

    def __init__(
        self, expressions: Sequence[str], lookup: Lookup = verified_names, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``lookup`` returns the names of an address that count; it runs in a thread. ValueError as ``compiled``."""
        self._expressions = [compiled(each) for each in expressions]
        self._lookup = lookup
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, bool]] = OrderedDict()
        self._asked: dict[str, asyncio.Future[bool]] = {}

    async def admit(self, address: str) -> bool:
        """Whether somebody at this address may come in. Known at once, or after a look at the address's names."""
        until, verdict = self._known.get(address, (0.0, False))
        if self._clock() < until:
            return verdict
        asked = self._asked.get(address)
        if asked is None:
            if len(self._asked) >= WAITING:
                return False
            asked = asyncio.get_running_loop().run_in_executor(_threads, self._judge, address)
            self._asked[address] = asked
            asked.add_done_callback(lambda done: self._remember(address, done))
        try:
            return await asyncio.wait_for(asyncio.shield(asked), LOOKUP_LIMIT)
        except TimeoutError:
            log.warning("door.host_not_known_in_time", address=address)
            return False

    def _judge(self, address: str) -> bool:
        return self._any_found(address) or any(map(self._any_found, self._lookup(address)))

    def _any_found(self, text: str) -> bool:
        return any(_found(each, text) for each in self._expressions)

    def _remember(self, address: str, done: asyncio.Future[bool]) -> None:
        del self._asked[address]
        if done.cancelled() or done.exception() is not None:
            return
        self._known[address] = self._clock() + REMEMBERED, done.result()
        self._known.move_to_end(address)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)


def _found(expression: regex.Pattern[str], text: str) -> bool:
    try:
        return expression.search(text, timeout=SEARCH_LIMIT, concurrent=True) is not None
    except TimeoutError:
        log.warning("door.expression_too_slow", expression=expression.pattern)
        return False
