"""Slows down those who guess passwords."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

FIRST_DELAY = 0.25
"""Seconds before the attempt after the first failure; doubled with each further one."""
LONGEST_DELAY = 5.0
FORGOTTEN_AFTER = 600.0
"""Seconds without an attempt after which failures are forgotten."""
LONGEST_QUEUE = 30.0
"""Attempts that would have to wait longer than this many seconds are refused at once."""
KEPT = 10_000
"""How many users and addresses are remembered."""

Key = tuple[str, str]


class Throttle:
    """Spaces out attempts by user and address, the more the more of them failed."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._failures: OrderedDict[Key, tuple[int, float]] = OrderedDict()
        """How many attempts failed, and when the next may begin."""

    async def admit(self, user: str, address: str) -> bool:
        """Wait until an attempt may begin; False if too many wait already."""
        key, now = (user, address), self._clock()
        count, free = self._failures.get(key, (0, now))
        if count == 0 or now - free > FORGOTTEN_AFTER:
            self._failures.pop(key, None)
            return True
        begin = max(now, free)
        if begin - now > LONGEST_QUEUE:
            return False
        self._failures[key] = count, begin + self._delay(count)
        await self._sleep(begin - now)
        return True

    def failed(self, user: str, address: str) -> None:
        """Count a failed attempt."""
        key, now = (user, address), self._clock()
        count, free = self._failures.pop(key, (0, now))
        self._failures[key] = count + 1, max(free, now + self._delay(count + 1))
        while len(self._failures) > KEPT:
            self._failures.popitem(last=False)

    def succeeded(self, user: str, address: str) -> None:
        """Forget the failures before a success."""
        self._failures.pop((user, address), None)

    @staticmethod
    def _delay(failures: int) -> float:
        return min(FIRST_DELAY * 2.0 ** min(failures - 1, 16), LONGEST_DELAY)
