"""Pulled enumerations: sessions that give their results batch by batch (DSP0200 5.3.2.24)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import groupby, islice

from cim_provider import CimError, Instance, InstanceName, Status
from pycimom.fragments import FULL, Detail, Found, Fragments, Shape


class Kind(Enum):
    """Which Pull operation continues a session."""

    INSTANCES_WITH_PATH = "PullInstancesWithPath"
    PATHS = "PullInstancePaths"
    INSTANCES = "PullInstances"


@dataclass(frozen=True)
class Results:
    """Everything that an enumeration will give: groups of instances, or names."""

    namespace: str
    shape: Shape
    found: Sequence[Found] = ()
    names: Sequence[InstanceName] = ()
    detail: Detail = FULL

    async def all(self, fragments: Fragments) -> list[bytes]:
        """Return all of it."""
        pieces = list(fragments.encode_names(self.shape, self.namespace, self.names))
        for each in self.found:
            pieces += await fragments.encode(self.shape, each, self.detail)
        return pieces

    def rows(self) -> Iterator[tuple[str, Instance | InstanceName]]:
        """Yield it one by one, each with its namespace."""
        for name in self.names:
            yield self.namespace, name
        for each in self.found:
            for instance in each.instances:
                yield each.namespace, instance


@dataclass(frozen=True)
class Batch:
    """What one Open or Pull gives; ``context`` is None when it was the last."""

    pieces: Sequence[bytes]
    context: str | None


@dataclass
class _Session:
    owner: tuple[str, str]
    kind: Kind
    results: Results
    rows: Iterator[tuple[str, Instance | InstanceName]]
    timeout: float
    ahead: tuple[str, Instance | InstanceName] | None = None
    """The next row, which was read to know whether there is one."""
    busy: bool = False
    expiry: asyncio.TimerHandle | None = field(default=None, repr=False)


class Enumerations:
    """The open sessions of a server. Each belongs to the user and the namespace that opened it."""

    def __init__(self, fragments: Fragments, limit: int, timeout: int, longest_timeout: int) -> None:
        """``limit`` is how many may be open; times, in seconds, are what a session survives between two operations."""
        self._fragments = fragments
        self._limit = limit
        self._timeout = timeout
        self._longest_timeout = longest_timeout
        self._sessions: dict[str, _Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    async def open(
        self, owner: tuple[str, str], kind: Kind, results: Results, operation_timeout: int | None, max_count: int
    ) -> Batch:
        """Begin a session and give its first batch. A session whose first batch is all of it is closed at once."""
        rows = results.rows()
        session = _Session(owner, kind, results, rows, float(self.check_timeout(operation_timeout)), next(rows, None))
        pieces = await self._take(session, max_count)
        if session.ahead is None:
            return Batch(pieces, None)
        if len(self._sessions) >= self._limit:
            raise CimError(Status.SERVER_LIMITS_EXCEEDED, f"{self._limit} enumerations are open, and no more may be.")
        context = secrets.token_urlsafe(18)
        self._sessions[context] = session
        self._rest(context, session)
        return Batch(pieces, context)

    async def pull(self, owner: tuple[str, str], kind: Kind, context: str, max_count: int) -> Batch:
        """Give the next batch. INVALID_ENUMERATION_CONTEXT."""
        session = self._find(owner, context)
        if session.kind is not kind:
            raise _unknown(f"it is continued by {session.kind.value}")
        if session.busy:
            raise _unknown("another operation is using it")
        self._wake(session)
        try:
            pieces = await self._take(session, max_count)
        except BaseException:
            self._sessions.pop(context, None)
            raise
        if session.ahead is None:
            self._sessions.pop(context, None)
            return Batch(pieces, None)
        self._rest(context, session)
        return Batch(pieces, context)

    def close(self, owner: tuple[str, str], context: str) -> None:
        """End a session before its end. INVALID_ENUMERATION_CONTEXT, PULL_CANNOT_BE_ABANDONED."""
        session = self._find(owner, context)
        if session.busy:
            raise CimError(Status.PULL_CANNOT_BE_ABANDONED, "A pull of this enumeration is under way.")
        self._wake(session)
        del self._sessions[context]

    def close_all(self) -> None:
        """End all sessions."""
        for session in self._sessions.values():
            self._wake(session)
        self._sessions.clear()

    def check_timeout(self, timeout: int | None) -> int:
        """Return the seconds that a session survives, INVALID_OPERATION_TIMEOUT if that is not granted."""
        if timeout is None:
            return self._timeout
        if not 1 <= timeout <= self._longest_timeout:
            raise CimError(
                Status.INVALID_OPERATION_TIMEOUT,
                f"OperationTimeout lies between 1 and {self._longest_timeout} seconds, not {timeout}.",
            )
        return timeout

    def _find(self, owner: tuple[str, str], context: str) -> _Session:
        session = self._sessions.get(context)
        if session is None or session.owner != owner:
            raise _unknown("it is closed, expired, or was never opened here")
        return session

    async def _take(self, session: _Session, max_count: int) -> list[bytes]:
        if max_count == 0 or session.ahead is None:
            return []
        session.busy = True
        rows = [session.ahead, *islice(session.rows, max_count)]
        session.ahead = rows.pop() if len(rows) > max_count else None
        pieces: list[bytes] = []
        for namespace, group in groupby(rows, lambda row: row[0]):
            batch = [item for _, item in group]
            names = [item for item in batch if isinstance(item, InstanceName)]
            instances = [item for item in batch if isinstance(item, Instance)]
            results = session.results
            pieces += self._fragments.encode_names(results.shape, namespace, names)
            pieces += await self._fragments.encode(results.shape, Found(namespace, instances), results.detail)
        session.busy = False
        return pieces

    def _rest(self, context: str, session: _Session) -> None:
        session.expiry = asyncio.get_running_loop().call_later(session.timeout, self._sessions.pop, context, None)

    def _wake(self, session: _Session) -> None:
        if session.expiry is not None:
            session.expiry.cancel()


def _unknown(why: str) -> CimError:
    return CimError(Status.INVALID_ENUMERATION_CONTEXT, f"The enumeration context is not valid: {why}.")
