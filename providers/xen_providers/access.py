"""Who may use CIM: whoever the Xen-API lets in, under a session of their own."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from hmac import compare_digest
from pathlib import Path
from typing import Any, TypeVar

import structlog

from cim_provider import CimError, Principal, Status
from xenapi_client import Connection, XenApiError, XenApiUnavailable

log = structlog.get_logger(__name__)

T = TypeVar("T")

ORIGINATOR = "xen-cim"
REMEMBERED = 60.0
"""Seconds for which a verified password is not checked again."""
USERS = 256
"""Users with a session at the same time; beyond that the one who was away longest is logged out."""
LOGINS = 8
"""Passwords being checked at the same time."""
LONGEST = 1024
"""Characters of a name or password beyond which nobody is asked."""
REFUSED = "The user name or the password is wrong."
ADMINISTRATION = "pool.set_other_config"
"""The permission that makes a CIM administrator: who may change a pool's own settings may change the CIM server's."""
SUPERUSER = "root"
"""Whom xapi always lets in, though no directory of users knows of it."""
OPEN_DOOR = "The Xen-API lets anybody in without checking passwords, so no CIM user can be recognised."


@dataclass(frozen=True)
class XenPrincipal(Principal):
    """A recognised user, for the length of a request; calls run under the user's own session."""

    access: XenApiAuthenticator = field(repr=False, compare=False)
    password: str = field(repr=False, compare=False)

    async def call(self, method: str, *parameters: object) -> Any:
        """Call the Xen-API; a session that has ended is replaced once, if the password still holds."""
        return await self._with_session(lambda connection: connection.call(method, *parameters))

    async def download(self, path: str, query: Mapping[str, str]) -> bytes:
        """Read what the Xen-API has at a path, likewise."""
        return await self._with_session(lambda connection: connection.download(path, query))

    async def _with_session(self, use: Callable[[Connection], Awaitable[T]]) -> T:
        connection = await self.access.connection(self.name, self.password)
        try:
            return await use(connection)
        except XenApiError as error:
            if error.code != "SESSION_INVALID":
                raise
        self.access.forget(self.name, connection)
        return await use(await self.access.connection(self.name, self.password))


@dataclass
class _Verified:
    """A pair that the Xen-API accepted: the password's keyed hash, until when it holds, the session, and its role."""

    digest: bytes
    until: float
    connection: Connection
    may_administer: bool


class XenApiAuthenticator:
    """Recognises users by logging in to the Xen-API through a door that checks passwords.

    That it checks them is found out with a random name and password, before the first login and again whenever the
    server may have been restarted; as long as those get in, everybody else is refused. An accepted pair is remembered
    for a minute under a keyed hash whose key never leaves the process; a refused one never is.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        service: str = "",
        ca_file: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``service`` is the door at which the service itself asks about users; without one nobody is asked about."""
        self._endpoint = endpoint
        self._service = Connection(service, ca_file=ca_file, originator=ORIGINATOR) if service else None
        self._ca_file = ca_file
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._verified: OrderedDict[str, _Verified] = OrderedDict()
        self._asked: dict[tuple[str, bytes], asyncio.Task[_Verified]] = {}
        self._places = asyncio.Semaphore(LOGINS)
        self._checking = asyncio.Lock()
        self._door_checked = False
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Find out whether the door checks passwords; if nobody answers yet, that is done at the first login."""
        try:
            await self._check_door()
        except CimError as error:
            log.warning("door_not_checked", endpoint=self._endpoint, reason=error.description)

    async def stop(self) -> None:
        """Log everybody out."""
        for name, known in list(self._verified.items()):
            self.forget(name, known.connection)
        await asyncio.gather(*self._closing)
        if self._service is not None:
            await self._service.close()

    async def authenticate(self, user: str, password: str) -> XenPrincipal:
        """Return who this is; ACCESS_DENIED for a wrong pair, FAILED if the Xen-API cannot be asked."""
        known = await self._known(user, password)
        return XenPrincipal(user, self, password, may_administer=known.may_administer)

    async def may_read(self, user: str) -> bool:
        """Say whether somebody who was recognised before still has a role. Whoever cannot be asked about does."""
        if self._service is None:
            return True
        try:
            identifier = await self._service.call("auth.get_subject_identifier", user)
            known = await self._service.call("auth.get_subject_information_from_identifier", identifier)
            groups = await self._service.call("auth.get_group_membership", identifier)
            subjects = await self._service.call("subject.get_all_records")
        except (XenApiError, XenApiUnavailable) as error:
            is_gone = isinstance(error, XenApiError) and error.code == "SUBJECT_CANNOT_BE_RESOLVED"
            return not is_gone or user == SUPERUSER
        if known.get("subject-account-disabled") == "true":
            return False
        given = [each["roles"] for each in subjects.values() if each["subject_identifier"] in (identifier, *groups)]
        return any(given) if given else bool(known.get("subject-role"))

    async def connection(self, user: str, password: str) -> Connection:
        """Return the user's connection, after checking the password unless that was done within the last minute."""
        return (await self._known(user, password)).connection

    async def _known(self, user: str, password: str) -> _Verified:
        if not user or len(user) > LONGEST or len(password) > LONGEST:
            raise CimError(Status.ACCESS_DENIED, REFUSED)
        digest = self._digest(password)
        known = self._verified.get(user)
        if known and known.until > self._clock() and compare_digest(known.digest, digest):
            self._verified.move_to_end(user)
            return known
        # Requests of one client come in flocks; those with the same pair share one login.
        asked = self._asked.get((user, digest))
        if asked is None:
            asked = self._asked[user, digest] = asyncio.create_task(self._verify(user, password, digest))
            asked.add_done_callback(lambda _: self._asked.pop((user, digest)))
        return await asyncio.shield(asked)

    def forget(self, user: str, connection: Connection) -> None:
        """Drop a session, if it is still the user's; the next request checks the password again."""
        known = self._verified.get(user)
        if known is not None and known.connection is connection:
            del self._verified[user]
            self._close(connection)

    def _digest(self, password: str) -> bytes:
        return blake2b(password.encode("utf-8", "surrogatepass"), key=self._key).digest()

    async def _verify(self, user: str, password: str, digest: bytes) -> _Verified:
        async with self._places:
            await self._check_door()
            connection = await self._log_in(user, password)
            may_administer = await self._may_administer(connection)
        known = self._verified.get(user)
        until = self._clock() + REMEMBERED
        if known is not None and compare_digest(known.digest, digest):
            known.until, known.may_administer = until, may_administer
            self._close(connection)  # it served to check the password; the session in use stays
            return known
        if known is not None:
            self.forget(user, known.connection)
        verified = self._verified[user] = _Verified(digest, until, connection, may_administer)
        if len(self._verified) > USERS:
            oldest, last = next(iter(self._verified.items()))
            self.forget(oldest, last.connection)
        return verified

    async def _log_in(self, user: str, password: str) -> Connection:
        connection = Connection(
            self._endpoint, user, password, ca_file=self._ca_file, originator=ORIGINATOR, relogin=False
        )
        try:
            await connection.login()
        except XenApiUnavailable as error:
            self._door_checked = False
            await connection.close()
            raise CimError(Status.FAILED, str(error)) from None
        except (XenApiError, ValueError) as error:  # ValueError: what cannot be sent is nobody's name or password
            await connection.close()
            log.info("login_refused", user=user, code=getattr(error, "code", "NO_XML_CHARACTERS"))
            raise CimError(Status.ACCESS_DENIED, REFUSED) from None
        return connection

    async def _may_administer(self, connection: Connection) -> bool:
        """Ask the Xen-API what a new session may do. Xen-API 1.0 has no roles: there everybody is an administrator."""
        try:
            record = await connection.call("session.get_record", await connection.login())
        except (XenApiError, XenApiUnavailable) as error:
            if isinstance(error, XenApiError) and error.code == "RBAC_PERMISSION_DENIED":
                return False  # who may not even read that is no administrator
            await connection.close()
            raise CimError(Status.FAILED, f"The Xen-API does not say what {connection.user} may do: {error}") from None
        if "rbac_permissions" not in record:
            return True
        return bool(record["is_local_superuser"]) or ADMINISTRATION in record["rbac_permissions"]

    async def _check_door(self) -> None:
        """Raise CimError unless a random name and password are refused."""
        async with self._checking:
            if self._door_checked:
                return
            try:
                connection = await self._log_in(f"nobody-{secrets.token_hex(8)}", secrets.token_urlsafe(16))
            except CimError as error:
                if error.status is not Status.ACCESS_DENIED:
                    raise
                self._door_checked = True
                return
            await connection.close()
            log.error("door_checks_no_passwords", endpoint=self._endpoint)
            raise CimError(Status.ACCESS_DENIED, OPEN_DOOR)

    def _close(self, connection: Connection) -> None:
        task = asyncio.create_task(connection.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
