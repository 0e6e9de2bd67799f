"""Sessions: who is logged in, for how long, and who may log in at which door."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

import structlog

from netserve.throttle import Throttle, TooManyAttemptsError
from xenapi_core.access.identifiers import identifier, parts
from xenapi_core.access.local import LocalUsers, set_password
from xenapi_core.access.users import User, Users, UsersError
from xenapi_core.datamodel.call import Caller
from xenapi_core.datamodel.errors import XenApiError
from xenapi_core.datamodel.roles import POOL_ADMIN, Role
from xenapi_core.limits import DEFAULT, Limits

T = TypeVar("T")
log = structlog.get_logger(__name__)

LOCAL, PAM, NONE, PEER = "local", "pam", "none", "peer"
AUTHENTICATIONS = (LOCAL, PAM, NONE, PEER)
"""How a door recognises users: by the users file; by PAM; not at all; by the uid at the other end of a unix socket."""

LONGEST_NAME = 256
"""Characters of a user name or originator; longer ones are refused, as are passwords of more than 1,024."""
CHECK_LIMIT = 60.0
"""Seconds that checking a password may take; PAM may ask far away."""


AsSubject = Callable[[str], tuple[Role | None, str] | None]
"""Returns the role and the reference of the subject with an identifier, None if there is no such subject."""


@dataclass(eq=False)
class Session:
    """A session. Its reference is a secret: who knows it acts as its user."""

    user: Caller
    originator: str
    used: float
    """When it was last used, on the monotonic clock."""
    authentication: str = NONE
    """How the door recognised the user."""
    verified: User | None = field(default=None, repr=False)
    """The user as known when the password was checked; None if none was."""
    ref: str = field(default_factory=lambda: f"OpaqueRef:{uuid.uuid4()}", repr=False)
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()), repr=False)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    last_active: datetime = field(default_factory=lambda: datetime.now(UTC))
    other_config: dict[str, str] = field(default_factory=dict)
    subject: str = ""
    """The reference to the subject that gave it its role; empty if none did."""
    waiting: int = 0
    """How many calls wait for something on its behalf; such a session is not idle."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def group(self) -> tuple[str, str]:
        """Which sessions it counts with."""
        return self.identifier, self.originator

    @property
    def identifier(self) -> str:
        """Who its user is, as a subject."""
        return identifier(self.authentication, self.user.name)


class Sessions:
    """All sessions. They do not outlive the process."""

    def __init__(
        self,
        users: Mapping[str, Users],
        throttle: Throttle | None = None,
        clock: Callable[[], float] = time.monotonic,
        limits: Limits = DEFAULT,
    ) -> None:
        """``users`` know the passwords of doors, by the doors' authentication."""
        self._users = users
        self._throttle = throttle or Throttle()
        self._clock = clock
        self._limits = limits
        self._sessions: dict[str, Session] = {}
        self._groups: dict[tuple[str, str], dict[str, Session]] = defaultdict(dict)
        self._threads: dict[Users, ThreadPoolExecutor] = {}
        self._changing_passwords = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._sessions)

    def count(self) -> Counter[str]:
        """Return how many sessions there are, by the authentication of the doors where they began."""
        return Counter(each.authentication for each in self._sessions.values())

    def get(self, ref: str) -> Session:
        """Return a session and note that it is in use; SESSION_INVALID if there is none."""
        session = self._sessions.get(ref)
        if session is None:
            raise XenApiError("SESSION_INVALID", ref)
        now = self._clock()
        if now - session.used > self._limits.session_timeout and not session.waiting:
            self.end(session)
            raise XenApiError("SESSION_INVALID", ref)
        session.used = now
        session.last_active = datetime.now(UTC)
        return session

    async def login(
        self,
        door: str,
        caller: Caller,
        name: str,
        password: str,
        originator: str = "",
        as_subject: AsSubject = lambda _: None,
    ) -> Session:
        """Begin a session for who comes through a door with a name and a password.

        ``door`` is the door's authentication. The user's role is that which ``as_subject`` tells, or else the own one.
        SESSION_AUTHENTICATION_FAILED if name or password are wrong, or too many tries wait; RBAC_PERMISSION_DENIED if
        the user has no role.
        """
        if len(name) > LONGEST_NAME or len(originator) > LONGEST_NAME or len(password) > 1024:
            raise XenApiError("SESSION_AUTHENTICATION_FAILED", name[:LONGEST_NAME], "Name or password is too long")
        verified, subject = None, ""
        if door == PEER and caller.trusted:
            user = Caller(name or "root", POOL_ADMIN, trusted=True)
        elif door == NONE:
            user = Caller(name, POOL_ADMIN, address=caller.address)
        else:
            verified = await self._verified(door, caller.address, name, password)
            role, subject = as_subject(identifier(door, verified.name)) or (verified.role, "")
            if role is None:
                log.warning("login_without_role", user=verified.name, address=caller.address, authentication=door)
                raise XenApiError("RBAC_PERMISSION_DENIED", "session.login_with_password", "the user has no role")
            user = Caller(verified.name, role, address=caller.address)
        session = Session(user, originator, self._clock(), door, verified, subject=subject)
        self._sessions[session.ref] = session
        group = self._groups[session.group]
        group[session.ref] = session
        self._make_room(group)
        log.info("session_began", user=user.name, address=caller.address or "unix", originator=originator)
        return session

    async def _verified(self, door: str, address: str, name: str, password: str) -> User:
        users = self._users.get(door)
        if users is None:
            raise XenApiError("SESSION_AUTHENTICATION_FAILED", name, "Nobody knows users here")
        try:
            async with self._throttle.attempt(name, address) as attempt:
                user = await self._ask(users, users.verify, name, password, address)
                attempt.succeeded = user is not None
        except TooManyAttemptsError as error:
            log.warning("login_refused", user=name, address=address, reason="too many attempts")
            raise XenApiError("SESSION_AUTHENTICATION_FAILED", name, "Too many attempts") from error
        except (UsersError, TimeoutError) as error:
            _log_unable(door, error)
            raise XenApiError("SESSION_AUTHENTICATION_FAILED", name, "Passwords cannot be checked now") from error
        if user is None:
            log.warning("login_failed", user=name, address=address, authentication=door)
            raise XenApiError("SESSION_AUTHENTICATION_FAILED", name, "Authentication failure")
        return user

    async def _ask(self, users: Users, question: Callable[..., T], *arguments: str) -> T:
        """Ask those who know users something, in one of their threads."""
        if users not in self._threads:
            self._threads[users] = ThreadPoolExecutor(users.at_a_time, "users")
        asking = asyncio.get_running_loop().run_in_executor(self._threads[users], question, *arguments)
        return await asyncio.wait_for(asking, CHECK_LIMIT)

    async def change_password(self, session: Session, old: str, new: str) -> None:
        """Give the session's user another password, and end the user's other sessions."""
        users = self._users.get(session.authentication)
        if not isinstance(users, LocalUsers):
            raise XenApiError("PERMISSION_DENIED", "the user of this session has no password in the users file")
        name = session.user.name
        await self._verified(session.authentication, session.user.address, name, old)
        async with self._changing_passwords:
            await asyncio.to_thread(set_password, users.file, name, new)
            session.verified = await asyncio.to_thread(users.current, name)
        self.end_of_user(session.identifier, but=session)
        log.info("password_changed", user=name)

    async def find(self, name: str) -> str | None:
        """Return the subject identifier of a user who could log in, None if there is none of that name."""
        for authentication in self._users:
            found = identifier(authentication, name)
            if await self.resolve(found):
                return found
        return None

    async def resolve(self, subject_identifier: str) -> User | None:
        """Return the user of a subject identifier, None if there is none."""
        authentication, name = parts(subject_identifier)
        users = self._users.get(authentication)
        try:
            return await self._ask(users, users.find, name) if users is not None else None
        except (UsersError, TimeoutError) as error:
            _log_unable(authentication, error)
            return None

    async def end_changed(self) -> None:
        """End the sessions of users whose password or account is no longer what it was at their login."""
        by_user: dict[str, list[tuple[Session, User]]] = defaultdict(list)
        for session in self._sessions.values():
            if session.verified is not None:
                by_user[session.identifier].append((session, session.verified))
        for who, theirs in by_user.items():
            authentication, name = parts(who)
            users = self._users[authentication]
            try:
                now = await self._ask(users, users.current, name)
            except (UsersError, TimeoutError) as error:
                _log_unable(authentication, error)
                continue
            for session, before in theirs:
                if now != before and session.verified is before:  # it may have changed the password meanwhile
                    log.info("session_ended", user=name, reason="the user's account or password has changed")
                    self.end(session)

    def users(self) -> set[str]:
        """Return the subject identifiers of the users who are logged in with a name of their own."""
        return {session.identifier for session in self._sessions.values() if not session.user.trusted}

    def end_of_user(self, who: str, but: Session) -> None:
        """End the sessions of a user with a subject identifier, all but one."""
        for session in list(self._sessions.values()):
            if session.identifier == who and not session.user.trusted and session is not but:
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
        limit = self._clock() - self._limits.session_timeout
        for session in [each for each in self._sessions.values() if each.used < limit and not each.waiting]:
            self.end(session)

    def end_all(self) -> None:
        """End every session."""
        for session in list(self._sessions.values()):
            self.end(session)

    def _make_room(self, group: dict[str, Session]) -> None:
        while len(group) > self._limits.sessions_per_originator:
            self._end_oldest(group.values())
        while len(self._sessions) > self._limits.sessions:
            ((most, _),) = Counter(each.identifier for each in self._sessions.values()).most_common(1)
            self._end_oldest([each for each in self._sessions.values() if each.identifier == most])

    def _end_oldest(self, sessions: Iterable[Session]) -> None:
        self.end(min(sessions, key=lambda session: session.used))


def _log_unable(authentication: str, error: Exception) -> None:
    log.error("users_not_known", authentication=authentication, reason=str(error) or "Asking took too long.")
