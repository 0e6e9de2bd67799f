"""Slows down those who guess passwords.

Failures are counted by user and address together, by user, and by address: whoever tries one user from many addresses,
or many users from one, gets slower too. Who got in before from an address is held up only by own failures there, so
that guessers cannot keep users out.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

BOTH, USER, ADDRESS = "both", "user", "address"
FREE = {BOTH: 0, USER: 10, ADDRESS: 20}
"""Failures before the first delay, by what they are counted by."""
FORGOTTEN_AFTER = 600.0
"""Seconds without an attempt after which failures are forgotten."""
LONGEST_QUEUE = 30.0
"""Attempts that would have to wait longer than this many seconds are refused at once."""
KEPT = 10_000
"""How many users, addresses and pairs of them are remembered."""

Key = tuple[str, ...]


class TooManyAttemptsError(Exception):
    """An attempt is refused, since too many wait."""


@dataclass
class Attempt:
    """An attempt that may begin. It counts as a failure unless whoever makes it says otherwise."""

    succeeded: bool = False
    undecided: bool = False
    """It counts as nothing: nobody could say whether it is right."""


@dataclass
class _Record:
    failures: int = 0
    free: float = 0.0
    """When the next attempt may begin."""
    known: bool = False
    """Whether an attempt has succeeded."""


class Throttle:
    """Spaces out attempts, the more the more of them failed. Only of the event loop."""

    def __init__(
        self,
        waiting: int = 500,
        first: float = 0.25,
        longest: float = 5.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``waiting`` attempts may be under way, more are refused.

        ``first`` are the seconds before the attempt after the first failure that counts; they are doubled with each
        further one, up to ``longest``.
        """
        self._waiting = waiting
        self._first = first
        self._longest = longest
        self._clock = clock
        self._sleep = sleep
        self._records: OrderedDict[Key, _Record] = OrderedDict()
        self.under_way = 0
        """How many attempts wait or are being decided."""

    @contextlib.asynccontextmanager
    async def attempt(self, user: str, address: str) -> AsyncIterator[Attempt]:
        """Wait until an attempt may begin, and count how it ends; TooManyAttemptsError if too many wait already."""
        if self.under_way >= self._waiting:
            raise TooManyAttemptsError
        self.under_way += 1
        try:
            keys = self._keys(user, address)
            await self._turn(keys)
            attempt = Attempt()
            try:
                yield attempt
            finally:
                if not attempt.undecided:
                    self._count(keys, attempt.succeeded)
        finally:
            self.under_way -= 1

    def _keys(self, user: str, address: str) -> Sequence[Key]:
        """Return what an attempt is counted by."""
        network, user = _network(address), user.casefold()  # some who know users take ROOT for root
        both = (BOTH, user, network)
        if both in self._records and self._records[both].known:
            return (both,)
        return (both, (USER, user), (ADDRESS, network)) if network else (both, (USER, user))

    async def _turn(self, keys: Sequence[Key]) -> None:
        begin = now = self._clock()
        slowed: list[tuple[_Record, float]] = []
        for key in keys:
            record = self._records.get(key)
            if record is not None and now - record.free > FORGOTTEN_AFTER:
                record.failures = 0
            if record is not None and (delay := self._delay(key, record)):
                slowed.append((record, delay))
                begin = max(begin, record.free)
        if begin - now > LONGEST_QUEUE:
            raise TooManyAttemptsError
        for record, delay in slowed:
            record.free = begin + delay
        if begin > now:
            await self._sleep(begin - now)

    def _count(self, keys: Sequence[Key], succeeded: bool) -> None:
        now = self._clock()
        for key in keys:
            record = self._records.setdefault(key, _Record())
            self._records.move_to_end(key)
            if succeeded and key[0] == BOTH:
                record.failures, record.free, record.known = 0, now, True
            elif not succeeded:
                record.failures += 1
                record.free = max(record.free, now + self._delay(key, record))
        while len(self._records) > KEPT:
            self._records.popitem(last=False)

    def _delay(self, key: Key, record: _Record) -> float:
        counted = record.failures - FREE[key[0]]
        if counted <= 0:
            return 0.0
        return min(self._first * 2.0 ** min(counted - 1, 16), self._longest)


@lru_cache(1024)
def _network(address: str) -> str:
    """Return what stands for all addresses that one guesser is likely to have; empty if others use it for many."""
    if not address:
        return ""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or found
    if found.is_loopback:  # the CIM server, for all its users
        return ""
    return str(found) if found.version == 4 else str(ipaddress.ip_network((found, 64), strict=False))
