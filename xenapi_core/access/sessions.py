"""Sessions: who is logged in, for how long, and who may log in at which door."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from xenapi_core.access.local import LocalUsers, UsersFileError, set_password
from xenapi_core.access.throttle import Throttle
from xenapi_core.datamodel.call import Caller
from xenapi_core.datamodel.errors import XenApiError
from xenapi_core.datamodel.roles import POOL_ADMIN, Role

log = structlog.get_logger(__name__)

LOCAL, NONE, PEER = "local", "none", "peer"
AUTHENTICATIONS = (LOCAL, NONE, PEER)
"""How a door recognises users: by the users file; not at all; by the uid at the other end of a unix socket."""

IDLE_LIMIT = 24 * 3600.0
"""Seconds without a call after which a session ends."""
PER_ORIGINATOR = 500
"""Sessions of one user and originator; one more ends the one that was idle the longest."""
LONGEST_NAME = 256
"""Characters of a user name or originator; longer ones are refused, as are passwords of more than 1,024."""


@dataclass(eq=False)
class Session:
    """A session. Its reference is a secret: who knows it acts as its user."""

    user: Caller
    originator: str
    used: float
    """When it was last used, on the monotonic clock."""
    ref: str = field(default_factory=lambda: f"OpaqueRef:{uuid.uuid4()}", repr=False)
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()), repr=False)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    last_active: datetime = field(default_factory=lambda: datetime.now(UTC))
    other_config: dict[str, str] = field(default_factory=dict)
    subject: str = ""
    """The reference to the subject that gave it its role; empty if the users file did."""
    waiting: int = 0
    """How many calls wait for something on its behalf; such a session is not idle."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def group(self) -> tuple[str, str]:
        """Which sessions it counts with."""
        return self.user.name, self.originator


class Sessions:
    """All sessions. They do not outlive the process."""

    def __init__(
        self,
        users: LocalUsers | None,
        throttle: Throttle | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._users = users
        self._throttle = throttle or Throttle()
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._groups: dict[tuple[str, str], dict[str, Session]] = defaultdict(dict)
        self._hashing = asyncio.Semaphore(2)
        self._changing_passwords = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._sessions)

    def get(self, ref: str) -> Session:
        """Return a session and note that it is in use; SESSION_INVALID if there is none."""
        session = self._sessions.get(ref)
        if session is None:
            raise XenApiError("SESSION_INVALID", ref)
        now = self._clock()
        if now - session.used > IDLE_LIMIT and not session.waiting:
            self.end(session)
            raise XenApiError("SESSION_INVALID", ref)
        session.used = now
        session.last_active = datetime.now(UTC)
        return session

    async def login(self, door: str, caller: Caller, name: str, password: str, originator: str = "") -> Session:
        """Begin a session for who comes through a door with a name and a password.

        ``door`` is the door's authentication. SESSION_AUTHENTICATION_FAILED if they are wrong, or too many tries wait.
        """
        if len(name) > LONGEST_NAME or len(originator) > LONGEST_NAME or len(password) > 1024:
            raise XenApiError("SESSION_AUTHENTICATION_FAILED", name[:LONGEST_NAME], "Name or password is too long")
        if door == PEER and caller.trusted:
            user = Caller(name or "root", POOL_ADMIN, trusted=True)
        elif door == NONE:
            user = Caller(name, POOL_ADMIN, address=caller.address)
        else:
            user = await self._verified(caller, name, password)
        session = Session(user, originator, self._clock())
        self._sessions[session.ref] = session
        group = self._groups[session.group]
        group[session.ref] = session
        self._make_room(group)
        log.info("session_began", user=user.name, address=caller.address or "unix", originator=originator)
        return session

    async def _verified(self, caller: Caller, name: str, password: str) -> Caller:
        users = self._users
        admitted = users is not None and await self._throttle.admit(name, caller.address)
        if users is None or not admitted:
            log.warning("login_refused", user=name, address=caller.address)
            raise XenApiError("SESSION_AUTHENTICATION_FAILED", name, "Too many attempts")
        try:
            async with self._hashing:
                user = await asyncio.to_thread(users.verify, name, password)
        except UsersFileError as error:
            log.error("users_file_unusable", reason=str(error))
            raise XenApiError("SESSION_AUTHENTICATION_FAILED", name, "Passwords cannot be checked now") from error
        if user is None:
            self._throttle.failed(name, caller.address)
            log.warning("login_failed", user=name, address=caller.address)
            raise XenApiError("SESSION_AUTHENTICATION_FAILED", name, "Authentication failure")
        self._throttle.succeeded(name, caller.address)
        return Caller(user.name, user.role, address=caller.address)

    async def change_password(self, session: Session, old: str, new: str) -> None:
        """Give the session's user another password, and end the user's other sessions."""
        if self._users is None or session.user.trusted:
            raise XenApiError("PERMISSION_DENIED", "the user of this session has no password here")
        await self._verified(session.user, session.user.name, old)
        async with self._changing_passwords:
            await asyncio.to_thread(set_password, self._users.file, session.user.name, new)
        self.end_of_user(session.user.name, but=session)
        log.info("password_changed", user=session.user.name)

    async def role(self, name: str) -> Role | None:
        """Return the role that the users file gives a user, None if there is no such user."""
        if self._users is None:
            return None
        try:
            users = await asyncio.to_thread(self._users.users)
        except UsersFileError as error:
            log.error("users_file_unusable", reason=str(error))
            return None
        return users[name].role if name in users else None

    def users(self) -> set[str]:
        """Return the names of the users who are logged in with a name of their own."""
        return {session.user.name for session in self._sessions.values() if not session.user.trusted}

    def end_of_user(self, name: str, but: Session) -> None:
        """End the sessions of a user, all but one."""
        for session in list(self._sessions.values()):
            if session.user.name == name and not session.user.trusted and session is not but:
                self.end(session)

    def end(self, session: Session) -> None:
        """End a session; who waits on its behalf is woken."""
        self._sessions.pop(session.ref, None)
        group = self._groups[session.group]
        group.pop(session.ref, None)
        if not group:
            del self._groups[session.group]
        session.ended.set()

    def expire(self) -> None:
        """End the sessions that have been idle for too long."""
        limit = self._clock() - IDLE_LIMIT
        for session in [each for each in self._sessions.values() if each.used < limit and not each.waiting]:
            self.end(session)

    def end_all(self) -> None:
        """End every session."""
        for session in list(self._sessions.values()):
            self.end(session)

    def _make_room(self, group: dict[str, Session]) -> None:
        while len(group) > PER_ORIGINATOR:
            self.end(min(group.values(), key=lambda session: session.used))
