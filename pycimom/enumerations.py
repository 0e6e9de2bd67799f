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

KEPT = 10_000
"""Of enumerations of more instances than these, no encoded instance is kept: a pull adds one batch to memory."""


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

    def __len__(self) -> int:
        return len(self.names) + sum(len(each.instances) for each in self.found)

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
    given: int = 0
    """How many rows it has given so far."""
    busy: bool = False
    abandoned: bool = False
    expiry: asyncio.TimerHandle | None = field(default=None, repr=False)


@dataclass(frozen=True)
class EnumerationLimits:
    """How many sessions may be open, and the seconds that one survives between two operations."""

    sessions: int = 1000
    of_user: int = 100
    timeout: int = 60
    longest_timeout: int = 600
    batch: int = 10_000
    """How many objects one operation gives at most, whatever the client asks for."""


class Enumerations:
    """The open sessions of a server. Each belongs to the user and the namespace that opened it."""

    def __init__(self, fragments: Fragments, limits: EnumerationLimits) -> None:
        self._fragments = fragments
        self._limits = limits
        self._sessions: dict[str, _Session] = {}
        self._closing = False

    def __len__(self) -> int:
        return len(self._sessions)

    async def open(
        self, owner: tuple[str, str], kind: Kind, results: Results, operation_timeout: int | None, max_count: int
    ) -> Batch:
        """Begin a session and give its first batch. A session whose first batch is all of it is closed at once."""
        self._check_open()
        rows = results.rows()
        session = _Session(owner, kind, results, rows, float(self.check_timeout(operation_timeout)), next(rows, None))
        pieces = await self._take(session, max_count)
        if session.ahead is None:
            return Batch(pieces, None)
        self._check_room(owner)
        context = secrets.token_urlsafe(18)
        self._sessions[context] = session
        self._rest(context, session)
        return Batch(pieces, context)

    def _check_open(self) -> None:
        if self._closing:
            raise CimError(Status.SERVER_IS_SHUTTING_DOWN, "The server is shutting down.")

    def _check_room(self, owner: tuple[str, str]) -> None:
        """Raise SERVER_LIMITS_EXCEEDED if no further session may be opened."""
        limits = self._limits
        if len(self._sessions) >= limits.sessions:
            raise CimError(
                Status.SERVER_LIMITS_EXCEEDED, f"{limits.sessions} enumerations are open, and no more may be."
            )
        if sum(each.owner[0] == owner[0] for each in self._sessions.values()) >= limits.of_user:
            raise CimError(
                Status.SERVER_LIMITS_EXCEEDED, f"{limits.of_user} enumerations of this user are open, no more may be."
            )

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
        except BaseException:  # a client that has gone included
            self._sessions.pop(context, None)
            raise
        if session.abandoned:
            raise CimError(Status.PULL_HAS_BEEN_ABANDONED, "The enumeration was closed while this pull was under way.")
        if session.ahead is None:
            self._sessions.pop(context, None)
            return Batch(pieces, None)
        self._rest(context, session)
        return Batch(pieces, context)

    def count(self, owner: tuple[str, str], context: str) -> int:
        """Return how many instances a session has still to give. INVALID_ENUMERATION_CONTEXT."""
        session = self._find(owner, context)
        return len(session.results) - session.given

    def close(self, owner: tuple[str, str], context: str) -> None:
        """End a session before its end; a pull under way is abandoned.

        INVALID_ENUMERATION_CONTEXT; PULL_CANNOT_BE_ABANDONED if it is the last, which ends the session anyway.
        """
        session = self._find(owner, context)
        if session.busy and session.ahead is None:
            raise CimError(Status.PULL_CANNOT_BE_ABANDONED, "The last pull of this enumeration is under way.")
        session.abandoned = session.busy
        self._wake(session)
        del self._sessions[context]

    def close_all(self) -> None:
        """End all sessions, and open no more."""
        self._closing = True
        for session in self._sessions.values():
            self._wake(session)
        self._sessions.clear()

    def check_timeout(self, timeout: int | None) -> int:
        """Return the seconds that a session survives, INVALID_OPERATION_TIMEOUT if that is not granted."""
        if timeout is None:
            return self._limits.timeout
        longest = self._limits.longest_timeout
        if not 1 <= timeout <= longest:
            raise CimError(
                Status.INVALID_OPERATION_TIMEOUT,
                f"OperationTimeout lies between 1 and {longest} seconds, not {timeout}.",
            )
        return timeout

    def _find(self, owner: tuple[str, str], context: str) -> _Session:
        self._check_open()
        session = self._sessions.get(context)
        if session is None or session.owner != owner:
            raise _unknown("it is closed, expired, or was never opened here")
        return session

    async def _take(self, session: _Session, max_count: int) -> list[bytes]:
        if max_count == 0 or session.ahead is None:
            return []
        session.busy = True
        try:
            return await self._batch(session, min(max_count, self._limits.batch))
        finally:
            session.busy = False

    async def _batch(self, session: _Session, max_count: int) -> list[bytes]:
        ahead = [] if session.ahead is None else [session.ahead]
        rows = [*ahead, *islice(session.rows, max_count)]
        session.ahead = rows.pop() if len(rows) > max_count else None
        session.given += len(rows)
        pieces: list[bytes] = []
        for namespace, group in groupby(rows, lambda row: row[0]):
            batch = [item for _, item in group]
            names = [item for item in batch if isinstance(item, InstanceName)]
            instances = [item for item in batch if isinstance(item, Instance)]
            results = session.results
            pieces += self._fragments.encode_names(results.shape, namespace, names)
            pieces += await self._fragments.encode(
                results.shape, Found(namespace, instances), results.detail, keep=len(results) <= KEPT
            )
        return pieces

    def _rest(self, context: str, session: _Session) -> None:
        session.expiry = asyncio.get_running_loop().call_later(session.timeout, self._sessions.pop, context, None)

    def _wake(self, session: _Session) -> None:
        if session.expiry is not None:
            session.expiry.cancel()


def _unknown(why: str) -> CimError:
    return CimError(Status.INVALID_ENUMERATION_CONTEXT, f"The enumeration context is not valid: {why}.")
